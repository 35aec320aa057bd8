"""The exact spectrum of an infinitely wide network on real inputs."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ntk_prior.architecture import Architecture
from ntk_prior.exact.infinite_width import MEMORY_LIMIT, SECONDS_LIMIT, kernel
from ntk_prior.theory.measured import MeasuredSpectrum, measured_spectrum
from ntk_prior.theory.regression import LearningCurve, learning_curve


def spectrum(
    architecture: Architecture,
    x: ArrayLike,
    y: ArrayLike,
    *,
    memory_limit: int = MEMORY_LIMIT,
    seconds_limit: float = SECONDS_LIMIT,
) -> MeasuredSpectrum:
    """Spectrum of the infinite-width NTK on training inputs, with the names of ``ntk_prior.theory.task_arrays``.

    Args:
        architecture: The network.
        x: Training inputs, shape (m, features) or (m, height, width, channels), each scaled to |x|^2 / n_0 = 1.
        y: Class labels, shape (m,).
        memory_limit: Bytes that may be needed.
        seconds_limit: Seconds that it may take, estimated.

    Raises:
        ImportError: If neural-tangents cannot be used.
        ValueError: As ``exact.kernel`` and ``measured_spectrum``.

    Example:
        >>> import numpy as np
        >>> import ntk_prior as ntp
        >>> from ntk_prior import exact
        >>> x = np.random.default_rng(0).normal(size=(40, 6))
        >>> found = exact.spectrum(ntp.Architecture(1.5, 0.1, 3), x, x[:, 0] > 0)
        >>> len(found.eigenvalues), found.phase
        (40, 'ordered')
    """
    ntk = kernel(architecture, x, memory_limit=memory_limit, seconds_limit=seconds_limit).ntk
    return measured_spectrum(ntk, y, architecture=architecture)


def regression(
    architecture: Architecture,
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike,
    y_test: ArrayLike,
    steps: ArrayLike,
    learning_rate: float | None = None,
) -> LearningCurve:
    """Accuracy of the infinitely wide network on training and held-out inputs after some steps of gradient descent.

    Args:
        architecture: The network.
        x, y: Training inputs and class labels.
        x_test, y_test: Held-out ones.
        steps: Numbers of steps, shape (s,).
        learning_rate: For the mean loss over samples; m / lambda_max by default.

    Raises:
        ImportError: If neural-tangents cannot be used.
        ValueError: As ``exact.kernel`` and ``learning_curve``.

    Example:
        >>> import numpy as np
        >>> import ntk_prior as ntp
        >>> from ntk_prior import exact
        >>> x = np.random.default_rng(0).normal(size=(60, 6))
        >>> y = x[:, 0] > 0
        >>> curve = exact.regression(ntp.Architecture(1.5, 0.1, 2), x[:40], y[:40], x[40:], y[40:], steps=[10, 1_000])
        >>> curve.train_accuracy.round(2)
        array([1., 1.])
    """
    train = kernel(architecture, x).ntk
    held_out = kernel(architecture, x_test, x).ntk
    return learning_curve(train, held_out, y, y_test, steps, learning_rate)
