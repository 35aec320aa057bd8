"""The picture of what refusals have saved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ntk_prior.plots import theme
from ntk_prior.runs.intervals import Interval
from ntk_prior.runs.savings import Savings

if TYPE_CHECKING:
    import plotly.graph_objects as go


def savings_figure(found: Savings) -> go.Figure:
    """Bars of what was launched, what was avoided, and what of that would have been good.

    Args:
        found: The numbers.
    """
    figure = theme.figure(_title(found), height=380)
    timed = found.seconds > 0
    unit, length = _unit(max(found.seconds, found.seconds_avoided.high)) if timed else ("trials", 1.0)
    each = found.seconds_avoided.value / found.avoided.value if found.avoided.value else 0.0
    scale = each / length if timed else 1.0
    bars = (
        ("launched", Interval(*[found.seconds / length if timed else found.launched] * 3), theme.BLUE, ""),
        ("avoided", found.avoided.times(scale), theme.ORANGE, ""),
        ("wrongly avoided", found.lost.times(scale), theme.VERMILION, "/"),
    )
    counts = (f"{found.launched} trials", f"{found.avoided} trials", f"{found.lost} trials")
    for (words, bar, color, pattern), count in zip(bars, counts, strict=True):
        known = math.isfinite(bar.value)
        figure.add_bar(
            x=[bar.value if known else 0.0],
            y=[words],
            orientation="h",
            marker={"color": color, "pattern": {"shape": pattern}},
            error_x={"array": [bar.high - bar.value], "arrayminus": [bar.value - bar.low], "color": theme.BLACK}
            if known and bar.high > bar.low
            else None,
            showlegend=False,
            hovertemplate=f"{words}: {count}<extra></extra>",
        )
        figure.add_annotation(
            text=count if known else "not known yet: no audit says it",
            x=bar.high if known else 0.0,
            y=words,
            xanchor="left",
            showarrow=False,
            xshift=8,
        )
    longest = max([bar.high for _, bar, _, _ in bars if math.isfinite(bar.value)], default=1.0)
    figure.update_xaxes(title_text=f"compute ({unit})" if timed else "trials", range=[0, 1.65 * longest or 1.0])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def unscreened_in_words(found: Savings) -> str:
    """The trials that savings are estimated from."""
    if not found.unseen:
        return f"{found.audited} audited trials"
    if not found.audited:
        return f"{found.unseen} trials launched before the prior could be asked"
    return f"{found.audited} audited trials and {found.unseen} launched before the prior could be asked"


def _title(found: Savings) -> str:
    how = f"{found.held_back} of {unscreened_in_words(found)} would have been refused"
    exact = f"; a gate stopped {found.gated}" if found.gated else ""
    return (
        f"Compute launched and avoided<br><sup>{how}{exact}<br>"
        "Estimated from these, 95 % intervals. Wrongly: at least halfway from worst to best</sup>"
    )


def _unit(seconds: float) -> tuple[str, float]:
    for unit, length in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return unit, length
    return "seconds", 1.0
