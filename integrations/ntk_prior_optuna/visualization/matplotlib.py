"""The figures that papers need, in Matplotlib: ``axes.figure.savefig("study.pdf")``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from ntk_prior import NTKPrior
from ntk_prior.plots.matplotlib import Axes, draw_calibration, draw_feasibility, draw_message
from ntk_prior_optuna.run import Target, goal, prior_of, read_run
from ntk_prior_optuna.visualization.messages import HINDSIGHT, NO_AXES, NO_RECORDS, no_scores, warn


def plot_feasibility(
    study: optuna.Study,
    prior: NTKPrior | None = None,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    params: Sequence[str] | None = None,
) -> Axes | NDArray[Any]:
    """As ``ntk_prior_optuna.visualization.plot_feasibility``, in Matplotlib.

    Returns:
        The axes, or an array of them, shape (poolings, activations), where there are several panels.

    Example:
        >>> import optuna
        >>> from ntk_prior_optuna.visualization.matplotlib import plot_feasibility
        >>> study = optuna.load_study(study_name="s", storage="sqlite:///study.db")  # doctest: +SKIP
        >>> axes = plot_feasibility(study)  # doctest: +SKIP
    """
    used = prior or prior_of(study)
    run = read_run(study, goal(study, target, target_name), used)
    if used is None and not run.was_judged:
        return draw_message(warn(f"{NO_RECORDS} {HINDSIGHT}"))
    drawn = draw_feasibility(run, params)
    return draw_message(warn(NO_AXES)) if drawn is None else drawn


def plot_calibration(
    study: optuna.Study,
    prior: NTKPrior | None = None,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    good_from: float | None = None,
) -> NDArray[Any]:
    """As ``ntk_prior_optuna.visualization.plot_calibration``, in Matplotlib.

    Returns:
        Two axes: score against outcome, and the share of good trials over the score.

    Example:
        >>> import optuna
        >>> from ntk_prior_optuna.visualization.matplotlib import plot_calibration
        >>> study = optuna.load_study(study_name="s", storage="sqlite:///study.db")  # doctest: +SKIP
        >>> axes = plot_calibration(study)  # doctest: +SKIP
    """
    drawn = draw_calibration(read_run(study, goal(study, target, target_name), prior), good_from)
    return np.array([draw_message(warn(no_scores(prior)))]) if drawn is None else drawn
