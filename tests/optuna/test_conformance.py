"""Optuna's own expectations of a sampler, of the prior's sampler over each base sampler."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from ntk_prior_optuna import NTKPriorSampler
from tests.support.priors import Judged, by_hash, refuses_everything

Factory = Callable[[], BaseSampler]

BASES: dict[str, Factory] = {
    "random": RandomSampler,
    "tpe-univariate": lambda: TPESampler(n_startup_trials=0, multivariate=False),
    "tpe-multivariate": lambda: TPESampler(n_startup_trials=0, multivariate=True),
    "nsga2": lambda: NSGAIISampler(population_size=2),
}
# Alone, the QMCSampler of Optuna 4.9 leaves logarithmic ranges and fails for categorical parameters.
if int(optuna.__version__.partition(".")[0]) >= 5:
    BASES["qmc"] = lambda: QMCSampler(warn_independent_sampling=False)
# Optional, and large: Optuna's Gaussian processes need it.
if importlib.util.find_spec("torch"):
    BASES["gp"] = lambda: GPSampler(n_startup_trials=0)
# The refusing prior takes every path through the draws; where the base sampler does not matter it is left out.
CASES = [(name, by_hash) for name in BASES]
CASES += [(name, refuses_everything) for name in ("random", "tpe-multivariate", "nsga2")]

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def screened(base: Factory, prior: Callable[..., Judged]) -> Factory:
    return lambda: NTKPriorSampler(prior, base(), threshold=0.5)


class TestOneObjective(BasicSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1].__name__}")
    def sampler(self, request: pytest.FixtureRequest) -> Factory:
        name, prior = request.param
        return screened(BASES[name], prior)


class TestSeveralObjectives(MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=BASES)
    def sampler(self, request: pytest.FixtureRequest) -> Factory:
        return screened(BASES[request.param], by_hash)


class TestBaseForOneObjectiveOnly(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture(params=[by_hash, refuses_everything])
    def sampler(self, request: pytest.FixtureRequest) -> Factory:
        return screened(lambda: CmaEsSampler(n_startup_trials=0, warn_independent_sampling=False), request.param)
