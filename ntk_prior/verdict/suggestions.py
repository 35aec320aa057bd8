"""The smallest change of one parameter that lifts the binding limit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import MAX_DEPTH, MAX_WEIGHT_VARIANCE, MIN_WEIGHT_VARIANCE, Architecture
from ntk_prior.budget import Budget
from ntk_prior.task.task import Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.activations import dual
from ntk_prior.theory.layers import encode, plain_values
from ntk_prior.verdict.calibration import Calibration, Probabilities
from ntk_prior.verdict.estimates import estimates_of_rows
from ntk_prior.verdict.practice import MIN_SUPPORT

_SCAN = 96

_DIGITS = 3
"""Of the numbers that are named."""


def scan(
    architecture: Architecture, task: Task, budget: Budget, calibration: Calibration, name: str, values: NDArray[Any]
) -> Probabilities[Array]:
    """Both probabilities as one numeric field of the architecture or the budget takes each of ``values``."""
    code, slope, table = dual(architecture.activation, architecture.slope)
    rows = encode({**plain_values(architecture, budget), "code": code, "slope": slope, name: values})
    found = estimates_of_rows(rows, table, task, view_name(architecture))
    return calibration.probabilities_of_rows(found, rows, table, task)


def nearest_fix(
    architecture: Architecture, task: Task, budget: Budget, calibration: Calibration, threshold: float
) -> str | None:
    """Smallest changes of one parameter that make a configuration feasible, nearest first; None if there are none."""
    fixes = []
    for name, values in _candidates(architecture, budget).items():
        found = scan(architecture, task, budget, calibration, name, values)
        weaker = np.fmin(found.trainability, found.generalization)
        # Without support nothing is refused, but nothing is promised either.
        good = values[~(weaker < threshold) & ~(found.support < MIN_SUPPORT)]
        if good.size:
            now = _current(architecture, budget, name)
            best = good[np.argmin(np.abs(np.log(good / now)))]
            fixes.append((abs(math.log(best / now)), _words(name, float(best), now)))
    return ", or ".join(words for _, words in sorted(fixes)[:3]) or None


def _candidates(architecture: Architecture, budget: Budget) -> dict[str, NDArray[Any]]:
    here = architecture.weight_variance
    spread = np.clip(here * np.geomspace(1 / 32, 32, 2 * _SCAN + 1), MIN_WEIGHT_VARIANCE, MAX_WEIGHT_VARIANCE)
    longer = np.round(architecture.depth * np.geomspace(1.1, 8, 16)).astype(int)
    candidates = {
        "weight_variance": np.unique(rounded(spread, _DIGITS)),
        "depth": np.unique(np.concatenate([depths_below(architecture.depth), np.minimum(longer, MAX_DEPTH)])).astype(
            float
        ),
        "steps": np.ceil(budget.n_steps * np.geomspace(1.05, 1000, _SCAN)),
    }
    if budget.learning_rate is not None:
        rates = rounded(budget.learning_rate * np.geomspace(1e-4, 1e4, 2 * _SCAN + 1), _DIGITS)
        candidates["learning_rate"] = np.unique(rates[rates > 0.0])
    if budget.width is not None:
        candidates["width"] = np.ceil(budget.width * np.geomspace(1.1, 64, _SCAN))
    return candidates


def rounded(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """Values as they are said in words, so that what is promised of a number holds for the number that is named."""
    return np.array([float(f"{value:.{digits}g}") for value in values])


def depths_below(depth: int) -> NDArray[np.int64]:
    """Depths up to this one, evenly spaced in their logarithms where they are many."""
    return np.unique(np.round(np.geomspace(1, depth, min(depth, _SCAN))).astype(np.int64))


def _current(architecture: Architecture, budget: Budget, name: str) -> float:
    return float(getattr(architecture if hasattr(architecture, name) else budget, name))


def _words(name: str, value: float, now: float) -> str:
    relation = "<=" if value < now else ">="
    number = f"{int(value)}" if name in ("depth", "steps", "width") else f"{value:.{_DIGITS}g}"
    return f"{name} {number}" if name == "weight_variance" else f"{name} {relation} {number}"
