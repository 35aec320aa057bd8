"""What is used of Optuna besides its public names: it is there, and each thing that is not is told of once."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import CmaEsSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.samplers._gp import sampler as gp
from optuna.samplers._tpe import sampler as tpe
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from ntk_prior_optuna import NTKPriorSampler, _optuna_check, prune_if_infeasible
from tests.support.priors import likes_small_x


@pytest.fixture(autouse=True)
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has looked for nothing yet."""
    monkeypatch.setattr(_optuna_check._EXPECTATIONS, "_checked", set())
    _optuna_check._rehearse.cache_clear()
    _optuna_check._draw_by_tpe.cache_clear()


def rehearse_without_frozen_trial(rehearse: Callable[[], Any] = _optuna_check._rehearse) -> Any:
    """A trial that keeps elsewhere what it knows of itself."""
    return rehearse()._replace(trial=SimpleNamespace())


def suggest_a_copy(patch: pytest.MonkeyPatch) -> None:
    probe = _optuna_check._Probe
    original = probe.sample_relative
    patch.setattr(probe, "sample_relative", lambda self, study, trial, space: original(self, study, trial, dict(space)))


def keep_notes_apart(patch: pytest.MonkeyPatch) -> None:
    """The running trial reads the storage and not what its sampler was handed."""
    patch.setattr(Trial, "user_attrs", property(lambda trial: {}))


def write_past_the_study(patch: pytest.MonkeyPatch) -> None:
    """TPE notes the point by another method of the storage."""
    storages = InMemoryStorage
    patch.setattr(storages, "set_attributes", storages.set_trial_system_attr, raising=False)
    original = TPESampler.sample_relative

    def sample_relative(self: TPESampler, study: Any, trial: FrozenTrial, space: Any) -> dict[str, Any]:
        draft = study._storage

        class Elsewhere:
            def __getattr__(self, name: str) -> Any:
                return getattr(study, name)

            _storage = draft._drafted_storage

        return original(self, Elsewhere(), trial, space)  # type: ignore[arg-type]

    patch.setattr(TPESampler, "sample_relative", sample_relative)


class WithoutBase(PartialFixedSampler):
    """As Optuna's, but for where it keeps what it wraps."""

    def __init__(self, fixed: dict[str, Any], base: optuna.samplers.BaseSampler) -> None:
        super().__init__(fixed, base)
        del self._base_sampler


class WithoutStartup(TPESampler):
    """As Optuna's, but for what it keeps of its start-up."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        del self._n_startup_trials


Change = Callable[[pytest.MonkeyPatch], None]
CHANGES: dict[str, tuple[str, Change]] = {
    "the method _get_trials of optuna.Study": (
        "no trial can be drawn or judged",
        lambda patch: patch.setattr(Study, "_get_trials", lambda self, states=None: []),
    ),
    "_cached_frozen_trial of optuna.Trial": (
        "no trial can be drawn or judged",
        lambda patch: patch.setattr(_optuna_check, "_rehearse", rehearse_without_frozen_trial),
    ),
    "the method _contains": (
        "drawn again although their values are within the range",
        lambda patch: patch.setattr(FloatDistribution, "_contains", lambda self, value: True),
    ),
    "handed back to its sample_relative": ("not of its own relative space", suggest_a_copy),
    "the user attributes of a running trial": ("without knowing what the sampler has decided", keep_notes_apart),
    "the system attribute fixed_params": (
        "screened as if nobody had asked for them",
        lambda patch: patch.setattr(_optuna_check, "enqueued_params", lambda trial: {}),
    ),
    "the system attribute failed_trial": (
        "count twice as evidence",
        lambda patch: patch.setattr(
            _optuna_check.RetryFailedTrialCallback, "retried_trial_number", staticmethod(lambda trial: None)
        ),
    ),
    "_base_sampler and _fixed_params": (
        "asked about other values than the fixed ones",
        lambda patch: patch.setattr(_optuna_check, "PartialFixedSampler", WithoutBase),
    ),
    "tpe:relative_params:0, ..., set through the study's storage": (
        "keeps away from draws that were discarded",
        write_past_the_study,
    ),
    "attributes tpe:relative_params:0": (
        "TPE in other workers keeps away from draws",
        lambda patch: patch.setattr(tpe, "_RELATIVE_PARAMS_KEY", "tpe:running_params"),
    ),
    "attributes gp:relative_params:0": (
        "GPSampler in other workers keeps away from draws",
        lambda patch: patch.setattr(gp, "_RELATIVE_PARAMS_KEY", "gp:running_params"),
    ),
    "the system attribute x_for_tell": (
        "CMA-ES with margin learns from draws",
        lambda patch: patch.setattr(CmaEsSampler, "sample_relative", lambda self, study, trial, space: {}),
    ),
    "_compute_acquisition_func": (
        "costs as much as the first one",
        lambda patch: patch.setattr(TPESampler, "_sample", lambda self, study, trial, space: {"x": 0.5}),
    ),
    "_rng, with rng, and _n_startup_trials": (
        "does not make draws reproducible",
        lambda patch: patch.setattr(_optuna_check, "TPESampler", WithoutStartup),
    ),
}


@pytest.mark.parametrize(("told", "change"), CHANGES.values(), ids=CHANGES.keys())
def test_what_is_not_where_it_was_is_told_of_once(
    told: str, change: Change, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    change(monkeypatch)
    with pytest.warns(RuntimeWarning) as caught:
        NTKPriorSampler(likes_small_x, RandomSampler())
    NTKPriorSampler(likes_small_x, RandomSampler())
    messages = [str(warning.message) for warning in caught]
    (message,) = [message for message in messages if request.node.callspec.id in message]
    assert told in message
    assert f"which Optuna {optuna.__version__} does not have" in message


def test_nothing_is_missing_in_the_optuna_that_is_installed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NTKPriorSampler(likes_small_x, RandomSampler())


def test_the_gate_looks_too() -> None:
    study = optuna.create_study()
    trial = study.ask({"x": FloatDistribution(0.0, 1.0)})
    prune_if_infeasible(trial, likes_small_x, {"x": 0.0})
    assert _optuna_check._EXPECTATIONS._checked


def test_the_rehearsal_says_nothing_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    code = "from ntk_prior_optuna._optuna_check import warn_of_changes; warn_of_changes()"
    subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", code], check=True)
    assert capfd.readouterr() == ("", "")
