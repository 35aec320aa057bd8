"""What has been launched, refused and learnt so far: all that decisions depend on, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ntk_prior.decision import (
    EVIDENCE_WINDOW,
    Drawn,
    Evidence,
    Judgement,
    Record,
    Trust,
    same,
    score_of,
    trust_in_view_of,
    withdrawn_verdicts,
)

REFUSALS_KEPT = 5_000
"""Refused proposals kept, the latest ones; every stored state holds them."""

FAILURES_KEPT = EVIDENCE_WINDOW
"""Failed trials that are known when a restored Tuner resumes them, the latest ones."""


class RefusedProposal(NamedTuple):
    """A proposal that was not launched.

    Attributes:
        refused_before: How many proposals had been refused before.
        number: How many trials had been launched before.
        trial_id: The trial for which another configuration was found.
        config: The proposal.
        score: The prior's score.
        verdict: Its verdict.
    """

    refused_before: int
    number: int
    trial_id: str
    config: dict[str, Any]
    score: float
    verdict: str


class RunningTrial(NamedTuple):
    """A trial that was launched and has not ended.

    Attributes:
        record: What the prior said of it, and how it came about.
        inner_id: The wrapped search algorithm's id of it; None if that did not propose the configuration, or was told
            that it failed.
        point: The values drawn by their flat names; None where they are not known.
        losses: The latest ones reported.
        failed: What it counts as already, because it failed before; None where it did not.
    """

    record: Record
    inner_id: str | None
    point: dict[str, Any] | None
    losses: tuple[float, ...] | None = None
    failed: tuple[float, ...] | None = None


class _View(NamedTuple):
    """What all evidence together says, with one threshold."""

    threshold: float
    trust: Trust
    withdrawn: dict[str, str]


@dataclass
class Ledger:
    """The state of one experiment's decisions.

    Attributes:
        number: Trials launched.
        refused: Proposals refused.
        taught: Refused proposals handed back.
        points: Configurations that the user asked for and that have not been proposed yet, by flat names.
        running: Trials that run, by their ids.
        failed: Trials that ended with an error, by their ids; they run again where a restored Tuner resumes them.
        evidence: Finished trials, the latest ones.
        refusals: The latest refused proposals.
    """

    number: int = 0
    refused: int = 0
    taught: int = 0
    points: list[dict[str, Any]] = field(default_factory=list)
    running: dict[str, RunningTrial] = field(default_factory=dict)
    failed: dict[str, RunningTrial] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    refusals: list[RefusedProposal] = field(default_factory=list)
    _view: _View | None = field(default=None, init=False, compare=False, repr=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a stored state; what it lacks is as in a new ledger."""
        vars(self).update({**vars(Ledger()), **state})

    def trust(self, threshold: float) -> Trust:
        """How far the prior is still believed, see ``ntk_prior.decision.trust.trust_in_view_of``."""
        return self._current_view(threshold).trust

    def withdrawn(self, threshold: float) -> dict[str, str]:
        """Verdicts that count no more, with the reasons, see ``ntk_prior.decision.trust.withdrawn_verdicts``."""
        return self._current_view(threshold).withdrawn

    def known(self, trial_id: str) -> RunningTrial | None:
        """A trial that runs, or may run again; None for any other one."""
        return self.running.get(trial_id, self.failed.get(trial_id))

    def find_running(self, trial_id: str, result: Mapping[str, Any] | None = None) -> RunningTrial | None:
        """A trial that something is heard of: one that has failed runs again. None if it was not launched here.

        Args:
            trial_id: Its id.
            result: What is heard, by flat names. A trial that a restored Tuner has started anew has an id of its own,
                and the configuration of the failed one.
        """
        if trial_id not in self.running:
            failed = trial_id if trial_id in self.failed else self._restarted(result or {})
            if failed is not None:
                self.running[trial_id] = self.failed.pop(failed)
        return self.running.get(trial_id)

    def inner_id(self, trial_id: str) -> str | None:
        """The wrapped search algorithm's id of a running trial, if it proposed that."""
        trial = self.running.get(trial_id)
        return None if trial is None else trial.inner_id

    def launch(self, trial_id: str, trial: RunningTrial) -> None:
        """Note a trial that is launched."""
        self.running[trial_id] = trial
        self.number += 1

    def end(self, trial_id: str, result: Mapping[str, Any] | None = None) -> RunningTrial | None:
        """Take a trial that has ended out of those that run; None if it was not launched here, or ended before."""
        self.find_running(trial_id, result)
        return self.running.pop(trial_id, None)

    def fail(self, trial_id: str, trial: RunningTrial, losses: tuple[float, ...]) -> None:
        """Note a trial that has ended with an error. The wrapped search algorithm takes no other result of it."""
        self.failed[trial_id] = trial._replace(inner_id=None, losses=None, failed=losses)
        for oldest in list(self.failed)[:-FAILURES_KEPT]:
            del self.failed[oldest]

    def refuse(self, trial_id: str, config: dict[str, Any], score: float, verdict: str) -> None:
        """Note a proposal that is refused."""
        self.refusals.append(RefusedProposal(self.refused, self.number, trial_id, config, score, verdict))
        self.refused += 1
        del self.refusals[:-REFUSALS_KEPT]

    def add_evidence(self, record: Record, losses: tuple[float, ...], before: tuple[float, ...] | None = None) -> None:
        """Note a finished trial as evidence.

        Args:
            record: What the prior said of it, and how it came about.
            losses: What became of it.
            before: What it counts as already, in place of which it is noted; None for nothing.
        """
        evidence = record.as_evidence(losses)
        if evidence is None:
            return
        earlier = None if before is None else record.as_evidence(before)
        if earlier in self.evidence:
            self.evidence[self.evidence.index(earlier)] = evidence
        else:
            self.evidence.append(evidence)
        del self.evidence[:-EVIDENCE_WINDOW]
        self._view = None

    def pop_requested_point(self, flat: dict[str, Any]) -> bool:
        """Whether a proposal is one that the user asked for, which is then no longer awaited."""
        for index, point in enumerate(self.points):
            if all(name in flat and same(flat[name], value) for name, value in point.items()):
                del self.points[index]
                return True
        return False

    def _restarted(self, result: Mapping[str, Any]) -> str | None:
        """The failed trial with the configuration that a result tells of."""
        for trial_id, trial in self.failed.items():
            told = [(f"config/{name}", value) for name, value in (trial.point or {}).items()]
            if told and all(name in result and same(result[name], value) for name, value in told):
                return trial_id
        return None

    def _current_view(self, threshold: float) -> _View:
        """What the evidence says, computed once until there is more."""
        if self._view is None or self._view.threshold != threshold:
            withdrawn = withdrawn_verdicts(self.evidence, threshold)
            self._view = _View(threshold, trust_in_view_of(self.evidence, threshold, withdrawn), withdrawn)
        return self._view


def record_of(judgement: Judgement, drawn: Drawn) -> Record:
    """What is kept of a judgement, without the reason: to word that takes longer than to ask."""
    return Record(score=score_of(judgement), verdict=str(judgement.verdict), reason="", drawn=drawn)
