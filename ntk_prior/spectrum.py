"""The spectrum of the training kernel of one task, from its summary and the finite-depth recursion."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ntk_prior.activations import ACTIVATIONS, is_known
from ntk_prior.architecture import Architecture
from ntk_prior.compiled import entry, inner
from ntk_prior.meanfield import Phase, mean_field
from ntk_prior.ntk import layers, propagate, scratch
from ntk_prior.task import Task, View, ViewName

_FLOOR = 1e-6
"""Smallest eigenvalue, in units of the mean gap, that the cubic fit may produce."""

LARGEST = 700.0
"""Natural logarithms are clipped to this before they are exponentiated, so that reported numbers stay finite."""


class Scene(NamedTuple):
    """A task's view as compiled code reads it; see ``View`` for the arrays."""

    cosines: np.ndarray
    group: int
    spreads: np.ndarray
    variances: np.ndarray
    fit: np.ndarray
    across: np.ndarray
    same_class: np.ndarray
    other_class: np.ndarray
    within: np.ndarray
    eigenvalues: np.ndarray
    counts: np.ndarray
    energy: np.ndarray
    diagonals: np.ndarray
    uniform: np.ndarray
    leading: np.ndarray
    self_share: float
    middle: int
    n_train: int
    n_classes: int


class Spectrum(NamedTuple):
    """NTK spectrum at initialisation, infinite width, inputs with |x|^2 / n_0 = 1.

    Attributes:
        phase, q_star, c_star, chi_1, chi_c, xi_1, xi_star: Infinite-depth limits, see ``meanfield.MeanField``.
        lambda_max: Largest eigenvalue of the (n_train, n_train) kernel.
        lambda_bulk: Its median eigenvalue.
        kappa: lambda_max / lambda_bulk.
        mean_predictor: Share of the centred class means that kernel regression carries to test points,
            s / (s + lambda_bulk) with s = (m / k) (Theta_in - Theta_out) for k classes of m / k samples.
        max_learning_rate: 2 / lambda_max, for the loss summed over samples. ``feasibility`` converts it to the
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
    max_learning_rate: float
    eigenvalues: np.ndarray
    counts: np.ndarray
    log_lambda_max: float
    log_lambda_bulk: float


def view_name(architecture: Architecture) -> ViewName:
    """Which of a task's views an architecture sees."""
    if architecture.kind == "fcn":
        return "fcn"
    return "cnn_pooled" if architecture.pooling else "cnn"


def scene(view: View, n_train: int, n_classes: int) -> Scene:
    """Prepare a view for compiled code."""
    summary = view.sketch
    contiguous = np.ascontiguousarray
    return Scene(
        cosines=contiguous(view.cosines),
        group=view.group,
        spreads=contiguous(view.spreads),
        variances=contiguous(view.variances),
        fit=contiguous(view.fit),
        across=contiguous(view.across),
        same_class=contiguous(view.same_class),
        other_class=contiguous(view.other_class),
        within=contiguous(view.within),
        eigenvalues=contiguous(summary.eigenvalues),
        counts=contiguous(summary.counts),
        energy=contiguous(summary.energy),
        diagonals=contiguous(summary.diagonals),
        uniform=contiguous(summary.uniform),
        leading=contiguous(summary.leading),
        self_share=1.0 - float(view.within.sum()),
        middle=int(np.searchsorted(np.cumsum(summary.counts), summary.counts.sum() / 2)),
        n_train=n_train,
        n_classes=n_classes,
    )


def spectrum(architecture: Architecture, task: Task) -> Spectrum:
    """NTK spectrum of an architecture on a task, by the finite-depth recursion, with its infinite-depth limits.

    Args:
        architecture: The network.
        task: The task's summary.

    Raises:
        ValueError: If the theory does not cover the architecture, or the task has no view for its kind.
    """
    reason = why_outside(architecture, task)
    if reason:
        raise ValueError(reason)
    stage = scene(task.views[view_name(architecture)], task.n_train, task.n_classes)
    lam, fit = np.empty(stage.counts.size), np.empty(stage.fit.shape[0])
    log_gap, log_max, _, signal = eigenvalues(layers(architecture), stage, scratch(stage.cosines.size), lam, fit)
    log_bulk = log_gap + math.log(lam[stage.middle])
    return Spectrum(
        *mean_field(architecture),
        lambda_max=saturated(log_max),
        lambda_bulk=saturated(log_bulk),
        kappa=saturated(log_max - log_bulk),
        mean_predictor=signal / (signal + lam[stage.middle]),
        max_learning_rate=saturated(math.log(2.0) - log_max),
        eigenvalues=np.exp(np.clip(log_gap + np.log(lam), -LARGEST, LARGEST)),
        counts=stage.counts,
        log_lambda_max=log_max,
        log_lambda_bulk=log_bulk,
    )


