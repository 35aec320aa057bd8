"""What the finished trials of a study say: the space they span, their branches, and the evidence about the prior.

All of it is read from the storage. Keeping it between trials only saves reading old trials again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from optuna import Study, logging
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ntk_prior.evidence import (
    EVIDENCE_WINDOW,
    Evidence,
    Trust,
    trust_in_view_of,
    withdrawal_notices,
    withdrawn_verdicts,
)
from ntk_prior.screening import Record, RefusedDraw

_logger = logging.get_logger("optuna.ntk_prior")

ATTRIBUTE = "ntk_prior"
"""Name of the user attribute with a trial's record or a study's settings, and of the constraint."""

REFUSED = "ntk_prior:refused"
"""Name of the system attribute with the draws that were refused before a trial."""

REFUSED_KEPT = 32
"""Refused draws that are kept with a trial: the first ones."""


class History:
    """The finished trials of one study, in short.

    An update replaces what it changes, so that a thread may read what another one updates.
    """

    def __init__(self) -> None:
        self._first_open = 0
        self._seen: set[int] = set()
        self._distributions: dict[str, BaseDistribution | None] = {}
        self._branches: dict[frozenset[tuple[str, str]], frozenset[str]] = {}
        self._only_branch: frozenset[str] | None = None
        self._evidence: tuple[Evidence, ...] = ()
        self._withdrawn: frozenset[str] = frozenset()
        self.settings: Mapping[str, Any] | None = None
        """What the study's user attribute says of its sampler, as far as this process knows."""
        self.space: Mapping[str, BaseDistribution] = {}
        """Parameters that had the same distribution wherever they were used."""

    def branch(self, values: Mapping[str, Any]) -> frozenset[str] | None:
        """Names of the parameters that trials with these categorical values used; None where no trial had them."""
        if self._only_branch is not None:
            return self._only_branch
        items = _items(values)
        known = [names for branch, names in self._branches.items() if branch <= items]
        return frozenset().union(*known) if known else None

    def trust(self, threshold: float) -> Trust:
        """How far the prior is still believed, see ``ntk_prior.evidence.trust_in_view_of``."""
        return trust_in_view_of(self._evidence, threshold)

    def withdrawn(self, threshold: float) -> frozenset[str]:
        """Verdicts that finished trials contradict, see ``ntk_prior.evidence``; the log says when that changes."""
        found = withdrawn_verdicts(self._evidence, threshold)
        for notice in withdrawal_notices(self._withdrawn, found):
            _logger.warning(notice)
        self._withdrawn = frozenset(found)
        return self._withdrawn

    def update(self, trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> None:
        """Read the trials that have finished since the last update. ``trials`` are all, by number."""
        fresh = []
        for trial in reversed(trials):
            if trial.number < self._first_open:
                break
            if trial.number not in self._seen and trial.state.is_finished():
                fresh.append(trial)
        if not fresh:
            return
        fresh.reverse()
        self._seen.update(trial.number for trial in fresh)
        while self._first_open in self._seen:
            self._seen.discard(self._first_open)
            self._first_open += 1
        self._read_spaces(fresh)
        new = [evidence for trial in fresh if (evidence := evidence_of(trial, directions)) is not None]
        self._evidence = (*self._evidence, *new)[-EVIDENCE_WINDOW:]

    def _read_spaces(self, fresh: Sequence[FrozenTrial]) -> None:
        distributions, branches = dict(self._distributions), dict(self._branches)
        for trial in fresh:
            # A failed trial may have ended before it used all its parameters.
            if trial.state == TrialState.FAIL or not trial.distributions:
                continue
            categorical = {}
            for name, distribution in trial.distributions.items():
                if distributions.setdefault(name, distribution) != distribution:
                    distributions[name] = None
                if isinstance(distribution, CategoricalDistribution):
                    categorical[name] = trial.params[name]
            branch = _items(categorical)
            branches[branch] = branches.get(branch, frozenset()).union(trial.distributions)
        used = set(branches.values())
        self._distributions, self._branches = distributions, branches
        self._only_branch = used.pop() if len(used) == 1 else None
        self.space = {name: dist for name, dist in distributions.items() if dist is not None}


def evidence_of(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> Evidence | None:
    """What a finished trial says about the prior; None where nothing."""
    record = Record.from_json(trial.user_attrs.get(ATTRIBUTE))
    if record is None or was_refused(trial, record):
        return None
    return record.as_evidence(_losses(trial, directions))


def refused_before(trial: FrozenTrial) -> list[RefusedDraw]:
    """The draws that were refused before a trial, as far as they are kept."""
    return [RefusedDraw(**one) for one in trial.system_attrs.get(REFUSED, ())]


def was_refused(trial: FrozenTrial, record: Record) -> bool:
    """Whether the gate stopped the trial; where a constraint was asked for, that alone says so."""
    if trial.state != TrialState.PRUNED:
        return False
    constraints: Mapping[str, float] = getattr(trial, "constraints", {})
    return record.refused or constraints.get(ATTRIBUTE, 0.0) > 0


def _losses(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> tuple[float, ...]:
    if trial.state != TrialState.COMPLETE:
        return (math.inf,) * len(directions)
    signs = (-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions)
    return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))


def _items(values: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((name, repr(value)) for name, value in values.items())


class Histories:
    """One ``History`` for each study that a sampler serves. It is not pickled: the storage has it all."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_storage: WeakKeyDictionary[Any, dict[int, History]] = WeakKeyDictionary()

    def of(self, study: Study) -> History:
        """The history of a study, up to date with the trials that the base sampler sees."""
        with self._lock:
            history = self._by_storage.setdefault(study._storage, {}).setdefault(study._study_id, History())
            history.update(study._get_trials(deepcopy=False, use_cache=True), study.directions)
            return history

    def __reduce__(self) -> tuple[type[Histories], tuple[()]]:
        return Histories, ()
