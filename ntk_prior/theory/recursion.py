"""The finite-depth recursion of the neural tangent kernel over a handful of input correlations.

    K^1 = Theta^1 = sigma_w^2 c_0 + sigma_b^2,
    K^{l+1} = sigma_w^2 T(K^l) + sigma_b^2,    Theta^{l+1} = K^{l+1} + sigma_w^2 Tdot(K^l) Theta^l,    l = 1..L

(Xiao, Pennington and Schoenholz 2020, eqs. 2-5). What is carried are the diagonal ``q = K_aa``, the relative gaps
``eps = 1 - K_ab / q`` and ``(Theta_aa - Theta_ab) / q``, never the off-diagonal entries themselves: in the ordered
phase the gaps shrink like chi_1^l and would drown in the rounding of a subtraction. Kernels that leave the range of
float64 carry a logarithmic scale.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.theory.activations import RECTIFIER
from ntk_prior.theory.dual_eval import ROW, diagonal, differences
from ntk_prior.theory.jit import PER_CALL, PER_CONFIGURATION, entry, inner
from ntk_prior.theory.layers import layers

TAIL_TOLERANCE = 1e-9
"""Relative accuracy at which the maps count as converged, so that the remaining layers have a closed form."""

_LARGE, _SMALL = 1e200, 1e-200
_RESCALE = 1e100
_STEADY = 1e-12
"""Relative accuracy at which the diagonal counts as constant."""

_ROUNDING = 1e-30
"""Square of a relative change that is rounding."""


class Kernel(NamedTuple):
    """NTK entries of one architecture after the readout, over the nodes of a task.

    Attributes:
        log_scale: Natural logarithm of the factor that the entries below leave out.
        diagonal: Theta_aa / exp(log_scale).
        log_gap_scale: Like ``log_scale``, for the gaps.
        gaps: (Theta_aa - Theta_ab) / exp(log_gap_scale) for each node, shape (nodes,), all >= 0.
        q: Diagonal of the NNGP kernel (saturates far outside any trainable range).
        eps: 1 - K_ab / q for each node, shape (nodes,).
    """

    log_scale: float
    diagonal: float
    log_gap_scale: float
    gaps: Array
    q: float
    eps: Array


def kernel(architecture: Architecture, cosines: Array) -> Kernel:
    """NTK entries of a fully connected network between inputs at the given cosines.

    Args:
        architecture: The network.
        cosines: <x, x'> / n_0 for inputs with |x|^2 / n_0 = 1, shape (nodes,).

    Raises:
        ValueError: If the activation is unknown.
    """
    cosines = np.ascontiguousarray(cosines, dtype=np.float64)
    alone, nodes = np.ones(1), scratch(cosines.size)
    log_scale, diagonal, log_gap_scale, q = propagate(layers(architecture), cosines, 1, alone, alone, nodes)
    return Kernel(log_scale, diagonal, log_gap_scale, nodes.gaps, q, nodes.eps)


class Scratch(NamedTuple):
    """Arrays that ``propagate`` works in: shape (nodes,) each, but for ``row``."""

    eps: np.ndarray
    """1 - K_ab / q."""
    gaps: np.ndarray
    """Theta_aa - Theta_ab, see ``Kernel``."""
    d_t: np.ndarray
    d_d: np.ndarray
    row: np.ndarray
    """The dual at the present q, see ``dual_eval.diagonal``."""


def scratch(n: int) -> Scratch:
    """Scratch for ``n`` nodes."""
    return Scratch(np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(ROW))


@entry(lambda net, *_: PER_CALL + PER_CONFIGURATION + net.depth)
def propagate(net, cosines, group, spreads, variances, nodes):  # type: ignore[no-untyped-def]
    """Carry the diagonal and all nodes through the layers and the readout.

    Args:
        net: ``Layers``.
        cosines: Input correlations, shape (nodes,).
        group: Consecutive nodes that convolutions average with one another (1: none).
        spreads: Window variances, increasing, shape (k,), at which ``variances`` is given.
        variances: Positional variance left inside a group after that much averaging, shape (k,).
        nodes: ``Scratch``; ``eps`` and ``gaps`` are the result, as in ``Kernel``.

    Returns:
        ``log_scale, diagonal, log_gap_scale, q`` as in ``Kernel``.
    """
    n, depth = cosines.size, net.depth
    eps, gaps, d_t, d_d = nodes.eps, nodes.gaps, nodes.d_t, nodes.d_d
    q = net.weight_variance + net.bias_variance
    for j in range(n):
        eps[j] = min(max(net.weight_variance * (1.0 - cosines[j]) / q, 0.0), 2.0)
        gaps[j] = net.first * eps[j]
    # Every kernel is in units of exp(log_scale) q; ``log_beyond`` is what clamping took from q.
    p, unit, log_beyond, log_scale = (net.first * net.weight_variance + net.bias) / q, 1.0, 0.0, 0.0
    kept = 1.0 / net.keep_rate
    drop = kept - 1.0
    plain = net.branch < 0.0
    level = variances[0]
    if group > 1:
        # The nodes hold one 3 x 3 window's average already; a larger first window has averaged more.
        after = _interpolated(net.spread_per_layer, spreads, variances)
        _average_positions(math.sqrt(after / level) if level > 0.0 else 0.0, group, eps, gaps)
        level = after
    moving, change, last_change = True, 1.0, 1.0
    w = weights = t_1 = d_1 = keep = add = through = 0.0
    q_next = q
    for step in range(1, depth + 1):
        if moving:
            inner = 1.0 if net.layer_norm else q
            t_1, d_1 = diagonal(net.code, net.slope, net.table, inner, nodes.row)
            w = net.weight_variance * inner
            weights = w * t_1 * kept
            fresh = weights + net.bias_variance
            # The new diagonal is the old one times ``keep`` plus the branch times ``add``; a plain layer is all branch.
            # The readout changes the number of units and is plain in a residual network too.
            direct = plain or step == depth
            q_next = fresh if direct else q + net.branch * fresh
            inverse = 1.0 / q_next
            keep, add = (0.0, inverse) if direct else (q * inverse, net.branch * inverse)
            through = w * d_1 * kept
            change = abs(q_next - q) * inverse
        differences(net.code, net.table, nodes.row, eps, n, d_t, d_d)
        own = unit if step < depth else unit * net.readout
        own_w, through_w, pulled, added = add * own * w, add * w, drop * d_1, w * drop * t_1
        for j in range(n):
            eps_new = keep * eps[j] + add * (added + w * d_t[j])
            gaps[j] = (
                keep * gaps[j]
                + own_w * (drop * t_1 + d_t[j])
                + through_w * ((d_1 - d_d[j]) * gaps[j] + (pulled + d_d[j]) * p)
            )
            d_t[j] = eps_new - eps[j]
            eps[j] = min(max(eps_new, 0.0), 2.0)
        p = keep * p + add * (own * weights + unit * net.bias + through * p)
        q = min(max(q_next, _SMALL), _LARGE)
        if q != q_next:
            log_beyond += math.log(q_next / q)
        if p > _RESCALE:
            p /= _RESCALE
            unit /= _RESCALE
            log_scale += math.log(_RESCALE)
            for j in range(n):
                gaps[j] /= _RESCALE
        if group > 1 and step < depth:
            after = _interpolated((step + 1) * net.spread_per_layer, spreads, variances)
            _average_positions(math.sqrt(after / level) if level > 0.0 else 0.0, group, eps, gaps)
            level = after
        rest = depth - step
        left = change * last_change  # over last_change - change: how far q still is from its fixed point
        last_change -= change
        moving = not plain or left > max(_STEADY * last_change, _ROUNDING)
        if plain and rest >= 3 and left <= max(TAIL_TOLERANCE * last_change, _ROUNDING):
            log_q = math.log(q) + log_beyond + log_scale
            a, scale, source, more = through / q, w / q, (weights + net.bias) / q, net.readout - 1.0
            if _settled(n, a, scale * d_1, scale, d_t, d_d, eps):
                p += _settled_tail(rest, n, a, scale, d_1, drop, p, unit, source, more, d_d, eps, gaps)
                lift = rest * max(math.log(a), 0.0)
                p += more * unit * math.exp(-lift) * weights / q
                return log_q + lift, p, log_q + lift, q
            if drop == 0.0 and _linear(n, a, d_1, d_d):
                kink = 0.5 if net.code == RECTIFIER else 1.0
                p += _linear_tail(rest, n, a, scale, kink, p, unit, source, more, d_d, eps, gaps)
                p += more * unit * weights / q
                return log_q, p, log_q + kink * rest * math.log(a), q
        last_change = change
    log_q = math.log(q) + log_beyond + log_scale
    return log_q, p, log_q, q


@inner
def _interpolated(x, grid, values):  # type: ignore[no-untyped-def]
    """Linear interpolation on an increasing grid, constant beyond its ends (np.interp takes a second to compile)."""
    if x <= grid[0]:
        return values[0]
    for k in range(1, grid.size):
        if x <= grid[k]:
            share = (x - grid[k - 1]) / (grid[k] - grid[k - 1])
            return values[k - 1] + share * (values[k] - values[k - 1])
    return values[-1]


@inner
def _average_positions(left, group, eps, gaps):  # type: ignore[no-untyped-def]
    """What one more window leaves of the differences between the positions of a group (its mean stays)."""
    for start in range(0, eps.size, group):
        for values in (eps, gaps):
            mean = 0.0
            for j in range(start, start + group):
                mean += values[j] / group
            for j in range(start, start + group):
                values[j] = mean + left * (values[j] - mean)


@inner
def _settled(n, a, gain, scale, change, d_d, eps):  # type: ignore[no-untyped-def]
    """Whether every correlation has reached its fixed point c* < 1, in a way the closed form can use."""
    if abs(a - 1.0) < 1e-4:
        return False
    for j in range(n):
        rate = gain - scale * d_d[j]
        if not abs(change[j]) <= TAIL_TOLERANCE * (1.0 - rate) * eps[j] or a - rate < 1e-4 * a:
            return False
    return True


@inner
def _linear(n, a, d_1, d_d):  # type: ignore[no-untyped-def]
    """Whether every correlation is so close to 1 that its gap just shrinks by the factor ``a`` a layer."""
    if a > 1.0 - 1e-4:
        return False
    for j in range(n):
        if d_d[j] > TAIL_TOLERANCE * (1.0 - a) * d_1:
            return False
    return True


@inner
def _settled_tail(rest, n, a, scale, d_1, drop, p, unit, source, more, d_d, eps, gaps):  # type: ignore[no-untyped-def]
    """``rest`` layers at a fixed point: P' = source unit + a P and E' = eps unit + r E + h P, summed in closed form.

    Everything is divided by max(a, 1)^rest. ``more`` is what the readout's weights count beyond a hidden layer's.

    Returns:
        The change of ``p``; ``gaps`` are changed in place.
    """
    log_a = math.log(a)
    lift = rest * max(log_a, 0.0)
    a_n = math.exp(rest * log_a - lift)
    one = math.exp(-lift)
    sum_a = (a_n - one) / (a - 1.0)
    for j in range(n):
        r, h = scale * (d_1 - d_d[j]), scale * (drop * d_1 + d_d[j])
        r_n = math.exp(rest * math.log(r) - lift) if r > 0.0 else 0.0
        sum_r = (r_n - one) / (r - 1.0)
        mixed = (a_n - r_n) / (a - r)
        pulled = h * (mixed * p + source * unit * (mixed - sum_r) / (a - 1.0))
        gaps[j] = r_n * gaps[j] + unit * eps[j] * (sum_r + more * one) + pulled
    return a_n * p + source * unit * sum_a - p


@inner
def _linear_tail(rest, n, a, scale, kink, p, unit, source, more, d_d, eps, gaps):  # type: ignore[no-untyped-def]
    """``rest`` layers of the ordered phase, where eps shrinks as a^i and Tdot's gap as a^(kink i).

    The gaps are divided by a^(kink rest), which the caller moves into their logarithmic scale.

    Returns:
        The change of ``p``; ``gaps`` and ``eps`` are changed in place.
    """
    log_a = math.log(a)
    fixed = source * unit / (1.0 - a)
    a_n = math.exp(rest * log_a)
    slow = math.exp((1.0 - kink) * rest * log_a)  # a^n / a^(kink n)
    for j in range(n):
        h = scale * d_d[j] * a**kink  # d_d is that of the layer just done
        if kink == 1.0:
            pulled = h / a * (rest * fixed + (p - fixed) * (1.0 - a_n) / (1.0 - a))
        else:
            b = a**kink
            pulled = h * (fixed * (1.0 - slow) / (b - a) + (p - fixed) * (slow - a_n) / (a * (1.0 - b)))
        gaps[j] = slow * (gaps[j] + (rest + more) * unit * eps[j]) + pulled
        eps[j] *= a_n
    return fixed + a_n * (p - fixed) - p
