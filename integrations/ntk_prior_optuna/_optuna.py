"""The few things of Optuna that no public name gives, in one place, for Optuna 4.8 to 5."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from optuna import Study, logging
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    GPSampler,
    GridSampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.trial import FrozenTrial, TrialState

from ntk_prior.decision.judgement import Judgement, Silence

_logger = logging.get_logger("optuna.ntk_prior")

_MAX_ATTRIBUTE_LENGTH = 2045
"""Longest system attribute that every storage takes."""

_RELATIVE_PARAMS = re.compile(r"(.+:relative_params):\d+")
_POINT_TO_TELL = "x_for_tell"


def nested(sampler: BaseSampler) -> Iterator[BaseSampler]:
    """A sampler, the one it wraps, the one that wraps, and so on."""
    inner: Any = sampler
    while isinstance(inner, BaseSampler):
        yield inner
        inner = getattr(inner, "_base_sampler", None)


def repeats_itself(sampler: BaseSampler) -> bool:
    """Whether a second draw for the same trial is the first again, or breaks an exhaustive search."""
    return any(isinstance(inner, GridSampler | BruteForceSampler) for inner in nested(sampler))


def is_expensive(sampler: BaseSampler) -> bool:
    """Whether one draw costs a tenth of a second or more."""
    return any(isinstance(inner, GPSampler) for inner in nested(sampler))


def draws_uniformly(sampler: BaseSampler, study: Study) -> bool:
    """Whether each parameter that a sampler draws now is uniform on its scale, whatever the others are.

    So it is with random search, and with TPE until it has seen enough trials.
    """
    innermost = [inner for inner in nested(sampler) if type(inner) is not PartialFixedSampler]
    if len(innermost) != 1:
        return False
    if type(innermost[0]) is RandomSampler:
        return True
    if type(innermost[0]) is not TPESampler:
        return False
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    finished = study._get_trials(deepcopy=False, states=states, use_cache=True)
    return len(finished) < innermost[0]._n_startup_trials


def trials_of(study: Study) -> list[FrozenTrial]:
    """The trials of a study by number, as the base sampler has read them for this trial if it has."""
    # A thread that never asks for trials would keep what it once read for ever.
    own = study._thread_local
    return study._get_trials(deepcopy=False, use_cache=own.in_optimize_loop or own.cached_all_trials is not None)


def fixed_params(sampler: BaseSampler, trial: FrozenTrial) -> dict[str, Any]:
    """Values that no draw changes: those that the trial has, those enqueued, and those of ``PartialFixedSampler``."""
    fixed: dict[str, Any] = {}
    for inner in reversed(list(nested(sampler))):
        fixed.update(getattr(inner, "_fixed_params", {}))
    return {**fixed, **enqueued_params(trial), **trial.params}


def enqueued_params(trial: FrozenTrial) -> Mapping[str, Any]:
    """The values given to ``enqueue_trial``."""
    values: Mapping[str, Any] = trial.system_attrs.get("fixed_params", {})
    return values


def is_retried(trial: FrozenTrial) -> bool:
    """Whether a trial repeats one that failed: ``RetryFailedTrialCallback`` copies all attributes of that one."""
    return "failed_trial" in trial.system_attrs or "retry_history" in trial.system_attrs


def is_given(trial: FrozenTrial) -> bool:
    """Whether values of a trial were given, by ``enqueue_trial`` or by the trial that it repeats."""
    return bool(enqueued_params(trial)) or is_retried(trial)


def warn_if_failed(judgement: Judgement, number: int, told: set[str]) -> None:
    """Tell the user, as Optuna does, that the prior raised an error for the parameters of a trial.

    Texts differ from trial to trial where they hold values, so each kind of error is told of once.

    Args:
        judgement: What the prior said.
        number: Of the trial.
        told: Kinds of warnings that the user knows of, to which this one is added.
    """
    if not isinstance(judgement, Silence) or not judgement.failed or judgement.kind in told:
        return
    told.add(judgement.kind)
    _logger.warning(
        f"Trial {number} was not judged: {judgement.reason} (the log does not repeat this for other trials)"
    )


def reseed(sampler: BaseSampler, seed: int) -> None:
    """Seed every random state that a sampler of Optuna's holds, and those of the samplers inside it."""
    for position, state in enumerate(_random_states(sampler, set())):
        state.rng.seed((seed + position) % 2**32)


def _random_states(sampler: BaseSampler, seen: set[int]) -> Iterator[LazyRandomState]:
    seen.add(id(sampler))
    for value in vars(sampler).values():
        if id(value) in seen:
            continue
        if isinstance(value, LazyRandomState):
            seen.add(id(value))
            yield value
        elif isinstance(value, BaseSampler):
            yield from _random_states(value, seen)


class DraftStudy:
    """A study whose writes to one trial stay in ``writes``, for a draw that may be discarded.

    Samplers keep notes about a draw with its trial (``TPESampler`` the point for parallel workers, ``CmaEsSampler``
    its generation). Only those of the draw that is launched may reach the storage. Everything else passes through.
    """

    def __init__(self, study: Study, trial_id: int) -> None:
        self._drafted_study = study
        self._storage = _DraftStorage(study._storage, trial_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drafted_study, name)

    @property
    def writes(self) -> dict[str, Any]:
        """System attributes of the trial that the draw has set."""
        return self._storage.writes


class _DraftStorage:
    def __init__(self, storage: Any, trial_id: int) -> None:
        self._drafted_storage = storage
        self._drafted_trial_id = trial_id
        self.writes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drafted_storage, name)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if trial_id == self._drafted_trial_id:
            self.writes[key] = value
        else:
            self._drafted_storage.set_trial_system_attr(trial_id, key, value)

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        stored = self._drafted_storage.get_trial_system_attrs(trial_id)
        return {**stored, **self.writes} if trial_id == self._drafted_trial_id else stored


def publish(
    study: Study, trial: FrozenTrial, writes: Mapping[str, Any], params: Mapping[str, Any], *, own: bool
) -> None:
    """Write the notes of the draw that is launched.

    Parallel workers read the point a running trial will use (the constant liar of TPE, and GP): they get ``params``.

    Args:
        study: The study.
        trial: The trial.
        writes: What the base sampler wrote, see ``DraftStudy``.
        params: The point that is launched.
        own: Whether it is the base sampler's own draw.
    """
    if not own and _POINT_TO_TELL in writes:
        # CMA-ES with margin learns from this attribute instead of the parameters: a foreign point must not bear it.
        return
    for key, value in writes.items():
        if not _RELATIVE_PARAMS.fullmatch(key):
            study._storage.set_trial_system_attr(trial._trial_id, key, value)
    for prefix in {match[1]: None for key in writes if (match := _RELATIVE_PARAMS.fullmatch(key))}:
        text = json.dumps(params)
        for start in range(0, len(text), _MAX_ATTRIBUTE_LENGTH):
            part = text[start : start + _MAX_ATTRIBUTE_LENGTH]
            study._storage.set_trial_system_attr(trial._trial_id, f"{prefix}:{start // _MAX_ATTRIBUTE_LENGTH}", part)
