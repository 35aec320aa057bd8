"""What a wrong prior costs, and what a right one gains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from tests.support.optuna_studies import SPACE, notes, sphere
from tests.support.priors import Judged, judged

N_TRIALS = 150


def loss(config: Mapping[str, Any]) -> float:
    return float(config["x"] ** 2 + config["y"] ** 2)


def knows(config: Mapping[str, Any]) -> Judged:
    """Refuses the half of the square that is worse."""
    return judged(float(np.exp(-loss(config) * 1.9)))


def is_adversarial(config: Mapping[str, Any]) -> Judged:
    """Refuses exactly the better half."""
    return judged(0.9 if loss(config) > 0.63 else loss(config) / 3)


def refuses_all_and_prefers_the_worst(config: Mapping[str, Any]) -> Judged:
    return judged(loss(config) / 8)


WRONG = [is_adversarial, refuses_all_and_prefers_the_worst]


def run(prior: Callable[..., Judged], base: BaseSampler, seed: int, **options: Any) -> optuna.Study:
    study = optuna.create_study(sampler=NTKPriorSampler(prior, base, search_space=SPACE, seed=seed, **options))
    study.optimize(sphere, n_trials=N_TRIALS)
    return study


def steered(study: optuna.Study) -> list[bool]:
    return [note["drawn"] != "plain" for note in notes(study)]


@pytest.mark.parametrize("prior", WRONG)
def test_an_adversarial_prior_is_soon_ignored(prior: Callable[..., Judged]) -> None:
    found = [steered(run(prior, RandomSampler(), seed)) for seed in range(5)]
    assert all(any(one[:10]) for one in found)
    assert np.mean([one[N_TRIALS // 2 :] for one in found]) < 0.15


@pytest.mark.parametrize("prior", WRONG)
def test_an_adversarial_prior_costs_few_trials(prior: Callable[..., Judged]) -> None:
    """3 / (epsilon r) trials, r being the share of draws that it refuses: 60 and 30 here."""
    cost = np.mean([sum(steered(run(prior, RandomSampler(), seed))) for seed in range(8)])
    assert cost < {is_adversarial: 60, refuses_all_and_prefers_the_worst: 30}[prior]


def test_with_an_adversarial_prior_the_best_trial_is_nearly_as_good_as_without() -> None:
    def best(sampler: Callable[[int], BaseSampler]) -> float:
        found = []
        for seed in range(5):
            study = optuna.create_study(sampler=sampler(seed))
            study.optimize(sphere, n_trials=N_TRIALS)
            found.append(study.best_value)
        return float(np.median(found))

    wrong = best(lambda seed: NTKPriorSampler(is_adversarial, TPESampler(), search_space=SPACE, seed=seed))
    assert wrong < 0.01
    assert wrong < 100 * best(lambda seed: TPESampler(seed=seed))


def test_however_wrong_the_prior_the_audited_trials_are_the_base_samplers() -> None:
    study = run(is_adversarial, RandomSampler(), seed=1, epsilon=0.2)
    audited = [trial for trial in study.trials if study.sampler.screen.audits(trial.number)]
    assert len(audited) == pytest.approx(0.2 * N_TRIALS, abs=3 * np.sqrt(0.16 * N_TRIALS))
    assert np.mean([loss(trial.params) < 0.63 for trial in audited]) == pytest.approx(0.5, abs=0.3)


def test_a_right_prior_keeps_its_trust() -> None:
    found = [steered(run(knows, RandomSampler(), seed)) for seed in range(5)]
    assert np.mean(found) > 0.85


def test_evidence_is_in_the_storage_so_another_sampler_starts_with_it() -> None:
    study = run(refuses_all_and_prefers_the_worst, RandomSampler(), seed=0)
    study.sampler = NTKPriorSampler(refuses_all_and_prefers_the_worst, RandomSampler(), search_space=SPACE, epsilon=0.0)
    study.optimize(sphere, n_trials=20)
    assert sum(steered(study)[-20:]) <= 2


def test_the_user_s_enqueued_trials_and_foreign_attributes_are_no_evidence() -> None:
    sampler = NTKPriorSampler(is_adversarial, RandomSampler(), search_space=SPACE, epsilon=0.0)
    study = optuna.create_study(sampler=sampler)
    for _ in range(10):
        study.enqueue_trial({"x": 0.0, "y": 0.0})
    study.add_trial(
        optuna.create_trial(
            params={"x": 0.0}, distributions={"x": SPACE["x"]}, value=0, user_attrs={"ntk_prior": "mine"}
        )
    )
    study.optimize(sphere, n_trials=60)
    assert all(steered(study)[11:] if len(study.trials) == 71 else [note != "plain" for note in ()])


def test_the_direction_of_the_study_counts() -> None:
    """Maximised, the sphere's best points are the ones that the 'adversarial' prior accepts."""
    sampler = NTKPriorSampler(is_adversarial, RandomSampler(), search_space=SPACE, seed=0)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.optimize(sphere, n_trials=N_TRIALS)
    assert np.mean(steered(study)) > 0.85


