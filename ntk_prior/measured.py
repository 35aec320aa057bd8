"""The spectrum of a kernel that was computed on real inputs, for any network, and what training with it reaches.

The kernel is Theta(x_a, x_b), averaged over outputs: gradient flow on half the squared error, summed over outputs,
contracts the residuals on all training inputs by exp(-Theta t).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior.activations import dual
from ntk_prior.architecture import Architecture, require_integer, require_real, shown
from ntk_prior.budget import Budget
from ntk_prior.judge import ANY_NETWORK, Run, Sides, encode, judge_modes, plain_values, run_of, stage_of
from ntk_prior.meanfield import MeanField, mean_field
from ntk_prior.sketch import carried_modes, centred, label_energy
from ntk_prior.spectrum import LARGEST, modes, saturated, view_name
from ntk_prior.task import Task

Array = NDArray[np.float64]

RESOLUTION = 1e-15
"""Smallest eigenvalue, relative to the trace, that a kernel in float64 can tell from zero."""


class MeasuredSpectrum(NamedTuple):
    """Spectrum of a kernel on real inputs; the names that ``Spectrum`` has mean the same.

    Attributes:
        phase, q_star, c_star, chi_1, chi_c, xi_1, xi_star: Infinite-depth limits, see ``meanfield.MeanField``; None
            where no ``Architecture`` was given.
        lambda_max: Largest eigenvalue of the (n_train, n_train) kernel.
        lambda_bulk: Median eigenvalue of the centred kernel.
        kappa: lambda_max / lambda_bulk.
        mean_predictor: Share of the centred class means that kernel regression carries to test points,
            s / (s + lambda_bulk) with s = (m / k) (Theta_in - Theta_out).
        max_learning_rate: 2 / lambda_max, for the loss summed over samples.
        eigenvalues: Of the centred kernel, leading first, shape (n_train,), all > 0.
        counts: Ones, shape (n_train,).
        log_lambda_max, log_lambda_bulk: Natural logarithms.
        energy: Share of the centred labels' energy along each eigenvector, shape (n_train,), summing to 1.
        diagonal: Mean of the kernel's diagonal.
        alignment: Cosine between the centred kernel and that of the labels (Cortes, Mohri and Rostamizadeh,
            arXiv 1203.0550, definition 4), in [-1, 1].
        n_classes: Classes among the labels.
        n_parameters: Trainable numbers of the network, or None if unknown; only Adam's verdict needs them.
    """

    phase: str | None
    q_star: float | None
    c_star: float | None
    chi_1: float | None
    chi_c: float | None
    xi_1: float | None
    xi_star: float | None
    lambda_max: float
    lambda_bulk: float
    kappa: float
    mean_predictor: float
    max_learning_rate: float
    eigenvalues: Array
    counts: Array
    log_lambda_max: float
    log_lambda_bulk: float
    energy: Array
    diagonal: float
    alignment: float
    n_classes: int
    n_parameters: int | None


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


def measured_spectrum(
    kernel: NDArray[np.floating[Any]],
    y: ArrayLike,
    *,
    architecture: Architecture | None = None,
    n_parameters: int | None = None,
) -> MeasuredSpectrum:
    """Spectrum of a neural tangent kernel on training inputs.

    Args:
        kernel: Theta(x_a, x_b), averaged over outputs, symmetric, shape (m, m).
        y: Class labels, shape (m,).
        architecture: The network, for its infinite-depth limits.
        n_parameters: Its trainable numbers, which Adam's verdict needs.

    Raises:
        ValueError: If shapes disagree, the kernel is not finite, symmetric and non-zero, or there are fewer than two
            samples or classes.
    """
    theta, labels = checked_kernel(kernel, y)
    m, n_classes = len(theta), len(np.unique(labels))
    values, vectors = np.linalg.eigh(centred(theta))
    floor = RESOLUTION * float(np.trace(theta))
    eigenvalues = np.maximum(values[::-1], floor)
    log_max = math.log(max(float(np.linalg.eigvalsh(theta)[-1]), floor))
    log_bulk = math.log(eigenvalues[np.searchsorted(np.arange(1, m + 1), m / 2)])
    same = labels[:, None] == labels
    apart = ~np.eye(m, dtype=bool)
    inside, outside = theta[same & apart], theta[~same]
    signal = max(float(inside.mean() - outside.mean()), 0.0) * m / n_classes if inside.size else 0.0
    limits = mean_field(architecture) if architecture is not None else MeanField(*[None] * 7)
    return MeasuredSpectrum(
        *limits,
        lambda_max=saturated(log_max),
        lambda_bulk=saturated(log_bulk),
        kappa=saturated(log_max - log_bulk),
        mean_predictor=signal / (signal + math.exp(log_bulk)),
        max_learning_rate=saturated(math.log(2.0) - log_max),
        eigenvalues=eigenvalues,
        counts=np.ones(m),
        log_lambda_max=log_max,
        log_lambda_bulk=log_bulk,
        energy=label_energy(vectors[:, ::-1], labels),
        diagonal=float(np.mean(np.diagonal(theta))),
        alignment=_alignment(centred(theta), centred(same.astype(float))),
        n_classes=n_classes,
        n_parameters=n_parameters,
    )


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


def measured_sides(
    spectrum: MeasuredSpectrum, task: Task, budget: Budget, architecture: Architecture | None = None
) -> Sides:
    """Both sides of feasibility from a measured spectrum, carried to the task's number of samples.

    Args:
        spectrum: The kernel's. Of an infinitely wide network in the NTK parametrization where ``architecture`` is
            given; else of the very network that is to be trained, in its own parametrization.
        task: Summary of the data; gives the number of samples and the best R^2.
        budget: The training run.
        architecture: The network, whose width then counts as in ``feasibility``.

    Raises:
        ValueError: If classes disagree, or Adam's verdict lacks the number of parameters.
    """
    if spectrum.n_classes != task.n_classes:
        raise ValueError(f"task: expected {spectrum.n_classes} classes, as the spectrum has, received {task.n_classes}")
    measured, n = len(spectrum.eigenvalues), require_integer("n_train", task.n_train, 2, 10**7)
    unit = float(np.mean(spectrum.eigenvalues))
    lam, energy, counts = carried_modes(spectrum.eigenvalues / unit, spectrum.energy, n)
    log_max = spectrum.log_lambda_max + math.log(max(n / measured, 1e-300))
    log_own = math.log(spectrum.diagonal)
    if architecture is None:
        run, best = run_of_own_kernel(spectrum, task, budget), max(stage_of(task, view)[1] for view in task.views)
    else:
        code, slope, table = dual(architecture.activation, architecture.slope)
        row = encode({**plain_values(architecture, budget), "code": code, "slope": slope})[0]
        stage, best = stage_of(task, view_name(architecture))
        run = run_of(row, table, stage)
    lam = np.maximum(np.ascontiguousarray(lam), math.exp(-LARGEST))
    return Sides(*judge_modes(math.log(unit), log_max, log_own, lam, run, modes(counts, energy), best))


def run_of_own_kernel(spectrum: MeasuredSpectrum, task: Task, budget: Budget) -> Run:
    """A training of the very network whose kernel was measured: its width has nothing left to add.

    Raises:
        ValueError: If Adam's verdict lacks the number of parameters.
    """
    m, k = float(task.n_train), task.n_classes
    curvature = 1.0 / k if budget.loss == "cross_entropy" else 1.0
    reach = -1.0
    if budget.optimizer == "adam":
        reach = 1e300
        if budget.learning_rate is not None:
            if spectrum.n_parameters is None:
                raise ValueError("n_parameters: expected a number for optimizer='adam', received None")
            path = (budget.learning_rate * budget.steps) ** 2 * spectrum.n_parameters
            reach = min(path / (m * (1.0 - 1.0 / k)), 1e300)
    elsewhere = budget.loss == "cross_entropy" or budget.parametrization == "standard" or (budget.batch_size or m) < m
    return Run(
        rate=(budget.learning_rate or 0.0) * curvature / m,
        time=budget.steps / (1.0 - budget.momentum) / curvature,
        limit=2.0 * (1.0 + budget.momentum),
        trains_up_to=ANY_NETWORK if elsewhere else 1.0,
        sample_share=1.0 / min(budget.batch_size, m) if budget.batch_size else 0.0,
        slow=0.0,
        noise=0.0,
        reach=reach,
    )


def checked_kernel(kernel: ArrayLike, y: ArrayLike) -> tuple[Array, NDArray[np.generic]]:
    """A kernel on training inputs and their labels.

    Raises:
        ValueError: If they are none.
    """
    theta, labels = np.asarray(kernel, dtype=np.float64), np.asarray(y)
    if theta.ndim != 2 or theta.shape[0] != theta.shape[1] or len(theta) < 2:
        raise ValueError(f"kernel: expected shape (m, m) with m >= 2, received {theta.shape}")
    if labels.shape != theta.shape[:1]:
        raise ValueError(f"y: expected one label for each of the {len(theta)} inputs, received shape {labels.shape}")
    if not np.all(np.isfinite(theta)):
        raise ValueError("kernel: expected finite numbers, received NaN or infinity")
    scale = float(np.max(np.abs(theta)))
    if scale == 0.0 or np.max(np.abs(theta - theta.T)) > 1e-4 * scale:
        raise ValueError("kernel: expected a symmetric matrix other than zero")
    if len(np.unique(labels)) < 2:
        raise ValueError(f"y: expected at least 2 classes, received only {shown(np.unique(labels))}")
    return (theta + theta.T) / 2, labels


def _alignment(kernel: Array, labels: Array) -> float:
    norm = float(np.linalg.norm(kernel) * np.linalg.norm(labels))
    return float(np.sum(kernel * labels)) / norm if norm > 0.0 else 0.0


def _power(factors: Array, count: float) -> Array:
    """``factors`` to a power; beyond the stable rate they grow, and are kept finite."""
    size = np.exp(np.minimum(count * np.log(np.maximum(np.abs(factors), 1e-300)), 300.0))
    return np.asarray(np.where((factors < 0) & (count % 2 == 1), -size, size))
