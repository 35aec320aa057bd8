"""Which draws of a tuner are launched: the decision alone, with no tuner in it.

A tuner's adapter hands over its proposals one by one and gets back the one to launch. The prior is believed only as
far as finished trials bear it out (``ntk_prior.evidence``), and a share of trials, the audit, never depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import named, require_integer, require_real
from ntk_prior.evidence import Evidence, Trust
from ntk_prior.feasibility import DEFAULT_THRESHOLD, Verdict

T = TypeVar("T")
Configuration = Mapping[str, Any]

DEFAULT_EPSILON = 0.1
"""Share of trials that bypass the prior."""

DEFAULT_MAX_DRAWS = 32
"""Draws judged for one trial before the best of them is launched anyway."""

DEFAULT_CANDIDATES = 16
"""Draws that compete for one trial: of so many that the prior lets through, the best-scored is launched."""

FADES_AFTER = 20
"""Trials after which fewer and fewer draws compete: by then the tuner has learnt more than the prior knows."""

PROBATION = 12
"""The first trials, of which every third is audited, so that a prior which is wrong is found out at once."""

_LONGEST_REASON = 500


class Judgement(Protocol):
    """What a prior says of one configuration; ``Feasibility`` is one."""

    @property
    def score(self) -> float | None:
        """In [0, 1], near 1 is good; None where the prior is silent."""

    @property
    def verdict(self) -> str:
        """One of ``Verdict``."""

    @property
    def reason(self) -> str:
        """Why, in words."""


class Prior(Protocol):
    """Anything that judges a configuration; ``NTKPrior`` is one."""

    def __call__(self, config: Configuration, /) -> Judgement:
        """Judge one configuration."""


class Silence(NamedTuple):
    """The judgement of a prior that has nothing to say, or that failed."""

    reason: str
    failed: bool = False
    score: float | None = None
    verdict: str = Verdict.OUTSIDE_THEORY

    @property
    def kind(self) -> str:
        """What reasons have in common that differ in values only: of a prior that failed, the type of the error."""
        return ":".join(self.reason.split(":")[:2]) if self.failed else self.reason


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


class RefusedDraw(NamedTuple):
    """A configuration that was not launched, and what the prior said of it.

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
    def of(cls, scored: Scored[Any]) -> RefusedDraw:
        """What is kept of a draw; its reason only where that is worded already."""
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
    """

    score: float | None
    verdict: str
    reason: str
    drawn: Drawn
    gated: bool = False
    refused: bool = False

    @classmethod
    def of(cls, judgement: Judgement, drawn: Drawn, *, gated: bool = False, refused: bool = False) -> Record:
        """The record of one judgement."""
        reason = _shortened(judgement.reason)
        return cls(score_of(judgement), _shortened(judgement.verdict), reason, drawn, gated, refused)

    def as_evidence(self, losses: tuple[float, ...]) -> Evidence | None:
        """What the finished trial says about the prior; None where nothing: it was silent, or the user chose.

        Args:
            losses: One for each objective; lower is better, infinity for a trial that failed.
        """
        if self.score is None or self.drawn is Drawn.ENQUEUED:
            return None
        return Evidence(self.score, self.drawn in (Drawn.PLAIN, Drawn.UNSEEN), losses, self.verdict)

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
        scored = record.score is None or isinstance(record.score, float | int)
        return record if scored and isinstance(record.verdict, str) else None


def _shortened(reason: Any) -> str:
    return str(reason)[:_LONGEST_REASON]


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


def unread_notice(read: Iterable[str], unread: Iterable[str]) -> str:
    """What to tell the user of parameters that a prior does not look at, after "the prior"."""
    return (
        f"looks at {named(*read) or 'nothing'} and not at {named(*unread)}: whatever those are, its judgement is the "
        "same (to_architecture maps other names)"
    )


def score_of(judgement: Judgement) -> float | None:
    """The score as a finite float; None where the prior is silent."""
    score = judgement.score
    return None if score is None or not math.isfinite(score) else float(score)


def judge(prior: Prior, config: Configuration | None) -> Judgement:
    """Ask the prior; a configuration that it cannot digest counts as one it is silent about.

    Draws may combine values that the user's code never combines (``pooling`` of a network without pixels), so an
    error here must not end a study. It is kept as the reason.
    """
    if config is None:
        return Silence("not all of the configuration is known before the trial runs")
    try:
        return prior(config)
    except Exception as error:
        return Silence(f"the prior failed: {type(error).__name__}: {error}", failed=True)


def _unscreened(draw: Draw[Any], score: float | None) -> Drawn:
    """How the tuner's own draw came about that no prior had a say in."""
    if draw.config is None:
        return Drawn.UNSEEN
    return Drawn.UNJUDGED if score is None else Drawn.PLAIN


