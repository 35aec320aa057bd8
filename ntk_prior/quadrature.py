"""Dual of any activation by quadrature: a small table in (log q, log eps) that compiled code interpolates.

With ``eps = 1 - c`` and ``a = (u + v) / 2``, ``b = (u - v) / 2`` (independent Gaussians), the differences that the
recursion needs are means of squares, hence free of cancellation:

    T(q, 1) - T(q, c) = E[(phi(a + b) - phi(a - b))^2] / 2,    a ~ N(0, q (2 - eps) / 2), b ~ N(0, q eps / 2)

and the same with phi' for the derivative dual.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import shown

Array = NDArray[np.float64]
Phi = Callable[[Array], Array]

Q_SCALE, Q_MAX = 0.03, 1e4
N_Q, N_EPS = 52, 64
"""The q grid is even in log(1 + q / Q_SCALE) on [0, Q_MAX], the eps grid in
log(eps / (2 - eps + e)) with e = smallest_eps(q): dense at both ends, where bounded activations have their features."""

STENCIL = 8
"""Points of the local Lagrange interpolation in each direction."""

SMALLEST_GAP = 1e-3

TOLERANCE = 1e-6
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


# Layout of a table, one float64 array of shape (N_Q + 1, 3 + 2 N_EPS), so that compiled code passes one pointer.
# Row 0 holds the constants, row 1 + i the values at the i-th q:
OFFSET, BEND_POWER, GROWTH = 0, 1, 2
"""Constants: phi(0)^2; the leading power of the bend as q -> 0; p where T(q, 1) continues as q^p above Q_MAX."""
SECOND, GAIN, DEEP, CONTRACTION, BEND = 0, 1, 2, 3, 3 + N_EPS
"""Columns: (T(q, 1) - phi(0)^2) / q; Tdot(q, 1); the bend at eps = DEEP_FRACTION smallest_eps(q); then over eps the
contraction (T(q, 1) - T(q, c)) / (q eps) and the bend (Tdot(q, 1) - Tdot(q, c)) / eps / (q / (1 + q))^BEND_POWER."""
DEEP_FRACTION = 1e-3

EMPTY = np.zeros((1, 1))
"""Stands in where an activation has a closed form, so that compiled code sees one signature."""


def smallest_eps(q: float) -> float:
    """First eps of the table's row at ``q``; below it the differences follow their leading power."""
    return SMALLEST_GAP / (1.0 + q)


def eps_grid(q: float) -> Array:
    """The eps grid of the table's row at ``q``, shape (N_EPS,)."""
    start = smallest_eps(q)
    odds = np.geomspace(start / 2.0, 2.0 / start, N_EPS)
    return np.asarray(np.minimum(odds * (2.0 + start) / (1.0 + odds), 2.0))


def derivative(phi: Phi) -> Phi:
    """phi' by a fourth-order difference whose step shrinks towards 0, where a kink may sit."""

    def dphi(x: Array) -> Array:
        h = np.maximum(np.minimum(1e-3, np.abs(x) / 4), 1e-9)
        near, far = phi(x + h) - phi(x - h), phi(x + 2 * h) - phi(x - 2 * h)
        return np.asarray((8 * near - far) / (12 * h))

    return dphi


