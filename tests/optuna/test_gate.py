"""The gate inside the objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import GridSampler, NSGAIISampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import FixedTrial, TrialState

from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from tests.support.optuna_studies import SPACE, notes, sphere
from tests.support.priors import Judged, is_silent, judged, likes_large_x, likes_small_x, refuses_everything

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

has_constraints = hasattr(optuna.Trial, "set_constraint")
needs_constraints = pytest.mark.skipif(not has_constraints, reason="Optuna 4 has no Trial.set_constraint")


def gated(prior: Callable[..., Judged], launched: list[int], **options: Any) -> Callable[[optuna.Trial], float]:
    """An objective that notes the trials whose training starts."""

    def objective(trial: optuna.Trial) -> float:
        value = sphere(trial)
        prune_if_infeasible(trial, prior, **options)
        launched.append(trial.number)
        return value

    return objective


def indifferent(objective: Callable[[optuna.Trial], float]) -> Callable[[optuna.Trial], float]:
    """An objective whose values speak neither for a prior nor against it."""
    return lambda trial: 0.0 * objective(trial)


def test_it_prunes_what_the_prior_refuses_and_says_why() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    launched: list[int] = []
    study.optimize(gated(likes_small_x, launched, epsilon=0.0), n_trials=40)
    for trial, note in zip(study.trials, notes(study), strict=True):
        refused = abs(trial.params["x"]) > 0.7
        assert trial.state == (TrialState.PRUNED if refused else TrialState.COMPLETE)
        assert note["refused"] is refused
        assert note["reason"] == f"score {1 - abs(trial.params['x']):.3f}"
    assert launched == [trial.number for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert 0 < len(launched) < 40


def test_the_exception_carries_verdict_and_reason_and_otherwise_the_judgement_is_returned() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.25, "y": 0.0})
    trial = study.ask(SPACE)
    assert prune_if_infeasible(trial, likes_small_x) == judged(0.75)
    trial = study.ask({"x": FloatDistribution(0.95, 0.95)})
    with pytest.raises(optuna.TrialPruned, match=r"refused by the prior \(untrainable\): score 0.050"):
        prune_if_infeasible(trial, likes_small_x, epsilon=0.0)


def test_a_grid_is_gated() -> None:
    grid = {"x": [-0.9, 0.0, 0.9], "y": [0.0, 0.5]}
    sampler = NTKPriorSampler(likes_small_x, GridSampler(grid, seed=0), epsilon=0.0)
    study = optuna.create_study(sampler=sampler)
    launched: list[int] = []
    study.optimize(gated(likes_small_x, launched), n_trials=20)
    assert len(study.trials) == 6
    assert sorted((study.trials[n].params["x"], study.trials[n].params["y"]) for n in launched) == [(0, 0), (0, 0.5)]


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_audit_trial_of_the_sampler_is_never_pruned(wrapped: bool) -> None:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=0), search_space=SPACE, epsilon=0.3, seed=9)
    outer = PartialFixedSampler({}, sampler) if wrapped else sampler
    study = optuna.create_study(sampler=outer)
    launched: list[int] = []
    study.optimize(indifferent(gated(refuses_everything, launched)), n_trials=60)
    # The gate knows more than the sampler here: it refuses all that it may.
    assert launched == [number for number in range(60) if sampler.screen.audits(number)]
    assert len(launched) > 5


def test_without_the_sampler_it_tosses_the_same_coin() -> None:
    coin = NTKPriorSampler(likes_small_x, epsilon=0.25, seed=4).screen
    study = optuna.create_study(sampler=RandomSampler())
    launched: list[int] = []
    study.optimize(indifferent(gated(refuses_everything, launched, epsilon=0.25, seed=4)), n_trials=60)
    assert launched == [number for number in range(60) if coin.audits(number)]
    assert all(note["drawn"] == ("plain" if n in launched else "screened") for n, note in enumerate(notes(study)))


def test_enqueued_and_fixed_trials_are_never_pruned() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 1.0})
    trial = study.ask(SPACE)
    assert prune_if_infeasible(trial, likes_small_x, epsilon=0.0).score == 0.0
    assert prune_if_infeasible(FixedTrial({"x": 1.0}), likes_small_x, {"x": 1.0}).score == 0.0


class Wrapper:
    """A trial that hides another one, as ``TorchDistributedTrial`` does: public names, and no study."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._delegate = trial
        self.number, self.params = trial.number, dict(trial.params)

    def suggest_float(self, name: str, low: float, high: float) -> float:
        self.params[name] = self._delegate.suggest_float(name, low, high)
        return float(self.params[name])

    def set_user_attr(self, key: str, value: Any) -> None:
        self._delegate.set_user_attr(key, value)


