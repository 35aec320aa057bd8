"""``ntk-prior tune --engine ray``: the same trainings and the same report, launched by Ray Tune."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ntk_prior_cli import main

TRIALS, STEPS = 8, 400


def ended(results: Path) -> bool:
    """Whether the trial with these results has told its last one."""
    return '"done": true' in results.read_text()


@pytest.mark.xdist_group("ray")
@pytest.mark.usefixtures("compiled_quickly")
def test_tune_launches_and_reports_with_ray_is_stopped_by_ctrl_c_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report, experiment = tmp_path / "report.json", tmp_path / "ray" / "ntk-prior"
    budget = ["--trials", str(TRIALS), "--steps", str(STEPS), "--width", "64", "--n-train", "128", "--base", "random"]
    place = ["--storage-path", str(tmp_path / "ray"), "--output", str(report)]
    options = ["tune", "--engine", "ray", *budget, *place]
    command = [sys.executable, "-c", "from ntk_prior_cli import main; main()", *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while not any(ended(trial) for trial in experiment.glob("*/result.json")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
    stopped = json.loads(report.read_text())
    assert 0 < stopped["launched"] == len(stopped["trials"]) < TRIALS

    monkeypatch.setattr(sys, "argv", ["ntk-prior", *options])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "study: expected a new name, received 'ntk-prior'" in capsys.readouterr().err.replace("\n", " ")

    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=300, check=False)
    assert resumed.returncode == 0, resumed.stderr
    found = json.loads(report.read_text())
    results = [trial["result"] for trial in found["trials"]]
    assert found["launched"] == len(results) == TRIALS
    # Ray gives the trials of a restored experiment in another order.
    assert all(trial["result"] in results for trial in stopped["trials"])
    assert found["best_test_accuracy"] == max(result["best_test_accuracy"] for result in results)
    assert all(0 < result["steps"] <= STEPS for result in results)
    # ASHA stops trials that fall behind.
    early = [result for result in results if result["steps"] < STEPS and not result["diverged"]]
    assert found["stopped_early"] == len(early)
    assert all(trial["prior"]["verdict"] for trial in found["trials"])
    lines = (experiment / "ntk_rejections.jsonl").read_text().splitlines()
    assert sum(found["refused"].values()) == len(lines) > 0
    page = (tmp_path / "report.html").read_text()
    assert f"{len(lines)}</b><span>draws refused before launch, in ntk_rejections.jsonl" in page
    assert "that it trains</th>" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "ray", "--storage", "sqlite:///a.db"], "--storage: expected none with --engine ray"),
        (["--address", "auto"], "--address: expected none with --engine optuna, received 'auto'"),
        (["--gpus-per-trial", "1"], "--gpus-per-trial: expected none with --engine optuna"),
        (["--storage-path", "here"], "--storage-path: expected none with --engine optuna"),
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
