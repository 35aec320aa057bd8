"""Which draws of a tuner are launched: the decision alone, with no tuner in it.

A tuner's adapter hands over its proposals one by one and gets back the one to launch. The prior is believed only as
far as finished trials bear it out (``decision.trust``), and a share of trials, the audit, never depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from ntk_prior.checks import require_integer, require_real
from ntk_prior.configuration import Configuration
from ntk_prior.decision.draws import Choice, Draw, Drawn, Scored, T
from ntk_prior.decision.judgement import Judgement, Prior, ask, error_of, is_expected, score_of
from ntk_prior.decision.records import same
from ntk_prior.decision.trust import Trust
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

DEFAULT_EPSILON = 0.1
"""Share of trials that bypass the prior."""

DEFAULT_MAX_DRAWS = 32
"""Draws judged for one trial before the best of them is launched anyway."""

DEFAULT_CANDIDATES = 16
"""Draws that compete for one trial: of so many that the prior lets through, the best-scored is launched."""

EQUAL_WITHIN = 0.5
"""Draws whose expected scores differ by less than this share of their error count as equally good, so that the tuner,
which has seen what came of its own trials, decides between them."""

FADES_AFTER = 20
"""Trials after which fewer and fewer draws compete: by then the tuner has learnt more than the prior knows."""

PROBATION = 12
"""The first trials, of which every third is audited, so that a wrong prior is exposed at once."""


def _unscreened(draw: Draw[Any], score: float | None) -> Drawn:
    """How to record the tuner's own draw that no prior had a say in."""
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

    Of several draws that are let through the best-scored one is launched; of expected scores that differ by less than
    ``EQUAL_WITHIN`` of their error, the one that was drawn first. With ``c`` of them that multiplies the
    tuner's density by the prior's, taken as the (c - 1)-th power of a score's quantile among these draws. As in piBO
    (Hvarfner et al., arXiv 2204.11051, equation 6) the exponent fades as trials finish, here as 1 / trials^2: of what
    is better than good the score knows little.

    All its random numbers are functions of ``(seed, number)``, number being the trial's, so that restarts, other
    processes and a gate that runs later decide alike.

    Attributes:
        threshold: Draws with a lower score are refused. A draw without a score never is. It should be the prior's own,
            see ``decision.with_threshold``.
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
            trust: From ``trust.trust_in_view_of``.
        """
        return self.audits(number) or bool(self._coins(number)[1] >= trust.refusals)

    def competing(self, number: int, trust: Trust) -> int:
        """Draws let through of which the best-scored one becomes trial ``number``; 1 where scores have lost trust.

        Args:
            number: The trial's number.
            trust: From ``trust.trust_in_view_of``.
        """
        if self._coins(number)[2] >= trust.ranking:
            return 1
        return 1 + round((self.candidates - 1) * min(1.0, FADES_AFTER / max(number, 1)) ** 2)

    def refuses(self, judgement: Judgement, withdrawn: Container[str] = ()) -> bool:
        """Whether a configuration so judged is held back. A silent prior refuses nothing.

        Args:
            judgement: What the prior says.
            withdrawn: Verdicts that count no more, see ``trust.withdrawn_verdicts``.
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
            withdrawn: Verdicts that count no more, see ``trust.withdrawn_verdicts``.
            on_refused: Called with each draw that is refused, before the next one is made.

        Raises:
            ValueError: If there is no proposal at all.
        """
        sorted_draws = _SortedDraws[T](competing)
        for drawn, draw in self._candidates(proposals, uniform):
            if not sorted_draws.takes(drawn):
                break
            judgement = ask(prior, draw.config)
            score = score_of(judgement)
            if bypass:
                return Choice(draw.origin, judgement, _unscreened(draw, score), ())
            if score is None or str(judgement.verdict) in withdrawn:
                sorted_draws.put_aside(draw, judgement, drawn)
            elif self.refuses(judgement):
                sorted_draws.refused.append(Scored(score, draw, judgement, Drawn.BEST_OF_REFUSED))
                if on_refused is not None:
                    on_refused(draw, judgement)
            else:
                sorted_draws.passed.append(Scored(score, draw, judgement, drawn))
            if sorted_draws.is_complete:
                break
        choice = sorted_draws.choice()
        if choice is None:
            raise ValueError(f"proposals: expected at least one draw for trial {number}, received none")
        return choice

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


def _winner(passed: Sequence[Scored[T]]) -> Scored[T]:
    """The best of the draws that were let through; of equally good ones, the one that was drawn first."""
    # Of scores and expected scores, the kind of the first draw competes, so that both keep their shares.
    kind = is_expected(passed[0].judgement)
    rivals = [scored for scored in passed if is_expected(scored.judgement) is kind]
    best = max(rivals, key=lambda scored: scored.rank)
    least = best.rank - EQUAL_WITHIN * error_of(best.judgement)
    return next(scored for scored in rivals if scored.rank >= least)


class _SortedDraws(Generic[T]):
    """The draws for one trial, sorted by what becomes of them.

    Args:
        competing: Draws let through of which the best-scored one is taken.
    """

    def __init__(self, competing: int) -> None:
        self.passed: list[Scored[T]] = []
        self.refused: list[Scored[T]] = []
        self._aside: Choice[T] | None = None
        self._competing = competing

    def takes(self, drawn: Drawn) -> bool:
        """Whether draws made in this way still compete: uniform ones do not with the tuner's."""
        return not self.passed or self.passed[0].drawn is drawn

    def put_aside(self, draw: Draw[T], judgement: Judgement, drawn: Drawn) -> None:
        """Keep a draw that has no score to compare it by, or none that counts; only the first one can be launched."""
        score = score_of(judgement)
        is_silent = score is None and drawn is Drawn.SCREENED
        how = _unscreened(draw, score) if is_silent else drawn
        self._aside = self._aside or Choice(draw.origin, judgement, how, self.refused)

    @property
    def is_complete(self) -> bool:
        """Whether no further draw is needed."""
        starts_unscored = self._aside is not None and not self.passed and not self.refused
        return starts_unscored or len(self.passed) == self._competing

    def choice(self) -> Choice[T] | None:
        """The draw to launch; None if there are no draws."""
        if self._aside is not None and not self.passed:
            return self._aside
        if self.passed:
            best = _winner(self.passed)
        elif self.refused:
            best = max(self.refused, key=lambda scored: scored.score)
        else:
            return None
        return Choice(best.draw.origin, best.judgement, best.drawn, self.refused)
