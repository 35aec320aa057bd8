"""Duals of activation functions: the Gaussian expectations that carry a kernel through one layer.

For jointly Gaussian (u, v) of variance q and correlation c = 1 - eps,

    T(q, c) = E[phi(u) phi(v)],    Tdot(q, c) = E[phi'(u) phi'(v)].

Both sides of every difference share the diagonal, so the recursion carries ``eps`` and asks for
``T(q, 1) - T(q, c)`` and ``Tdot(q, 1) - Tdot(q, c)`` directly; each formula below is free of cancellation for all
eps in [0, 2]. Erf: Williams (1997). ReLU: the arc-cosine kernel of Cho and Saul (2009), degree 1 and 0. GELU: Tsuchida
et al. (2021), arXiv 2002.08517, section 3.2.
"""

from __future__ import annotations

import math

import numpy as np

from ntk_prior._types import Array
from ntk_prior.theory.activations import ERF, GELU, RECTIFIER, SIN
from ntk_prior.theory.dual_table import (
    ALONE_TERMS,
    BEND_POWER,
    EPS_CELLS,
    EPS_OCTAVES,
    EPS_SPLIT,
    GAIN,
    GROWTH,
    LANES,
    LOWEST_ODDS,
    MARGIN,
    OFFSET,
    POWER,
    Q_MAX,
    Q_SCALE,
    Q_SPLIT,
    Q_TERMS,
    SECOND,
)
from ntk_prior.theory.jit import entry, inlined, inner, inner_summing

# Loops over nodes are branch-free so that LLVM turns them into vector instructions.


def _arctan_coefficients() -> tuple[float, ...]:
    """arctan(r) / r in powers of r^2, to the last bit on |r| <= tan(pi / 8)."""
    fit = np.polynomial.Chebyshev.interpolate(
        lambda z: np.where(z > 0, np.arctan(np.sqrt(np.maximum(z, 1e-300))) / np.sqrt(np.maximum(z, 1e-300)), 1.0),
        12,
        domain=[0.0, 0.1716],
    )
    return tuple(float(c) for c in fit.convert(kind=np.polynomial.Polynomial).coef)


_A = _arctan_coefficients()
_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8, _A9, _A10, _A11, _A12 = _A
_TAN_PI_8 = math.sqrt(2.0) - 1.0
_TAN_3PI_8 = math.sqrt(2.0) + 1.0


@inlined
def arctan(y: float, x: float) -> float:
    """arctan(y / x) for x, y >= 0, branch-free with one division (libm's would keep the loops from vectorising)."""
    high, middle = y > _TAN_3PI_8 * x, y > _TAN_PI_8 * x
    top = -x if high else (y - x if middle else y)
    bottom = y if high else (y + x if middle else x)
    base = 0.5 * math.pi if high else (0.25 * math.pi if middle else 0.0)
    r = top / bottom
    z = r * r
    z2 = z * z
    z4 = z2 * z2
    # Estrin's scheme: the same polynomial as Horner's with a third of its latency.
    low = (_A0 + _A1 * z) + z2 * (_A2 + _A3 * z)
    mid = (_A4 + _A5 * z) + z2 * (_A6 + _A7 * z)
    end = (_A8 + _A9 * z) + z2 * (_A10 + _A11 * z) + z4 * _A12
    return base + r * (low + z4 * (mid + z4 * end))


# Where each dual keeps, in its scratch row, what all correlations at one q share.
_ERF_COS, _ERF_COS_2, _ERF_TOP, _ERF_INVERSE_Q, _ERF_GAIN = range(5)
"""With the angle A of c = 1: cos A and its square, sin A, 4 / (pi q), and Tdot(q, 1)."""
_RECTIFIER_SLOPE = 0
_SIN_Q = 0
_GELU_Q, _GELU_INVERSE_S, _GELU_ROOT, _GELU_ORTHANT = range(4)
"""q, 1 / (1 + q), sqrt(1 + 2 q), and pi / 2 plus the angle A with sin A = q / (1 + q)."""
_TABLE_FIRST, _TABLE_GAIN, _TABLE_POWER, _TABLE_INVERSE = range(4)
"""First line of the table at this q, Tdot(q, 1), the power of the bend near c = 1, and 1 / (2 + that power)."""
_TABLE_CONTRACTION = 8
_TABLE_BEND = _TABLE_CONTRACTION + LANES
"""From here on, the weights of the columns that T's and Tdot's differences are made of, shape (LANES,) each."""

