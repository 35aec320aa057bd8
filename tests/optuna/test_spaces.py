"""Which parameters a draw is made of, and by which of them it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import (
    BaseSampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)

from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_optuna.space import uniform_draw
from tests.support.optuna_studies import SPACE, notes, study_of, valley
from tests.support.priors import Judged, judged, likes_small_x

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def kind_and_pooling(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ["fcn", "cnn"])
    if kind == "cnn":
        trial.suggest_categorical("pooling", [False, True])
    trial.suggest_float("x", -1, 1)
    return 0.0


def test_a_draw_is_judged_by_the_parameters_of_its_branch_only() -> None:
    asked = []

    def prior(config: Mapping[str, Any]) -> Judged:
        asked.append(dict(config))
        return judged(0.9 if (config["kind"] == "fcn") == (config["x"] < 0) else 0.1)

    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=1), epsilon=0.0, max_draws=64))
    study.optimize(kind_and_pooling, n_trials=10)
    asked.clear()
    study.optimize(kind_and_pooling, n_trials=20)
    assert {config["kind"] for config in asked} == {"fcn", "cnn"}
    for config in asked:
        assert config.keys() == ({"kind", "pooling", "x"} if config["kind"] == "cnn" else {"kind", "x"})
    assert all((trial.params["kind"] == "fcn") == (trial.params["x"] < 0) for trial in study.trials[10:])


def test_a_declared_conditional_space_is_judged_by_branches_as_soon_as_they_are_known() -> None:
    def prior(config: Mapping[str, Any]) -> Judged:
        if config["kind"] == "fcn" and "pooling" in config:
            raise ValueError("pooling: expected no pooling of a fully connected network")
        return judged(0.9 if config["x"] < 0 else 0.1)

    space: dict[str, BaseDistribution] = {
        "kind": CategoricalDistribution(["fcn", "cnn"]),
        "pooling": CategoricalDistribution([False, True]),
        "x": FloatDistribution(-1, 1),
    }
    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=3), epsilon=0.0, search_space=space, max_draws=64))
    study.optimize(kind_and_pooling, n_trials=40)
    assert all(trial.params["x"] < 0 for trial in study.trials[15:])
    assert all(note["score"] is not None for note in notes(study))


def test_a_branch_outside_the_theory_gets_no_trials_of_a_branch_whose_draws_are_refused() -> None:
    def prior(config: Mapping[str, Any]) -> Judged:
        return judged(None if config["model"] == "forest" else 0.9 if config["x"] < -0.6 else 0.1)

    space: dict[str, BaseDistribution] = {
        "model": CategoricalDistribution(["network", "forest"]),
        "x": FloatDistribution(-1, 1),
    }
    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=0), epsilon=0.0, search_space=space, seed=0))
    for _ in range(100):
        study.tell(study.ask(space), 0.0)
    launched = [trial.params for trial in study.trials]
    assert abs(sum(params["model"] == "forest" for params in launched) - 50) < 15
    assert all(params["x"] < -0.6 for params in launched if params["model"] == "network")


def test_the_note_is_corrected_where_a_trial_used_other_parameters_than_drawn() -> None:
    wide: dict[str, BaseDistribution] = {"x": FloatDistribution(-1, 1)}
    study = study_of(NTKPriorSampler(likes_small_x, RandomSampler(), epsilon=0.0, search_space=wide))
    study.optimize(lambda trial: trial.suggest_float("x", 0.8, 0.9), n_trials=3)
    for trial, note in zip(study.trials, notes(study), strict=True):
        assert note["score"] == 1 - trial.params["x"]


def test_parameters_with_a_single_value_are_judged_as_well() -> None:
    def prior(config: Mapping[str, Any]) -> Judged:
        return judged(0.9 if config["depth"] == 3 and config["kind"] == "cnn" and config["x"] < 0 else 0.1)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical("kind", ["cnn"])
        return trial.suggest_int("depth", 3, 3) + trial.suggest_float("x", -1, 1)

    study = study_of(NTKPriorSampler(prior, RandomSampler(), epsilon=0.0, max_draws=64))
    study.optimize(objective, n_trials=15)
    assert all(trial.params["x"] < 0 for trial in study.trials[1:])


@pytest.mark.parametrize("outside", [True, False])
def test_partially_fixed_parameters_stay_fixed_and_are_judged(outside: bool) -> None:
    def near_diagonal(config: Mapping[str, Any]) -> Judged:
        return judged(1.0 if abs(config["x"] - config["y"]) < 0.3 else 0.0)

    options: dict[str, Any] = {"search_space": SPACE, "epsilon": 0.0, "max_draws": 64}
    if outside:
        sampler: BaseSampler = PartialFixedSampler({"y": 0.5}, NTKPriorSampler(near_diagonal, TPESampler(), **options))
    else:
        sampler = NTKPriorSampler(near_diagonal, PartialFixedSampler({"y": 0.5}, TPESampler()), **options)
    study = study_of(sampler)
    study.optimize(valley, n_trials=15)
    assert all(trial.params["y"] == 0.5 and abs(trial.params["x"] - 0.5) < 0.3 for trial in study.trials)


distributions = st.one_of(
    st.builds(lambda low, width: FloatDistribution(low, low + width), st.floats(-9, 9), st.floats(0, 9)),
    st.builds(lambda low, factor: FloatDistribution(low, low * factor, log=True), st.floats(1e-8, 9), st.floats(1, 99)),
    st.builds(lambda low, n: FloatDistribution(low, low + n * 0.25, step=0.25), st.integers(-9, 9), st.integers(0, 9)),
    st.builds(lambda low, n, k: IntDistribution(low, low + n * k, step=k), *(st.integers(1, 9) for _ in range(3))),
    st.builds(lambda low, width: IntDistribution(low, low + width, log=True), st.integers(1, 9), st.integers(0, 99)),
    st.builds(CategoricalDistribution, st.sampled_from([("a", "b"), (None, 1, 2.5), (True, False)])),
)


@given(distribution=distributions, seed=st.integers(0, 2**32))
def test_uniform_draws_lie_in_their_distribution(distribution: BaseDistribution, seed: int) -> None:
    for value in (uniform_draw({"p": distribution}, np.random.default_rng(seed + k))["p"] for k in range(5)):
        assert distribution._contains(distribution.to_internal_repr(value))
        if not isinstance(distribution, CategoricalDistribution):
            assert type(value) is (int if isinstance(distribution, IntDistribution) else float)


def test_uniform_draws_are_uniform_on_the_scale_of_the_distribution() -> None:
    generator = np.random.default_rng(0)
    space: dict[str, BaseDistribution] = {
        "float": FloatDistribution(0, 10),
        "log": FloatDistribution(1e-4, 1.0, log=True),
        "int": IntDistribution(1, 4),
        "stepped": FloatDistribution(0, 1, step=0.25),
    }
    found = [uniform_draw(space, generator) for _ in range(4000)]
    assert np.mean([draw["float"] for draw in found]) == pytest.approx(5, abs=0.2)
    assert np.mean([np.log10(draw["log"]) for draw in found]) == pytest.approx(-2, abs=0.1)
    assert np.bincount([draw["int"] for draw in found])[1:] == pytest.approx([1000] * 4, rel=0.1)
    assert np.bincount([round(4 * draw["stepped"]) for draw in found]) == pytest.approx([800] * 5, rel=0.12)
