"""How all figures look: colours that colour-blind readers tell apart, words for verdicts, fonts, empty figures.

Colours are those of Okabe and Ito, "Color Universal Design" (2008).
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ntk_prior.plots.bidi import isolated
from ntk_prior.verdict.feasibility import Verdict

if TYPE_CHECKING:
    import plotly.graph_objects as go

BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
YELLOW, BLUE, VERMILION, PURPLE, GRAY = "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999"

COLORS: Mapping[str, str] = {
    Verdict.FEASIBLE: BLUE,
    Verdict.UNTRAINABLE: ORANGE,
    Verdict.DIVERGES: PURPLE,
    Verdict.COLLAPSES: GREEN,
    Verdict.MEMORIZES_ONLY: GRAY,
    Verdict.OUTSIDE_THEORY: YELLOW,
}
"""Colour of each verdict, in every figure."""

WORDS: Mapping[str, str] = {
    Verdict.FEASIBLE: "feasible",
    Verdict.UNTRAINABLE: "untrainable within the budget",
    Verdict.DIVERGES: "diverges at this learning rate",
    Verdict.COLLAPSES: "collapses at this learning rate",
    Verdict.MEMORIZES_ONLY: "memorizes only",
    Verdict.OUTSIDE_THEORY: "outside the theory: never refused",
}
"""Each verdict in words."""


def color_of(verdict: str | None) -> str:
    """The colour of a verdict; another one for those of a user's own prior, and black for None. Never white."""
    return BLACK if verdict is None else COLORS.get(verdict, SKY_BLUE)


def words_of(verdict: str | None) -> str:
    """A verdict in words, in Plotly's HTML."""
    return "the prior was not asked" if verdict is None else WORDS.get(verdict, plain(verdict))


FONT_SIZE = 13
LINE = 18
HEIGHT = 480
_FINE, _LABELS = 2.5, 5
"""Decades up to which 2 and 5 are labelled, and labels that a long axis is left with."""

_TAG = re.compile("<[^>]*>")
_BREAKS = re.compile("(?<!=) (?!=)")
"""Spaces at which a title may be broken: not between a symbol and its value."""

_GRID = "#e5e5e5"
_AXIS: dict[str, Any] = {
    "automargin": True,
    "gridcolor": _GRID,
    "linecolor": BLACK,
    "mirror": True,
    "showline": True,
    "ticks": "outside",
    "title": {"standoff": 8, "font": {"size": FONT_SIZE + 1}},
    "zeroline": False,
}

_AT_TOP = {"xanchor": "left", "xref": "container", "yref": "container", "yanchor": "top"}


def figure(title: str, *, rows: int = 1, columns: int = 1, height: int = HEIGHT, **options: Any) -> go.Figure:
    """An empty figure in the style of all.

    Args:
        title: Above it, in Plotly's HTML.
        rows, columns: Panels.
        height: In pixels; the width is that of the page.
        **options: For ``plotly.subplots.make_subplots``.

    Raises:
        ImportError: If Plotly is not installed.
    """
    try:
        from plotly.subplots import make_subplots  # only figures need it
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "plotly":
            raise
        raise ImportError("figures need Plotly, which is not installed: pip install 'ntk-prior[plot]'") from error
    made = make_subplots(rows=rows, cols=columns, **options)
    top = 52 + LINE * title.count("<br>") + (22 if any(options.get("subplot_titles", ())) else 0)
    made.update_layout(
        title={"text": title, "font": {"size": FONT_SIZE + 2}, "x": 0.02, "y": 1 - 26 / height, **_AT_TOP},
        template="none",
        font={"family": "Open Sans, Helvetica, Arial, sans-serif", "size": FONT_SIZE, "color": "#222222"},
        height=height,
        margin={"l": 60, "r": 20, "t": top, "b": 60},
        legend={"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "itemsizing": "constant"},
        hoverlabel={"align": "left"},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    made.update_xaxes(**_AXIS)
    made.update_yaxes(**_AXIS)
    made.update_annotations(font_size=FONT_SIZE)
    return made


def message(title: str, words: str) -> go.Figure:
    """A figure that shows nothing, and says why."""
    made = figure(title)
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False)
    made.add_annotation(text=plain(words), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    return made


def add_note(figure: go.Figure, words: str) -> None:
    """One more line below a figure's title."""
    figure.layout.title.text = figure.layout.title.text.removesuffix("</sup>") + f"<br>{words}</sup>"
    figure.layout.margin.t += LINE


def wrap_title(figure: go.Figure, characters: int) -> None:
    """Break the lines of a figure's title so that none is longer, where there is a space to break at."""
    before = figure.layout.title.text
    lines: list[str] = []
    for line in before.split("<br>"):
        first, *others = _BREAKS.split(line)
        lines.append(first)
        for word in others:
            longer = f"{lines[-1]} {word}"
            if len(html.unescape(_TAG.sub("", longer))) > characters:
                lines.append(word)
            else:
                lines[-1] = longer
    figure.layout.title.text = "<br>".join(lines)
    figure.layout.margin.t += LINE * (len(lines) - 1 - before.count("<br>"))


def plain(text: object) -> str:
    """Text that Plotly shows as it is, whatever markup or marks of direction it holds."""
    return html.escape(isolated(str(text)), quote=False)


def lighter(color: str, share: float) -> str:
    """A colour of the palette mixed with white.

    Args:
        color: ``#rrggbb``.
        share: Of white, in [0, 1].
    """
    channels = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (255 - channel) * share):02x}" for channel in channels)


def log_axis(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis over a range, with a handful of whole labels.

    Args:
        low, high: Ends of the range, positive.
    """
    ends = math.log10(low), math.log10(high)
    look = {"type": "log", "range": list(ends), "exponentformat": "power"}
    decades = ends[1] - ends[0]
    leading = (1, 2, 5) if decades <= _FINE else (1,)
    stride = max(round(decades / _LABELS), 1)
    powers = range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
    ticks = [(lead, power) for power in powers if power % stride == 0 for lead in leading]
    inside = [(lead, power) for lead, power in ticks if low * 0.999 <= lead * 10.0**power <= high * 1.001]
    if len(inside) < 2:
        return look
    values = [lead * 10.0**power for lead, power in inside]
    return {**look, "tickvals": values, "ticktext": [_number(*one) for one in inside]}


def _number(lead: int, power: int) -> str:
    if -3 <= power <= 4:
        return f"{lead * 10.0**power:g}"
    return f"{'' if lead == 1 else f'{lead} x '}10<sup>{power}</sup>"
