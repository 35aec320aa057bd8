"""Sums of decision trees, evaluated by compiled code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.theory.jit import PER_CALL, PER_CONFIGURATION, entry, on_all_cores

_LARGEST_VALUE = 1e6
"""No leaf adds more to the log-odds."""


class Trees(NamedTuple):
    """A sum of decision trees, their nodes one after the other.

    Attributes:
        roots: First node of each tree, shape (trees,).
        feature: Index of the feature that a node looks at, -1 for a leaf; this and all below of shape (nodes,).
        threshold: Rows with values up to this go to the left.
        left, right: The next node.
        value: What a leaf adds to the log-odds.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Array
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Array


class Forest(NamedTuple):
    """Several sums of trees, which rows walk through in one go.

    Attributes:
        trees: Those of all sums.
        column: Which sum each tree belongs to, shape (trees,).
        n: Number of sums.
    """

    trees: Trees
    column: NDArray[np.int32]
    n: int


def forest(parts: Sequence[Trees]) -> Forest:
    """Several sums of trees as one forest."""
    starts = np.cumsum([0, *(len(part.feature) for part in parts)])
    shifted = [
        part._replace(roots=part.roots + start, left=part.left + start, right=part.right + start)
        for part, start in zip(parts, starts, strict=False)
    ]
    whole = Trees(*(np.concatenate(arrays).astype(arrays[0].dtype) for arrays in zip(*shifted, strict=True)))
    column = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.roots) for part in parts])
    return Forest(whole, column, len(parts))


@entry(lambda *arguments: PER_CALL / 2 + PER_CONFIGURATION * len(arguments[-1]))
def _add_trees(
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: Array,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    value: Array,
    column: NDArray[np.int32],
    rows: Array,
    out: Array,
) -> None:
    """Add the leaves that each row of features reaches; fills ``out``, shape (n, sums)."""
    for i in range(rows.shape[0]):
        for k in range(roots.size):
            node = roots[k]
            while feature[node] >= 0:
                node = left[node] if rows[i, feature[node]] <= threshold[node] else right[node]
            out[i, column[k]] += value[node]


def sums_of(known: Forest, rows: Array) -> Array:
    """What each sum of trees adds up to for rows of features, shape (n, features) to (n, sums)."""
    out = np.zeros((len(rows), known.n))
    on_all_cores(lambda span: _add_trees(*known.trees, known.column, rows[span], out[span]), len(rows))
    return out


def sums(trees: Trees, rows: Array) -> Array:
    """What the trees add up to for rows of features, shape (n, features) to (n,)."""
    return sums_of(Forest(trees, np.zeros_like(trees.roots), 1), rows)[:, 0]


def trees_to_json(trees: Trees) -> dict[str, Any]:
    """Trees as JSON-serialisable values."""
    return {name: array.tolist() for name, array in trees._asdict().items()}


def trees_from_json(values: Mapping[str, Any], n_features: int) -> Trees:
    """The inverse of ``trees_to_json``.

    Raises:
        KeyError, TypeError, ValueError: If the values are not those of trees over ``n_features`` features.
    """
    trees = Trees(**{name: _array(name, values[name]) for name in Trees._fields})
    n = len(trees.feature)
    here = np.arange(n)
    inner = trees.feature >= 0
    # Every walk must end, and inside the arrays: compiled code does not look.
    fine = (
        all(array.shape == (n,) for array in trees[1:])
        and np.all(trees.feature < n_features)
        and np.all((trees.roots >= 0) & (trees.roots < n))
        and all(np.all((here < after) & (after < n) | ~inner) for after in (trees.left, trees.right))
        and bool(np.all(np.isfinite(trees.threshold)) and np.all(np.abs(trees.value) <= _LARGEST_VALUE))
    )
    if not fine:
        raise ValueError("trees: expected finite numbers, and nodes that lead onwards")
    return trees


def _array(name: str, values: Any) -> NDArray[Any]:
    """One field of ``Trees``."""
    numbers = np.array(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"{name}: expected a list of numbers")
    if name in ("threshold", "value"):
        return numbers
    if not np.all((np.abs(numbers) <= np.iinfo(np.int32).max) & (numbers == np.round(numbers))):
        raise ValueError(f"{name}: expected a list of whole numbers")
    return numbers.astype(np.int32)
