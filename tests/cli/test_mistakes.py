"""What a new user gets wrong at the command line, and the words that say so before any work starts."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

from ntk_prior_cli.application import app

RANGES = "weight_variance: {type: float, low: 0.5, high: 4.0}\nbias_variance: 0.05\n"


def preview(tmp_path: Path, text: str, *options: str) -> str:
    (tmp_path / "space.yaml").write_text(text)
    result = CliRunner().invoke(app, ["preview", str(tmp_path / "space.yaml"), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return " ".join(result.output.split())


def test_a_space_that_the_prior_is_silent_about_says_why(tmp_path: Path) -> None:
    printed = preview(tmp_path, "init_gain: {type: float, low: 0.5, high: 2}\nlayers: {type: int, low: 1, high: 64}")
    assert "warning: the prior is silent about 100% of this space: the configuration lacks weight_variance," in printed
    assert "note: the prior does not look at init_gain, layers" in printed


def test_a_known_space_says_nothing_of_silence(tmp_path: Path) -> None:
    printed = preview(tmp_path, RANGES + "depth: {type: int, low: 1, high: 64}", "--width", "256")
    assert "silent" not in printed
    assert "does not look" not in printed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("depht: {type: int, low: 1, high: 64}", "depht: expected depth, received depht"),
        ("depth: {type: int, low: 0, high: 64}", "depth: expected an integer in [1, 10000], received 0"),
        ("depth: deep", "depth: expected an integer, received 'deep'"),
    ],
)
def test_a_wrong_entry_names_its_file(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(RANGES + line)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {message}")):
        CliRunner().invoke(app, ["preview", str(path)], catch_exceptions=False)


def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    text = RANGES + "depth: 3\nlearning_rate: {type: float, low: 1e-4, high: 1E+0, log: true}"
    assert "0.0001 to" in preview(tmp_path, text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune", "-o", "no-such-folder/report.json"], "--output: expected a file .* but there is no folder"),
        (["tune", "-o", "."], "--output: expected a file .* received '.', which is a folder"),
        (["tune", "--report", "no-such-folder/page.html"], "--report: expected a file .* but there is no folder"),
        (["tune", "-o", "page.html"], "--output: expected another file than the page's, received 'page.html' for both"),
        (["report", "study", "-o", "no-such-folder/page.html"], "--output: expected a file .* but there is no folder"),
        (["map", "-o", "no-such-folder/map.html"], "--output: expected a file .* but there is no folder"),
        (["preview", "space.yaml", "--plot", "no-such-folder/s.html"], "--plot: expected a file .* there is no folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_hours_of_training(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_a_storage_that_cannot_be_opened_is_told_before_any_work(tmp_path: Path) -> None:
    for storage in ("foo", f"sqlite:///{tmp_path}/no-such-folder/study.db", "postgresql+nodriver://host/db"):
        with pytest.raises(ValueError, match=r"--storage: expected the URL of an Optuna storage.* cannot be opened"):
            CliRunner().invoke(app, ["tune", "--storage", storage], catch_exceptions=False)


def test_a_study_that_is_there_is_not_mixed_with_a_new_one(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(study_name="mine", storage=storage)
    with pytest.raises(ValueError, match=r"--study: expected a new name, received 'mine', .* add --resume"):
        CliRunner().invoke(app, ["tune", "--storage", storage, "--study", "mine"], catch_exceptions=False)
