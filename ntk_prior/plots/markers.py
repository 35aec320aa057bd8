"""Trials as points: launched ones filled, refused ones hollow, audited ones ringed.

Squares were launched before the prior could be asked, diamonds although it had nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ntk_prior.plots import theme
from ntk_prior.plots.axes import Axis
from ntk_prior.runs.trial import Fate, RunTrial

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCALE = "Cividis"
"""Colours of outcomes: dark is low, whatever the reader's eyes."""

_OUTLINE = {"width": 1.2, "color": theme.BLACK}
_RING = {"symbol": "circle-open", "size": 16, "color": theme.VERMILION, "line": {"width": 2.2}}
_FRAME = {**_RING, "symbol": "square-open"}

SHAPES: Mapping[Fate, tuple[str, str]] = {
    Fate.UNSEEN: ("square", "launched before the prior could be asked"),
    Fate.UNJUDGED: ("diamond", "launched, the prior silent"),
}
"""Launched trials that are no circles: their shapes, and their words."""

AUDITED = "audited: bypassed the prior"
WOULD_BE_REFUSED = "judged afterwards: would have been refused"


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
    trials: Sequence[RunTrial]


def kinds(trials: Sequence[RunTrial], outcome_name: str | None, threshold: float) -> list[Kind]:
    """Trials by how they are drawn, the uppermost last; kinds without a trial are left out.

    Args:
        trials: The trials.
        outcome_name: What gives launched trials their colour where it is known; None for their verdicts.
        threshold: Lower scores are refused.
    """
    by_outcome = outcome_name is not None
    launched = [trial for trial in trials if trial.launched]
    failed = [trial for trial in launched if trial.failed and by_outcome]
    measured = [trial for trial in launched if trial.outcome is not None and by_outcome]
    others = [trial for trial in launched if not by_outcome or (trial.outcome is None and not trial.failed)]
    unasked = [trial for trial in others if trial.fate is Fate.UNASKED]
    judged = [trial for trial in others if trial.fate is not Fate.UNASKED]
    hollow = {"symbol": "circle-open", "size": 8, "color": theme.BLACK, "line": {"width": 1.3}}
    crossed = {"symbol": "x", "size": 8, "color": theme.BLACK}
    black = {"size": 9, "line": _OUTLINE, "color": theme.BLACK}
    found = (
        Kind("refused", hollow, hollow, [trial for trial in trials if not trial.launched]),
        Kind("failed or pruned", crossed, crossed, failed),
        Kind("launched, the prior not asked", black, black, unasked),
        *_launched(judged, "by verdict", theme.BLUE, lambda some: {"color": [theme.color_of(t.verdict) for t in some]}),
        *_launched(
            measured,
            f"by {theme.plain(outcome_name)}",
            "#7d7c78",
            lambda some: {"color": [trial.outcome for trial in some], "coloraxis": "coloraxis"},
        ),
        Kind(WOULD_BE_REFUSED, _FRAME, _FRAME, [trial for trial in trials if would_be_refused(trial, threshold)]),
        Kind(AUDITED, _RING, _RING, [trial for trial in trials if trial.audited]),
    )
    return [kind for kind in found if kind.trials]


def _launched(
    trials: Sequence[RunTrial],
    by: str,
    sample: str,
    colors: Callable[[Sequence[RunTrial]], dict[str, Any]],
) -> list[Kind]:
    """Launched trials in the colours of something, those of one shape together."""
    found = []
    for symbol, words in ((None, "launched"), *SHAPES.values()):
        chosen = [trial for trial in trials if shape_of(trial) == symbol]
        look = {"size": 9, "line": _OUTLINE, **({} if symbol is None else {"symbol": symbol})}
        found.append(Kind(f"{words}, {by}", {**look, **colors(chosen)}, {**look, "color": sample}, chosen))
    return found


def shape_of(trial: RunTrial) -> str | None:
    """The shape of a launched trial; None for a circle."""
    return SHAPES.get(trial.fate, (None, ""))[0]


def would_be_refused(trial: RunTrial, threshold: float) -> bool:
    """Whether it was launched before the prior could be asked, which refuses it in hindsight."""
    return trial.fate is Fate.UNSEEN and trial.held_back(threshold)


def add_trials(
    figure: go.Figure,
    place: dict[str, int],
    x: Axis,
    y: Axis,
    trials: Sequence[RunTrial],
    outcome_name: str | None,
    threshold: float,
) -> None:
    """Lay trials over a panel, see ``kinds``."""
    for kind in kinds([trial for trial in trials if has_place(trial, x, y)], outcome_name, threshold):
        ring = kind.marker in (_RING, _FRAME)
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


