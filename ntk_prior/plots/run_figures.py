"""The figures of a run, in Plotly, whichever tuner it is from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ntk_prior.plots.run_map import map_of_run
from ntk_prior.plots.savings import savings_figure
from ntk_prior.plots.scored_outcomes import scored_outcomes_figure
from ntk_prior.plots.slices import map_axes
from ntk_prior.plots.trust import trust_figure
from ntk_prior.runs.run import Run
from ntk_prior.runs.savings import compute_savings
from ntk_prior.runs.scored_outcomes import score_outcomes
from ntk_prior.runs.trust_series import compute_trust_series

if TYPE_CHECKING:
    import plotly.graph_objects as go

FEASIBILITY = "What the prior says of each network"
CALIBRATION = "Score against outcome"
SAVINGS = "Compute launched and avoided"
TRUST = "Trust in the prior"
"""Titles of figures, for a message in place of one."""


def draw_feasibility(run: Run, params: Sequence[str] | None = None) -> go.Figure | None:
    """Draw what the prior says over two parameters, with the trials.

    Args:
        run: The run; its prior draws the map.
        params: The two parameters, horizontal and vertical; None for those that the theory knows best.

    Returns:
        The figure; None if the run has no two numeric parameters.

    Raises:
        ImportError: If Plotly is not installed.
        ValueError: If ``params`` are not two numeric parameters.
    """
    trials = run.trials
    axes = map_axes(trials, run.log, params)
    return None if axes is None else map_of_run(run.prior, trials, *axes, run.outcome_name, run.threshold).figure


def draw_calibration(run: Run, good_from: float | None = None) -> go.Figure | None:
    """Draw scores against outcomes, and how often a score came true.

    Args:
        run: The run.
        good_from: The outcome from which a trial counts as good; None for halfway from the worst to the best.

    Returns:
        The figure; None if no finished trial has a score.

    Raises:
        ImportError: If Plotly is not installed.
    """
    scored = score_outcomes(run.trials, maximize=run.maximize, good_from=good_from)
    return scored_outcomes_figure(scored, run.outcome_name, run.threshold) if scored.trials else None


def draw_savings(run: Run, good_from: float | None = None) -> go.Figure:
    """Draw compute launched and avoided, and what of it was lost if the prior was wrong.

    Args:
        run, good_from: As for ``draw_calibration``.

    Raises:
        ImportError: If Plotly is not installed.
    """
    savings = compute_savings(run.trials, threshold=run.threshold, maximize=run.maximize, good_from=good_from)
    return savings_figure(savings)


def draw_trust(run: Run) -> go.Figure | None:
    """Draw how far the prior was believed as trials finished.

    Args:
        run: The run.

    Returns:
        The figure; None if no finished trial has a score.

    Raises:
        ImportError: If Plotly is not installed.
    """
    return trust_figure(compute_trust_series(run.evidence, run.threshold)) if run.evidence else None
