"""Verdicts in words: which limit binds, and by how much."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.task.task import Task
from ntk_prior.theory.mean_field import mean_field
from ntk_prior.theory.measured import MeasuredSpectrum
from ntk_prior.theory.spectrum import saturated
from ntk_prior.verdict.calibration import Calibration, Probabilities
from ntk_prior.verdict.estimates import Estimates, estimate, estimates_from_spectrum
from ntk_prior.verdict.practice_reasons import practice_reason
from ntk_prior.verdict.suggestions import depths_below, scan

Share = Callable[[Probabilities[Any]], Any]
"""The probability that has to reach the threshold."""


class Case(NamedTuple):
    """A verdict with all that it was based on, but for a measured spectrum.

    Attributes:
        verdict: One of ``Verdict``.
        architecture: The network; None for the very network whose kernel was measured.
        task, budget: What it learns, and what its training may spend.
        estimates: The theory's, before calibration.
        calibration: Makes probabilities of them.
        threshold: What both probabilities must reach.
    """

    verdict: str
    architecture: Architecture | None
    task: Task
    budget: Budget
    estimates: Estimates
    calibration: Calibration
    threshold: float

    @property
    def probabilities(self) -> Probabilities[float]:
        """What the verdict compares with the threshold."""
        return self.calibration.probabilities(self.estimates, self.architecture, self.budget, self.task)

    @property
    def network(self) -> Architecture:
        """The architecture of a case that the predictor has judged."""
        assert self.architecture is not None, "the predictor's estimates are those of an architecture"
        return self.architecture

    def scan(self, name: str, values: NDArray[Any]) -> Probabilities[NDArray[np.float64]]:
        """The probabilities as one numeric field takes each of ``values``."""
        return scan(self.network, self.task, self.budget, self.calibration, name, values)


def reason_for(case: Case) -> str:
    """The limit that binds a configuration, with numbers."""
    if not math.isnan(case.probabilities.expected_score):
        return practice_reason(case)
    if case.verdict == "diverges":
        return _diverges(case)
    if case.verdict == "feasible":
        return _feasible(case)
    if case.verdict == "untrainable":
        hardly = _hardly(case)
        smaller = _smaller if hardly else _trains
        return hardly + _depth_limit(case, smaller) + _steps_needed(case, smaller)
    return _depth_limit(case, _generalizes) + _memorizes(case, _width_words(case))


def reason_from_spectrum(case: Case, spectrum: MeasuredSpectrum) -> str:
    """The limit that binds a network with a measured spectrum, with numbers."""
    if not math.isnan(case.probabilities.expected_score):
        return practice_reason(case)
    if case.verdict == "diverges":
        return _diverges(case)
    if case.verdict == "feasible":
        return _feasible(case)
    if case.verdict == "memorizes_only":
        return _memorizes(case)
    steps = np.ceil(np.geomspace(1.0, 1e12, 400))
    hardly = _hardly(case)
    share_of = _smaller if hardly else _trains

    def reaches(count: float) -> float:
        longer = replace(case.budget, steps=int(count))
        reached = estimates_from_spectrum(spectrum, case.task, longer, case.architecture)
        return float(share_of(case.calibration.probabilities(reached, case.architecture, longer, case.task)))

    enough = bisect_left(steps, case.threshold, key=reaches)
    needs = f"needs {steps[enough]:.2g} steps" if enough < len(steps) else "is beyond any budget"
    return f"{hardly}{_kappa(case)} {needs}, budget {case.budget.n_steps:.2g}"


def _kappa(case: Case) -> str:
    return f"kappa {saturated(case.estimates.log_kappa):.2g}"


def _diverges(case: Case) -> str:
    rate = case.budget.learning_rate
    assert rate is not None, "the default rate is stable"
    limit, end = (rate * saturated(-log) for log in (case.estimates.log_excess, case.estimates.log_overshoot))
    if end <= 1.01 * limit:
        return f"learning_rate {rate:.3g} > {limit:.3g} = 2 / lambda_max: every step overshoots"
    return (
        f"learning_rate {rate:.3g} > {end:.3g}, {end / limit:.2g} times 2 / lambda_max, up to which "
        "networks like it trained with this loss, batch size and parametrization"
    )


def _feasible(case: Case) -> str:
    known = case.probabilities
    return (
        f"trainability {known.trainability:.2f} and generalization {known.generalization:.2f} "
        f">= {case.threshold:g} ({_kappa(case)})"
    )


def _trains(known: Probabilities[Any]) -> Any:
    return known.trainability


def _generalizes(known: Probabilities[Any]) -> Any:
    return known.generalization


def _smaller(known: Probabilities[Any]) -> Any:
    return np.fmin(known.trainability, known.generalization)


def _hardly(case: Case) -> str:
    """What to say first of a network that trains, if at all, too little to be of use; empty for one that does not."""
    known = case.probabilities
    if not known.trainability >= case.threshold:
        return ""
    return (
        f"hardly trains (trainability {known.trainability:.2f}), and what it learns does not carry over "
        f"(generalization {known.generalization:.2g} < {case.threshold:g}): "
    )


def _memorizes(case: Case, words: str = "") -> str:
    return (
        f"generalization {case.probabilities.generalization:.2g} < {case.threshold:g}, kernel regression keeps "
        f"{100 * case.estimates.generalization:.2g} % of the best kernel's R^2 ({_kappa(case)}{words})"
    )


def _depth_limit(case: Case, share_of: Share) -> str:
    """'depth 64 > 38 = 6.1 xi_1: ', if some smaller depth is on the right side of the limit."""
    depth, limits = case.network.depth, mean_field(case.network)
    depths = depths_below(depth)
    found = case.scan("depth", depths)
    good = depths[~(share_of(found) < case.threshold)]  # NaN is Adam's, where nothing speaks against a depth
    if not good.size or good.max() >= depth:
        return ""
    scale, name = (limits.xi_1, "xi_1") if limits.phase == "ordered" else (limits.xi_star, "xi_star")
    in_scales = f" = {good.max() / scale:.2g} {name}" if scale else ""
    return f"depth {depth} > {int(good.max())}{in_scales}: "


def _steps_needed(case: Case, share_of: Share) -> str:
    budget = case.budget
    if budget.is_adaptive:
        steps = f"{budget.n_steps:.2g} steps of {budget.optimizer} at {budget.learning_rate:.2g}"
        return f"{_kappa(case)}; {steps} cannot reach the solution"

    def reaching(steps: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.flatnonzero(share_of(case.scan("steps", steps)) >= case.threshold)

    coarse = np.geomspace(1.0, 1e15, 46)
    enough = reaching(coarse)
    needs = "is beyond any budget"
    if enough.size:
        fine = np.geomspace(coarse[max(enough[0] - 1, 0)], coarse[enough[0]], 12)
        needs = f"needs {fine[reaching(fine)[0]]:.2g} steps"
    return f"{_kappa(case)} {needs}, budget {budget.n_steps:.2g}"


def _width_words(case: Case) -> str:
    if case.budget.width is None:
        return ""
    wide = estimate(case.network, case.task, replace(case.budget, width=10**9))
    if wide.generalization < 2 * case.estimates.generalization:
        return ""
    ratio = case.network.depth / case.budget.width
    return f"; at infinite width {100 * wide.generalization:.2g} %: depth / width = {ratio:.2g}"
