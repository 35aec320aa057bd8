"""What verdicts, decisions and columns mean, for readers who see them for the first time."""

from __future__ import annotations

from collections.abc import Mapping

from ntk_prior import Verdict
from ntk_prior_report.records import AUDITED, GIVEN, LAUNCHED, NOTHING_BETTER, REFUSED

VERDICTS: Mapping[str | None, str] = {
    Verdict.FEASIBLE: "It can be trained, and what it learns carries over to new inputs.",
    Verdict.UNTRAINABLE: "The budget's steps do not fit the training set: its kernel is too ill-conditioned.",
    Verdict.DIVERGES: "The learning rate lies beyond the largest stable one: every step overshoots.",
    Verdict.MEMORIZES_ONLY: "Training fits, but hardly anything carries over to new inputs.",
    Verdict.OUTSIDE_THEORY: "The theory does not cover this network, so it is never refused.",
    None: "The prior was not asked.",
}
"""Each verdict."""

FATES: Mapping[str, str] = {
    LAUNCHED: "the prior let it through.",
    AUDITED: "it bypassed the prior. Such trials tell whether the prior is right.",
    NOTHING_BETTER: "every draw for this trial was refused, and this one scored best.",
    GIVEN: "the user asked for it, and the prior had no say.",
    REFUSED: "the prior kept it from being launched.",
}
"""What was done with a configuration."""

COLUMNS: Mapping[str, str] = {
    "Score": "the smaller of two probabilities: that the network trains within the budget, and that it generalizes if "
    "it does.",
    "Why": "what binds: depth against the depth scales xi_1 (beyond a multiple of it deep networks cannot train) and "
    "xi_star (beyond it they only memorise), kappa, the kernel's condition number, or the largest stable learning "
    "rate, 2 / lambda_max.",
}
"""The table's less obvious columns."""

AUDIT = (
    "A share of trials bypasses the prior, whatever it says. They are its audit: where those that it would have "
    "refused do better than those that it let through, trust falls and fewer draws are refused; a verdict that they "
    "contradict is withdrawn."
)
"""How a wrong prior is found out."""
