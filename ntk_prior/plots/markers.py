"""Trials as points: launched ones filled, refused ones hollow, audited ones ringed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ntk_prior.plots import theme
from ntk_prior.plots.axes import Axis
from ntk_prior.plots.trials import PlottedTrial

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCALE = "Cividis"
"""Colours of outcomes: dark is low, whatever the reader's eyes."""

_OUTLINE = {"width": 1.2, "color": theme.BLACK}
_RING = {"symbol": "circle-open", "size": 16, "color": theme.VERMILION, "line": {"width": 2.2}}


class Kind(NamedTuple):
    """Points that look alike.

    Attributes:
        name: In the legend.
        marker: How they look.
        sample: How they look in the legend.
        trials: Which they are.
    """

    name: str
    marker: dict[str, Any]
    sample: dict[str, Any]
    trials: Sequence[PlottedTrial]


def kinds(trials: Sequence[PlottedTrial], outcome_name: str | None) -> list[Kind]:
    """Trials by how they are drawn, the uppermost last; kinds without a trial are left out.

    Args:
        trials: The trials.
        outcome_name: What gives launched trials their colour where it is known; None for their verdicts.
    """
    launched = [trial for trial in trials if trial.launched]
    measured = [trial for trial in launched if trial.outcome is not None and outcome_name is not None]
    failed = [trial for trial in launched if trial.failed and outcome_name is not None]
    plain = [trial for trial in launched if outcome_name is None or (trial.outcome is None and not trial.failed)]
    hollow = {"symbol": "circle-open", "size": 8, "color": theme.BLACK, "line": {"width": 1.3}}
    crossed = {"symbol": "x", "size": 9, "color": "white", "line": _OUTLINE}
    filled = {"size": 9, "line": _OUTLINE}
    outcomes = {"color": [trial.outcome for trial in measured], "coloraxis": "coloraxis"}
    verdicts = {"color": [theme.COLORS.get(trial.verdict or "", "white") for trial in plain]}
    found = (
        Kind("refused", hollow, hollow, [trial for trial in trials if not trial.launched]),
        Kind("failed or pruned", crossed, crossed, failed),
        Kind("launched, by verdict", {**filled, **verdicts}, {**filled, "color": theme.BLUE}, plain),
        Kind(
            f"launched, by {theme.plain(outcome_name)}",
            {**filled, **outcomes},
            {**filled, "color": "#7d7c78"},
            measured,
        ),
        Kind("audited: bypassed the prior", _RING, _RING, [trial for trial in trials if trial.audited]),
    )
    return [kind for kind in found if kind.trials]


def add_trials(
    figure: go.Figure, place: dict[str, int], x: Axis, y: Axis, trials: Sequence[PlottedTrial], outcome_name: str | None
) -> None:
    """Lay trials over a panel, see ``kinds``."""
    for kind in kinds([trial for trial in trials if has_place(trial, x, y)], outcome_name):
        ring = kind.marker is _RING
        figure.add_scatter(
            x=[float(trial.config[x.name]) for trial in kind.trials],
            y=[float(trial.config[y.name]) for trial in kind.trials],
            mode="markers",
            cliponaxis=False,
            marker=kind.marker,
            legendgroup=kind.name,
            showlegend=False,
            text=None if ring else [described(trial, x, y, outcome_name or "outcome") for trial in kind.trials],
            hoverinfo="skip" if ring else "text",
            **place,
        )


def has_place(trial: PlottedTrial, x: Axis, y: Axis) -> bool:
    """Whether a trial has a point in a panel."""
    return x.holds(trial.config.get(x.name)) and y.holds(trial.config.get(y.name))


def described(trial: PlottedTrial, x: Axis, y: Axis, outcome_name: str) -> str:
    """What is said of a trial when the mouse is over it."""
    lines = [f"<b>{theme.plain(trial.name)}</b>"] if trial.name else []
    lines.append(", ".join(f"{axis.short} = {float(trial.config[axis.name]):.4g}" for axis in (x, y)))
    score = "" if trial.score is None else f", score {trial.score:.2f}"
    lines.append(f"{theme.plain(trial.verdict or 'not judged')}{score}")
    if not trial.launched:
        lines.append("refused before launch")
    elif trial.drawn is not None:
        lines.append("audited: bypassed the prior" if trial.audited else f"drawn: {str(trial.drawn).replace('_', ' ')}")
    if trial.outcome is not None and np.isfinite(trial.outcome):
        lines.append(f"{theme.plain(outcome_name)} {trial.outcome:.4g}")
    return "<br>".join(lines)


def add_legend(figure: go.Figure, trials: Sequence[PlottedTrial], outcome_name: str | None) -> None:
    """Entries for the kinds of trials, each once however many panels there are."""
    for kind in kinds(trials, outcome_name):
        add_entry(figure, kind.name, kind.name, mode="markers", marker=kind.sample)


def add_entry(figure: go.Figure, name: str, group: str, **look: Any) -> None:
    """An entry of the legend, which shows and hides a group of traces."""
    figure.add_scatter(x=[None], y=[None], name=name, legendgroup=group, hoverinfo="skip", row=1, col=1, **look)


def spacing(axis: Axis) -> dict[str, Any]:
    """How Plotly is to space an axis."""
    if axis.log:
        return theme.log_axis(*axis.ends)
    return {"range": list(axis.ends)}


def trials_figure(trials: Sequence[PlottedTrial], x: Axis, y: Axis) -> go.Figure:
    """Trials over two parameters in the colours of their verdicts, without a map below: for a prior not at hand.

    Args:
        trials: The trials.
        x, y: Two of their parameters.
    """
    hidden = sum(not has_place(trial, x, y) for trial in trials)
    words = f"; {hidden} of {len(trials)} trials lack one of these parameters" if hidden else ""
    figure = theme.figure(f"What the prior said of each trial<br><sup>colours are verdicts{words}</sup>")
    add_trials(figure, {"row": 1, "col": 1}, x, y, trials, None)
    said = {trial.verdict for trial in trials if trial.launched}
    for verdict in theme.COLORS:
        if verdict in said:
            marker = {"size": 9, "color": theme.COLORS[verdict], "line": _OUTLINE}
            add_entry(figure, theme.WORDS[verdict], verdict, mode="markers", marker=marker)
    add_legend(figure, trials, None)
    figure.update_xaxes(title_text=x.title, **spacing(x))
    figure.update_yaxes(title_text=y.title, **spacing(y))
    return figure