def test_several_objectives_are_evidence_too() -> None:
    sampler = NTKPriorSampler(is_adversarial, RandomSampler(), search_space=SPACE, seed=0)
    study = optuna.create_study(sampler=sampler, directions=["minimize", "maximize"])
    study.optimize(lambda trial: (sphere(trial), -abs(trial.params["x"])), n_trials=N_TRIALS)
    assert np.mean(steered(study)[N_TRIALS // 2 :]) < 0.2


def test_trials_that_the_prior_would_have_refused_and_that_failed_speak_for_it() -> None:
    def fails_where_refused(trial: optuna.Trial) -> float:
        value = sphere(trial)
        if is_adversarial(trial.params).score < 0.3:  # type: ignore[operator]
            raise RuntimeError("diverged")
        return value

    sampler = NTKPriorSampler(is_adversarial, RandomSampler(), search_space=SPACE, seed=0, epsilon=0.3)
    study = optuna.create_study(sampler=sampler)
    study.optimize(fails_where_refused, n_trials=100, catch=RuntimeError)
    audited = [sampler.screen.audits(number) for number in range(100)]
    assert steered(study) == [not audit for audit in audited]
    assert any(trial.state == TrialState.FAIL for trial in study.trials)


def is_half_right(config: Mapping[str, Any]) -> Judged:
    """Right about large x, wrong about small y, each with a verdict of its own."""
    if abs(config["x"]) > 0.7:
        return Judged(0.1, "untrainable")
    return Judged(0.2, "memorizes_only") if abs(config["y"]) < 0.4 else Judged(0.9)


def test_a_verdict_that_audits_contradict_is_withdrawn_alone_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = NTKPriorSampler(is_half_right, RandomSampler(), search_space=SPACE, seed=0, epsilon=0.2)
        study = optuna.create_study(sampler=sampler)
        study.optimize(sphere, n_trials=120)
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    late = [note for note in notes(study)[60:] if note["drawn"] == "screened"]
    assert {note["verdict"] for note in late} == {"feasible", "memorizes_only"}
    assert "the verdict memorizes_only is withdrawn: after " in caplog.text
    assert "untrainable" not in caplog.text


def test_the_gate_lets_a_withdrawn_verdict_pass() -> None:
    sampler = NTKPriorSampler(is_half_right, RandomSampler(), search_space=SPACE, seed=0, epsilon=0.2)
    study = optuna.create_study(sampler=sampler)

    def gated(trial: optuna.Trial) -> float:
        value = sphere(trial)
        prune_if_infeasible(trial, is_half_right)
        return value

    study.optimize(gated, n_trials=120)
    late = [trial for trial in study.trials[60:] if trial.user_attrs["ntk_prior"]["drawn"] == "screened"]
    assert any(trial.user_attrs["ntk_prior"]["verdict"] == "memorizes_only" for trial in late)
    assert all(trial.state == TrialState.COMPLETE for trial in late)
