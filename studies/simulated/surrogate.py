"""A surrogate of the table of trainings: what a fully connected network would have reached, from its hyperparameters.

It is a Gaussian process (Matern 5/2, one length for each input, fitted by marginal likelihood) on raw hyperparameters
alone: activation, logarithm of the weight variance, root of the bias variance, logarithms of depth, width and relative
learning rate. Nothing that the prior computes about feasibility is among them, so a study simulated on it does not
favour the prior. The relative rate is the table's own column: the rate divided by the largest stable one.

It predicts the test accuracy at each evaluation, whether training diverges, and after how many steps. Behind its
divergence a training counts as chance. What the surrogate misses is kept: the residuals of a cross-validation in which
all trainings of a configuration are left out together. They hold the spread over initialisations and the surrogate's
own error, and a simulated observation is a prediction plus one of them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel
from sklearn.model_selection import GroupKFold

Array = NDArray[np.float64]

EVALUATIONS = (10, 30, 100, 300)
ACTIVATIONS = ("erf", "tanh", "relu", "gelu")
RELATIVE_RATES = (1e-3, 8.0)
"""Range of the table: below, a training is as at its end; above, it diverges."""

CHANCE = 0.1
FOLDS = 5
NEIGHBOURS = 60
"""Residuals that an observation is drawn from: those of the trainings with the closest predicted accuracy."""

_START = np.array([2.0, 2.0, 2.0, 2.0, 1.0, 0.5, 1.5, 2.0, 2.0])
"""Lengths that the fit starts from."""


class Trainings(NamedTuple):
    """Rows of the table.

    Attributes:
        inputs: Shape (n, 9), see ``encoded``.
        accuracy: Test accuracy at the evaluations, shape (n, 4).
        diverged: Steps until divergence, NaN where there was none, shape (n,).
        configuration: Rows of one configuration differ by their initialisation only, shape (n,).
    """

    inputs: Array
    accuracy: Array
    diverged: Array
    configuration: NDArray[np.object_]


class Predicted(NamedTuple):
    """Expected trainings.

    Attributes:
        accuracy: Best test accuracy until each evaluation, shape (n, 4); chance from a divergence on.
        steps: Steps that training takes, shape (n,), fewer than the last evaluation where it diverges.
        diverges: Shape (n,).
    """

    accuracy: Array
    steps: NDArray[np.int64]
    diverges: NDArray[np.bool_]


def encoded(
    activation: NDArray[np.str_],
    weight_variance: Array,
    bias_variance: Array,
    depth: Array,
    width: Array,
    relative_rate: Array,
) -> Array:
    """Columns as the surrogate takes them, shape (n, 9)."""
    rate = np.log(np.clip(relative_rate, *RELATIVE_RATES))
    one_hot = [np.asarray(activation) == name for name in ACTIVATIONS]
    numbers = [np.log(weight_variance), np.sqrt(bias_variance), np.log(depth), np.log(width), rate]
    return np.stack([*one_hot, *numbers], axis=1).astype(np.float64)


def trainings(table: pd.DataFrame) -> Trainings:
    """The fully connected networks of the table.

    Args:
        table: As ``trainings/table.py`` loads it.
    """
    rows = table[table["kind"] == "fcn"]
    at = rows["diverged_at"].where(rows["diverged"].astype(bool)).to_numpy(np.float64)
    accuracy = [
        np.where(at <= step, CHANCE, rows[f"test_accuracy_{step}"].fillna(CHANCE).to_numpy()) for step in EVALUATIONS
    ]
    names = ("weight_variance", "bias_variance", "depth", "width", "relative_rate")
    inputs = encoded(rows["activation"].to_numpy(str), *(rows[name].to_numpy(np.float64) for name in names))
    return Trainings(inputs, np.stack(accuracy, axis=1), at, rows["configuration"].to_numpy(object))


@dataclass(frozen=True)
class Process:
    """A fitted Gaussian process: inputs divided by their lengths, and one column of weights for each output."""

    lengths: Array
    noise: float
    known: Array
    mean: Array
    weights: Array

    @classmethod
    def fit(cls, lengths: Array, noise: float, inputs: Array, outputs: Array) -> Process:
        """Condition on outputs; ``noise`` is the ratio of the noise's variance to that of the signal."""
        known, mean = inputs / lengths, outputs.mean(axis=0)
        kernel = matern(known, known) + noise * np.eye(len(known))
        return cls(lengths, noise, known, mean, np.linalg.solve(kernel, outputs - mean))

    def __call__(self, inputs: Array) -> Array:
        """Expected outputs, shape (n, outputs)."""
        return self.mean + matern(inputs / self.lengths, self.known) @ self.weights


def matern(a: Array, b: Array) -> Array:
    """Matern 5/2 of unit length and variance, shape (len(a), len(b))."""
    square = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2.0 * a @ b.T
    r = np.sqrt(5.0 * np.maximum(square, 0.0))
    return (1.0 + r + r**2 / 3.0) * np.exp(-r)


