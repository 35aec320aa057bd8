"""Trials as figures take them, whichever tuner they are from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import median_low
from typing import Any, NamedTuple

from ntk_prior.architecture import Architecture, shown
from ntk_prior.plots.axes import AXES, PREFERRED, Axis, axis_of, is_number
from ntk_prior.prior import NTKPrior
from ntk_prior.screening import Drawn
from ntk_prior.table import FIELDS

FACETS = ("activation", "pooling")
"""Parameters that may take several values, each with a panel of its own."""

MOST_PANELS = 4
"""Panels side by side at most, where the caller does not choose them."""


class Fate(StrEnum):
    """What was done with a configuration, in words."""

    REFUSED = "refused"
    LAUNCHED = "launched"
    AUDITED = "launched: audit"
    UNJUDGED = "launched: the prior was silent"
    UNSEEN = "launched: before the prior could be asked"
    NOTHING_BETTER = "launched: nothing better"
    GIVEN = "launched: yours"
    UNASKED = "launched: the prior was not asked"


_FATES = {
    Drawn.PLAIN: Fate.AUDITED,
    Drawn.BEST_OF_REFUSED: Fate.NOTHING_BETTER,
}


class PlottedTrial(NamedTuple):
    """A configuration that a tuner launched, or that the prior refused.

    Attributes:
        config: Its parameters, by the field names of ``Architecture`` and ``Budget``.
        verdict: What the prior said, one of ``Verdict``; None if it was not asked.
        score: The prior's score; None where it was silent.
        drawn: How the configuration came about; None if nobody knows.
        launched: False for one that the prior refused.
        outcome: What it reached, such as a test accuracy; None if unknown.
        name: What it is called when the mouse is over it, such as ``"trial 17"``.
        failed: Whether it ended without an outcome that counts: with an error, or pruned.
        seconds: How long it ran; None if unknown.
        gated: Whether a gate decided about it after it was drawn, so that it was not drawn again if refused.
    """

    config: Mapping[str, Any]
    verdict: str | None = None
    score: float | None = None
    drawn: Drawn | None = None
    launched: bool = True
    outcome: float | None = None
    name: str = ""
    failed: bool = False
    seconds: float | None = None
    gated: bool = False

    @property
    def fate(self) -> Fate:
        """What was done with it."""
        if not self.launched:
            return Fate.REFUSED
        if self.verdict is None and self.drawn is None:
            return Fate.UNASKED
        if self.drawn is Drawn.ENQUEUED:
            return Fate.GIVEN
        if self.drawn is Drawn.UNSEEN:
            return Fate.UNSEEN
        if self.score is None:
            return Fate.UNJUDGED
        return Fate.LAUNCHED if self.drawn is None else _FATES.get(self.drawn, Fate.LAUNCHED)

    @property
    def audited(self) -> bool:
        """Whether it was launched whatever the prior says of it, so that it can speak against the prior."""
        return self.fate is Fate.AUDITED

    @property
    def unscreened(self) -> bool:
        """Whether the prior has a score of it and had no say in it: as an audit, or since it could not be asked yet."""
        return self.score is not None and self.fate in (Fate.AUDITED, Fate.UNSEEN)

    def held_back(self, threshold: float) -> bool:
        """Whether it was launched without the prior's say and would have been refused."""
        return self.unscreened and self.score is not None and self.score < threshold


def in_fields(params: Mapping[str, Any], prior: NTKPrior | None) -> Mapping[str, Any]:
    """Parameters by the names of the theory, next to their own but for those that are merely called like a field."""
    if prior is None or prior.to_architecture is None:
        return params
    own = {name: value for name, value in params.items() if name not in FIELDS}
    try:
        mapped = prior.to_architecture(params)
        return {**own, **(vars(mapped) if isinstance(mapped, Architecture) else mapped or {})}
    except Exception:  # the user's code, which tuners do not stop for either
        return own


def map_axes(
    trials: Sequence[PlottedTrial], log: Mapping[str, bool], names: Sequence[str] | None = None
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


def slice_through(trials: Sequence[PlottedTrial], x: str, y: str) -> dict[str, Any]:
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
