"""The picture of scores against what became of the trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior.plots import theme
from ntk_prior.plots.markers import AUDITED, SHAPES
from ntk_prior.runs.scored_outcomes import ScoredOutcomes
from ntk_prior.runs.trial import Fate, RunTrial
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    import plotly.graph_objects as go


def scored_outcomes_figure(found: ScoredOutcomes, outcome_name: str, threshold: float = DEFAULT_THRESHOLD) -> go.Figure:
    """Score against outcome, audited trials ringed, above the share of good trials over the score.

    Args:
        found: At least one trial.
        outcome_name: What the outcomes are.
        threshold: Lower scores are refused, but for audits.
    """
    name = theme.plain(outcome_name)
    figure = theme.figure(_title(found), rows=2, height=700, shared_xaxes=True, vertical_spacing=0.08)
    place = {"row": 1, "col": 1}
    finished = np.isfinite(found.outcome)
    floor = worst_outcome(found)
    for words, rows, symbol in appearances(found):
        if rows.any():
            figure.add_scatter(
                x=found.score[rows],
                y=np.where(finished, found.outcome, floor)[rows],
                mode="markers",
                name=words,
                marker={"symbol": symbol, "size": 8, "color": theme.BLUE, "line": {"width": 1, "color": "white"}},
                text=[_hover(trial, name) for trial, row in zip(found.trials, rows, strict=True) if row],
                hoverinfo="text",
                **place,
            )
    if found.audited.any():
        figure.add_scatter(
            x=found.score[found.audited],
            y=np.where(finished, found.outcome, floor)[found.audited],
            mode="markers",
            name=AUDITED,
            marker={"symbol": "circle-open", "size": 14, "color": theme.VERMILION, "line": {"width": 2}},
            hoverinfo="skip",
            **place,
        )
    _add_line(figure, place, "good from here on", [0, 1], [found.good_from] * 2, {"dash": "dash"})
    figure.add_vline(threshold, line={"color": theme.BLACK, "width": 1.5, "dash": "dot"}, row="all", col=1)
    _add_line(figure, place, threshold_name(threshold), [None], [None], {"dash": "dot"})
    _add_reliability(figure, found, {"row": 2, "col": 1})
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_xaxes(title_text="score: P(trains) or P(generalizes), the smaller one", row=2)
    figure.update_yaxes(title_text=name, row=1)
    figure.update_yaxes(title_text="share of good trials", range=[-0.05, 1.05], row=2)
    return figure


def appearances(found: ScoredOutcomes) -> tuple[tuple[str, NDArray[np.bool_], str], ...]:
    """Kinds of trials: their words, which they are, and Plotly's symbol."""
    finished = np.isfinite(found.outcome)
    shape, words = SHAPES[Fate.UNSEEN]
    return (
        ("finished trial", finished & ~found.unseen, "circle"),
        ("failed or pruned", ~finished, "x"),
        (f"finished trial, {words}", finished & found.unseen, shape),
    )


def threshold_name(threshold: float) -> str:
    """What the line at the threshold is called."""
    return f"refused below {threshold:g}, where the prior has a say"


def _title(found: ScoredOutcomes) -> str:
    rate = found.reliability.auroc
    order = "" if np.isnan(rate) else f"; a good one outscores another in {rate:.0%} of pairs (AUROC)"
    return (
        f"Score against outcome<br><sup>{found.reliability.n} finished trials, {int(found.good.sum())} good"
        f"{order}</sup>"
    )


def worst_outcome(found: ScoredOutcomes) -> float:
    """Where trials without an outcome are drawn: at the worst one."""
    known = found.outcome[np.isfinite(found.outcome)]
    if not known.size:
        return 0.0
    return float(known.min() if found.maximize else known.max())


def _hover(trial: RunTrial, outcome_name: str) -> str:
    reached = "failed or pruned" if trial.failed else f"{outcome_name} {trial.outcome:.4g}"
    return (
        f"<b>{theme.plain(trial.name)}</b><br>score {trial.score:.2f}, {theme.plain(trial.verdict or '')}<br>{reached}"
    )


def _add_line(
    figure: go.Figure, place: dict[str, int], name: str, x: list[Any], y: list[Any], look: dict[str, Any]
) -> None:
    line = {"color": theme.BLACK, "width": 1.5, **look}
    figure.add_scatter(x=x, y=y, mode="lines", name=name, line=line, hoverinfo="skip", **place)


def _add_reliability(figure: go.Figure, found: ScoredOutcomes, place: dict[str, int]) -> None:
    mean, frequency, n = found.reliability.curve.T
    figure.add_scatter(
        x=mean,
        y=frequency,
        mode="markers+lines",
        name="share of good trials, 95 % interval",
        line={"color": theme.GREEN, "width": 2},
        marker={"size": 9, "color": theme.GREEN},
        error_y={
            "array": [one.high - one.value for one in found.intervals],
            "arrayminus": [one.value - one.low for one in found.intervals],
        },
        customdata=n,
        hovertemplate="mean score %{x:.2f}: %{y:.0%} of %{customdata} trials are good<extra></extra>",
        **place,
    )
    _add_line(figure, place, "where scores are probabilities", [0, 1], [0, 1], {"color": theme.GRAY})
