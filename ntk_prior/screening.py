"""Which draws of a tuner are launched: the decision alone, with no tuner in it.

A tuner's adapter hands over its proposals one by one and gets back the one to launch. The prior is believed only as
far as finished trials bear it out (``trust``), and a share of trials, the audit, never depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior.architecture import require_integer, require_real
from ntk_prior.feasibility import DEFAULT_THRESHOLD, Verdict

T = TypeVar("T")
Configuration = Mapping[str, Any]

DEFAULT_EPSILON = 0.1
"""Share of trials that bypass the prior."""

DEFAULT_MAX_DRAWS = 16
"""Draws judged for one trial before the best of them is launched anyway."""

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


class Drawn(StrEnum):
    """How a launched configuration came about."""

    PLAIN = "plain"
    """The tuner's own draw, whatever the prior says of it."""
    SCREENED = "screened"
    """The tuner's first draw that the prior did not refuse."""
    UNIFORM = "uniform"
    """A uniform draw that the prior did not refuse, after it refused the tuner's."""
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


class Choice(NamedTuple, Generic[T]):
    """The candidate to launch.

    Attributes:
        origin: That of the chosen draw.
        judgement: What the prior said of it.
        drawn: How it came about.
        refused: How many draws were refused before.
    """

    origin: T
    judgement: Judgement
    drawn: Drawn
    refused: int


class Evidence(NamedTuple):
    """What one finished trial says about the prior.

    Attributes:
        score: The prior's score.
        plain: Whether the trial bypassed the prior.
        losses: One for each objective; lower is better, infinity for a trial that failed.
        verdict: The prior's verdict.
    """

    score: float
    plain: bool
    losses: tuple[float, ...]
    verdict: str = ""


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
        reason = str(judgement.reason)[:_LONGEST_REASON]
        return cls(score_of(judgement), str(judgement.verdict), reason, drawn, gated, refused)

    def as_evidence(self, losses: tuple[float, ...]) -> Evidence | None:
        """What the finished trial says about the prior; None where nothing: it was silent, or the user chose.

        Args:
            losses: One for each objective; lower is better, infinity for a trial that failed.
        """
        if self.score is None or self.drawn is Drawn.ENQUEUED:
            return None
        return Evidence(self.score, self.drawn is Drawn.PLAIN, losses, self.verdict)

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
        return record if record.score is None or isinstance(record.score, float | int) else None


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


class _Purpose(IntEnum):
    """Independent streams of random numbers of one trial."""

    COINS = 0
    UNIFORM = 1
    TUNER = 2


