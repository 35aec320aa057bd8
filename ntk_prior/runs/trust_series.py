"""How far a study believed its prior as trials finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.decision.trust import EVIDENCE_WINDOW, Evidence, trust_in_view_of, withdrawn_verdicts
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

POINTS = 200
"""Numbers of finished trials at which trust is computed, at most."""


class TrustSeries(NamedTuple):
    """Trust over a study.

    Attributes:
        finished: Finished trials that say something about the prior, shape (k,).
        refusals: Trust in refusals after so many, shape (k,).
        ranking: Trust in the order of scores, shape (k,).
        withdrawn: For each verdict that was withdrawn at some time, whether it was then, shape (k,).
    """

    finished: NDArray[np.int64]
    refusals: Array
    ranking: Array
    withdrawn: Mapping[str, NDArray[np.bool_]]


def compute_trust_series(evidence: Sequence[Evidence], threshold: float = DEFAULT_THRESHOLD) -> TrustSeries:
    """Trust after each finished trial, or after so many of them as make ``POINTS``.

    Args:
        evidence: What each finished trial says, in their order.
        threshold: Lower scores are refused.
    """
    n = len(evidence)
    counts = np.unique(np.linspace(0, n, min(n, POINTS) + 1).round().astype(np.int64))
    windows = [evidence[max(0, count - EVIDENCE_WINDOW) : count] for count in counts]
    trust = [trust_in_view_of(window, threshold) for window in windows]
    gone = [withdrawn_verdicts(window, threshold).keys() for window in windows]
    verdicts = sorted({verdict for one in gone for verdict in one})
    return TrustSeries(
        counts,
        np.array([one.refusals for one in trust]),
        np.array([one.ranking for one in trust]),
        {verdict: np.array([verdict in one for one in gone]) for verdict in verdicts},
    )