def fitted_lengths(inputs: Array, outputs: Array) -> tuple[Array, float]:
    """Lengths and relative noise that maximise the marginal likelihood of all outputs together."""
    spread = np.std(outputs, axis=0)
    scaled = (outputs - outputs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    kernel = Matern(_START, (0.1, 30.0), nu=2.5) + WhiteKernel(0.1, (1e-3, 10.0))
    with warnings.catch_warnings():
        # A length at its bound says that the input does not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GaussianProcessRegressor(kernel).fit(inputs, scaled).kernel_
    return np.asarray(found.k1.length_scale), float(found.k2.noise_level)


@dataclass(frozen=True)
class Surrogate:
    """Predicts trainings.

    Attributes:
        course: Inputs to the accuracies at the evaluations and the probability of divergence.
        end: Inputs to the logarithm of the steps until divergence.
        levels: Predicted best accuracies of the rows that did not diverge, in cross-validation, increasing.
        residuals: Observed less predicted best accuracies until each evaluation of the same rows.
        held_out: Best accuracy at the end and divergence of all rows, predicted in cross-validation.
    """

    course: Process
    end: Process
    levels: Array
    residuals: Array
    held_out: Predicted

    @classmethod
    def fit(cls, rows: Trainings) -> Surrogate:
        """Fit, and cross-validate with the same lengths."""
        outputs = np.column_stack([rows.accuracy, np.isfinite(rows.diverged)])
        lengths = fitted_lengths(rows.inputs, outputs)

        def fitted(chosen: NDArray[np.int64]) -> tuple[Process, Process]:
            late = chosen[np.isfinite(rows.diverged[chosen])]
            course = Process.fit(*lengths, rows.inputs[chosen], outputs[chosen])
            return course, Process.fit(*lengths, rows.inputs[late], np.log(rows.diverged[late])[:, None])

        n = len(rows.inputs)
        parts: list[tuple[NDArray[np.int64], Predicted]] = []
        for train, test in GroupKFold(FOLDS).split(rows.inputs, groups=rows.configuration):
            parts.append((test, _predict(*fitted(train), rows.inputs[test])))
        order = np.argsort(np.concatenate([test for test, _ in parts]))
        held_out = Predicted(
            *(np.concatenate([getattr(part, name) for _, part in parts])[order] for name in Predicted._fields)
        )
        fine = np.isnan(rows.diverged) & ~held_out.diverges
        residuals = np.maximum.accumulate(rows.accuracy[fine], axis=1) - held_out.accuracy[fine]
        by_level = np.argsort(held_out.accuracy[fine, -1])
        return cls(*fitted(np.arange(n)), held_out.accuracy[fine, -1][by_level], residuals[by_level], held_out)

    def __call__(self, inputs: Array, relative_rate: Array) -> Predicted:
        """Expected trainings of encoded rows; a rate above the table's range diverges."""
        return _predict(self.course, self.end, inputs, relative_rate > RELATIVE_RATES[1])

    def residual(self, level: float, rng: np.random.Generator) -> Array:
        """Observed less expected accuracies of some training whose predicted accuracy is close, shape (4,)."""
        middle = int(np.searchsorted(self.levels, level))
        low = max(min(middle - NEIGHBOURS // 2, len(self.levels) - NEIGHBOURS), 0)
        return self.residuals[int(rng.integers(low, min(low + NEIGHBOURS, len(self.levels))))]


def _predict(course: Process, end: Process, inputs: Array, diverges: NDArray[np.bool_] | bool = False) -> Predicted:
    found = course(inputs)
    diverging = (found[:, -1] > 0.5) | diverges
    last = EVALUATIONS[-1]
    ended = np.clip(np.rint(np.exp(np.minimum(end(inputs)[:, 0], 10.0))), 1, last - 1).astype(np.int64)
    steps = np.where(diverging, ended, last)
    over = np.array(EVALUATIONS) > steps[:, None]
    accuracy = np.maximum.accumulate(np.clip(np.where(over, 0.0, found[:, :-1]), CHANCE, 1.0), axis=1)
    return Predicted(accuracy, steps, diverging)


def errors(surrogate: Surrogate, rows: Trainings) -> dict[str, float]:
    """Cross-validated errors, all trainings of a configuration left out together.

    Returns:
        ``rows``; ``rmse`` and ``r2`` of the best accuracy; ``divergence``, the share of rows that wrongly diverge or
        do not; ``seed_sd``, how far the best accuracies of one configuration's initialisations spread.
    """
    best = np.max(rows.accuracy, axis=1)
    error = surrogate.held_out.accuracy[:, -1] - best
    repeated = pd.Series(best).groupby(rows.configuration).var().dropna()
    return {
        "rows": len(best),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "r2": float(1.0 - np.mean(error**2) / np.var(best)),
        "divergence": float(np.mean(surrogate.held_out.diverges != np.isfinite(rows.diverged))),
        "seed_sd": float(np.sqrt(repeated.mean())) if len(repeated) else float("nan"),
    }
