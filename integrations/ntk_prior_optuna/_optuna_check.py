"""Whether all that is private to Optuna is where ``_optuna`` expects it, found out in a rehearsal.

Most of it would be missed in silence: notes of discarded draws would reach the storage, say, or a gate would not see
what the sampler has decided.
"""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, cast

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage, RetryFailedTrialCallback
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from ntk_prior.decision import Expectation, ExpectationsOf
from ntk_prior_optuna._optuna import (
    POINT_TO_TELL,
    RELATIVE_PARAMS,
    DraftStudy,
    enqueued_params,
    fixed_params,
    frozen,
    holds,
    is_retried,
    nested,
    random_states,
    watch_candidates,
)


class _Space(dict[str, BaseDistribution]):
    """A space that can be told from a copy of it."""


class _Probe(BaseSampler):
    """Keeps what Optuna hands over, and leaves a note with the trial."""

    def __init__(self) -> None:
        self.space = _Space(x=FloatDistribution(0.0, 1.0))
        self.received: object = None

    def infer_relative_search_space(self, *_: object) -> dict[str, BaseDistribution]:
        return self.space

    def sample_relative(
        self, _study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self.received = search_space
        trial.user_attrs["noted"] = True
        return {"x": 0.5}

    def sample_independent(self, *_: object) -> Any:
        raise NotImplementedError("the only parameter is drawn by sample_relative")


class _Rehearsal(NamedTuple):
    """What happened in a study of two trials.

    Attributes:
        study: The study, in memory.
        trial: Its finished trial.
        probe: The sampler of it.
        was_noted: Whether the running trial saw the note that its sampler has left.
    """

    study: Study
    trial: Trial
    probe: _Probe
    was_noted: bool


@contextmanager
def _in_silence() -> Iterator[None]:
    """Users are not told of a new study, nor that what is used here is experimental."""
    log = logging.getLogger(InMemoryStorage.__module__)
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@cache
def _rehearse() -> _Rehearsal:
    storage = InMemoryStorage()
    name = "rehearsal"
    with _in_silence():
        storage.create_new_study([StudyDirection.MINIMIZE], name)
    probe = _Probe()
    study = Study(name, storage, sampler=probe)
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    was_noted = trial.user_attrs.get("noted") is True
    study.tell(trial, 0.0)
    return _Rehearsal(study, trial, probe, was_noted)


class _TpeDraw(NamedTuple):
    """What a draw of TPE left behind.

    Attributes:
        params: The draw.
        writes: What reached the draft of the trial.
        stored: What reached the storage.
        heard: The candidates, as they were told of.
    """

    params: dict[str, Any]
    writes: dict[str, Any]
    stored: dict[str, Any]
    heard: list[tuple[Any, Any, Any]]


@cache
def _draw_by_tpe() -> _TpeDraw:
    study = _rehearse().study
    heard: list[tuple[Any, Any, Any]] = []
    with _in_silence():
        tpe = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=1, n_ei_candidates=2, seed=0)
    trial = frozen(study.ask())
    space = tpe.infer_relative_search_space(study, trial)
    draft = DraftStudy(study, trial)
    watched = watch_candidates(tpe, lambda *told: heard.append(told))
    params = watched.sample_relative(cast("Study", draft), trial, space)
    return _TpeDraw(params, draft.writes, study._storage.get_trial_system_attrs(trial._trial_id), heard)


def _study_is_as_it_was() -> bool:
    study = _rehearse().study
    known = {"deepcopy", "states", "use_cache"} <= inspect.signature(Study._get_trials).parameters.keys()
    thread = study._thread_local
    parts = (study._storage, study._study_id, thread.in_optimize_loop, hasattr(thread, "cached_all_trials"))
    return known and parts[-1]


def _trial_is_as_it_was() -> bool:
    trial = _rehearse().trial
    return isinstance(trial._cached_frozen_trial, FrozenTrial) and trial._cached_frozen_trial._trial_id == 0


def _is_enqueued_seen() -> bool:
    study = _rehearse().study
    study.enqueue_trial({"x": 0.25})
    (waiting,) = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return dict(enqueued_params(waiting)) == {"x": 0.25}


def _is_retry_seen() -> bool:
    copy = create_trial(value=0.0, system_attrs={"failed_trial": 3})
    with _in_silence():
        return RetryFailedTrialCallback.retried_trial_number(copy) == 3 and is_retried(copy)


