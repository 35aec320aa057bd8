"""Finished trials of an experiment, for ``NTKPrior.fit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ray.tune import ResultGrid

from ntk_prior import FinishedTrial
from ntk_prior.checks import as_number, require_accuracy, shown
from ntk_prior_ray.space import closest, flatten


def finished_trials(
    results: ResultGrid,
    *,
    test_accuracy: str,
    train_accuracy: str | None = None,
    diverged: str | None = None,
) -> list[FinishedTrial]:
    """What the results of an experiment say about the prior: ``prior.fit(finished_trials(tuner.fit(), ...))``.

    Trials that ended with an error say nothing. Metrics are named as a Tuner names them, ``"eval/acc"`` for ``acc`` in
    ``eval``.

    Args:
        results: Their configurations are what the prior is asked about.
        test_accuracy: Name of the metric with the test accuracy.
        train_accuracy: Name of the metric with the training accuracy. Without it only trials that generalize say that
            they have trained, and none says that it has not.
        diverged: Name of the metric that says whether the training diverged; it did not where a trial lacks it.

    Raises:
        TypeError: If ``results`` is no ``ResultGrid``, or a name is no string.
        ValueError: If an accuracy is neither in [0, 1] nor NaN, which stands for unknown, ``diverged`` is neither true
            nor false, or no result has the metric.

    Example:
        >>> from ntk_prior_ray import finished_trials
        >>> results = tuner.fit()  # doctest: +SKIP
        >>> prior.fit(finished_trials(results, test_accuracy="eval/accuracy"))  # doctest: +SKIP
    """
    if not isinstance(results, ResultGrid):
        raise TypeError(f"results: expected what Tuner.fit() returns, a ray.tune.ResultGrid, received {shown(results)}")
    found = [results[index] for index in range(len(results))]
    ended = [(one, flatten(one.metrics or {})) for one in found if one.error is None]
    named = {"test_accuracy": test_accuracy, "train_accuracy": train_accuracy, "diverged": diverged}
    for argument, name in named.items():
        if name is not None or argument == "test_accuracy":
            _require_metric(argument, name, [metrics for _, metrics in ended])
    return [
        FinishedTrial(
            one.config,
            train_accuracy=None
            if train_accuracy is None
            else require_accuracy(train_accuracy, metrics.get(train_accuracy)),
            test_accuracy=require_accuracy(test_accuracy, metrics.get(test_accuracy)),
            diverged=diverged is not None and _flag(metrics, diverged),
        )
        for one, metrics in ended
        if metrics and one.config is not None
    ]


def _require_metric(argument: str, name: object, reported: list[dict[str, Any]]) -> None:
    """Check that a metric is in some result, unless there is none at all.

    Raises:
        TypeError: If its name is no string.
        ValueError: If it is in none.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: expected the name of a metric, received {shown(name)}")
    names = sorted({one for metrics in reported for one in metrics if not one.startswith("config/")})
    if not names or any(name in metrics for metrics in reported):
        return
    raise ValueError(
        f"{argument}: expected a metric of the results, such as {', '.join(names)}, received {shown(name)}"
        f"{closest(name, names)}"
    )


def _flag(metrics: Mapping[str, Any], name: str) -> bool:
    """Whether a flat metric is true, as a bool or as 0 or 1; None is false.

    Raises:
        ValueError: If it is anything else.
    """
    value = metrics.get(name)
    if value is None or isinstance(value, bool | np.bool_):
        return bool(value)
    number = as_number(value)
    if number not in (0.0, 1.0):
        raise ValueError(f"{name}: expected True or False, received {shown(value)}")
    return bool(number)
