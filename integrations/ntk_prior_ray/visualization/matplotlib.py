"""The figures that papers need, in Matplotlib: ``axes.figure.savefig("experiment.pdf")``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior import NTKPrior
from ntk_prior.plots.matplotlib import Axes, draw_calibration, draw_feasibility, draw_message
from ntk_prior_ray.run import Results, read_run
from ntk_prior_ray.visualization.messages import NO_AXES, NO_RECORDS, WITH_PRIOR, no_scores, warn


def plot_feasibility(
    results: Results,
    prior: NTKPrior | None = None,
    *,
    metric: str | None = None,
    mode: str | None = None,
    params: Sequence[str] | None = None,
    threshold: float | None = None,
) -> Axes | NDArray[Any]:
    """As ``ntk_prior_ray.visualization.plot_feasibility``, in Matplotlib.

    Returns:
        The axes, or an array of them, shape (poolings, activations), where there are several panels.

    Example:
        >>> from ntk_prior_ray.visualization.matplotlib import plot_feasibility
        >>> axes = plot_feasibility(tuner.fit())  # doctest: +SKIP
    """
    run = read_run(results, metric, mode, threshold, prior)
    if prior is None and not run.was_judged:
        return draw_message(warn(f"{NO_RECORDS} {WITH_PRIOR}"))
    drawn = draw_feasibility(run, params)
    return draw_message(warn(NO_AXES)) if drawn is None else drawn


def plot_calibration(
    results: Results,
    *,
    metric: str | None = None,
    mode: str | None = None,
    good_from: float | None = None,
    threshold: float | None = None,
) -> NDArray[Any]:
    """As ``ntk_prior_ray.visualization.plot_calibration``, in Matplotlib.

    Returns:
        Two axes: score against outcome, and the share of good trials over the score.

    Example:
        >>> from ntk_prior_ray.visualization.matplotlib import plot_calibration
        >>> axes = plot_calibration(tuner.fit())  # doctest: +SKIP
    """
    run = read_run(results, metric, mode, threshold)
    drawn = draw_calibration(run, good_from)
    return np.array([draw_message(warn(no_scores(run)))]) if drawn is None else drawn
