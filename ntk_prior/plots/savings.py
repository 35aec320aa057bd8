"""What refusals have saved, and what they would have cost if the prior was wrong: the numbers, and their picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ntk_prior.feasibility import DEFAULT_THRESHOLD
from ntk_prior.plots import theme
from ntk_prior.plots.against_outcome import halfway
from ntk_prior.plots.intervals import Interval, share
from ntk_prior.plots.trials import PlottedTrial
from ntk_prior.screening import Drawn

if TYPE_CHECKING:
    import plotly.graph_objects as go

_STEERED = (Drawn.SCREENED, Drawn.UNIFORM, Drawn.BEST_OF_REFUSED)


class Savings(NamedTuple):
    """Launches that refusals have replaced, by what the audits say.

    Attributes:
        launched: Trials launched.
        steered: Of them, how many the prior had a say in when they were drawn.
        audited: Of them, how many bypassed it and have a score.
        unseen: Of them, how many were launched before the prior could be asked and have a score.
        held_back: Of both, how many it would have refused.
        refused: Trials that a gate stopped.
        avoided: Hopeless trials that the tuner alone would have launched in the same number of trials.
        lost: Of these, how many would have been good after all: what refusing has cost if the prior was wrong.
        seconds: That the launched trials ran; NaN if unknown, here and below.
        seconds_avoided: That the avoided ones would have run, each as long as one that it would have refused, or
            as any.
    """

    launched: int
    steered: int
    audited: int
    unseen: int
    held_back: int
    refused: int
    avoided: Interval
    lost: Interval
    seconds: float
    seconds_avoided: Interval


def savings(
    trials: Sequence[PlottedTrial],
    *,
    threshold: float = DEFAULT_THRESHOLD,
    maximize: bool = True,
    good_from: float | None = None,
) -> Savings:
    """Compute launched and avoided.

    Audited trials are the tuner's own draws, and so are those launched before the prior could be asked. So the share r
    of them that the prior would have refused is the share of hopeless trials that the tuner alone would launch, and of
    N trials that the prior had a say in r N were replaced, but for those launched although refused, for want of a
    better draw. Its error bar is that of r. Trials that a gate stopped count as they are. The share of good ones among
    those trials that would have been refused says what the refused ones would have been worth.

    Args:
        trials: Any trials.
        threshold: Lower scores are refused.
        maximize: Whether larger outcomes are better.
        good_from: The outcome from which a trial counts as good; None for ``halfway`` from the worst to the best.
    """
    launched = [trial for trial in trials if trial.launched]
    steered = [trial for trial in launched if trial.drawn in _STEERED and not trial.gated]
    anyway = sum(trial.drawn is Drawn.BEST_OF_REFUSED for trial in steered)
    unscreened = [trial for trial in launched if trial.unscreened]
    audited = sum(trial.audited for trial in unscreened)
    held_back = [trial for trial in unscreened if trial.held_back(threshold)]
    gated = sum(not trial.launched and trial.gated for trial in trials)
    rate = share(len(held_back), len(unscreened))
    # A gate's refusals are trials of their own, next to those that a sampler has drawn again.
    avoided = Interval(*(gated + max(len(steered) * one - anyway, 0.0) for one in rate))
    if not steered:
        avoided = Interval(gated, gated, gated)
    finished = [trial for trial in held_back if trial.failed or trial.outcome is not None]
    limit = _limit(launched, maximize) if good_from is None else good_from
    good = sum(_is_good(trial, limit, maximize) for trial in finished)
    worth = share(good, len(finished))
    known = [trial.seconds for trial in held_back if trial.seconds is not None]
    spent = [trial.seconds for trial in launched if trial.seconds is not None]
    each = float(np.mean(known or spent)) if spent else math.nan
    return Savings(
        len(launched),
        len(steered),
        audited,
        len(unscreened) - audited,
        len(held_back),
        gated,
        avoided,
        Interval(*(avoided.value * one if avoided.value else 0.0 for one in worth)),
        float(sum(spent)) if spent else math.nan,
        avoided.times(each),
    )


def _limit(trials: Sequence[PlottedTrial], maximize: bool) -> float:
    known = [trial.outcome for trial in trials if trial.outcome is not None and not trial.failed]
    return halfway(np.array(known, dtype=np.float64), maximize)


def _is_good(trial: PlottedTrial, limit: float, maximize: bool) -> bool:
    if trial.failed or trial.outcome is None:
        return False
    return trial.outcome >= limit if maximize else trial.outcome <= limit


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
    exact = f"; a gate stopped {found.refused}" if found.refused else ""
    return (
        f"Compute launched and avoided<br><sup>{how}{exact}<br>"
        "Estimated from these, 95 % intervals. Wrongly: at least halfway from worst to best</sup>"
    )


def _unit(seconds: float) -> tuple[str, float]:
    for unit, length in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return unit, length
    return "seconds", 1.0
