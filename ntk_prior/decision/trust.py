"""What finished trials say about a prior: how far it is still believed, and which of its verdicts count.

The rank tests are written out: ``scipy.stats`` takes several times as long to import as the whole package, and five to
seven times as long for each trial.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

EVIDENCE_WINDOW = 400
"""Only the latest trials count as evidence: at most so many."""

P_VALUE_SCALE = 10.0
"""Trust is so many times the p-value, and at most 1: p-values above 1/10 leave trust at 1."""

WITHDRAWN_BELOW = 0.5
"""A verdict is withdrawn if the trust in it alone is below this: a p-value of 0.05."""


class Evidence(NamedTuple):
    """What one finished trial says about the prior.

    Attributes:
        score: The prior's score.
        plain: Whether the trial bypassed the prior, so that it ran whatever the prior says of it.
        losses: One for each objective; lower is better, infinity for a trial that failed.
        verdict: The prior's verdict.
        rank: What it competed by, where that was not the score.
    """

    score: float
    plain: bool
    losses: tuple[float, ...]
    verdict: str = ""
    rank: float | None = None


def withdrawn_verdicts(evidence: Sequence[Evidence], threshold: float) -> dict[str, str]:
    """Verdicts that finished trials contradict, each with the reason.

    The trials that would have been held back with one verdict, and that ran because they bypassed the prior, are ranked
    against those that it would have let through, by the test of ``trust_in_refusals``. A verdict returns with later
    evidence.

    Args:
        evidence, threshold: As for ``trust_in_view_of``.
    """
    scores, plain, losses = _columns(evidence)
    passed = scores >= threshold
    audited = plain & ~passed
    withdrawn = {}
    for verdict in sorted({trial.verdict for trial, held in zip(evidence, audited, strict=True) if held}):
        refused = audited & np.array([trial.verdict == verdict for trial in evidence])
        compared = refused | passed
        believed = trust_in_refusals(refused[compared], losses[compared])
        if believed < WITHDRAWN_BELOW:
            withdrawn[verdict] = (
                f"after {len(evidence)} finished trials, the {refused.sum()} audited ones that it would have held back "
                f"did better than the {passed.sum()} that it would have let through "
                f"(p = {believed / P_VALUE_SCALE:.2g})"
            )
    return withdrawn


class Trust(NamedTuple):
    """How far a prior is still believed: 1 for no evidence against it, towards 0 for more.

    Attributes:
        refusals: That what it refuses is worse than what it lets through.
        ranking: That of two trials the one with the higher score does better.
    """

    refusals: float
    ranking: float


def trust_in_view_of(evidence: Sequence[Evidence], threshold: float, withdrawn: Container[str] | None = None) -> Trust:
    """How far a prior is still believed, see ``trust_in_refusals`` and ``trust_in_ranking``.

    If the order of scores is wrong beyond doubt (p below 1 / P_VALUE_SCALE^2), refusals lose trust as well: a tuner
    that has learnt from the trials let through seldom proposes what would be held back, so audits alone would find out
    late. For this, scores are rounded to 0.1: which of two good networks is better says nothing about bad ones.

    Args:
        evidence: The latest ``EVIDENCE_WINDOW`` finished trials at most.
        threshold: That of the ``Screen``.
        withdrawn: ``withdrawn_verdicts`` of these, where that is at hand.
    """
    scores, plain, losses = _columns(evidence)
    ranks = _joint_ranks(losses)
    refusals = trust_in_refusals(plain & (scores < threshold), ranks)
    if withdrawn is None:
        withdrawn = withdrawn_verdicts(evidence, threshold)
    counts = np.array([trial.verdict not in withdrawn for trial in evidence], dtype=bool)
    expected = np.array([trial.rank is not None for trial in evidence], dtype=bool)
    competing = np.array([trial.score if trial.rank is None else trial.rank for trial in evidence], dtype=np.float64)
    # Scores and expected scores do not compete with one another.
    kinds = [counts & kind for kind in (expected, ~expected)]
    ranking = min(trust_in_ranking(competing[kind], losses[kind]) for kind in kinds)
    coarse = trust_in_ranking(np.round(scores[counts], 1), losses[counts])
    return Trust(min(refusals, P_VALUE_SCALE * coarse), ranking)


def trust_in_refusals(held_back: ArrayLike, losses: ArrayLike) -> float:
    """How far refusals are still believed.

    The trials that the prior would have held back, and that ran because they bypassed it, are ranked against those that
    it let through or chose. Trust is ``P_VALUE_SCALE`` times the one-sided p-value of the Mann-Whitney test (normal
    approximation with the corrections for continuity and ties) against "those held back do no better", and at most 1.

    So for a prior that holds back no better trials than it lets through, trust is below t with probability at most
    t / P_VALUE_SCALE at any one time; and where all of ``a`` trials held back beat all of ``b`` others it is
    P_VALUE_SCALE Phi(-(a b - 1) / 2 / sqrt(a b (a + b + 1) / 12)): 0.82 for 1 of 10 trials, 0.14 for 2 of 20, 0.03 for
    3 of 30.

    Args:
        held_back: Shape (n,); whether the prior would have held the trial back.
        losses: Shape (n,) or (n, objectives); lower is better, infinity for a trial that failed. Several objectives
            count by the mean of their ranks.
    """
    held = np.asarray(held_back, dtype=bool)
    a = int(held.sum())
    n = len(held)
    b = n - a
    if not a or not b:
        return 1.0
    ranks = _joint_ranks(losses)
    lost = ranks[held].sum() - a * (a + 1) / 2
    # Each of t equal values adds t^2 - 1 to the sum of t^3 - t over ties.
    first, last = _places(ranks)
    variance = a * b / 12 * (n + 1 - np.sum(np.square(last - first) - 1.0) / (n * (n - 1)))
    if variance <= 0:
        return 1.0
    return _trust_at((lost - a * b / 2 + 0.5) / math.sqrt(variance))


def trust_in_ranking(scores: ArrayLike, losses: ArrayLike) -> float:
    """How far the order of scores is still believed.

    Trust is ``P_VALUE_SCALE`` times the one-sided p-value of Spearman's rank correlation (normal approximation) against
    "higher scores do no worse", and at most 1. Every finished trial counts, screened or not, so an order that is wrong
    shows after some ten of them: trust is 0.42 where 4 trials finish in exactly the opposite order, and 0.013 for 10.

    Args:
        scores: Shape (n,).
        losses: As for ``trust_in_refusals``.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if len(scores) < 2:
        return 1.0
    score_ranks, loss_ranks = _ranks(scores), _joint_ranks(losses)
    x, y = score_ranks - score_ranks.mean(), loss_ranks - loss_ranks.mean()
    spread = math.sqrt(float(x @ x) * float(y @ y))
    if spread == 0.0:
        return 1.0
    correlation = float(x @ y) / spread
    return _trust_at(-correlation * math.sqrt(len(scores) - 1))


