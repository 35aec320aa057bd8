"""The spectrum of the training kernel of one task, from its summary and the finite-depth recursion."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ntk_prior.architecture import Architecture
from ntk_prior.checks import require_instance
from ntk_prior.task.task import Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.coverage import why_outside
from ntk_prior.theory.eigenvalues import eigenvalues
from ntk_prior.theory.layers import layers
from ntk_prior.theory.mean_field import Phase, mean_field
from ntk_prior.theory.recursion import propagate
from ntk_prior.theory.task_arrays import arrays_of, workspace

LARGEST = 700.0
"""Natural logarithms are clipped to this before they are exponentiated, so that reported numbers stay finite."""


class Spectrum(NamedTuple):
    """NTK spectrum at initialisation, infinite width, inputs with |x|^2 / n_0 = 1.

    Attributes:
        phase, q_star, c_star, chi_1, chi_c, xi_1, xi_star: Infinite-depth limits, see ``mean_field.MeanField``.
        lambda_max: Largest eigenvalue of the (n_train, n_train) kernel.
        lambda_bulk: Its median eigenvalue.
        kappa: lambda_max / lambda_bulk.
        mean_predictor: Share of the centred class means that kernel regression carries to test points,
            s / (s + lambda_bulk) with s = (m / k) (Theta_in - Theta_out) for k classes of m / k samples.
        max_rate_of_summed_loss: 2 / lambda_max, for the loss summed over samples. ``feasibility`` converts it to the
            budget's convention.
        eigenvalues: The spectrum of the centred kernel, in groups, leading first.
        counts: Eigenvalues in each group.
        log_lambda_max, log_lambda_bulk: Natural logarithms; the numbers above saturate at exp(+-700).
    """

    phase: Phase | None
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
    eigenvalues: np.ndarray
    counts: np.ndarray
    log_lambda_max: float
    log_lambda_bulk: float


def spectrum(architecture: Architecture, task: Task) -> Spectrum:
    """NTK spectrum of an architecture on a task, by the finite-depth recursion, with its infinite-depth limits.

    Args:
        architecture: The network.
        task: The task's summary.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the theory does not cover the architecture, or the task has no view for its kind.

    Example:
        >>> import ntk_prior as ntp
        >>> found = ntp.spectrum(ntp.Architecture(1.5, 0.05, 16), ntp.Task.cifar10(1_000))
        >>> found.phase, f"{found.xi_star:.1f} layers", f"{found.kappa:.0f}"
        ('chaotic', '15.4 layers', '254')
    """
    require_instance("architecture", architecture, Architecture)
    require_instance("task", task, Task)
    reason = why_outside(architecture, task)
    if reason:
        raise ValueError(reason)
    arrays = arrays_of(task, view_name(architecture))
    work = workspace(arrays)
    lam = work.lam
    log_scale, diagonal, log_gap, _ = propagate(
        layers(architecture), arrays.cosines, arrays.group, arrays.spreads, arrays.variances, work.nodes
    )
    log_max, _, signal = eigenvalues(log_scale, diagonal, log_gap, arrays, work)
    if not (math.isfinite(log_gap) and math.isfinite(log_max) and np.all(np.isfinite(lam))):
        # Dropout that keeps next to nothing: the diagonal is beyond all numbers, and what inputs share is lost in it.
        log_max, log_gap, signal = LARGEST, -LARGEST, 0.0
        lam[:] = 1.0
    log_bulk = log_gap + math.log(lam[arrays.modes.middle])
    return Spectrum(
        *mean_field(architecture),
        lambda_max=saturated(log_max),
        lambda_bulk=saturated(log_bulk),
        kappa=saturated(log_max - log_bulk),
        mean_predictor=signal / (signal + lam[arrays.modes.middle]),
        max_rate_of_summed_loss=saturated(math.log(2.0) - log_max),
        eigenvalues=np.exp(np.clip(log_gap + np.log(lam), -LARGEST, LARGEST)),
        counts=arrays.modes.counts,
        log_lambda_max=log_max,
        log_lambda_bulk=log_bulk,
    )


def saturated(log: float) -> float:
    """exp(log), kept inside the range of float64."""
    return math.exp(min(max(log, -LARGEST), LARGEST))