@pytest.mark.parametrize("constraint", [False, True])
def test_a_trial_that_no_study_runs_is_judged_and_never_pruned(constraint: bool) -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.enqueue_trial({"x": 1.0, "y": 0.0})

    def objective(trial: Any) -> float:
        value = sphere(trial)
        assert prune_if_infeasible(trial, likes_small_x, epsilon=0.0, constraint=constraint).score == 0.0
        return value

    if not constraint or has_constraints:
        study.optimize(objective, n_trials=1)
    else:
        study.optimize(sphere, n_trials=1)
    assert objective(study.best_trial) == objective(FixedTrial({"x": 1.0, "y": 0.0})) == study.best_value
    study.sampler = PartialFixedSampler({"x": 1.0, "y": 0.0}, RandomSampler())
    wrapped = study.ask()
    assert objective(Wrapper(wrapped)) == study.best_value
    assert "ntk_prior" not in wrapped.user_attrs


def test_what_the_sampler_could_not_ask_about_is_audited_or_gated() -> None:
    """The prior needs z, which the objective derives: for the sampler it is silent, for the gate it is not."""

    def prior(config: Mapping[str, Any]) -> Judged:
        return likes_small_x({"x": config["z"]}) if "z" in config else is_silent(config)

    sampler = NTKPriorSampler(prior, RandomSampler(seed=0), search_space=SPACE, epsilon=0.2, seed=1)
    study = optuna.create_study(sampler=sampler)
    launched: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        value = sphere(trial)
        prune_if_infeasible(trial, prior, {"z": trial.params["x"]})
        launched.append(trial.number)
        return 0.0 * value

    study.optimize(objective, n_trials=60)
    audited = [number for number in range(60) if sampler.screen.audits(number)]
    assert launched == sorted({*audited, *(t.number for t in study.trials if abs(t.params["x"]) <= 0.7)})
    assert [n for n, note in enumerate(notes(study)) if note["drawn"] == "plain"] == audited


def test_what_nobody_can_judge_is_no_audit() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.optimize(gated(is_silent, []), n_trials=20)
    assert {note["drawn"] for note in notes(study)} == {"unjudged"}


def test_a_silent_prior_prunes_nothing() -> None:
    study = optuna.create_study(sampler=RandomSampler())
    launched: list[int] = []
    study.optimize(gated(is_silent, launched, epsilon=0.0, threshold=1.0), n_trials=10)
    assert launched == list(range(10))


def test_it_judges_what_only_the_objective_knows() -> None:
    def objective(trial: optuna.Trial) -> float:
        width = trial.suggest_int("log_width", 1, 8)
        prune_if_infeasible(trial, prior, {"width": 2**width}, epsilon=0.0)
        return float(width)

    def prior(config: Mapping[str, Any]) -> Judged:
        return judged(0.9 if config["width"] >= 32 else 0.1)

    study = optuna.create_study(sampler=RandomSampler(seed=3))
    study.optimize(objective, n_trials=30)
    completed = {trial.params["log_width"] for trial in study.trials if trial.state == TrialState.COMPLETE}
    assert min(completed) == 5


@pytest.mark.parametrize("constraint", [False, pytest.param(True, marks=needs_constraints)])
def test_refused_trials_never_ran_so_they_do_not_speak_against_the_prior(constraint: bool) -> None:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=5), epsilon=0.2, seed=1)
    study = optuna.create_study(sampler=sampler)
    # Nothing but the gate screens here: each trial's parameters differ from those before.
    launched: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1 - 1e-6 * trial.number, 1)
        prune_if_infeasible(trial, likes_small_x, constraint=constraint)
        launched.append(trial.number)
        return x**2

    study.optimize(objective, n_trials=100)
    accepted = [trial.number for trial in study.trials if abs(trial.params["x"]) <= 0.7]
    audited = [number for number in range(100) if sampler.screen.audits(number)]
    assert launched == sorted({*accepted, *audited})


