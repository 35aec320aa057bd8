"""The figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ntk_prior.plots import theme
from ntk_prior.plots.markers import has_place, in_words
from ntk_prior.plots.run_map import map_of_run
from ntk_prior.plots.savings import savings_figure
from ntk_prior.plots.scored_outcomes import scored_outcomes_figure
from ntk_prior.plots.slices import map_axes
from ntk_prior.plots.trust import trust_figure
from ntk_prior.runs.run import Run
from ntk_prior.runs.summary import Summary
from ntk_prior.runs.trial import RunTrial
from ntk_prior.runs.trust_series import compute_trust_series

if TYPE_CHECKING:
    import plotly.graph_objects as go


MOST_REFUSED = 1_000
"""Refused draws that a map shows at most."""


class Picture(NamedTuple):
    """A figure of the page.

    Attributes:
        name: Its anchor.
        figure: The figure.
        caption: What to see in it.
    """

    name: str
    figure: go.Figure
    caption: str


def feasibility_picture(run: Run) -> tuple[Picture | None, str | None]:
    """What the prior says over two parameters, with the configurations, and why there is no map where there is none.

    There is no picture at all without two numbers to show.
    """
    trials, left_out = _thinned(run.trials)
    axes = map_axes(trials, run.log)
    if axes is None:
        return None, "the run has no two numeric parameters with more than one value"
    figure, why = map_of_run(run.prior, trials, *axes, run.outcome_name, run.threshold)
    placed = [trial for trial in trials if has_place(trial, *axes)]
    looks = in_words(placed, run.threshold)
    if why is None:
        caption = (
            "Colours say what the prior thinks of networks there, with the other parameters in the middle of the run. "
            f"Points are the run's own configurations: {looks}."
        )
    else:
        says = (
            "its colour what the prior said of it" if any(one.verdict for one in placed) else "its colour its outcome"
        )
        caption = f"Each point is a configuration, {says}: {looks}."
        if run.prior is None:
            caption += " With the prior itself (option --prior) the picture would also show the map below the points."
    if left_out:
        theme.add_note(figure, f"{left_out} more refused draws are not shown")
    return Picture("map", figure, caption), None if run.prior is None else why


def calibration_picture(run: Run, summary: Summary) -> Picture | None:
    """Scores against outcomes; None without any."""
    if not summary.outcomes.trials:
        return None
    figure = scored_outcomes_figure(summary.outcomes, run.outcome_name, run.threshold)
    caption = (
        "Above, each launched trial: a score that says something puts good trials to the right. Trials left of the "
        "threshold ran only because the prior had no say in them. Below, how often trials with such a score were good."
    )
    return Picture("calibration", figure, caption)


def savings_picture(summary: Summary) -> Picture | None:
    """What was launched and avoided; None where the prior had no say."""
    if not (summary.savings.screened or summary.savings.gated):
        return None
    caption = (
        "What the launched trials took, what the tuner alone would have launched besides in vain, and how much of that "
        "would have been good after all if the prior was wrong. Estimated from the trials that it had no say in."
    )
    return Picture("savings", savings_figure(summary.savings), caption)


def trust_picture(run: Run) -> Picture | None:
    """Trust in the prior as trials finished; None without evidence."""
    if not run.evidence:
        return None
    caption = (
        "At 1 the trials contradict the prior no more than chance would. Where trials that it would have refused do "
        "better than those that it lets through, trust falls, and with it the share of draws that it may refuse."
    )
    return Picture("trust", trust_figure(compute_trust_series(run.evidence, run.threshold)), caption)


def _thinned(trials: Sequence[RunTrial]) -> tuple[list[RunTrial], int]:
    """All launched trials, and refused ones evenly spread over the run."""
    refused = [k for k, trial in enumerate(trials) if not trial.launched]
    if len(refused) <= MOST_REFUSED:
        return list(trials), 0
    step = len(refused) / MOST_REFUSED
    kept = {refused[int(k * step)] for k in range(MOST_REFUSED)}
    shown = [trial for k, trial in enumerate(trials) if trial.launched or k in kept]
    return shown, len(trials) - len(shown)
