"""How far a study believed its prior as trials finished: the numbers, and their picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.evidence import EVIDENCE_WINDOW, Evidence, trust_in_view_of, withdrawn_verdicts
from ntk_prior.feasibility import DEFAULT_THRESHOLD
from ntk_prior.plots import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

Array = NDArray[np.float64]

POINTS = 200
"""Numbers of finished trials at which trust is computed, at most."""


class TrustSeries(NamedTuple):
    """Trust over a study.

    Attributes:
        finished: Finished trials that say something about the prior, shape (k,).
        refusals: Trust in refusals after so many, shape (k,).
        ranking: Trust in the order of scores, shape (k,).
        withdrawn: For each verdict that was withdrawn at some time, whether it was then, shape (k,).
    """

    finished: NDArray[np.int64]
    refusals: Array
    ranking: Array
    withdrawn: Mapping[str, NDArray[np.bool_]]


def trust_series(evidence: Sequence[Evidence], threshold: float = DEFAULT_THRESHOLD) -> TrustSeries:
    """Trust after each finished trial, or after so many of them as make ``POINTS``.

    Args:
        evidence: What each finished trial says, in their order.
        threshold: Lower scores are refused.
    """
    n = len(evidence)
    counts = np.unique(np.linspace(0, n, min(n, POINTS) + 1).round().astype(np.int64))
    windows = [evidence[max(0, count - EVIDENCE_WINDOW) : count] for count in counts]
    trust = [trust_in_view_of(window, threshold) for window in windows]
    gone = [withdrawn_verdicts(window, threshold).keys() for window in windows]
    verdicts = sorted({verdict for one in gone for verdict in one})
    return TrustSeries(
        counts,
        np.array([one.refusals for one in trust]),
        np.array([one.ranking for one in trust]),
        {verdict: np.array([verdict in one for one in gone]) for verdict in verdicts},
    )


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
