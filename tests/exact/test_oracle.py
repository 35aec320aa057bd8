"""The predictor against neural-tangents: equal where both are exact, near where a summary stands for images."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior.architecture import ACTIVATIONS
from ntk_prior.datasets import load_cifar10, prepare
from ntk_prior.exact import kernel, over_seeds, spectrum
from ntk_prior.exact.nt_compat import neural_tangents
from ntk_prior.theory.recursion import kernel as fast_kernel
from ntk_prior.verdict.schedule import WIDTH_GAIN
from tests.support.images import photographs, uncorrelated

KINDS: dict[str, dict[str, Any]] = {
    "fully connected": {},
    "flattened": {"kind": "cnn"},
    "pooled": {"kind": "cnn", "pooling": True},
}
LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "residual": {"residual_scale": 0.5},
    "layer norm": {"normalization": "layer"},
    "dropout": {"keep_rate": 0.9},
}
IMAGES, SIDE, ACROSS, WITHIN = 3, 3, 0.2, 0.6


def images_with_equal_cosines() -> np.ndarray:
    """Images whose pixels have the cosine ``WITHIN`` inside one and ``ACROSS`` between two, at every position."""
    pixels = SIDE**2
    cosines = np.full((IMAGES, pixels, IMAGES, pixels), ACROSS)
    for image in range(IMAGES):
        cosines[image, :, image, :] = WITHIN
        cosines[image, range(pixels), image, range(pixels)] = 1.0
    size = IMAGES * pixels
    root = np.linalg.cholesky(cosines.reshape(size, size))
    return np.sqrt(size) * root.reshape(IMAGES, SIDE, SIDE, size)


def vectors_with_equal_cosines() -> np.ndarray:
    return np.linalg.cholesky(np.where(np.eye(IMAGES), 1.0, ACROSS))


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_combination_has_the_spectrum_of_neural_tangents(activation: str, kind: str, layers: str) -> None:
    """Where all cosines are equal, the summary leaves nothing out."""
    architecture = ntp.Architecture(1.0, 0.1, 3, activation=activation, **KINDS[kind], **LAYERS[layers])
    x = vectors_with_equal_cosines() if kind == "fully connected" else images_with_equal_cosines()
    exact = np.linalg.eigvalsh(kernel(architecture, x).ntk)
    found = ntp.spectrum(architecture, ntp.Task.equicorrelated(IMAGES, ACROSS, n_pixels=SIDE**2, pixel_cosine=WITHIN))
    # The oracle's own quadrature is no better where a second derivative jumps; test_activations has a finer one.
    rtol = 2e-2 if activation == "elu" else 1e-5
    np.testing.assert_allclose([found.lambda_bulk, found.lambda_max], exact[[1, -1]], rtol=rtol)


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
        images = prepare(load_cifar10(folder), n_train=n, n_test=2, side=side)
        x, y = images.x_train, images.y_train
    architecture = ntp.Architecture(weight_variance, 0.18, 4, kind="cnn", pooling=True)
    exact, found = spectrum(architecture, x, y), ntp.spectrum(architecture, ntp.Task.from_arrays(x, y))
    assert found.lambda_max == pytest.approx(exact.lambda_max, rel=0.3)
    assert 1 / slack < found.lambda_bulk / exact.lambda_bulk < slack


@pytest.mark.parametrize("name", ["white noise", "whitened digits", "one-hot sequences", "rectangles"])
@pytest.mark.parametrize(
    ("activation", "n", "depths"), [("erf", 60, (2, 24)), ("relu", 60, (2, 24)), ("tanh", 8, (2,))]
)
def test_a_flattened_network_on_hardly_correlated_pixels_gets_the_exact_condition_number(
    activation: str, n: int, depths: tuple[int, ...], name: str
) -> None:
    x, y = uncorrelated(name, n)
    task = ntp.Task.from_arrays(x, y)
    for weight_variance in (1.3, 2.5):
        for depth in depths:
            architecture = ntp.Architecture(weight_variance, 0.05, depth, activation=activation, kind="cnn")
            exact, found = spectrum(architecture, x, y), ntp.spectrum(architecture, task)
            assert 1 / 1.5 < found.kappa / exact.kappa < 1.5
            assert found.lambda_max == pytest.approx(exact.lambda_max, rel=0.3)


def test_a_trainable_network_on_white_noise_is_not_refused() -> None:
    x, y = inputs(200, 8, 8, 1), np.arange(200) % 2
    architecture = ntp.Architecture(1.3, 0.05, 8, kind="cnn")
    task = ntp.Task.from_arrays(x, y)
    assert ntp.spectrum(architecture, task).kappa == pytest.approx(spectrum(architecture, x, y).kappa, rel=0.25)
    assert ntp.feasibility(architecture, task, ntp.Budget(1000)).trainability > 0.9


RELU, ERF = ("Relu", 2.0, 0.0), ("Erf", 1.75, 0.18)
"""Close to criticality, which the finite-width term of the score is made for."""


def spread_and_error(net: tuple[str, float, float], depth: int, width: int) -> tuple[float, float]:
    """Relative deviation of Theta_aa over seeds, and the distance of the mean from the infinite network's kernel."""
    stax, (activation, weight_variance, bias_variance) = neural_tangents().stax, net
    unit = inputs(4, 8)
    unit /= np.sqrt(np.mean(unit**2, axis=1, keepdims=True))
    x = jnp.asarray(unit, jnp.float32)
    scale = weight_variance**0.5, bias_variance**0.5
    hidden = [layer for _ in range(depth) for layer in (stax.Dense(width, *scale), getattr(stax, activation)())]
    init, apply_fn, _ = stax.serial(*hidden, stax.Dense(1, *scale))
    draws = (init(jax.random.key(seed), x.shape)[1] for seed in range(24))
    found = over_seeds(lambda params, x: apply_fn(params, x), draws, x)
    architecture = ntp.Architecture(weight_variance, bias_variance, depth, activation=activation.lower())
    exact = kernel(architecture, unit).ntk
    error = np.linalg.norm(found.kernel - exact) / np.linalg.norm(exact)
    return float(np.mean(np.diagonal(found.deviation))), float(error)


def test_finite_networks_approach_the_infinite_one_as_their_width_grows() -> None:
    (narrow, narrow_error), (middle, _), (wide, wide_error) = (
        spread_and_error(ERF, 2, width) for width in (64, 256, 1024)
    )
    assert narrow / middle == pytest.approx(2.0, rel=0.35)
    assert middle / wide == pytest.approx(2.0, rel=0.35)
    assert wide_error < narrow_error
    assert wide_error < 0.03


@pytest.mark.parametrize(("net", "depth", "width"), [(RELU, 2, 64), (RELU, 8, 256), (RELU, 8, 64), (ERF, 8, 256)])
def test_the_spread_follows_depth_over_width_as_the_score_assumes(
    net: tuple[str, float, float], depth: int, width: int
) -> None:
    expected = np.sqrt(np.expm1(WIDTH_GAIN * depth / width))
    found, _ = spread_and_error(net, depth, width)
    assert expected / 2 < found < 1.3 * expected
