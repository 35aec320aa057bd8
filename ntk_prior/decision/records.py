"""What is kept of decisions: with the trial that was launched, and of the draws refused before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ntk_prior.decision.draws import Drawn, Scored
from ntk_prior.decision.judgement import Judgement, is_expected, rank_of, score_of
from ntk_prior.decision.trust import Evidence

ATTRIBUTE = "ntk_prior"
"""Under which name tuners keep what the prior said of a trial."""

LONGEST_REASON = 500


class RefusedDraw(NamedTuple):
    """A configuration that was refused, and what the prior said of it.

    Attributes:
        config: Its parameters; those that JSON does not know, in words.
        verdict: The verdict.
        score: The score.
        reason: The reason; empty if it was not kept, since wording takes longer than judging: ask the prior again.
    """

    config: Mapping[str, Any]
    verdict: str
    score: float
    reason: str = ""

    @classmethod
    def from_scored(cls, scored: Scored[Any]) -> RefusedDraw:
        """What is kept of a refused draw; its reason only if that has been worded already."""
        config = {name: _plain(value) for name, value in (scored.draw.config or {}).items()}
        reason = getattr(scored.judgement, "__dict__", {}).get("reason", "")
        return cls(config, _shortened(scored.judgement.verdict), scored.score, _shortened(reason))


class Record(NamedTuple):
    """What is kept with a trial.

    Attributes:
        score: The prior's score, or None where it was silent.
        verdict: Its verdict.
        reason: Its reason.
        drawn: How the configuration came about.
        gated: Whether a gate looked at the configuration after it was drawn.
        refused: Whether the trial was stopped before it was launched; then it says nothing about the prior.
        rank: What it competed by, see ``judgement.rank_of``; None where that was its score.
    """

    score: float | None
    verdict: str
    reason: str
    drawn: Drawn
    gated: bool = False
    refused: bool = False
    rank: float | None = None

    @classmethod
    def from_judgement(
        cls, judgement: Judgement, drawn: Drawn, *, gated: bool = False, refused: bool = False
    ) -> Record:
        """The record of one judgement."""
        reason = _shortened(judgement.reason)
        rank = rank_of(judgement) if is_expected(judgement) else None
        return cls(score_of(judgement), _shortened(judgement.verdict), reason, drawn, gated, refused, rank)

    def as_evidence(self, losses: tuple[float, ...]) -> Evidence | None:
        """What the finished trial says about the prior; None where nothing: it was silent, or the user chose.

        Args:
            losses: One for each objective; lower is better, infinity for a trial that failed.
        """
        if self.score is None or self.drawn is Drawn.ENQUEUED:
            return None
        return Evidence(self.score, self.drawn in (Drawn.PLAIN, Drawn.UNSEEN), losses, self.verdict, self.rank)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-serialisable values, never NaN."""
        return {**self._asdict(), "drawn": str(self.drawn)}

    @classmethod
    def from_json(cls, values: Any) -> Record | None:
        """The inverse of ``to_json``; None for anything else, since users may write what they like."""
        try:
            record = cls(**{**values, "drawn": Drawn(values["drawn"])})
        except (KeyError, TypeError, ValueError):
            return None
        scored = all(number is None or isinstance(number, float | int) for number in (record.score, record.rank))
        return record if scored and isinstance(record.verdict, str) else None


def _shortened(reason: Any) -> str:
    return str(reason)[:LONGEST_REASON]


def _plain(value: Any) -> Any:
    """A parameter's value as JSON knows it, or in words."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _shortened(value)
    known = value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if known else _shortened(repr(value))


def same(one: Any, other: Any) -> bool:
    """Whether two configurations or values are equal, whatever their own ``==`` returns or raises.

    Lists and tuples count alike, since databases store both as lists, and so do NaN and NaN.
    """
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    try:
        equal = one == other
        if isinstance(equal, bool | np.bool_):
            return bool(equal or (one != one and other != other))
        # Arrays, frames and tensors compare elementwise, and those of different shapes may broadcast.
        return np.array_equal(np.asarray(one), np.asarray(other))
    except Exception:
        return False
