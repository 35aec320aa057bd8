"""A run as the report takes it, whichever tuner it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ntk_prior import DEFAULT_THRESHOLD, CalibrationReport, NTKPrior, PlottedTrial
from ntk_prior.evidence import Evidence
from ntk_prior.plots.trials import in_fields
from ntk_prior.screening import Drawn

REFUSED = "refused"
LAUNCHED = "launched"
AUDITED = "launched: audit"
NOTHING_BETTER = "launched: nothing better"
GIVEN = "launched: yours"


class Row(NamedTuple):
    """A configuration that was launched or refused.

    Attributes:
        trial: What figures show of it.
        params: Its parameters, by the tuner's names.
        state: What became of it, in the tuner's words.
        reason: Why the prior said what it said; empty if that was not kept.
        measured: What the tuner keeps of it besides, by name.
    """

    trial: PlottedTrial
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
        foretold: How well the prior's two probabilities have foretold the trials; None if nobody asked.
        facts: What else is known of the run, such as its seed.
        log: Its numeric parameters as far as they are known, and whether its search space is logarithmic in them.
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
    foretold: CalibrationReport | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    log: Mapping[str, bool] = field(default_factory=dict)

    @property
    def trials(self) -> list[PlottedTrial]:
        """The rows as figures take them, by the names of the theory."""
        return [row.trial._replace(config=in_fields(row.params, self.prior)) for row in self.rows]


def fate(trial: PlottedTrial) -> str:
    """What was done with a configuration."""
    if not trial.launched:
        return REFUSED
    if trial.audited:
        return AUDITED
    if trial.drawn is Drawn.BEST_OF_REFUSED:
        return NOTHING_BETTER
    return GIVEN if trial.drawn is Drawn.ENQUEUED else LAUNCHED
