"""Convolutional kernels from the pixel summary, against an explicit covariance of all pixel pairs."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls

from ntk_prior import Architecture, Task, spectrum
from ntk_prior.task.cosines import POWERS, Fits, positive_fits
from ntk_prior.task.hadamard import one_hot
from ntk_prior.task.images import flat_powers, pixel_view, pooled_powers
from tests.support.images import SIDE, UNCORRELATED, photographs, small_images, uncorrelated

Array = NDArray[np.float64]

TOLERANCE, POOLED_BULK = (0.25, (0.75, 1.25)) if "NTK_PRIOR_DATA" in os.environ else (0.35, (0.4, 1.5))
"""Two photographs hold few objects, nearly flat skies among them, and are harder to summarise than CIFAR-10, above all
for what is left of small eigenvalues after pooling."""
BIAS_VARIANCE = 0.18


def explicit_ntk(x: Array, weight_variance: float, bias_variance: float, depth: int) -> tuple[Array, Array]:
    """NTK of an Erf CNN with 3 x 3 circular windows, flattened and pooled, by carrying every pair of pixels."""
    n, height, width = x.shape[:3]
    kernel = np.einsum("ahwc,bHWc->abhwHW", x, x) / x.shape[-1]
    ab, pixel = np.arange(n)[:, None, None], np.meshgrid(np.arange(height), np.arange(width), indexing="ij")

    def window(k: Array) -> Array:
        shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        return sum(np.roll(k, (dy, dx, dy, dx), (2, 3, 4, 5)) for dy, dx in shifts) / 9

    kernel = window(weight_variance * kernel) + bias_variance
    theta = kernel.copy()
    for layer in range(depth):
        q = kernel[ab, ab, pixel[0], pixel[1], pixel[0], pixel[1]]
        norm = (1 + 2 * q[:, None, :, :, None, None]) * (1 + 2 * q[None, :, None, None, :, :])
        t = 2 / np.pi * np.arcsin(np.clip(2 * kernel / np.sqrt(norm), -1, 1))
        through = 4 / np.pi / np.sqrt(norm - 4 * kernel**2) * theta
        if layer == depth - 1:
            theta = weight_variance * (t + through) + bias_variance
        else:
            kernel = window(weight_variance * t) + bias_variance
            theta = kernel + window(weight_variance * through)
    flat = theta[:, :, pixel[0], pixel[1], pixel[0], pixel[1]].mean(axis=(-1, -2))
    return flat, theta.mean(axis=(2, 3, 4, 5))


@pytest.fixture(scope="module")
def scene() -> tuple[Array, Task]:
    x, y = small_images(20)
    return x, Task.from_arrays(x, y)


@pytest.mark.parametrize(("weight_variance", "depth"), [(1.3, 4), (1.75, 2), (1.75, 8), (2.5, 1), (2.5, 4)])
def test_the_summary_reproduces_the_explicit_kernel_of_correlated_pixels(
    scene: tuple[Array, Task], weight_variance: float, depth: int
) -> None:
    x, task = scene
    for pooling, theta in zip((False, True), explicit_ntk(x, weight_variance, BIAS_VARIANCE, depth), strict=True):
        exact = np.linalg.eigvalsh(theta)
        found = spectrum(Architecture(weight_variance, BIAS_VARIANCE, depth, kind="cnn", pooling=pooling), task)
        assert found.lambda_max == pytest.approx(exact[-1], rel=TOLERANCE)
        if pooling:
            assert POOLED_BULK[0] < found.lambda_bulk / np.median(exact) < POOLED_BULK[1]
        else:
            assert found.lambda_bulk == pytest.approx(np.median(exact), rel=TOLERANCE)


@pytest.mark.parametrize("name", UNCORRELATED)
def test_hardly_correlated_pixels_have_the_explicit_spectrum(name: str) -> None:
    """Ordered, close to critical and chaotic, depths 1 to 8, where free polynomials miss the bulk by up to 1e6."""
    x, y = uncorrelated(name, 16)
    task = Task.from_arrays(x, y)
    for weight_variance in (1.0, 1.75, 3.0):
        for depth in (1, 3, 8):
            kernels = explicit_ntk(x, weight_variance, 0.1, depth)
            for pooling, theta in zip((False, True), kernels, strict=True):
                exact = np.linalg.eigvalsh(theta)
                found = spectrum(Architecture(weight_variance, 0.1, depth, kind="cnn", pooling=pooling), task)
                assert found.lambda_max == pytest.approx(exact[-1], rel=0.25)
                slack = 2.2 if pooling else 1.25
                assert 1 / slack < found.lambda_bulk / np.median(exact) < slack


def test_the_summary_is_exact_where_all_pixels_are_equally_alike() -> None:
    """One cosine across images, one within: the kernel then has one entry on and one off the diagonal."""
    across, within, pixels, m = 0.2, 0.6, SIDE**2, 30
    task = Task.equicorrelated(m, across, n_pixels=pixels, pixel_cosine=within)
    for pooling in (False, True):
        for depth in (1, 5, 30):
            found = spectrum(Architecture(1.5, 0.1, depth, kind="cnn", pooling=pooling), task)
            same, inside, outside = (_scalar_ntk(1.5, 0.1, depth, c) for c in (1.0, within, across))
            diagonal = same / pixels + inside * (1 - 1 / pixels) if pooling else same
            assert found.lambda_max == pytest.approx(diagonal + (m - 1) * outside, rel=1e-8)
            assert found.lambda_bulk == pytest.approx(diagonal - outside, rel=1e-8)


def _scalar_ntk(weight_variance: float, bias_variance: float, depth: int, cosine: float) -> float:
    q = weight_variance + bias_variance
    k = theta = weight_variance * cosine + bias_variance
    for _ in range(depth):
        norm = 1 + 2 * q
        gain = 4 / np.pi / np.sqrt(norm**2 - 4 * k**2)
        k, q = (2 / np.pi * np.arcsin(2 * v / norm) * weight_variance + bias_variance for v in (k, q))
        theta = k + weight_variance * gain * theta
    return float(theta)


def test_pooling_multiplies_the_ordered_condition_number_by_the_pixels() -> None:
    """Table 1 of the paper: kappa of a pooled CNN is d times that of a flattened one, for uncorrelated pixels."""
    pixels = 8
    task = Task.equicorrelated(20, 0.0, n_pixels=pixels, pixel_cosine=0.0)
    kappa = {
        pooling: spectrum(Architecture(1.0, 0.18, 60, kind="cnn", pooling=pooling), task).kappa
        for pooling in (False, True)
    }
    assert kappa[True] / kappa[False] == pytest.approx(pixels, rel=0.02)


def test_patch_cosines_agree_with_a_direct_average() -> None:
    x, _ = photographs(3, side=4)
    moved = [np.roll(x, (dy, dx), axis=(1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    patches = np.concatenate(moved, axis=-1).reshape(3, 16, -1)
    energy = np.mean(patches**2, axis=-1, keepdims=True)
    soft = patches / np.sqrt((energy + 1) / 2 * patches.shape[-1])
    cosines = np.einsum("apf,bqf->abpq", soft, soft)
    for power in (1, 2, 3):
        flat = np.einsum("abpp->abp", cosines**power).mean(axis=-1)
        assert flat_powers(x)[power - 1] == pytest.approx(flat, abs=1e-12)
        assert pooled_powers(x)[power - 1] == pytest.approx(np.mean(cosines**power, axis=(2, 3)), abs=1e-12)


def test_differences_inside_a_group_fade_with_every_window() -> None:
    x, y = photographs(8)
    nodes = pixel_view(x, y, one_hot(y), 8, pooled=True)
    assert nodes.variances[0] == 1.0
    assert np.all(np.diff(nodes.variances) <= 0)
    assert nodes.variances[-1] < 1e-3
    assert nodes.across.sum() == pytest.approx(1.0)
    assert nodes.within.sum() == pytest.approx(1 - 1 / SIDE**2)


NODES = np.array([-0.5, 0.1, -0.2, 0.4, 0.0, 0.6, 0.3, 0.8, 0.5, 0.9, 0.7, 0.95])
RIDGE = np.diag([0.0, 0.0, *4 * [0.005**2]])
WEIGHTS = np.repeat([0.1, 0.3, 0.3, 0.2, 0.08, 0.02], 2)


def closest(fits: Fits, gaps: Array) -> Array:
    """Terms of the fit that compiled code takes."""
    tried = fits.terms @ gaps
    explained = np.where(np.all(tried >= 0, axis=1), tried @ (fits.pulls @ gaps), -np.inf)
    return np.asarray(tried[np.argmax(explained)])


def test_constant_and_linear_gaps_are_fitted_exactly() -> None:
    """Deep in chaos all gaps are one number, which lambda_max must not miss by a millionth; deep in order they are
    linear."""
    fits = positive_fits(NODES, WEIGHTS, 2)
    assert closest(fits, np.full(12, 3.0)) == pytest.approx([3, 0, 0, 0, 0, 0], abs=1e-9)
    assert closest(fits, 2.0 * (1.0 - NODES)) == pytest.approx([0, 2, 0, 0, 0, 0], abs=1e-9)


def test_no_kernel_gets_a_negative_coefficient_and_none_fits_closer() -> None:
    """Against the active-set method of Lawson and Hanson, on gaps that are no polynomial's."""
    fits = positive_fits(NODES, WEIGHTS, 2)
    gram = fits.pulls @ np.column_stack([np.ones(12), *(1.0 - NODES**k for k in POWERS)])
    root = np.linalg.cholesky(gram + gram @ np.outer(np.eye(6)[0], np.r_[0.0, fits.nugget[1:]]) + RIDGE).T
    for gaps in np.random.default_rng(0).uniform(0.2, 1, size=(50, 12)):
        expected, _ = nnls(root, np.linalg.solve(root.T, fits.pulls @ gaps))
        assert closest(fits, gaps) == pytest.approx(expected, abs=1e-6)
