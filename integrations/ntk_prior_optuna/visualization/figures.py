"""The figures of a study, in Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import optuna

from ntk_prior import NTKPrior
from ntk_prior.plots import theme
from ntk_prior.plots.run_map import map_of_run
from ntk_prior.plots.savings import savings_figure
from ntk_prior.plots.scored_outcomes import scored_outcomes_figure
from ntk_prior.plots.trust import trust_figure
from ntk_prior.runs.savings import compute_savings
from ntk_prior.runs.scored_outcomes import score_outcomes
from ntk_prior.runs.trust_series import compute_trust_series
from ntk_prior_optuna.run import (
    NO_RECORDS,
    Target,
    evidence,
    goal,
    has_records,
    no_scores,
    plotted_trials,
    study_map,
    threshold_of,
    warn,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go


def plot_feasibility(
    study: optuna.Study,
    prior: NTKPrior | None = None,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    params: Sequence[str] | None = None,
) -> go.Figure:
    """What the prior says over two parameters, with the trials: launched filled, refused hollow, audited ringed.

    Args:
        study: The study, which may have run without the prior.
        prior: Draws the map and judges, in hindsight, trials that nobody has judged; None for that of the study's
            ``NTKPriorSampler``. Without either, trials alone are shown in the colours of their verdicts.
        target: What gives trials their colour; None for the objective's value.
        target_name: What that is.
        params: The two parameters, horizontal and vertical; None for those that the theory knows best.

    Raises:
        ImportError: If Plotly is not installed.
        ValueError: If there are several objectives and no target, or ``params`` are not two numeric parameters.
    """
    shown = study_map(study, target, target_name, prior, params)
    if isinstance(shown, str):
        return _empty("What the prior says of each network", shown)
    judged = (shown.prior, shown.trials, shown.x, shown.y)
    return map_of_run(*judged, shown.compared.name, threshold_of(study)).figure


def plot_calibration(
    study: optuna.Study,
    prior: NTKPrior | None = None,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    good_from: float | None = None,
) -> go.Figure:
    """Scores against outcomes, audited trials ringed, and how often a score came true.

    Args:
        study: The study.
        prior: Judges, in hindsight, trials that nobody has judged; None to leave them out.
        target: The outcome; None for the objective's value.
        target_name: What that is.
        good_from: The outcome from which a trial counts as good; None for halfway from the worst to the best.

    Raises:
        ImportError: If Plotly is not installed.
        ValueError: If there are several objectives and no target.
    """
    compared = goal(study, target, target_name)
    trials = plotted_trials(study, target=target, prior=prior)
    found = score_outcomes(trials, maximize=compared.maximize, good_from=good_from)
    if not found.trials:
        return _empty("Score against outcome", no_scores(prior))
    return scored_outcomes_figure(found, compared.name, threshold_of(study))


def plot_savings(
    study: optuna.Study,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    good_from: float | None = None,
) -> go.Figure:
    """Compute launched and avoided, with an error bar, and what of it was lost if the prior was wrong.

    Args:
        study, target, target_name, good_from: As for ``plot_calibration``.

    Raises:
        ImportError: If Plotly is not installed.
        ValueError: If there are several objectives and no target.
    """
    compared = goal(study, target, target_name)
    if not has_records(study):
        return _empty("Compute launched and avoided", NO_RECORDS)
    trials = plotted_trials(study, target=target)
    return savings_figure(
        compute_savings(trials, threshold=threshold_of(study), maximize=compared.maximize, good_from=good_from)
    )


def plot_trust(
    study: optuna.Study,
    prior: NTKPrior | None = None,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
) -> go.Figure:
    """How far the sampler believed the prior as trials finished, and which verdicts it withdrew when.

    Args:
        study: The study.
        prior: As for ``plot_calibration``.
        target: What trials are compared by; None for all objectives, as the sampler does.
        target_name: What that is.

    Raises:
        ImportError: If Plotly is not installed.
    """
    said = evidence(study, None if target is None else goal(study, target, target_name), prior)
    if not said:
        return _empty("Trust in the prior", no_scores(prior))
    figure = trust_figure(compute_trust_series(said, threshold_of(study)))
    if target is not None:
        theme.add_note(figure, f"trials compared by: {theme.plain(target_name)}")
    return figure


def _empty(title: str, words: str) -> go.Figure:
    warn(words)
    return theme.message(title, words)
