"""Dual of any activation by quadrature, and as polynomials on small cells of (q, eps) that compiled code evaluates.

With ``eps = 1 - c`` and ``a = (u + v) / 2``, ``b = (u - v) / 2`` (independent Gaussians), the differences that the
recursion needs are means of squares, hence free of cancellation:

    T(q, 1) - T(q, c) = E[(phi(a + b) - phi(a - b))^2] / 2,    a ~ N(0, q (2 - eps) / 2), b ~ N(0, q eps / 2)

and the same with phi' for the derivative dual.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.checks import shown

Phi = Callable[[Array], Array]

N_Q, N_EPS = 52, 64
"""Points of the quadrature: even in log(1 + q / Q_SCALE), and in log(odds) with odds = eps / (2 - eps + MARGIN), which
is dense at both ends of [0, 2], where bounded activations have their features."""

STENCIL = 10
"""Points of the local Lagrange interpolation between them, in each direction."""

Q_OCTAVES, EPS_OCTAVES = 18, 48
"""Powers of 2 that 1 + q / Q_SCALE covers from 1, and the odds around 1."""

Q_SPLIT, EPS_SPLIT = 3, 1
"""Each of them is halved this many times, evenly; in each cell the dual is one polynomial in q and the odds."""

Q_MAX = 1e4
# A little more than the cells of the largest q and eps end at, so that these do not open cells of their own.
Q_SCALE = 1.0001 * Q_MAX / (2.0**Q_OCTAVES - 1.0)
MARGIN = 1.001 * 2.0 ** (1 - EPS_OCTAVES // 2)
LOWEST_ODDS = 2.0 ** (-EPS_OCTAVES // 2)

_LOG_Q_STEP = (math.log(2.0) * Q_OCTAVES + 1.0) / (N_Q - 1)
"""The quadrature goes on beyond Q_MAX, whose neighbourhood is interpolated as well as the rest."""

TOLERANCE = 1e-6
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


# Layout of a table, one float64 array of shape (1 + cells, BLOCK), so that compiled code passes one pointer. Row 0
# holds the constants; then come, for each cell of q, a row of polynomials in q alone and one for each cell of the odds:
OFFSET, BEND_POWER, GROWTH = 0, 1, 2
"""Constants: phi(0)^2; the leading power of the bend as q -> 0; p where T(q, 1) continues as q^p above Q_MAX. For a
bounded activation, where p = 0, the table holds ``SECOND`` and the contraction times 1 + q, which tend to constants."""
Q_TERMS, EPS_TERMS = 4, 6
"""Coefficients of a polynomial in the position inside a cell, 0 to 1, constants first."""
ALONE_TERMS = 6
"""The same in the rows of q alone."""
SECOND, GAIN, POWER = 0, ALONE_TERMS, 2 * ALONE_TERMS
"""Where the coefficients of (T(q, 1) - phi(0)^2) / q begin, of Tdot(q, 1), and of the power of eps that the bend
follows below the lowest odds."""
LANES = 2 * Q_TERMS
"""Coefficients over q of one power of the odds: of the contraction (T(q, 1) - T(q, c)) / (q eps), then of the bend
(Tdot(q, 1) - Tdot(q, c)) / eps / (q / (1 + q))^BEND_POWER."""
BLOCK = EPS_TERMS * LANES
Q_CELLS, EPS_CELLS = Q_OCTAVES << Q_SPLIT, EPS_OCTAVES << EPS_SPLIT

_DEEP_FRACTION = 1e-3
"""The bend below the lowest odds is asked for at its eps and at this share of it."""

EMPTY = np.zeros((1, 1))
"""Stands in where an activation has a closed form, so that compiled code sees one signature."""


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


def _gaussian(x: Array, sigma: Array) -> Array:
    return np.asarray(np.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))


def _half_line(sigma: Array, panels: int) -> tuple[Array, Array]:
    """Nodes x > 0 and Gaussian weights along a new last axis, dense around 0 on the scale min(1, sigma)."""
    scale = np.minimum(1.0, sigma)
    t, w = _panels(np.zeros_like(sigma), np.arcsinh(9 * sigma / scale), panels)
    x = scale[..., None] * np.sinh(t)
    return x, w * scale[..., None] * np.cosh(t) * _gaussian(x, sigma[..., None])


def mean_square(phi: Phi, q: float, panels: int = 12) -> float:
    """E[phi(sqrt(q) z)^2] for standard normal z."""
    x, w = _half_line(np.asarray(math.sqrt(q)), panels)
    return float(np.sum(w * (phi(x) ** 2 + phi(-x) ** 2)))


def differences(phi: Phi, dphi: Phi, q: float, eps: Array, panels: int = 3) -> tuple[Array, Array]:
    """T(q, 1) - T(q, c) and Tdot(q, 1) - Tdot(q, c) at one q, for each eps, shape (n,).

    On ``a > 0`` the features of the integrand lie around ``a = b`` (where v = 0); nodes are dense there.
    """
    sigma_a, sigma_b = np.sqrt(q * (2 - eps) / 2)[:, None], np.sqrt(q * eps / 2)
    b, weight_b = _half_line(sigma_b, panels + 1)
    scale = np.minimum(1.0, np.maximum(sigma_a, sigma_b[:, None]))
    low, high = -np.arcsinh(b / scale), np.arcsinh((9 * sigma_a - b) / scale)
    middle = np.clip(0.0, low, high)
    sides = [_panels(low, middle, panels), _panels(middle, high, panels)]
    t, w = (np.concatenate(parts, axis=-1) for parts in zip(*sides, strict=True))
    b, scale = b[..., None], scale[..., None]
    a = b + scale * np.sinh(t)
    weight = weight_b[..., None] * w * scale * np.cosh(t) * _gaussian(a, sigma_a[..., None])
    plus, minus = a + b, a - b
    # Of an odd or even function both signs of a are the same.
    mirrored = not _is_symmetric(phi)
    totals = []
    for f in (phi, dphi):
        square = (f(plus) - f(minus)) ** 2
        square = square + (f(-minus) - f(-plus)) ** 2 if mirrored else 2.0 * square
        totals.append(np.sum(weight * square, axis=(1, 2)))
    return totals[0], totals[1]


def _is_symmetric(phi: Phi) -> bool:
    x = np.linspace(0.0, 40.0, 201)
    return np.array_equal(np.abs(phi(x)), np.abs(phi(-x)))


def sampled(phi: Phi, dphi: Phi) -> tuple[Array, Array]:
    """The dual of ``phi`` by quadrature.

    Args:
        phi: Activation on float64 arrays, with features on the scale |x| ~ 1 and at most a kink at 0.
        dphi: Its derivative.

    Returns:
        Three constants (``OFFSET``, ``BEND_POWER``, ``GROWTH``); and for each q of the grid the pieces over q alone
        (``SECOND``, ``GAIN``, ``POWER``) and then over eps (the contractions, the bends), shape (N_Q, 3 + 2 N_EPS).

    Raises:
        ValueError: If ``phi`` returns another shape or non-finite values, or varies too fast for the quadrature.
    """
    _check(phi, dphi)
    offset = float(phi(np.zeros(1))[0]) ** 2
    power = _bend_power(phi, dphi)
    # At eps = 2 exactly, a is 0 with certainty: step aside by less than the interpolation resolves.
    eps = np.minimum(_eps_of(np.exp(_log_odds_grid())), 2.0 - 1e-9)
    deep = np.append(_DEEP_FRACTION * eps[0], eps)
    rows = np.empty((N_Q, 3 + 2 * N_EPS))
    q_grid = Q_SCALE * np.expm1(_LOG_Q_STEP * np.arange(N_Q))
    # The row q = 0 is a limit; subtracting an offset asks for a larger stand-in than a pure power does.
    q_grid[0] = 1e-6 if offset else 1e-12
    for q, row in zip(q_grid, rows, strict=True):
        # The bend is of second order: at q = 0 its limit needs a larger stand-in.
        bent = max(q, 1e-6)
        parts = [differences(phi, dphi, bent, part) for part in np.array_split(deep, 9)]
        d_t, bend = np.concatenate([part[0] for part in parts])[1:], np.concatenate([part[1] for part in parts]) / deep
        if bent > q:
            d_t = differences(phi, dphi, q, eps)[0]
        steepness = _steepness(bend[0], bend[1])
        row[:3] = (mean_square(phi, q) - offset) / q, mean_square(dphi, q), steepness
        row[3 : 3 + N_EPS], row[3 + N_EPS :] = d_t / (q * eps), bend[1:] / (bent / (1.0 + bent)) ** power
    slope = 1 + math.log(rows[-1, 0] / rows[-2, 0]) / math.log(q_grid[-1] / q_grid[-2])
    return np.array([offset, power, round(2 * slope) / 2]), rows


def _steepness(deep: float, bend: float) -> float:
    """The power of eps that the bend follows towards eps = 0: 0 for a smooth phi', -1/2 for one that jumps."""
    power = math.log(deep / bend) / math.log(_DEEP_FRACTION) if deep > 0.0 and bend > 0.0 else 0.0
    return next((exact for exact in (0.0, -0.5) if abs(power - exact) < 0.05), min(power, 0.0))


