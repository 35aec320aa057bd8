"""What has been launched, refused and learnt so far: all that decisions depend on, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ntk_prior.evidence import EVIDENCE_WINDOW, Evidence, Trust, trust_in_view_of
from ntk_prior.screening import Record

REFUSALS_KEPT = 5_000
"""Refused proposals kept, the latest ones; every stored state holds them."""


class Refusal(NamedTuple):
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


class Live(NamedTuple):
    """A trial that was launched and has not ended.

    Attributes:
        record: What the prior said of it, and how it came about.
        inner_id: The wrapped search algorithm's id of it; None if that did not propose the configuration.
        point: The values drawn by their flat names, where there is no ``inner_id``.
        losses: The latest ones reported.
    """

    record: Record
    inner_id: str | None
    point: dict[str, Any] | None
    losses: tuple[float, ...] | None = None


@dataclass
class Ledger:
    """The state of one experiment's decisions.

    Attributes:
        number: Trials launched.
        refused: Proposals refused.
        taught: Refused proposals handed back.
        points: Configurations that the user asked for and that have not been proposed yet, by flat names.
        live: Trials that run, by their ids.
        evidence: Finished trials, the latest ones.
        refusals: The latest refused proposals.
    """

    number: int = 0
    refused: int = 0
    taught: int = 0
    points: list[dict[str, Any]] = field(default_factory=list)
    live: dict[str, Live] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def trust(self, threshold: float) -> Trust:
        """How far the prior is still believed, see ``ntk_prior.evidence.trust_in_view_of``."""
        return trust_in_view_of(self.evidence, threshold)

    def inner_id(self, trial_id: str) -> str | None:
        """The wrapped search algorithm's id of a running trial, if it proposed that."""
        live = self.live.get(trial_id)
        return None if live is None else live.inner_id

    def launch(self, trial_id: str, live: Live) -> None:
        """Note a trial that is launched."""
        self.live[trial_id] = live
        self.number += 1

    def refuse(self, trial_id: str, config: dict[str, Any], score: float, verdict: str) -> None:
        """Note a proposal that is refused."""
        self.refusals.append(Refusal(self.refused, self.number, trial_id, config, score, verdict))
        self.refused += 1
        del self.refusals[:-REFUSALS_KEPT]

    def weigh(self, record: Record, losses: tuple[float, ...]) -> None:
        """Note a finished trial as evidence."""
        evidence = record.as_evidence(losses)
        if evidence is not None:
            self.evidence.append(evidence)
            del self.evidence[:-EVIDENCE_WINDOW]

    def takes_point(self, flat: dict[str, Any]) -> bool:
        """Whether a proposal is one that the user asked for, which is then no longer awaited."""
        for point in self.points:
            if all(name in flat and flat[name] == value for name, value in point.items()):
                self.points.remove(point)
                return True
        return False
