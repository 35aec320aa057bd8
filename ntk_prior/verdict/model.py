"""A probability made of decision trees, which trials of one's own shift and stretch.

References:
    Platt, "Probabilistic outputs for support vector machines", 1999 (shifting and stretching log-odds).
    Huang, Stein, Rubin and Kou, "Catalytic prior distributions", arXiv 2004.03106 (shrinkage by weighted predictions of
    a simpler model, here of the shipped one).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.checks import require_real
from ntk_prior.verdict.trees import Trees, sums, trees_from_json, trees_to_json

PSEUDO_TRIALS = 30.0
"""So many finished trials of your own count as much as the shipped calibration."""

_ENDS, _USUAL = np.array([-3.0, 3.0]), 1.5
"""Log-odds at which the shipped predictions count: far out, where they hold the slope better than the shift, so that
trials of one kind shift all predictions and do not flatten them. About the shift they say as much as ``PSEUDO_TRIALS``
trials of usual log-odds."""


@dataclass(frozen=True, eq=False)
class Model:
    """A probability that never falls as a feature grows.

    Attributes:
        trees: Their sum and ``intercept`` are log-odds.
        intercept: See above.
        slope, shift: Your own trials turn these log-odds into ``slope`` times them plus ``shift``.
    """

    trees: Trees
    intercept: float
    slope: float = 1.0
    shift: float = 0.0

    def log_odds(self, rows: Array) -> Array:
        """Log-odds of rows of features, shape (n, features) to (n,)."""
        return self.at(sums(self.trees, rows))

    def at(self, total: Array) -> Array:
        """Log-odds of rows whose trees add up to some numbers, shape (n,)."""
        return self.slope * (self.intercept + total) + self.shift

    def adjust(self, rows: Array, outcomes: NDArray[np.bool_]) -> Model:
        """The model with its log-odds shifted and stretched to fit some outcomes.

        Its own predictions count as ``PSEUDO_TRIALS`` more outcomes, so that a few trials shift it little, and outcomes
        of one kind alone do not carry it away.

        Args:
            rows: Features, shape (n, features).
            outcomes: Shape (n,).
        """
        from sklearn.linear_model import LogisticRegression  # takes a second to import, which scoring need not wait for

        n = len(outcomes)
        if n == 0:
            return self
        before = self.log_odds(rows)
        own, usual = probability(_ENDS), probability(np.array(_USUAL))
        weight = PSEUDO_TRIALS / 2 * usual * (1.0 - usual) / (own * (1.0 - own))
        fit = LogisticRegression(C=1e3).fit(
            np.concatenate([before, _ENDS, _ENDS])[:, None],
            np.concatenate([outcomes, [True, True, False, False]]),
            np.concatenate([np.ones(n), weight * own, weight * (1.0 - own)]),
        )
        # Outcomes against the model flatten it; they do not turn it round.
        slope = max(float(fit.coef_[0, 0]), 0.0)
        shift = float(fit.intercept_[0])
        if slope == 0.0:
            expected = float(np.mean(probability(before)))
            rate = (float(np.sum(outcomes)) + PSEUDO_TRIALS * expected) / (n + PSEUDO_TRIALS)
            shift = math.log(rate / (1.0 - rate))
        return replace(self, slope=slope * self.slope, shift=slope * self.shift + shift)


def probability(log_odds: Array) -> Array:
    """The logistic function (SciPy's takes longer to import than a verdict)."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))


def model_to_json(model: Model) -> dict[str, Any]:
    """A model as JSON-serialisable values."""
    numbers = {"intercept": model.intercept, "slope": model.slope, "shift": model.shift}
    return {**numbers, "trees": trees_to_json(model.trees)}


def model_from_json(name: str, values: Mapping[str, Any], n_features: int) -> Model:
    """The inverse of ``model_to_json``.

    Raises:
        KeyError, TypeError, ValueError: If the values are not those of a model over ``n_features`` features.
    """
    trees = trees_from_json(values["trees"], n_features)
    slope = require_real(f"{name}: slope", values["slope"], 0.0, 1e6)
    intercept, shift = (require_real(f"{name}: {key}", values[key], -1e6, 1e6) for key in ("intercept", "shift"))
    return Model(trees, intercept, slope, shift)
