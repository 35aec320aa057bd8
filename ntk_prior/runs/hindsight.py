"""Hindsight: what a prior would have refused of trials that ran without it, and whether that was right."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from ntk_prior.checks import require_real, shown
from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.judgement import Prior, ask, own_threshold, score_of, with_threshold
from ntk_prior.decision.records import Record
from ntk_prior.decision.trust import EVIDENCE_WINDOW, Evidence, Trust, trust_in_view_of, withdrawn_verdicts
from ntk_prior.prior import NTKPrior
from ntk_prior.runs.run import Run
from ntk_prior.runs.trial import RunTrial, in_fields
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

BEST = 0.1
"""Share of the trials that are the best ones: to refuse one of them would have been wrong."""


class Silent(NamedTuple):
    """Trials of which the prior has nothing to say.

    Attributes:
        trials: How many.
        reason: The most frequent reason; empty without any.
    """

    trials: int
    reason: str


@dataclass(frozen=True)
class Hindsight:
    """What a prior says of finished trials in hindsight, next to what became of them.

    ``print`` says it in words. A tuner that is kept from some trials proposes others in their place and learns
    from these, so a study with the prior would not have been this one without the refused trials.

    Attributes:
        trials: The trials that ran, in their order, with the prior's verdict and score in place of any earlier ones.
        reasons: The prior's reason for each.
        outcome_name: What trials are compared by.
        maximize: Whether larger outcomes are better.
        threshold: Lower scores would have been refused.
        prior: Draws the map; None for a prior that is no ``NTKPrior``.
        log: Numeric parameters, and whether the search space is logarithmic in them, as far as that is known.
    """

    trials: Sequence[RunTrial]
    reasons: Sequence[str]
    outcome_name: str
    maximize: bool
    threshold: float = DEFAULT_THRESHOLD
    prior: NTKPrior | None = None
    log: Mapping[str, bool] = field(default_factory=dict)

    @classmethod
    def from_trials(
        cls,
        trials: Iterable[RunTrial],
        prior: Prior,
        *,
        outcome_name: str,
        maximize: bool,
        threshold: float | None = None,
        log: Mapping[str, bool] | None = None,
    ) -> Self:
        """Judge trials that ran, whatever was said of them before.

        Args:
            trials: Trials with the parameters that the prior is asked about; only launched ones count.
            prior: Judges them.
            outcome_name: What trials are compared by.
            maximize: Whether larger outcomes are better.
            threshold: Lower scores would have been refused; None for the prior's own.
            log: As for the class.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the threshold lies outside [0, 1].
        """
        if not callable(prior):
            raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {shown(prior)}")
        limit = own_threshold(prior) if threshold is None else require_real("threshold", threshold, 0.0, 1.0)
        prior = with_threshold(prior, limit)
        own = prior if isinstance(prior, NTKPrior) else None
        launched = [trial for trial in trials if trial.launched]
        said = [ask(prior, trial.config) for trial in launched]
        judged = tuple(
            trial._replace(
                config=in_fields(trial.config, own),
                verdict=str(one.verdict),
                score=score_of(one),
                drawn=Drawn.UNSEEN,
                gated=False,
            )
            for trial, one in zip(launched, said, strict=True)
        )
        return cls(judged, tuple(str(one.reason) for one in said), outcome_name, maximize, limit, own, log or {})

    @cached_property
    def refused(self) -> tuple[RunTrial, ...]:
        """The trials that would have been refused."""
        return tuple(trial for trial in self.trials if trial.held_back(self.threshold))

    @property
    def verdicts(self) -> dict[str, int]:
        """How many trials have which verdict."""
        return dict(Counter(str(trial.verdict) for trial in self.trials).most_common())

    @property
    def refused_by_verdict(self) -> dict[str, int]:
        """How many trials would have been refused with which verdict."""
        return dict(Counter(str(trial.verdict) for trial in self.refused).most_common())

    @property
    def silent(self) -> Silent:
        """Trials of which the prior has nothing to say, which are never refused."""
        said = zip(self.trials, self.reasons, strict=True)
        reasons = Counter(reason for trial, reason in said if trial.score is None)
        return Silent(reasons.total(), reasons.most_common(1)[0][0] if reasons else "")

    @property
    def in_worse_half(self) -> int:
        """How many of those that would have been refused did worse than the median of all trials."""
        return sum(self._standing[id(trial)].worse for trial in self.refused if id(trial) in self._standing)

    @property
    def in_best_tenth(self) -> int:
        """How many of those that would have been refused did as well as the best tenth of all: wrongly refused."""
        return sum(self._standing[id(trial)].best for trial in self.refused if id(trial) in self._standing)

    @property
    def best_refused(self) -> RunTrial | None:
        """The best of the trials that would have been refused; None where none has an outcome."""
        return self._best_of(self.refused)

    @property
    def best(self) -> RunTrial | None:
        """The best trial of all; None where none has an outcome."""
        return self._best_of(self.trials)

    @property
    def share_of_time(self) -> float | None:
        """Share of the time that all trials took which those that would have been refused took; None if unknown."""
        known = [trial.seconds for trial in self.trials if trial.seconds is not None]
        spent = [trial.seconds for trial in self.refused if trial.seconds is not None]
        return sum(spent) / sum(known) if sum(known) > 0 else None

    @cached_property
    def evidence(self) -> tuple[Evidence, ...]:
        """What each trial says about the prior, in their order."""
        records = (
            (Record(trial.score, str(trial.verdict), "", Drawn.UNSEEN), trial.loss(self.maximize))
            for trial in self.trials
            if _has_ended(trial)
        )
        said = (record.as_evidence((loss,)) for record, loss in records)
        return tuple(one for one in said if one is not None)

    @property
    def trust(self) -> Trust:
        """How far the prior is still to be believed in view of these trials: of the latest, as for a sampler."""
        return trust_in_view_of(self.evidence[-EVIDENCE_WINDOW:], self.threshold)

    @property
    def withdrawn(self) -> dict[str, str]:
        """The verdicts that these trials contradict, each with the reason."""
        return withdrawn_verdicts(self.evidence[-EVIDENCE_WINDOW:], self.threshold)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def to_json(self) -> dict[str, Any]:
        """The numbers as JSON-serialisable values; None for those that are not known."""
        best, refused = self.best, self.best_refused
        return {
            "trials": len(self.trials),
            "would_be_refused": self.refused_by_verdict,
            "in_worse_half": self.in_worse_half,
            "in_best_tenth": self.in_best_tenth,
            "best": None if best is None else best.outcome,
            "best_refused": None if refused is None else refused.outcome,
            "silent": self.silent._asdict(),
            "share_of_time": self.share_of_time,
            "trust": self.trust._asdict(),
            "contradicted": self.withdrawn,
        }

    @cached_property
    def _standing(self) -> dict[int, _Standing]:
        """Where each trial that has ended stands among all of them, by its identity."""
        ended = [trial for trial in self.trials if _has_ended(trial)]
        losses = np.array([trial.loss(self.maximize) for trial in ended])
        if not ended:
            return {}
        from scipy.stats import rankdata  # takes seconds to import

        middle, first = rankdata(losses), rankdata(losses, method="min")
        last_of_best = math.ceil(BEST * len(ended))
        return {
            id(trial): _Standing(bool(rank > (len(ended) + 1) / 2), bool(place <= last_of_best and math.isfinite(loss)))
            for trial, rank, place, loss in zip(ended, middle, first, losses, strict=True)
        }

    def _best_of(self, trials: Iterable[RunTrial]) -> RunTrial | None:
        measured = (trial for trial in trials if math.isfinite(trial.loss(self.maximize)))
        return min(measured, key=lambda trial: trial.loss(self.maximize), default=None)


def in_hindsight(run: Run, review: Hindsight) -> Run:
    """A run with what a prior says of its trials afterwards, in place of what was said and done when it ran.

    Args:
        run: The run, with the rows that the review is of.
        review: Of these, in their order.
    """
    said = zip(run.rows, review.trials, review.reasons, strict=True)
    rows = [row._replace(trial=trial, reason=reason) for row, trial, reason in said]
    return replace(
        run,
        rows=rows,
        evidence=review.evidence,
        threshold=review.threshold,
        refused_in=None,
        prior=review.prior,
        review=review,
    )


class _Standing(NamedTuple):
    """Whether a trial did worse than the median, and whether as well as the best tenth."""

    worse: bool
    best: bool


def _has_ended(trial: RunTrial) -> bool:
    return trial.failed or trial.outcome is not None


def _lines(review: Hindsight) -> list[str]:
    """A review in words."""
    n, refused, silent = len(review.trials), review.refused, review.silent
    better = "larger" if review.maximize else "smaller"
    lines = [f"{n} trials, judged in hindsight ({review.outcome_name}, {better} is better)"]
    if not n:
        return lines

    def share(count: int) -> str:
        return f"{count} ({count / n:.0%})"

    def counted(by_verdict: Mapping[str, int]) -> str:
        return ", ".join(f"{count} {verdict}" for verdict, count in by_verdict.items())

    verdicts = f": {counted(review.refused_by_verdict)}" if refused else ""
    lines.append(f"  would have been refused: {share(len(refused))}{verdicts}")
    lines.append(f"  would have been launched: {share(n - len(refused))}")
    if silent.trials:
        lines.append(f"    of these the prior is silent about {silent.trials}, mostly because {silent.reason}")
    if refused:
        lines += ["Was that right? Of those that would have been refused", *_outcomes(review)]
    trust = review.trust
    lines.append(
        f"Trust that these trials leave (1 is whole): in refusals {trust.refusals:.2f}, "
        f"in the order of scores {trust.ranking:.2f}"
    )
    lines += [f"  contradicted: {verdict}, {why}" for verdict, why in review.withdrawn.items()]
    return lines


def _outcomes(review: Hindsight) -> list[str]:
    """What became of the trials that would have been refused."""
    wrong = review.in_best_tenth
    lines = [
        f"  {review.in_worse_half} of {len(review.refused)} did worse than the median trial",
        f"  {wrong} did as well as the best tenth of all trials{': wrongly refused' if wrong else ''}",
    ]
    failed = sum(trial.failed for trial in review.refused)
    if failed:
        lines.append(f"  {failed} failed or were pruned")
    best, of_all = review.best_refused, review.best
    if best is not None and of_all is not None:
        lines.append(f"  the best reached {best.outcome:.4g}, the best trial of all {of_all.outcome:.4g}")
    if review.share_of_time is not None:
        lines.append(f"  they took {review.share_of_time:.0%} of the time")
    return lines