def _panels(low: Array, high: Array, count: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on ``count`` equal panels of [low, high], along a new last axis."""
    width = (high - low) / count
    position = (np.arange(count)[:, None] + (_NODES + 1) / 2).ravel()
    nodes = low[..., None] + width[..., None] * position
    return nodes, width[..., None] / 2 * np.tile(_WEIGHTS, count)


def _gaussian(x: Array, sigma: float) -> Array:
    return np.asarray(np.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))


def _half_line(sigma: float, panels: int) -> tuple[Array, Array]:
    """Nodes x > 0 and Gaussian weights, dense around 0 on the scale min(1, sigma)."""
    scale = min(1.0, sigma)
    t, w = _panels(np.zeros(()), np.asarray(math.asinh(9 * sigma / scale)), panels)
    x = scale * np.sinh(t)
    return x, w * scale * np.cosh(t) * _gaussian(x, sigma)


def mean_square(phi: Phi, q: float, panels: int = 12) -> float:
    """E[phi(sqrt(q) z)^2] for standard normal z."""
    x, w = _half_line(math.sqrt(q), panels)
    return float(np.sum(w * (phi(x) ** 2 + phi(-x) ** 2)))


def differences(phi: Phi, dphi: Phi, q: float, eps: float, panels: int = 3) -> tuple[float, float]:
    """T(q, 1) - T(q, c) and Tdot(q, 1) - Tdot(q, c) at one (q, eps).

    On ``a > 0`` the features of the integrand lie around ``a = b`` (where v = 0); nodes are dense there.
    """
    sigma_a, sigma_b = math.sqrt(q * (2 - eps) / 2), math.sqrt(q * eps / 2)
    b, weight_b = _half_line(sigma_b, panels + 1)
    scale = min(1.0, max(sigma_a, sigma_b))
    low, high = -np.arcsinh(b / scale), np.arcsinh((9 * sigma_a - b) / scale)
    middle = np.clip(0.0, low, high)
    sides = [_panels(low, middle, panels), _panels(middle, high, panels)]
    t, w = (np.concatenate(parts, axis=-1) for parts in zip(*sides, strict=True))
    a, b = b[:, None] + scale * np.sinh(t), b[:, None]
    weight = weight_b[:, None] * w * scale * np.cosh(t) * _gaussian(a, sigma_a)
    totals = []
    for f in (phi, dphi):
        square = (f(a + b) - f(a - b)) ** 2 + (f(-a + b) - f(-a - b)) ** 2
        totals.append(float(np.sum(weight * square)))
    return totals[0], totals[1]


def tabulate(phi: Phi, dphi: Phi) -> Array:
    """Tabulate the dual of ``phi``.

    Args:
        phi: Activation on float64 arrays, with features on the scale |x| ~ 1 and at most a kink at 0.
        dphi: Its derivative.

    Returns:
        The table, in the layout above.

    Raises:
        ValueError: If ``phi`` returns another shape or non-finite values, or varies too fast for the quadrature.
    """
    _check(phi, dphi)
    offset = float(phi(np.zeros(1))[0]) ** 2
    q_grid = Q_SCALE * np.expm1(np.linspace(0.0, np.log1p(Q_MAX / Q_SCALE), N_Q))
    # The row q = 0 is a limit; subtracting an offset asks for a larger stand-in than a pure power does.
    q_grid[0] = 1e-6 if offset else 1e-12
    power = _bend_power(phi, dphi)
    table = np.zeros((N_Q + 1, 3 + 2 * N_EPS))
    for i, q in enumerate(q_grid, start=1):
        table[i, SECOND], table[i, GAIN] = (mean_square(phi, q) - offset) / q, mean_square(dphi, q)
        # The bend is of second order: at q = 0 its limit needs a larger stand-in.
        bent = max(q, 1e-6)
        scale = (bent / (1.0 + bent)) ** power
        deep = DEEP_FRACTION * smallest_eps(q)
        table[i, DEEP] = differences(phi, dphi, bent, deep)[1] / (deep * scale)
        for j, eps in enumerate(eps_grid(q)):
            # At eps = 2 exactly, a is 0 with certainty: step aside by less than the interpolation resolves.
            eps = min(eps, 2.0 - 1e-9)
            d_t, d_d = differences(phi, dphi, q, eps)
            if bent > q:
                d_d = differences(phi, dphi, bent, eps)[1]
            table[i, CONTRACTION + j], table[i, BEND + j] = d_t / (q * eps), d_d / (eps * scale)
    slope = 1 + math.log(table[-1, SECOND] / table[-2, SECOND]) / math.log(q_grid[-1] / q_grid[-2])
    table[0, [OFFSET, BEND_POWER, GROWTH]] = offset, power, round(2 * slope) / 2
    return table


def _bend_power(phi: Phi, dphi: Phi) -> float:
    low, high = (max(differences(phi, dphi, q, 1.0)[1], 1e-290) for q in (1e-4, 2e-4))
    return float(min(max(round(math.log2(high / low)), 0), 2))


def _check(phi: Phi, dphi: Phi) -> None:
    """Refuse activations that the rule does not resolve, before the table is built."""
    probe = np.linspace(-100.0, 100.0, 7)
    value = np.asarray(phi(probe))
    if value.shape != probe.shape or not np.all(np.isfinite(value)):
        raise ValueError(
            f"activation: expected finite values of shape {probe.shape} on [-100, 100], received {shown(value)}; "
            "pass an elementwise function"
        )
    if np.ptp(np.asarray(phi(np.linspace(-3.0, 3.0, 13)))) == 0.0:
        raise ValueError("activation: expected a function that is not constant, received a constant one")
    for q, eps in ((0.1, 0.5), (1.0, 0.01), (30.0, 0.3), (1000.0, 1.0)):
        coarse, fine = differences(phi, dphi, q, eps), differences(phi, dphi, q, eps, panels=8)
        for rough, exact in zip(coarse, fine, strict=True):
            if not abs(rough - exact) <= 10 * TOLERANCE * abs(exact) + 1e-14:
                raise ValueError(
                    f"activation: expected features on the scale |x| ~ 1 and no kink except at 0, but quadrature at "
                    f"q={q:g}, c={1 - eps:g} gives {rough:.9g} and {exact:.9g}; name the activation if it is "
                    "built in, or rescale it"
                )
