"""Spectra: the large-depth table of the paper as limits, and real images from their summary alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ntk_prior import Architecture, Task, spectrum
from ntk_prior.datasets import load_digits, standardize
from ntk_prior.theory.mean_field import mean_field
from ntk_prior.theory.recursion import kernel

CRITICAL = 1.7476037497677
BIAS = 0.18
M, PIXELS = 20, 8
TASK = Task.equicorrelated(M, 0.0, n_pixels=PIXELS, pixel_cosine=0.0)


def kinds() -> list[tuple[dict[str, object], int]]:
    """Architectures, and what the large-depth table divides their bulk and their chaotic lambda_max by."""
    return [({}, 1), ({"kind": "cnn"}, 1), ({"kind": "cnn", "pooling": True}, PIXELS)]


@pytest.mark.parametrize(("variant", "dilution"), kinds(), ids=str)
def test_ordered_limits(variant: dict[str, object], dilution: int) -> None:
    """lambda_max -> m p*, p* = q* / (1 - chi_1); lambda_bulk ~ l chi_1^l / d; kappa ~ d m p* / (l chi_1^l)."""
    depths = (60, 120)
    found = [spectrum(Architecture(1.0, BIAS, depth, **variant), TASK) for depth in depths]
    limits = mean_field(Architecture(1.0, BIAS, 1))
    p_star = limits.q_star / (1 - limits.chi_1)
    assert found[1].lambda_max == pytest.approx(M * p_star, rel=1e-6)
    reduced = [
        f.log_lambda_bulk - depth * np.log(limits.chi_1) - np.log(depth) for f, depth in zip(found, depths, strict=True)
    ]
    assert reduced[1] == pytest.approx(reduced[0], abs=0.05)
    fully = spectrum(Architecture(1.0, BIAS, depths[1]), TASK)
    assert fully.lambda_bulk / found[1].lambda_bulk == pytest.approx(dilution, rel=0.02)
    assert found[1].kappa == pytest.approx(found[1].lambda_max / found[1].lambda_bulk)


@pytest.mark.parametrize(("variant", "dilution"), kinds(), ids=str)
def test_critical_limits(variant: dict[str, object], dilution: int) -> None:
    """lambda_max -> (m d + 2) / (3 d) l q*, lambda_bulk -> 2 l q* / (3 d), kappa -> (m d + 2) / 2."""
    depth = 8000
    found = spectrum(Architecture(CRITICAL, BIAS, depth, **variant), TASK)
    q_star = mean_field(Architecture(CRITICAL, BIAS, 1)).q_star
    assert found.lambda_bulk == pytest.approx(2 / 3 * depth * q_star / dilution, rel=0.01)
    assert found.lambda_max == pytest.approx((M * dilution + 2) / (3 * dilution) * depth * q_star, rel=0.01)
    assert found.kappa == pytest.approx((M * dilution + 2) / 2, rel=0.01)


@pytest.mark.parametrize(("variant", "dilution"), kinds(), ids=str)
def test_chaotic_limits(variant: dict[str, object], dilution: int) -> None:
    """Both eigenvalues grow as chi_1^l (divided by d) and kappa - 1 falls at least as fast as (chi_c / chi_1)^l."""
    depths = (60, 120)
    found = [spectrum(Architecture(4.0, BIAS, depth, **variant), TASK) for depth in depths]
    limits = mean_field(Architecture(4.0, BIAS, 1))
    growth = (found[1].log_lambda_max - found[0].log_lambda_max) / (depths[1] - depths[0])
    assert growth == pytest.approx(np.log(limits.chi_1), rel=1e-6)
    fully = spectrum(Architecture(4.0, BIAS, depths[0]), TASK)
    assert fully.lambda_max / found[0].lambda_max == pytest.approx(dilution, rel=1e-6)
    assert found[0].kappa == pytest.approx(1.0, abs=1e-6)


def test_the_mean_predictor_decays_with_xi_star_in_the_chaotic_phase() -> None:
    """P(Theta) Y = O(l (chi_c / chi_1)^l) on data with classes: measured on digits."""
    images = standardize(load_digits())
    task = Task.from_arrays(images.x_train[:200].reshape(200, -1), images.y_train[:200])
    depths = (30, 50)
    values = [spectrum(Architecture(2.5, BIAS, depth), task).mean_predictor for depth in depths]
    slope = np.log(values[1] / depths[1] / (values[0] / depths[0])) / (depths[1] - depths[0])
    limits = mean_field(Architecture(2.5, BIAS, 1))
    assert slope == pytest.approx(-1 / limits.xi_star, rel=0.1)
    ordered = spectrum(Architecture(1.0, BIAS, 60), task).mean_predictor
    assert ordered > 0.1


def real_images(n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """CIFAR-10 where NTK_PRIOR_DATA names its folder, digits elsewhere; standardised per channel, mean square 1."""
    folder = os.environ.get("NTK_PRIOR_DATA")
    if folder is None:
        images = standardize(load_digits())
        x, y = images.x_train[:n].reshape(n, -1), images.y_train[:n]
    else:
        records = np.fromfile(Path(folder) / "data_batch_1.bin", np.uint8).reshape(-1, 3073)
        planes = records[:, 1:].reshape(-1, 3, 1024) / 255.0
        planes = (planes - planes.mean(axis=(0, 2), keepdims=True)) / planes.std(axis=(0, 2), keepdims=True)
        x, y = planes[:n].reshape(n, -1), records[:n, 0].astype(np.int64)
    return x / np.sqrt(np.mean(x**2, axis=1, keepdims=True)), y


@pytest.fixture(scope="module")
def scene() -> tuple[NDArray[np.float64], Task]:
    x, y = real_images(400)
    return x @ x.T / x.shape[1], Task.from_arrays(x, y)


@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.parametrize("weight_variance", [0.8, 1.2, 1.75, 2.5, 4.0])
def test_real_spectra_come_out_within_a_factor_of_1_1_from_the_summary(
    scene: tuple[NDArray[np.float64], Task], activation: str, weight_variance: float
) -> None:
    """lambda_max and lambda_max / median of the exact kernel of 400 images, depths 1 to 32."""
    gram, task = scene
    pairs = np.triu_indices(len(gram), 1)
    for bias_variance in (0.05, 0.18):
        for depth in (1, 2, 4, 8, 16, 32):
            architecture = Architecture(weight_variance, bias_variance, depth, activation)
            entries = kernel(architecture, np.clip(gram[pairs], -1, 1))
            scale = np.exp(entries.log_scale - entries.log_gap_scale)
            theta = np.full(gram.shape, entries.diagonal * scale)
            theta[pairs] -= entries.gaps
            theta.T[pairs] = theta[pairs]
            exact = np.linalg.eigvalsh(theta)
            found = spectrum(architecture, task)
            top = np.exp(found.log_lambda_max - entries.log_gap_scale)
            assert 1 / 1.1 < top / exact[-1] < 1.1
            assert 1 / 1.1 < found.kappa / (exact[-1] / np.median(exact)) < 1.1


@given(
    weight_variance=st.floats(1e-3, 1e3),
    bias_variance=st.one_of(st.just(0.0), st.floats(0, 1e3)),
    depth=st.integers(1, 10_000),
    activation=st.sampled_from(["erf", "tanh", "relu", "leaky_relu", "gelu", "silu", "sin", "identity"]),
    variant=st.sampled_from([variant for variant, _ in kinds()]),
    keep_rate=st.sampled_from([1.0, 0.99, 0.3]),
    residual_scale=st.sampled_from([None, 0.3, 2.0]),
    normalization=st.sampled_from(["none", "layer"]),
)
def test_every_number_is_finite_for_every_valid_network(variant: dict[str, object], **fields: object) -> None:
    found = spectrum(Architecture(**fields, **variant), TASK)  # type: ignore[arg-type]
    numbers = [value for value in found if isinstance(value, float | np.ndarray)]
    assert all(np.all(np.isfinite(value)) for value in numbers)
    assert found.lambda_max > 0
    assert found.lambda_bulk > 0
    assert 0 <= found.mean_predictor <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "mish"}, "activation 'mish' has no known dual"),
        ({"normalization": "batch"}, "batch normalization"),
    ],
)
def test_networks_outside_the_theory_have_no_spectrum(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spectrum(Architecture(1.0, 0.1, 3, **changes), TASK)


def test_a_convolutional_network_needs_images() -> None:
    x = np.random.default_rng(0).normal(size=(10, 5))
    task = Task.from_arrays(x, np.arange(10) % 2)
    with pytest.raises(ValueError, match="no image structure"):
        spectrum(Architecture(1.0, 0.1, 3, kind="cnn"), task)
