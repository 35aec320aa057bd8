"""Verdicts on trainings as people run them, in words: what recorded trainings say, and which number would change it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior.theory.layers import encode_one
from ntk_prior.verdict.calibration import Probabilities
from ntk_prior.verdict.schedule import longest_step
from ntk_prior.verdict.suggestions import rounded

if TYPE_CHECKING:
    from ntk_prior.verdict.reasons import Case

_SLOWER = np.geomspace(1e-4, 1.0, 97)[:-1]
_DIGITS = 2
"""Of the numbers that are named: what is tried is what is said."""
_LONGER = np.geomspace(1.0, 1e3, 61)[1:]


def practice_reason(case: Case) -> str:
    """The limit that binds a configuration, with numbers."""
    if case.verdict in ("collapses", "diverges"):
        return _too_fast(case)
    if case.verdict == "untrainable":
        return f"{_too_slow(case) or 'of trainings like it few learnt anything'} ({_trainability(case)})"
    if case.verdict == "memorizes_only":
        return (
            f"generalization {case.probabilities.generalization:.2g} < {case.threshold:g}: in trainings like it, what "
            "was learnt hardly carried over to test inputs"
        )
    known = case.probabilities
    return (
        f"trainability {known.trainability:.2f} and generalization {known.generalization:.2f} >= {case.threshold:g}; "
        f"expected score {known.expected_score:.2f} +- {known.score_error:.2f} of the best known"
    )


def _trainability(case: Case) -> str:
    return f"trainability {case.probabilities.trainability:.2g} < {case.threshold:g}"


def _too_fast(case: Case) -> str:
    budget = case.budget
    rate = budget.learning_rate
    assert rate is not None, "trainings of practice have a rate"
    slower = rounded(rate * _SLOWER, _DIGITS)
    slower = slower[slower < rate]
    good = slower[_is_good(case, case.scan("learning_rate", slower))]
    limit = f" > {good.max():.2g}" if good.size else ""
    if budget.is_adaptive:
        window = case.network.kernel_size**2 if case.network.kind == "cnn" else 1
        longest = longest_step(encode_one(case.network, budget)[0][0])
        moved = rate * longest * (budget.width or 1) * window / math.sqrt(case.network.weight_variance)
        step = f"{budget.optimizer}'s longest step may move a unit by {moved:.2g} times its size"
    else:
        step = f"{math.exp(min(case.estimates.log_excess, 600.0)):.2g} times 2 / lambda_max"
    return f"learning_rate {rate:.3g}{limit}: {step} ({_trainability(case)})"


def _too_slow(case: Case) -> str:
    """How many steps, or which rate, would do; empty where neither would."""
    steps = rounded(np.ceil(case.budget.n_steps * _LONGER), _DIGITS)
    steps = steps[steps > case.budget.n_steps]
    good = steps[_is_good(case, case.scan("steps", steps))]
    if good.size:
        return f"needs {good.min():.2g} steps, budget {case.budget.n_steps:.2g}"
    rate = case.budget.learning_rate or 1.0
    faster = rounded(rate * _LONGER, _DIGITS)
    faster = faster[faster > rate]
    good = faster[_is_good(case, case.scan("learning_rate", faster))]
    return f"learning_rate {rate:.3g} < {good.min():.2g}" if good.size else ""


def _is_good(case: Case, found: Probabilities[Any]) -> NDArray[np.bool_]:
    """Where the models say that a network learns; where they have no evidence, nothing is promised."""
    return np.asarray(found.trainability >= case.threshold)
