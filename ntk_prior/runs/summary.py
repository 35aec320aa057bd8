"""The numbers of a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ntk_prior.decision.notices import withdrawal_notices
from ntk_prior.decision.trust import EVIDENCE_WINDOW, Evidence, Trust, trust_in_view_of, withdrawn_verdicts
from ntk_prior.runs.run import Row, Run
from ntk_prior.runs.savings import Savings, compute_savings
from ntk_prior.runs.scored_outcomes import ScoredOutcomes, score_outcomes
from ntk_prior.runs.trial import Fate
from ntk_prior.runs.trust_series import compute_trust_series
from ntk_prior.verdict.feasibility import Verdict


class VerdictCount(NamedTuple):
    """How often one verdict was given, and an example.

    Attributes:
        verdict: The verdict; None for trials that the prior was not asked about.
        launched: Trials launched with it, those without the prior's say included.
        audited: Of them, how many bypassed the prior.
        unseen: Of them, how many were launched before the prior could be asked.
        refused: Draws refused with it.
        example: One of these, of those launched without the prior's say or of the launched, with a reason; None if no
            reason was kept.
    """

    verdict: str | None
    launched: int
    audited: int
    unseen: int
    refused: int
    example: Row | None


class Notice(NamedTuple):
    """A verdict that was withdrawn, or that counts again.

    Attributes:
        after: Finished trials until then.
        words: What happened, and why.
    """

    after: int
    words: str


class Summary(NamedTuple):
    """The numbers of a run.

    Attributes:
        launched: Trials launched.
        refused: Draws refused that are known.
        audited: Launched trials that bypassed the prior.
        unseen: Launched trials that were drawn before the prior could be asked.
        unjudged: Launched trials of which the prior had nothing to say.
        unasked: Launched trials without a note of the prior's.
        verdicts: The verdicts, most often refused first.
        best: The best trial; None if none has an outcome.
        savings: Launches avoided, by what the audits say.
        outcomes: Scores against outcomes.
        trust: In the prior, in the end.
        held_back: Trials launched without the prior's say that it would have refused, the best first.
        held_back_good: How many of these came out good.
        passed: Trials that it let through, or would have.
        passed_failed: How many of these failed.
        notices: Verdicts withdrawn and restored, in their order.
    """

    launched: int
    refused: int
    audited: int
    unseen: int
    unjudged: int
    unasked: int
    verdicts: Sequence[VerdictCount]
    best: Row | None
    savings: Savings
    outcomes: ScoredOutcomes
    trust: Trust
    held_back: Sequence[Row]
    held_back_good: int
    passed: int
    passed_failed: int
    notices: Sequence[Notice]

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON-serialisable values; None for numbers that are not known."""
        saved, said = self.savings, self.outcomes.reliability
        return {
            "launched": self.launched,
            "refused": {one.verdict: one.refused for one in self.verdicts if one.refused},
            "audited": self.audited,
            "before_the_prior_could_be_asked": self.unseen,
            "not_judged": self.unjudged,
            "not_asked": self.unasked,
            "audited_would_be_refused": sum(row.trial.audited for row in self.held_back),
            "others_would_be_refused": sum(not row.trial.audited for row in self.held_back),
            "best": None if self.best is None else {"trial": self.best.trial.name, "outcome": self.best.trial.outcome},
            "launches_avoided": [_known(value) for value in saved.avoided],
            "launches_wrongly_avoided": [_known(value) for value in saved.lost],
            "seconds": _known(saved.seconds),
            "seconds_avoided": [_known(value) for value in saved.seconds_avoided],
            "trust": self.trust._asdict(),
            "score_against_outcome": {
                "trials": said.n,
                "auroc": _known(said.auroc),
                "calibration_error": _known(said.calibration_error),
                "brier": _known(said.brier),
            },
            "withdrawn": [notice._asdict() for notice in self.notices],
        }


def summarize(run: Run) -> Summary:
    """The numbers of a run."""
    trials = [row.trial for row in run.rows]
    held_back = [row for row in run.rows if row.trial.held_back(run.threshold)]
    measured = [row for row in run.rows if row.trial.outcome is not None and math.isfinite(row.trial.outcome)]
    fates = Counter(trial.fate for trial in trials)
    outcomes = score_outcomes(trials, maximize=run.maximize)
    good = {id(trial) for trial, came_out in zip(outcomes.trials, outcomes.good, strict=True) if came_out}
    passed = [trial for trial in trials if trial.launched and trial.score is not None and trial.score >= run.threshold]
    window = run.evidence[-EVIDENCE_WINDOW:]
    return Summary(
        launched=sum(trial.launched for trial in trials),
        refused=sum(not trial.launched for trial in trials),
        audited=fates[Fate.AUDITED],
        unseen=fates[Fate.UNSEEN],
        unjudged=fates[Fate.UNJUDGED],
        unasked=fates[Fate.UNASKED],
        verdicts=_counted(run.rows),
        best=min(measured, key=lambda row: row.trial.loss(run.maximize), default=None),
        savings=compute_savings(trials, threshold=run.threshold, maximize=run.maximize),
        outcomes=outcomes,
        trust=trust_in_view_of(window, run.threshold),
        held_back=sorted(held_back, key=lambda row: row.trial.loss(run.maximize)),
        held_back_good=sum(id(row.trial) in good for row in held_back),
        passed=len(passed),
        passed_failed=sum(trial.failed for trial in passed),
        notices=_notices(run.evidence, run.threshold),
    )


def _counted(rows: Sequence[Row]) -> list[VerdictCount]:
    launched = Counter(row.trial.verdict for row in rows if row.trial.launched)
    audited = Counter(row.trial.verdict for row in rows if row.trial.audited)
    unseen = Counter(row.trial.verdict for row in rows if row.trial.fate is Fate.UNSEEN)
    refused = Counter(row.trial.verdict for row in rows if not row.trial.launched)
    found = [
        VerdictCount(
            verdict, launched[verdict], audited[verdict], unseen[verdict], refused[verdict], _example(rows, verdict)
        )
        for verdict in launched | refused
    ]
    feasible_last: dict[str | None, int] = {Verdict.FEASIBLE: 1, Verdict.OUTSIDE_THEORY: 2}
    return sorted(found, key=lambda one: (feasible_last.get(one.verdict, 0), -one.refused, -one.launched))


def _example(rows: Sequence[Row], verdict: str | None) -> Row | None:
    told = [row for row in rows if row.trial.verdict == verdict and row.reason]
    return min(told, key=lambda row: (row.trial.launched, not row.trial.unscreened), default=None)


def _notices(evidence: Sequence[Evidence], threshold: float) -> list[Notice]:
    found: list[Notice] = []
    known: frozenset[str] = frozenset()
    for count in compute_trust_series(evidence, threshold).finished.tolist():
        now = withdrawn_verdicts(evidence[max(0, count - EVIDENCE_WINDOW) : count], threshold)
        found += [Notice(count, words) for words in withdrawal_notices(known, now)]
        known = frozenset(now)
    return found


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
