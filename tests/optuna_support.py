"""Priors with known judgements, for the tests of the Optuna adapter and the processes that they start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import optuna
from optuna import Study, Trial
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)

THRESHOLD = 0.3
SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(-1, 1), "y": FloatDistribution(-1, 1)}
BASES: dict[str, Callable[[], BaseSampler]] = {
    "random": RandomSampler,
    "tpe": TPESampler,
    "tpe-group": lambda: TPESampler(n_startup_trials=5, multivariate=True, group=True),
    "tpe-univariate": lambda: TPESampler(n_startup_trials=5, multivariate=False),
    "tpe-without-liar": lambda: TPESampler(n_startup_trials=5, multivariate=True, constant_liar=False),
    "cmaes": lambda: CmaEsSampler(warn_independent_sampling=False),
    "cmaes-margin": lambda: CmaEsSampler(with_margin=True),
    "nsga2": lambda: NSGAIISampler(population_size=4),
    "nsga3": lambda: NSGAIIISampler(population_size=4),
    "qmc": lambda: QMCSampler(warn_independent_sampling=False),
}


@dataclass(frozen=True)
class Judged:
    score: float | None
    verdict: str = "feasible"
    reason: str = "a reason"


def judged(score: float | None) -> Judged:
    if score is None:
        return Judged(None, "outside_theory", "nothing known")
    return Judged(score, "feasible" if score >= THRESHOLD else "untrainable", f"score {score:.3f}")


def by_hash(config: Mapping[str, Any]) -> Judged:
    """A deterministic score of any configuration whatsoever, uniform in [0, 1]."""
    return judged(crc32(repr(sorted(config.items())).encode()) / 2**32)


def refuses_everything(config: Mapping[str, Any]) -> Judged:
    return judged(0.25 * by_hash(config).score)  # type: ignore[operator]


def accepts_everything(config: Mapping[str, Any]) -> Judged:
    return judged(0.9)


def is_silent(config: Mapping[str, Any]) -> Judged:
    return judged(None)


def likes_small_x(config: Mapping[str, Any]) -> Judged:
    """Score 1 - |x|: accepts |x| <= 0.7. Silent without x."""
    return judged(1 - abs(config["x"]) if "x" in config else None)


def likes_large_x(config: Mapping[str, Any]) -> Judged:
    """Accepts |x| >= 0.7 only."""
    return judged(0.1 if abs(config["x"]) < 0.7 else 0.9)


def sphere(trial: Trial) -> float:
    """Best at x = y = 0; suggests in the order of the names."""
    return trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_float("y", -1, 1) ** 2


def notes(study: Study) -> list[dict[str, Any]]:
    """The attribute ``ntk_prior`` of each trial."""
    return [trial.user_attrs["ntk_prior"] for trial in study.trials]


def study_of(sampler: BaseSampler, **options: Any) -> Study:
    return optuna.create_study(sampler=sampler, **options)