ROW = _TABLE_BEND + LANES
"""Size of the scratch row."""

LAYER_WORK = ROW + 3
"""Size of the scratch of ``layer``."""


@inner
def _erf_at(q: float, row: Array) -> tuple[float, float]:
    root, inverse_w, inverse_q = math.sqrt(1.0 + 4.0 * q), 1.0 / (1.0 + 2.0 * q), 4.0 / math.pi / q
    cos_a, gain = root * inverse_w, 4.0 / math.pi / root
    row[_ERF_COS], row[_ERF_COS_2], row[_ERF_TOP] = cos_a, cos_a * cos_a, 2.0 * q * inverse_w
    row[_ERF_INVERSE_Q], row[_ERF_GAIN] = inverse_q, gain
    return 0.5 * inverse_q * arctan(2.0 * q, root), gain


@inner
def _erf_gaps(row: Array, eps: Array, n: int, d_t: Array, d_d: Array) -> None:
    cos_a, cos_a2, top = row[_ERF_COS], row[_ERF_COS_2], row[_ERF_TOP]
    inverse_q, gain = row[_ERF_INVERSE_Q], row[_ERF_GAIN]
    for j in range(n):
        e = eps[j]
        gap2 = top * top * e * (2.0 - e)  # sin(A)^2 - sin(B)^2, the angles whose difference T needs
        cos_b = math.sqrt(cos_a2 + gap2)
        cosines = cos_a + cos_b
        d_t[j] = inverse_q * arctan(top * e, cosines)  # tan((A - B) / 2)
        d_d[j] = gain * gap2 / (cos_b * cosines)


@inner
def _rectifier_gaps(slope: float, eps: Array, n: int, d_t: Array, d_d: Array) -> None:
    bend = (1.0 - slope) * (1.0 - slope)
    for j in range(n):
        e = eps[j]
        theta = 2.0 * arctan(math.sqrt(e), math.sqrt(2.0 - e))
        s = theta * theta
        series = theta * s / 3.0 * (1.0 - s / 10.0 * (1.0 - s / 28.0 * (1.0 - s / 54.0)))
        direct = math.sqrt(e * (2.0 - e)) - theta * (1.0 - e)  # sin(theta) - theta cos(theta)
        arc = series if theta < 0.1 else direct
        d_t[j] = slope * e + 0.5 * bend * (e - arc / math.pi)
        d_d[j] = 0.5 * bend * theta / math.pi


@inner
def _sin_gaps(q: float, eps: Array, n: int, d_t: Array, d_d: Array) -> None:
    for j in range(n):
        e = eps[j]
        near, far = -math.expm1(-q * e), -math.expm1(-q * (2.0 - e))
        d_t[j] = (1.0 - 0.5 * far) * (near / q)
        d_d[j] = 0.5 * far * near


@inner
def _gelu_at(q: float, row: Array) -> tuple[float, float]:
    root, inverse_s = math.sqrt(1.0 + 2.0 * q), 1.0 / (1.0 + q)
    slope = q / root  # tan(A) with sin(A) = q / (1 + q)
    orthant = 0.5 * math.pi + arctan(q, root)
    row[_GELU_Q], row[_GELU_INVERSE_S], row[_GELU_ROOT], row[_GELU_ORTHANT] = q, inverse_s, root, orthant
    gain = orthant + slope * (2.0 * inverse_s + 1.0 / (root * root))
    return 0.5 / math.pi * (orthant + 2.0 * inverse_s * slope), 0.5 / math.pi * gain


