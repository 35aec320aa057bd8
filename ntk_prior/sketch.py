"""Small summaries of data: quadrature nodes of a distribution of cosines, and the spectra of Hadamard powers.

A kernel that is a polynomial in the cosine, Theta_ab = sum_k f_k c_ab^k off the diagonal, has on centred data about
the eigenvalues Theta_aa - sum_k f_k + sum_{k>0} f_k F_k (kernel random matrices: El Karoui 2010), where F_k are the
Rayleigh quotients of the centred Hadamard powers c^{o k} along the eigenvectors of one typical kernel: first-order
perturbation theory around it, since the powers do not commute. (Their own sorted eigenvalues would add the largest of
one to the largest of the other.) So a few short lists of numbers stand in for the data at every depth.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POWERS = (1, 2, 3, 4, 5)
GROUPS = 32
"""Eigenvalues are kept as this many averages over ranges of the sorted index, short ranges first."""

_TYPICAL = 0.3
"""Each power counts this much of the one before in the kernel whose eigenvectors are used; networks that are worth
training fall off about as fast."""

_INSIDE = 0.25
"""Weight of gaps' differences inside a group, against that of their mean."""

_RIDGE = 0.005
"""Weight of small coefficients beyond the first power, against that of the gaps."""

_TAIL = 0.05
"""What the powers beyond the last one kept hold at the least, in units of each power's coefficient."""

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


def gauss_nodes(samples: Array, size: int) -> tuple[Array, Array, Array]:
    """Gauss quadrature of an empirical distribution (Golub and Welsch 1969).

    Args:
        samples: Draws, shape (n,).
        size: Nodes wanted; fewer come back where the distribution has fewer distinct values.

    Returns:
        Nodes, weights (summing to 1), and the orthonormal polynomials at the nodes, shape (nodes, nodes), row k
        holding degree k.
    """
    alpha, beta = _recurrence(samples, size)
    jacobi = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    weights = vectors[0] ** 2
    # A node whose weight vanishes integrates nothing, whatever the polynomials are there.
    return nodes, weights, vectors / np.where(vectors[0] == 0.0, 1.0, vectors[0])


def _recurrence(samples: Array, size: int) -> tuple[Array, Array]:
    """Coefficients of the three-term recurrence, by the discrete Stieltjes procedure."""
    alpha, beta = [], []
    previous, current = np.zeros_like(samples), np.ones_like(samples)
    scale = 0.0
    for _ in range(size):
        alpha.append(float(np.mean(samples * current**2)))
        following = (samples - alpha[-1]) * current - scale * previous
        scale = float(np.sqrt(np.mean(following**2)))
        if scale < 1e-9:
            break
        beta.append(scale)
        previous, current = current, following / scale
    return np.array(alpha), np.array(beta[: len(alpha) - 1])


def weights_on(nodes: Array, weights: Array, polynomials: Array, samples: Array, all_samples: Array) -> Array:
    """Weights on given Gauss nodes that integrate ``samples`` exactly up to degree ``len(nodes) - 1``."""
    alpha, beta = _recurrence(all_samples, len(nodes))
    previous, current, moments, scale = np.zeros_like(samples), np.ones_like(samples), [], 0.0
    for k in range(len(nodes)):
        moments.append(float(np.mean(current)))
        if k < len(beta):
            following = ((samples - alpha[k]) * current - scale * previous) / beta[k]
            previous, current, scale = current, following, beta[k]
    return np.asarray(weights * (np.array(moments) @ polynomials))


def polynomial_fit(nodes: Array, weights: Array) -> Array:
    """Matrix of the weighted least-squares polynomial: values at the nodes to coefficients, shape (powers + 1, nodes).

    The degree drops where there are too few distinct nodes, leaving rows of zeros.
    """
    degree = min(len(POWERS), len(np.unique(np.round(nodes, 9))) - 1)
    root = np.sqrt(np.maximum(weights, 0.0))
    design = np.vander(nodes, degree + 1, increasing=True) * root[:, None]
    fit = np.zeros((len(POWERS) + 1, len(nodes)))
    fit[: degree + 1] = np.linalg.pinv(design) * root
    return fit


class Fits(NamedTuple):
    """Ways to fit a kernel's gaps Theta(1) - Theta(c) by n + sum_k a_k (1 - c^k).

    Attributes:
        terms: Matrices from gaps to the terms of a fit, n of its own and a_k, shape (fits, powers + 1, nodes).
        pulls: What a unit of each term explains of the gaps, shape (powers + 1, nodes): the more, the closer the fit.
        nugget: What a unit of each term adds to n, shape (powers + 1,).
    """

    terms: Array
    pulls: Array
    nugget: Array


