"""Activations by name or as functions, and what compiled code needs to know of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from ntk_prior._types import Array
from ntk_prior.architecture import ACTIVATIONS
from ntk_prior.checks import shown
from ntk_prior.theory.dual_table import EMPTY, derivative, sampled, tabulate

ERF, RECTIFIER, SIN, GELU, TABULATED = 0, 1, 2, 3, 4


class Dual(NamedTuple):
    """Everything compiled code needs to evaluate T and Tdot of one activation.

    Attributes:
        code: Which closed form (``ERF``, ``RECTIFIER``, ``SIN``, ``GELU``) or ``TABULATED``.
        slope: Negative slope of the rectifier family: 0 is ReLU, 1 the identity.
        table: The tabulated dual in ``quadrature``'s layout; ``EMPTY`` for a closed form.
    """

    code: int
    slope: float
    table: Array


def _gate(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0.0, 1.0, small) / (1.0 + small))


def _silu(x: Array) -> Array:
    return x * _gate(x)


def _silu_derivative(x: Array) -> Array:
    gate = _gate(x)
    return gate * (1 + x * (1 - gate))


def _elu(x: Array) -> Array:
    return np.asarray(np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0))))


def _elu_derivative(x: Array) -> Array:
    return np.asarray(np.exp(np.minimum(x, 0.0)))


def _tanh_derivative(x: Array) -> Array:
    return np.asarray(1 / np.cosh(np.clip(x, -300, 300)) ** 2)


_CLOSED = {
    "erf": (ERF, 0.0),
    "relu": (RECTIFIER, 0.0),
    "identity": (RECTIFIER, 1.0),
    "sin": (SIN, 0.0),
    "gelu": (GELU, 0.0),
}
_SMOOTH: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "tanh": (np.tanh, _tanh_derivative),
    "silu": (_silu, _silu_derivative),
    "elu": (_elu, _elu_derivative),
}


def is_known(activation: str | Callable[[Any], Any]) -> bool:
    """Whether the theory covers ``activation``: a built-in name or any callable."""
    return callable(activation) or activation in ACTIVATIONS


def is_odd(activation: str | Callable[[Any], Any]) -> bool:
    """Whether phi(-x) = -phi(x)."""
    if callable(activation):
        x = np.linspace(0.0, 5.0, 26)
        positive, negative = (np.asarray(activation(sign * x), dtype=np.float64) for sign in (1.0, -1.0))
        return bool(np.allclose(positive, -negative, rtol=1e-5, atol=1e-6))
    return activation in ("erf", "tanh", "sin", "identity")


def dual(activation: str | Callable[[Any], Any], slope: float = 0.0) -> Dual:
    """The dual of an activation.

    Args:
        activation: A name of ``ACTIVATIONS``, or a callable on arrays (NumPy or JAX), tabulated once per process.
        slope: Negative slope, for ``"leaky_relu"`` only.

    Raises:
        ValueError: If the name is unknown, or the callable is not an elementwise function that the quadrature
            resolves.
    """
    if callable(activation):
        return Dual(TABULATED, 0.0, _tabulated_callable(activation))
    if activation == "leaky_relu":
        return Dual(RECTIFIER, slope, EMPTY)
    if activation in _CLOSED:
        code, own_slope = _CLOSED[activation]
        return Dual(code, own_slope, EMPTY)
    if activation in _SMOOTH:
        return Dual(TABULATED, 0.0, _tabulated_name(activation))
    raise ValueError(
        f"activation: expected one of {', '.join(ACTIVATIONS)} or a callable, received {shown(activation)}"
    )


@cache
def _tabulated_name(name: str) -> Array:
    return tabulate(*sampled(*_SMOOTH[name]))


@lru_cache(maxsize=64)
def _tabulated_callable(function: Callable[[Any], Any]) -> Array:
    def phi(x: Array) -> Array:
        return np.asarray(function(x), dtype=np.float64)

    with _float64_for_jax():
        return tabulate(*sampled(phi, derivative(phi)))


def _float64_for_jax() -> Any:
    """JAX functions silently compute in float32 by default; only if the user has JAX loaded can one be passed."""
    import sys
    from contextlib import nullcontext

    jax = sys.modules.get("jax")
    return nullcontext() if jax is None else jax.enable_x64(True)
