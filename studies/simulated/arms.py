"""What is compared: samplers and pruners, with and without the prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior.decision.judgement import Judgement, Prior
from ntk_prior.decision.screen import DEFAULT_CANDIDATES
from ntk_prior_optuna import NTKPriorSampler
from studies.simulated.landscape import Landscape, Space
from studies.simulated.surrogate import EVALUATIONS
from studies.simulated.weighted import ImprovementSampler

HALVING = 3


class Said(NamedTuple):
    """A judgement."""

    score: float | None
    verdict: str
    reason: str


@dataclass(frozen=True)
class Adversary:
    """A prior that says the opposite of another one."""

    prior: Prior

    def __call__(self, config: Mapping[str, Any]) -> Said:
        """The score s becomes 1 - s."""
        said = self.prior(config)
        if said.score is None:
            return Said(None, said.verdict, said.reason)
        score = 1.0 - said.score
        return Said(score, "feasible" if score >= DEFAULT_THRESHOLD else "untrainable", "inverted")


@dataclass(frozen=True)
class Oracle:
    """Refuses exactly what is hopeless by the surrogate itself: no prior that only refuses the hopeless can do better.

    Attributes:
        landscape: Knows the truth.
    """

    landscape: Landscape

    def __call__(self, config: Mapping[str, Any]) -> Said:
        """Score 0 or 1."""
        hopeless = self.landscape.training(config, np.random.default_rng(0)).hopeless
        return Said(0.0, "untrainable", "oracle") if hopeless else Said(1.0, "feasible", "oracle")


class Counted:
    """A prior that counts how often it is asked."""

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        self.asked = 0

    def __call__(self, config: Mapping[str, Any]) -> Judgement:
        """Ask it."""
        self.asked += 1
        return self._prior(config)


def ntk(landscape: Landscape) -> Prior:
    """The prior itself."""
    return landscape.prior


def inverted(landscape: Landscape) -> Prior:
    """Its opposite."""
    return Adversary(landscape.prior)


class Situation(NamedTuple):
    """What a sampler is made from; ``prior`` is the one that the arm asked for."""

    space: Space
    prior: Prior
    plain: NTKPrior
    seed: int


@dataclass(frozen=True)
class Arm:
    """One of the compared.

    Attributes:
        title: For the table.
        sampler: Makes the sampler of a study.
        base: The arm without the prior that its compute is compared with; its own name where there is none.
        pruner: Makes the pruner.
        gated: Whether the objective asks the prior before it trains.
        judge: Makes the prior that the sampler is given.
    """

    title: str
    sampler: Callable[[Situation], BaseSampler]
    base: str
    pruner: Callable[[], BasePruner] = NopPruner
    gated: bool = False
    judge: Callable[[Landscape], Prior] = ntk


def random(where: Situation) -> BaseSampler:
    """Uniform draws."""
    return RandomSampler(seed=where.seed)


def tpe(where: Situation) -> BaseSampler:
    """Optuna's default."""
    return TPESampler(seed=where.seed)


def gaussian(where: Situation) -> BaseSampler:
    """Optuna's Gaussian process."""
    return GPSampler(seed=where.seed)


def improvement(where: Situation) -> BaseSampler:
    """Expected improvement."""
    return ImprovementSampler(where.space, None, where.seed)


def weighted(where: Situation) -> BaseSampler:
    """Expected improvement, weighted by the prior."""
    return ImprovementSampler(where.space, where.plain, where.seed)


def screened(
    base: Callable[[Situation], BaseSampler], candidates: int = DEFAULT_CANDIDATES
) -> Callable[[Situation], BaseSampler]:
    """A sampler inside ``NTKPriorSampler``."""
    return lambda where: NTKPriorSampler(
        where.prior, base(where), search_space=where.space, candidates=candidates, seed=where.seed
    )


def hyperband() -> BasePruner:
    """Brackets from the first evaluation on."""
    return HyperbandPruner(min_resource=EVALUATIONS[0], max_resource=EVALUATIONS[-1], reduction_factor=HALVING)


def halving() -> BasePruner:
    """A third goes on at each evaluation."""
    return SuccessiveHalvingPruner(min_resource=EVALUATIONS[0], reduction_factor=HALVING)


ARMS = {
    "random": Arm("Random", random, "random"),
    "random-refusing": Arm("Random + prior, refusing only", screened(random, 1), "random"),
    "random-prior": Arm("Random + prior", screened(random), "random"),
    "tpe": Arm("TPE", tpe, "tpe"),
    "tpe-refusing": Arm("TPE + prior, refusing only", screened(tpe, 1), "tpe"),
    "tpe-prior": Arm("TPE + prior", screened(tpe), "tpe"),
    "tpe-gate": Arm("TPE + gate", tpe, "tpe", gated=True),
    "tpe-adversary": Arm("TPE + inverted prior", screened(tpe), "tpe", judge=inverted),
    "tpe-oracle": Arm("TPE + oracle, refusing only", screened(tpe, 1), "tpe", judge=Oracle),
    "halving": Arm("TPE, SuccessiveHalving", tpe, "halving", halving),
    "hyperband": Arm("TPE, Hyperband", tpe, "hyperband", hyperband),
    "hyperband-prior": Arm("TPE + prior, Hyperband", screened(tpe), "hyperband", hyperband),
    "improvement": Arm("GP expected improvement", improvement, "improvement"),
    "pibo": Arm("GP expected improvement x prior (piBO)", weighted, "improvement"),
    "gp": Arm("Optuna GP", gaussian, "gp"),
    "gp-prior": Arm("Optuna GP + prior", screened(gaussian), "gp"),
}
NEEDS_TORCH = ("gp", "gp-prior")


def missing(arm: str) -> str | None:
    """Why an arm cannot run here, or None."""
    return "torch is not installed" if arm in NEEDS_TORCH and find_spec("torch") is None else None
