"""Tuning as an experiment of Ray Tune, on one machine or a cluster."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from ntk_prior import NTKPrior
from ntk_prior.checks import shown
from ntk_prior.datasets import Images
from ntk_prior.decision import ATTRIBUTE, RefusedDraw
from ntk_prior.runs import check_calibration
from ntk_prior.runs.ray_folder import REJECTIONS, read_experiment, read_refused_proposals
from ntk_prior_cli.console import INTERRUPTED, errors, progress_bar
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
from ntk_prior_cli.tuning.training import Result, train_configuration
from ntk_prior_cli.tuning.workload import load_images, make_base_sampler, prepare_prior
from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch

if TYPE_CHECKING:
    from ntk_prior.runs import Run


METRIC, STEP, RESULT = "best_test_accuracy", "step", "result"
"""What each report holds: the objective, the steps taken, and the result so far."""


class ProgressCallback(tune.Callback):
    """Moves the progress bar. Ray stores its callbacks, which the bar could not survive."""

    def __init__(self, trials: int) -> None:
        self._trials = trials

    def setup(self, *_: Any, **__: Any) -> None:
        """Show the bar."""
        self._progress = progress_bar()
        self._bar = self._progress.add_task("launching", total=self._trials)
        self._progress.start()

    def on_step_end(self, iteration: int, trials: list[Any], **_: Any) -> None:  # noqa: ARG002
        """Count what is finished, trials of an interrupted run included."""
        finished = [trial for trial in trials if trial.is_finished()]
        best = max((trial.last_result.get(METRIC, 0.0) for trial in finished), default=None)
        text = "launching" if best is None else f"best test accuracy {best:.3f}"
        self._progress.update(self._bar, completed=len(finished), description=text)

    def on_experiment_end(self, *_: Any, **__: Any) -> None:
        """Leave the bar as it is: by now trials that Ctrl-C cut off count as finished."""
        self._progress.stop()

    def __getstate__(self) -> dict[str, Any]:
        return {"_trials": self._trials}


def run(options: TuneOptions) -> int:
    """Tune with Ray Tune; returns the exit code.

    Raises:
        ValueError: If the study's folder already holds results and they are not to be resumed.
    """
    storage = (options.storage_path or Path("ntk-prior-ray")).absolute()
    experiment = storage / options.study
    if experiment.exists() and not options.resume:
        raise ValueError(
            f"--study: expected a new name, received {shown(options.study)}, of which {experiment} holds results: "
            "add --resume to go on with it, or give another name"
        )
    images = load_images(options)
    prior = prepare_prior(options, images)
    # Ray's other output prints tables that verbose=0 does not silence.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    started = time.perf_counter()
    connect(options.address)
    try:
        trainable = make_trainable(options, prior, images)
        if tune.Tuner.can_restore(str(experiment)):
            tuner = tune.Tuner.restore(str(experiment), trainable, resume_unfinished=True)
        else:
            tuner = make_tuner(options, prior, storage, trainable)
        results = tuner.fit()
    finally:
        ray.shutdown()
    refused = read_refused_draws(experiment) if options.prior else []
    launched = find_trained_trials(results)
    result = TuningResult(launched, refused, REJECTIONS, time.perf_counter() - started)
    write_results(options, result, prior.budget, images, lambda: read_run(options, experiment, prior, images))
    if results.num_errors:
        errors.print(f"{results.num_errors} trials failed, the last one:")
        for line in str(results.errors[-1]).splitlines():
            errors.print(line, soft_wrap=True)
    # Ray counts trials that Ctrl-C cut off as terminated.
    if len(launched) + results.num_errors < len(results):
        errors.print("stopped: everything finished so far is kept")
        return INTERRUPTED
    return 0 if launched else 1


def connect(address: str | None) -> None:
    """Start a local Ray, or connect to the cluster of that address."""
    if address is None:
        ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)


def make_trainable(options: TuneOptions, prior: NTKPrior, images: Images) -> Any:
    """Make the trainable with its data, which go to the object store once, and its resources."""
    gpus = options.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0  # type: ignore[no-untyped-call]
    given = tune.with_parameters(run_trial, options=options, prior=prior, images=images)
    return tune.with_resources(given, {"cpu": 1, "gpu": gpus})


def make_tuner(options: TuneOptions, prior: NTKPrior, storage: Path, trainable: Any) -> tune.Tuner:
    """Set up the experiment from its beginning."""
    base = make_base_search(options)
    search = NTKPriorSearch(prior, base, seed=options.seed) if options.prior else base
    callbacks: list[Any] = [ProgressCallback(options.trials)]
    if isinstance(search, NTKPriorSearch):
        callbacks.append(NTKPriorCallback(search))
    return tune.Tuner(
        trainable,
        param_space={name: to_ray_domain(domain) for name, domain in make_search_space(options.kind).items()},
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            num_samples=options.trials,
            search_alg=search,
            scheduler=ASHAScheduler(time_attr=STEP, max_t=options.steps, grace_period=max(options.steps // 5, 1)),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=options.study,
            storage_path=str(storage),
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=callbacks,
            verbose=0,
        ),
    )


def make_base_search(options: TuneOptions) -> Searcher | None:
    """Make the search algorithm that proposes; None for random draws."""
    if options.base == "random":
        return None
    # Random draws need no Optuna.
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return OptunaSearch(sampler=make_base_sampler(options.base, options.seed))


def run_trial(config: dict[str, Any], options: TuneOptions, prior: NTKPrior, images: Images) -> None:
    """Train one configuration in a worker. One whose node is lost starts again."""
    # Trials that share a GPU must not each reserve most of it. JAX reads this when it first computes.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

    def report(result: Result) -> None:
        tune.report({METRIC: result["best_test_accuracy"], STEP: result["steps"], RESULT: result})

    # A seed of the configuration's own, whichever worker trains it and whenever.
    seed = (crc32(json.dumps(config, sort_keys=True).encode()) + options.seed) % 2**31
    report(train_configuration(config, options, prior, images, seed, report))


def to_ray_domain(domain: Domain) -> Any:
    """Convert a domain to Ray Tune's, whose integers exclude the upper bound."""
    if not isinstance(domain, Range):
        return tune.choice(list(domain))
    if domain.integer:
        return (tune.lograndint if domain.log else tune.randint)(int(domain.low), int(domain.high) + 1)
    return (tune.loguniform if domain.log else tune.uniform)(domain.low, domain.high)


def find_trained_trials(results: tune.ResultGrid) -> list[TrainedTrial]:
    """Find the trials whose training ended, at its last step or by ASHA, without an error."""
    rows = [(number, results[number]) for number in range(len(results))]
    found = [(number, row.metrics) for number, row in rows if row.metrics and row.error is None]
    return [
        TrainedTrial(number, metrics["config"], metrics[RESULT], metrics.get(ATTRIBUTE))
        for number, metrics in found
        if RESULT in metrics and metrics.get("done")
    ]


def read_refused_draws(experiment: Path) -> list[RefusedDraw]:
    """Read the refused configurations of an experiment from its file."""
    entries = read_refused_proposals(experiment)
    return [RefusedDraw(entry["config"], entry["verdict"], entry["score"], entry["reason"]) for entry in entries]


def read_run(options: TuneOptions, experiment: Path, prior: NTKPrior, images: Images) -> Run:
    """Read the experiment as its page shows it."""
    told = describe_run(options, images) | {"Folder": experiment}
    found = read_experiment(experiment, METRIC, "max", prior, outcome_name=OUTCOME_NAME, facts=told)
    return replace(found, calibration=check_calibration(prior, found.rows, MEASURED))