def _trust_at(z: float) -> float:
    """Trust where the statistic lies ``z`` standard deviations on the prior's side of what chance gives."""
    return min(1.0, P_VALUE_SCALE / 2 * math.erfc(-z / math.sqrt(2.0)))


def _columns(
    evidence: Sequence[Evidence],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Scores and whether trials bypassed the prior, shape (n,), and losses, shape (n, objectives)."""
    scores = np.array([trial.score for trial in evidence], dtype=np.float64)
    plain = np.array([trial.plain for trial in evidence], dtype=bool)
    return scores, plain, np.array([trial.losses for trial in evidence], dtype=np.float64)


def _joint_ranks(losses: ArrayLike) -> NDArray[np.float64]:
    """Ranks of trials; several objectives count by the mean of their ranks."""
    columns = np.asarray(losses, dtype=np.float64)
    if not columns.size:
        return np.empty(0)
    columns = columns.reshape(len(columns), -1)
    if columns.shape[1] == 1:
        return _ranks(columns[:, 0])
    return _ranks(sum(_ranks(column) for column in columns.T))


def _ranks(values: Any) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean."""
    first, last = _places(np.asarray(values, dtype=np.float64))
    return (first + last + 1) / 2.0


def _places(values: NDArray[np.float64]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Numbers of values that are less, and that are at most as large."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
