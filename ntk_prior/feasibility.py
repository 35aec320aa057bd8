"""The verdict on one configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import Architecture, require_instance
from ntk_prior.budget import Budget
from ntk_prior.calibration import Calibration, shipped_calibration
from ntk_prior.explanation import nearest_fix, reason_for, reason_from_spectrum
from ntk_prior.judge import Sides, sides
from ntk_prior.measured import MeasuredSpectrum, measured_sides
from ntk_prior.spectrum import Spectrum, spectrum, why_outside
from ntk_prior.task import Task

DEFAULT_THRESHOLD = 0.3
"""A configuration is refused where its weaker side falls below this."""


FITS = 0.75
"""Correlation of outputs and labels, at infinite width, from which a network that does not generalize memorises."""

BOUNDS_ONLY = (
    "under Adam the kernel gives bounds and no probabilities: no score, and only what is out of reach is refused"
)

MUP = "muP changes the features during training, which a fixed kernel does not describe"


class Verdict(StrEnum):
    """What the prior says of a configuration."""

    FEASIBLE = "feasible"
    UNTRAINABLE = "untrainable"
    DIVERGES = "diverges"
    MEMORIZES_ONLY = "memorizes_only"
    OUTSIDE_THEORY = "outside_theory"


_FEASIBLE, _UNTRAINABLE, _DIVERGES, _MEMORIZES_ONLY, _OUTSIDE_THEORY = range(len(Verdict))
"""Indices into ``tuple(Verdict)``."""


@dataclass(frozen=True)
class Feasibility:
    """Two probabilities with their cause; never merged but by taking the weaker one.

    Attributes:
        trainability: Probability that the network trains within the budget, see ``outcomes.TRAINED``; None outside the
            theory. Under Adam, a bound on the correlation between outputs and training labels where that is out of
            reach, else None.
        generalization: Probability that it generalizes if it trains, see ``outcomes.GENERALIZES``; None outside the
            theory and under Adam.
        verdict: Which side binds, if any.
        architecture, task, budget: What was judged; None where no architecture could be formed.
        silence: Why the theory says nothing, or None.
        sides: Both sides by the theory alone, with what is behind them; None outside the theory.
        calibration: What made probabilities of them.
        measured: The spectrum it was judged by, where that was not the predictor's.
    """

    trainability: float | None
    generalization: float | None
    verdict: Verdict
    architecture: Architecture | None
    task: Task
    budget: Budget
    silence: str | None = None
    sides: Sides | None = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    measured: MeasuredSpectrum | None = field(default=None, repr=False, compare=False)

    @property
    def score(self) -> float | None:
        """The weaker of the sides that are known; None where neither is."""
        return min((side for side in (self.trainability, self.generalization) if side is not None), default=None)

    @cached_property
    def reason(self) -> str:
        """The binding limit in words and numbers (computed when asked for, about a millisecond)."""
        if self.silence is not None or self.sides is None or self.calibration is None:
            return self.silence or "no architecture"
        if self.measured is not None:
            judged = (self.architecture, self.task, self.budget, self.sides)
            return reason_from_spectrum(self.verdict, self.measured, *judged, self.calibration, DEFAULT_THRESHOLD)
        assert self.architecture is not None, "the predictor's sides are those of an architecture"
        found = (self.architecture, self.task, self.budget, self.sides)
        return reason_for(self.verdict, *found, self.calibration, DEFAULT_THRESHOLD)

    @cached_property
    def suggestion(self) -> str | None:
        """The nearest changes of a single parameter that would make it feasible, or None (computed when asked for)."""
        settled = self.verdict in (Verdict.FEASIBLE, Verdict.OUTSIDE_THEORY)
        if self.architecture is None or self.calibration is None or settled:
            return None
        return nearest_fix(self.architecture, self.task, self.budget, self.calibration, DEFAULT_THRESHOLD)

    @cached_property
    def spectrum(self) -> Spectrum | MeasuredSpectrum | None:
        """The NTK spectrum behind the verdict (computed when asked for); None outside the theory."""
        if self.measured is not None:
            return self.measured
        return None if self.architecture is None or self.sides is None else spectrum(self.architecture, self.task)


def feasibility(
    architecture: Architecture, task: Task, budget: Budget, calibration: Calibration | None = None
) -> Feasibility:
    """Judge one configuration.

    Args:
        architecture: The network at initialisation.
        task: Summary of the data.
        budget: The training run.
        calibration: Makes probabilities of the theory's sides; the shipped one by default.

    Returns:
        The verdict; ``outside_theory`` where the theory does not apply.

    Raises:
        TypeError: If an argument has the wrong type.
    """
    require_instance("architecture", architecture, Architecture)
    require_instance("task", task, Task)
    require_instance("budget", budget, Budget)
    why = silence(architecture, task, budget)
    if why:
        return outside_theory(why, task, budget, architecture)
    return _judged(sides(architecture, task, budget), architecture, task, budget, calibration)


def feasibility_from_spectrum(
    spectrum: MeasuredSpectrum,
    task: Task,
    budget: Budget,
    *,
    architecture: Architecture | None = None,
    calibration: Calibration | None = None,
) -> Feasibility:
    """Judge a network by a spectrum that was measured on real inputs: any architecture, batch norm and attention too.

    Args:
        spectrum: From ``measured_spectrum`` or ``exact.spectrum``. It is carried to the task's number of samples.
        task: Summary of the data.
        budget: The training run. Without ``architecture`` the spectrum is that of the very network to be trained, in
            its own parametrization and width, and ``learning_rate`` acts on it as it is.
        architecture: The network, where the spectrum is that of its infinitely wide limit in the NTK parametrization;
            ``budget.width`` then counts as in ``feasibility``.
        calibration: As for ``feasibility``.

    Returns:
        The verdict; ``outside_theory`` under muP, whose features change during training.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If classes disagree, or Adam's verdict lacks the number of parameters.
    """
    require_instance("spectrum", spectrum, MeasuredSpectrum)
    require_instance("task", task, Task)
    require_instance("budget", budget, Budget)
    if budget.parametrization == "mup":
        return outside_theory(MUP, task, budget, architecture)
    if budget.unknown:
        return outside_theory(budget.unknown, task, budget, architecture)
    found = measured_sides(spectrum, task, budget, architecture)
    return replace(_judged(found, architecture, task, budget, calibration), measured=spectrum)


def _judged(
    found: Sides, architecture: Architecture | None, task: Task, budget: Budget, calibration: Calibration | None
) -> Feasibility:
    used = calibration or shipped_calibration()
    judged = used.of(found, architecture, budget)
    verdict = list(Verdict)[int(verdict_codes(judged))]
    trainability, generalization = (None if math.isnan(side) else side for side in judged[:2])
    return Feasibility(
        trainability,
        generalization,
        verdict,
        architecture,
        task,
        budget,
        silence=BOUNDS_ONLY if verdict is Verdict.OUTSIDE_THEORY else None,
        sides=found,
        calibration=used,
    )


def outside_theory(why: str, task: Task, budget: Budget, architecture: Architecture | None = None) -> Feasibility:
    """The silent verdict, with its reason."""
    return Feasibility(None, None, Verdict.OUTSIDE_THEORY, architecture, task, budget, silence=why)


def silence(architecture: Architecture, task: Task, budget: Budget) -> str | None:
    """Why the theory says nothing of a configuration, or None where it speaks."""
    if budget.parametrization == "mup":
        return MUP
    return budget.unknown or why_outside(architecture, task)


def verdict_codes(found: Sides, threshold: float = DEFAULT_THRESHOLD) -> NDArray[np.int8]:
    """Verdicts for one or many configurations, as indices into ``tuple(Verdict)``.

    Args:
        found: Both sides, calibrated; ``outside_theory`` where both are NaN.
        threshold: What either side must reach.
    """
    unknown = np.isnan(found.trainability) & np.isnan(found.generalization)
    untrained = np.where(np.asarray(found.stability) < threshold, _DIVERGES, _UNTRAINABLE)
    # Nothing is memorised by what is hardly learnt: deep ordered networks fall short on both sides.
    fits = np.asarray(found.learnt) >= FITS
    trained = np.where(
        np.asarray(found.generalization) < threshold, np.where(fits, _MEMORIZES_ONLY, _UNTRAINABLE), _FEASIBLE
    )
    judged = np.where(np.asarray(found.trainability) < threshold, untrained, trained)
    return np.where(unknown, _OUTSIDE_THEORY, judged).astype(np.int8)
