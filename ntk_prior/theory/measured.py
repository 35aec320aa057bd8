"""The spectrum of a kernel that was computed on real inputs, for any network.

The kernel is Theta(x_a, x_b), averaged over outputs: gradient flow on half the squared error, summed over outputs,
contracts the residuals on all training inputs by exp(-Theta t).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.checks import shown
from ntk_prior.task.hadamard import centred, label_energy
from ntk_prior.theory.mean_field import MeanField, mean_field
from ntk_prior.theory.spectrum import saturated

RESOLUTION = 1e-15
"""Smallest eigenvalue, relative to the trace, that a kernel in float64 can tell from zero."""


class MeasuredSpectrum(NamedTuple):
    """Spectrum of a kernel on real inputs; the names that ``Spectrum`` has mean the same.

    Attributes:
        phase, q_star, c_star, chi_1, chi_c, xi_1, xi_star: Infinite-depth limits, see ``mean_field.MeanField``; None
            where no ``Architecture`` was given.
        lambda_max: Largest eigenvalue of the (n_train, n_train) kernel.
        lambda_bulk: Median eigenvalue of the centred kernel.
        kappa: lambda_max / lambda_bulk.
        mean_predictor: Share of the centred class means that kernel regression carries to test points,
            s / (s + lambda_bulk) with s = (m / k) (Theta_in - Theta_out).
        max_rate_of_summed_loss: 2 / lambda_max, for the loss summed over samples.
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
    max_rate_of_summed_loss: float
    eigenvalues: Array
    counts: Array
    log_lambda_max: float
    log_lambda_bulk: float
    energy: Array
    diagonal: float
    alignment: float
    n_classes: int
    n_parameters: int | None


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

    Example:
        >>> import numpy as np
        >>> import ntk_prior as ntp
        >>> x = np.random.default_rng(0).normal(size=(60, 5))
        >>> found = ntp.measured_spectrum(x @ x.T + np.eye(60), x[:, 0] > 0)
        >>> found.n_classes, f"{found.kappa:.0f}"
        (2, '92')
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
    limits = mean_field(architecture) if architecture is not None else MeanField.unknown()
    return MeasuredSpectrum(
        *limits,
        lambda_max=saturated(log_max),
        lambda_bulk=saturated(log_bulk),
        kappa=saturated(log_max - log_bulk),
        mean_predictor=signal / (signal + math.exp(log_bulk)),
        max_rate_of_summed_loss=saturated(math.log(2.0) - log_max),
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
