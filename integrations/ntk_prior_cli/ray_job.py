"""The main job on Ray Tune: the same trainings, prior and report, on one machine or a cluster."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import ray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray import tune
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from ntk_prior import NTKPrior
from ntk_prior.data import Images
from ntk_prior_cli.job import (
    RESULT,
    Job,
    Launched,
    base_sampler,
    concluded,
    load,
    prepared_prior,
    reported,
    search_space,
    trained,
)
from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch
from ntk_prior_ray.callback import COLUMN, REJECTIONS

METRIC = "best_test_accuracy"


@dataclass(frozen=True)
class Cluster:
    """Where a job runs.

    Attributes:
        address: Of a running cluster, or ``"local"`` for one of its own.
        gpus_per_trial: GPUs of each trial, fractions allowed; None for one where the cluster has any.
        storage_path: Folder of Ray's results, shared by all nodes.
    """

    address: str
    gpus_per_trial: float | None
    storage_path: Path


def run(job: Job, cluster: Cluster) -> int:
    """Run the job with Ray Tune; returns the exit code."""
    images = load(job)
    prior = prepared_prior(job, images)
    experiment = cluster.storage_path.absolute() / job.study
    if experiment.exists() and not job.resume:
        raise ValueError(f"study: expected a new name, received {job.study!r}, of which {experiment} holds results")
    ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    started = time.perf_counter()
    try:
        placed = placed_trainable(job, prior, images, cluster.gpus_per_trial)
        if experiment.exists():
            tuner = tune.Tuner.restore(str(experiment), placed, resume_unfinished=True)
        else:
            tuner = new_tuner(job, prior, cluster, placed)
        results = tuner.fit()
    finally:
        ray.shutdown()
    rows = [(number, results[number].metrics or {}) for number in range(len(results))]
    launched = [
        Launched(number, metrics["config"], metrics[RESULT], metrics.get(COLUMN))
        for number, metrics in rows
        if RESULT in metrics
    ]
    concluded(
        reported(job, launched, refused_in(experiment), prior.budget, images, time.perf_counter() - started), job.output
    )
    return 0 if launched else 1


def new_tuner(job: Job, prior: NTKPrior, cluster: Cluster, trainable: Any) -> tune.Tuner:
    """The experiment, from its beginning."""
    base = None if job.base == "random" else OptunaSearch(sampler=base_sampler(job.base, job.seed))
    search: Searcher | None = NTKPriorSearch(prior, base, seed=job.seed) if job.prior else base
    callbacks = [NTKPriorCallback(search)] if isinstance(search, NTKPriorSearch) else []
    return tune.Tuner(
        trainable,
        param_space={name: domain(distribution) for name, distribution in search_space(job.kind).items()},
        tune_config=tune.TuneConfig(
            metric=METRIC, mode="max", num_samples=job.trials, search_alg=search, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name=job.study,
            storage_path=str(cluster.storage_path.absolute()),
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=callbacks,  # type: ignore[arg-type]
            verbose=0,
        ),
    )


def placed_trainable(job: Job, prior: NTKPrior, images: Images, gpus: float | None) -> Any:
    """The trainable with its data in the object store and its resources."""
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0  # type: ignore[no-untyped-call]
    return tune.with_resources(
        tune.with_parameters(trial, job=job, prior=prior, images=images), {"cpu": 1, "gpu": gpus}
    )


def trial(config: dict[str, Any], job: Job, prior: NTKPrior, images: Images) -> None:
    """Train one configuration in a worker. One whose node is lost starts again."""
    best = 0.0

    def report(step: int, train_loss: float, test_accuracy: float) -> None:  # noqa: ARG001
        nonlocal best
        best = max(best, test_accuracy)
        if step < job.steps:
            tune.report({METRIC: best})

    # A seed of the configuration's own, whichever worker runs it and whenever.
    seed = crc32(json.dumps(config, sort_keys=True).encode()) + job.seed
    result = trained(config, job, prior, images, seed % 2**31, report)
    tune.report({METRIC: result[METRIC], RESULT: result})


def domain(distribution: BaseDistribution) -> Any:
    """Ray Tune's domain for one of Optuna's distributions."""
    if isinstance(distribution, FloatDistribution):
        return (tune.loguniform if distribution.log else tune.uniform)(distribution.low, distribution.high)
    if isinstance(distribution, IntDistribution):
        # Ray excludes the upper bound.
        return (tune.lograndint if distribution.log else tune.randint)(distribution.low, distribution.high + 1)
    if isinstance(distribution, CategoricalDistribution):
        return tune.choice(list(distribution.choices))
    raise TypeError(f"expected an Optuna distribution, received {distribution!r}")


def refused_in(experiment: Path) -> list[tuple[dict[str, Any], str]]:
    """Refused configurations of an experiment, with their verdicts, those of earlier runs included."""
    path = experiment / REJECTIONS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(entry["config"], entry["verdict"]) for entry in map(json.loads, lines)]
