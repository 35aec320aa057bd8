"""Training with a fixed kernel: what gradient descent reaches on real inputs after so many steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior._types import Array
from ntk_prior.checks import require_real, shown
from ntk_prior.theory.measured import RESOLUTION, checked_kernel


class LearningCurve(NamedTuple):
    """What kernel gradient descent reaches; all arrays have shape (len(steps),).

    Attributes:
        steps: Optimiser steps.
        train_accuracy: Share of training inputs whose largest output is their label's.
        test_accuracy: The same on the held-out inputs.
        mean_predictor: Regression coefficient of the held-out predictions on their centred labels: how much of
            P(Theta) Y is left.
    """

    steps: Array
    train_accuracy: Array
    test_accuracy: Array
    mean_predictor: Array


def learning_curve(
    kernel: NDArray[np.floating[Any]],
    kernel_test: NDArray[np.floating[Any]],
    y: ArrayLike,
    y_test: ArrayLike,
    steps: ArrayLike,
    learning_rate: float | None = None,
) -> LearningCurve:
    """Gradient descent with a fixed kernel from zero outputs, on centred one-hot labels.

    Args:
        kernel: Theta on the training inputs, shape (m, m).
        kernel_test: Theta between held-out and training inputs, shape (n, m).
        y: Training labels, shape (m,).
        y_test: Held-out labels, shape (n,), each among ``y``.
        steps: Numbers of steps, shape (s,), all >= 0.
        learning_rate: For the mean loss over samples, as in ``Budget``; m / lambda_max by default.

    Raises:
        ValueError: If shapes or labels disagree, or a number lies outside its range.

    Example:
        >>> import numpy as np
        >>> import ntk_prior as ntp
        >>> x = np.random.default_rng(0).normal(size=(90, 5))
        >>> y, kernel = x[:, 0] > 0, x @ x.T + np.eye(90)
        >>> curve = ntp.learning_curve(kernel[:60, :60], kernel[60:, :60], y[:60], y[60:], steps=[1, 100])
        >>> curve.test_accuracy.round(2)
        array([0.9 , 0.93])
    """
    theta, labels = checked_kernel(kernel, y)
    test, unseen = np.asarray(kernel_test, dtype=np.float64), np.asarray(y_test)
    m = len(theta)
    if test.ndim != 2 or test.shape != (len(unseen), m) or not len(unseen):
        raise ValueError(
            f"kernel_test: expected shape ({len(unseen)}, {m}), held-out by training inputs, received {test.shape}"
        )
    classes = np.unique(labels)
    if not np.all(np.isin(unseen, classes)):
        raise ValueError(f"y_test: expected labels among {classes!r}, received {shown(np.unique(unseen))}")
    counts = np.asarray(steps, dtype=np.float64)
    if counts.ndim != 1 or not np.all(counts >= 0):
        raise ValueError(f"steps: expected a list of numbers >= 0, received {shown(steps)}")
    values, vectors = np.linalg.eigh(theta)
    top = max(float(values[-1]), RESOLUTION * float(np.trace(theta)))
    rate = 1.0 / top if learning_rate is None else require_real("learning_rate", learning_rate, 0.0, 1e300) / m
    factors = 1.0 - rate * np.maximum(values, 0.0)
    targets = (labels[:, None] == classes).astype(float)
    mean = targets.mean(axis=0)
    along = vectors.T @ (targets - mean)
    wanted = (unseen[:, None] == classes) - mean
    rows = []
    for count in counts:
        learnt = 1.0 - _power(factors, count)
        # Per unit of Theta; modes without any learn nothing and reach no other input.
        weights = np.divide(learnt, values, out=np.zeros(m), where=values > RESOLUTION * top)
        train, held_out = vectors @ (learnt[:, None] * along), test @ (vectors @ (weights[:, None] * along))
        rows.append(
            (
                np.mean(classes[np.argmax(train + mean, axis=1)] == labels),
                np.mean(classes[np.argmax(held_out + mean, axis=1)] == unseen),
                np.sum(held_out * wanted) / np.sum(wanted**2),
            )
        )
    return LearningCurve(counts, *np.array(rows).reshape(-1, 3).T)


def _power(factors: Array, count: float) -> Array:
    """``factors`` to a power; beyond the stable rate they grow, and are kept finite."""
    size = np.exp(np.minimum(count * np.log(np.maximum(np.abs(factors), 1e-300)), 300.0))
    return np.asarray(np.where((factors < 0) & (count % 2 == 1), -size, size))
