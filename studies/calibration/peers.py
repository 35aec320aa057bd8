"""What else could tell hopeless trainings apart before they are launched, on the same rows as the prior.

Each peer is fitted to the rows of the split ``fit`` of the table "practice" and ranks held-out ones. Numbers that rank
by themselves (a learning rate, a gradient's norm) are used in the best of three ways: the larger the better, the
smaller the better, the nearer to a value.

References:
    Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving synaptic
    flow", arXiv 2006.05467 (synflow).
    Chen, Gong and Wang, "Neural architecture search on ImageNet in four GPU hours", arXiv 2102.11535 (the condition
    number of a mini-batch's kernel).
    CAPE: kernel trace, gradient norm, initial loss, rate and batch in a random forest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score

from ntk_prior.budget import ADAPTIVE
from ntk_prior.verdict.practice import Practice
from studies.calibration.rows import Known

Array = NDArray[np.float64]

_TINY = 1e-12

NAMES = ("kind", "pooling", "normalization", "activation", "initialization", "loss", "optimizer", "schedule")
NUMBERS = (
    *("depth", "width", "keep_rate", "weight_variance", "bias_variance", "learning_rate", "batch_size"),
    *("weight_decay", "warmup_steps", "steps", "n_train", "residual_scale"),
)
"""Raw hyperparameters."""


class Ranking(NamedTuple):
    """How a peer ranks held-out trainings.

    Attributes:
        name: Of the peer.
        goodness: The larger, the less hopeless; shape (n,).
        seconds: What it takes for one training, in the median.
    """

    name: str
    goodness: Array
    seconds: float


def rankings(fit: pd.DataFrame, test: Known, model: Practice) -> Iterator[Ranking]:
    """All peers, the prior first.

    Args:
        fit: Trainings to fit the peers to.
        test: Others, to rank.
        model: The prior's models.
    """
    began = time.perf_counter()
    for row in test.seen[:200]:
        model.prospects(row[None])
    asked = (time.perf_counter() - began) / 200
    yield Ranking("the prior", model.prospects(test.seen).trains, asked)
    frame = test.frame
    yield Ranking("abs(log rate - best)", _rate(fit, frame), 0.0)
    yield Ranking("trees on raw hyperparameters", _trees(fit, frame, _raw), 0.0)
    proxies = float(frame["proxy_seconds"].median())
    for name in ("gradient_norm", "synflow", "condition_number"):
        goodness = _by_number(fit, frame, lambda rows, name=name: _log(rows[name]))
        yield Ranking(name.replace("_", " "), goodness, proxies)
    yield Ranking("CAPE's recipe", _forest(fit, frame), proxies)
    ten = float(frame["first_seconds"].median())
    yield Ranking("ten real steps: training score", _by_number(fit, frame, _score_after_ten), ten)
    yield Ranking("ten real steps, in trees with the hyperparameters", _trees(fit, frame, _after_ten), ten)


def _log(column: pd.Series) -> Array:
    return np.log(np.nan_to_num(column.to_numpy(dtype=float), nan=0.0, posinf=1e30).clip(_TINY, 1e30))


def _rate(fit: pd.DataFrame, test: pd.DataFrame) -> Array:
    """The best rate is chosen for Adam and its like, and for the others."""
    goodness = np.empty(len(test))
    for adaptive in (False, True):
        of_fit, of_test = (frame["optimizer"].isin(ADAPTIVE).to_numpy() == adaptive for frame in (fit, test))
        goodness[of_test] = _by_number(fit[of_fit], test[of_test], lambda rows: _log(rows["learning_rate"]))
    return goodness


def _by_number(fit: pd.DataFrame, test: pd.DataFrame, number: Callable[[pd.DataFrame], Array]) -> Array:
    """A number's best use, chosen on the rows to fit."""
    seen, useful = number(fit), ~fit["hopeless"].to_numpy(dtype=bool)
    uses: list[Callable[[Array], Array]] = [lambda x: x, lambda x: -x]
    uses += [lambda x, best=best: -np.abs(x - best) for best in np.quantile(seen, np.linspace(0.05, 0.95, 37))]
    best = max(uses, key=lambda use: roc_auc_score(useful, use(seen)))
    return best(number(test))


def _raw(frame: pd.DataFrame) -> pd.DataFrame:
    names = frame[list(NAMES)].astype("category")
    return pd.concat([frame[list(NUMBERS)].astype(float), names], axis=1)


def _after_ten(frame: pd.DataFrame) -> pd.DataFrame:
    steps = frame[["initial_loss", "train_loss_0", "train_score_0", "test_score_0"]].astype(float)
    return pd.concat([_raw(frame), steps.clip(-1e30, 1e30)], axis=1)


def _score_after_ten(frame: pd.DataFrame) -> Array:
    return frame["train_score_0"].fillna(-1.0).to_numpy(dtype=float)


def _trees(fit: pd.DataFrame, test: pd.DataFrame, columns: Callable[[pd.DataFrame], pd.DataFrame]) -> Array:
    both = columns(pd.concat([fit, test], ignore_index=True))  # so that categories are the same
    trees = HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype")
    trees.fit(both[: len(fit)], ~fit["hopeless"].to_numpy(dtype=bool))
    return np.asarray(trees.predict_proba(both[len(fit) :])[:, 1])


def _forest(fit: pd.DataFrame, test: pd.DataFrame) -> Array:
    def probe(frame: pd.DataFrame) -> Array:
        names = ("kernel_trace", "gradient_norm", "initial_loss", "learning_rate", "batch_size")
        return np.column_stack([_log(frame[name]) for name in names])

    forest = RandomForestClassifier(500, random_state=0, n_jobs=2)
    forest.fit(probe(fit), ~fit["hopeless"].to_numpy(dtype=bool))
    return np.asarray(forest.predict_proba(probe(test))[:, 1])
