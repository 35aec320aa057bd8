"""The finite-depth recursion, against the same recursion carried with hundreds of digits and on whole Gram matrices."""

from __future__ import annotations

from functools import lru_cache

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

from ntk_prior import Architecture
from ntk_prior.theory.layers import layers
from ntk_prior.theory.recursion import Kernel, kernel, propagate, scratch

COSINES = np.array([-0.9, -0.3, 0.0, 0.2, 0.6, 0.95])


def dual(activation: str, q: mp.mpf, k: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    """T and Tdot at variance q and covariance k."""
    if activation == "erf":
        return 2 / mp.pi * mp.asin(2 * k / (1 + 2 * q)), 4 / mp.pi / mp.sqrt((1 + 2 * q) ** 2 - 4 * k**2)
    theta = mp.acos(k / q)
    gain = (mp.pi - theta) / (2 * mp.pi)
    return q / (2 * mp.pi) * mp.sin(theta) + gain * k, gain


@lru_cache(maxsize=10_000)
def dual_alone(activation: str, q: mp.mpf, digits: int) -> tuple[mp.mpf, mp.mpf]:
    """The dual of an input with itself, which is the same for all cosines; ``digits`` are those of the precision."""
    return dual(activation, q, q)


def exact(
    architecture: Architecture, cosine: float, *, first: float = 1, readout: float = 1, bias: float | None = None
) -> tuple[mp.mpf, mp.mpf]:
    """Theta_aa and Theta_aa - Theta_ab, by subtraction at a precision that can afford it."""
    digits = 60 + int(1.3 * architecture.depth)
    with mp.workdps(digits):
        w, b, c = (mp.mpf(v) for v in (architecture.weight_variance, architecture.bias_variance, float(cosine)))
        rho, own_bias = mp.mpf(architecture.keep_rate), b if bias is None else mp.mpf(bias)
        alpha = architecture.residual_scale
        q, k = w + b, w * c + b
        p, o = first * w + own_bias, first * w * c + own_bias
        for layer in range(architecture.depth):
            last = layer == architecture.depth - 1
            norm = 1 / q if architecture.normalization == "layer" else mp.mpf(1)
            t_q, d_q = dual_alone(architecture.activation, q * norm, digits)
            t_k, d_k = dual(architecture.activation, q * norm, k * norm)
            own = readout if last else 1
            new_q, new_k = w * t_q / rho, w * t_k
            new_p = own * new_q + own_bias + w * d_q / rho * p * norm
            new_o = own * new_k + own_bias + w * d_k * o * norm
            new_q, new_k = new_q + b, new_k + b
            if alpha is None or last:
                q, k, p, o = new_q, new_k, new_p, new_o
            else:
                q, k, p, o = q + alpha**2 * new_q, k + alpha**2 * new_k, p + alpha**2 * new_p, o + alpha**2 * new_o
        return p, p - o


def errors(found: Kernel, references: list[tuple[mp.mpf, mp.mpf]]) -> tuple[float, float]:
    """Relative errors of the diagonal, and the worst of the gaps."""
    diagonal = mp.exp(found.log_scale) * found.diagonal / references[0][0] - 1
    gaps = [
        mp.exp(found.log_gap_scale) * mp.mpf(float(gap)) / reference[1] - 1
        for gap, reference in zip(found.gaps, references, strict=True)
    ]
    return abs(float(diagonal)), max(abs(float(gap)) for gap in gaps)


CASES = [
    Architecture(0.8, 0.1, 1),
    Architecture(0.8, 0.1, 30),
    Architecture(1.7476, 0.18, 64),
    Architecture(2.5, 0.05, 50),
    Architecture(4.0, 0.0, 200),
    Architecture(0.5, 0.0, 100),
    Architecture(1.5, 0.1, 80, keep_rate=0.9),
    Architecture(1.5, 0.1, 40, residual_scale=0.5),
    Architecture(2.0, 0.1, 40, residual_scale=0.7, normalization="layer"),
    Architecture(1.2, 0.3, 120, normalization="layer"),
    Architecture(1.2, 0.3, 60, normalization="layer", keep_rate=0.8),
]


@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_entries_and_differences_agree_with_many_digits(case: Architecture, activation: str) -> None:
    architecture = Architecture(**{**vars(case), "activation": activation})
    diagonal, gaps = errors(kernel(architecture, COSINES), [exact(architecture, c) for c in COSINES])
    assert diagonal < 1e-8
    assert gaps < 1e-6


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_ordered_differences_survive_a_thousand_layers_where_subtraction_is_noise(activation: str) -> None:
    architecture = Architecture(0.8, 0.1, 1000, activation)
    found = kernel(architecture, COSINES)
    diagonal, gaps = errors(found, [exact(architecture, c) for c in COSINES])
    assert diagonal < 1e-12
    assert gaps < 1e-6
    theta = np.exp(found.log_scale) * found.diagonal
    assert np.exp(found.log_gap_scale) * found.gaps.max() < 1e-100 * theta  # far below the rounding of theta itself


@pytest.mark.parametrize("case", [(0.8, 0.1, 2), (0.8, 0.1, 300), (2.5, 0.05, 7), (2.5, 0.05, 150), (1.7476, 0.18, 50)])
def test_layers_may_weigh_unequally_as_in_the_standard_parametrization(case: tuple[float, float, int]) -> None:
    architecture = Architecture(*case)
    sources = {"first": 7.5, "readout": 3.25, "bias": 0.015625}
    one, nodes = np.ones(1), scratch(6)
    log_scale, diagonal, log_gap, q = propagate(layers(architecture)._replace(**sources), COSINES, 1, one, one, nodes)
    found = Kernel(log_scale, diagonal, log_gap, nodes.gaps, q, nodes.eps)
    references = [exact(architecture, c, **sources) for c in COSINES]
    assert max(errors(found, references)) < 1e-6


@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.parametrize(("weight_variance", "depth"), [(0.8, 3), (1.5, 8), (3.0, 12)])
def test_kernel_matrices_equal_the_gram_recursion(activation: str, weight_variance: float, depth: int) -> None:
    x = np.random.default_rng(0).normal(size=(12, 30))
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    gram, bias_variance = x @ x.T / x.shape[1], 0.1
    k = weight_variance * gram + bias_variance
    theta = k.copy()
    for _ in range(depth):
        t, d = _gram_dual(activation, k)
        k = weight_variance * t + bias_variance
        theta = k + weight_variance * d * theta
    pairs = np.triu_indices(12, 1)
    found = kernel(Architecture(weight_variance, bias_variance, depth, activation), gram[pairs])
    scale = np.exp(found.log_scale)
    np.testing.assert_allclose(np.diagonal(theta), scale * found.diagonal, rtol=1e-8)
    off = scale * found.diagonal - np.exp(found.log_gap_scale) * found.gaps
    np.testing.assert_allclose(theta[pairs], off, rtol=1e-8)


def _gram_dual(activation: str, k: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    q = np.diagonal(k)
    if activation == "erf":
        norm = np.outer(1 + 2 * q, 1 + 2 * q)
        return 2 / np.pi * np.arcsin(2 * k / np.sqrt(norm)), 4 / np.pi / np.sqrt(norm - 4 * k**2)
    size = np.sqrt(np.outer(q, q))
    theta = np.arccos(np.clip(k / size, -1, 1))
    gain = (np.pi - theta) / (2 * np.pi)
    return size * np.sin(theta) / (2 * np.pi) + gain * k, gain


@pytest.mark.parametrize("weight_variance", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("bias_variance", [0.0, 1e-12, 0.1, 1e3])
@pytest.mark.parametrize("activation", ["erf", "tanh", "relu", "leaky_relu", "gelu", "silu", "sin", "identity"])
def test_nothing_overflows_in_ten_thousand_layers(
    activation: str, weight_variance: float, bias_variance: float
) -> None:
    for extra in ({}, {"keep_rate": 0.5}, {"residual_scale": 1.0}, {"normalization": "layer"}):
        found = kernel(Architecture(weight_variance, bias_variance, 10_000, activation, **extra), COSINES)
        assert np.all(np.isfinite([found.log_scale, found.diagonal, found.log_gap_scale, found.q]))
        assert np.all(np.isfinite(found.gaps))
        assert np.all(found.gaps >= 0)
        assert found.diagonal > 0
