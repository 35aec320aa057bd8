"""Draws beyond the first one for a trial cost little, and are the base sampler's all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler

from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_optuna.history import refused_before
from ntk_prior_optuna.runners_up import RunnersUp
from tests.support.optuna_studies import study_of
from tests.support.priors import Judged, accepts_everything, judged, refuses_everything

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

MIXED: dict[str, BaseDistribution] = {
    "x": FloatDistribution(-1, 1),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "depth": IntDistribution(1, 64, log=True),
    "kind": CategoricalDistribution(["a", "b"]),
}
TPES: dict[str, dict[str, Any]] = {
    "joint": {"multivariate": True},
    "one by one": {"multivariate": False},
    "by groups": {"multivariate": True, "group": True},
}


def history_of(sampler: optuna.samplers.BaseSampler, trials: int, space: Mapping[str, BaseDistribution]) -> Any:
    study = study_of(RandomSampler(seed=3))
    for _ in range(trials):
        trial = study.ask(dict(space))
        study.tell(trial, trial.params["x"] ** 2)
    study.sampler = sampler
    return study


@pytest.mark.parametrize("options", TPES.values(), ids=TPES)
def test_tpe_fits_its_densities_once_a_trial_however_many_draws_are_refused(options: dict[str, Any]) -> None:
    fits = 0

    base = TPESampler(seed=0, **options)
    original = base._parzen_estimator_cls

    def counted(*arguments: Any) -> Any:
        nonlocal fits
        fits += 1
        return original(*arguments)

    base._parzen_estimator_cls = counted  # type: ignore[assignment]
    alone = history_of(base, 30, MIXED)
    alone.ask(MIXED)
    of_one_draw, fits = fits, 0
    study = history_of(NTKPriorSampler(refuses_everything, base, epsilon=0.0, seed=0), 30, MIXED)
    study.ask(MIXED)
    assert fits == of_one_draw > 0
    assert len(refused_before(study.trials[-1])) == 32


def test_the_first_draw_of_tpe_is_its_own() -> None:
    space = dict(sorted(MIXED.items()))  # the order in which parameters are drawn, where they are drawn one by one
    alone = history_of(TPESampler(seed=5), 30, space)
    wrapped = history_of(NTKPriorSampler(accepts_everything, TPESampler(seed=5), candidates=1), 30, space)
    assert wrapped.ask(space).params == alone.ask(space).params


def test_the_next_draws_of_tpe_are_its_other_candidates_the_best_first() -> None:
    asked: list[float] = []

    def prior(config: Mapping[str, Any]) -> Judged:
        asked.append(config["x"])
        return judged(0.1)

    space: dict[str, BaseDistribution] = {"x": FloatDistribution(-1, 1)}
    sampler = NTKPriorSampler(prior, TPESampler(seed=0), epsilon=0.0, seed=0, candidates=1)
    study = history_of(sampler, 100, space)
    study.ask(space)
    assert len(set(asked[:16])) == 16
    # TPE has learnt that the best x is 0.
    assert np.mean(np.abs(asked[:16])) < 0.35 < np.mean(np.abs(asked[16:]))


def test_a_wide_space_is_drawn_by_the_base_sampler_once_a_trial_in_its_start_up() -> None:
    class Counting(RandomSampler):
        draws = 0

        def sample_independent(self, *arguments: Any) -> Any:
            Counting.draws += 1
            return super().sample_independent(*arguments)

    wide: dict[str, BaseDistribution] = {f"x{n}": FloatDistribution(-1, 1) for n in range(63)}
    base = TPESampler(seed=0)
    base._random_sampler = Counting(seed=0)
    study = study_of(NTKPriorSampler(refuses_everything, base, search_space=wide, epsilon=0.0, seed=0))
    study.ask(wide)
    assert Counting.draws == 63
    assert len(refused_before(study.trials[0])) == 32


@pytest.mark.parametrize("base", [RandomSampler(seed=1), TPESampler(seed=1, n_startup_trials=10_000)])
def test_what_is_drawn_in_the_stead_of_a_uniform_sampler_is_uniform(base: Any) -> None:
    """Of 16 draws the largest x is launched."""
    sampler = NTKPriorSampler(
        lambda config: judged(0.5 + config["x"] / 4), base, search_space=MIXED, epsilon=0.0, candidates=16, seed=0
    )
    found = []
    for _ in range(20):
        study = study_of(sampler)
        for _ in range(20):
            study.tell(study.ask(MIXED), 0.0)
        found += study.trials
        sampler.screen = type(sampler.screen)(epsilon=0.0, seed=sampler.screen.seed + 1)
    assert np.mean([trial.params["x"] for trial in found]) == pytest.approx(2 * 16 / 17 - 1, abs=0.03)
    assert np.mean([trial.params["kind"] == "a" for trial in found]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([np.log10(trial.params["rate"]) for trial in found]) == pytest.approx(-2, abs=0.2)


def test_further_draws_of_tpe_never_repeat_one_however_few_values_there_are() -> None:
    """A repeated draw would end its turn, and uniform draws would follow."""
    space: dict[str, BaseDistribution] = {"a": IntDistribution(1, 3), "b": IntDistribution(1, 4)}
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(20):
        study.tell(study.ask(space), 0.0)
    study.ask()
    trial = study.trials[-1]
    remembers = RunnersUp(TPESampler(seed=0))
    first = {name: remembers.sampler.sample_independent(study, trial, name, one) for name, one in space.items()}
    draws = [first, *remembers.further()]
    assert len(draws) > 4
    assert len({tuple(draw.values()) for draw in draws}) == len(draws)
