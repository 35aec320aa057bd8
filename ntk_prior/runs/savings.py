"""What refusals have saved, and what they would have cost if the prior was wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ntk_prior.decision.draws import Drawn
from ntk_prior.runs.intervals import Interval, share
from ntk_prior.runs.scored_outcomes import halfway
from ntk_prior.runs.trial import RunTrial
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

_SCREENED = (Drawn.SCREENED, Drawn.UNIFORM, Drawn.BEST_OF_REFUSED)


class Savings(NamedTuple):
    """Launches that refusals have replaced, by what the audits say.

    Attributes:
        launched: Trials launched.
        screened: Of them, how many the prior screened when they were drawn.
        audited: Of them, how many bypassed it and have a score.
        unseen: Of them, how many were launched before the prior could be asked and have a score.
        held_back: Of both, how many it would have refused.
        gated: Trials that a gate stopped.
        avoided: Hopeless trials that the tuner alone would have launched in the same number of trials.
        lost: Of these, how many would have been good after all: what refusing has cost if the prior was wrong.
        seconds: That the launched trials ran; NaN if unknown, here and below.
        seconds_avoided: That the avoided ones would have run, each as long as one that it would have refused, or
            as any.
    """

    launched: int
    screened: int
    audited: int
    unseen: int
    held_back: int
    gated: int
    avoided: Interval
    lost: Interval
    seconds: float
    seconds_avoided: Interval


def compute_savings(
    trials: Sequence[RunTrial],
    *,
    threshold: float = DEFAULT_THRESHOLD,
    maximize: bool = True,
    good_from: float | None = None,
) -> Savings:
    """Compute launched and avoided.

    Audited trials are the tuner's own draws, and so are those launched before the prior could be asked. Let r be the
    share of them that the prior would have refused. Of the N trials that the prior screened, about r N replaced a
    hopeless one; those launched anyway because every draw was refused are subtracted. The error bar is that of r.
    Trials that a gate stopped count as they are. What the refused trials would have been worth is estimated by the
    share of good ones among the audited trials that would have been refused.

    Args:
        trials: Any trials.
        threshold: Lower scores are refused.
        maximize: Whether larger outcomes are better.
        good_from: The outcome from which a trial counts as good; None for ``halfway`` from the worst to the best.
    """
    launched = [trial for trial in trials if trial.launched]
    screened = [trial for trial in launched if trial.drawn in _SCREENED and not trial.gated]
    anyway = sum(trial.drawn is Drawn.BEST_OF_REFUSED for trial in screened)
    unscreened = [trial for trial in launched if trial.unscreened]
    audited = sum(trial.audited for trial in unscreened)
    held_back = [trial for trial in unscreened if trial.held_back(threshold)]
    gated = sum(not trial.launched and trial.gated for trial in trials)
    rate = share(len(held_back), len(unscreened))
    # A gate's refusals are trials of their own, next to those that a sampler has drawn again.
    avoided = Interval(*(gated + max(len(screened) * refused_share - anyway, 0.0) for refused_share in rate))
    if not screened:
        avoided = Interval(gated, gated, gated)
    finished = [trial for trial in held_back if trial.failed or trial.outcome is not None]
    limit = _limit(launched, maximize) if good_from is None else good_from
    good = sum(_is_good(trial, limit, maximize) for trial in finished)
    worth = share(good, len(finished))
    known = [trial.seconds for trial in held_back if trial.seconds is not None]
    spent = [trial.seconds for trial in launched if trial.seconds is not None]
    each = float(np.mean(known or spent)) if spent else math.nan
    return Savings(
        launched=len(launched),
        screened=len(screened),
        audited=audited,
        unseen=len(unscreened) - audited,
        held_back=len(held_back),
        gated=gated,
        avoided=avoided,
        lost=Interval(*(avoided.value * good_share if avoided.value else 0.0 for good_share in worth)),
        seconds=float(sum(spent)) if spent else math.nan,
        seconds_avoided=avoided.times(each),
    )


def _limit(trials: Sequence[RunTrial], maximize: bool) -> float:
    known = [trial.outcome for trial in trials if trial.outcome is not None and not trial.failed]
    return halfway(np.array(known, dtype=np.float64), maximize)


def _is_good(trial: RunTrial, limit: float, maximize: bool) -> bool:
    if trial.failed or trial.outcome is None:
        return False
    return trial.outcome >= limit if maximize else trial.outcome <= limit
