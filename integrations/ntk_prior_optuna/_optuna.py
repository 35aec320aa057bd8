"""All that this package uses of Optuna besides its public names, in Optuna 4.8 to 5.

``_optuna_check`` looks whether it is still where it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    GPSampler,
    GridSampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import _CachedStorage
from optuna.trial import FrozenTrial, Trial, TrialState

CachedStorage = _CachedStorage
"""What Optuna puts around a database, so that finished trials are read once."""

_MAX_ATTRIBUTE_LENGTH = 2045
"""Longest system attribute that every storage takes."""

RELATIVE_PARAMS = re.compile(r"(.+:relative_params):\d+")
"""System attributes with the parts of the point that a running trial will use, for samplers in other workers."""

POINT_TO_TELL = "x_for_tell"
"""System attribute with the point that CMA-ES with margin learns from."""


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


def trials_for_sampler(study: Study) -> list[FrozenTrial]:
    """The trials of a study by number, as the base sampler reads them for this trial."""
    return study._get_trials(deepcopy=False, use_cache=True)


def trials_for_objective(study: Study) -> list[FrozenTrial]:
    """The trials of a study by number, as the base sampler has read them for this trial if it has."""
    # A thread that never asks for trials would keep what it once read for ever.
    own = study._thread_local
    return study._get_trials(deepcopy=False, use_cache=own.in_optimize_loop or own.cached_all_trials is not None)


def frozen(trial: Trial) -> FrozenTrial:
    """What a running trial knows of itself."""
    return trial._cached_frozen_trial


def id_of(trial: FrozenTrial) -> int:
    """The number by which a storage knows a trial."""
    return trial._trial_id


def place_of(study: Study) -> tuple[Any, tuple[int, str]]:
    """The storage of a study, and by what the study is known there."""
    return study._storage, (study._study_id, study.study_name)


def note_trial(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Set a user attribute of a trial that may still run, where its objective reads it as well."""
    study._storage.set_trial_user_attr(trial._trial_id, name, value)
    # The running trial reads its own copy, as after Trial.set_user_attr.
    trial.user_attrs[name] = value


def note_finished_trial(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Set a user attribute of a trial whose objective has ended."""
    study._storage.set_trial_user_attr(trial._trial_id, name, value)


def set_system_attribute(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Set a system attribute of a trial."""
    study._storage.set_trial_system_attr(trial._trial_id, name, value)


def study_note(study: Study, name: str) -> Any:
    """A user attribute of a study, by its storage, since a pruner's stand-in for a study has no attributes."""
    return study._storage.get_study_user_attrs(study._study_id).get(name)


def note_study(study: Study, name: str, value: Any) -> None:
    """Set a user attribute of a study."""
    study._storage.set_study_user_attr(study._study_id, name, value)


def study_system_attribute(study: Study, name: str) -> Any:
    """A system attribute of a study."""
    return study._storage.get_study_system_attrs(study._study_id).get(name)


def set_study_system_attribute(study: Study, name: str, value: Any) -> None:
    """Set a system attribute of a study."""
    study._storage.set_study_system_attr(study._study_id, name, value)


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value lies in a distribution."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False


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


def reseed(sampler: BaseSampler, seed: int) -> None:
    """Seed every random state that a sampler of Optuna's holds, and those of the samplers inside it."""
    for position, state in enumerate(random_states(sampler, set())):
        state.seed((seed + position) % 2**32)


def random_states(sampler: BaseSampler, seen: set[int]) -> Iterator[np.random.RandomState]:
    """The random states of a sampler and of those inside it, but for those of objects whose ids are in ``seen``."""
    seen.add(id(sampler))
    for value in vars(sampler).values():
        if id(value) in seen:
            continue
        if isinstance(value, BaseSampler):
            yield from random_states(value, seen)
        elif isinstance(state := getattr(value, "rng", None), np.random.RandomState):
            # Optuna's LazyRandomState makes it when it is asked for it.
            seen.add(id(value))
            yield state


def generator_of(sampler: TPESampler) -> np.random.RandomState:
    """TPE's random numbers."""
    return sampler._rng.rng


def watch_candidates(base: TPESampler, heard: Callable[[Mapping[str, Any], Mapping[str, Any], Any], object]) -> Any:
    """A copy of a TPE sampler, with the same random numbers, that tells of the candidates of its draws.

    Args:
        base: The sampler.
        heard: Called in each draw with the space, the candidates by parameter, each of shape (n,), and by what TPE
            compares them, shape (n,); more is better.
    """
    spied: Any = copy(base)
    space: Mapping[str, Any] = {}

    def sample(study: Any, trial: Any, search_space: Any) -> Any:
        nonlocal space
        space = search_space
        return TPESampler._sample(spied, study, trial, search_space)

    def compare(candidates: Any, below: Any, above: Any) -> Any:
        gains = base._compute_acquisition_func(candidates, below, above)
        heard(space, candidates, gains)
        return gains

    spied._sample = sample
    spied._compute_acquisition_func = compare
    return spied


class DraftStudy:
    """A study whose writes to one trial stay in ``writes``, for a draw that may be discarded.

    Samplers keep notes about a draw with its trial (``TPESampler`` the point for parallel workers, ``CmaEsSampler``
    its generation). Only those of the draw that is launched may reach the storage. Everything else passes through.
    """

    def __init__(self, study: Study, trial: FrozenTrial) -> None:
        self._drafted_study = study
        self._storage = _DraftStorage(study._storage, trial._trial_id)

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
    if not own and POINT_TO_TELL in writes:
        # CMA-ES with margin learns from this attribute instead of the parameters: a foreign point must not bear it.
        return
    for key, value in writes.items():
        if not RELATIVE_PARAMS.fullmatch(key):
            set_system_attribute(study, trial, key, value)
    for prefix in {match[1]: None for key in writes if (match := RELATIVE_PARAMS.fullmatch(key))}:
        text = json.dumps(params)
        for start in range(0, len(text), _MAX_ATTRIBUTE_LENGTH):
            part = text[start : start + _MAX_ATTRIBUTE_LENGTH]
            set_system_attribute(study, trial, f"{prefix}:{start // _MAX_ATTRIBUTE_LENGTH}", part)
