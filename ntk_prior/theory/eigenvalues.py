"""Compiled: the spectrum of the centred kernel from the kernel at a task's nodes."""

from __future__ import annotations

import math

from ntk_prior.theory.jit import PER_CALL, PER_CONFIGURATION, entry_summing, inner_summing
from ntk_prior.theory.task_arrays import TaskArrays, Workspace

_FLOOR = 1e-6
"""Smallest eigenvalue, in units of the mean gap, that a polynomial fit may produce."""

_SETTLED = 1e-5
"""Relative change of a Rayleigh quotient, whose error is quadratic in that of its vector, at which it is final."""


@entry_summing(lambda *_: PER_CALL + PER_CONFIGURATION)
def eigenvalues(
    log_scale: float, diagonal: float, log_gap: float, arrays: TaskArrays, work: Workspace
) -> tuple[float, float, float]:
    """Spectrum of the centred kernel, in units of exp(log_gap).

    Args:
        log_scale, diagonal, log_gap: As ``recursion.propagate`` returned them.
        arrays: The task.
        work: Its ``nodes`` as ``propagate`` left them. Out: ``lam``, the eigenvalue of each group, all
            > 0.

    Returns:
        The logarithms of lambda_max and of the kernel's diagonal; and (m / k) (Theta_in - Theta_out) in units of
        exp(log_gap), >= 0.
    """
    gaps, lam, fit = work.nodes.gaps, work.lam, work.fit
    across = within = same = other = 0.0
    for j in range(gaps.size):
        across += arrays.across[j] * gaps[j]
        within += arrays.within[j] * gaps[j]
        same += arrays.same_class[j] * gaps[j]
        other += arrays.other_class[j] * gaps[j]
    _fit_gaps(arrays, work)
    degree = arrays.eigenvalues.shape[0]
    # What a pixel has in common with itself alone, beyond the polynomial; pooling dilutes it.
    nugget, shift, constant = fit[0] * arrays.self_share, 0.0, fit[0]
    mean_gap = max(across - within, _FLOOR * across) + 1e-300
    top = 0.0
    lam[:] = nugget
    for k in range(degree):
        for i in range(lam.size):
            lam[i] += fit[k + 1] * arrays.eigenvalues[k, i]
    for i in range(lam.size):
        lam[i] = max(lam[i], _FLOOR * mean_gap)
        top = max(top, lam[i])
    for k in range(degree):
        shift += fit[k + 1] * arrays.diagonals[k]
        constant += fit[k + 1]
    share = math.exp(log_gap - log_scale)
    m = arrays.n_train
    own = diagonal - share * within
    ritz = m * _ritz(diagonal - share * constant, share, arrays, work) + share * (nugget + shift)
    uniform = m * own - (m - 1) * share * mean_gap
    signal = max(other - same, 0.0) * m / arrays.sides
    log_max = log_scale + math.log(max(ritz, uniform, share * top, 1e-300))
    return log_max, log_scale + math.log(max(own, 1e-300)), signal


@inner_summing
def _fit_gaps(arrays: TaskArrays, work: Workspace) -> None:
    """Fill ``work.fit``: of the fits without a negative term the one closest to the gaps; a single one as it is.

    The gaps are n + sum_k a_k (1 - c^k), so a_k are the kernel's own coefficients of c^k off the diagonal.
    """
    fits, gaps, fit, tried, pulls = arrays.fits, work.nodes.gaps, work.fit, work.tried, work.pulls
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
def _ritz(constant: float, share: float, arrays: TaskArrays, work: Workspace) -> float:
    """Largest Rayleigh quotient, per sample, of the kernel on the span of the uniform and the powers' leading vectors.

    The kernel there is constant 1 1^T + share sum_k a_k M_k; at most twelve steps of the power method, from the uniform
    vector.
    """
    size = arrays.uniform.size
    matrix, vector, image = work.block, work.vectors[0], work.vectors[1]
    for ab in range(size * size):
        matrix[ab] = constant * arrays.uniform_pairs[ab]
    for k in range(arrays.leading.shape[0]):
        scale = share * work.fit[k + 1]
        for ab in range(size * size):
            matrix[ab] += scale * arrays.leading[k, ab]
    quotient = 0.0
    for a in range(size):
        vector[a] = arrays.uniform[a] + 1e-3
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
