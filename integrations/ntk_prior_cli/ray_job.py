"""The job as an experiment of Ray Tune, on one machine or a cluster."""

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
from ntk_prior.architecture import shown
from ntk_prior.data import Images
from ntk_prior.screening import RefusedDraw
from ntk_prior_cli.conclusion import MEASURES, OUTCOME, Launched, Outcome, conclude, facts
from ntk_prior_cli.console import INTERRUPTED, errors, progress_bar
from ntk_prior_cli.job import Job
from ntk_prior_cli.json_lines import REJECTIONS, refused_proposals
from ntk_prior_cli.space import Domain, Floats, Integers, search_space
from ntk_prior_cli.training import Result, trained
from ntk_prior_cli.workload import load, prepared_prior
from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch
from ntk_prior_ray.callback import COLUMN

if TYPE_CHECKING:
    from ntk_prior_report import Run

METRIC, STEP, RESULT = "best_test_accuracy", "step", "result"
"""What each report holds: the objective, the steps taken, and the result so far."""


class ShownProgress(tune.Callback):
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


def run(job: Job) -> int:
    """Run the job with Ray Tune; returns the exit code.

    Raises:
        ValueError: If the study's folder already holds results and they are not to be resumed.
    """
    storage = (job.storage_path or Path("ntk-prior-ray")).absolute()
    experiment = storage / job.study
    if experiment.exists() and not job.resume:
        raise ValueError(
            f"study: expected a new name, received {shown(job.study)}, of which {experiment} holds results: "
            "use resume, or another name"
        )
    images = load(job)
    prior = prepared_prior(job, images)
    # Ray's other output prints tables that verbose=0 does not silence.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    started = time.perf_counter()
    connect(job.address)
    try:
        trainable = placed_trainable(job, prior, images)
        if tune.Tuner.can_restore(str(experiment)):
            tuner = tune.Tuner.restore(str(experiment), trainable, resume_unfinished=True)
        else:
            tuner = new_tuner(job, prior, storage, trainable)
        results = tuner.fit()
    finally:
        ray.shutdown()
    refused = refused_in(experiment) if job.prior else []
    launched = launched_trials(results)
    outcome = Outcome(launched, refused, REJECTIONS, time.perf_counter() - started)
    conclude(job, outcome, prior.budget, images, lambda: page_content(job, experiment, prior, images))
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


def placed_trainable(job: Job, prior: NTKPrior, images: Images) -> Any:
    """The trainable with its data, which go to the object store once, and its resources."""
    gpus = job.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0  # type: ignore[no-untyped-call]
    given = tune.with_parameters(trial, job=job, prior=prior, images=images)
    return tune.with_resources(given, {"cpu": 1, "gpu": gpus})


def new_tuner(job: Job, prior: NTKPrior, storage: Path, trainable: Any) -> tune.Tuner:
    """The experiment, from its beginning."""
    base = base_search(job)
    search = NTKPriorSearch(prior, base, seed=job.seed) if job.prior else base
    callbacks: list[Any] = [ShownProgress(job.trials)]
    if isinstance(search, NTKPriorSearch):
        callbacks.append(NTKPriorCallback(search))
    return tune.Tuner(
        trainable,
        param_space={name: ray_domain(domain) for name, domain in search_space(job.kind).items()},
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            num_samples=job.trials,
            search_alg=search,
            scheduler=ASHAScheduler(time_attr=STEP, max_t=job.steps, grace_period=max(job.steps // 5, 1)),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=job.study,
            storage_path=str(storage),
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=callbacks,
            verbose=0,
        ),
    )


def base_search(job: Job) -> Searcher | None:
    """The search algorithm that proposes, None for random draws."""
    if job.base == "random":
        return None
    # Random draws need no Optuna.
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    from ntk_prior_cli.samplers import base_sampler

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return OptunaSearch(sampler=base_sampler(job.base, job.seed))


def trial(config: dict[str, Any], job: Job, prior: NTKPrior, images: Images) -> None:
    """Train one configuration in a worker. One whose node is lost starts again."""
    # Trials that share a GPU must not each reserve most of it. JAX reads this when it first computes.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

    def report(result: Result) -> None:
        tune.report({METRIC: result["best_test_accuracy"], STEP: result["steps"], RESULT: result})

    # A seed of the configuration's own, whichever worker trains it and whenever.
    seed = (crc32(json.dumps(config, sort_keys=True).encode()) + job.seed) % 2**31
    report(trained(config, job, prior, images, seed, report))


def ray_domain(domain: Domain) -> Any:
    """Ray Tune's domain; its integers exclude the upper bound."""
    if isinstance(domain, Floats):
        return (tune.loguniform if domain.log else tune.uniform)(domain.low, domain.high)
    if isinstance(domain, Integers):
        return (tune.lograndint if domain.log else tune.randint)(domain.low, domain.high + 1)
    return tune.choice(list(domain.values))


def launched_trials(results: tune.ResultGrid) -> list[Launched]:
    """Trials whose training ended, at its last step or by ASHA, without an error."""
    rows = [(number, results[number]) for number in range(len(results))]
    found = [(number, row.metrics) for number, row in rows if row.metrics and row.error is None]
    return [
        Launched(number, metrics["config"], metrics[RESULT], metrics.get(COLUMN))
        for number, metrics in found
        if RESULT in metrics and metrics.get("done")
    ]


def refused_in(experiment: Path) -> list[RefusedDraw]:
    """Refused configurations of an experiment, as its file tells them."""
    entries = refused_proposals(experiment)
    return [RefusedDraw(entry["config"], entry["verdict"], entry["score"], entry["reason"]) for entry in entries]


def page_content(job: Job, experiment: Path, prior: NTKPrior, images: Images) -> Run:
    """The experiment as the report shows it."""
    from ntk_prior_cli.measures import Measures, foretold  # the report has an extra of its own
    from ntk_prior_cli.ray_source import run_of_experiment

    told = facts(job, images) | {"Folder": experiment}
    found = run_of_experiment(experiment, METRIC, "max", prior, outcome_name=OUTCOME, facts=told)
    return replace(found, foretold=foretold(prior, found.rows, Measures(*MEASURES)))
