"""An experiment as figures take it: a ``Run`` from its results or its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ray.tune import ResultGrid

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior.checks import require_real, shown
from ntk_prior.runs import Run, read_experiment
from ntk_prior_ray import _ray

Results = ResultGrid | str | os.PathLike[str]
"""What ``Tuner.fit()`` returns, or the folder of an experiment."""


def read_run(
    results: Results, metric: str | None, mode: str | None, threshold: float | None, prior: NTKPrior | None = None
) -> Run:
    """Read an experiment from its folder.

    Args:
        results: What ``Tuner.fit()`` returns, or the folder.
        metric: What trials are compared by; None for what the Tuner was given.
        mode: ``"min"`` or ``"max"``; None for what the Tuner was given, which the folder does not say.
        threshold: Lower scores were refused; None for the prior's own, or the usual one.
        prior: The prior, if it is at hand.

    Raises:
        TypeError: If ``results`` is neither, or another argument has the wrong type.
        ValueError: If there is no such experiment or metric on this machine, ``mode`` is neither, or ``threshold`` is
            not in [0, 1].
    """
    place: Any = results
    limit = DEFAULT_THRESHOLD if prior is None else prior.threshold
    if threshold is not None:
        limit = require_real("threshold", threshold, 0.0, 1.0)
    if isinstance(results, ResultGrid):
        place = results.experiment_path
        usual_metric, usual_mode = _ray.objective_of(results)
        metric, mode = metric or usual_metric, mode or usual_mode
    elif not isinstance(results, str | os.PathLike):
        raise TypeError(
            "results: expected what Tuner.fit() returns, a ray.tune.ResultGrid, or the folder of an experiment, "
            f"received {shown(results)}"
        )
    if mode is None:
        raise ValueError("mode: expected 'min' or 'max', which the folder of an experiment does not say, received None")
    folder = Path(place)
    if not folder.is_dir():
        raise ValueError(f"results: expected an experiment in a folder of this machine, received {shown(str(place))}")
    return read_experiment(folder, metric, mode, prior, threshold=limit)
