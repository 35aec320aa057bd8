"""What the first steps of Adam and its like move: descent by signs, from the layers' own shares of the kernel.

Early on, such an optimiser moves each parameter by the learning rate against the sign of its gradient. In a wide layer
l of P_l parameters the gradient's entries are about Gaussian, so that its signs are sqrt(2 P_l / pi) g^l / |g^l| and a
part that has nothing to do with the outputs. With |g^l|^2 = r' Theta^l r a step moves outputs along a unit vector u of
the residuals by

    eta sqrt(2 / pi) sum_l sqrt(P_l u' Theta^l u),

where Theta^l is the share of the layer's weights in the kernel of the parametrization that is trained (the kernel of
sign descent: Malladi, Wettig, Yu, Chen and Arora, arXiv 2210.05643, section 4; the closed form is ours).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ntk_prior._types import Array
from ntk_prior.theory.jit import inner
from ntk_prior.theory.layers import Layers
from ntk_prior.theory.recursion import Scratch, average_window, first_layer, map_at, next_layer

MAX_DEPTH = 256
"""Deeper networks are not looked into."""

SIGN = math.sqrt(2.0 / math.pi)
"""Mean size of a standard normal number."""

_SMALLEST = 1e-300
_LARGEST_LOG = 300.0
_PARALLEL = -1.0 + 1e-12


class LayerScratch(NamedTuple):
    """What each layer does, the first one first; kernels are in units of the NNGP kernel's diagonal."""

    own: Array
    """What the layer's weights add to the diagonal, shape (layers,)."""
    own_gaps: Array
    """The same between different inputs: what it is smaller by, shape (layers, nodes)."""
    gains: Array
    """ln of what the next layer multiplies the diagonal by, shape (layers,)."""
    fades: Array
    """ln of how much less it multiplies the rest by, shape (layers, nodes)."""
    faded: Array
    """Sum of some of these, shape (nodes,)."""


def layer_scratch(n: int) -> LayerScratch:
    """Scratch for ``n`` nodes."""
    many = MAX_DEPTH + 1
    return LayerScratch(np.empty(many), np.empty((many, n)), np.empty(many), np.empty((many, n)), np.empty(n))


class Speeds(NamedTuple):
    """How far a step of learning rate 1 moves the outputs, per root of a hidden layer's fan-in / sigma_w^2.

    Attributes:
        labels: Along the centred labels, per root of their own length squared per sample.
        top: Along what all inputs share, per sample.
    """

    labels: float
    top: float


@inner
def layer_kernels(
    net: Layers, cosines: Array, group: int, spreads: Array, variances: Array, nodes: Scratch, kept: LayerScratch
) -> float:
    """Carry the kernels through the layers and the readout, and keep what each layer does.

    Args:
        net: A network of at most ``MAX_DEPTH`` layers.
        cosines, group, spreads, variances, nodes: As for ``recursion.propagate``.
        kept: Filled for the first layer, the hidden ones and the readout.

    Returns:
        ln of the NNGP kernel's diagonal behind the readout.
    """
    at = first_layer(net, cosines, nodes)
    kept.own[0] = net.first * net.weight_variance / at.q
    for j in range(cosines.size):
        kept.own_gaps[0, j] = nodes.gaps[j]
    plain = net.branch < 0.0
    level = average_window(variances[0], net.spread_per_layer, group, spreads, variances, nodes)
    for layer in range(1, net.depth + 1):
        last = layer == net.depth
        step = map_at(net, at.q, plain or last, nodes.row)
        weight = net.readout if last else 1.0
        at = next_layer(net, step, at, weight, nodes)
        gain = step.keep + step.add * step.through
        kept.own[layer] = step.add * weight * step.weights
        kept.gains[layer - 1] = math.log(max(gain, _SMALLEST))
        for j in range(cosines.size):
            before = nodes.eps[j] - nodes.d_t[j]
            kept.own_gaps[layer, j] = weight * max(nodes.eps[j] - step.keep * before, 0.0)
            lost = step.add * step.w * (nodes.d_d[j] + step.drop * step.d_1) / gain
            kept.fades[layer - 1, j] = math.log1p(max(-lost, _PARALLEL))
        if not last:
            level = average_window(level, (layer + 1) * net.spread_per_layer, group, spreads, variances, nodes)
    return math.log(at.q) + at.log_beyond


@inner
def sign_speeds(
    kept: LayerScratch, depth: int, log_q: float, weights: Array, alignment: float, sizes: tuple[float, float, float]
) -> Speeds:
    """How fast descent by signs moves the outputs.

    Args:
        kept: As ``layer_kernels`` left it.
        depth: Hidden layers.
        log_q: What it returned.
        weights: Of the nodes, whose sum of a kernel's gaps is its mean gap, shape (nodes,).
        alignment: The kernel's Rayleigh quotient along the centred labels, over its mean gap.
        sizes: Weights of the first layer, of each hidden one behind it, and of the readout.
    """
    first, hidden, readout = sizes
    labels = top = 0.0
    log_gain = log_q
    for j in range(weights.size):
        kept.faded[j] = 0.0
    for layer in range(depth, -1, -1):
        own = kept.own[layer]
        gap = 0.0
        for j in range(weights.size):
            stays = math.exp(kept.faded[j])
            gap += weights[j] * (kept.own_gaps[layer, j] * stays - own * math.expm1(kept.faded[j]))
        size = first if layer == 0 else (readout if layer == depth else hidden)
        scale = math.exp(0.5 * min(max(log_gain, -_LARGEST_LOG), _LARGEST_LOG))
        labels += scale * math.sqrt(size * max(gap, 0.0) * alignment)
        top += scale * math.sqrt(size * max(own - gap, 0.0))
        if layer > 0:
            log_gain += kept.gains[layer - 1]
            for j in range(weights.size):
                kept.faded[j] += kept.fades[layer - 1, j]
    return Speeds(SIGN * labels, SIGN * top)
