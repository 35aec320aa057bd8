"""The figures of an experiment, in Plotly."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior.plots import theme
from ntk_prior.plots.run_map import map_of_run
from ntk_prior.plots.savings import savings_figure
from ntk_prior.plots.scored_outcomes import scored_outcomes_figure
from ntk_prior.plots.slices import map_axes
from ntk_prior.plots.trust import trust_figure
from ntk_prior.runs.run import Run
from ntk_prior.runs.savings import compute_savings
from ntk_prior.runs.scored_outcomes import score_outcomes
from ntk_prior.runs.trust_series import compute_trust_series
from ntk_prior_ray.run import Results, read_run

if TYPE_CHECKING:
    import plotly.graph_objects as go

NO_RECORDS = (
    "No trial of this experiment was judged by the prior: run it with NTKPriorSearch, and with NTKPriorCallback to "
    "keep what it says, or see ntk_prior_ray.review for what it would have said."
)
NO_SCORES = "No finished trial of this experiment has a score of the prior."
NO_AXES = "A map needs two numeric parameters with more than one value, which this experiment does not have."

_logger = logging.getLogger(__name__)


def plot_feasibility(
    results: Results,
    prior: NTKPrior | None = None,
    *,
    metric: str | None = None,
    mode: str | None = None,
    params: Sequence[str] | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> go.Figure:
    """What the prior says over two parameters, with the trials: launched filled, refused hollow, audited ringed.

    Args:
        results: What ``Tuner.fit()`` returns, or the folder of an experiment.
        prior: Draws the map; None for the trials alone, in the colours of their verdicts.
        metric: What gives trials their colour, with slashes for a nested one; None for the Tuner's.
        mode: ``"min"`` or ``"max"``; None for the Tuner's. A folder does not say it.
        params: The two parameters, horizontal and vertical; None for those that the theory knows best.
        threshold: That of the ``NTKPriorSearch``.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode, or ``params`` are not two numeric parameters.
    """
    run = read_run(results, metric, mode, threshold, prior)
    title = "What the prior says of each network"
    if prior is None and not _has_records(run):
        return _empty(title, f"{NO_RECORDS} Give the prior as well to see its map.")
    axes = map_axes(run.trials, run.log, params)
    if axes is None:
        return _empty(title, NO_AXES)
    return map_of_run(prior, run.trials, *axes, run.outcome_name, run.threshold).figure


def plot_calibration(
    results: Results,
    *,
    metric: str | None = None,
    mode: str | None = None,
    good_from: float | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> go.Figure:
    """Scores against outcomes, audited trials ringed, and how often a score came true.

    Args:
        results, metric, mode, threshold: As for ``plot_feasibility``; the metric is the outcome.
        good_from: The outcome from which a trial counts as good; None for halfway from the worst to the best.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode.
    """
    run = read_run(results, metric, mode, threshold)
    found = score_outcomes(run.trials, maximize=run.maximize, good_from=good_from)
    if not found.trials:
        return _empty("Score against outcome", NO_SCORES if _has_records(run) else NO_RECORDS)
    return scored_outcomes_figure(found, run.outcome_name, run.threshold)


def plot_savings(
    results: Results,
    *,
    metric: str | None = None,
    mode: str | None = None,
    good_from: float | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> go.Figure:
    """Compute launched and avoided, with an error bar, and what of it was lost if the prior was wrong.

    Args:
        results, metric, mode, good_from, threshold: As for ``plot_calibration``.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode.
    """
    run = read_run(results, metric, mode, threshold)
    if not _has_records(run):
        return _empty("Compute launched and avoided", NO_RECORDS)
    return savings_figure(
        compute_savings(run.trials, threshold=run.threshold, maximize=run.maximize, good_from=good_from)
    )


def plot_trust(
    results: Results,
    *,
    metric: str | None = None,
    mode: str | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> go.Figure:
    """How far the search believed the prior as trials finished, and which verdicts it withdrew when.

    Args:
        results, metric, mode, threshold: As for ``plot_calibration``.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such experiment, metric or mode.
    """
    run = read_run(results, metric, mode, threshold)
    if not run.evidence:
        return _empty("Trust in the prior", NO_SCORES if _has_records(run) else NO_RECORDS)
    return trust_figure(compute_trust_series(run.evidence, run.threshold))


def _has_records(run: Run) -> bool:
    """Whether the prior has said something of any trial."""
    return any(row.trial.launched and row.trial.verdict is not None for row in run.rows)


def _empty(title: str, words: str) -> go.Figure:
    _logger.warning(words)
    return theme.message(title, words)
