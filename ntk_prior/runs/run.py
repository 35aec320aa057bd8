"""A study or an experiment, whichever tuner it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ntk_prior.decision.trust import Evidence
from ntk_prior.prior import NTKPrior
from ntk_prior.runs.trial import Fate, RunTrial, in_fields
from ntk_prior.verdict.calibration import CalibrationReport
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from ntk_prior.runs.hindsight import Hindsight

NEVER_LAUNCHED = "never launched"
"""State of a proposal that was refused."""

UNFINISHED = ("running", "waiting", "pending", "paused", NEVER_LAUNCHED)
"""States of what has not run to its end, in both tuners' words."""


class Row(NamedTuple):
    """A configuration that was launched or refused.

    Attributes:
        trial: What figures show of it.
        params: Its parameters, by the tuner's names.
        state: What became of it, in the tuner's words.
        reason: Why the prior said what it said; empty if that was not kept.
        measured: What the tuner keeps of it besides, by name.
    """

    trial: RunTrial
    params: Mapping[str, Any]
    state: str = ""
    reason: str = ""
    measured: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Run:
    """A study or an experiment.

    Attributes:
        name: Its name.
        tuner: What ran it, such as ``"Optuna"``.
        rows: Its trials, and the refused draws that are known.
        outcome_name: What its trials reach.
        maximize: Whether larger outcomes are better.
        evidence: What finished trials say about the prior, in their order.
        threshold: Lower scores are refused.
        refused_in: Where the refused draws are from, in words; None if the tuner did not keep them.
        prior: Draws the map; None where it is not at hand.
        calibration: How well the prior's two probabilities predicted the trials; None if nobody asked.
        facts: What else is known of the run, such as its seed.
        log: Its numeric parameters as far as they are known, and whether its search space is logarithmic in them.
        review: Where the prior has judged the trials in hindsight, what came of it; None where it was asked in time.
    """

    name: str
    tuner: str
    rows: Sequence[Row]
    outcome_name: str
    maximize: bool
    evidence: Sequence[Evidence] = ()
    threshold: float = DEFAULT_THRESHOLD
    refused_in: str | None = None
    prior: NTKPrior | None = None
    calibration: CalibrationReport | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    log: Mapping[str, bool] = field(default_factory=dict)
    review: Hindsight | None = None

    @property
    def trials(self) -> list[RunTrial]:
        """The rows as figures take them, by the names of the theory."""
        return [row.trial._replace(config=in_fields(row.params, self.prior)) for row in self.rows]

    @property
    def was_judged(self) -> bool:
        """Whether the prior has said something of any configuration."""
        return any(row.trial.verdict is not None for row in self.rows)


WOULD_BE_REFUSED = "would have been refused"
WOULD_BE_LAUNCHED = "would have been launched"
NOTHING_TO_SAY = "would have been launched: the prior is silent"


def fate(trial: RunTrial, run: Run) -> str:
    """What was done with a configuration; in hindsight, what would have been done."""
    if run.review is None or trial.fate is not Fate.UNSEEN:
        return str(trial.fate)
    if trial.score is None:
        return NOTHING_TO_SAY
    return WOULD_BE_REFUSED if trial.held_back(run.threshold) else WOULD_BE_LAUNCHED
