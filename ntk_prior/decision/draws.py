"""Candidates for one trial, and how the one that is launched came about."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from ntk_prior.configuration import Configuration
from ntk_prior.decision.judgement import Judgement, rank_of

T = TypeVar("T")


class Drawn(StrEnum):
    """How a launched configuration came about."""

    PLAIN = "plain"
    """The tuner's own draw, although the prior could have screened it: an audit."""
    UNJUDGED = "unjudged"
    """The tuner's own draw, about which the prior was silent."""
    UNSEEN = "unseen"
    """The tuner's own draw, made before the space was known, so that the prior could not be asked."""
    SCREENED = "screened"
    """The tuner's draw that the prior scored best of those that it did not refuse."""
    UNIFORM = "uniform"
    """Likewise a uniform draw, after the prior refused all of the tuner's."""
    BEST_OF_REFUSED = "best_of_refused"
    """The best-scored draw, after the prior refused all."""
    ENQUEUED = "enqueued"
    """Given by the user."""


class Draw(NamedTuple, Generic[T]):
    """One candidate.

    Attributes:
        config: What the prior is asked about; None where the candidate is not known well enough to ask.
        origin: Whatever the adapter needs to launch it.
    """

    config: Configuration | None
    origin: T


class Scored(NamedTuple, Generic[T]):
    """A draw with the prior's score of it.

    Attributes:
        score: The score.
        draw: The draw.
        judgement: All that the prior said.
        drawn: How it came about, should it be launched.
    """

    score: float
    draw: Draw[T]
    judgement: Judgement
    drawn: Drawn

    @property
    def rank(self) -> float:
        """What it competes by with others that were let through, see ``judgement.rank_of``."""
        rank = rank_of(self.judgement)
        return self.score if rank is None else rank


class Choice(NamedTuple, Generic[T]):
    """The candidate to launch.

    Attributes:
        origin: That of the chosen draw.
        judgement: What the prior said of it.
        drawn: How it came about.
        refused: The draws that were refused before it, in their order.
    """

    origin: T
    judgement: Judgement
    drawn: Drawn
    refused: Sequence[Scored[T]]
