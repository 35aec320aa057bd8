"""The neural-tangents network of an ``Architecture``: infinitely wide, NTK parametrization."""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax

from ntk_prior.architecture import Architecture
from ntk_prior.checks import shown
from ntk_prior.exact.nt_compat import neural_tangents

NODES = 64
"""Gauss-Hermite nodes along each of two axes, for activations whose dual neural-tangents has not in closed form."""


def network(architecture: Architecture) -> Any:
    """A neural-tangents layer ``(init_fn, apply_fn, kernel_fn)``.

    Images have shape (n, height, width, channels); a unit of every layer but the readout stands for infinitely many.
    ``"tanh"``, ``"silu"``, ``"elu"`` and callables go by quadrature: errors of 1e-6 at unit variance, 1e-3 of tanh
    at 4, and 1e-2 of elu, whose second derivative jumps.

    Args:
        architecture: The network.

    Raises:
        ImportError: If neural-tangents cannot be used.
        ValueError: If neural-tangents has no kernel for it.

    Example:
        >>> import ntk_prior as ntp
        >>> from ntk_prior import exact
        >>> init_fn, apply_fn, kernel_fn = exact.network(ntp.Architecture(1.5, 0.1, 3))
    """
    reason = why_not(architecture)
    if reason:
        raise ValueError(reason)
    stax = neural_tangents().stax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what its quadrature and sums assume: it holds here
        return stax.serial(
            _affine(stax, architecture),
            *_hidden(stax, architecture),
            _activated(stax, architecture),
            *_readout(stax, architecture),
        )


def why_not(architecture: Architecture) -> str | None:
    """Why neural-tangents has no kernel for an architecture, or None."""
    if architecture.unknown:
        return architecture.unknown
    if architecture.normalization == "batch":
        return "normalization: expected 'none' or 'layer' (batch norm couples the samples), received 'batch'"
    if architecture.normalization == "layer" and architecture.residual_scale is not None:
        return (
            "normalization: expected 'none' in a residual network, received 'layer' "
            "(neural-tangents normalises behind affine maps only)"
        )
    if isinstance(architecture.activation, str) and architecture.activation not in (*CLOSED, *QUADRATURE):
        known = ", ".join((*CLOSED, *QUADRATURE))
        return f"activation: expected one of {known}, or a callable, received {shown(architecture.activation)}"
    return None


def by_quadrature(architecture: Architecture) -> bool:
    """Whether the activation's dual is computed numerically, at ``NODES`` squared the memory."""
    return callable(architecture.activation) or architecture.activation in QUADRATURE


def _affine(stax: Any, spec: Architecture, gain: float = 1.0, *, dense: bool = False) -> Any:
    """An affine map, its output times ``gain``."""
    scale = {"W_std": gain * math.sqrt(spec.weight_variance), "b_std": gain * math.sqrt(spec.bias_variance)}
    if spec.kind == "fcn" or dense:
        return stax.Dense(1, **scale)
    return stax.Conv(1, (spec.kernel_size, spec.kernel_size), padding="CIRCULAR", **scale)


def _hidden(stax: Any, spec: Architecture) -> list[Any]:
    """The hidden layers behind the first, in a compiled loop: unrolled, compilation would take longer than the work."""
    layer, n = _layer(stax, spec), spec.depth - 1
    # A convolution transposes neural-tangents' layout of a kernel; a loop must leave it as it found it.
    together = 2 if spec.kind == "cnn" else 1
    loops = [stax.repeat(stax.serial(*[layer] * together), n // together)] if n >= together else []
    return loops + [layer] * (n % together)


def _layer(stax: Any, spec: Architecture) -> Any:
    if spec.residual_scale is None:
        return stax.serial(_activated(stax, spec), _affine(stax, spec))
    branch = stax.serial(_activated(stax, spec), _affine(stax, spec, spec.residual_scale))
    return stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum())


def _activated(stax: Any, spec: Architecture) -> Any:
    layers = [stax.LayerNorm(axis=-1)] if spec.normalization == "layer" else []
    layers.append(_activation(stax, spec))
    if spec.keep_rate < 1.0:
        layers.append(stax.Dropout(spec.keep_rate))
    return stax.serial(*layers)


def _readout(stax: Any, spec: Architecture) -> list[Any]:
    if spec.kind == "fcn":
        return [_affine(stax, spec)]
    return [stax.GlobalAvgPool() if spec.pooling else stax.Flatten(), _affine(stax, spec, dense=True)]


CLOSED = {
    "erf": "Erf",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "gelu": "Gelu",
    "sin": "Sin",
    "identity": "Identity",
}
"""Activations whose duals neural-tangents has in closed form, and what it calls them."""

QUADRATURE = {"tanh": jax.numpy.tanh, "silu": jax.nn.silu, "elu": jax.nn.elu}


def _activation(stax: Any, spec: Architecture) -> Any:
    if callable(spec.activation):
        return stax.ElementwiseNumerical(spec.activation, NODES)
    if spec.activation in QUADRATURE:
        return stax.ElementwiseNumerical(QUADRATURE[spec.activation], NODES)
    layer = getattr(stax, CLOSED[spec.activation])
    return layer(spec.slope) if spec.activation == "leaky_relu" else layer()