class _Purpose(IntEnum):
    """Independent streams of random numbers of one trial."""

    COINS = 0
    UNIFORM = 1
    TUNER = 2


@dataclass(frozen=True)
class Screen:
    """Refuses draws below a threshold, but for audited trials and as far as the prior is trusted.

    Of several draws that are let through the best-scored one is launched. With ``c`` of them that multiplies the
    tuner's density by the prior's, taken as the (c - 1)-th power of a score's quantile among these draws. As in piBO
    (Hvarfner et al., arXiv 2204.11051, equation 6) the exponent fades as trials finish, here as 1 / trials^2: of what
    is better than good the score knows little.

    All its random numbers are functions of ``(seed, number)``, number being the trial's, so that restarts, other
    processes and a gate that runs later decide alike.

    Attributes:
        threshold: Draws with a lower score are refused. A draw without a score never is.
        epsilon: Share of trials that bypass the prior; more of the first ones (``PROBATION``), unless it is 0.
        max_draws: Draws judged for one trial: the first half are the tuner's, the rest uniform ones.
        candidates: Draws let through of which the best-scored one is launched; 1 launches the first of them.
        seed: Seed of the coins and of the uniform draws.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a field lies outside its range.
    """

    threshold: float = DEFAULT_THRESHOLD
    epsilon: float = DEFAULT_EPSILON
    max_draws: int = DEFAULT_MAX_DRAWS
    seed: int = 0
    candidates: int = DEFAULT_CANDIDATES

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", require_real("threshold", self.threshold, 0.0, 1.0))
        object.__setattr__(self, "epsilon", require_real("epsilon", self.epsilon, 0.0, 1.0))
        object.__setattr__(self, "max_draws", require_integer("max_draws", self.max_draws, 1, 10_000))
        object.__setattr__(self, "candidates", require_integer("candidates", self.candidates, 1, 10_000))
        object.__setattr__(self, "seed", require_integer("seed", self.seed, 0, 2**128))

    def audits(self, number: int) -> bool:
        """Whether trial ``number`` is audited: it bypasses the prior whatever the evidence says."""
        if number < PROBATION and self.epsilon > 0.0 and number % 3 == 1:
            return True
        return bool(self._coins(number)[0] < self.epsilon)

    def bypasses(self, number: int, trust: Trust) -> bool:
        """Whether trial ``number`` takes the tuner's own draw: it is audited, or refusals have lost trust.

        Args:
            number: The trial's number.
            trust: From ``evidence.trust_in_view_of``.
        """
        return self.audits(number) or bool(self._coins(number)[1] >= trust.refusals)

    def competing(self, number: int, trust: Trust) -> int:
        """Draws let through of which the best-scored one becomes trial ``number``; 1 where scores have lost trust.

        Args:
            number: The trial's number.
            trust: From ``evidence.trust_in_view_of``.
        """
        if self._coins(number)[2] >= trust.ranking:
            return 1
        return 1 + round((self.candidates - 1) * min(1.0, FADES_AFTER / max(number, 1)) ** 2)

    def refuses(self, judgement: Judgement, withdrawn: Container[str] = ()) -> bool:
        """Whether a configuration so judged is held back. A silent prior refuses nothing.

        Args:
            judgement: What the prior says.
            withdrawn: Verdicts that count no more, see ``evidence.withdrawn_verdicts``.
        """
        score = score_of(judgement)
        return score is not None and score < self.threshold and str(judgement.verdict) not in withdrawn

    def uniform_generator(self, number: int) -> np.random.Generator:
        """Random numbers for the uniform draws of trial ``number``."""
        return self._generator(number, _Purpose.UNIFORM)

    def tuner_seed(self, number: int, salt: int = 0) -> int:
        """A 32-bit seed for the tuner's own random numbers in trial ``number``."""
        return int(self._generator(number, _Purpose.TUNER, salt).integers(2**32))

    def choose(
        self,
        prior: Prior,
        number: int,
        proposals: Iterable[Draw[T]],
        uniform: Iterable[Draw[T]],
        *,
        bypass: bool = False,
        competing: int = 1,
        withdrawn: Container[str] = (),
        on_refused: Callable[[Draw[T], Judgement], object] | None = None,
    ) -> Choice[T]:
        """The best-scored of several draws that the prior lets through, else of at most ``max_draws`` refused ones.

        A draw that the prior is silent about, or whose verdict is withdrawn, is launched where it comes first. After
        a scored one it is passed over, unless the prior refuses all others: so networks outside the theory keep the
        share that the tuner gives them, and do not take the places of refused ones.

        Args:
            prior: Judges the draws.
            number: The trial's number.
            proposals: The tuner's draws, made as they are asked for. Half of ``max_draws`` are taken, fewer if they
                end before or one repeats the one before.
            uniform: Uniform draws over the same space, made as they are asked for, only if the tuner's were refused.
            bypass: Take the first proposal, see ``bypasses``.
            competing: Draws let through of which the best-scored one is taken, see ``competing``.
            withdrawn: Verdicts that count no more, see ``evidence.withdrawn_verdicts``.
            on_refused: Called with each draw that is refused, before the next one is made.

        Raises:
            ValueError: If there is no proposal at all.
        """
        passed: list[Scored[T]] = []
        held_back: list[Scored[T]] = []
        unjudged: Choice[T] | None = None
        for drawn, draw in self._candidates(proposals, uniform):
            if passed and passed[0].drawn is not drawn:
                break
            judgement = judge(prior, draw.config)
            score = score_of(judgement)
            if bypass:
                return Choice(draw.origin, judgement, _unscreened(draw, score), ())
            if score is None or str(judgement.verdict) in withdrawn:
                # There is no score to compare it by, or none that counts.
                silent = score is None and drawn is Drawn.SCREENED
                unjudged = unjudged or Choice(
                    draw.origin, judgement, _unscreened(draw, score) if silent else drawn, held_back
                )
                if not passed and not held_back:
                    break
                continue
            if self.refuses(judgement):
                held_back.append(Scored(score, draw, judgement, Drawn.BEST_OF_REFUSED))
                if on_refused is not None:
                    on_refused(draw, judgement)
                continue
            passed.append(Scored(score, draw, judgement, drawn))
            if len(passed) == competing:
                break
        if unjudged is not None and not passed:
            return unjudged
        if not passed and not held_back:
            raise ValueError(f"proposals: expected at least one draw for trial {number}, received none")
        best = max(passed or held_back, key=lambda one: one.score)
        return Choice(best.draw.origin, best.judgement, best.drawn, held_back)

    def _candidates(self, proposals: Iterable[Draw[T]], uniform: Iterable[Draw[T]]) -> Iterator[tuple[Drawn, Draw[T]]]:
        previous: Configuration | None = None
        taken = 0
        for draw in islice(proposals, (self.max_draws + 1) // 2):
            if taken and same(draw.config, previous):
                break
            previous = draw.config
            taken += 1
            yield Drawn.SCREENED, draw
        if taken:
            for draw in islice(uniform, self.max_draws - taken):
                yield Drawn.UNIFORM, draw

    def _coins(self, number: int) -> NDArray[np.float64]:
        """Three uniform numbers: for the audit, for refusals that lost trust, and for scores that did."""
        return self._generator(number, _Purpose.COINS).random(3)

    def _generator(self, number: int, purpose: _Purpose, salt: int = 0) -> np.random.Generator:
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(number, purpose, salt)))
        )
