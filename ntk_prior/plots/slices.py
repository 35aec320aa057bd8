"""Which parameters a map of trials shows, and where it cuts through the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any

from ntk_prior.checks import is_number, shown
from ntk_prior.configuration import FIELDS
from ntk_prior.plots.axes import AXES, PREFERRED, Axis, axis_of
from ntk_prior.runs.trial import RunTrial

FACETS = ("activation", "pooling")
"""Parameters that may take several values, each with a panel of its own."""

MOST_PANELS = 4
"""Panels side by side at most, where the caller does not choose them."""


def map_axes(
    trials: Sequence[RunTrial], log: Mapping[str, bool], names: Sequence[str] | None = None
) -> tuple[Axis, Axis] | None:
    """The two parameters that a map of a run shows; None where it has no two.

    Args:
        trials: What is shown of them.
        log: The numeric parameters that the run's search space is known to have, and whether it is logarithmic in them.
        names: The parameters; None for two that vary, those first that the theory knows, or else any two of ``log``.

    Raises:
        ValueError: If ``names`` are not two numeric parameters.
    """
    own = sorted({name for trial in trials for name in trial.config}, key=str)
    values = {name: [trial.config.get(name) for trial in trials] for name in (*PREFERRED, *own, *sorted(log))}
    vary = [name for name, found in values.items() if len({value for value in found if is_number(value)}) > 1]
    candidates = list(dict.fromkeys([*vary, *sorted(log)]))
    if names is not None:
        if len(names) != 2 or names[0] == names[1] or not {*names} <= {*candidates}:
            raise ValueError(f"params: expected two of {', '.join(candidates)}, received {shown(list(names))}")
        candidates = list(names)
    if len(candidates) < 2:
        return None
    x, y = (axis_of(name, values[name], log=log.get(name)) for name in candidates[:2])
    return x, y


def slice_through(trials: Sequence[RunTrial], x: str, y: str) -> dict[str, Any]:
    """The parameters of a map over two others that lies in the middle of some trials.

    Args:
        trials: The trials.
        x, y: The parameters of the map.

    Returns:
        The median of each number, the most frequent one of any other value, and as a list the most frequent ones of
        ``FACETS`` where there are several.
    """
    found: dict[str, Any] = {}
    for name in FIELDS:
        values = [trial.config[name] for trial in trials if trial.config.get(name) is not None]
        if not values or name in (x, y):
            continue
        if name in FACETS:
            several = sorted((value for value, _ in Counter(values).most_common(MOST_PANELS)), key=str)
            found[name] = several if len(several) > 1 else several[0]
        elif name in AXES and all(map(is_number, values)):
            found[name] = median_low(values)
        else:
            found[name] = Counter(values).most_common(1)[0][0]
    if found.get("kind", "fcn") == "fcn":
        found.pop("pooling", None)
    return found
