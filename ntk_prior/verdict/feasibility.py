"""The verdict on one configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_instance, require_real
from ntk_prior.task.task import Task
from ntk_prior.theory.coverage import MUP, silence
from ntk_prior.theory.measured import MeasuredSpectrum
from ntk_prior.theory.spectrum import Spectrum, spectrum
from ntk_prior.verdict.calibration import (
    TOO_FAST_COLLAPSES,
    TOO_FAST_DIVERGES,
    Calibration,
    Probabilities,
    shipped_calibration,
)
from ntk_prior.verdict.estimates import Estimates, estimate, estimates_from_spectrum
from ntk_prior.verdict.practice import MIN_SUPPORT
from ntk_prior.verdict.reasons import Case, reason_for, reason_from_spectrum
from ntk_prior.verdict.suggestions import nearest_fix

DEFAULT_THRESHOLD = 0.3
"""A configuration is refused if its score, the smaller of its two probabilities, is below this."""

FITS = 0.75
"""A network that does not generalize memorizes if its outputs correlate with the training labels by at least this, at
infinite width."""

BOUNDS_ONLY = (
    "under Adam the kernel gives bounds and no probabilities: no score, and only what is out of reach is refused; with "
    "learning_rate, width, the usual betas and parametrization='standard' recorded trainings give both"
)


class Verdict(StrEnum):
    """What the prior says of a configuration."""

    FEASIBLE = "feasible"
    UNTRAINABLE = "untrainable"
    DIVERGES = "diverges"
    COLLAPSES = "collapses"
    MEMORIZES_ONLY = "memorizes_only"
    OUTSIDE_THEORY = "outside_theory"


_FEASIBLE, _UNTRAINABLE, _DIVERGES, _COLLAPSES, _MEMORIZES_ONLY, _OUTSIDE_THEORY = range(len(Verdict))
"""Indices into ``tuple(Verdict)``."""


@dataclass(frozen=True)
class Feasibility:
    """Two probabilities and the verdict that they lead to. The only combined number is ``score``, the smaller one.

    Attributes:
        trainability: Probability that the network trains within the budget, see ``outcomes.TRAINED``; None outside the
            theory and without support. Under Adam in the NTK parametrization, a bound on the correlation between
            outputs and training labels where that is out of reach, else None.
        generalization: Probability that it generalizes if it trains, see ``outcomes.GENERALIZES``; None outside the
            theory and without support.
        verdict: ``feasible`` if neither is below ``threshold``; otherwise which of them is, and why.
        architecture, task, budget: What was judged; ``architecture`` is None if there is none to judge.
        outside_reason: Why the theory says nothing, or None.
        estimates: The theory's own estimates, before calibration; None outside the theory.
        calibration: What made probabilities of them.
        measured: The spectrum it was judged by, if that was not the predictor's.
        threshold: What both probabilities must reach.
        support: How well recorded trainings cover a training in the standard parametrization, in [0, 1]; below
            ``practice.MIN_SUPPORT`` there is no score. None where theory speaks, see ``practice.is_covered``.
        expected_score: The test score that is expected, relative to the best known on a task: 0 is chance. By this
            draws compete. None where it is not known.
        score_error: Standard deviation of scores from that.
    """

    trainability: float | None
    generalization: float | None
    verdict: Verdict
    architecture: Architecture | None
    task: Task
    budget: Budget
    outside_reason: str | None = None
    estimates: Estimates | None = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    measured: MeasuredSpectrum | None = field(default=None, repr=False, compare=False)
    threshold: float = DEFAULT_THRESHOLD
    support: float | None = None
    expected_score: float | None = None
    score_error: float | None = None

    @property
    def score(self) -> float | None:
        """The smaller of the probabilities that are known; None where neither is."""
        return min((p for p in (self.trainability, self.generalization) if p is not None), default=None)

    @cached_property
    def reason(self) -> str:
        """The binding limit in words and numbers (computed when asked for, about a millisecond)."""
        if self.outside_reason is not None or self.estimates is None or self.calibration is None:
            return self.outside_reason or "no architecture"
        found = (self.estimates, self.calibration, self.threshold)
        case = Case(self.verdict, self.architecture, self.task, self.budget, *found)
        return reason_for(case) if self.measured is None else reason_from_spectrum(case, self.measured)

    @cached_property
    def suggestion(self) -> str | None:
        """The nearest changes of a single parameter that would make it feasible, or None (computed when asked for)."""
        settled = self.verdict in (Verdict.FEASIBLE, Verdict.OUTSIDE_THEORY)
        if self.architecture is None or self.calibration is None or settled:
            return None
        return nearest_fix(self.architecture, self.task, self.budget, self.calibration, self.threshold)

    def with_threshold(self, threshold: float) -> Feasibility:
        """The same configuration judged with another threshold.

        Args:
            threshold: What both probabilities must reach.

        Raises:
            TypeError: If it is no number.
            ValueError: If it lies outside [0, 1].
        """
        limit = require_real("threshold", threshold, 0.0, 1.0)
        if limit == self.threshold:
            return self
        if self.estimates is None or self.calibration is None:
            return replace(self, verdict=self._verdict_at(limit), threshold=limit)
        again = _judge(self.estimates, self.architecture, self.task, self.budget, self.calibration, limit)
        return replace(again, measured=self.measured)

    def _verdict_at(self, threshold: float) -> Verdict:
        """The verdict where nothing but the probabilities is known."""
        if self.score is None or (self.score < threshold) == (self.score < self.threshold):
            return self.verdict
        if self.score >= threshold:
            return Verdict.FEASIBLE
        fails_to_train = self.trainability is not None and self.trainability < threshold
        return Verdict.UNTRAINABLE if fails_to_train else Verdict.MEMORIZES_ONLY

    @cached_property
    def spectrum(self) -> Spectrum | MeasuredSpectrum | None:
        """The NTK spectrum behind the verdict (computed when asked for); None outside the theory."""
        if self.measured is not None:
            return self.measured
        return None if self.architecture is None or self.estimates is None else spectrum(self.architecture, self.task)


def feasibility(
    architecture: Architecture,
    task: Task,
    budget: Budget,
    calibration: Calibration | None = None,
    *,
    threshold: float = DEFAULT_THRESHOLD,
) -> Feasibility:
    """Judge one configuration.

    Example:
        >>> import ntk_prior as ntp
        >>> task, budget = ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128)
        >>> deep = ntp.Architecture(weight_variance=1.7, bias_variance=0.1, depth=64)
        >>> ntp.feasibility(deep, task, budget).verdict
        <Verdict.MEMORIZES_ONLY: 'memorizes_only'>
        >>> shallow = ntp.Architecture(weight_variance=1.7, bias_variance=0.1, depth=3)
        >>> ntp.feasibility(shallow, task, budget).verdict
        <Verdict.FEASIBLE: 'feasible'>

    Args:
        architecture: The network at initialisation.
        task: Summary of the data.
        budget: The training run.
        calibration: Makes probabilities of the theory's estimates; the shipped one by default.
        threshold: The verdict is ``feasible`` only if both probabilities reach this.

    Returns:
        The verdict; ``outside_theory`` where the theory does not apply.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``threshold`` lies outside [0, 1].
    """
    require_instance("architecture", architecture, Architecture)
    require_instance("task", task, Task)
    require_instance("budget", budget, Budget)
    limit = require_real("threshold", threshold, 0.0, 1.0)
    budget = budget.in_steps(task.n_train)
    why = silence(architecture, task, budget)
    if why:
        return outside_theory(why, task, budget, architecture, threshold=limit)
    return _judge(estimate(architecture, task, budget), architecture, task, budget, calibration, limit)


def feasibility_from_spectrum(
    spectrum: MeasuredSpectrum,
    task: Task,
    budget: Budget,
    *,
    architecture: Architecture | None = None,
    calibration: Calibration | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> Feasibility:
    """Judge a network by a spectrum that was measured on real inputs: any architecture, batch norm and attention too.

    Example:
        >>> import numpy as np, ntk_prior as ntp
        >>> random = np.random.default_rng(0)
        >>> y = np.arange(100) % 2
        >>> x = random.normal(size=(100, 20)) + y[:, None]
        >>> measured = ntp.measured_spectrum(x @ x.T + np.eye(100), y)
        >>> found = ntp.feasibility_from_spectrum(measured, ntp.Task.from_arrays(x, y), ntp.Budget(steps=1_000))
        >>> found.verdict
        <Verdict.FEASIBLE: 'feasible'>

    Args:
        spectrum: From ``measured_spectrum`` or ``exact.spectrum``. It is carried to the task's number of samples.
        task: Summary of the data.
        budget: The training run. Without ``architecture`` the spectrum is that of the very network to be trained, in
            its own parametrization and width, and ``learning_rate`` acts on it as it is.
        architecture: The network, where the spectrum is that of its infinitely wide limit in the NTK parametrization;
            ``budget.width`` then counts as in ``feasibility``.
        calibration, threshold: As for ``feasibility``.

    Returns:
        The verdict; ``outside_theory`` under muP, whose features change during training.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If classes disagree, Adam's verdict lacks the number of parameters, or ``threshold`` lies outside
            [0, 1].
    """
    require_instance("spectrum", spectrum, MeasuredSpectrum)
    require_instance("task", task, Task)
    require_instance("budget", budget, Budget)
    limit = require_real("threshold", threshold, 0.0, 1.0)
    budget = budget.in_steps(task.n_train)
    why = MUP if budget.parametrization == "mup" else budget.unknown
    if why:
        return outside_theory(why, task, budget, architecture, threshold=limit)
    found = estimates_from_spectrum(spectrum, task, budget, architecture)
    return replace(_judge(found, architecture, task, budget, calibration, limit), measured=spectrum)


def _judge(
    found: Estimates,
    architecture: Architecture | None,
    task: Task,
    budget: Budget,
    calibration: Calibration | None,
    threshold: float,
) -> Feasibility:
    used = calibration or shipped_calibration()
    single = used.probabilities(found, architecture, budget, task)
    known = hide_idle_bounds(Probabilities(*map(np.asarray, single)), threshold)
    verdict = list(Verdict)[int(verdict_codes(known, threshold))]
    numbers = (None if math.isnan(number) else float(number) for number in known)
    named = dict(zip(Probabilities._fields, numbers, strict=True))
    trainability, generalization = named["trainability"], named["generalization"]
    why = None
    if verdict is Verdict.OUTSIDE_THEORY:
        unlike = (
            used.unlike(found, architecture, budget, task)
            if architecture is not None and named["support"] is not None
            else []
        )
        why = _why_silent(named["support"], architecture, budget, unlike)
    return Feasibility(
        trainability=trainability,
        generalization=generalization,
        verdict=verdict,
        architecture=architecture,
        task=task,
        budget=budget,
        outside_reason=why,
        estimates=found,
        calibration=used,
        threshold=threshold,
        support=named["support"],
        expected_score=named["expected_score"],
        score_error=named["score_error"],
    )


def _why_silent(support: float | None, architecture: Architecture | None, budget: Budget, unlike: list[str]) -> str:
    """Why a configuration that the theory covers has no score; with the fields that are beyond all recorded ones."""
    if support is None:
        return BOUNDS_ONLY
    if unlike:
        values = (
            f"{name} {getattr(budget if hasattr(budget, name) else architecture, name) or 'of the full batch'}"
            for name in unlike
        )
        return f"no score without evidence: {', '.join(values)}: beyond all recorded trainings (support {support:.2g})"
    return (
        f"no score without evidence: of the recorded trainings only {100 * support:.1g} % are less like the others "
        f"than this one would be (support {support:.2g} < {MIN_SUPPORT:g})"
    )


def outside_theory(
    why: str,
    task: Task,
    budget: Budget,
    architecture: Architecture | None = None,
    *,
    threshold: float = DEFAULT_THRESHOLD,
) -> Feasibility:
    """The silent verdict, with its reason."""
    return Feasibility(
        trainability=None,
        generalization=None,
        verdict=Verdict.OUTSIDE_THEORY,
        architecture=architecture,
        task=task,
        budget=budget,
        outside_reason=why,
        threshold=threshold,
    )


def hide_idle_bounds(known: Probabilities[Array], threshold: float) -> Probabilities[Array]:
    """Probabilities without the bounds of Adam that are not below the threshold, and so say nothing."""
    idle = np.isnan(known.generalization) & (known.trainability >= threshold)
    return known._replace(trainability=np.where(idle, np.nan, known.trainability))


def verdict_codes(known: Probabilities[Array], threshold: float = DEFAULT_THRESHOLD) -> NDArray[np.int8]:
    """Verdicts on one or many configurations, as indices into ``tuple(Verdict)``.

    Args:
        known: Their probabilities; ``outside_theory`` where both are NaN.
        threshold: What both must reach.
    """
    unknown = np.isnan(known.trainability) & np.isnan(known.generalization)
    untrained = np.where(known.stability < threshold, _DIVERGES, _UNTRAINABLE)
    untrained = np.where(known.fault == TOO_FAST_COLLAPSES, _COLLAPSES, untrained)
    untrained = np.where(known.fault == TOO_FAST_DIVERGES, _DIVERGES, untrained)
    # What is hardly learnt is not memorized: deep ordered networks neither train nor generalize.
    fits = known.learnt >= FITS
    trained = np.where(known.generalization < threshold, np.where(fits, _MEMORIZES_ONLY, _UNTRAINABLE), _FEASIBLE)
    judged = np.where(known.trainability < threshold, untrained, trained)
    return np.where(unknown, _OUTSIDE_THEORY, judged).astype(np.int8)
