"""Duals of activations, against closed forms in mpmath and against independent quadrature."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ntk_prior.theory.activations import dual, is_odd
from ntk_prior.theory.dual_eval import LAYER_WORK, layer
from ntk_prior.theory.dual_table import differences

LOG_Q, LOG_EPS = st.floats(-9, 3), st.floats(-12, 0.29)


def evaluated(activation: object, q: float, eps: float, slope: float = 0.0) -> tuple[float, float, float, float]:
    """T(q, 1), Tdot(q, 1), and what they exceed T(q, c), Tdot(q, c) by."""
    second, gain, d_t, d_d = layer(*dual(activation, slope), q, eps, np.empty(LAYER_WORK))
    return second * q, gain, d_t * q, d_d


def erf(q: mp.mpf, c: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    return 2 / mp.pi * mp.asin(2 * q * c / (1 + 2 * q)), 4 / mp.pi / mp.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2)


def sin(q: mp.mpf, c: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    return mp.exp(-q) * mp.sinh(q * c), mp.exp(-q) * mp.cosh(q * c)


def leaky(slope: float) -> object:
    def closed(q: mp.mpf, c: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
        """phi = a x + (1 - a) relu: the cross terms are k / 2 each."""
        theta, a = mp.acos(c), mp.mpf(slope)
        gain = (mp.pi - theta) / (2 * mp.pi)
        arc = q * (mp.sin(theta) / (2 * mp.pi) + gain * c)
        return a**2 * q * c + a * (1 - a) * q * c + (1 - a) ** 2 * arc, a**2 + a * (1 - a) + (1 - a) ** 2 * gain

    return closed


def gelu(q: mp.mpf, c: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    """E[u Phi(u) v Phi(v)], by Stein's lemma from an orthant probability of normals, and its slope in k."""

    def second(k: mp.mpf) -> mp.mpf:
        w = 1 + q
        root = mp.sqrt(w**2 - k**2)
        return k / 4 + (k * mp.asin(k / w) + (k**2 + (q * root) ** 2) / (w**2 * root)) / (2 * mp.pi)

    return second(q * c), mp.diff(second, q * c)


CLOSED = [
    ("erf", 0.0, erf),
    ("sin", 0.0, sin),
    ("relu", 0.0, leaky(0.0)),
    ("leaky_relu", 0.2, leaky(0.2)),
    ("identity", 0.0, leaky(1.0)),
    ("gelu", 0.0, gelu),
]


@pytest.mark.parametrize(("name", "slope", "closed"), CLOSED, ids=[name for name, _, _ in CLOSED])
@given(log_q=LOG_Q, log_eps=LOG_EPS)
def test_closed_forms_and_their_differences_hold_to_ten_digits(
    name: str, slope: float, closed: object, log_q: float, log_eps: float
) -> None:
    q, eps = 10**log_q, 10**log_eps
    with mp.workdps(60):
        t_1, d_1 = closed(mp.mpf(q), mp.mpf(1))  # type: ignore[operator]
        t_c, d_c = closed(mp.mpf(q), 1 - mp.mpf(eps))  # type: ignore[operator]
        expected = [float(v) for v in (t_1, d_1, t_1 - t_c, d_1 - d_c)]
    assert evaluated(name, q, eps, slope) == pytest.approx(expected, rel=1e-10, abs=1e-300)


def hermite_dual(phi: object, dphi: object, q: float, c: float) -> tuple[float, float]:
    """T and Tdot by a dense trapezoidal rule in two independent normal variables (spectrally accurate here)."""
    z, h = np.linspace(-9, 9, 1201, retstep=True)
    w = np.exp(-z * z / 2) * h / np.sqrt(2 * np.pi)
    u = np.sqrt(q) * z[:, None]
    v = np.sqrt(q) * (c * z[:, None] + np.sqrt(1 - c * c) * z[None, :])
    return tuple(float(np.einsum("i,j,ij->", w, w, f(u) * f(v))) for f in (phi, dphi))  # type: ignore[operator, return-value]


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(x / 2))


SMOOTH = {
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
}


@pytest.mark.parametrize("name", list(SMOOTH))
@pytest.mark.parametrize("q", [1e-3, 0.07, 0.8, 3.0, 20.0, 80.0])
@pytest.mark.parametrize("c", [-0.9, -0.2, 0.3, 0.9, 0.99])
def test_tabulated_duals_agree_with_direct_quadrature_to_six_digits(name: str, q: float, c: float) -> None:
    (t_1, d_1), (t_c, d_c) = (hermite_dual(*SMOOTH[name], q, v) for v in (1.0, c))
    second, gain, d_t, d_d = evaluated(name, q, 1 - c)
    assert second == pytest.approx(t_1, rel=1e-6)
    assert gain == pytest.approx(d_1, rel=1e-6)
    assert d_t == pytest.approx(t_1 - t_c, rel=2e-6)
    assert d_d == pytest.approx(d_1 - d_c, rel=2e-5, abs=1e-8)
    assert second - d_t == pytest.approx(t_c, rel=1e-6, abs=1e-6 * t_1)