def tabulate(constants: Array, rows: Array) -> Array:
    """A table, in the layout above, of the polynomials that ``sampled`` values lie on."""
    q_map, alone_map = (
        _coefficients(_LOG_Q_STEP * np.arange(N_Q), 0, Q_OCTAVES, Q_SPLIT, terms) for terms in (Q_TERMS, ALONE_TERMS)
    )
    eps_map = _coefficients(_log_odds_grid(), -EPS_OCTAVES // 2, EPS_OCTAVES, EPS_SPLIT, EPS_TERMS)
    table = np.zeros((1 + Q_CELLS * (1 + EPS_CELLS), BLOCK))
    table[0, : len(constants)] = constants
    cells = table[1:].reshape(Q_CELLS, 1 + EPS_CELLS, BLOCK)
    rows = rows.copy()
    if constants[GROWTH] == 0.0:
        growing = 1.0 + Q_SCALE * np.expm1(_LOG_Q_STEP * np.arange(N_Q))[:, None]
        rows[:, :1] *= growing
        rows[:, 3 : 3 + N_EPS] *= growing
    cells[:, 0, : 3 * ALONE_TERMS] = np.swapaxes(alone_map @ rows[:, :3], 1, 2).reshape(Q_CELLS, -1)
    blocks = cells[:, 1:].reshape(Q_CELLS, EPS_CELLS, EPS_TERMS, LANES)
    for lane, part in ((0, rows[:, 3 : 3 + N_EPS]), (Q_TERMS, rows[:, 3 + N_EPS :])):
        over_both = (q_map @ part).reshape(-1, N_EPS) @ eps_map.reshape(-1, N_EPS).T
        over_both = over_both.reshape(Q_CELLS, Q_TERMS, EPS_CELLS, EPS_TERMS)
        blocks[..., lane : lane + Q_TERMS] = over_both.transpose(0, 2, 3, 1)
    return table


def _log_odds_grid() -> Array:
    return np.linspace(-0.5, 0.5, N_EPS) * EPS_OCTAVES * math.log(2.0)


def _eps_of(odds: Array) -> Array:
    return np.asarray(odds * (2.0 + MARGIN) / (1.0 + odds))


def _coefficients(grid: NDArray[np.floating[Any]], first: int, octaves: int, split: int, terms: int) -> Array:
    """Polynomial coefficients in each cell, as sums over values on an even grid of logarithms.

    Args:
        grid: The logarithms, shape (n,).
        first: Power of 2 that the first cell begins at.
        octaves: Powers of 2 that the cells cover.
        split: How often each is halved.
        terms: Coefficients of each polynomial.

    Returns:
        Shape (cells, terms, n).
    """
    # Interpolated from the grid at Chebyshev nodes of each cell.
    inside = 0.5 - 0.5 * np.cos(math.pi * (np.arange(terms) + 0.5) / terms)
    cell = np.arange(octaves << split)[:, None]
    octave, part = np.divmod(cell, 1 << split)
    at = np.log(2.0 ** (first + octave) * (1.0 + (part + inside) / (1 << split)))
    position = ((at - grid[0]) / (grid[1] - grid[0])).ravel()
    weights = np.zeros((position.size, grid.size))
    start = np.clip(position.astype(int) - STENCIL // 2 + 1, 0, grid.size - STENCIL)
    columns = start[:, None] + np.arange(STENCIL)
    for i in range(STENCIL):
        others = np.delete(np.arange(STENCIL), i)
        factors = (position[:, None] - start[:, None] - others) / (i - others)
        weights[np.arange(position.size), columns[:, i]] = np.prod(factors, axis=1)
    to_powers = np.linalg.inv(np.vander(inside, increasing=True))
    return np.asarray(to_powers @ weights.reshape(cell.size, terms, grid.size))


def _bend_power(phi: Phi, dphi: Phi) -> float:
    low, high = (max(float(differences(phi, dphi, q, np.ones(1))[1][0]), 1e-290) for q in (1e-4, 2e-4))
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
        at = np.array([eps])
        coarse, fine = differences(phi, dphi, q, at), differences(phi, dphi, q, at, panels=8)
        for (rough,), (exact,) in zip(coarse, fine, strict=True):
            if not abs(rough - exact) <= 10 * TOLERANCE * abs(exact) + 1e-14:
                raise ValueError(
                    f"activation: expected features on the scale |x| ~ 1 and no kink except at 0, but quadrature at "
                    f"q={q:g}, c={1 - eps:g} gives {rough:.9g} and {exact:.9g}; name the activation if it is "
                    "built in, or rescale it"
                )
