"""Trials of ``ntk-prior tune`` whose process was killed: the next run lets them fail, and no other ones."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner

from ntk_prior_cli.application import app
from ntk_prior_cli.optuna_storage import GRACE, fail_abandoned, open_tuned_storage
from ntk_prior_cli.owners import ATTRIBUTE, has_ended, this_process

SMALL = ["--steps", "20", "--width", "16", "--n-train", "64"]

LEFT_RUNNING = """
import sys, time
import optuna
from ntk_prior_cli.optuna_storage import open_tuned_storage
study = optuna.create_study(study_name="mine", storage=open_tuned_storage(sys.argv[1]), load_if_exists=True)

def objective(trial):
    trial.suggest_float("x", 0.0, 1.0)
    if trial.number % 2:
        print("running", flush=True)
        time.sleep(600)
    return 0.0

study.optimize(objective)
"""


@contextmanager
def worker(storage: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has finished a trial and is in the middle of another."""
    command = [sys.executable, "-c", LEFT_RUNNING, storage]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["database", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "database":
        return f"sqlite:///{tmp_path / 'study.db'}"
    (tmp_path / "study.log").touch()
    return str(tmp_path / "study.log")


def loaded(storage: str, name: str = "mine") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=open_tuned_storage(storage))


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def test_trials_of_a_killed_process_fail_and_those_of_a_living_one_go_on(storage: str) -> None:
    with worker(storage) as process:
        assert fail_abandoned(loaded(storage)) == (0, 1)
        process.send_signal(signal.SIGSTOP)
        assert fail_abandoned(loaded(storage)) == (0, 1), "what is stopped may go on"
        process.kill()
        process.wait()
        assert states(loaded(storage)) == [TrialState.COMPLETE, TrialState.RUNNING]
        assert fail_abandoned(loaded(storage)) == (1, 0)
    study = loaded(storage)
    assert states(study) == [TrialState.COMPLETE, TrialState.FAIL]
    assert study.trials[0].value == 0.0
    assert fail_abandoned(study) == (0, 0)


def test_a_process_that_its_parent_has_not_missed_yet_has_ended_too(storage: str) -> None:
    with worker(storage) as process:
        process.kill()
        while not has_ended(loaded(storage).trials[1].system_attrs[ATTRIBUTE]):
            time.sleep(0.05)
        assert fail_abandoned(loaded(storage)) == (1, 0)


def test_a_trial_names_its_process_from_the_moment_that_it_is_there(storage: str) -> None:
    opened = open_tuned_storage(storage)
    opened.create_new_trial(opened.create_new_study([optuna.study.StudyDirection.MINIMIZE], "mine"))
    (trial,) = loaded(storage).trials
    assert trial.state == TrialState.RUNNING
    assert trial.system_attrs == {ATTRIBUTE: list(this_process() or ())}


def test_a_number_that_another_process_has_now_is_not_taken_for_the_first(tmp_path: Path) -> None:
    here = this_process()
    assert here is not None
    assert not has_ended(list(here))
    assert has_ended(list(here._replace(since="1")))
    assert has_ended(list(here._replace(number=2**22 + 1)))
    assert not has_ended(list(here._replace(machine="another", since="1"))), "of other machines nothing is known"


@pytest.mark.parametrize("owner", [None, "me", [], [1, 2], {"machine": 3}, ["", 10**30, ""], [None, None, None]])
def test_what_says_nothing_of_a_process_ends_no_trial(storage: str, owner: object) -> None:
    study = optuna.create_study(study_name="mine", storage=storage if "://" in storage else open_tuned_storage(storage))
    attributes = {} if owner is None else {ATTRIBUTE: owner}
    study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs=attributes))
    assert fail_abandoned(loaded(storage)) == (0, 1)


def signs_of_life(file: Path) -> int:
    with sqlite3.connect(file) as database:
        return int(database.execute("SELECT COUNT(*) FROM trial_heartbeats").fetchone()[0])


