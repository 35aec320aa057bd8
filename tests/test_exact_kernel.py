"""Exact kernels come from neural-tangents on today's JAX, within limits that are checked before the work begins."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_pixels import photographs

import ntk_prior as ntp
from ntk_prior.data import load_cifar10, prepared
from ntk_prior.exact import cost, empirical, kernel, over_seeds, regression, spectrum
from ntk_prior.exact import kernel as exact_kernel
from ntk_prior.exact.compat import neural_tangents
from ntk_prior.ntk import kernel as fast_kernel

COMBINATIONS: dict[str, dict[str, Any]] = {
    "erf": {},
    "relu, residual": {"activation": "relu", "residual_scale": 0.5},
    "leaky relu, dropout": {"activation": "leaky_relu", "slope": 0.2, "keep_rate": 0.9},
    "gelu": {"activation": "gelu"},
    "sin, layer norm": {"activation": "sin", "normalization": "layer"},
    "silu": {"activation": "silu", "depth": 3},
    "tanh, layer norm": {"activation": "tanh", "normalization": "layer", "depth": 3},
    "identity": {"activation": "identity"},
}


def inputs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_predictor_agrees_with_neural_tangents(name: str) -> None:
    architecture = ntp.Architecture(**{"weight_variance": 1.2, "bias_variance": 0.1, "depth": 6, **COMBINATIONS[name]})
    x = inputs(5, 12)
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    fast = fast_kernel(architecture, np.clip(x @ x.T / 12, -1, 1).ravel())
    predicted = fast.diagonal * np.exp(fast.log_scale) - fast.gaps * np.exp(fast.log_gap_scale)
    predicted = predicted.reshape(5, 5)
    # Dropout tells an input from its copy; only the diagonal is the same draw.
    np.fill_diagonal(predicted, fast.diagonal * np.exp(fast.log_scale))
    np.testing.assert_allclose(predicted, kernel(architecture, x).ntk, rtol=1e-5)


@pytest.mark.parametrize("pooling", [False, True])
def test_blocks_give_the_same_kernel(pooling: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = ntp.Architecture(1.5, 0.1, 3, kind="cnn", pooling=pooling)
    x, other = inputs(5, 4, 4, 3), inputs(3, 4, 4, 3, seed=1)
    whole, across = kernel(architecture, x), kernel(architecture, x, other)
    monkeypatch.setattr(sys.modules["ntk_prior.exact.kernel"], "BLOCK_MEMORY", 4 * 8 * 16 * 16 ** (1 + pooling))
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
from ntk_prior.exact.compat import neural_tangents
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
import ntk_prior.exact.compat as compat
compat.VERSION = "0.0.1"
try:
    compat.neural_tangents()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "neural-tangents: expected 0.0.1, working, received 0.6.5 with JAX" in done.stdout
    assert "ntk-prior[exact]" in done.stdout


@pytest.mark.parametrize(("side", "n"), [(8, 48), (16, 12)])
@pytest.mark.parametrize("weight_variance", [1.0, 3.0])
def test_summaries_of_images_give_the_spectra_of_convolutional_networks(
    side: int, n: int, weight_variance: float
) -> None:
    """Pooled Erf networks on CIFAR-10 where NTK_PRIOR_DATA names it; the ordered phase is the coarsest."""
    folder = os.environ.get("NTK_PRIOR_DATA")
    (x, y), slack = photographs(n, side), 2.5
    if folder is not None:
        slack = 2.0
        images = prepared(load_cifar10(folder), n_train=n, n_test=2, side=side)
        x, y = images.x_train, images.y_train
    architecture = ntp.Architecture(weight_variance, 0.18, 4, kind="cnn", pooling=True)
    exact, found = spectrum(architecture, x, y), ntp.spectrum(architecture, ntp.Task.from_arrays(x, y))
    assert found.lambda_max == pytest.approx(exact.lambda_max, rel=0.3)
    assert 1 / slack < found.lambda_bulk / exact.lambda_bulk < slack


def test_finite_networks_approach_the_infinite_one_as_the_root_of_depth_over_width() -> None:
    stax = neural_tangents().stax
    unit = inputs(4, 8)
    unit /= np.sqrt(np.mean(unit**2, axis=1, keepdims=True))
    x = jnp.asarray(unit, jnp.float32)
    spreads, errors = {}, {}
    for depth, width in ((2, 64), (2, 256), (2, 1024), (8, 256)):
        layers = [layer for _ in range(depth) for layer in (stax.Dense(width, 1.32, 0.42), stax.Erf())]
        init, apply_fn, _ = stax.serial(*layers, stax.Dense(1, 1.32, 0.42))
        draws = (init(jax.random.key(seed), x.shape)[1] for seed in range(24))
        found = over_seeds(lambda params, x, apply_fn=apply_fn: apply_fn(params, x), draws, x)
        exact = kernel(ntp.Architecture(1.32**2, 0.42**2, depth), unit).ntk
        spreads[depth, width] = float(np.mean(np.diagonal(found.deviation)))
        errors[depth, width] = float(np.linalg.norm(found.kernel - exact) / np.linalg.norm(exact))
    for narrow, wide in ((64, 256), (256, 1024)):
        assert spreads[2, narrow] / spreads[2, wide] == pytest.approx(2.0, rel=0.35)
    assert spreads[8, 256] / spreads[2, 256] == pytest.approx(2.0, rel=0.5)
    assert errors[2, 1024] < errors[2, 64]
    assert errors[2, 1024] < 0.03
