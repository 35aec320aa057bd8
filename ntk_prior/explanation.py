"""Verdicts in words: which limit binds, by how much, and the smallest change of one parameter that lifts it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior.activations import dual
from ntk_prior.architecture import (
    MAX_DEPTH,
    MAX_WEIGHT_VARIANCE,
    MIN_WEIGHT_VARIANCE,
    Architecture,
    require_instance,
)
from ntk_prior.budget import Budget
from ntk_prior.calibration import Calibration
from ntk_prior.judge import Sides, encode, plain_values, sides, sides_of_rows
from ntk_prior.meanfield import MeanField, mean_field
from ntk_prior.measured import MeasuredSpectrum, measured_sides
from ntk_prior.spectrum import saturated, view_name
from ntk_prior.task import Task

_SCAN = 96

Side = Callable[[Sides], Any]
"""The side of a judgement that has to reach the threshold."""


def max_learning_rate(architecture: Architecture, task: Task, budget: Budget) -> float:
    """Largest stable learning rate, in the budget's convention (mean loss, parametrization, batch size, momentum).

    Gradient descent on half the mean squared error is stable up to 2 n_train / lambda_max in the NTK parametrization.

    Args:
        architecture: The network.
        task: The task's summary.
        budget: The optimiser; its own ``learning_rate`` is ignored.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: For Adam, whose stability the kernel does not decide, and for what the theory does not know.
    """
    require_instance("architecture", architecture, Architecture)
    require_instance("task", task, Task)
    require_instance("budget", budget, Budget)
    if budget.unknown or architecture.unknown:
        raise ValueError(
            f"expected a training and a network that the theory knows: {budget.unknown or architecture.unknown}"
        )
    if budget.optimizer == "adam":
        raise ValueError("optimizer: expected 'sgd' or 'momentum' (Adam's stability is not a property of the kernel)")
    return saturated(-sides(architecture, task, replace(budget, learning_rate=1.0)).log_excess)


def scan(
    architecture: Architecture, task: Task, budget: Budget, calibration: Calibration, name: str, values: NDArray[Any]
) -> Sides:
    """Both sides, calibrated, as one numeric field of the architecture or the budget takes each of ``values``."""
    code, slope, table = dual(architecture.activation, architecture.slope)
    rows = encode({**plain_values(architecture, budget), "code": code, "slope": slope, name: values})
    found = sides_of_rows(rows, table, task, view_name(architecture))
    return calibration.of_rows(found, rows)


def reason_for(
    verdict: str,
    architecture: Architecture,
    task: Task,
    budget: Budget,
    found: Sides,
    calibration: Calibration,
    threshold: float,
) -> str:
    """The binding limit, with numbers."""
    if verdict == "diverges":
        return _diverges(budget, found)
    if verdict == "feasible":
        return _feasible(calibration.of(found, architecture, budget), threshold)
    limits = mean_field(architecture)
    if verdict == "untrainable":
        hardly = _hardly(calibration.of(found, architecture, budget), threshold)
        weaker = _weaker if hardly else _trains
        depth = _depth_limit(architecture, task, budget, calibration, weaker, limits, threshold)
        return hardly + depth + _steps_needed(architecture, task, budget, found, calibration, weaker, threshold)
    depth = _depth_limit(architecture, task, budget, calibration, _generalizes, limits, threshold)
    words = _width_words(architecture, task, budget, found)
    return depth + _memorizes(found, calibration.of(found, architecture, budget), threshold, words)


def reason_from_spectrum(
    verdict: str,
    spectrum: MeasuredSpectrum,
    architecture: Architecture | None,
    task: Task,
    budget: Budget,
    found: Sides,
    calibration: Calibration,
    threshold: float,
) -> str:
    """The binding limit of a measured spectrum, with numbers."""
    kappa = f"kappa {saturated(found.log_kappa):.2g}"
    if verdict == "diverges":
        return _diverges(budget, found)
    if verdict == "feasible":
        return _feasible(calibration.of(found, architecture, budget), threshold)
    if verdict == "memorizes_only":
        return _memorizes(found, calibration.of(found, architecture, budget), threshold)
    steps = np.ceil(np.geomspace(1.0, 1e12, 400))

    hardly = _hardly(calibration.of(found, architecture, budget), threshold)
    side_of = _weaker if hardly else _trains

    def reaches(count: float) -> float:
        longer = replace(budget, steps=int(count))
        reached = measured_sides(spectrum, task, longer, architecture)
        return float(side_of(calibration.of(reached, architecture, longer)))

    enough = bisect_left(steps, threshold, key=reaches)
    needs = f"needs {steps[enough]:.2g} steps" if enough < len(steps) else "is beyond any budget"
    return f"{hardly}{kappa} {needs}, budget {budget.steps:.2g}"


def _diverges(budget: Budget, found: Sides) -> str:
    assert budget.learning_rate is not None, "the default rate is stable"
    limit, end = (budget.learning_rate * saturated(-log) for log in (found.log_excess, found.log_overshoot))
    if end <= 1.01 * limit:
        return f"learning_rate {budget.learning_rate:.3g} > {limit:.3g} = 2 / lambda_max: every step overshoots"
    return (
        f"learning_rate {budget.learning_rate:.3g} > {end:.3g}, {end / limit:.2g} times 2 / lambda_max, up to which "
        "networks like it trained with this loss, batch size and parametrization"
    )


def _feasible(judged: Sides, threshold: float) -> str:
    return (
        f"trainability {judged.trainability:.2f} and generalization {judged.generalization:.2f} "
        f">= {threshold:g} (kappa {saturated(judged.log_kappa):.2g})"
    )


def _trains(found: Sides) -> Any:
    return found.trainability


def _generalizes(found: Sides) -> Any:
    return found.generalization


def _weaker(found: Sides) -> Any:
    return np.fmin(found.trainability, found.generalization)


def _hardly(judged: Sides, threshold: float) -> str:
    """What to say first of a network that trains, if at all, too little to be of use; empty for one that does not."""
    if not judged.trainability >= threshold:
        return ""
    return (
        f"hardly trains (trainability {judged.trainability:.2f}), and what it learns does not carry over "
        f"(generalization {judged.generalization:.2g} < {threshold:g}): "
    )


def _memorizes(found: Sides, judged: Sides, threshold: float, words: str = "") -> str:
    return (
        f"generalization {judged.generalization:.2g} < {threshold:g}, kernel regression keeps "
        f"{100 * found.generalization:.2g} % of the best kernel's R^2 (kappa {saturated(found.log_kappa):.2g}{words})"
    )


def _depth_limit(
    architecture: Architecture,
    task: Task,
    budget: Budget,
    calibration: Calibration,
    side_of: Side,
    limits: MeanField,
    threshold: float,
) -> str:
    """'depth 64 > 38 = 6.1 xi_1: ', where some smaller depth is on the right side of the limit."""
    depths = _below(architecture.depth)
    found = scan(architecture, task, budget, calibration, "depth", depths)
    good = depths[~(side_of(found) < threshold)]  # NaN is Adam's, where nothing speaks against a depth
    if not good.size or good.max() >= architecture.depth:
        return ""
    scale, name = (limits.xi_1, "xi_1") if limits.phase == "ordered" else (limits.xi_star, "xi_star")
    in_scales = f" = {good.max() / scale:.2g} {name}" if scale else ""
    return f"depth {architecture.depth} > {int(good.max())}{in_scales}: "


def _steps_needed(
    architecture: Architecture,
    task: Task,
    budget: Budget,
    found: Sides,
    calibration: Calibration,
    side_of: Side,
    threshold: float,
) -> str:
    kappa = f"kappa {saturated(found.log_kappa):.2g}"
    if budget.optimizer == "adam":
        return f"{kappa}; {budget.steps:.2g} steps of Adam at {budget.learning_rate:.2g} cannot reach the solution"

    def reaching(steps: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.flatnonzero(side_of(scan(architecture, task, budget, calibration, "steps", steps)) >= threshold)

    coarse = np.geomspace(1.0, 1e15, 46)
    enough = reaching(coarse)
    needs = "is beyond any budget"
    if enough.size:
        fine = np.geomspace(coarse[max(enough[0] - 1, 0)], coarse[enough[0]], 12)
        needs = f"needs {fine[reaching(fine)[0]]:.2g} steps"
    return f"{kappa} {needs}, budget {budget.steps:.2g}"


def _width_words(architecture: Architecture, task: Task, budget: Budget, found: Sides) -> str:
    if budget.width is None:
        return ""
    wide = sides(architecture, task, replace(budget, width=10**9))
    if wide.generalization < 2 * found.generalization:
        return ""
    ratio = architecture.depth / budget.width
    return f"; at infinite width {100 * wide.generalization:.2g} %: depth / width = {ratio:.2g}"


def nearest_fix(
    architecture: Architecture, task: Task, budget: Budget, calibration: Calibration, threshold: float
) -> str | None:
    """The smallest change of each parameter alone with which nothing is below the threshold, nearest first."""
    fixes = []
    for name, values in _candidates(architecture, budget).items():
        found = scan(architecture, task, budget, calibration, name, values)
        good = values[~(np.fmin(found.trainability, found.generalization) < threshold)]
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
        "weight_variance": spread,
        "depth": np.unique(np.concatenate([_below(architecture.depth), np.minimum(longer, MAX_DEPTH)])).astype(float),
        "steps": np.ceil(budget.steps * np.geomspace(1.05, 1000, _SCAN)),
    }
    if budget.learning_rate is not None:
        candidates["learning_rate"] = budget.learning_rate * np.geomspace(1e-4, 1e4, 2 * _SCAN + 1)
    if budget.width is not None:
        candidates["width"] = np.ceil(budget.width * np.geomspace(1.1, 64, _SCAN))
    return candidates


def _below(depth: int) -> NDArray[np.int64]:
    return np.unique(np.round(np.geomspace(1, depth, min(depth, _SCAN))).astype(np.int64))


def _current(architecture: Architecture, budget: Budget, name: str) -> float:
    return float(getattr(architecture if hasattr(architecture, name) else budget, name))


def _words(name: str, value: float, now: float) -> str:
    relation = "<=" if value < now else ">="
    number = f"{int(value)}" if name in ("depth", "steps", "width") else f"{value:.3g}"
    return f"{name} {number}" if name == "weight_variance" else f"{name} {relation} {number}"
