"""Scores next to what became of the trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.runs.intervals import Interval, share
from ntk_prior.runs.trial import Fate, RunTrial
from ntk_prior.verdict.outcomes import GENERALIZES, Reliability, reliability

BINS = 5
"""Equal parts of [0, 1] in which scores are compared with frequencies."""


class ScoredOutcomes(NamedTuple):
    """Finished trials of which the prior had a score.

    Attributes:
        trials: The trials, n of them.
        score: Shape (n,).
        outcome: Shape (n,); NaN for a trial that failed.
        good: Whether each is at ``good_from`` or beyond, shape (n,).
        audited: Whether each bypassed the prior, shape (n,).
        unseen: Whether each was launched before the prior could be asked, shape (n,).
        maximize: Whether larger outcomes are better.
        good_from: The outcome from which a trial counts as good; NaN without any.
        reliability: How well the score predicted ``good``.
        intervals: The share of good trials in each bin of ``reliability.curve``.
    """

    trials: tuple[RunTrial, ...]
    score: Array
    outcome: Array
    good: NDArray[np.bool_]
    audited: NDArray[np.bool_]
    unseen: NDArray[np.bool_]
    maximize: bool
    good_from: float
    reliability: Reliability
    intervals: tuple[Interval, ...]


def score_outcomes(
    trials: Sequence[RunTrial], *, maximize: bool = True, good_from: float | None = None
) -> ScoredOutcomes:
    """What finished trials say of the scores that they were launched with.

    Args:
        trials: Any trials; refused, unscored and running ones are left out.
        maximize: Whether larger outcomes are better.
        good_from: The outcome from which a trial counts as good; None for ``halfway``.
    """
    chosen = tuple(t for t in trials if t.launched and t.score is not None and (t.failed or t.outcome is not None))
    score = np.array([trial.score for trial in chosen], dtype=np.float64)
    outcome = np.array([np.nan if t.failed or t.outcome is None else t.outcome for t in chosen], dtype=np.float64)
    limit = halfway(outcome, maximize) if good_from is None else good_from
    good = (outcome >= limit) if maximize else (outcome <= limit)
    found = reliability(score, good, BINS)
    intervals = tuple(share(round(frequency * n), int(n)) for _, frequency, n in found.curve)
    audited, unseen = (
        np.array([trial.fate is fate for trial in chosen], dtype=bool) for fate in (Fate.AUDITED, Fate.UNSEEN)
    )
    return ScoredOutcomes(chosen, score, outcome, good, audited, unseen, maximize, limit, found, intervals)


def halfway(outcomes: Array, maximize: bool = True) -> float:
    """The outcome half of the way from the worst to the best; NaN for none.

    That is what ``outcomes.GENERALIZES`` asks of accuracies, where the worst trials are at chance. Outliers among the
    worst, such as losses that diverged, are passed over as the whiskers of a box plot do.

    Args:
        outcomes: Shape (n,); NaN is passed over.
        maximize: Whether larger ones are better.
    """
    losses = np.sort((-1.0 if maximize else 1.0) * outcomes[np.isfinite(outcomes)])
    if not losses.size:
        return np.nan
    lower, upper = np.quantile(losses, [0.25, 0.75])
    worst = losses[losses <= upper + 1.5 * (upper - lower)][-1]
    limit = worst + GENERALIZES * (losses[0] - worst)
    return float(-limit if maximize else limit)