@pytest.mark.parametrize("name", list(SMOOTH))
def test_tabulated_differences_hold_to_six_digits_over_the_whole_table(name: str) -> None:
    rng = np.random.default_rng(0)
    near = np.exp(rng.uniform(math.log(1e-6), math.log(2), 60))
    for q, eps in zip(10 ** rng.uniform(-3, 4, 90), [*near, *(2 - near[:30] / 2)], strict=True):
        with np.errstate(over="ignore"):
            exact_t, exact_d = differences(*SMOOTH[name], q, np.array([eps]), panels=5)
        _, _, d_t, d_d = evaluated(name, q, eps)
        assert d_t == pytest.approx(exact_t[0], rel=1e-6)
        assert d_d == pytest.approx(exact_d[0], rel=2e-5)


@pytest.mark.parametrize("eps", [1e-300, 1e-15, 1e-9, 1.1e-7, 1.3e-7])
def test_tabulated_differences_go_on_to_no_difference_at_all(eps: float) -> None:
    for q in (1e-6, 0.3, 70.0, 1e5):
        _, gain, d_t, d_d = evaluated("tanh", q, eps)
        assert d_t == pytest.approx(gain * q * eps, rel=1e-3)
        assert 0 <= d_d <= 1e-2 * gain
        kinked = evaluated(lambda x: np.maximum(x, 0.0), q, eps)
        assert kinked == pytest.approx(evaluated("relu", q, eps), rel=2e-3)


def test_a_callable_is_its_own_dual() -> None:
    for q, eps in ((0.3, 0.4), (5.0, 1e-6), (50.0, 1.5)):
        assert evaluated(np.tanh, q, eps) == pytest.approx(evaluated("tanh", q, eps), rel=1e-6)
        rectified = evaluated(lambda x: np.maximum(x, 0.0), q, eps)
        assert rectified == pytest.approx(evaluated("relu", q, eps), rel=1e-5)


@pytest.mark.parametrize("x64", ["0", "1"])
def test_jax_callables_are_tabulated_in_float64_whatever_the_global_setting(x64: str) -> None:
    code = (
        "import jax, numpy as np; from ntk_prior.theory.activations import dual\n"
        "from ntk_prior.theory.dual_eval import LAYER_WORK, layer\n"
        "before = jax.config.jax_enable_x64\n"
        "def gap(f):\n"
        "    return layer(*dual(f), 2.0, 1e-5, np.empty(LAYER_WORK))[2:]\n"
        "np.testing.assert_allclose(gap(jax.numpy.tanh), gap('tanh'), rtol=1e-5)\n"
        "assert jax.config.jax_enable_x64 == before"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "JAX_ENABLE_X64": x64},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("mish", "expected one of erf, tanh"),
        (lambda x: 0.0 * x, "not constant"),
        (lambda x: x.sum(), "elementwise"),
        (lambda x: np.where(x > 50, np.nan, x), "finite values"),
        (lambda x: np.abs(x - 0.37), "no kink except at 0"),
        (lambda x: np.sin(80 * x), "no kink except at 0"),
    ],
)
def test_what_the_quadrature_cannot_do_is_refused(activation: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dual(activation)  # type: ignore[arg-type]


def test_parity() -> None:
    assert [is_odd(name) for name in ("erf", "tanh", "sin", "identity")] == [True] * 4
    assert [is_odd(f) for f in ("relu", "gelu", np.cos, np.tanh)] == [False, False, False, True]


@pytest.mark.parametrize("q", [0.07, 0.8, 3.0, 20.0])
@pytest.mark.parametrize("c", [-0.9, -0.2, 0.3, 0.9])
def test_the_dual_of_elu_agrees_with_direct_quadrature(q: float, c: float) -> None:
    # Its second derivative jumps, so that the plain rule is good to three digits only.
    elu = (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), lambda x: np.exp(np.minimum(x, 0)))
    (t_1, d_1), (t_c, d_c) = (hermite_dual(*elu, q, v) for v in (1.0, c))
    second, gain, d_t, d_d = evaluated("elu", q, 1 - c)
    assert (second, gain) == pytest.approx((t_1, d_1), rel=1e-3)
    assert second - d_t == pytest.approx(t_c, rel=1e-3, abs=1e-3 * t_1)
    assert gain - d_d == pytest.approx(d_c, rel=1e-3)
