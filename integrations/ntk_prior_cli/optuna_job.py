"""The job as an Optuna study."""

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
from ntk_prior.architecture import shown
from ntk_prior_cli.conclusion import MEASURES, OUTCOME, Launched, Outcome, conclude, facts
from ntk_prior_cli.console import INTERRUPTED, errors, progress_bar
from ntk_prior_cli.job import NOTES, Job
from ntk_prior_cli.optuna_storage import fail_abandoned, storage_of_option, tuned_storage, without_password
from ntk_prior_cli.samplers import base_sampler
from ntk_prior_cli.space import Domain, Floats, Integers, search_space
from ntk_prior_cli.training import trained
from ntk_prior_cli.workload import load, prepared_prior
from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_optuna.history import refused_before

if TYPE_CHECKING:
    from ntk_prior_report import Run

RESULT = "result"
"""User attribute of a trial with what its training reached."""


def run(job: Job) -> int:
    """Run the job as an Optuna study; returns the exit code."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = opened(job)
    images = load(job)
    prior = prepared_prior(job, images)
    space = {name: distribution(domain) for name, domain in search_space(job.kind).items()}
    base = base_sampler(job.base, job.seed)
    sampler = NTKPriorSampler(prior, base, search_space=space, seed=job.seed) if job.prior else base
    study = optuna.create_study(
        study_name=job.study, storage=storage, sampler=sampler, direction="maximize", load_if_exists=job.resume
    )
    if job.resume and job.storage is not None:
        tell_abandoned(study)

    def objective(trial: Trial) -> float:
        params = {name: suggested(trial, name, distribution) for name, distribution in space.items()}
        result = trained(params, job, prior, images, job.seed + trial.number)
        trial.set_user_attr(RESULT, result)
        return float(result["best_test_accuracy"])

    study.set_user_attr(NOTES, facts(job, images))
    started = time.perf_counter()
    remaining = max(job.trials - len(launched_trials(study)), 0)
    interrupted = not optimised(study, objective, remaining)
    refused = [draw for trial in study.get_trials(deepcopy=False) for draw in refused_before(trial)]
    launched = [
        Launched(trial.number, trial.params, trial.user_attrs[RESULT], trial.user_attrs.get("ntk_prior"))
        for trial in launched_trials(study)
    ]
    outcome = Outcome(launched, refused, "the study", time.perf_counter() - started)
    conclude(job, outcome, prior.budget, images, lambda: page_content(job, study, prior))
    if interrupted:
        return INTERRUPTED
    return 0 if launched else 1


def opened(job: Job) -> BaseStorage | None:
    """The storage, before anything dear is done; None for a study in memory.

    Raises:
        ValueError: If the storage cannot be opened, or holds the study and it is not to be resumed.
    """
    if job.storage is None:
        return None
    with storage_of_option(job.storage) as place:
        storage = tuned_storage(job.storage)
        if job.study in optuna.get_all_study_names(storage) and not job.resume:
            raise ValueError(
                f"--study: expected a new name, received {shown(job.study)}, which is in {place}: add --resume to go "
                "on with it, or give another name"
            )
        return storage


def tell_abandoned(study: optuna.Study) -> None:
    """Let the trials fail that a killed run has left, and say so."""
    failed, left = fail_abandoned(study)
    if failed:
        errors.print(f"trials that a killed run had left, which count as failed now: {failed}")
    if left:
        errors.print(f"trials that seem to be running elsewhere, which are left as they are: {left}")


def page_content(job: Job, study: optuna.Study, prior: NTKPrior) -> Run:
    """The study as the report shows it."""
    from ntk_prior_cli.measures import Measures, foretold  # the report has an extra of its own
    from ntk_prior_cli.optuna_source import run_of_study

    told = {"Storage": without_password(job.storage)} if job.storage else {}
    found = run_of_study(study, None, outcome_name=OUTCOME, prior=prior, facts=told)
    return replace(found, foretold=foretold(prior, found.rows, Measures(*MEASURES)))


def distribution(domain: Domain) -> BaseDistribution:
    """Optuna's distribution over a domain."""
    if isinstance(domain, Floats):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    if isinstance(domain, Integers):
        return IntDistribution(domain.low, domain.high, log=domain.log)
    return CategoricalDistribution(domain.values)


def suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    """The trial's value of one parameter, by Optuna's public calls."""
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    raise TypeError(f"{name}: expected an Optuna distribution, received {distribution!r}")


def launched_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Trials whose training finished."""
    return [t for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if RESULT in t.user_attrs]


def optimised(study: optuna.Study, objective: Callable[[Trial], float], trials: int) -> bool:
    """Run the study under a progress bar; False if Ctrl-C stopped it."""
    with progress_bar() as progress, remembered(signal.SIGINT) as interrupted:
        bar = progress.add_task("launching", total=trials)

        def advance(study: optuna.Study, _: FrozenTrial) -> None:
            best = max((t.values[0] for t in launched_trials(study)), default=0.0)
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
def remembered(number: signal.Signals) -> Iterator[threading.Event]:
    """Whether the signal came, which also does what it did before.

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
