"""The map of a run: its trials over two of its parameters, on what the prior says there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ntk_prior.decision.judgement import ask
from ntk_prior.plots import theme
from ntk_prior.plots.axes import AXES, Axis
from ntk_prior.plots.markers import trials_figure
from ntk_prior.plots.phase_diagram import phase_diagram
from ntk_prior.prior import NTKPrior
from ntk_prior.runs.trial import RunTrial
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD, Verdict

if TYPE_CHECKING:
    import plotly.graph_objects as go

ASKED = 100
"""Trials, evenly spread over a run, that the prior is asked about before its map is drawn."""


class RunMap(NamedTuple):
    """The trials of a run, with the prior's map below where there can be one.

    Attributes:
        figure: The figure.
        lacks_map: Why there is no map, in words; None where there is one.
    """

    figure: go.Figure
    lacks_map: str | None


def map_of_run(
    prior: NTKPrior | None,
    trials: Sequence[RunTrial],
    x: Axis,
    y: Axis,
    outcome_name: str,
    threshold: float = DEFAULT_THRESHOLD,
) -> RunMap:
    """The trials of a run over two of its parameters, with the prior's map below where it is at hand and knows them.

    Args:
        prior: Draws the map.
        trials: The trials.
        x, y: The parameters.
        outcome_name: What the trials' outcomes are.
        threshold: Lower scores are refused.
    """
    why = lacks_map(prior, trials, x, y)
    if why is None:
        assert prior is not None, "only a prior has a map"
        try:
            figure = phase_diagram(
                prior.task, prior.budget, x, y, {}, trials, prior.calibration, outcome_name, threshold
            )
            return RunMap(figure, None)
        except (TypeError, ValueError) as error:
            why = f"the theory does not take a value of these trials ({error})"
    figure = trials_figure(trials, x, y, outcome_name, threshold)
    if prior is not None:
        theme.add_note(figure, f"no map: {theme.plain(why)}")
    return RunMap(figure, why)


def lacks_map(prior: NTKPrior | None, trials: Sequence[RunTrial], x: Axis, y: Axis) -> str | None:
    """Why there is no map below some trials, in words; None where there is no reason.

    Args:
        prior, trials, x, y: As for ``map_of_run``.
    """
    if prior is None:
        return "the prior is not at hand"
    every = max(1, len(trials) // ASKED)
    # The map is the predictor's, whatever slower judge the prior may ask besides.
    settings = (prior.task, prior.budget, prior.to_architecture)
    fast = NTKPrior(*settings, calibration=prior.calibration, threshold=prior.threshold)
    judgements = [ask(fast, trial.config) for trial in trials[::every]]
    reasons = Counter(judgement.reason for judgement in judgements if judgement.score is None)
    if judgements and all(getattr(judgement, "architecture", None) is None for judgement in judgements):
        mapping = "" if prior.to_architecture else "; a prior that is read from a file carries no to_architecture"
        return f"the prior cannot read these trials' parameters: {reasons.most_common(1)[0][0]}{mapping}"
    strange = [axis.name for axis in (x, y) if axis.name not in AXES]
    if strange:
        return f"the prior does not know {' and '.join(strange)}"
    if judgements and all(judgement.verdict == Verdict.OUTSIDE_THEORY for judgement in judgements):
        return f"the prior has nothing to say of these trials: {reasons.most_common(1)[0][0]}"
    return None
