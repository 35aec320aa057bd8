"""What tuners ask of a prior, and what it answers."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol, runtime_checkable

from ntk_prior.configuration import Configuration
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD, Verdict


class Judgement(Protocol):
    """What a prior says of one configuration; ``Feasibility`` is one."""

    @property
    def score(self) -> float | None:
        """In [0, 1], near 1 is good; None where the prior is silent."""

    @property
    def verdict(self) -> str:
        """One of ``Verdict``."""

    @property
    def reason(self) -> str:
        """Why, in words."""


class Prior(Protocol):
    """Anything that judges a configuration; ``NTKPrior`` is one."""

    def __call__(self, config: Configuration, /) -> Judgement:
        """Judge one configuration."""


@runtime_checkable
class PriorWithThreshold(Prior, Protocol):
    """A prior whose verdicts depend on a threshold; ``NTKPrior`` is one."""

    threshold: float

    def with_threshold(self, threshold: float, /) -> Prior:
        """The same prior, judging with another threshold."""


class Silence(NamedTuple):
    """The judgement of a prior that has nothing to say, or that failed."""

    reason: str
    failed: bool = False
    score: float | None = None
    verdict: str = Verdict.OUTSIDE_THEORY

    @property
    def kind(self) -> str:
        """What reasons have in common that differ in values only: of a prior that failed, the type of the error."""
        return ":".join(self.reason.split(":")[:2]) if self.failed else self.reason


def score_of(judgement: Judgement) -> float | None:
    """The score as a finite float; None where the prior is silent."""
    return _finite(judgement.score)


def rank_of(judgement: Judgement) -> float | None:
    """What draws that are let through compete by: the expected score where there is one, else the score.

    A probability near 1 tells good configurations apart from hopeless ones, but not from one another.
    """
    expected = _finite(getattr(judgement, "expected_score", None))
    return score_of(judgement) if expected is None else expected


def is_expected(judgement: Judgement) -> bool:
    """Whether it competes by an expected score, which is not to be compared with a probability."""
    return rank_of(judgement) != score_of(judgement)


def error_of(judgement: Judgement) -> float:
    """Standard deviation of what becomes of trainings from what it competes by; 0 where that is not known."""
    return _finite(getattr(judgement, "score_error", None)) or 0.0


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)


def own_threshold(prior: Prior) -> float:
    """The threshold that a prior judges with; ``DEFAULT_THRESHOLD`` for one that has none."""
    return float(prior.threshold) if isinstance(prior, PriorWithThreshold) else DEFAULT_THRESHOLD


def with_threshold(prior: Prior, threshold: float) -> Prior:
    """The prior judging with a threshold, so that its verdicts agree with a ``Screen`` that has the same one.

    A prior that has this threshold already, or that has none, is returned as it is.

    Raises:
        TypeError, ValueError: If an ``NTKPrior`` does not take the threshold.
    """
    if not isinstance(prior, PriorWithThreshold) or prior.threshold == threshold:
        return prior
    return prior.with_threshold(threshold)


def ask(prior: Prior, config: Configuration | None) -> Judgement:
    """Ask the prior; if it fails, it counts as silent about this configuration, with the error as the reason.

    Draws may combine values that the user's code never combines (``pooling`` of a network without pixels), so an
    error here must not end a study.
    """
    if config is None:
        return Silence("not all of the configuration is known before the trial runs")
    try:
        return prior(config)
    except Exception as error:
        return Silence(f"the prior failed: {type(error).__name__}: {error}", failed=True)
