"""Spectra of the Hadamard powers of the inputs' Gram matrix, and their extrapolation to more samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array

GROUPS = 32
"""Eigenvalues are kept as this many averages over ranges of the sorted index, short ranges first."""

_TYPICAL = 0.3
"""Each power counts this much of the one before in the kernel whose eigenvectors are used; networks that are worth
training fall off about as fast."""

_SPENT = 1e-12


class Sketch(NamedTuple):
    """Spectrum of the data for kernels polynomial in the cosine, and where the labels lie in it.

    Attributes:
        eigenvalues: Rayleigh quotients of the centred ``POWERS`` along the typical kernel's eigenvectors, leading
            first, averaged over groups, shape (powers, groups).
        counts: Eigenvectors in each group, shape (groups,), summing to the number of samples.
        energy: Share of the centred labels' energy in each group, shape (groups,), summing to 1.
        diagonals: Mean diagonal of each power, shape (powers,).
        uniform: Coordinates of the uniform unit vector in the span of the powers' leading eigenvectors (not centred)
            and itself, shape (b,).
        leading: Off-diagonal parts of the powers on that span, per sample, shape (powers, b, b).
    """

    eigenvalues: Array
    counts: Array
    energy: Array
    diagonals: Array
    uniform: Array
    leading: Array


def sketch(powers: Array, targets: Array, groups: int = GROUPS) -> Sketch:
    """Sketch of a sample.

    Args:
        powers: the Hadamard ``POWERS`` of the cosine matrix (for images: their means over pixel pairs), shape
            (powers, s, s).
        targets: What is learnt, shape (s, outputs): ``one_hot`` of classes, or real numbers.
        groups: Groups to keep at the most.
    """
    middled = [centred(power) for power in powers]
    typical = sum(_TYPICAL**k * power for k, power in enumerate(middled))
    vectors = np.linalg.eigh(typical)[1][:, ::-1]
    spectra = np.array([np.sum(vectors * (power @ vectors), axis=0) for power in middled])
    counts, means, energy = _grouped(spectra, target_energy(vectors, targets), groups)
    diagonals = np.array([np.mean(np.diagonal(power)) for power in powers])
    return Sketch(means, counts, energy, diagonals, *_leading_block(powers))


def _leading_block(powers: Array) -> tuple[Array, Array]:
    """``uniform`` and ``leading`` of a sketch."""
    size = powers.shape[-1]
    ones = np.full(size, 1.0 / np.sqrt(size))
    vectors = [_leading_vector(power) for power in powers]
    left, singular, _ = np.linalg.svd(np.stack([ones, *vectors], axis=1), full_matrices=False)
    basis = left[:, singular > 1e-6]
    off = [power - np.diag(np.diagonal(power)) for power in powers]
    return basis.T @ ones, np.stack([basis.T @ part @ basis for part in off]) / size


def _leading_vector(matrix: Array) -> Array:
    """Eigenvector of the largest eigenvalue, by Lanczos iterations, shape (s,).

    They always start from the same vector, near the uniform one, and with a part in every other direction.
    """
    # Imported here: tasks that are read from a file have no need of it.
    from scipy.sparse.linalg import ArpackError, eigsh

    start = 1.0 + 0.1 * np.random.default_rng(0).normal(size=len(matrix))
    try:
        return np.asarray(eigsh(matrix, k=1, which="LA", v0=start)[1][:, 0])
    except ArpackError:  # a matrix of zeros, or one whose leading eigenvalues can hardly be told apart
        return np.asarray(np.linalg.eigh(matrix)[1][:, -1])


def extrapolate(sample: Sketch, n: int) -> Sketch:
    """The sketch that ``n`` samples of the same distribution would have.

    Args:
        sample: What was measured, in fine groups if ``n`` is much smaller.
        n: Number of samples, at least 2.
    """
    counts = sample.counts.astype(np.int64)
    spectra = np.repeat(sample.eigenvalues, counts, axis=1)
    means, energy, counts_n = modes_at(spectra, np.repeat(sample.energy / counts, counts), n)
    return sample._replace(eigenvalues=means, counts=counts_n, energy=energy)


def modes_at(eigenvalues: Array, energy: Array, n: int) -> tuple[Array, Array, Array]:
    """Eigenmodes that ``n`` samples of the same distribution would have, in groups.

    Args:
        eigenvalues: Leading first, shape (..., m).
        energy: Share of the labels' energy in each, shape (m,).
        n: Number of samples, at least 2.

    Returns:
        Mean eigenvalues, shape (..., groups), energies and counts, shape (groups,).
    """
    if n != len(energy):
        eigenvalues = np.apply_along_axis(_rescaled, -1, eigenvalues, n)
        energy = _rescaled_energy(energy, n)
    counts, means, energy = _grouped(eigenvalues, energy, GROUPS)
    return means, energy, counts


def _grouped(spectra: Array, energy: Array, groups: int) -> tuple[Array, Array, Array]:
    """Averages over at most ``groups`` ranges of the index: counts, means of the spectra, sums of the energy."""
    n = len(energy)
    edges = np.unique(np.round(np.geomspace(1, n + 1, groups + 1)).astype(np.int64)) - 1
    counts = np.diff(edges)
    means = np.add.reduceat(spectra, edges[:-1], axis=-1) / counts
    return counts.astype(float), means, np.add.reduceat(energy, edges[:-1])


def centred(matrix: Array) -> Array:
    """A kernel without its projections on the uniform vector, shape (s, s)."""
    rows = matrix - matrix.mean(axis=0)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def label_energy(vectors: Array, labels: NDArray[Any]) -> Array:
    """Share of the centred one-hot labels' energy along each column of ``vectors``."""
    return target_energy(vectors, one_hot(labels))


