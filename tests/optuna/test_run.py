"""A study is read in one pass: each note of the prior is parsed once, whatever is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest

import ntk_prior as ntp
from ntk_prior.decision import Record
from ntk_prior.report import build_page
from ntk_prior_cli.optuna_source import run_of_study
from ntk_prior_optuna import NTKPriorSampler, review
from ntk_prior_optuna.visualization import plot_calibration, plot_feasibility, plot_savings, plot_trust, plotted_trials

PRIOR = ntp.NTKPrior(ntp.Task.equicorrelated(50, 0.1), ntp.Budget(steps=100, width=64))


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    study = optuna.create_study(sampler=NTKPriorSampler(PRIOR, optuna.samplers.RandomSampler(seed=0), seed=0))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("bias_variance", 0.0, 0.1)
        return trial.suggest_float("weight_variance", 0.5, 3.0) + trial.suggest_int("depth", 1, 50)

    study.enqueue_trial({"weight_variance": 1.0, "depth": 3})
    study.optimize(objective, n_trials=20)
    # One that still runs; its parameters are drawn, and noted, with the first of them.
    study.ask().suggest_float("weight_variance", 0.5, 3.0)
    return study


READERS: dict[str, Callable[[optuna.Study], Any]] = {
    "plotted_trials": plotted_trials,
    "plot_feasibility": plot_feasibility,
    "plot_calibration": plot_calibration,
    "plot_savings": plot_savings,
    "plot_trust": plot_trust,
    "review": lambda study: review(study, PRIOR),
    "report": lambda study: build_page(run_of_study(study, None)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_each_note_is_parsed_once(
    read: Callable[[optuna.Study], Any], study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[object] = []
    original = Record.from_json
    monkeypatch.setattr(Record, "from_json", lambda note: parsed.append(note) or original(note))  # type: ignore[func-returns-value]
    read(study)
    assert len(parsed) == len(study.trials) == 21


def test_unfinished_trials_are_in_the_run_and_not_in_a_review(study: optuna.Study) -> None:
    waiting = study.trials[-1]
    assert not waiting.state.is_finished()
    with_params = [trial for trial in study.trials if trial.params]
    assert sum(trial.launched for trial in plotted_trials(study)) == len(with_params)
    assert len(review(study, PRIOR).trials) == 20
