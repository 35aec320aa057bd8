"""How convolutional networks see images: cosines of pixel pairs, after one convolution window's average.

A convolution averages the kernel over its window along every diagonal p - p' = const (Xiao et al. 2020, eq. 17), so
pixel pairs of one offset and one image pair form a group: the group's mean is a fixed point of averaging, and the
differences inside it fade from layer to layer. Nodes are the groups' means, each split in two by the spread inside.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.task.cosines import POWERS, gauss_nodes, weights_on
from ntk_prior.task.hadamard import sketch
from ntk_prior.task.view import View

WINDOW = 3
"""Side of the window whose average is in the cosines."""

MEANS = 6
"""Nodes over the means of groups."""

SOFTENING = 1.0
"""Pixels are scaled to length sqrt(E / (E + SOFTENING)), up to a factor, where E is their mean square: the dual of a
saturating activation divides by q + const, not by q, so that faint pixels do not count as much as bright ones."""

NODE_IMAGES = 48
"""Images whose pairs give the nodes; every pair contributes all its positions, at up to 64 offsets."""

PIXEL_PAIRS = 1 << 28
"""Pixel pairs that the spectral sketch of all images visits at the most; it thins out the pixels beyond."""

LAYERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)
"""Numbers of windows at which the fading inside groups is measured."""


class _Fields(NamedTuple):
    """Statistics of the cosine fields of all image pairs a <= b at the given offsets.

    Attributes:
        means: Mean over positions, shape (n, n, offsets).
        variances: Variance over positions, the same shape.
        fading: Variance over positions summed over all groups after ``LAYERS`` windows, shape (layers,).
    """

    means: Array
    variances: Array
    fading: Array


def pixel_view(images: Array, labels: NDArray[np.int64], targets: Array, groups: int, *, pooled: bool) -> View:
    """The view that flattened (``pooled`` False) or globally pooled convolutional networks have of images.

    Args:
        images: Shape (n, height, width, channels), each with mean square 1.
        labels: Class indices, shape (n,).
        targets: What is learnt, shape (n, outputs).
        groups: Eigenvalue groups to keep.
        pooled: Whether pairs of different pixels count.
    """
    height, width = images.shape[1:3]
    summary = sketch(pooled_powers(images) if pooled else flat_powers(images), targets, groups)
    # Restoring the pixels' own share may push what thinning has blurred below zero.
    summary = summary._replace(eigenvalues=np.maximum(summary.eigenvalues, 0.0))
    images, labels = images[:NODE_IMAGES], labels[:NODE_IMAGES]
    offsets = _offsets(height, width) if pooled else np.zeros((1, 2), dtype=np.int64)
    found = _measure(images, offsets)
    n = len(images)
    first, second = np.triu_indices(n, 1)
    across, spread = found.means[first, second], found.variances[first, second]
    alike = labels[first] == labels[second]
    itself = np.arange(n)
    moved = np.any(offsets != 0, axis=1)
    inside, spread_inside = found.means[itself, itself][:, moved], found.variances[itself, itself][:, moved]
    samples = np.concatenate([across.ravel(), inside.ravel()]) if pooled else across.ravel()
    nodes, weights, polynomials = gauss_nodes(samples, MEANS)

    def on(part: Array) -> Array:
        return weights_on(nodes, weights, polynomials, part.ravel(), samples) if part.size else weights

    spreads = np.concatenate([spread.ravel(), spread_inside.ravel()]) if pooled else spread.ravel()
    # A parabola, unless fewer than three means can be told apart.
    degree = min(2, len(np.unique(np.round(samples, 4))) - 1)
    deviation = np.sqrt(np.maximum(np.polyval(np.polyfit(samples, spreads, degree), nodes), 0.0))
    deviation = np.minimum(deviation, 1.0 - np.abs(nodes))
    pixels = height * width
    within = on(inside) * (1.0 - 1.0 / pixels) if pooled else np.zeros_like(nodes)
    return View(
        cosines=np.stack([nodes - deviation, nodes + deviation], axis=1).ravel(),
        across=np.repeat(on(across) / 2, 2),
        same_class=np.repeat(on(across[alike]) / 2, 2),
        other_class=np.repeat(on(across[~alike]) / 2, 2),
        within=np.repeat(within / 2, 2),
        group=2,
        spreads=np.array(LAYERS) * (WINDOW**2 - 1) / 12.0,
        variances=found.fading / max(float(found.fading[0]), 1e-300),
        sketch=summary,
    )


def flat_powers(images: Array) -> Array:
    """Hadamard powers of the patch cosines of equal pixels, averaged over pixels, shape (powers, n, n)."""
    patches = _patches(images, max(PIXEL_PAIRS // len(images) ** 2, 1))
    total = np.zeros((len(POWERS), len(images), len(images)))
    for patch in patches.swapaxes(0, 1):
        cosine = patch @ patch.T
        term = np.ones_like(cosine)
        for row in range(len(POWERS)):
            term = term * cosine
            total[row] += term / patches.shape[1]
    return total


def pooled_powers(images: Array) -> Array:
    """Hadamard powers of the patch cosines, averaged over all pairs of pixels, shape (powers, n, n)."""
    n, pixels = len(images), images.shape[1] * images.shape[2]
    patches = _patches(images, max(math.isqrt(PIXEL_PAIRS) // n, 8))
    used = patches.shape[1]
    total = np.empty((len(POWERS), n, n))
    everything = patches.reshape(n * used, -1)
    for a in range(n):
        cosine = patches[a] @ everything[a * used :].T
        term = np.ones_like(cosine)
        for row in range(len(POWERS)):
            term *= cosine
            means = term.sum(axis=0).reshape(n - a, used).sum(axis=1) / used**2
            # Thinned pixels meet themselves too often: restore the share 1 / pixels of such pairs.
            itself = np.mean(np.sum(patches[a] ** 2, axis=-1) ** POWERS[row])
            apart = (means[0] * used - itself) / max(used - 1, 1)
            means[0] = itself / pixels + (1.0 - 1.0 / pixels) * apart
            total[row, a, a:] = total[row, a:, a] = means
    return total


def _patches(images: Array, most: int) -> Array:
    """Softly normalised patch vectors at no more than ``most`` pixels, shape (n, pixels, features)."""
    reach = range(-(WINDOW // 2), WINDOW // 2 + 1)
    moved = [np.roll(images, (dy, dx), axis=(1, 2)) for dy in reach for dx in reach]
    patches = np.concatenate(moved, axis=-1).reshape(len(images), -1, images.shape[-1] * WINDOW**2)
    pixels = patches.shape[1]
    if most < pixels:
        patches = patches[:, np.random.default_rng(0).permutation(pixels)[:most]]
    energy = np.mean(patches**2, axis=-1)
    norm = np.sqrt((energy + SOFTENING) / (1.0 + SOFTENING) * patches.shape[-1])
    return np.asarray(patches / norm[..., None])


def _offsets(height: int, width: int) -> NDArray[np.int64]:
    """All offsets of a small image, or a jittered grid of them."""
    rows, columns = min(height, 8), min(width, 8)
    y, x = np.meshgrid(np.arange(rows) * height // rows, np.arange(columns) * width // columns, indexing="ij")
    grid = np.stack([y.ravel(), x.ravel()], axis=1)
    if len(grid) == height * width:
        return grid
    jitter = np.random.default_rng(0).integers(0, [max(height // rows, 1), max(width // columns, 1)], size=grid.shape)
    return grid + jitter


def _measure(images: Array, offsets: NDArray[np.int64]) -> _Fields:
    n, height, width = images.shape[:3]
    transfer = _transfer(height, width)
    energy = _window(np.mean(images**2, axis=-1), transfer)
    shape = (n, n, len(offsets))
    means, variances = np.zeros(shape), np.zeros(shape)
    power = np.zeros(transfer.shape)
    for k, (dy, dx) in enumerate(offsets):
        shifted, shifted_energy = (np.roll(array, (-dy, -dx), axis=(1, 2)) for array in (images, energy))
        for a in range(n):
            product = np.mean(images[a] * shifted[a:], axis=-1)
            spectrum = np.fft.rfft2(product) * transfer
            norm = np.sqrt((energy[a] + SOFTENING) * (shifted_energy[a:] + SOFTENING)) / (1.0 + SOFTENING)
            cosine = np.clip(np.fft.irfft2(spectrum, s=(height, width)) / norm, -1.0, 1.0)
            means[a, a:, k], variances[a, a:, k] = cosine.mean((1, 2)), cosine.var((1, 2))
            power += np.sum(np.abs(np.fft.rfft2(cosine)) ** 2, axis=0)
    # The field of (b, a) at an offset is that of (a, b) at the opposite one; both occur equally often.
    for array in (means, variances):
        lower = np.tril_indices(n, -1)
        array[lower] = array[lower[1], lower[0]]
    return _Fields(means, variances, _fading(power, transfer, width))


def _transfer(height: int, width: int) -> Array:
    """Fourier transform of the window's average with circular padding, on rfft2's frequencies."""
    window = np.zeros((height, width))
    for dy in range(-(WINDOW // 2), WINDOW // 2 + 1):
        for dx in range(-(WINDOW // 2), WINDOW // 2 + 1):
            window[dy % height, dx % width] += 1.0 / WINDOW**2
    return np.asarray(np.fft.rfft2(window).real)


def _window(field: Array, transfer: Array) -> Array:
    return np.asarray(np.fft.irfft2(np.fft.rfft2(field) * transfer, s=field.shape[-2:]))


def _fading(power: Array, transfer: Array, width: int) -> Array:
    """Positional variance that is left after more windows, of fields with this power spectrum."""
    power = power.copy()
    power[..., 1 : (width + 1) // 2] *= 2  # rfft2 keeps one of each conjugate pair
    power[..., 0, 0] = 0.0
    return np.array([np.sum(power * transfer ** (2 * (layers - 1))) for layers in LAYERS])