def free_fit(nodes: Array, weights: Array) -> Fits:
    """The one fit that ``polynomial_fit`` makes, for nodes that determine it."""
    free = polynomial_fit(nodes, weights)
    terms = np.vstack([free.sum(axis=0), -free[1:]])
    return Fits(terms[None], np.zeros_like(terms), np.eye(len(terms))[0])


def positive_fits(nodes: Array, weights: Array, group: int) -> Fits:
    """Least-squares fits to groups of nodes, one for each set of terms that may be positive.

    After convolutions have averaged, a gap belongs to a group more than to its node's cosine: the fit meets the groups'
    means first and the differences inside less closely. Few groups do not determine six terms, so a free fit
    alternates; but a kernel that is positive definite in every dimension has no a_k < 0 (Schoenberg 1942), and its
    powers beyond the last one kept, which are in n, come with every power beyond the first. The best fit of that kind
    is the closest one without a negative term among those below, n alone first. What the nodes leave open is shared
    evenly by the powers beyond the first (ridge).

    Args:
        nodes: Cosines, shape (nodes,).
        weights: Of each, shape (nodes,).
        group: Consecutive nodes in a group.
    """
    powers, size = np.arange(len(POWERS) + 1), len(nodes)
    inside = np.kron(np.eye(size // group), np.full((group, group), 1.0 / group))
    shares = inside @ np.maximum(weights, 0.0)
    met = np.sqrt(shares / shares.sum())[:, None] * (inside + _INSIDE * (np.eye(size) - inside))
    nugget = np.where(powers == 0, 1.0, np.where(powers > 1, _TAIL, 0.0))
    design = met @ (np.where(powers > 0, 1.0 - nodes[:, None] ** powers, 0.0) + nugget)
    padded = np.vstack([design, np.diag(np.where(powers > 1, _RIDGE, 0.0))])
    sets = [list(kept) for count in range(1, len(powers) + 1) for kept in combinations(range(len(powers)), count)]
    terms = np.zeros((len(sets), len(powers), size))
    for fit, kept in zip(terms, sets, strict=True):
        fit[kept] = np.linalg.pinv(padded[:, kept])[:, :size] @ met
    return Fits(terms, design.T @ met, nugget)


def sketch(powers: Array, labels: NDArray[np.int64], groups: int = GROUPS) -> Sketch:
    """Sketch of a sample.

    Args:
        powers: the Hadamard ``POWERS`` of the cosine matrix (for images: their means over pixel pairs), shape
            (powers, s, s).
        labels: Class indices, shape (s,).
        groups: Groups to keep at the most.
    """
    middled = [centred(power) for power in powers]
    typical = sum(_TYPICAL**k * power for k, power in enumerate(middled))
    vectors = np.linalg.eigh(typical)[1][:, ::-1]
    spectra = np.array([np.sum(vectors * (power @ vectors), axis=0) for power in middled])
    counts, means, energy = _grouped(spectra, label_energy(vectors, labels), groups)
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


def carried(sample: Sketch, n: int) -> Sketch:
    """The sketch that ``n`` samples of the same distribution would have.

    Args:
        sample: What was measured, in fine groups if ``n`` is much smaller.
        n: Number of samples, at least 2.
    """
    counts = sample.counts.astype(np.int64)
    spectra = np.repeat(sample.eigenvalues, counts, axis=1)
    means, energy, counts_n = carried_modes(spectra, np.repeat(sample.energy / counts, counts), n)
    return sample._replace(eigenvalues=means, counts=counts_n, energy=energy)


def carried_modes(eigenvalues: Array, energy: Array, n: int) -> tuple[Array, Array, Array]:
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
    one_hot = (labels[:, None] == np.unique(labels)).astype(float)
    one_hot -= one_hot.mean(axis=0)
    energy = np.sum((vectors.T @ one_hot) ** 2, axis=1)
    total = energy.sum()
    return np.asarray(energy / total) if total > 0 else np.full(len(labels), 1.0 / len(labels))


def _rescaled(eigenvalues: Array, n: int) -> Array:
    """Gram eigenvalues (leading first, trace = size x mean diagonal) carried from ``size`` samples to ``n``.

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
    """Label energy per mode carried to ``n`` samples.

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