def test_a_trial_of_another_machine_fails_after_a_time_without_a_sign_of_life(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    with worker(f"sqlite:///{file}") as process:
        deadline = time.monotonic() + 30
        while not signs_of_life(file) and time.monotonic() < deadline:  # a thread of its own gives the first one
            time.sleep(0.05)
        process.kill()
        process.wait()
    with sqlite3.connect(file) as database:
        owner = json.dumps(["another machine", 1, "1"])
        database.execute("UPDATE trial_system_attributes SET value_json = ?", (owner,))
    assert fail_abandoned(loaded(f"sqlite:///{file}")) == (0, 1)
    with sqlite3.connect(file) as database:
        database.execute(f"UPDATE trial_heartbeats SET heartbeat = datetime('now', '-{GRACE + 60} seconds')")
    assert fail_abandoned(loaded(f"sqlite:///{file}")) == (1, 0)


def test_several_that_resume_at_once_do_not_trip_over_each_other(storage: str) -> None:
    with worker(storage) as process:
        process.kill()
        process.wait()
    code = """
import sys, optuna
from ntk_prior_cli.optuna_storage import fail_abandoned, open_tuned_storage
fail_abandoned(optuna.load_study(study_name="mine", storage=open_tuned_storage(sys.argv[1])))
"""
    resuming = [subprocess.Popen([sys.executable, "-c", code, storage]) for _ in range(3)]
    assert [process.wait() for process in resuming] == [0, 0, 0]
    assert states(loaded(storage)) == [TrialState.COMPLETE, TrialState.FAIL]


def stopped_in_a_trial(process: subprocess.Popen[bytes], storage: str, earlier: int) -> None:
    """Stop the process where it has finished a trial or more, after the earlier ones, and is running another."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.3)
        process.send_signal(signal.SIGSTOP)
        try:
            found = states(optuna.load_study(study_name="ntk-prior", storage=storage))[earlier:]
        except (KeyError, SQLAlchemyError, optuna.exceptions.StorageInternalError):
            found = []  # there is none yet, or the process was stopped while it was writing
        if TrialState.COMPLETE in found and TrialState.RUNNING in found:
            return
        process.send_signal(signal.SIGCONT)
    pytest.fail("no trial was finished")


@pytest.mark.usefixtures("compiled_quickly")
def test_tune_that_is_killed_twice_resumes_without_a_trial_that_runs_for_good(tmp_path: Path) -> None:
    report, storage = tmp_path / "report.json", f"sqlite:///{tmp_path / 'study.db'}"
    options = [*SMALL, "--storage", storage, "--output", str(report), "--base", "random"]
    command = [sys.executable, "-c", "from ntk_prior_cli import main; main()", "tune", *options, "--trials", "200"]
    earlier = 0
    for resumed in ([], ["--resume"]):
        with subprocess.Popen([*command, *resumed], stderr=subprocess.DEVNULL) as process:
            try:
                stopped_in_a_trial(process, storage, earlier)
            finally:
                process.kill()
        before = optuna.load_study(study_name="ntk-prior", storage=storage)
        earlier = len(before.trials)
    finished = [trial for trial in before.trials if trial.state == TrialState.COMPLETE]
    assert states(before).count(TrialState.RUNNING) == 1
    assert states(before).count(TrialState.FAIL) == 1, "the first one's, which the second run let fail"

    more = len(finished) + 1
    result = CliRunner().invoke(app, ["tune", *options, "--resume", "--trials", str(more)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "trials that a killed run had left, which count as failed now: 1" in result.output
    after = optuna.load_study(study_name="ntk-prior", storage=storage)
    assert TrialState.RUNNING not in states(after)
    assert states(after).count(TrialState.COMPLETE) == more
    assert [after.trials[trial.number] for trial in finished] == finished
    assert json.loads(report.read_text())["launched"] == more
