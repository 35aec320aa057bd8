"""The distribution of cosines between inputs, by a few Gauss nodes, and polynomials fitted on them."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from ntk_prior._types import Array

POWERS = (1, 2, 3, 4, 5)

_INSIDE = 0.25
"""Weight of gaps' differences inside a group, against that of their mean."""

_RIDGE = 0.005
"""Weight of small coefficients beyond the first power, against that of the gaps."""

_TAIL = 0.05
"""What the powers beyond the last one kept hold at the least, in units of each power's coefficient."""


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
