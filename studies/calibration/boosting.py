"""scikit-learn's trees as the package reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from ntk_prior.verdict.model import Model
from ntk_prior.verdict.trees import Trees

Array = NDArray[np.float64]
FOLDS = 5


def calibrated(
    seen: Array, outcomes: NDArray[np.bool_], groups: NDArray[np.str_], weights: Array | None = None, **settings: Any
) -> Model:
    """Trees whose log-odds are stretched as their predictions of groups that they have not seen ask for."""
    weights = np.ones(len(seen)) if weights is None else weights
    unseen = out_of_fold(seen, outcomes, groups, weights, **settings)
    stretch = LogisticRegression(C=1e3).fit(unseen[:, None], outcomes, weights)
    slope, shift = float(stretch.coef_[0, 0]), float(stretch.intercept_[0])
    return replace(boosted(seen, outcomes, weights, **settings), slope=slope, shift=shift)


def out_of_fold(
    seen: Array, outcomes: NDArray[np.bool_], groups: NDArray[np.str_], weights: Array, **settings: Any
) -> Array:
    """Log-odds of each row by trees that have not seen its group."""
    unseen = np.empty(len(outcomes))
    for fit, test in GroupKFold(FOLDS).split(seen, outcomes, groups):
        unseen[test] = boosted(seen[fit], outcomes[fit], weights[fit], **settings).log_odds(seen[test])
    return unseen


def boosted(seen: Array, outcomes: NDArray[np.bool_], weights: Array | None = None, **settings: Any) -> Model:
    """A classifier's log-odds."""
    fit = HistGradientBoostingClassifier(random_state=0, **settings).fit(seen, outcomes, weights)
    return Model(_trees(fit), float(np.ravel(fit._baseline_prediction)[0]))


def regressed(seen: Array, values: Array, weights: Array | None = None, **settings: Any) -> Model:
    """A regression's expectation, in place of log-odds."""
    fit = HistGradientBoostingRegressor(random_state=0, **settings).fit(seen, values, weights)
    return Model(_trees(fit), float(np.ravel(fit._baseline_prediction)[0]))


def _trees(fit: Any) -> Trees:
    """The nodes of a fitted booster, to which scikit-learn has no public way."""
    parts = []
    for (tree,) in fit._predictors:
        leaf = tree.nodes["is_leaf"].astype(bool)
        parts.append(
            {
                "feature": np.where(leaf, -1, tree.nodes["feature_idx"]),
                "threshold": np.where(leaf, 0.0, tree.nodes["num_threshold"]),
                "left": np.where(leaf, 0, tree.nodes["left"]),
                "right": np.where(leaf, 0, tree.nodes["right"]),
                "value": np.where(leaf, tree.nodes["value"], 0.0),
            }
        )
    return joined(parts)


def joined(parts: list[dict[str, Array]]) -> Trees:
    """Trees one after the other, numbers rounded to seven digits; children are counted from each tree's start."""
    roots, start = [], 0
    for part in parts:
        roots.append(start)
        inner = part["feature"] >= 0
        for name in ("left", "right"):
            part[name] = np.where(inner, part[name] + start, 0)
        start += len(inner)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    nodes = {name: whole[name].astype(np.int32) for name in ("feature", "left", "right")}
    rounded = {name: np.array([float(f"{x:.7g}") for x in whole[name]]) for name in ("threshold", "value")}
    return Trees(roots=np.array(roots, dtype=np.int32), **nodes, **rounded)


def isolation(seen: Array, size: int, trees: int, seed: int = 0) -> Trees:
    """An isolation forest whose sum is the mean depth at which a row ends alone."""
    forest = IsolationForest(n_estimators=trees, max_samples=size, random_state=seed).fit(seen)
    parts = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        depth = np.zeros(tree.node_count)
        for node in range(tree.node_count):
            if not leaf[node]:
                depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1.0
        # Leaves that hold several samples would go on by this much (Liu, Ting and Zhou 2008, equation 1).
        count = tree.n_node_samples.astype(float)
        more = np.where(
            count > 2, 2.0 * (np.log(np.maximum(count - 1, 1)) + 0.5772156649) - 2.0 * (count - 1) / count, 0
        )
        more = np.where(count == 2, 1.0, more)
        parts.append(
            {
                "feature": np.where(leaf, -1, tree.feature),
                "threshold": np.where(leaf, 0.0, tree.threshold),
                "left": np.where(leaf, 0, tree.children_left),
                "right": np.where(leaf, 0, tree.children_right),
                "value": np.where(leaf, (depth + more) / trees, 0.0),
            }
        )
    return joined(parts)
