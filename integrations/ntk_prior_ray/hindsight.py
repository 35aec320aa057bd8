"""Hindsight: what the prior would have refused of an experiment that ran without it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from ray.tune import Result, ResultGrid

from ntk_prior.checks import require_choice, shown
from ntk_prior.decision import Prior
from ntk_prior.plots.review import Review
from ntk_prior.runs import RunTrial
from ntk_prior_ray.objective import MODES, read_metrics
from ntk_prior_ray.space import flatten


def review(results: ResultGrid, prior: Prior, *, metric: str, mode: str, threshold: float | None = None) -> Review:
    """Judge the trials of an experiment afterwards: what would have been refused, and was that right?

    ``print(review(tuner.fit(), prior, metric="accuracy", mode="max"))`` says it in words. The experiment may have run
    without the prior or with it; what was said then does not count. Trials that failed count as the worst.

    Args:
        results: What ``Tuner.fit()`` returns.
        prior: Judges the trials' configurations.
        metric: What trials are compared by; that of a nested result has slashes, such as ``"eval/accuracy"``.
        mode: ``"min"`` or ``"max"``.
        threshold: Lower scores would have been refused; None for the prior's own.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If no result has the metric, ``mode`` is neither, or the threshold lies outside [0, 1].

    Example:
        >>> from ntk_prior_ray import review
        >>> results = tuner.fit()  # doctest: +SKIP
        >>> print(review(results, prior, metric="accuracy", mode="max"))  # doctest: +SKIP
    """
    if not isinstance(results, ResultGrid):
        raise TypeError(f"results: expected what Tuner.fit() returns, a ray.tune.ResultGrid, received {shown(results)}")
    if not isinstance(metric, str):
        raise TypeError(f"metric: expected the name of a metric, received {shown(metric)}")
    require_choice("mode", mode, MODES)
    found = [results[index] for index in range(len(results))]
    reported = {name for result in found if result.error is None for name in flatten(result.metrics or {})}
    if reported and metric not in reported:
        names = ", ".join(sorted(reported))
        raise ValueError(f"metric: expected a metric of the results, such as {names}, received {shown(metric)}")
    trials = [_trial(result, metric) for result in found]
    return Review.from_trials(trials, prior, outcome_name=metric, maximize=mode == "max", threshold=threshold)


def _trial(result: Result, metric: str) -> RunTrial:
    flat: dict[str, Any] = flatten(result.metrics or {})
    value = read_metrics(flat, metric)
    seconds = read_metrics(flat, "time_total_s")
    return RunTrial(
        result.config or {},
        outcome=None if result.error is not None or value is None else value[metric],
        name=f"trial {flat.get('trial_id', PurePosixPath(str(result.path)).name)}",
        failed=result.error is not None or value is None,
        seconds=None if seconds is None else seconds["time_total_s"],
    )