@inner
def _gelu_gaps(row: Array, eps: Array, n: int, d_t: Array, d_d: Array) -> None:
    q, inverse_s, root, orthant = row[_GELU_Q], row[_GELU_INVERSE_S], row[_GELU_ROOT], row[_GELU_ORTHANT]
    inverse_r1 = 1.0 / root
    for j in range(n):
        e = eps[j]
        r = math.sqrt(1.0 + q * e) * math.sqrt(1.0 + q * (2.0 - e))
        inverse_r = 1.0 / r
        u = q * e / (r + root)  # tan(D / 2), where D is the angle that A loses
        angle = arctan(u, 1.0)
        u2 = u * u
        series = u * u2 * (1.0 / 3.0 - u2 * (0.2 - u2 * (1.0 / 7.0 - u2 / 9.0)))
        lag = series if u < 0.03 else u - angle
        # Two ways to write the same: at large q, u alone cancels against D near c = 1, and against itself near c = -1.
        near = u * (4.0 - 3.0 * e - q * e) * inverse_s - 2.0 * (1.0 - e) * lag
        far = u * (2.0 - e) * (1.0 - q) * inverse_s + 2.0 * (1.0 - e) * angle
        d_t[j] = 0.5 / math.pi * (e * orthant + (near if e < 1.0 else far) + u * (2.0 - e) * inverse_r * inverse_r1)
        g = u * q * (2.0 - e) * inverse_r * inverse_r1  # 1 / root - 1 / r
        cubes = (
            g * (inverse_r1 * (inverse_r1 + inverse_r) + inverse_r * inverse_r) + e * inverse_r * inverse_r * inverse_r
        )
        d_d[j] = 0.5 / math.pi * (2.0 * angle + q * (2.0 * inverse_s * (g + e * inverse_r) + cubes))


