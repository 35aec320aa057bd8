"""Tuning as an Optuna study."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from ntk_prior import NTKPrior
from ntk_prior.checks import shown
from ntk_prior.runs import check_calibration
from ntk_prior_cli.console import INTERRUPTED, errors, progress_bar
from ntk_prior_cli.optuna_storage import (
    NOTES,
    explain_storage_errors,
    fail_abandoned,
    hide_password,
    open_tuned_storage,
)
from ntk_prior_cli.tuning.options import TuneOptions
from ntk_prior_cli.tuning.results import (
    MEASURED,
    OUTCOME_NAME,
    TrainedTrial,
    TuningResult,
    describe_run,
    write_results,
)
from ntk_prior_cli.tuning.space import Domain, Range, make_search_space
from ntk_prior_cli.tuning.training import train_configuration
from ntk_prior_cli.tuning.workload import load_images, make_base_sampler, prepare_prior
from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_optuna.history import refused_before

if TYPE_CHECKING:
    from ntk_prior.runs import Run


RESULT = "result"
"""User attribute of a trial with what its training reached."""


def run(options: TuneOptions) -> int:
    """Tune as an Optuna study; returns the exit code."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_study_storage(options)
    images = load_images(options)
    prior = prepare_prior(options, images)
    space = {name: to_distribution(domain) for name, domain in make_search_space(options.kind).items()}
    base = make_base_sampler(options.base, options.seed)
    sampler = NTKPriorSampler(prior, base, search_space=space, seed=options.seed) if options.prior else base
    study = optuna.create_study(
        study_name=options.study, storage=storage, sampler=sampler, direction="maximize", load_if_exists=options.resume
    )
    if options.resume and options.storage is not None:
        report_abandoned(study)

    def objective(trial: Trial) -> float:
        params = {name: suggest(trial, name, distribution) for name, distribution in space.items()}
        result = train_configuration(params, options, prior, images, options.seed + trial.number)
        trial.set_user_attr(RESULT, result)
        return float(result["best_test_accuracy"])

    study.set_user_attr(NOTES, describe_run(options, images))
    started = time.perf_counter()
    remaining = max(options.trials - len(find_trained_trials(study)), 0)
    interrupted = not optimize(study, objective, remaining)
    refused = [draw for trial in study.get_trials(deepcopy=False) for draw in refused_before(trial)]
    launched = [
        TrainedTrial(trial.number, trial.params, trial.user_attrs[RESULT], trial.user_attrs.get("ntk_prior"))
        for trial in find_trained_trials(study)
    ]
    result = TuningResult(launched, refused, "the study", time.perf_counter() - started)
    write_results(options, result, prior.budget, images, lambda: read_run(options, study, prior))
    if interrupted:
        return INTERRUPTED
    return 0 if launched else 1


def open_study_storage(options: TuneOptions) -> BaseStorage | None:
    """Open the storage, before any expensive work starts; None for a study in memory.

    Raises:
        ValueError: If the storage cannot be opened, or holds the study and it is not to be resumed.
    """
    if options.storage is None:
        return None
    with explain_storage_errors(options.storage) as place:
        storage = open_tuned_storage(options.storage)
        if options.study in optuna.get_all_study_names(storage) and not options.resume:
            raise ValueError(
                f"--study: expected a new name, received {shown(options.study)}, which is in {place}: add --resume "
                "to go on with it, or give another name"
            )
        return storage


def report_abandoned(study: optuna.Study) -> None:
    """Mark the trials that a killed run has left as failed, and say so."""
    failed, left = fail_abandoned(study)
    if failed:
        errors.print(f"trials that a killed run had left, which count as failed now: {failed}")
    if left:
        errors.print(f"trials that seem to be running elsewhere, which are left as they are: {left}")


def read_run(options: TuneOptions, study: optuna.Study, prior: NTKPrior) -> Run:
    """Read the study as its page shows it."""
    from ntk_prior_cli.optuna_source import run_of_study

    told = {"Storage": hide_password(options.storage)} if options.storage else {}
    found = run_of_study(study, None, outcome_name=OUTCOME_NAME, prior=prior, facts=told)
    return replace(found, calibration=check_calibration(prior, found.rows, MEASURED))


def to_distribution(domain: Domain) -> BaseDistribution:
    """Convert a domain to Optuna's distribution."""
    if not isinstance(domain, Range):
        return CategoricalDistribution(domain)
    if domain.integer:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    """Let the trial suggest one parameter, by Optuna's public calls."""
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    raise TypeError(f"{name}: expected an Optuna distribution, received {distribution!r}")


def find_trained_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Find the trials whose training finished."""
    return [t for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if RESULT in t.user_attrs]


def optimize(study: optuna.Study, objective: Callable[[Trial], float], trials: int) -> bool:
    """Run the study under a progress bar; False if Ctrl-C stopped it."""
    with progress_bar() as progress, remember_signal(signal.SIGINT) as interrupted:
        bar = progress.add_task("launching", total=trials)

        def advance(study: optuna.Study, _: FrozenTrial) -> None:
            best = max((t.values[0] for t in find_trained_trials(study)), default=0.0)
            progress.update(bar, advance=1, description=f"best test accuracy {best:.3f}")
            if interrupted.is_set():
                study.stop()

        try:
            study.optimize(objective, n_trials=trials, callbacks=[advance])
        except KeyboardInterrupt:
            interrupted.set()
    if interrupted.is_set():
        errors.print("stopped: everything finished so far is kept")
    return not interrupted.is_set()


@contextmanager
def remember_signal(number: signal.Signals) -> Iterator[threading.Event]:
    """Note whether a signal comes, which also does what it did before.

    Python drops an exception that a signal raises while a destructor or a callback of C code runs, and both do so all
    the time in a training. Without a record of the signal such a Ctrl-C would be lost.
    """
    came = threading.Event()
    before = signal.getsignal(number)
    if not callable(before):  # ignored, as in a shell's background
        yield came
        return

    def remember(received: int, frame: FrameType | None) -> None:
        came.set()
        before(received, frame)

    signal.signal(number, remember)
    try:
        yield came
    finally:
        signal.signal(number, before)
