"""Samplers, spaces and studies, for the tests of the Optuna adapter and the processes that they start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def sphere(trial: Trial) -> float:
    """Best at x = y = 0; suggests in the order of the names."""
    return trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_float("y", -1, 1) ** 2


def valley(trial: Trial) -> float:
    """The same, but x decides: by chance alone a prior that likes small x never looks wrong."""
    return trial.suggest_float("x", -1, 1) ** 2 + (trial.suggest_float("y", -1, 1) / 10) ** 2


def notes(study: Study) -> list[dict[str, Any]]:
    """The attribute ``ntk_prior`` of each trial."""
    return [trial.user_attrs["ntk_prior"] for trial in study.trials]


def study_of(sampler: BaseSampler, **options: Any) -> Study:
    return optuna.create_study(sampler=sampler, **options)
