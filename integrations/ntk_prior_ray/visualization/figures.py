"""The figures of an experiment, in Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ntk_prior import NTKPrior
from ntk_prior.plots import run_figures, theme
from ntk_prior_ray.run import Results, read_run
from ntk_prior_ray.visualization.messages import NO_AXES, NO_RECORDS, WITH_PRIOR, no_scores, warn

if TYPE_CHECKING:
    import plotly.graph_objects as go


def plot_feasibility(
    results: Results,
    prior: NTKPrior | None = None,
    *,
    metric: str | None = None,
    mode: str | None = None,
    params: Sequence[str] | None = None,
    threshold: float | None = None,
) -> go.Figure:
    """What the prior says over two parameters, with the trials: launched filled, refused hollow, audited ringed.

    Args:
        results: What ``Tuner.fit()`` returns, or the folder of an experiment.
        prior: Draws the map; None for the trials alone, in the colours of their verdicts.
        metric: What gives trials their colour, with slashes for a nested one; None for the Tuner's.
        mode: ``"min"`` or ``"max"``; None for the Tuner's. A folder does not say it.
        params: The two parameters, horizontal and vertical; None for those that the theory knows best.
        threshold: That of the ``NTKPriorSearch``; None for the prior's own, or the usual one.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode, or ``params`` are not two numeric parameters.

    Example:
        >>> from ntk_prior_ray.visualization import plot_feasibility
        >>> results = tuner.fit()  # doctest: +SKIP
        >>> plot_feasibility(results).write_html("feasibility.html")  # doctest: +SKIP
    """
    run = read_run(results, metric, mode, threshold, prior)
    if prior is None and not run.was_judged:
        return _empty(run_figures.FEASIBILITY, f"{NO_RECORDS} {WITH_PRIOR}")
    return run_figures.draw_feasibility(run, params) or _empty(run_figures.FEASIBILITY, NO_AXES)


def plot_calibration(
    results: Results,
    *,
    metric: str | None = None,
    mode: str | None = None,
    good_from: float | None = None,
    threshold: float | None = None,
) -> go.Figure:
    """Scores against outcomes, audited trials ringed, and how often a score came true.

    Args:
        results, metric, mode, threshold: As for ``plot_feasibility``; the metric is the outcome.
        good_from: The outcome from which a trial counts as good; None for halfway from the worst to the best.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode.

    Example:
        >>> from ntk_prior_ray.visualization import plot_calibration
        >>> results = tuner.fit()  # doctest: +SKIP
        >>> plot_calibration(results).write_html("calibration.html")  # doctest: +SKIP
    """
    run = read_run(results, metric, mode, threshold)
    return run_figures.draw_calibration(run, good_from) or _empty(run_figures.CALIBRATION, no_scores(run))


def plot_savings(
    results: Results,
    *,
    metric: str | None = None,
    mode: str | None = None,
    good_from: float | None = None,
    threshold: float | None = None,
) -> go.Figure:
    """Compute launched and avoided, with an error bar, and what of it was lost if the prior was wrong.

    Args:
        results, metric, mode, good_from, threshold: As for ``plot_calibration``.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode.

    Example:
        >>> from ntk_prior_ray.visualization import plot_savings
        >>> results = tuner.fit()  # doctest: +SKIP
        >>> plot_savings(results).write_html("savings.html")  # doctest: +SKIP
    """
    run = read_run(results, metric, mode, threshold)
    return run_figures.draw_savings(run, good_from) if run.was_judged else _empty(run_figures.SAVINGS, NO_RECORDS)


def plot_trust(
    results: Results,
    *,
    metric: str | None = None,
    mode: str | None = None,
    threshold: float | None = None,
) -> go.Figure:
    """How far the search believed the prior as trials finished, and which verdicts it withdrew when.

    Args:
        results, metric, mode, threshold: As for ``plot_calibration``.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode.

    Example:
        >>> from ntk_prior_ray.visualization import plot_trust
        >>> results = tuner.fit()  # doctest: +SKIP
        >>> plot_trust(results).write_html("trust.html")  # doctest: +SKIP
    """
    run = read_run(results, metric, mode, threshold)
    return run_figures.draw_trust(run) or _empty(run_figures.TRUST, no_scores(run))


def _empty(title: str, words: str) -> go.Figure:
    return theme.message(title, warn(words))
