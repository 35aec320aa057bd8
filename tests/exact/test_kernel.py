"""Exact kernels come from neural-tangents on today's JAX, within limits that are checked before the work begins."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior.exact import cost, empirical, kernel, regression, spectrum
from ntk_prior.exact import kernel as exact_kernel
from ntk_prior.exact.nt_compat import neural_tangents


def inputs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("pooling", [False, True])
def test_blocks_give_the_same_kernel(pooling: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = ntp.Architecture(1.5, 0.1, 3, kind="cnn", pooling=pooling)
    x, other = inputs(5, 4, 4, 3), inputs(3, 4, 4, 3, seed=1)
    whole, across = kernel(architecture, x), kernel(architecture, x, other)
    monkeypatch.setattr(sys.modules["ntk_prior.exact.infinite_width"], "BLOCK_MEMORY", 4 * 8 * 16 * 16 ** (1 + pooling))
    assert cost(architecture, x.shape).block == 2
    np.testing.assert_allclose(kernel(architecture, x).ntk, whole.ntk, rtol=1e-12)
    np.testing.assert_allclose(kernel(architecture, x, other).ntk, across.ntk, rtol=1e-12)


def test_what_is_too_large_is_refused_before_it_starts() -> None:
    pooled = ntp.Architecture(1.5, 0.1, 5, kind="cnn", pooling=True)
    x = np.ones((40, 32, 32, 3))
    with pytest.raises(ValueError, match=r"seconds_limit: expected at least .* take fewer than 40 inputs, or images"):
        kernel(pooled, x, seconds_limit=1.0)
    with pytest.raises(ValueError, match=r"memory_limit: expected at least .* GiB, received 0.00098 GiB"):
        kernel(pooled, x, memory_limit=2**20)


@pytest.mark.parametrize(
    ("change", "x", "message"),
    [
        ({"normalization": "batch"}, np.ones((3, 4)), "normalization: expected 'none' or 'layer'"),
        ({"activation": "mish"}, np.ones((3, 4)), "activation: expected one of erf, .*, received 'mish'"),
        ({"kind": "cnn"}, np.ones((3, 4)), r"x1: expected shape \(n, height, width, channels\)"),
        ({}, np.zeros((3, 4)), "x1: expected inputs other than zero, received 3"),
        ({}, np.full((3, 4), np.nan), "x1: expected finite numbers"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel(ntp.Architecture(**{"weight_variance": 1.0, "bias_variance": 0.1, "depth": 2, **change}), x)


def test_spectrum_and_regression_are_those_of_the_kernel() -> None:
    architecture = ntp.Architecture(1.5, 0.1, 2)
    x, y = inputs(12, 6), np.arange(12) % 3
    found = spectrum(architecture, x, y)
    assert found.lambda_max == pytest.approx(np.linalg.eigvalsh(exact_kernel(architecture, x).ntk)[-1])
    curve = regression(architecture, x, y, x, y, [0, 1e6])
    assert curve.train_accuracy[-1] == curve.test_accuracy[-1] == 1.0
    assert curve.mean_predictor == pytest.approx([0.0, 1.0], abs=1e-3)


NETWORKS = ("dense and layer norm", "pooled convolution", "residual convolution")


def stax_network(name: str) -> Any:
    stax = neural_tangents().stax
    conv = stax.Conv(16, (3, 3), padding="CIRCULAR")
    if name == "dense and layer norm":
        return stax.serial(stax.Flatten(), stax.Dense(32), stax.LayerNorm(), stax.Relu(), stax.Dense(3))
    if name == "pooled convolution":
        return stax.serial(conv, stax.Erf(), stax.GlobalAvgPool(), stax.Dense(3))
    branch = stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), stax.serial(stax.Relu(), conv)))
    return stax.serial(conv, branch, stax.FanInSum(), stax.Flatten(), stax.Dense(3))


@pytest.mark.filterwarnings("ignore:`FanIn` layers assume:UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_three_implementations_of_neural_tangents_agree_with_ours(name: str) -> None:
    nt, x = neural_tangents(), jnp.asarray(inputs(4, 4, 4, 3), jnp.float32)
    init, apply_fn, _ = stax_network(name)
    params = init(jax.random.key(0), x.shape)[1]
    ours = empirical(lambda params, x: apply_fn(params, x), params, x).kernel
    for implementation in ("JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS", "STRUCTURED_DERIVATIVES"):
        theirs = nt.empirical_ntk_fn(apply_fn, trace_axes=(-1,), implementation=nt.NtkImplementation[implementation])
        np.testing.assert_allclose(jax.jit(theirs)(x, None, params), ours, rtol=1e-4, atol=1e-5 * ours.max())


def test_batching_and_prediction_of_neural_tangents_work() -> None:
    nt, x = neural_tangents(), jnp.asarray(inputs(6, 4, 4, 3), jnp.float32)
    kernel_fn = stax_network("dense and layer norm")[2]
    theta, y = kernel_fn(x, None, "ntk"), jnp.asarray(inputs(6, 2), jnp.float32)
    np.testing.assert_allclose(nt.batch(kernel_fn, 3)(x, x, "ntk"), theta, rtol=1e-4)
    zeros = jnp.zeros_like(y)

    def trained(theta: jax.Array, t: float | None) -> Any:
        return nt.predict.gradient_descent_mse(theta, y)(t, zeros, zeros, theta)[1]

    values, vectors = np.linalg.eigh(np.asarray(theta, np.float64))
    expected = vectors @ ((1 - np.exp(-5 * values / y.size))[:, None] * (vectors.T @ np.asarray(y)))
    np.testing.assert_allclose(trained(theta, 5.0), expected, atol=1e-4)
    np.testing.assert_allclose(jax.jit(trained, static_argnums=1)(theta, None), y, atol=1e-3)
    assert float(nt.predict.max_learning_rate(theta)) == pytest.approx(12 / values[-1], rel=1e-3)


def test_importing_it_leaves_jax_and_its_configuration_alone_and_needs_no_tensorflow() -> None:
    program = """
import sys, jax, jax.core, jax.extend.core, jax.interpreters.ad
modules = (jax, jax.core, jax.extend.core, jax.interpreters.ad)
before = [dict(vars(module)) for module in modules], dict(jax.config.values)
from ntk_prior.exact.nt_compat import neural_tangents
names = set(sys.modules)
neural_tangents()
after = [dict(vars(module)) for module in modules], dict(jax.config.values)
for one, other in zip(before[0], after[0]):
    new = [name for name in other if name not in one and type(other[name]) is not type(sys)]
    assert not new and all(other[name] is one[name] for name in one), new
assert before[1] == after[1]
assert "tensorflow" not in sys.modules and "jax.util" not in sys.modules
import ntk_prior
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_the_predictor_does_not_import_the_exact_tier() -> None:
    program = "import sys, ntk_prior; assert not {'jax', 'ntk_prior.exact'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_unusable_neural_tangents_is_one_clear_error() -> None:
    program = """
import sys
import ntk_prior.exact.nt_compat as compat
compat.VERSION = "0.0.1"
try:
    compat.neural_tangents()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "neural-tangents: expected 0.0.1, working, received 0.6.5 with JAX" in done.stdout
    assert "ntk-prior[exact]" in done.stdout
