"""The finite-depth recursion of the neural tangent kernel over a handful of input correlations.

    K^1 = Theta^1 = sigma_w^2 c_0 + sigma_b^2,
    K^{l+1} = sigma_w^2 T(K^l) + sigma_b^2,    Theta^{l+1} = K^{l+1} + sigma_w^2 Tdot(K^l) Theta^l,    l = 1..L

(Xiao, Pennington and Schoenholz 2020, eqs. 2-5). The numbers that go through the layers are the diagonal ``q = K_aa``,
the relative gaps ``eps = 1 - K_ab / q`` and ``(Theta_aa - Theta_ab) / q``, never the off-diagonal entries themselves:
in the ordered phase the gaps shrink like chi_1^l and would drown in the rounding of a subtraction. Kernels that leave
the range of float64 carry a logarithmic scale.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.theory.activations import RECTIFIER
from ntk_prior.theory.dual_eval import ROW, diagonal, differences
from ntk_prior.theory.jit import PER_CALL, PER_CONFIGURATION, entry, inner, inner_piece
from ntk_prior.theory.layers import Layers, layers
from ntk_prior.theory.tails import TAIL_TOLERANCE, Tail, is_linear, is_settled, sum_linear, sum_settled

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

    eps: Array
    """1 - K_ab / q."""
    gaps: Array
    """Theta_aa - Theta_ab, see ``Kernel``."""
    d_t: Array
    d_d: Array
    row: Array
    """The dual at the present q, see ``dual_eval.diagonal``."""


def scratch(n: int) -> Scratch:
    """Scratch for ``n`` nodes."""
    return Scratch(eps=np.empty(n), gaps=np.empty(n), d_t=np.empty(n), d_d=np.empty(n), row=np.empty(ROW))


class Diagonals(NamedTuple):
    """The diagonals after some layers. Kernels are in units of exp(log_scale) q."""

    q: float
    """That of the NNGP kernel, inside [_SMALL, _LARGE]."""
    log_beyond: float
    """What keeping it there has taken from its logarithm."""
    p: float
    """That of Theta, in units of exp(log_scale) q."""
    unit: float
    """1 / exp(log_scale): the NNGP kernel's diagonal in the same units."""
    log_scale: float


class LayerMap(NamedTuple):
    """What a layer does to the kernels at one variance of its inputs."""

    t_1: float
    """T(q, 1) / q."""
    d_1: float
    """Tdot(q, 1)."""
    w: float
    """sigma_w^2 times the variance of the activation's argument."""
    weights: float
    """What the weights add to the diagonal."""
    through: float
    """What a gradient gains on the way through."""
    drop: float
    """Relative variance of dropout's mask."""
    q: float
    """The next diagonal."""
    keep: float
    """Share of the next diagonal that the skip connection keeps; 0 in a plain layer."""
    add: float
    """What the layer's own output is multiplied by, in units of the next diagonal."""
    change: float
    """Relative change of the diagonal."""


