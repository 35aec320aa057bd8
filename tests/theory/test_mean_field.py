"""Fixed points, slopes and depth scales, against mpmath at 30 digits."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from ntk_prior import Architecture
from ntk_prior.theory.mean_field import mean_field

Dual = Callable[[mp.mpf, mp.mpf], tuple[mp.mpf, mp.mpf]]


def erf_dual(q: mp.mpf, c: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    return 2 / mp.pi * mp.asin(2 * q * c / (1 + 2 * q)), 4 / mp.pi / mp.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2)


def sin_dual(q: mp.mpf, c: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    return mp.exp(-q) * mp.sinh(q * c), mp.exp(-q) * mp.cosh(q * c)


def relu_dual(q: mp.mpf, c: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    theta = mp.acos(c)
    return q * (mp.sin(theta) + (mp.pi - theta) * c) / (2 * mp.pi), (mp.pi - theta) / (2 * mp.pi)


DUALS: dict[str, Dual] = {"erf": erf_dual, "sin": sin_dual}


def bisect(f: Callable[[mp.mpf], mp.mpf], low: mp.mpf, high: mp.mpf) -> mp.mpf:
    """Root of a function that changes sign on [low, high], to 30 digits; logarithmic steps."""
    positive = f(low) > 0
    for _ in range(130):
        middle = mp.sqrt(low * high)
        low, high = (middle, high) if (f(middle) > 0) == positive else (low, middle)
    return mp.sqrt(low * high)


def reference(dual: Dual, weight_variance: float, bias_variance: float) -> tuple[mp.mpf, mp.mpf, mp.mpf, mp.mpf]:
    """q*, c*, chi_1 and chi_c."""
    w, b = mp.mpf(weight_variance), mp.mpf(bias_variance)
    q = bisect(lambda q: w * dual(q, mp.mpf(1))[0] + b - q, mp.mpf("1e-12"), mp.mpf(2e3))
    chi_1 = w * dual(q, mp.mpf(1))[1]
    eps = mp.mpf(0)
    if chi_1 > 1:
        eps = bisect(lambda e: (q - w * dual(q, 1 - e)[0] - b) / (q * e) - 1, mp.mpf("1e-25"), mp.mpf("1.999999"))
    return q, 1 - eps, chi_1, w * dual(q, 1 - eps)[1]


@pytest.mark.parametrize("activation", list(DUALS))
@given(
    weight_variance=st.floats(0.02, 50).filter(lambda v: v > 0),
    bias_variance=st.floats(1e-4, 5),
)
def test_fixed_points_and_slopes_agree_with_thirty_digits(
    activation: str, weight_variance: float, bias_variance: float
) -> None:
    with mp.workdps(30):
        q, c, chi_1, chi_c = reference(DUALS[activation], weight_variance, bias_variance)
        found = mean_field(Architecture(weight_variance, bias_variance, 1, activation))
    assert found.q_star == pytest.approx(float(q), rel=1e-6)
    assert found.chi_1 == pytest.approx(float(chi_1), rel=1e-6)
    if abs(chi_1 - 1) > 1e-7:
        assert 1 - found.c_star == pytest.approx(float(1 - c), rel=1e-5, abs=1e-9)
        assert found.chi_c == pytest.approx(float(chi_c), rel=1e-6)
    if found.phase == "chaotic" and found.xi_star is not None:
        assert found.xi_star == pytest.approx(float(-1 / (mp.log(chi_c) - mp.log(chi_1))), rel=1e-4)
    if found.phase == "ordered":
        assert found.xi_1 == pytest.approx(float(-1 / mp.log(chi_1)), rel=1e-4)


@given(weight_variance=st.floats(0.05, 20), bias_variance=st.floats(1e-3, 2))
def test_tanh_variance_and_gradient_gain_agree_with_quadrature_at_thirty_digits(
    weight_variance: float, bias_variance: float
) -> None:
    found = mean_field(Architecture(weight_variance, bias_variance, 1, "tanh"))
    with mp.workdps(30):
        root = mp.sqrt(found.q_star)
        edges = sorted({mp.mpf(0), 1 / root, 3 / root, mp.mpf(1), mp.mpf(3), mp.mpf(12)})
        edges = [edge for edge in edges if edge <= 12]
        weight = lambda z: mp.exp(-z * z / 2) * 2 / mp.sqrt(2 * mp.pi)  # noqa: E731 (a one-line integrand)
        second = mp.quad(lambda z: weight(z) * mp.tanh(root * z) ** 2, edges)
        gain = mp.quad(lambda z: weight(z) * mp.sech(root * z) ** 4, edges)
    assert float(weight_variance * second + bias_variance) == pytest.approx(found.q_star, rel=1e-6)
    assert float(weight_variance * gain) == pytest.approx(found.chi_1, rel=1e-6)


@pytest.mark.parametrize(
    ("activation", "bias_variance", "expected"),
    [("erf", 0.18, 1.7476), ("erf", 0.05, 1.376), ("tanh", 0.18, 2.234), ("tanh", 0.05, 1.761)],
)
def test_order_to_chaos_transitions_lie_where_they_are_known_to(
    activation: str, bias_variance: float, expected: float
) -> None:
    found = brentq(lambda w: mean_field(Architecture(w, bias_variance, 1, activation)).chi_1 - 1, 1.01, 4)
    assert found == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("offset", [-1e-6, -1e-9, 1e-9, 1e-6])
def test_the_root_finder_works_next_to_criticality_without_bias(offset: float) -> None:
    """Erf at sigma_b = 0 turns critical at pi / 4, where q* leaves 0 as (w - pi / 4) / 2 to first order."""
    weight_variance = np.pi / 4 * (1 + offset)
    found = mean_field(Architecture(weight_variance, 0.0, 1))
    with mp.workdps(30):
        t = lambda q: mp.mpf(weight_variance) * erf_dual(q, mp.mpf(1))[0] / q - 1  # noqa: E731
        q = bisect(t, mp.mpf("1e-15"), mp.mpf("1e-2")) if offset > 0 else mp.mpf(0)
    assert found.q_star == pytest.approx(float(q), rel=1e-6)
    assert found.chi_1 == pytest.approx(1 + min(offset, 0), abs=1e-9)
    if offset > 0:
        assert found.c_star == 0.0


@given(weight_variance=st.floats(1e-3, 1.999), bias_variance=st.floats(1e-6, 10))
def test_relu_has_the_known_fixed_point_below_two(weight_variance: float, bias_variance: float) -> None:
    found = mean_field(Architecture(weight_variance, bias_variance, 1, "relu"))
    assert found.q_star == pytest.approx(bias_variance / (1 - weight_variance / 2), rel=1e-6)
    assert found.chi_1 == pytest.approx(weight_variance / 2, rel=1e-12)
    assert found.c_star == 1.0


def test_relu_is_critical_at_two_and_has_no_fixed_variance_above() -> None:
    critical, above = (mean_field(Architecture(w, 0.0, 1, "relu")) for w in (2.0, 2.5))
    assert (critical.phase, critical.q_star, critical.c_star) == ("critical", 2.0, 1.0)
    assert (above.phase, above.q_star, above.chi_1) == ("chaotic", None, 1.25)


def test_limits_that_do_not_exist_are_none() -> None:
    residual = mean_field(Architecture(1.5, 0.1, 3, residual_scale=1.0))
    assert set(residual) == {None}
    ordered = mean_field(Architecture(0.5, 0.1, 3))
    assert ordered.xi_star is None
    assert ordered.xi_1 > 0
