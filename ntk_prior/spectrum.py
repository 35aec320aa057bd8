"""The spectrum of the training kernel of one task, from its summary and the finite-depth recursion."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ntk_prior.activations import is_known
from ntk_prior.architecture import ACTIVATIONS, Architecture, require_instance, shown
from ntk_prior.compiled import PER_CALL, PER_CONFIGURATION, entry_summing, inner_summing
from ntk_prior.meanfield import Phase, mean_field
from ntk_prior.ntk import Scratch, layers, propagate, scratch
from ntk_prior.sketch import Fits
from ntk_prior.task import Task
from ntk_prior.views import ViewName

_FLOOR = 1e-6
"""Smallest eigenvalue, in units of the mean gap, that a polynomial fit may produce."""

_SETTLED = 1e-5
"""Relative change of a Rayleigh quotient, whose error is quadratic in that of its vector, at which it is final."""

LARGEST = 700.0
"""Natural logarithms are clipped to this before they are exponentiated, so that reported numbers stay finite."""


class Modes(NamedTuple):
    """Eigenmodes of a centred kernel in groups, leading first, and where the labels lie in them.

    Attributes:
        counts: Modes in each group, shape (groups,), summing to the number of training samples.
        energy: Share of the centred labels' energy in each group, shape (groups,), summing to 1.
        middle: The group that holds the median eigenvalue.
    """

    counts: np.ndarray
    energy: np.ndarray
    middle: int


class Scene(NamedTuple):
    """A task's view as compiled code reads it; see ``View`` for the arrays."""

    cosines: np.ndarray
    group: int
    spreads: np.ndarray
    variances: np.ndarray
    fits: Fits
    across: np.ndarray
    same_class: np.ndarray
    other_class: np.ndarray
    within: np.ndarray
    eigenvalues: np.ndarray
    modes: Modes
    diagonals: np.ndarray
    uniform: np.ndarray
    uniform_pairs: np.ndarray
    """Products of ``uniform``'s entries, shape (size^2,); ``leading`` is flattened to (powers, size^2) like them."""
    leading: np.ndarray
    self_share: float
    n_train: int
    n_classes: int
    n_features: int
    n_pixels: int


class Workspace(NamedTuple):
    """Arrays that ``eigenvalues`` works in."""

    nodes: Scratch
    lam: np.ndarray
    """Eigenvalue of each group, shape (groups,)."""
    fit: np.ndarray
    """Gaps as n + sum_k a_k (1 - c^k): n and a_k, shape (powers + 1,)."""
    tried: np.ndarray
    """Terms of a fit that is only tried, shape (powers + 1,)."""
    pulls: np.ndarray
    """What each term explains of the gaps, shape (powers + 1,)."""
    block: np.ndarray
    """A matrix on the span of the leading vectors, shape (size^2,)."""
    vectors: np.ndarray
    """Two vectors in that span, shape (2, size)."""


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


def scene(task: Task, name: ViewName) -> Scene:
    """Prepare one of a task's views for compiled code."""
    view = task.views[name]
    summary = view.sketch
    contiguous = np.ascontiguousarray
    return Scene(
        cosines=contiguous(view.cosines),
        group=view.group,
        spreads=contiguous(view.spreads),
        variances=contiguous(view.variances),
        fits=Fits(*map(contiguous, view.fits)),
        across=contiguous(view.across),
        same_class=contiguous(view.same_class),
        other_class=contiguous(view.other_class),
        within=contiguous(view.within),
        eigenvalues=contiguous(summary.eigenvalues),
        modes=modes(contiguous(summary.counts), contiguous(summary.energy)),
        diagonals=contiguous(summary.diagonals),
        uniform=contiguous(summary.uniform),
        uniform_pairs=np.outer(summary.uniform, summary.uniform).ravel(),
        leading=contiguous(summary.leading).reshape(len(summary.leading), -1),
        self_share=1.0 - float(view.within.sum()),
        n_train=task.n_train,
        n_classes=task.n_classes,
        n_features=task.n_features,
        n_pixels=task.n_pixels or 1,
    )


def modes(counts: np.ndarray, energy: np.ndarray) -> Modes:
    """Groups of eigenmodes for compiled code, shape (groups,) each."""
    return Modes(counts, energy, int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)))


