"""Finished trials of an experiment, for ``NTKPrior.fit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune import ResultGrid

from ntk_prior import FinishedTrial


def finished_trials(
    results: ResultGrid,
    *,
    test_accuracy: str,
    train_accuracy: str | None = None,
    diverged: str | None = None,
) -> list[FinishedTrial]:
    """What the results of an experiment say about the prior: ``prior.fit(finished_trials(tuner.fit(), ...))``.

    Trials that ended with an error say nothing.

    Args:
        results: Their configurations are what the prior is asked about.
        test_accuracy: Name of the metric with the test accuracy.
        train_accuracy: Name of the metric with the training accuracy. Without it only trials that generalize say that
            they have trained, and none says that it has not.
        diverged: Name of the metric that says whether the training diverged.

    Raises:
        TypeError: If ``results`` is no ``ResultGrid``.
        ValueError: If an accuracy is not in [0, 1], or no result has the metric.
    """
    if not isinstance(results, ResultGrid):
        raise TypeError(f"results: expected what Tuner.fit() returns, a ray.tune.ResultGrid, received {results!r}")
    _require_metrics(results, {"test_accuracy": test_accuracy, "train_accuracy": train_accuracy})
    found = []
    for index in range(len(results)):
        result = results[index]
        metrics = result.metrics
        if result.error is None and metrics and result.config is not None:
            found.append(
                FinishedTrial(
                    result.config,
                    train_accuracy=None if train_accuracy is None else _share(metrics, train_accuracy),
                    test_accuracy=_share(metrics, test_accuracy),
                    diverged=bool(diverged is not None and metrics.get(diverged, False)),
                )
            )
    return found


def _require_metrics(results: ResultGrid, named: Mapping[str, str | None]) -> None:
    """Check that each metric is in some result, unless there is none at all.

    Raises:
        ValueError: If one is in none.
    """
    found = (results[index] for index in range(len(results)))
    reported = {name for result in found if result.error is None for name in result.metrics or {}}
    for argument, name in named.items():
        if reported and name is not None and name not in reported:
            raise ValueError(
                f"{argument}: expected a metric of the results, such as {', '.join(sorted(reported))}, "
                f"received {name!r}"
            )


def _share(metrics: Mapping[str, Any], name: str) -> float | None:
    """An accuracy among metrics; None where there is none.

    Raises:
        ValueError: If it is no number in [0, 1].
    """
    value = metrics.get(name)
    if value is None:
        return None
    number = float(value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name}: expected an accuracy in [0, 1], received {value!r}")
    return number
