"""Trials that come with values: retried after a failure, or put into the storage by the user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna import Study, Trial
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from ntk_prior_optuna.history import evidence_of, record_of, refused_before
from tests.support.optuna_studies import SPACE, notes, sphere, study_of
from tests.support.priors import Judged, judged, likes_small_x

pytestmark = pytest.mark.filterwarnings(
    "ignore::optuna.exceptions.ExperimentalWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def retried(study: Study, trial: FrozenTrial) -> None:
    """Optuna's own callback, under its present name or that of Optuna 4.8."""
    storages = optuna.storages
    name = "RetryHeartbeatStaleTrialCallback"
    callback: Any = getattr(storages, name if hasattr(storages, name) else "RetryFailedTrialCallback")
    callback()(study, trial)


def copied(study: Study, trial: FrozenTrial) -> None:
    """A callback of the user's own, which notes nothing of a retry."""
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=trial.user_attrs,
            system_attrs=trial.system_attrs,
        )
    )


def enqueued_again(study: Study, trial: FrozenTrial) -> None:
    study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)


RETRIES = [retried, copied, enqueued_again]


@pytest.fixture(params=[False, True], ids=["memory", "sqlite"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Study:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=0), search_space=SPACE, seed=0)
    return study_of(sampler, storage=f"sqlite:///{tmp_path / 'study.db'}" if request.param else None)


@pytest.mark.parametrize("retry", RETRIES, ids=["optuna", "own", "enqueued"])
def test_what_a_retried_trial_copies_counts_once(retry: Any, study: Study) -> None:
    study.optimize(sphere, n_trials=3)
    refused = sum(len(refused_before(trial)) for trial in study.trials)
    assert refused > 0
    for trial in study.trials:
        retry(study, trial)
        study.optimize(sphere, n_trials=1)
    assert [trial.params for trial in study.trials[3:]] == [trial.params for trial in study.trials[:3]]
    assert sum(len(refused_before(trial)) for trial in study.trials) == refused
    assert [note["drawn"] for note in notes(study)[3:]] == ["enqueued"] * 3
    assert [evidence_of(trial, record_of(trial), study.directions) for trial in study.trials[3:]] == [None] * 3
    assert all(evidence_of(trial, record_of(trial), study.directions) is not None for trial in study.trials[:3])


def test_nor_do_copies_count_before_the_retry_begins_or_where_it_is_killed_too(study: Study) -> None:
    study.optimize(sphere, n_trials=3)
    refused = sum(len(refused_before(trial)) for trial in study.trials)
    retried(study, next(trial for trial in study.trials if refused_before(trial)))
    assert sum(len(refused_before(trial)) for trial in study.trials) == refused
    trial = study.ask()
    study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)  # as for a stale trial
    assert sum(len(refused_before(trial)) for trial in study.trials) == refused
    assert evidence_of(study.trials[-1], record_of(study.trials[-1]), study.directions) is None


def near_diagonal(config: Mapping[str, Any]) -> Judged:
    return judged(1.0 if abs(config["x"] - config["y"]) < 0.2 else 0.0)


@pytest.mark.parametrize("retry", [retried, copied], ids=["optuna", "own"])
def test_what_a_retried_trial_leaves_open_is_drawn_to_suit_what_it_has(retry: Any) -> None:
    study = study_of(
        NTKPriorSampler(near_diagonal, RandomSampler(seed=0), search_space=SPACE, epsilon=0.0, seed=0, max_draws=200)
    )
    for x in (-0.8, 0.1, 0.8):
        distributions = {"x": SPACE["x"]}
        study.add_trial(create_trial(state=TrialState.FAIL, params={"x": x}, distributions=distributions))
        retry(study, study.trials[-1])
        study.optimize(sphere, n_trials=1)
        assert study.trials[-1].params["x"] == x
        assert abs(study.trials[-1].params["y"] - x) < 0.2
    assert {note["drawn"] for note in notes_of(study)} == {"enqueued"}


def notes_of(study: Study) -> list[dict[str, Any]]:
    return [trial.user_attrs["ntk_prior"] for trial in study.trials if trial.state == TrialState.COMPLETE]


def test_what_a_trial_has_already_suggested_is_what_it_is_judged_with() -> None:
    """A parameter with one value is settled before the others are drawn, whatever it was in earlier trials."""

    def objective(trial: Trial) -> float:
        x = 0.5 if trial.number % 2 else -0.5
        return trial.suggest_float("x", x, x) + trial.suggest_float("y", -1, 1)

    study = study_of(NTKPriorSampler(near_diagonal, RandomSampler(seed=0), epsilon=0.0, max_draws=200))
    study.optimize(objective, n_trials=20)
    assert all(abs(trial.params["x"] - trial.params["y"]) < 0.2 for trial in study.trials[1:])


def test_the_gate_never_prunes_a_retried_trial() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.add_trial(create_trial(state=TrialState.FAIL, params={"x": 1.0}, distributions={"x": SPACE["x"]}))
    retried(study, study.trials[0])
    trial = study.ask()
    trial.suggest_float("x", -1, 1)
    assert prune_if_infeasible(trial, likes_small_x, epsilon=0.0).score == 0.0
    assert trial.user_attrs["ntk_prior"]["drawn"] == "enqueued"


def test_finished_trials_of_another_study_remain_evidence() -> None:
    first = study_of(NTKPriorSampler(likes_small_x, RandomSampler(seed=0), search_space=SPACE))
    first.optimize(sphere, n_trials=5)
    second = study_of(NTKPriorSampler(likes_small_x, RandomSampler(seed=0)))
    second.add_trials(first.trials)
    assert all(evidence_of(trial, record_of(trial), second.directions) is not None for trial in second.trials)
    assert second.ask(SPACE).user_attrs["ntk_prior"]["score"] is not None