def workspace(stage: Scene) -> Workspace:
    """Arrays for one thread."""
    size, terms = stage.uniform.size, stage.fits.nugget.size
    return Workspace(
        scratch(stage.cosines.size),
        np.empty(stage.modes.counts.size),
        np.empty(terms),
        np.empty(terms),
        np.empty(terms),
        np.empty(size * size),
        np.empty((2, size)),
    )


def spectrum(architecture: Architecture, task: Task) -> Spectrum:
    """NTK spectrum of an architecture on a task, by the finite-depth recursion, with its infinite-depth limits.

    Args:
        architecture: The network.
        task: The task's summary.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the theory does not cover the architecture, or the task has no view for its kind.
    """
    require_instance("architecture", architecture, Architecture)
    require_instance("task", task, Task)
    reason = why_outside(architecture, task)
    if reason:
        raise ValueError(reason)
    stage = scene(task, view_name(architecture))
    work = workspace(stage)
    lam = work.lam
    log_scale, diagonal, log_gap, _ = propagate(
        layers(architecture), stage.cosines, stage.group, stage.spreads, stage.variances, work.nodes
    )
    log_max, _, signal = eigenvalues(log_scale, diagonal, log_gap, stage, work)
    if not (math.isfinite(log_gap) and math.isfinite(log_max) and np.all(np.isfinite(lam))):
        # Dropout that keeps next to nothing: the diagonal is beyond all numbers, and what inputs share is lost in it.
        log_max, log_gap, signal = LARGEST, -LARGEST, 0.0
        lam[:] = 1.0
    log_bulk = log_gap + math.log(lam[stage.modes.middle])
    return Spectrum(
        *mean_field(architecture),
        lambda_max=saturated(log_max),
        lambda_bulk=saturated(log_bulk),
        kappa=saturated(log_max - log_bulk),
        mean_predictor=signal / (signal + lam[stage.modes.middle]),
        max_learning_rate=saturated(math.log(2.0) - log_max),
        eigenvalues=np.exp(np.clip(log_gap + np.log(lam), -LARGEST, LARGEST)),
        counts=stage.modes.counts,
        log_lambda_max=log_max,
        log_lambda_bulk=log_bulk,
    )


def why_outside(architecture: Architecture, task: Task) -> str | None:
    """Why the theory is silent about an architecture, or None where it speaks."""
    if not is_known(architecture.activation):
        known = ", ".join(ACTIVATIONS)
        return f"activation {shown(architecture.activation)} has no known dual; known: {known}, or a callable"
    if architecture.unknown:
        return architecture.unknown
    if architecture.normalization == "batch":
        return "batch normalization couples the samples, which this kernel does not describe"
    name = view_name(architecture)
    if name in task.views:
        return None
    if task.n_pixels is None and name != "fcn":
        return f"the task summary has no image structure, which kind={architecture.kind!r} needs"
    kept = f"the view{'s' * (len(task.views) > 1)} {', '.join(task.views)}"
    return (
        f"the saved summary holds {kept} only: build the view {name} before saving, with task.views[{name!r}] or "
        f"task.save(path, views={[*task.views, name]})"
    )


def saturated(log: float) -> float:
    """exp(log), kept inside the range of float64."""
    return math.exp(min(max(log, -LARGEST), LARGEST))


