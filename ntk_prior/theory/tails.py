"""The last layers of deep networks in closed form, where the recursion has settled.

``eps``, ``gaps`` and ``d_d`` are as in ``recursion.Scratch``, shape (nodes,).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ntk_prior._types import Array
from ntk_prior.theory.jit import inner

TAIL_TOLERANCE = 1e-9
"""Relative accuracy at which the maps count as converged, so that the remaining layers have a closed form."""


class Tail(NamedTuple):
    """Layers at a fixed point of the diagonal: P' = source unit + a P."""

    layers: int
    a: float
    scale: float
    """sigma_w^2 times the ratio of the activation's argument's variance to q."""
    d_1: float
    drop: float
    source: float
    more: float
    """What the readout's weights count beyond a hidden layer's."""
    p: float
    unit: float


@inner
def is_settled(tail: Tail, eps: Array, change: Array, d_d: Array) -> bool:
    """Whether every correlation has reached its fixed point c* < 1, in a way the closed form can use."""
    a, gain, scale = tail.a, tail.scale * tail.d_1, tail.scale
    if abs(a - 1.0) < 1e-4:
        return False
    for j in range(eps.size):
        rate = gain - scale * d_d[j]
        if not abs(change[j]) <= TAIL_TOLERANCE * (1.0 - rate) * eps[j] or a - rate < 1e-4 * a:
            return False
    return True


@inner
def is_linear(tail: Tail, d_d: Array) -> bool:
    """Whether every correlation is so close to 1 that its gap just shrinks by the factor ``a`` a layer."""
    a = tail.a
    if a > 1.0 - 1e-4:
        return False
    for j in range(d_d.size):
        if d_d[j] > TAIL_TOLERANCE * (1.0 - a) * tail.d_1:
            return False
    return True


@inner
def sum_settled(tail: Tail, eps: Array, gaps: Array, d_d: Array) -> float:
    """Layers at a fixed point: P' = source unit + a P and E' = eps unit + r E + h P, summed in closed form.

    Everything is divided by max(a, 1)^layers.

    Returns:
        The change of ``p``; ``gaps`` are changed in place.
    """
    rest, a, scale, p, unit, source = tail.layers, tail.a, tail.scale, tail.p, tail.unit, tail.source
    log_a = math.log(a)
    lift = rest * max(log_a, 0.0)
    a_n = math.exp(rest * log_a - lift)
    one = math.exp(-lift)
    sum_a = (a_n - one) / (a - 1.0)
    for j in range(eps.size):
        r, h = scale * (tail.d_1 - d_d[j]), scale * (tail.drop * tail.d_1 + d_d[j])
        r_n = math.exp(rest * math.log(r) - lift) if r > 0.0 else 0.0
        sum_r = (r_n - one) / (r - 1.0)
        mixed = (a_n - r_n) / (a - r)
        pulled = h * (mixed * p + source * unit * (mixed - sum_r) / (a - 1.0))
        gaps[j] = r_n * gaps[j] + unit * eps[j] * (sum_r + tail.more * one) + pulled
    return a_n * p + source * unit * sum_a - p


@inner
def sum_linear(tail: Tail, kink: float, eps: Array, gaps: Array, d_d: Array) -> float:
    """Layers of the ordered phase, where eps shrinks as a^i and Tdot's gap as a^(kink i).

    The gaps are divided by a^(kink layers), which the caller moves into their logarithmic scale.

    Returns:
        The change of ``p``; ``gaps`` and ``eps`` are changed in place.
    """
    rest, a, p, unit = tail.layers, tail.a, tail.p, tail.unit
    log_a = math.log(a)
    fixed = tail.source * unit / (1.0 - a)
    a_n = math.exp(rest * log_a)
    slow = math.exp((1.0 - kink) * rest * log_a)  # a^n / a^(kink n)
    for j in range(eps.size):
        h = tail.scale * d_d[j] * a**kink  # d_d is that of the layer just done
        if kink == 1.0:
            pulled = h / a * (rest * fixed + (p - fixed) * (1.0 - a_n) / (1.0 - a))
        else:
            b = a**kink
            pulled = h * (fixed * (1.0 - slow) / (b - a) + (p - fixed) * (slow - a_n) / (a * (1.0 - b)))
        gaps[j] = slow * (gaps[j] + (rest + tail.more) * unit * eps[j]) + pulled
        eps[j] *= a_n
    return fixed + a_n * (p - fixed) - p
