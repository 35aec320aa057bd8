"""The figures of a study, in Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import optuna

from ntk_prior import NTKPrior
from ntk_prior.plots import run_figures, theme
from ntk_prior.runs import Run
from ntk_prior_optuna.run import Target, goal, prior_of, read_run
from ntk_prior_optuna.visualization.messages import HINDSIGHT, NO_AXES, NO_RECORDS, no_scores, warn

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

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> from ntk_prior_optuna import NTKPriorSampler
        >>> from ntk_prior_optuna.visualization import plot_feasibility
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> study = optuna.create_study(direction="maximize", sampler=NTKPriorSampler(prior, seed=0))
        >>> def objective(trial):
        ...     trial.suggest_float("weight_variance", 1.0, 2.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return 1 / trial.suggest_int("depth", 1, 64)
        >>> study.optimize(objective, n_trials=12)
        >>> plot_feasibility(study).write_html("feasibility.html")
    """
    used = prior or prior_of(study)
    return feasibility_of(read_run(study, goal(study, target, target_name), used), params)


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

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> from ntk_prior_optuna import NTKPriorSampler
        >>> from ntk_prior_optuna.visualization import plot_calibration
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> study = optuna.create_study(direction="maximize", sampler=NTKPriorSampler(prior, seed=0))
        >>> def objective(trial):
        ...     trial.suggest_float("weight_variance", 1.0, 2.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return 1 / trial.suggest_int("depth", 1, 64)
        >>> study.optimize(objective, n_trials=12)
        >>> plot_calibration(study).write_html("calibration.html")
    """
    return calibration_of(read_run(study, goal(study, target, target_name), prior), good_from)


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

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> from ntk_prior_optuna import NTKPriorSampler
        >>> from ntk_prior_optuna.visualization import plot_savings
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> study = optuna.create_study(direction="maximize", sampler=NTKPriorSampler(prior, seed=0))
        >>> def objective(trial):
        ...     trial.suggest_float("weight_variance", 1.0, 2.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return 1 / trial.suggest_int("depth", 1, 64)
        >>> study.optimize(objective, n_trials=12)
        >>> plot_savings(study).write_html("savings.html")
    """
    return savings_of(read_run(study, goal(study, target, target_name)), good_from)


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

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> from ntk_prior_optuna import NTKPriorSampler
        >>> from ntk_prior_optuna.visualization import plot_trust
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> study = optuna.create_study(direction="maximize", sampler=NTKPriorSampler(prior, seed=0))
        >>> def objective(trial):
        ...     trial.suggest_float("weight_variance", 1.0, 2.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return 1 / trial.suggest_int("depth", 1, 64)
        >>> study.optimize(objective, n_trials=12)
        >>> plot_trust(study).write_html("trust.html")
    """
    run = read_run(study, None if target is None else goal(study, target, target_name), prior)
    return trust_of(run, None if target is None else target_name)


def feasibility_of(run: Run, params: Sequence[str] | None = None) -> go.Figure:
    """``plot_feasibility`` of a study that has been read."""
    if run.prior is None and not run.was_judged:
        return _empty(run_figures.FEASIBILITY, f"{NO_RECORDS} {HINDSIGHT}")
    return run_figures.draw_feasibility(run, params) or _empty(run_figures.FEASIBILITY, NO_AXES)


def calibration_of(run: Run, good_from: float | None = None) -> go.Figure:
    """``plot_calibration`` of a study that has been read."""
    return run_figures.draw_calibration(run, good_from) or _empty(run_figures.CALIBRATION, no_scores(run.prior))


def savings_of(run: Run, good_from: float | None = None) -> go.Figure:
    """``plot_savings`` of a study that has been read."""
    return run_figures.draw_savings(run, good_from) if run.was_judged else _empty(run_figures.SAVINGS, NO_RECORDS)


def trust_of(run: Run, compared_by: str | None) -> go.Figure:
    """``plot_trust`` of a study that has been read; ``compared_by`` names the target that its evidence goes by."""
    figure = run_figures.draw_trust(run)
    if figure is None:
        return _empty(run_figures.TRUST, no_scores(run.prior))
    if compared_by is not None:
        theme.add_note(figure, f"trials compared by: {theme.plain(compared_by)}")
    return figure


def _empty(title: str, words: str) -> go.Figure:
    return theme.message(title, warn(words))