def _are_fixed_seen() -> bool:
    inner = RandomSampler()
    with _in_silence():
        partial = PartialFixedSampler({"x": 0.5}, inner)
    return [*nested(partial)] == [partial, inner] and fixed_params(partial, create_trial(value=0.0)) == {"x": 0.5}


def _is_point_of_tpe_drafted() -> bool:
    draw = _draw_by_tpe()
    text = "".join(value for key, value in draw.writes.items() if RELATIVE_PARAMS.fullmatch(key))
    return draw.stored.keys().isdisjoint(draw.writes) and json.loads(text) == draw.params


def _is_point_of_gp_named_alike() -> bool:
    from optuna.samplers._gp import sampler

    return RELATIVE_PARAMS.fullmatch(f"{sampler._RELATIVE_PARAMS_KEY}:0") is not None


def _is_point_of_cmaes_named_alike() -> bool:
    codes = (method.__code__ for method in vars(CmaEsSampler).values() if inspect.isfunction(method))
    return any(POINT_TO_TELL in code.co_consts for code in codes)


def _are_candidates_heard_of() -> bool:
    ((space, candidates, gains),) = _draw_by_tpe().heard
    return set(space) == set(candidates) == {"x"} and candidates["x"].shape == gains.shape == (2,)


def _are_random_states_found() -> bool:
    tpe = TPESampler(seed=0)
    return tpe._n_startup_trials >= 0 and tpe._rng.rng in [*random_states(tpe, set())]


_EXPECTED = (
    Expectation(
        "the attributes _storage, _study_id and _thread_local and the method _get_trials of optuna.Study",
        _study_is_as_it_was,
        "no trial can be drawn or judged",
    ),
    Expectation(
        "the attributes _trial_id of optuna.trial.FrozenTrial and _cached_frozen_trial of optuna.Trial",
        _trial_is_as_it_was,
        "no trial can be drawn or judged",
    ),
    Expectation(
        "the method _contains of optuna.distributions",
        lambda: holds(FloatDistribution(0.0, 1.0), 0.5) and not holds(FloatDistribution(0.0, 1.0), 2.0),
        "parameters whose ranges vary are drawn again although their values are within the range",
    ),
    Expectation(
        "a sampler's own search space handed back to its sample_relative",
        lambda: _rehearse().probe.received is _rehearse().probe.space,
        "the base sampler is asked for parameters that are not of its own relative space",
    ),
    Expectation(
        "the user attributes of a running trial in the FrozenTrial that its sampler gets",
        lambda: _rehearse().was_noted,
        "prune_if_infeasible decides without knowing what the sampler has decided",
    ),
    Expectation(
        "the system attribute fixed_params of enqueued trials",
        _is_enqueued_seen,
        "enqueued trials are screened as if nobody had asked for them",
    ),
    Expectation(
        "the system attribute failed_trial of trials that repeat a failed one",
        _is_retry_seen,
        "repeated trials are screened, and count twice as evidence",
    ),
    Expectation(
        "the attributes _base_sampler and _fixed_params of optuna.samplers.PartialFixedSampler",
        _are_fixed_seen,
        "the prior is asked about other values than the fixed ones",
    ),
    Expectation(
        "the point of a running trial in system attributes tpe:relative_params:0, ..., set through the study's storage",
        _is_point_of_tpe_drafted,
        "TPE in other workers keeps away from draws that were discarded",
    ),
    Expectation(
        "the point of a running trial in system attributes gp:relative_params:0, ...",
        _is_point_of_gp_named_alike,
        "GPSampler in other workers keeps away from draws that were discarded",
    ),
    Expectation(
        f"the system attribute {POINT_TO_TELL} of optuna.samplers.CmaEsSampler",
        _is_point_of_cmaes_named_alike,
        "CMA-ES with margin learns from draws that were discarded",
    ),
    Expectation(
        "the methods _sample and _compute_acquisition_func of optuna.samplers.TPESampler",
        _are_candidates_heard_of,
        "each further draw of TPE costs as much as the first one",
    ),
    Expectation(
        "the attributes _rng, with rng, and _n_startup_trials of optuna.samplers.TPESampler",
        _are_random_states_found,
        "a seed does not make draws reproducible",
    ),
)

_EXPECTATIONS = ExpectationsOf("ntk_prior_optuna", "Optuna", optuna.__version__)


def warn_of_changes() -> None:
    """Warn, once a process, of each thing in Optuna that is not where it was."""
    for expected in _EXPECTED:
        _EXPECTATIONS.warn_unless(expected)
