"""What is tuned: names of metrics, their directions, and the losses in a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ntk_prior.checks import require_choice, shown

MODES = ("min", "max")


def require_objective(metric: Any, mode: Any) -> None:
    """Check the metric and mode of an experiment; None stands for what is not known yet.

    Raises:
        TypeError: If they are neither strings nor lists of strings of one length.
        ValueError: If a mode is neither ``"min"`` nor ``"max"``.
    """
    for name, value in (("metric", metric), ("mode", mode)):
        if value is not None and not all(isinstance(one, str) for one in _as_list(value)):
            raise TypeError(f"{name}: expected a string or a list of strings, received {shown(value)}")
    for one in _as_list(mode):
        require_choice("mode", one, MODES)
    if metric is None or mode is None:
        return
    if isinstance(metric, str) != isinstance(mode, str) or len(_as_list(metric)) != len(_as_list(mode)):
        raise TypeError(f"metric and mode: expected one mode for each metric, received {shown(metric)} and {mode!r}")


def read_metrics(result: Mapping[str, Any] | None, metric: Any) -> dict[str, float] | None:
    """The metrics in a flat result as floats; None if one is missing or not finite."""
    values = {}
    for name in _as_list(metric):
        try:
            values[name] = float((result or {})[name])
        except (KeyError, OverflowError, TypeError, ValueError):
            return None
        if not math.isfinite(values[name]):
            return None
    return values


def to_losses(values: Mapping[str, float], mode: Any) -> tuple[float, ...]:
    """The metrics' values, turned so that lower is better."""
    directions = zip(values.values(), _as_list(mode), strict=True)
    return tuple(-value if direction == "max" else value for value, direction in directions)


def worst_losses(metric: Any) -> tuple[float, ...]:
    """The losses of a trial that failed."""
    return (math.inf,) * len(_as_list(metric))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
