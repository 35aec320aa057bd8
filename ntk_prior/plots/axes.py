"""The parameters that figures have on their axes: what they are called, where they lie, how they are spaced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ntk_prior._types import Array
from ntk_prior.architecture import MAX_WEIGHT_VARIANCE, MIN_WEIGHT_VARIANCE
from ntk_prior.checks import is_number, require_choice, shown
from ntk_prior.plots.theme import plain

POINTS = 97
"""Values of a parameter on an axis at most."""


@dataclass(frozen=True)
class Axis:
    """A numeric parameter on an axis.

    Attributes:
        name: That of the field of ``Architecture`` or ``Budget``.
        symbol: In formulas, in Plotly's HTML; empty where the theory has none.
        words: What it is, with its unit where it has one.
        low, high: The range that is shown.
        log: Whether equal ratios take equal lengths.
        whole: Whether it takes whole numbers only.
        least, most: What no margin may pass: the field's own limits.
    """

    name: str
    symbol: str
    words: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    least: float = -math.inf
    most: float = math.inf

    @property
    def title(self) -> str:
        """What stands at the axis."""
        return f"{self.words}, {self.symbol}" if self.symbol else self.words

    @property
    def short(self) -> str:
        """What stands before its values."""
        return self.symbol or self.words

    @property
    def ends(self) -> tuple[float, float]:
        """From where to where it is drawn: whole numbers have cells around them, up to halfway to their neighbours."""
        if not self.whole:
            return self.low, self.high
        if self.log:
            return self.low * math.sqrt(self.low / (self.low + 1)), math.sqrt(self.high * (self.high + 1))
        return self.low - 0.5, self.high + 0.5

    def values(self, points: int = POINTS) -> Array:
        """Values from end to end, increasing, shape (at most points,)."""
        spaced = self._between(self.low, self.high, points)
        return np.unique(np.round(spaced)) if self.whole else spaced

    def positions(self, points: int) -> Array:
        """Where lines pass, fractions of whole numbers among them, from one end of what is drawn to the other."""
        return self._between(*self.ends, points)

    def _between(self, low: float, high: float, points: int) -> Array:
        return np.geomspace(low, high, points) if self.log else np.linspace(low, high, points)

    def holds(self, value: Any) -> bool:
        """Whether a value has a place on it, in its range or beyond."""
        return is_number(value) and (value > 0 or not self.log)

    def spaced(self, log: bool | None) -> Axis:
        """The same axis, logarithmic or not; itself for None."""
        if log is None or log == self.log:
            return self
        return replace(self, log=log, low=self.low or self.high / 1000 if log else self.low)

    def over(self, values: Iterable[Any]) -> Axis:
        """The same axis over the range of some values; itself where they span none."""
        finite = [float(value) for value in values if self.holds(value)]
        low, high = min(finite, default=0.0), max(finite, default=0.0)
        if low >= high:
            return self
        if self.whole:
            return replace(self, low=low, high=high)
        if self.log:
            margin = (high / low) ** 0.03
            return self._within(low / margin, high * margin)
        margin = 0.03 * (high - low)
        return self._within(max(low - margin, 0.0) if low >= 0 else low - margin, high + margin)

    def _within(self, low: float, high: float) -> Axis:
        """The same axis over a range, cut to the field's own limits."""
        return replace(self, low=max(low, self.least), high=min(high, self.most))


AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(
            "weight_variance",
            "σ<sub>w</sub>²",
            "weight variance",
            0.5,
            4.0,
            least=MIN_WEIGHT_VARIANCE,
            most=MAX_WEIGHT_VARIANCE,
        ),
        Axis("bias_variance", "σ<sub>b</sub>²", "bias variance", 0.0, 0.5),
        Axis("depth", "L", "depth (hidden layers)", 1, 64, log=True, whole=True),
        Axis("kernel_size", "k", "kernel size (pixels)", 1, 9, whole=True),
        Axis("slope", "a", "negative slope", 0.0, 1.0, most=1.0),
        Axis("keep_rate", "ρ", "keep rate of dropout", 0.8, 1.0, least=1e-3, most=1.0),
        Axis("residual_scale", "α", "residual scale", 0.05, 2.0, log=True),
        Axis("steps", "t", "training steps", 10, 100_000, log=True, whole=True),
        Axis("learning_rate", "η", "learning rate (of the mean loss)", 1e-3, 1e2, log=True),
        Axis("momentum", "μ", "momentum", 0.0, 0.99, most=0.9999),
        Axis("batch_size", "B", "batch size (examples)", 8, 4096, log=True, whole=True),
        Axis("width", "n", "width (units per layer)", 16, 4096, log=True, whole=True),
    )
}
"""Every numeric field of ``Architecture`` and ``Budget``, by name."""

PREFERRED = tuple(dict.fromkeys(("weight_variance", "depth", "bias_variance", "learning_rate", *AXES)))
"""The same names, those first that a map shows rather than others; the first one on the horizontal axis."""


def axis_of(name: str, values: Iterable[Any], *, log: bool | None = None) -> Axis:
    """The axis of any parameter of a search space, whether the theory knows it or not.

    Args:
        name: The parameter.
        values: What is to be shown of it.
        log: Whether equal ratios take equal lengths; None for what is usual.
    """
    own = Axis(name, "", plain(name), 0.0, 1.0)
    return AXES.get(name, own).spaced(log).over(values)


def axis(
    option: str, name: str, limits: tuple[float, float] | None, values: Iterable[Any], log: bool | None = None
) -> Axis:
    """The axis of one parameter.

    Args:
        option: What the caller names the parameter with.
        name: The parameter.
        limits: The range to be shown; None for that of ``values``, or the usual one where they span none.
        values: What is to be shown of it.
        log: Whether equal ratios take equal lengths; None for what is usual, if the range lets it.

    Raises:
        ValueError: If there is no such parameter, or the range is none.
    """
    usual = AXES[require_choice(option, name, tuple(AXES))].spaced(log)
    if limits is None:
        return usual.over(values)
    if len(limits) != 2 or not all(map(is_number, limits)) or not 0 <= limits[0] < limits[1]:
        raise ValueError(f"ranges: {name}: expected (low, high) with 0 <= low < high, received {shown(limits)}")
    low, high = map(float, limits)
    if log and low == 0:
        raise ValueError(f"ranges: {name}: expected low > 0 on a logarithmic axis, received {shown(limits)}")
    return replace(usual, low=low, high=high, log=usual.log and low > 0)