def why_outside(architecture: Architecture, task: Task) -> str | None:
    """Why the theory is silent about an architecture, or None where it speaks."""
    if not is_known(architecture.activation):
        known = ", ".join(ACTIVATIONS)
        return f"activation {architecture.activation!r} has no known dual; known: {known}, or a callable"
    if architecture.normalization == "batch":
        return "batch normalization couples the samples, which this kernel does not describe"
    if view_name(architecture) not in task.views:
        return f"the task summary has no image structure, which kind={architecture.kind!r} needs"
    return None


def saturated(log: float) -> float:
    """exp(log), kept inside the range of float64."""
    return math.exp(min(max(log, -LARGEST), LARGEST))


@entry
def eigenvalues(net, stage, nodes, lam, fit):  # type: ignore[no-untyped-def]
    """Spectrum of the centred kernel, in units of exp(log_gap).

    Args:
        net: ``ntk.Layers``.
        stage: ``Scene``.
        nodes: ``ntk.Scratch``.
        lam: Out: the eigenvalue of each group, all > 0, shape (groups,).
        fit: Scratch, the polynomial's coefficients, shape (powers + 1,).

    Returns:
        log_gap; the logarithms of lambda_max and of the kernel's diagonal; and (m / k) (Theta_in - Theta_out) in units
        of exp(log_gap), >= 0.
    """
    log_scale, diagonal, log_gap, _ = propagate(net, stage.cosines, stage.group, stage.spreads, stage.variances, nodes)
    gaps = nodes.gaps
    across = within = same = other = 0.0
    for j in range(gaps.size):
        across += stage.across[j] * gaps[j]
        within += stage.within[j] * gaps[j]
        same += stage.same_class[j] * gaps[j]
        other += stage.other_class[j] * gaps[j]
    # gap(c) ~ sum_k f_k c^k, so the kernel's own coefficients are -f_k for k > 0.
    degree = stage.eigenvalues.shape[0]
    nugget = shift = 0.0
    for k in range(degree + 1):
        f = 0.0
        for j in range(gaps.size):
            f += stage.fit[k, j] * gaps[j]
        nugget += f
        fit[k] = f
    # What a pixel has in common with itself alone, beyond the polynomial; pooling dilutes it.
    nugget *= stage.self_share
    mean_gap = max(across - within, _FLOOR * across) + 1e-300
    top = 0.0
    for i in range(lam.size):
        value = nugget
        for k in range(degree):
            value -= fit[k + 1] * stage.eigenvalues[k, i]
        lam[i] = max(value, _FLOOR * mean_gap)
        top = max(top, lam[i])
    for k in range(degree):
        shift -= fit[k + 1] * stage.diagonals[k]
    share = math.exp(log_gap - log_scale)
    m = stage.n_train
    own = diagonal - share * within
    ritz = m * _ritz(diagonal - share * fit[0], share, fit, stage.uniform, stage.leading) + share * (nugget + shift)
    uniform = m * own - (m - 1) * share * mean_gap
    signal = max(other - same, 0.0) * m / stage.n_classes
    log_max = log_scale + math.log(max(ritz, uniform, share * top, 1e-300))
    return log_gap, log_max, log_scale + math.log(max(own, 1e-300)), signal


@inner
def _ritz(constant, share, fit, uniform, leading):  # type: ignore[no-untyped-def]
    """Largest Rayleigh quotient, per sample, of the kernel on the span of the uniform and the powers' leading vectors.

    The kernel there is constant 1 1^T - share sum_k f_k M_k; twelve steps of the power method, from the uniform vector.
    """
    size = uniform.size
    matrix, vector, image = np.empty((size, size)), np.empty(size), np.empty(size)
    for a in range(size):
        vector[a] = uniform[a] + 1e-3
        for b in range(size):
            value = constant * uniform[a] * uniform[b]
            for k in range(leading.shape[0]):
                value -= share * fit[k + 1] * leading[k, a, b]
            matrix[a, b] = value
    quotient = 0.0
    for _ in range(12):
        norm = overlap = length = 0.0
        for a in range(size):
            total = 0.0
            for b in range(size):
                total += matrix[a, b] * vector[b]
            image[a] = total
            overlap += total * vector[a]
            length += vector[a] * vector[a]
            norm = max(norm, abs(total))
        quotient = overlap / length if length > 0.0 else 0.0
        for a in range(size):
            vector[a] = image[a] / norm if norm > 0.0 else 0.0
    return quotient
