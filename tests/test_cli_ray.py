"""``ntk-prior tune --engine ray``: the same trainings and the same report, launched by Ray Tune."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ntk_prior_cli import main

SMALL = ["--trials", "3", "--steps", "20", "--width", "16", "--n-train", "64"]


@pytest.mark.xdist_group("ray")
def test_tune_launches_trains_and_reports_with_ray_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    options = ["tune", "--engine", "ray", *SMALL, "--storage-path", str(tmp_path / "ray"), "--output", str(report)]
    command = [sys.executable, "-c", "from ntk_prior_cli import main; main()", *options]
    first = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert first.returncode == 0, first.stderr
    found = json.loads(report.read_text())
    assert found["launched"] == len(found["trials"]) == 3
    assert found["best_test_accuracy"] == max(trial["result"]["best_test_accuracy"] for trial in found["trials"])
    assert all(trial["result"]["steps"] > 0 and trial["prior"]["verdict"] for trial in found["trials"])
    lines = (tmp_path / "ray" / "ntk-prior" / "ntk_rejections.jsonl").read_text().splitlines()
    assert sum(found["refused"].values()) == len(lines) > 0
    monkeypatch.setattr(sys, "argv", ["ntk-prior", *options])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "study: expected a new name, received 'ntk-prior'" in capsys.readouterr().err.replace("\n", " ")
    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=300, check=False)
    assert resumed.returncode == 0, resumed.stderr
    # Ray gives the trials of a restored experiment in another order.
    kept = json.loads(report.read_text())["trials"]
    assert sorted(str(trial["result"]) for trial in kept) == sorted(str(trial["result"]) for trial in found["trials"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "ray", "--storage", "sqlite:///a.db"], "--storage: expected none with --engine ray"),
        (["--address", "auto"], "--address: expected none without --engine ray, received auto"),
        (["--gpus-per-trial", "1"], "--gpus-per-trial: expected none without --engine ray"),
    ],
)
def test_options_of_the_other_engine_are_refused_before_anything_starts(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ntk-prior", "tune", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