def one_hot(labels: NDArray[Any]) -> Array:
    """Classes as targets, shape (s, classes)."""
    return np.asarray(labels[:, None] == np.unique(labels), dtype=float)


def target_energy(vectors: Array, targets: Array) -> Array:
    """Share of the centred targets' energy along each column of ``vectors``."""
    energy = np.sum((vectors.T @ (targets - targets.mean(axis=0))) ** 2, axis=1)
    total = energy.sum()
    return np.asarray(energy / total) if total > 0 else np.full(len(targets), 1.0 / len(targets))


def _rescaled(eigenvalues: Array, n: int) -> Array:
    """Gram eigenvalues (leading first, trace = size x mean diagonal) extrapolated from ``size`` samples to ``n``.

    Sample eigenvalues are those of the population times the number of samples, plus the trace of the modes beyond
    the sample, which acts as a ridge; that tail follows the power law of the last resolved modes.
    """
    size = len(eigenvalues)
    # The last one is the uniform vector's, which centring removes.
    ridge = max(float(np.mean(eigenvalues[-1 - max(size // 50, 1) : -1])), 0.0)
    population = np.maximum(eigenvalues - ridge, 0.0) / size
    if n < size:
        index = np.arange(n)
        rest = float(np.sum(population[n:])) + ridge
        return np.asarray(n * population[index] + rest)
    decay = _tail_exponent(population)
    index = np.arange(size + 1, n + 1)
    tail = ridge * (decay - 1) * (size / index) ** decay / size
    new_ridge = ridge * (size / n) ** (decay - 1)
    return np.asarray(n * np.concatenate([population, tail]) + new_ridge)


def _tail_exponent(population: Array) -> float:
    """Exponent of the power law i^-decay over the middle of the spectrum, kept summable."""
    size = len(population)
    index = np.arange(max(size // 20, 1), min(max(size // 2, 3), size))
    values = population[index]
    keep = values > _SPENT
    if keep.sum() < 2:
        return 3.0
    slope = np.polyfit(np.log(index[keep] + 1.0), np.log(values[keep]), 1)[0]
    return float(np.clip(-slope, 1.05, 3.0))


def _rescaled_energy(energy: Array, n: int) -> Array:
    """Label energy per mode, extrapolated to ``n`` samples.

    What a finite sample's modes hold beyond the population's is noise spread evenly over them.
    """
    size = len(energy)
    position = np.arange(1, size + 1) / size
    even = np.minimum(position, 0.95)
    resolved = np.maximum.accumulate(np.clip((np.cumsum(energy) - even) / (1 - even), 0.0, 1.0))
    resolved = np.minimum(resolved, resolved[size // 2])  # later modes cannot be told from noise
    index = np.arange(1, n + 1)
    population = np.interp(np.log(index), np.log(np.arange(1, size + 1)), resolved)
    cumulative = population + (1 - population) * index / n
    return np.asarray(np.diff(np.concatenate([[0.0], cumulative / cumulative[-1]])))