def test_a_wrong_prior_is_soon_overruled() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=5))
    study.optimize(gated(likes_large_x, [], epsilon=0.2), n_trials=200)
    refused = [note["refused"] for note in notes(study)]
    assert any(refused[:20])
    assert sum(refused[100:]) <= 10


@needs_constraints
def test_a_graded_constraint_is_set_once_and_only_if_asked_for() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=2))
    study.optimize(gated(likes_small_x, []), n_trials=5)
    assert all(trial.constraints == {} for trial in study.trials)

    study = optuna.create_study(sampler=RandomSampler(seed=2))
    study.optimize(gated(likes_small_x, [], epsilon=0.3, constraint=True), n_trials=60)
    kinds = set()
    for trial, note in zip(study.trials, notes(study), strict=True):
        graded = 0.3 - note["score"]
        if trial.state == TrialState.PRUNED:
            assert trial.constraints == {"ntk_prior": graded}
            assert graded > 0
        else:
            assert trial.constraints == {"ntk_prior": min(graded, 0.0)}
        kinds.add((trial.state, graded > 0))
    # Also an audit trial that the prior was against, which must stay eligible as the best one.
    assert kinds == {(TrialState.PRUNED, True), (TrialState.COMPLETE, True), (TrialState.COMPLETE, False)}


@needs_constraints
def test_a_wrong_prior_never_hides_the_best_trial() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=2))
    study.optimize(gated(likes_large_x, [], epsilon=0.3, constraint=True), n_trials=60)
    completed = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert study.best_value == min(trial.value for trial in completed)
    assert abs(study.best_params["x"]) < 0.7


@needs_constraints
def test_tpe_learns_from_the_graded_constraint_before_any_trial_has_completed() -> None:
    def prefers_large_x(config: Mapping[str, Any]) -> Judged:
        return judged(0.29 * abs(config["x"]))

    def where_it_looks(**options: Any) -> float:
        found = []
        for seed in range(3):
            study = optuna.create_study(sampler=TPESampler(seed=seed))
            study.optimize(gated(prefers_large_x, [], epsilon=0.0, **options), n_trials=50)
            assert all(trial.state == TrialState.PRUNED for trial in study.trials)
            found += [abs(trial.params["x"]) for trial in study.trials[20:]]
        return float(np.mean(found))

    assert where_it_looks(constraint=True) > where_it_looks() + 0.1


@needs_constraints
@pytest.mark.parametrize("screened", [False, True])
def test_three_writes_a_trial_at_most(screened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    base = RandomSampler(seed=0)
    # The gate's prior is not the sampler's: it has reason to correct every note.
    sampler = NTKPriorSampler(likes_small_x, base, epsilon=0.1, search_space=SPACE) if screened else base
    study = optuna.create_study(sampler=sampler)
    writes = []
    for name in ("set_trial_user_attr", "set_trial_system_attr"):
        original = getattr(study._storage, name)

        def write(trial_id: int, key: str, value: Any, original: Any = original) -> None:
            writes.append(trial_id)
            original(trial_id, key, value)

        monkeypatch.setattr(study._storage, name, write)
    for constraint in (True, False):
        study.optimize(gated(likes_large_x, [], constraint=constraint), n_trials=30)
    # The sampler's note and the draws that it refused, and then a better note or the constraint.
    assert max(writes.count(trial._trial_id) for trial in study.trials) == (3 if screened else 2)


@needs_constraints
@pytest.mark.parametrize("base", [NSGAIISampler(population_size=4), TPESampler(n_startup_trials=3)])
def test_sampler_gate_and_constraint_together(base: optuna.samplers.BaseSampler) -> None:
    sampler = NTKPriorSampler(likes_small_x, base, epsilon=0.2, search_space=SPACE)
    study = optuna.create_study(sampler=sampler, directions=["minimize", "minimize"])

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        value = sphere(trial)
        prune_if_infeasible(trial, likes_small_x, constraint=True)
        return value, (trial.params["x"] - 1) ** 2

    study.optimize(objective, n_trials=30)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert study.best_trials


@pytest.mark.skipif(has_constraints, reason="Optuna 5 has Trial.set_constraint")
def test_without_constraints_in_optuna_asking_for_one_is_a_clear_error() -> None:
    trial = optuna.create_study().ask(SPACE)
    with pytest.raises(RuntimeError, match=r"expected Optuna 5 or newer, .* received 4.* upgrade Optuna"):
        prune_if_infeasible(trial, likes_small_x, constraint=True)
