"""The picture of how far a study believed its prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ntk_prior.plots import theme
from ntk_prior.runs.trust_series import TrustSeries

if TYPE_CHECKING:
    import plotly.graph_objects as go


def trust_figure(found: TrustSeries) -> go.Figure:
    """Both kinds of trust over a study, and below them when which verdict was withdrawn.

    Args:
        found: The numbers.
    """
    words = (
        "Trust in the prior<br><sup>1: trials contradict it no more than chance would. The prior is asked with this "
        "probability, else ignored</sup>"
    )
    rows = 2 if found.withdrawn else 1
    heights: dict[str, Any] = {"row_heights": [0.75, 0.25], "vertical_spacing": 0.06} if found.withdrawn else {}
    figure = theme.figure(words, rows=rows, height=400 + 60 * (rows - 1), shared_xaxes=True, **heights)
    for name, values, color, dash in (
        ("in refusals: what it refuses is worse", found.refusals, theme.BLUE, "solid"),
        ("in the order of scores: higher is better", found.ranking, theme.ORANGE, "dash"),
    ):
        figure.add_scatter(
            x=found.finished,
            y=values,
            mode="lines",
            name=name,
            line={"color": color, "width": 2.5, "dash": dash, "shape": "hv"},
            hovertemplate="after %{x} trials: %{y:.2f}",
            row=1,
            col=1,
        )
    for verdict, gone in found.withdrawn.items():
        figure.add_scatter(
            x=found.finished,
            y=[theme.plain(verdict) if one else None for one in gone],
            mode="lines+markers",
            name="verdict withdrawn: trials contradict it",
            legendgroup="withdrawn",
            showlegend=verdict == next(iter(found.withdrawn)),
            line={"color": theme.VERMILION, "width": 8},
            marker={"symbol": "square", "size": 8},
            connectgaps=False,
            hovertemplate="%{y} withdrawn after %{x} trials<extra></extra>",
            row=2,
            col=1,
        )
    figure.update_xaxes(title_text="finished trials that the prior has scored", row=rows)
    figure.update_yaxes(title_text="trust", range=[-0.04, 1.04], row=1)
    return figure
