"""What verdicts, decisions and columns mean, for readers who see them for the first time."""

from __future__ import annotations

from collections.abc import Mapping

from ntk_prior.runs.run import NOTHING_TO_SAY, WOULD_BE_LAUNCHED, WOULD_BE_REFUSED, Run
from ntk_prior.runs.summary import Summary
from ntk_prior.runs.trial import Fate
from ntk_prior.verdict.feasibility import Verdict

VERDICTS: Mapping[str | None, str] = {
    Verdict.FEASIBLE: "It can be trained, and what it learns carries over to new inputs.",
    Verdict.UNTRAINABLE: "The budget's steps do not fit the training set: its kernel is too ill-conditioned.",
    Verdict.DIVERGES: "The learning rate lies beyond the largest stable one: every step overshoots.",
    Verdict.COLLAPSES: "The learning rate is so large that the network falls back to chance, though no loss grows.",
    Verdict.MEMORIZES_ONLY: "Training fits, but hardly anything carries over to new inputs.",
    Verdict.OUTSIDE_THEORY: "The theory does not cover this network, so it is never refused.",
    None: "There is no note of the prior's: it was not asked.",
}
"""Each verdict."""

FATES: Mapping[str, str] = {
    Fate.LAUNCHED: "the prior let it through.",
    Fate.AUDITED: "it bypassed the prior. Such trials tell whether the prior is right.",
    Fate.UNSEEN: "it was drawn before the search space was known, and judged afterwards. It tells as much about the "
    "prior as an audit does, but is none.",
    Fate.UNJUDGED: "the prior had nothing to say of it, and refuses nothing then.",
    Fate.NOTHING_BETTER: "every draw for this trial was refused, and this one scored best.",
    Fate.GIVEN: "the user asked for it, and the prior had no say.",
    Fate.UNASKED: "the run has no note of the prior's for it.",
    Fate.REFUSED: "the prior kept it from being launched.",
}
"""What was done with a configuration."""

HINDSIGHT: Mapping[str, str] = {
    WOULD_BE_REFUSED: "it ran, and the prior would have kept it from being launched.",
    WOULD_BE_LAUNCHED: "it ran, and the prior would have let it through.",
    NOTHING_TO_SAY: "it ran, and the prior has nothing to say of it.",
}
"""What would have been done with a configuration."""

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
    "refused do better than those that it lets through, trust falls and fewer draws are refused; a verdict that they "
    "contradict is withdrawn. Trials that were drawn before the prior could be asked count likewise."
)
"""How a wrong prior is found out."""

AFTERWARDS = (
    "These trials ran whatever the prior says of them, so each is a test of it: where those that it would have refused "
    "do better than those that it would have let through, trust in it falls, and a verdict that they contradict would "
    "have been withdrawn."
)
"""How a wrong prior is found out in hindsight."""


def launched_in_words(found: Summary) -> str:
    """How the launched trials came about, as far as the prior had no say in them."""
    parts = [
        f"{found.audited} of them as audits" if found.audited else "",
        f"{found.unseen} before the prior could be asked" if found.unseen else "",
        f"{found.unjudged} of which the prior had nothing to say" if found.unjudged else "",
        f"{found.unasked} without a note of the prior's" if found.unasked else "",
    ]
    return ", ".join(["trials launched", *filter(None, parts)])


def trust_in_words(found: Summary, run: Run) -> str:
    """What the trust in refusals rests on."""
    tried = len(found.held_back)
    would = "would let" if run.review is not None else "let"
    if tried:
        parts = [f"{found.held_back_good or 'none'} of {tried} launched trials that it would refuse came out good"]
    else:
        parts = ["untested, since no trial that it would refuse was launched"]
    if found.passed_failed:
        parts.append(f"{found.passed_failed} of {found.passed} that it {would} through failed or were pruned")
    if found.trust.ranking < 1:
        parts.append(f"trust in the order of its scores is {found.trust.ranking:.2f}")
    if found.notices:
        parts.append("verdicts were withdrawn")
    return f"trust in refusals, 1 is whole: {'; '.join(parts)}"
