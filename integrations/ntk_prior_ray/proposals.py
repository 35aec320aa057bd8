"""Which proposal is launched for one trial, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import NamedTuple

from ray.tune.search import Searcher

from ntk_prior.decision import Choice, Draw, Drawn, Judgement, Prior, Screen, Trust, score_of
from ntk_prior_ray.ledger import Ledger
from ntk_prior_ray.notices import Notices
from ntk_prior_ray.space import Config, TrialSpace, flatten
from ntk_prior_ray.wrapped import WrappedSearcher

REFUSALS_TAUGHT = 200
"""Refused proposals from which a wrapped search algorithm may learn; the study would grow slow with many more."""


class Proposal(NamedTuple):
    """What the Tuner would get, and the wrapped search algorithm's id of it if it is its own."""

    config: Config
    inner_id: str | None


@dataclass(frozen=True)
class Proposals:
    """The proposals for one trial.

    Attributes:
        prior: Judges them.
        screen: Chooses between them.
        wrapped: Makes them.
        space: Completes them, and is drawn from where all of them are refused.
        ledger: What has been launched and refused so far; refusals are added to it.
        notices: Tells the user of withdrawn verdicts.
        trust: How far the prior is still believed.
    """

    prior: Prior
    screen: Screen
    wrapped: WrappedSearcher
    space: TrialSpace
    ledger: Ledger
    notices: Notices
    trust: Trust

    def choose(self, trial_id: str, first: Config) -> Choice[Proposal]:
        """What to launch, the wrapped search algorithm's first proposal being made. All others are discarded."""
        requested = self.ledger.pop_requested_point(flatten(first)) or self.wrapped.proposed_a_point
        open_ids = set[str]()

        def discard(draw: Draw[Proposal], judgement: Judgement) -> None:
            score = score_of(judgement)
            assert score is not None
            self.ledger.refuse(trial_id, dict(draw.config or {}), score, str(judgement.verdict))
            inner_id = draw.origin.inner_id
            if inner_id is not None:
                open_ids.remove(inner_id)
                inform_model = self.ledger.taught < REFUSALS_TAUGHT
                self.wrapped.discard(inner_id, self.screen.threshold - score, inform_model=inform_model)
                self.ledger.taught += 1

        withdrawn = self.ledger.withdrawn(self.screen.threshold)
        self.notices.warn_of_withdrawn(withdrawn)
        number = self.ledger.number
        choice = self.screen.choose(
            self.prior,
            number,
            self._of_wrapped(trial_id, first, open_ids),
            self._uniform(),
            bypass=requested or self.screen.bypasses(number, self.trust),
            competing=self.screen.competing(number, self.trust),
            withdrawn=withdrawn,
            on_refused=discard,
        )
        for inner_id in open_ids - {choice.origin.inner_id}:
            self.wrapped.discard(inner_id, None, inform_model=False)
        if choice.drawn is Drawn.BEST_OF_REFUSED:
            return choice._replace(origin=choice.origin._replace(inner_id=None))
        return choice._replace(drawn=Drawn.ENQUEUED) if requested else choice

    def choose_uniform(self, max_draws: int | None = None) -> Choice[Proposal] | None:
        """The first uniform draw that is not refused, or the best-scored one; None where the space is not known.

        Args:
            max_draws: Draws judged at most; None for those of the screen.
        """
        screen = self.screen if max_draws is None else replace(self.screen, max_draws=max_draws)
        draws = self._uniform()
        first = list(islice(draws, 1))
        if not first:
            return None
        choice = screen.choose(self.prior, self.ledger.number, first, draws)
        return choice._replace(drawn=Drawn.UNIFORM) if choice.drawn is Drawn.SCREENED else choice

    def _of_wrapped(self, trial_id: str, first: Config, open_ids: set[str]) -> Iterator[Draw[Proposal]]:
        """The wrapped search algorithm's own. For the same id it would repeat itself."""
        suggestion, inner_id = first, trial_id
        for n in count(1):
            open_ids.add(inner_id)
            yield self._draw(self.space.complete(suggestion), inner_id)
            inner_id = f"{trial_id}_{n}"
            suggestion = self.wrapped.suggest(inner_id)
            if suggestion is None or suggestion == Searcher.FINISHED:
                return

    def _uniform(self) -> Iterator[Draw[Proposal]]:
        """Uniform draws over the space, none where it is not known."""
        generator = self.screen.uniform_generator(self.ledger.number)
        return (self._draw(config, None) for config in self.space.uniform_draws(generator))

    def _draw(self, config: Config, inner_id: str | None) -> Draw[Proposal]:
        return Draw(self.space.visible(config), Proposal(config, inner_id))
