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
from optuna_support import Judged, by_hash, refuses_everything

from ntk_prior_optuna import NTKPriorSampler

Factory = Callable[[], BaseSampler]

BASES: dict[str, Factory] = {
    "random": RandomSampler,
    "tpe-univariate": lambda: TPESampler(n_startup_trials=0, multivariate=False),
    "tpe-multivariate": lambda: TPESampler(n_startup_trials=0, multivariate=True),
    "nsga2": lambda: NSGAIISampler(population_size=2),
    "qmc": lambda: QMCSampler(warn_independent_sampling=False),
}
# Optional, and large: Optuna's Gaussian processes need it.
if importlib.util.find_spec("torch"):
    BASES["gp"] = lambda: GPSampler(n_startup_trials=0)
PRIORS: dict[str, Callable[..., Judged]] = {"scoring": by_hash, "refusing": refuses_everything}

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def screened(base: Factory, prior: Callable[..., Judged]) -> Factory:
    return lambda: NTKPriorSampler(prior, base(), threshold=0.5)


@pytest.fixture(params=PRIORS)
def prior(request: pytest.FixtureRequest) -> Callable[..., Judged]:
    return PRIORS[request.param]


class TestOneObjective(BasicSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture(params=BASES)
    def sampler(self, request: pytest.FixtureRequest, prior: Callable[..., Judged]) -> Factory:
        return screened(BASES[request.param], prior)


class TestSeveralObjectives(MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=BASES)
    def sampler(self, request: pytest.FixtureRequest) -> Factory:
        return screened(BASES[request.param], by_hash)


class TestBaseForOneObjectiveOnly(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self, prior: Callable[..., Judged]) -> Factory:
        return screened(lambda: CmaEsSampler(n_startup_trials=0, warn_independent_sampling=False), prior)