@entry(lambda net, *_: PER_CALL + PER_CONFIGURATION + net.depth)
def propagate(
    net: Layers, cosines: Array, group: int, spreads: Array, variances: Array, nodes: Scratch
) -> tuple[float, float, float, float]:
    """Carry the diagonal and all nodes through the layers and the readout.

    Args:
        net: The network.
        cosines: Input correlations, shape (nodes,).
        group: Consecutive nodes that convolutions average with one another (1: none).
        spreads: Window variances, increasing, shape (k,), at which ``variances`` is given.
        variances: Positional variance left inside a group after that much averaging, shape (k,).
        nodes: ``eps`` and ``gaps`` are the result, as in ``Kernel``.

    Returns:
        ``log_scale, diagonal, log_gap_scale, q`` as in ``Kernel``.
    """
    at = first_layer(net, cosines, nodes)
    plain = net.branch < 0.0
    # The nodes hold one 3 x 3 window's average already; a larger first window has averaged more.
    level = average_window(variances[0], net.spread_per_layer, group, spreads, variances, nodes)
    last_change = 1.0
    # The readout changes the number of units, so that it is plain in a residual network too.
    step = map_at(net, at.q, plain or net.depth == 1, nodes.row)
    for layer in range(1, net.depth + 1):
        rest = net.depth - layer
        at = next_layer(net, step, at, 1.0 if rest > 0 else net.readout, nodes)
        if rest == 0:
            break
        level = average_window(level, (layer + 1) * net.spread_per_layer, group, spreads, variances, nodes)
        left = step.change * last_change  # over last_change - change: how far q still is from its fixed point
        last_change -= step.change
        moving = not plain or left > max(_STEADY * last_change, _ROUNDING)
        if plain and rest >= 3 and left <= max(TAIL_TOLERANCE * last_change, _ROUNDING):
            ended, lift, gap_lift, p = _end(net, step, at, rest, nodes)
            if ended:
                log_q = math.log(at.q) + at.log_beyond + at.log_scale
                return log_q + lift, p, log_q + gap_lift, at.q
        last_change = step.change
        if moving:
            step = map_at(net, at.q, plain or rest == 1, nodes.row)
    log_q = math.log(at.q) + at.log_beyond + at.log_scale
    return log_q, at.p, log_q, at.q


@inner_piece
def first_layer(net: Layers, cosines: Array, nodes: Scratch) -> Diagonals:
    """The first layer, which is linear in the inputs; fills ``nodes``."""
    q = net.weight_variance + net.bias_variance
    for j in range(cosines.size):
        nodes.eps[j] = min(max(net.weight_variance * (1.0 - cosines[j]) / q, 0.0), 2.0)
        nodes.gaps[j] = net.first * nodes.eps[j]
    p = (net.first * net.weight_variance + net.bias) / q
    return Diagonals(q=q, log_beyond=0.0, p=p, unit=1.0, log_scale=0.0)


@inner_piece
def map_at(net: Layers, q: float, direct: bool, row: Array) -> LayerMap:
    """What a layer does to kernels whose diagonal is ``q``.

    Args:
        net: The network.
        q: The diagonal.
        direct: Whether there is no skip connection around it.
        row: Out: the dual there, see ``dual_eval.diagonal``.
    """
    inside = 1.0 if net.layer_norm else q
    t_1, d_1 = diagonal(net.code, net.slope, net.table, inside, row)
    kept = 1.0 / net.keep_rate
    w = net.weight_variance * inside
    weights = w * t_1 * kept
    fresh = weights + net.bias_variance
    # The new diagonal is the old one times ``keep`` plus the branch times ``add``; a plain layer is all branch.
    q_next = fresh if direct else q + net.branch * fresh
    inverse = 1.0 / q_next
    return LayerMap(
        t_1=t_1,
        d_1=d_1,
        w=w,
        weights=weights,
        through=w * d_1 * kept,
        drop=kept - 1.0,
        q=q_next,
        keep=0.0 if direct else q * inverse,
        add=inverse if direct else net.branch * inverse,
        change=abs(q_next - q) * inverse,
    )


