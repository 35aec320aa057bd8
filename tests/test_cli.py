"""The command: what it prints, what it writes, and that nothing finished is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

from ntk_prior import Task
from ntk_prior_cli import app, main

SMALL = ["--trials", "3", "--steps", "20", "--width", "16", "--n-train", "64"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_score_says_verdict_reason_and_fix() -> None:
    values = json.loads(run("score", "--weight-variance", "0.8", "--depth", "64", "--width", "256", "--json"))
    assert values["verdict"] == "untrainable"
    assert values["phase"] == "ordered"
    assert "depth 64 >" in values["reason"]
    assert "depth <=" in values["suggestion"]
    assert "untrainable" in run("score", "--weight-variance", "0.8", "--depth", "64", "--width", "256")


def test_score_uses_a_task_summary_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    Task.equicorrelated(50, 0.1).save(path)
    values = json.loads(run("score", "--weight-variance", "1.2", "--depth", "5", "--task", str(path), "--json"))
    assert values["kappa"] > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "--weight-variance", "-1", "--depth", "3"], "weight_variance: expected a value in"),
        (["score", "--weight-variance", "1", "--depth", "0"], "depth: expected an integer in"),
        (["preview", "no-such-file.yaml"], "no-such-file.yaml"),
        (["tune", "--data", "cifar10", "--data-dir", "no-such-folder"], "no-such-folder: expected data_batch_1.bin"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what_was_expected(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ntk-prior", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_preview_tells_the_refused_share_of_each_range(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(
        "weight_variance: {type: float, low: 0.5, high: 4.0}\nbias_variance: 0.05\n"
        "depth: {type: int, low: 1, high: 64, log: true}\nactivation: {type: categorical, choices: [erf, relu, mish]}\n"
    )
    report = json.loads(run("preview", space, "--width", "128", "--json"))
    assert sum(report["verdicts"].values()) == pytest.approx(1.0)
    assert report["verdicts"]["outside_theory"] == pytest.approx(1 / 3, abs=0.03)
    depths = list(report["refused_by_parameter"]["depth"].values())
    assert depths[-1] > depths[0]
    assert report["refused_by_parameter"]["activation"]["mish"] == 0.0


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "{weight_variance: 0.6, bias_variance: 0.05, depth: {type: int, low: 55, high: 64}}",
            "would be refused: the space hardly",
        ),
        ("{weight_variance: 1.4, bias_variance: 0.05, depth: {type: int, low: 2, high: 4}}", "little to do"),
    ],
)
def test_preview_warns_of_hopeless_and_of_harmless_spaces(tmp_path: Path, text: str, warning: str) -> None:
    space = tmp_path / "space.json"
    space.write_text(text)
    assert warning in run("preview", space, "--width", "512").replace("\n", " ")


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "depth: {type: int, low: 5, high: 1}", "depth: {type: string}", "a: {b"]
)
def test_preview_refuses_what_is_no_search_space(tmp_path: Path, text: str) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(text)
    with pytest.raises(ValueError, match=r"space\.yaml"):
        run("preview", space)


def test_tune_launches_trains_and_reports(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    printed = run("tune", *SMALL, "--output", report)
    assert "refused before launch" in printed
    found = json.loads(report.read_text())
    assert found["launched"] == len(found["trials"]) == 3
    assert found["best_test_accuracy"] == max(trial["result"]["best_test_accuracy"] for trial in found["trials"])
    assert found["launched_flops"] > 0
    assert all(trial["prior"]["verdict"] for trial in found["trials"])


def test_tune_without_the_prior_refuses_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run("tune", *SMALL, "--base", "random", "--no-prior", "--output", report)
    found = json.loads(report.read_text())
    assert found["refused"] == {}
    assert [trial["prior"] for trial in found["trials"]] == [None] * 3


def test_tune_stopped_by_ctrl_c_keeps_what_is_done_and_resumes(tmp_path: Path) -> None:
    report, storage = tmp_path / "report.json", f"sqlite:///{tmp_path / 'study.db'}"
    options = [*SMALL, "--storage", storage, "--output", str(report)]
    command = [sys.executable, "-c", "from ntk_prior_cli import main; main()", "tune", *options, "--trials", "200"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        deadline = time.monotonic() + 240
        while completed(storage) < 1 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
    stopped = json.loads(report.read_text())
    assert stopped["launched"] == completed(storage) >= 1
    more = stopped["launched"] + 1
    run("tune", *options, "--resume", "--trials", more)
    resumed = json.loads(report.read_text())
    assert resumed["launched"] == more
    assert {trial["number"] for trial in stopped["trials"]} < {trial["number"] for trial in resumed["trials"]}


def completed(storage: str) -> int:
    try:
        study = optuna.load_study(study_name="ntk-prior", storage=storage)
    except KeyError:
        return 0
    return len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))
