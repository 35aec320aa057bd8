"""What becomes of trainings as people run them: in the standard parametrization, by any optimiser, in mini-batches.

Three models, fitted by ``studies.calibration.practice`` to real trainings, turn the theory's numbers and those of the
training into the probability that a network learns anything of use, the probability that what it learns carries over,
and the test score that is expected, relative to the best known on the task. A fourth says how well these trainings
cover a configuration; where they do not, the others are not asked.

References:
    Liu, Ting and Zhou, "Isolation forest", 2008 (which points are unlike those that are known).
    Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005 (a rank among held-out points as a
    probability).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.budget import Budget
from ntk_prior.checks import require_real
from ntk_prior.task.task import Task
from ntk_prior.theory.activations import ERF, SIN, TABULATED
from ntk_prior.theory.dual_table import GROWTH
from ntk_prior.theory.jit import PER_CALL, PER_CONFIGURATION, entry
from ntk_prior.verdict.estimates import Estimates
from ntk_prior.verdict.model import Model, model_from_json, model_to_json, probability
from ntk_prior.verdict.outcomes import Outcome, split
from ntk_prior.verdict.schedule import effective_steps, longest_step
from ntk_prior.verdict.trees import Forest, Trees, forest, sums_of, trees_from_json, trees_to_json

FEATURES = (
    *("log_speed", "log_kick", "log_rate", "log_rate_times_width", "log_depth", "log_width", "log_batch"),
    *("log_epochs", "log_decay", "log_forgetting", "drop_rate", "adaptive", "cross_entropy", "residual_scale"),
    *("layer_norm", "convolutional", "pooling", "bounded", "log_kappa", "aspect_ratio", "unaveraged"),
    *("log_movement", "log_relative_step", "learnt", "ranked", "generalization_at_infinite_width"),
    *("ranking_at_infinite_width", "log_weight_variance", "log_rate_per_root_batch"),
)
"""What the models see of a configuration, see ``features_of_rows``."""

FIELDS_OF = {
    "log_depth": "depth",
    "log_width": "width",
    "log_batch": "batch_size",
    "log_epochs": "steps",
    "log_decay": "weight_decay",
    "log_rate": "learning_rate",
    "drop_rate": "keep_rate",
    "residual_scale": "residual_scale",
    "log_weight_variance": "weight_variance",
}
"""The features that are one field of a network or a training."""

RISING_WITH_RATE = (
    *("log_speed", "log_kick", "log_rate", "log_rate_times_width", "log_forgetting"),
    *("log_movement", "log_relative_step", "log_rate_per_root_batch"),
)
"""Features that grow with the logarithm of the learning rate, one for one."""

MIN_SUPPORT = 0.02
"""Configurations that the evidence covers less than this get no score."""

OTHER_RATES = np.log(10.0) * np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
"""A refused training is too fast if its best chance at a rate that is slower by these, in logarithms, is better than at
one that is as much faster."""

BEYOND = 0.1
"""A feature may lie beyond all known trainings by this share of their range."""

_ROUNDING = 1e-6
_FLOOR = 1e-7
_LARGEST_KAPPA = 50.0


class Prospects(NamedTuple):
    """What is expected of n trainings, shape (n,) each.

    Attributes:
        trains: Probability that the network learns anything of use.
        generalizes: Probability that what it learns carries over, if it learns.
        expected_score: Its test score, relative to the best known on the task.
        score_error: Standard deviation of what becomes of it from that.
        support: How well the evidence covers it, in [0, 1]: the share of known trainings that are less like the others.
        too_fast: Whether a smaller rate would do better than a larger one.
    """

    trains: Array
    generalizes: Array
    expected_score: Array
    score_error: Array
    support: Array
    too_fast: NDArray[np.bool_]


def is_covered(budget: Budget, n_train: int) -> bool:
    """Whether a training is of the kind that the models were fitted to, as far as its budget tells.

    In the NTK parametrization, without a rate or without a width the theory alone speaks. So it does of full batches
    and the squared error, the laboratory's trainings, in whatever parametrization.

    Args:
        budget: The training.
        n_train: Training samples.
    """
    known = budget.learning_rate is not None and budget.width is not None
    whole = budget.batch_size is None or budget.batch_size >= n_train
    laboratory = whole and budget.loss == "mse" and not budget.is_adaptive
    return budget.parametrization == "standard" and known and budget.has_usual_betas and not laboratory


def covered_rows(rows: NDArray[np.void], n_train: int) -> NDArray[np.bool_]:
    """``is_covered`` of configurations made by ``layers.encode``, shape (n,)."""
    known = (rows["learning_rate"] > 0.0) & (rows["width"] > 0.0)
    whole = ~(rows["batch_size"] < n_train)  # NaN is the full batch
    laboratory = whole & (rows["cross_entropy"] == 0.0) & (rows["adaptive"] == 0.0)
    return np.asarray((rows["standard"] > 0.0) & known & (rows["usual_betas"] > 0) & ~laboratory)


def features_of_rows(found: Estimates, rows: NDArray[np.void], table: Array, task: Task) -> Array:
    """What the models see, shape (n, features), in the order of ``FEATURES``.

    Logarithms are natural ones. ``log_movement`` is how far the steps can move a weight, relative to the initial
    weights; ``log_rate`` and ``log_relative_step`` are about the longest step, the latter how far it moves a unit,
    relative to its size; ``log_forgetting`` is how many times weights decay to nothing.

    Args:
        found: The theory's estimates.
        rows: The configurations, made by ``layers.encode``.
        table: Of their activation's dual.
        task: What they are trained on.
    """
    code = int(rows["code"][0])
    bounded = code in (ERF, SIN) or (code == TABULATED and table[0, GROWTH] == 0.0)
    theory = np.array(
        [
            found.log_speed,
            found.log_kick,
            found.log_kappa,
            found.learnt,
            found.ranked,
            found.generalization_at_infinite_width,
            found.ranking_at_infinite_width,
        ],
        dtype=np.float64,
    ).reshape(7, -1)
    seen = np.empty((len(rows), len(FEATURES)))
    _fill_features(rows, theory, float(task.n_train), float(bounded), seen)
    return seen


@entry(lambda rows, *_: PER_CALL / 2 + PER_CONFIGURATION * len(rows))
def _fill_features(rows: NDArray[np.void], theory: Array, n_train: float, bounded: float, seen: Array) -> None:
    """``features_of_rows`` from numbers; fills ``seen``, shape (n, features)."""
    for i in range(rows.shape[0]):
        row = rows[i]
        rate = math.log(row.learning_rate) - math.log(1.0 - row.momentum)
        width, depth = math.log(row.width), math.log(row.depth)
        batch = min(row.batch_size, n_train) if row.batch_size > 0.0 else n_train
        steps, longest = effective_steps(row), math.log(longest_step(row))
        relative = math.log(row.weight_variance)
        seen[i, 0] = theory[0, i]
        seen[i, 1] = theory[1, i]
        seen[i, 2] = rate + longest
        seen[i, 3] = rate + width
        seen[i, 4] = depth
        seen[i, 5] = width
        seen[i, 6] = math.log(batch)
        seen[i, 7] = math.log(row.steps * batch / n_train)
        seen[i, 8] = math.log(row.weight_decay + _FLOOR)
        seen[i, 9] = math.log(row.weight_decay * row.learning_rate * row.steps + _FLOOR)
        seen[i, 10] = 1.0 - row.keep_rate
        seen[i, 11] = row.adaptive
        seen[i, 12] = row.cross_entropy
        seen[i, 13] = row.residual_scale if row.residual_scale >= 0.0 else 0.0
        seen[i, 14] = row.layer_norm
        seen[i, 15] = row.cnn
        seen[i, 16] = row.pooling
        seen[i, 17] = bounded
        seen[i, 18] = min(max(theory[2, i], -_LARGEST_KAPPA), _LARGEST_KAPPA)
        seen[i, 19] = row.depth / row.width
        seen[i, 20] = 1.0 if row.adaptive > 0.0 and row.beta == 0.0 else 0.0
        seen[i, 21] = rate + math.log(steps) + 0.5 * (width - relative)
        seen[i, 22] = rate + longest + width - 0.5 * relative
        seen[i, 23] = theory[3, i]
        seen[i, 24] = theory[4, i]
        seen[i, 25] = theory[5, i]
        seen[i, 26] = theory[6, i]
        seen[i, 27] = relative
        seen[i, 28] = rate - 0.5 * math.log(batch)


@dataclass(frozen=True, eq=False)
class Support:
    """How well known trainings cover a configuration.

    Attributes:
        trees: An isolation forest: the deeper a configuration falls, the more it is like those that are known.
        depths: Of known trainings of which the forest has not seen their like, evenly spaced quantiles, shape (k,).
        low, high: Smallest and largest value of each feature in known trainings, shape (features,).
    """

    trees: Trees
    depths: Array
    low: Array
    high: Array

    def of(self, depths: Array, seen: Array) -> Array:
        """In [0, 1], shape (n,): the share of known trainings that fall less deep; 0 beyond all of them.

        Args:
            depths: How deep configurations fall, shape (n,).
            seen: Their features, shape (n, features).
        """
        low, high = self._ends
        inside = ((seen >= low) & (seen <= high)).all(axis=1)
        return np.where(inside, np.interp(depths, self.depths, self._shares), 0.0)

    def beyond(self, seen: Array) -> list[str]:
        """Which features of one configuration, shape (1, features), lie beyond those of all known trainings."""
        low, high = self._ends
        return [name for name, x, a, b in zip(FEATURES, seen[0], low, high, strict=True) if not a <= x <= b]

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        margin = BEYOND * (self.high - self.low) + _ROUNDING
        return self.low - margin, self.high + margin

    @cached_property
    def _shares(self) -> Array:
        return np.linspace(0.0, 1.0, len(self.depths))


@dataclass(frozen=True, eq=False)
class Practice:
    """The models of trainings as people run them.

    Attributes:
        trains, generalizes: Log-odds of both probabilities.
        expected: Trees and an intercept whose sum is the expected score.
        errors: Standard deviation of scores from what was expected, at evenly spaced expectations from 0 to 1.
        support: Which configurations they know about.
    """

    trains: Model
    generalizes: Model
    expected: Model
    errors: Array
    support: Support

    def prospects(self, seen: Array) -> Prospects:
        """What is expected of n trainings.

        Args:
            seen: Their features, shape (n, features).
        """
        totals = sums_of(self._forest, seen).T
        trains, generalizes = probability(self.trains.at(totals[0])), probability(self.generalizes.at(totals[1]))
        expected = self.expected.at(totals[2]).clip(0.0, 1.0)
        errors = np.interp(expected, self._expectations, self.errors)
        support = self.support.of(totals[3], seen)
        return Prospects(trains, generalizes, expected, errors, support, self._too_fast(seen, trains))

    @cached_property
    def _forest(self) -> Forest:
        return forest([*(model.trees for model in (self.trains, self.generalizes, self.expected)), self.support.trees])

    @cached_property
    def _expectations(self) -> Array:
        return np.linspace(0.0, 1.0, len(self.errors))

    def _too_fast(self, seen: Array, trains: Array) -> NDArray[np.bool_]:
        doubtful = trains < 0.5
        found = np.zeros(len(seen), dtype=bool)
        if doubtful.any():
            other = seen[doubtful]
            slower, faster = (self._best_at(other, sign * OTHER_RATES) for sign in (-1.0, 1.0))
            found[doubtful] = slower > faster
        return found

    def _best_at(self, seen: Array, changes: Array) -> Array:
        """The best log-odds as the rate changes by some logarithms, shape (n,)."""
        changed = seen[None] + changes[:, None, None] * _RATE_COLUMNS
        log_odds = self.trains.log_odds(changed.reshape(-1, seen.shape[1])).reshape(len(changes), -1)
        return np.asarray(log_odds.max(axis=0))

    def adjust(self, seen: Array, outcomes: Sequence[Outcome]) -> Practice:
        """These models, shifted by finished trials, see ``Calibration.adjust``."""
        trained, known, good = split(outcomes)
        return Practice(
            self.trains.adjust(seen, trained),
            self.generalizes.adjust(seen[known], good[known]),
            self.expected,
            self.errors,
            self.support,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        models = {name: model_to_json(getattr(self, name)) for name in ("trains", "generalizes", "expected")}
        known = self.support
        numbers = {name: getattr(known, name).tolist() for name in ("depths", "low", "high")}
        support = {"trees": trees_to_json(known.trees), **numbers}
        return {"features": list(FEATURES), **models, "errors": self.errors.tolist(), "support": support}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Practice:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: If the values are not those of these models.
        """
        if tuple(values["features"]) != FEATURES:
            raise ValueError(f"practice: expected the features {FEATURES}, received {values['features']}")
        support = values["support"]
        depths = _numbers("support: depths", support["depths"], -1e6, 1e6)
        if np.any(np.diff(depths) < 0.0):
            raise ValueError("support: depths: expected increasing numbers")
        ends = [_numbers(f"support: {name}", support[name], -1e6, 1e6) for name in ("low", "high")]
        if any(len(end) != len(FEATURES) for end in ends):
            raise ValueError(f"support: low, high: expected {len(FEATURES)} numbers each")
        models = {
            name: model_from_json(name, values[name], len(FEATURES)) for name in ("trains", "generalizes", "expected")
        }
        return cls(
            **models,
            errors=_numbers("errors", values["errors"], 0.0, 1.0),
            support=Support(trees_from_json(support["trees"], len(FEATURES)), depths, *ends),
        )


_RATE_COLUMNS = np.array([float(name in RISING_WITH_RATE) for name in FEATURES])


def _numbers(name: str, values: Any, low: float, high: float) -> Array:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) < 2:
        raise ValueError(f"{name}: expected a list of at least 2 numbers")
    return np.array([require_real(name, value, low, high) for value in values])