@dataclass(frozen=True)
class Screen:
    """Refuses draws below a threshold, but for audited trials and as far as the prior is trusted.

    All its random numbers are functions of ``(seed, number)``, number being the trial's, so that restarts, other
    processes and a gate that runs later decide alike.

    Attributes:
        threshold: Draws with a lower score are refused. A draw without a score never is.
        epsilon: Share of trials that bypass the prior.
        max_draws: Draws judged for one trial: the first half are the tuner's, the rest uniform ones.
        seed: Seed of the coins and of the uniform draws.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a field lies outside its range.
    """

    threshold: float = DEFAULT_THRESHOLD
    epsilon: float = DEFAULT_EPSILON
    max_draws: int = DEFAULT_MAX_DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", require_real("threshold", self.threshold, 0.0, 1.0))
        object.__setattr__(self, "epsilon", require_real("epsilon", self.epsilon, 0.0, 1.0))
        object.__setattr__(self, "max_draws", require_integer("max_draws", self.max_draws, 1, 10_000))
        object.__setattr__(self, "seed", require_integer("seed", self.seed, 0, 2**128))

    def audits(self, number: int) -> bool:
        """Whether trial ``number`` is audited: it bypasses the prior whatever the evidence says."""
        return bool(self._generator(number, _Purpose.COINS).random() < self.epsilon)

    def bypasses(self, number: int, trust: float) -> bool:
        """Whether trial ``number`` takes the tuner's own draw: it is audited, or the prior has lost trust.

        Args:
            number: The trial's number.
            trust: In [0, 1], see ``trust``.
        """
        audit, doubt = self._generator(number, _Purpose.COINS).random(2)
        return bool(audit < self.epsilon or doubt >= trust)

    def refuses(self, judgement: Judgement, withdrawn: Container[str] = ()) -> bool:
        """Whether a configuration so judged is held back. A silent prior refuses nothing.

        Args:
            judgement: What the prior says.
            withdrawn: Verdicts that count no more, see ``withdrawn_verdicts``.
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
        withdrawn: Container[str] = (),
        on_refused: Callable[[Draw[T], Judgement], object] | None = None,
    ) -> Choice[T]:
        """Draw until the prior does not refuse, at most ``max_draws`` times; then take the best-scored draw.

        Args:
            prior: Judges the draws.
            number: The trial's number.
            proposals: The tuner's draws, made as they are asked for. Half of ``max_draws`` are taken, fewer if they
                end before or one repeats the one before.
            uniform: Uniform draws over the same space, made as they are asked for.
            bypass: Take the first proposal, see ``bypasses``.
            withdrawn: Verdicts that refuse nothing, see ``withdrawn_verdicts``.
            on_refused: Called with each draw that is refused, before the next one is made.

        Raises:
            ValueError: If there is no proposal at all.
        """
        best: tuple[float, Draw[T], Judgement] | None = None
        refused = 0
        for drawn, draw in self._candidates(proposals, uniform):
            judgement = judge(prior, draw.config)
            if bypass:
                return Choice(draw.origin, judgement, Drawn.PLAIN, 0)
            score = score_of(judgement)
            if score is None or not self.refuses(judgement, withdrawn):
                return Choice(draw.origin, judgement, drawn, refused)
            refused += 1
            if on_refused is not None:
                on_refused(draw, judgement)
            if best is None or score > best[0]:
                best = score, draw, judgement
        if best is None:
            raise ValueError(f"proposals: expected at least one draw for trial {number}, received none")
        return Choice(best[1].origin, best[2], Drawn.BEST_OF_REFUSED, refused)

    def _candidates(self, proposals: Iterable[Draw[T]], uniform: Iterable[Draw[T]]) -> Iterator[tuple[Drawn, Draw[T]]]:
        previous: Configuration | None = None
        taken = 0
        for draw in islice(proposals, (self.max_draws + 1) // 2):
            if taken and draw.config == previous:
                break
            previous = draw.config
            taken += 1
            yield Drawn.SCREENED, draw
        if taken:
            for draw in islice(uniform, self.max_draws - taken):
                yield Drawn.UNIFORM, draw

    def _generator(self, number: int, purpose: _Purpose, salt: int = 0) -> np.random.Generator:
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(number, purpose, salt)))
        )


EVIDENCE_WINDOW = 400
"""Finished trials that count as evidence; the latest ones."""

PATIENCE = 10.0
"""Evidence weaker than a p-value of 1 / PATIENCE leaves trust whole: the first few trials of a study say little."""


WITHDRAWN_BELOW = 0.5
"""A verdict counts no more where the trust in it alone is below this: a p-value of 0.05."""


def withdrawn_verdicts(evidence: Sequence[Evidence], threshold: float) -> dict[str, str]:
    """Verdicts that finished trials contradict, each with the reason.

    The trials that would have been held back with one verdict, and that ran because they bypassed the prior, are ranked
    against those that it would have let through, by the test of ``trust``. A verdict returns with later evidence.

    Args:
        evidence, threshold: As for ``trust_in_view_of``.
    """
    passed = [one.losses for one in evidence if one.score >= threshold]
    audited: dict[str, list[tuple[float, ...]]] = {}
    for one in evidence:
        if one.plain and one.score < threshold:
            audited.setdefault(one.verdict, []).append(one.losses)
    found = {}
    for verdict, losses in audited.items():
        believed = trust([True] * len(losses) + [False] * len(passed), [*losses, *passed])
        if believed < WITHDRAWN_BELOW:
            found[verdict] = (
                f"after {len(evidence)} finished trials, the {len(losses)} audited ones that it would have held back "
                f"did better than the {len(passed)} that it would have let through (p = {believed / PATIENCE:.2g})"
            )
    return found


def withdrawal_notices(before: Set[str], now: Mapping[str, str]) -> list[str]:
    """What to tell the user where the withdrawn verdicts have changed.

    Args:
        before: Those that the user knows of.
        now: Those of today, with the reasons.
    """
    gone = [f"the verdict {verdict} is withdrawn: {now[verdict]}" for verdict in sorted(now.keys() - before)]
    back = [f"the verdict {verdict} counts again, in view of later trials" for verdict in sorted(before - now.keys())]
    return gone + back


def trust_in_view_of(evidence: Sequence[Evidence], threshold: float) -> float:
    """How far a prior is still believed, see ``trust``: it would have held back what scores below ``threshold``.

    Args:
        evidence: The latest ``EVIDENCE_WINDOW`` finished trials at most.
        threshold: That of the ``Screen``.
    """
    held_back = [one.plain and one.score < threshold for one in evidence]
    return trust(held_back, [one.losses for one in evidence]) if any(held_back) else 1.0


def trust(held_back: ArrayLike, losses: ArrayLike) -> float:
    """How far a prior is still believed, from finished trials: 1 for no evidence against it, towards 0 for more.

    The trials that it would have held back, and that ran because they bypassed it, are ranked against those that it
    let through or chose. Trust is ``PATIENCE`` times the one-sided p-value of the Mann-Whitney test (normal
    approximation with the corrections for continuity and ties) against "those held back do no better", and at most 1.

    So for a prior that holds back no better trials than it lets through, trust is below t with probability at most
    t / PATIENCE at any one time; and where all of ``a`` trials held back beat all of ``b`` others it is
    PATIENCE Phi(-(a b - 1) / 2 / sqrt(a b (a + b + 1) / 12)): 0.82 for 1 of 10 trials, 0.14 for 2 of 20, 0.03 for 3
    of 30.

    Args:
        held_back: Shape (n,); whether the prior would have held the trial back.
        losses: Shape (n,) or (n, objectives); lower is better, infinity for a trial that failed. Several objectives
            count by the mean of their ranks.
    """
    held = np.asarray(held_back, dtype=bool)
    a = int(held.sum())
    n = len(held)
    b = n - a
    if not a or not b:
        return 1.0
    columns = np.asarray(losses, dtype=np.float64).reshape(n, -1)
    ranks = _ranks(columns[:, 0])
    if columns.shape[1] > 1:
        ranks = _ranks(sum(_ranks(column) for column in columns.T))
    lost = ranks[held].sum() - a * (a + 1) / 2
    ties = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    variance = a * b / 12 * (n + 1 - np.sum(ties**3 - ties) / (n * (n - 1)))
    if variance <= 0:
        return 1.0
    z = (lost - a * b / 2 + 0.5) / math.sqrt(variance)
    return min(1.0, PATIENCE / 2 * math.erfc(-z / math.sqrt(2.0)))


def _ranks(values: Any) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