@entry_summing(lambda *_: PER_CALL + PER_CONFIGURATION)
def eigenvalues(log_scale, diagonal, log_gap, stage, work):  # type: ignore[no-untyped-def]
    """Spectrum of the centred kernel, in units of exp(log_gap).

    Args:
        log_scale, diagonal, log_gap: As ``ntk.propagate`` returned them.
        stage: ``Scene``.
        work: ``Workspace``; its ``nodes`` as ``propagate`` left them. Out: ``lam``, the eigenvalue of each group, all
            > 0.

    Returns:
        The logarithms of lambda_max and of the kernel's diagonal; and (m / k) (Theta_in - Theta_out) in units of
        exp(log_gap), >= 0.
    """
    gaps, lam, fit = work.nodes.gaps, work.lam, work.fit
    across = within = same = other = 0.0
    for j in range(gaps.size):
        across += stage.across[j] * gaps[j]
        within += stage.within[j] * gaps[j]
        same += stage.same_class[j] * gaps[j]
        other += stage.other_class[j] * gaps[j]
    _fitted(stage, work)
    degree = stage.eigenvalues.shape[0]
    # What a pixel has in common with itself alone, beyond the polynomial; pooling dilutes it.
    nugget, shift, constant = fit[0] * stage.self_share, 0.0, fit[0]
    mean_gap = max(across - within, _FLOOR * across) + 1e-300
    top = 0.0
    lam[:] = nugget
    for k in range(degree):
        for i in range(lam.size):
            lam[i] += fit[k + 1] * stage.eigenvalues[k, i]
    for i in range(lam.size):
        lam[i] = max(lam[i], _FLOOR * mean_gap)
        top = max(top, lam[i])
    for k in range(degree):
        shift += fit[k + 1] * stage.diagonals[k]
        constant += fit[k + 1]
    share = math.exp(log_gap - log_scale)
    m = stage.n_train
    own = diagonal - share * within
    ritz = m * _ritz(diagonal - share * constant, share, stage, work) + share * (nugget + shift)
    uniform = m * own - (m - 1) * share * mean_gap
    signal = max(other - same, 0.0) * m / stage.n_classes
    log_max = log_scale + math.log(max(ritz, uniform, share * top, 1e-300))
    return log_max, log_scale + math.log(max(own, 1e-300)), signal


@inner_summing
def _fitted(stage, work):  # type: ignore[no-untyped-def]
    """Fill ``work.fit``: of the fits without a negative term the one closest to the gaps; a single one as it is.

    The gaps are n + sum_k a_k (1 - c^k), so a_k are the kernel's own coefficients of c^k off the diagonal.
    """
    fits, gaps, fit, tried, pulls = stage.fits, work.nodes.gaps, work.fit, work.tried, work.pulls
    for k in range(fit.size):
        pulls[k] = 0.0
        for j in range(gaps.size):
            pulls[k] += fits.pulls[k, j] * gaps[j]
    closest = 0.0
    for s in range(fits.terms.shape[0]):
        explained, nugget, possible = 0.0, 0.0, True
        for k in range(fit.size):
            term = 0.0
            for j in range(gaps.size):
                term += fits.terms[s, k, j] * gaps[j]
            if s > 0 and term < 0.0:
                possible = False
                break
            tried[k] = term
            explained += term * pulls[k]
            nugget += term * fits.nugget[k]
        if possible and (s == 0 or explained > closest):
            closest = explained
            fit[0] = nugget
            for k in range(1, fit.size):
                fit[k] = tried[k]


@inner_summing
def _ritz(constant, share, stage, work):  # type: ignore[no-untyped-def]
    """Largest Rayleigh quotient, per sample, of the kernel on the span of the uniform and the powers' leading vectors.

    The kernel there is constant 1 1^T + share sum_k a_k M_k; at most twelve steps of the power method, from the uniform
    vector.
    """
    size = stage.uniform.size
    matrix, vector, image = work.block, work.vectors[0], work.vectors[1]
    for ab in range(size * size):
        matrix[ab] = constant * stage.uniform_pairs[ab]
    for k in range(stage.leading.shape[0]):
        scale = share * work.fit[k + 1]
        for ab in range(size * size):
            matrix[ab] += scale * stage.leading[k, ab]
    quotient = 0.0
    for a in range(size):
        vector[a] = stage.uniform[a] + 1e-3
    for _ in range(12):
        image[:] = 0.0
        for b in range(size):
            for a in range(size):
                image[a] += matrix[b * size + a] * vector[b]
        norm = overlap = length = 0.0
        for a in range(size):
            overlap += image[a] * vector[a]
            length += vector[a] * vector[a]
            norm = max(norm, abs(image[a]))
        previous, quotient = quotient, overlap / length if length > 0.0 else 0.0
        if abs(quotient - previous) <= _SETTLED * abs(quotient) or norm == 0.0:
            break
        for a in range(size):
            vector[a] = image[a] / norm
    return quotient