@inner_piece
def next_layer(net: Layers, step: LayerMap, at: Diagonals, weight: float, nodes: Scratch) -> Diagonals:
    """One more layer.

    Args:
        net: The network.
        step: What the layer does.
        at: The diagonals before it.
        weight: What its weights count in Theta, in units of a hidden layer's.
        nodes: Changed in place.
    """
    eps, gaps, d_t, d_d = nodes.eps, nodes.gaps, nodes.d_t, nodes.d_d
    n = eps.size
    differences(net.code, net.table, nodes.row, eps, n, d_t, d_d)
    keep, add, w, drop, d_1, p = step.keep, step.add, step.w, step.drop, step.d_1, at.p
    own = at.unit * weight
    own_w, through_w, pulled, added, dropped = add * own * w, add * w, drop * d_1, w * drop * step.t_1, drop * step.t_1
    for j in range(n):
        eps_new = keep * eps[j] + add * (added + w * d_t[j])
        gaps[j] = (
            keep * gaps[j] + own_w * (dropped + d_t[j]) + through_w * ((d_1 - d_d[j]) * gaps[j] + (pulled + d_d[j]) * p)
        )
        d_t[j] = eps_new - eps[j]
        eps[j] = max(eps_new, 0.0) if eps_new < 2.0 else 2.0
    p = keep * p + add * (own * step.weights + at.unit * net.bias + step.through * p)
    # What is no number any more counts as too large: a table is looked up by what stays.
    q = max(step.q, _SMALL) if step.q < _LARGE else _LARGE
    log_beyond, unit, log_scale = at.log_beyond, at.unit, at.log_scale
    if q != step.q:
        log_beyond += math.log(step.q / q)
    if p > _RESCALE:
        p /= _RESCALE
        unit /= _RESCALE
        log_scale += math.log(_RESCALE)
        for j in range(n):
            gaps[j] /= _RESCALE
    return Diagonals(q=q, log_beyond=log_beyond, p=p, unit=unit, log_scale=log_scale)


@inner
def _end(net: Layers, step: LayerMap, at: Diagonals, rest: int, nodes: Scratch) -> tuple[bool, float, float, float]:
    """The last ``rest`` layers in closed form, if the nodes are where there is one.

    Returns:
        Whether they are; what the logarithmic scales of the diagonal and of the gaps gain; and the diagonal.
    """
    a, q = step.through / at.q, at.q
    tail = Tail(
        layers=rest,
        a=a,
        scale=step.w / q,
        d_1=step.d_1,
        drop=step.drop,
        source=(step.weights + net.bias) / q,
        more=net.readout - 1.0,
        p=at.p,
        unit=at.unit,
    )
    if is_settled(tail, nodes.eps, nodes.d_t, nodes.d_d):
        p = at.p + sum_settled(tail, nodes.eps, nodes.gaps, nodes.d_d)
        lift = rest * max(math.log(a), 0.0)
        p += tail.more * at.unit * math.exp(-lift) * step.weights / q
        return True, lift, lift, p
    if step.drop == 0.0 and is_linear(tail, nodes.d_d):
        kink = 0.5 if net.code == RECTIFIER else 1.0
        p = at.p + sum_linear(tail, kink, nodes.eps, nodes.gaps, nodes.d_d)
        p += tail.more * at.unit * step.weights / q
        return True, 0.0, kink * rest * math.log(a), p
    return False, 0.0, 0.0, at.p


@inner_piece
def average_window(level: float, spread: float, group: int, spreads: Array, variances: Array, nodes: Scratch) -> float:
    """Average the positions of each group once more.

    Args:
        level: Positional variance that was left.
        spread: Variance of all windows so far.
        group, spreads, variances: As for ``propagate``.
        nodes: Changed in place.

    Returns:
        What is left now.
    """
    if group == 1:
        return level
    after = _interpolated(spread, spreads, variances)
    _average_positions(math.sqrt(after / level) if level > 0.0 else 0.0, group, nodes.eps, nodes.gaps)
    return after


@inner
def _interpolated(x: float, grid: Array, values: Array) -> float:
    """Linear interpolation on an increasing grid, constant beyond its ends (np.interp takes a second to compile)."""
    if x <= grid[0]:
        return float(values[0])
    for k in range(1, grid.size):
        if x <= grid[k]:
            share = (x - grid[k - 1]) / (grid[k] - grid[k - 1])
            return float(values[k - 1] + share * (values[k] - values[k - 1]))
    return float(values[-1])


@inner
def _average_positions(left: float, group: int, eps: Array, gaps: Array) -> None:
    """What one more window leaves of the differences between the positions of a group (its mean stays)."""
    for start in range(0, eps.size, group):
        for values in (eps, gaps):
            mean = 0.0
            for j in range(start, start + group):
                mean += values[j] / group
            for j in range(start, start + group):
                values[j] = mean + left * (values[j] - mean)
