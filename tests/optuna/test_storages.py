"""Studies that several processes share, and that outlive them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.support import ROOT, command_of
from tests.support.optuna_studies import sphere
from tests.support.optuna_worker import sampler, storage_of

N_WORKERS, N_TRIALS = 4, 12


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    if request.param == "journal":
        return str(tmp_path / "study.log")
    return str(request.getfixturevalue("postgres_url"))


def start(address: str, *arguments: object) -> subprocess.Popen[str]:
    command = command_of("optuna_worker", address, "shared", *arguments)
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_four_workers_one_of_them_killed_lose_and_repeat_nothing(address: str, tmp_path: Path) -> None:
    optuna.create_study(study_name="shared", storage=storage_of(address))
    victim = start(address, N_TRIALS, tmp_path)
    others = [start(address, N_TRIALS) for _ in range(N_WORKERS - 1)]
    number = tmp_path / "number"
    deadline = time.monotonic() + 120
    while not (number.exists() and number.read_text()):
        assert victim.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    for worker in others:
        worker.communicate(timeout=240)
        assert worker.returncode == 0

    study = optuna.load_study(study_name="shared", storage=storage_of(address), sampler=sampler())
    trials = study.get_trials()
    # The victim finished two trials and left the third one running; the others finished all of theirs.
    assert len(trials) == (N_WORKERS - 1) * N_TRIALS + 3
    assert [trial.number for trial in trials] == list(range(len(trials)))
    (left,) = (trial for trial in trials if trial.state != TrialState.COMPLETE)
    assert (left.number, left.state) == (int(number.read_text()), TrialState.RUNNING)
    assert len({(trial.params["x"], trial.params["y"]) for trial in trials}) == len(trials)
    screen = study.sampler.screen
    for trial in trials:
        note = trial.user_attrs["ntk_prior"]
        assert note["score"] == 1 - abs(trial.params["x"])
        if note["drawn"] != "plain":
            assert note["score"] >= screen.threshold
        if screen.audits(trial.number):
            assert note["drawn"] == "plain"

    # The trial that nobody will finish does not stand in the way of a later worker.
    study.optimize(sphere, n_trials=2)
    assert len(study.trials) == len(trials) + 2


def test_another_process_repeats_a_study_and_others_continue_it(tmp_path: Path) -> None:
    found = []
    for name, parts in (("whole", [20]), ("parts", [7, 1, 12])):
        address = f"sqlite:///{tmp_path / name}.db"
        optuna.create_study(study_name="shared", storage=address)
        for n_trials in parts:
            output, _ = start(address, n_trials).communicate(timeout=120)
        found.append(json.loads(output))
    study = optuna.create_study(sampler=sampler())
    study.optimize(
        lambda trial: trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_float("y", -1, 1) ** 2, n_trials=20
    )
    here = [trial.params for trial in study.trials]
    assert found == [here, here]


def test_the_note_can_be_read_while_the_trial_runs(address: str) -> None:
    study = optuna.create_study(study_name="shared", storage=storage_of(address), sampler=sampler())
    trial = study.ask()
    x = trial.suggest_float("x", -1, 1)
    elsewhere = optuna.load_study(study_name="shared", storage=storage_of(address)).trials[0]
    assert elsewhere.state == TrialState.RUNNING
    assert elsewhere.user_attrs["ntk_prior"]["score"] == trial.user_attrs["ntk_prior"]["score"] == 1 - abs(x)