# The leading bits of a float are its power of 2 and which of the even parts up to the next one it lies in; the others
# say where in that part.
_Q_BITS, _EPS_BITS = 52 - Q_SPLIT, 52 - EPS_SPLIT
_Q_PLACE, _EPS_PLACE = (1 << _Q_BITS) - 1, (1 << _EPS_BITS) - 1
_Q_SHARE, _EPS_SHARE = 0.5**_Q_BITS, 0.5**_EPS_BITS
_Q_FIRST = 1023 << Q_SPLIT
"""Leading bits of 1.0."""
_EPS_FIRST = (1023 - EPS_OCTAVES // 2) << EPS_SPLIT
"""Leading bits of the lowest odds."""
_LOWEST_EPS = LOWEST_ODDS * (2.0 + MARGIN) / (1.0 + LOWEST_ODDS)


@inner
def _tabulated_at(table: Array, q: float, row: Array) -> tuple[float, float]:
    inside = min(q, Q_MAX)
    growth, bend_power, inverse = table[0, GROWTH], table[0, BEND_POWER], 1.0 / (1.0 + inside)
    beyond = (q / inside) ** (growth - 1.0) if q > Q_MAX and growth != 1.0 else 1.0
    flat = beyond * (inverse if growth == 0.0 else 1.0)
    lean = inside * inverse if bend_power > 0.0 else 1.0
    lean *= beyond * (lean if bend_power > 1.0 else 1.0)
    bits = np.float64(1.0 + inside * (1.0 / Q_SCALE)).view(np.int64)
    first = 1 + ((bits >> _Q_BITS) - _Q_FIRST) * (1 + EPS_CELLS)
    over_q = table[first]
    t, t_k = (bits & _Q_PLACE) * _Q_SHARE, 1.0
    t_1 = d_1 = power = 0.0
    for k in range(ALONE_TERMS):
        t_1 += t_k * over_q[SECOND + k]
        d_1 += t_k * over_q[GAIN + k]
        power += t_k * over_q[POWER + k]
        t_k *= t
    t_k = 1.0
    for k in range(Q_TERMS):
        row[_TABLE_CONTRACTION + k], row[_TABLE_CONTRACTION + Q_TERMS + k] = flat * t_k, 0.0
        row[_TABLE_BEND + k], row[_TABLE_BEND + Q_TERMS + k] = 0.0, lean * t_k
        t_k *= t
    row[_TABLE_FIRST], row[_TABLE_GAIN] = first, beyond * d_1
    row[_TABLE_POWER], row[_TABLE_INVERSE] = power, 1.0 / (2.0 + power)
    return table[0, OFFSET] / q + flat * t_1, beyond * d_1


@inner_summing
def _tabulated_gaps(table: Array, row: Array, eps: Array, n: int, d_t: Array, d_d: Array) -> None:
    first, gain = int(row[_TABLE_FIRST]) + 1 - _EPS_FIRST, row[_TABLE_GAIN]
    power, inverse = row[_TABLE_POWER], row[_TABLE_INVERSE]
    contraction, bend = row[_TABLE_CONTRACTION:_TABLE_BEND], row[_TABLE_BEND:ROW]
    # Divisions in a loop of their own do not make the lookups wait.
    for j in range(n):
        d_t[j] = max(eps[j] / (2.0 - eps[j] + MARGIN), LOWEST_ODDS)
    for j in range(n):
        bits = np.float64(d_t[j]).view(np.int64)
        block = table[first + (bits >> _EPS_BITS)]
        x = (bits & _EPS_PLACE) * _EPS_SHARE
        x2 = x * x
        g = b = 0.0
        # As many lanes as there are in two vectors; half of the weights are 0, which costs less than two loops.
        for k in range(contraction.size):
            low, high = block[k] + x * block[LANES + k], block[2 * LANES + k] + x * block[3 * LANES + k]
            value = low + x2 * (high + x2 * (block[4 * LANES + k] + x * block[5 * LANES + k]))
            g += contraction[k] * value
            b += bend[k] * value
        e = eps[j]
        if e < _LOWEST_EPS:
            # The bend of a smooth phi' is constant, that of a kinked one a power; the contraction is its integral.
            b *= (max(e, 1e-300) / _LOWEST_EPS) ** power if power < 0.0 else 1.0
            g = gain - b * e * inverse
        d_t[j] = g * e
        d_d[j] = b * e


@inner
def diagonal(code: int, slope: float, table: Array, q: float, row: Array) -> tuple[float, float]:
    """A dual at one variance.

    Args:
        code, slope, table: The fields of a ``Dual``.
        q: The diagonal K_aa > 0.
        row: Out: what ``differences`` needs at this q, shape (ROW,).

    Returns:
        T(q, 1) / q and Tdot(q, 1).
    """
    if code == ERF:
        return _erf_at(q, row)
    if code == RECTIFIER:
        row[_RECTIFIER_SLOPE] = slope
        return slope + 0.5 * (1.0 - slope) ** 2, slope + 0.5 * (1.0 - slope) ** 2
    if code == SIN:
        row[_SIN_Q] = q
        return -0.5 * math.expm1(-2.0 * q) / q, 0.5 * (1.0 + math.exp(-2.0 * q))
    if code == GELU:
        return _gelu_at(q, row)
    return _tabulated_at(table, q, row)


@inner
def differences(code: int, table: Array, row: Array, eps: Array, n: int, d_t: Array, d_d: Array) -> None:
    """What a dual at one variance makes of ``n`` correlations.

    Args:
        code, table: The fields of a ``Dual``.
        row: As ``diagonal`` left it.
        eps: 1 - c for each node, in [0, 2], shape (>= n,).
        n: Nodes in use.
        d_t: Out: (T(q, 1) - T(q, c)) / q for each node.
        d_d: Out: Tdot(q, 1) - Tdot(q, c) for each node.
    """
    if code == ERF:
        _erf_gaps(row, eps, n, d_t, d_d)
    elif code == RECTIFIER:
        _rectifier_gaps(row[_RECTIFIER_SLOPE], eps, n, d_t, d_d)
    elif code == SIN:
        _sin_gaps(row[_SIN_Q], eps, n, d_t, d_d)
    elif code == GELU:
        _gelu_gaps(row, eps, n, d_t, d_d)
    else:
        _tabulated_gaps(table, row, eps, n, d_t, d_d)


@entry(lambda *_: 1)
def layer(
    code: int, slope: float, table: Array, q: float, eps: float, work: Array
) -> tuple[float, float, float, float]:
    """One application of a dual to a diagonal and one correlation.

    Args:
        code, slope, table: The fields of a ``Dual``.
        q: The diagonal K_aa > 0.
        eps: 1 - c, in [0, 2].
        work: Scratch, shape (LAYER_WORK,).

    Returns:
        T(q, 1) / q, Tdot(q, 1), (T(q, 1) - T(q, c)) / q and Tdot(q, 1) - Tdot(q, c).
    """
    t_1, d_1 = diagonal(code, slope, table, q, work)
    work[ROW] = eps
    differences(code, table, work, work[ROW:], 1, work[ROW + 1 :], work[ROW + 2 :])
    return t_1, d_1, work[ROW + 1], work[ROW + 2]
