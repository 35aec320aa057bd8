"""A trial of any tuner: what it ran, what the prior said, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from ntk_prior.architecture import Architecture
from ntk_prior.configuration import FIELDS
from ntk_prior.decision.draws import Drawn
from ntk_prior.prior import NTKPrior


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


class RunTrial(NamedTuple):
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

    def loss(self, maximize: bool) -> float:
        """What trials are ordered by, the least first; infinity for one that failed or has no outcome.

        Args:
            maximize: Whether larger outcomes are better.
        """
        if self.failed or self.outcome is None or math.isnan(self.outcome):
            return math.inf
        return -self.outcome if maximize else self.outcome


PlottedTrial = RunTrial
"""The public name of ``RunTrial``."""


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
