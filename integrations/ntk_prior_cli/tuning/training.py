"""The training of one configuration, whatever launched it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from ntk_prior import Architecture, Budget, NTKPrior
from ntk_prior.datasets import Images
from ntk_prior_cli.tuning.options import TuneOptions
from ntk_prior_flax import TrainingResult, train, training_flops

Result = dict[str, Any]
"""A ``TrainingResult`` as a dictionary; of a training that was stopped, with None for what was not measured."""

HOPELESS_LOSS = 1e3
"""A training whose loss exceeds this is about to be given up as diverged."""


def train_configuration(
    params: Mapping[str, Any],
    options: TuneOptions,
    prior: NTKPrior,
    images: Images,
    seed: int,
    report: Callable[[Result], None] | None = None,
) -> Result:
    """Train one configuration.

    Args:
        params: The configuration.
        options: The options.
        prior: Whose budget and task the training has.
        images: The data.
        seed: Of the initial parameters and the order of mini-batches.
        report: Called along the way with the result so far; may raise to stop.
    """
    architecture, spent = read_configuration(params, options, prior.budget)
    started, best = time.perf_counter(), 0.0

    def report_progress(step: int, train_loss: float, test_accuracy: float) -> None:
        nonlocal best
        best = max(best, test_accuracy)
        # The last step's result is complete, and so is that of a training which has just diverged: both follow.
        if report is None or step == spent.steps or not math.isfinite(train_loss) or train_loss > HOPELESS_LOSS:
            return
        known = {
            "train_loss": train_loss,
            "test_accuracy": test_accuracy,
            "best_test_accuracy": best,
            "diverged": False,
            "steps": step,
            "learning_rate": spent.learning_rate,
            "flops": count_flops(architecture, replace(spent, steps=step), images),
            "seconds": time.perf_counter() - started,
        }
        report({field.name: known.get(field.name) for field in fields(TrainingResult)})

    data = (images.x_train, images.y_train, images.x_test, images.y_test)
    return asdict(train(architecture, spent, *data, task=prior.task, seed=seed, report=report_progress))


def read_configuration(params: Mapping[str, Any], options: TuneOptions, budget: Budget) -> tuple[Architecture, Budget]:
    """Read architecture and budget from one configuration."""
    architecture = Architecture(
        params["weight_variance"],
        params["bias_variance"],
        params["depth"],
        params["activation"],
        options.kind,
        pooling=bool(params.get("pooling", False)),
    )
    return architecture, Budget(**{**asdict(budget), "learning_rate": params["learning_rate"]})


def count_flops(architecture: Architecture, spent: Budget, images: Images) -> float:
    """Count the multiplications and additions of a training on the images."""
    return training_flops(architecture, spent, images.x_train.shape[1:], images.n_classes, len(images.x_train))
