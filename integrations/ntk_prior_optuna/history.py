"""What the finished trials of a study say: the space they span, their branches, and the evidence about the prior.

All of it is read from the storage. Keeping it between trials only saves reading old trials again.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from ntk_prior.decision import (
    ATTRIBUTE,
    EVIDENCE_WINDOW,
    Drawn,
    Evidence,
    Record,
    RefusedDraw,
    Scored,
    Trust,
    trust_in_view_of,
    withdrawn_verdicts,
)
from ntk_prior_optuna._optuna import is_given, is_retried, place_of, trials_for_sampler
from ntk_prior_optuna.branches import Branches
from ntk_prior_optuna.space import is_certain, translated

REFUSED = f"{ATTRIBUTE}:refused"
"""Name of the system attribute with the draws that were refused before a trial."""

REFUSED_KEPT = 32
"""Refused draws that are kept with a trial: the first ones."""

MOST_BYTES = 60_000
"""Bytes of JSON that an attribute may have: MySQL and MariaDB take 65,535, and other storages more."""

PLANS_KEPT = 1_000
"""Running trials of one process of which it remembers what was drawn for them."""


class Standing(NamedTuple):
    """What the finished trials say about the prior, for one threshold."""

    trust: Trust
    withdrawn: Mapping[str, str]


class Plan(NamedTuple):
    """What was drawn for a trial that runs in this process.

    Attributes:
        config: The configuration that the prior was asked about.
        drawn: How it came about.
        is_noted: Whether the trial's note is about this configuration, and not about an earlier one.
    """

    config: Mapping[str, Any]
    drawn: Drawn
    is_noted: bool


class History:
    """The finished trials of one study, in short.

    An update replaces what it changes, so that a thread may read what another one updates.
    """

    def __init__(self) -> None:
        self._next = 0
        self._open: set[int] = set()
        self._evidence: tuple[Evidence, ...] = ()
        self._standings: dict[float, Standing] = {}
        self.branches = Branches()
        """The space that the trials span."""
        self.silent = 0
        """Trials in a row, up to the latest one, about which the prior had nothing to say; none before it spoke."""
        self.settings: Mapping[str, Any] | None = None
        """What the study's user attribute says of its sampler, as far as this process knows."""
        self.told: set[str] = set()
        """Kinds of warnings that this process has given."""
        self.told_withdrawn: frozenset[str] = frozenset()
        """Verdicts of which this process has said that they are withdrawn."""
        self.given: dict[str, CategoricalDistribution] = {}
        """Categorical distributions as the objective gave them to this process."""
        self.plans: dict[int, Plan] = {}
        """By the trial's id: what was drawn for trials that run in this process."""
        self._spoken = False

    def plan(self, trial_id: int, plan: Plan) -> None:
        """Remember what was drawn for a trial, and forget the trials that nobody will ever finish here."""
        self.plans[trial_id] = plan
        while len(self.plans) > PLANS_KEPT:
            self.plans.pop(next(iter(self.plans)), None)

    def trust(self, threshold: float) -> Trust:
        """How far the prior is still believed, see ``decision.trust_in_view_of``."""
        return self._standing(threshold).trust

    def withdrawn(self, threshold: float) -> Mapping[str, str]:
        """Verdicts that finished trials contradict (``decision.withdrawn_verdicts``), with the reasons."""
        return self._standing(threshold).withdrawn

    def _standing(self, threshold: float) -> Standing:
        standings = self._standings
        if threshold not in standings:
            withdrawn = withdrawn_verdicts(self._evidence, threshold)
            standings[threshold] = Standing(trust_in_view_of(self._evidence, threshold, withdrawn), withdrawn)
        return standings[threshold]

    def distribution(self, name: str, stored: BaseDistribution) -> BaseDistribution | None:
        """A distribution that was read from the storage as the objective gives it; None where that is not known."""
        if name in self.given and isinstance(stored, CategoricalDistribution):
            given = self.given[name]
            return given if len(given.choices) == len(stored.choices) else None
        return stored if is_certain(stored) else None

    def params(self, trial: FrozenTrial) -> dict[str, Any]:
        """A trial's parameters as the objective got them: a storage may have turned tuples into lists."""
        params = {}
        for name, value in trial.params.items():
            stored = trial.distributions[name]
            params[name] = translated(value, stored, self.distribution(name, stored) or stored)
        return params

    def update(self, trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> None:
        """Read the trials that have finished since the last update. ``trials`` are by number, some may be left out."""
        if trials and trials[-1].number >= self._next:
            self._open.update(range(self._next, trials[-1].number + 1))
            self._next = trials[-1].number + 1
        unread = (numbered(trials, number) for number in sorted(self._open))
        fresh = [trial for trial in unread if trial is not None and trial.state.is_finished()]
        if not fresh:
            return
        self._open.difference_update(trial.number for trial in fresh)
        self.branches.read(fresh)
        new = []
        for trial in fresh:
            record = record_of(trial)
            self._hear(record)
            evidence = evidence_of(trial, record, directions)
            if evidence is not None:
                new.append(evidence)
        if new:
            self._evidence = (*self._evidence, *new)[-EVIDENCE_WINDOW:]
            self._standings = {}

    def _hear(self, record: Record | None) -> None:
        if record is not None and record.score is not None:
            self._spoken, self.silent = True, 0
        elif self._spoken:
            self.silent += 1


def numbered(trials: Sequence[FrozenTrial], number: int) -> FrozenTrial | None:
    """The trial with a number, of trials by number."""
    if number < len(trials) and trials[number].number == number:
        return trials[number]
    place = bisect_left(trials, number, key=lambda trial: trial.number)
    return trials[place] if place < len(trials) and trials[place].number == number else None


def record_of(trial: BaseTrial) -> Record | None:
    """What was noted with a trial of what the prior said; None where it was not asked."""
    return Record.from_json(trial.user_attrs.get(ATTRIBUTE))


def evidence_of(trial: FrozenTrial, record: Record | None, directions: Sequence[StudyDirection]) -> Evidence | None:
    """What a finished trial says about the prior; None where nothing.

    Args:
        trial: The trial.
        record: What the prior said of it; None if it was not asked.
        directions: Of the study's objectives.
    """
    if record is None or was_refused(trial, record) or is_given(trial):
        return None
    return record.as_evidence(_losses(trial, directions))


def refused_before(trial: FrozenTrial) -> list[RefusedDraw]:
    """The draws that were refused before a trial, as far as they are kept.

    A trial that repeats another one bears a copy of the other's draws, which count once.
    """
    if trial.state == TrialState.WAITING or is_retried(trial):
        return []
    return [RefusedDraw(**one) for one in trial.system_attrs.get(REFUSED, ())]


def stored_refusals(refused: Sequence[Scored[Any]]) -> list[dict[str, Any]]:
    """What a trial keeps of the draws that were refused before it: the first ones, as many as every storage takes."""
    kept: list[dict[str, Any]] = []
    room = MOST_BYTES
    for scored in refused[:REFUSED_KEPT]:
        draw = RefusedDraw.from_scored(scored)
        for one in (draw, draw._replace(config={})):
            entry = {name: value for name, value in one._asdict().items() if value != ""}
            size = len(json.dumps(entry)) + 2
            if size <= room:
                kept.append(entry)
                room -= size
                break
    return kept


def was_refused(trial: FrozenTrial, record: Record) -> bool:
    """Whether the gate stopped the trial; where a constraint was asked for, that alone says so."""
    if trial.state != TrialState.PRUNED:
        return False
    return record.refused or (constraint_of(trial) or 0.0) > 0


def constraint_of(trial: FrozenTrial) -> float | None:
    """The constraint that the gate has set; None where it has set none, as before Optuna 5."""
    constraints: Mapping[str, float] = getattr(trial, "constraints", {})
    return constraints.get(ATTRIBUTE)


def _losses(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> tuple[float, ...]:
    if trial.state != TrialState.COMPLETE:
        return (math.inf,) * len(directions)
    signs = (-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions)
    return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))


class Histories:
    """One ``History`` for each study that is served. It is not pickled: the storage has it all."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_storage: WeakKeyDictionary[Any, dict[tuple[int, str], History]] = WeakKeyDictionary()

    def of(self, study: Study, trials: Sequence[FrozenTrial] | None = None) -> History:
        """The history of a study, up to date.

        Args:
            study: The study.
            trials: Its trials by number; None for those that the base sampler sees.
        """
        if trials is None:
            trials = trials_for_sampler(study)
        with self._lock:
            history = self._kept(study)
            history.update(trials, study.directions)
            return history

    def as_it_is(self, study: Study) -> History:
        """The history of a study, as of the last update."""
        with self._lock:
            return self._kept(study)

    def _kept(self, study: Study) -> History:
        storage, name = place_of(study)
        return self._by_storage.setdefault(storage, {}).setdefault(name, History())

    def __reduce__(self) -> tuple[type[Histories], tuple[()]]:
        return Histories, ()
