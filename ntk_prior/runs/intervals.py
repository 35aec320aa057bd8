"""Shares with an error bar."""

from __future__ import annotations

import math
from typing import NamedTuple

LEVEL = 0.95
"""Probability that an error bar covers."""


class Interval(NamedTuple):
    """A number with its error bar.

    Attributes:
        value: The estimate; NaN for none.
        low, high: Ends of the error bar, which covers ``LEVEL``.
    """

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """The same number in other units."""
        return Interval(*(factor * one for one in self))

    def __str__(self) -> str:
        value, low, high = (f"{one:.0f}" if one >= 9.95 else f"{one:.1f}" for one in self)
        return f"{value} ({low} to {high})"


def share(hits: int, n: int) -> Interval:
    """A share of n trials, with the equal-tailed interval of Jeffreys' prior, Beta(1/2, 1/2).

    Args:
        hits: Trials that count.
        n: All trials; 0 gives the share NaN in the interval [0, 1].
    """
    if n == 0:
        return Interval(math.nan, 0.0, 1.0)
    from scipy.special import betaincinv  # takes longer to import than a verdict, which does without

    tail = (1.0 - LEVEL) / 2.0
    a, b = hits + 0.5, n - hits + 0.5
    low = 0.0 if hits == 0 else float(betaincinv(a, b, tail))
    high = 1.0 if hits == n else float(betaincinv(a, b, 1.0 - tail))
    return Interval(hits / n, low, high)