def has_place(trial: RunTrial, x: Axis, y: Axis) -> bool:
    """Whether a trial has a point in a panel."""
    return x.holds(trial.config.get(x.name)) and y.holds(trial.config.get(y.name))


def described(trial: RunTrial, x: Axis, y: Axis, outcome_name: str) -> str:
    """What is said of a trial when the mouse is over it."""
    lines = [f"<b>{theme.plain(trial.name)}</b>"] if trial.name else []
    lines.append(", ".join(f"{axis.short} = {float(trial.config[axis.name]):.4g}" for axis in (x, y)))
    score = "" if trial.score is None else f", score {trial.score:.2f}"
    lines.append(f"{theme.plain(trial.verdict or 'the prior was not asked')}{score}")
    lines.append("refused before launch" if not trial.launched else AUDITED if trial.audited else str(trial.fate))
    if trial.outcome is not None and np.isfinite(trial.outcome):
        lines.append(f"{theme.plain(outcome_name)} {trial.outcome:.4g}")
    return "<br>".join(lines)


def add_legend(figure: go.Figure, trials: Sequence[RunTrial], outcome_name: str | None, threshold: float) -> None:
    """Entries for the kinds of trials, each once however many panels there are."""
    for kind in kinds(trials, outcome_name, threshold):
        add_entry(figure, kind.name, kind.name, mode="markers", marker=kind.sample)


def add_entry(figure: go.Figure, name: str, group: str, **look: Any) -> None:
    """An entry of the legend, which shows and hides a group of traces."""
    figure.add_scatter(x=[None], y=[None], name=name, legendgroup=group, hoverinfo="skip", row=1, col=1, **look)


def spacing(axis: Axis) -> dict[str, Any]:
    """How Plotly is to space an axis."""
    if axis.log:
        return theme.log_axis(*axis.ends)
    return {"range": list(axis.ends)}


def trials_figure(trials: Sequence[RunTrial], x: Axis, y: Axis, outcome_name: str, threshold: float) -> go.Figure:
    """Trials over two parameters without a map below, for a prior not at hand.

    They have the colours of their verdicts; where the prior was asked about none, those of their outcomes.

    Args:
        trials: The trials.
        x, y: Two of their parameters.
        outcome_name: What the trials' outcomes are.
        threshold: Lower scores are refused.
    """
    placed = [trial for trial in trials if has_place(trial, x, y)]
    hidden = len(trials) - len(placed)
    words = f"; {hidden} of {len(trials)} trials lack one of these parameters" if hidden else ""
    asked = any(trial.verdict is not None for trial in trials)
    figure = theme.figure(
        f"What the prior said of each trial<br><sup>colours are verdicts{words}</sup>"
        if asked
        else f"What was launched<br><sup>the prior was not asked{words}</sup>"
    )
    shown_by = None if asked else outcome_name
    add_trials(figure, {"row": 1, "col": 1}, x, y, placed, shown_by, threshold)
    said = {trial.verdict for trial in placed if trial.launched and trial.verdict is not None}
    for verdict in (*(one for one in theme.COLORS if one in said), *sorted(said - theme.COLORS.keys())):
        marker = {"size": 9, "color": theme.color_of(verdict), "line": _OUTLINE}
        add_entry(figure, theme.words_of(verdict), theme.plain(verdict), mode="markers", marker=marker)
    add_legend(figure, placed, shown_by, threshold)
    if not asked:
        figure.update_layout(coloraxis=outcome_scale(outcome_name))
    figure.update_xaxes(title_text=x.title, **spacing(x))
    figure.update_yaxes(title_text=y.title, **spacing(y))
    return figure


def outcome_scale(outcome_name: str) -> dict[str, Any]:
    """The colours of outcomes, as a bar beside the figure."""
    title = {"text": theme.plain(outcome_name), "side": "right", "font": {"size": theme.FONT_SIZE}}
    return {"colorscale": SCALE, "colorbar": {"title": title, "thickness": 12}}


def in_words(trials: Sequence[RunTrial], threshold: float) -> str:
    """What the looks of trials mean, as a sentence on those that are there."""
    fates = {trial.fate for trial in trials}
    parts = []
    if any(trial.launched for trial in trials):
        parts.append("filled ones were launched")
    if Fate.REFUSED in fates:
        parts.append("hollow ones were refused before launch")
    if Fate.AUDITED in fates:
        parts.append("ringed ones bypassed the prior as its audit")
    if Fate.UNSEEN in fates:
        parts.append("squares were launched before the prior could be asked")
    if any(would_be_refused(trial, threshold) for trial in trials):
        parts.append("framed ones it would have refused")
    if Fate.UNJUDGED in fates:
        parts.append("diamonds were launched although it had nothing to say of them")
    return ", ".join(parts)
