"""Image data for examples, benchmarks and the command: scikit-learn's digits and CIFAR-10 in its official layouts."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits as _sklearn_digits

from ntk_prior.architecture import require_integer

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
DATA_VARIABLE = "NTK_PRIOR_DATA"
_RECORD = 1 + 3 * 32 * 32


@dataclass(frozen=True, eq=False)
class Images:
    """A labelled train and test set.

    Attributes:
        name: What the data are called in reports.
        x_train, x_test: Images, shape (n, height, width, channels).
        y_train, y_test: Class indices, shape (n,).
    """

    name: str
    x_train: Array
    y_train: Labels
    x_test: Array
    y_test: Labels

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1


def load_digits() -> Images:
    """The 8 x 8 digits that ship with scikit-learn: 1,437 for training, 360 for testing."""
    x, y = _sklearn_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].reshape(-1, 8, 8, 1) / 16.0, y[order].astype(np.int64)
    split = 1437
    return Images("digits", x[:split], y[:split], x[split:], y[split:])


def load_cifar10(directory: str | Path | None = None) -> Images:
    """CIFAR-10 in the official binary or Python layout.

    Args:
        directory: Folder that holds ``data_batch_*`` and ``test_batch*``, or one that contains the official folder;
            the environment variable NTK_PRIOR_DATA by default.

    Raises:
        FileNotFoundError: If there are no batches.
        ValueError: If a batch is truncated or of another format.
    """
    given = directory if directory is not None else os.environ.get(DATA_VARIABLE)
    if given is None:
        raise FileNotFoundError(f"data directory: expected a folder with CIFAR-10 (or ${DATA_VARIABLE}), received none")
    for folder in (Path(given), Path(given) / "cifar-10-batches-bin", Path(given) / "cifar-10-batches-py"):
        for suffix, read in ((".bin", _binary_batch), ("", _python_batch)):
            train = sorted(path for path in folder.glob(f"data_batch_[1-5]{suffix}") if path.is_file())
            test = folder / f"test_batch{suffix}"
            if train and test.is_file():
                parts = [read(path) for path in train]
                x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
                return Images("cifar10", x, y, *read(test))
    raise FileNotFoundError(
        f"{given}: expected data_batch_1.bin and test_batch.bin (cifar-10-batches-bin), or data_batch_1 and test_batch "
        "(cifar-10-batches-py), found neither"
    )


def download_cifar10(directory: str | Path) -> Path:
    """Fetch the official archive into ``directory``, verify its checksum and unpack it.

    Returns:
        The folder with the batches.

    Raises:
        ImportError: If pooch, which does the download, is not installed.
    """
    try:
        import pooch
    except ImportError as error:
        raise ImportError("downloading CIFAR-10 needs pooch: pip install 'ntk-prior[train]'") from error
    files = pooch.retrieve(
        CIFAR10_URL, f"sha256:{CIFAR10_SHA256}", path=directory, processor=pooch.Untar(extract_dir="cifar10")
    )
    return Path(files[0]).parent


def prepared(
    images: Images, *, n_train: int, n_test: int | None = None, side: int | None = None, seed: int = 0
) -> Images:
    """What a trial is trained on: a class-balanced subsample, averaged down, standardised, each image of mean square 1.

    Args:
        images: The full data.
        n_train: Training images.
        n_test: Test images; all by default.
        side: Height and width to average down to; must divide the images'.
        seed: Of the subsample.

    Raises:
        ValueError: If there are fewer images, or ``side`` does not divide the images' sides.
    """
    n_train = require_integer("n_train", n_train, 2, len(images.x_train))
    n_test = require_integer("n_test", len(images.x_test) if n_test is None else n_test, 1, len(images.x_test))
    rng = np.random.default_rng(seed)
    train, test = _balanced(images.y_train, n_train, rng), _balanced(images.y_test, n_test, rng)
    chosen = replace(
        images,
        x_train=_shrunk(images.x_train[train], side),
        y_train=images.y_train[train],
        x_test=_shrunk(images.x_test[test], side),
        y_test=images.y_test[test],
    )
    scaled = standardised(chosen)
    return replace(scaled, x_train=_unit(scaled.x_train), x_test=_unit(scaled.x_test))


def standardised(images: Images) -> Images:
    """Subtract the training set's mean of each channel and divide by its standard deviation."""
    mean, deviation = images.x_train.mean(axis=(0, 1, 2)), images.x_train.std(axis=(0, 1, 2))
    return replace(images, x_train=(images.x_train - mean) / deviation, x_test=(images.x_test - mean) / deviation)


def _unit(x: Array) -> Array:
    return np.asarray(x / np.sqrt(np.mean(x**2, axis=(1, 2, 3), keepdims=True)))


def _shrunk(x: Array, side: int | None) -> Array:
    height = x.shape[1]
    if side is None or side == height:
        return x
    if height % require_integer("side", side, 1, height):
        raise ValueError(f"side: expected a divisor of {height}, received {side}")
    factor = height // side
    return np.asarray(x.reshape(len(x), side, factor, side, factor, -1).mean(axis=(2, 4)))


def _balanced(y: Labels, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of ``n`` samples, the classes as even as they come."""
    order = rng.permutation(len(y))
    rank = np.empty(len(y), dtype=np.int64)
    for label in np.unique(y):
        mine = order[y[order] == label]
        rank[mine] = np.arange(len(mine))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:n])


def _binary_batch(path: Path) -> tuple[Array, Labels]:
    content = np.fromfile(path, dtype=np.uint8)
    if content.size == 0 or content.size % _RECORD:
        raise ValueError(f"{path}: expected records of {_RECORD} bytes, received {content.size} bytes (truncated?)")
    records = content.reshape(-1, _RECORD)
    return _images(path, records[:, 1:], records[:, 0])


def _python_batch(path: Path) -> tuple[Array, Labels]:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
        pixels, labels = np.asarray(content[b"data"], dtype=np.uint8), np.asarray(content[b"labels"])
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path}: expected a batch of cifar-10-batches-py, but {error}") from error
    return _images(path, pixels, labels)


def _images(path: Path, pixels: Any, labels: Any) -> tuple[Array, Labels]:
    if pixels.ndim != 2 or pixels.shape[1] != _RECORD - 1 or len(labels) != len(pixels):
        raise ValueError(f"{path}: expected rows of {_RECORD - 1} pixels with one label each, received {pixels.shape}")
    if labels.size and labels.max() > 9:
        raise ValueError(f"{path}: expected labels 0 to 9, received {labels.max()}")
    x = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / 255.0
    return np.ascontiguousarray(x), labels.astype(np.int64)


class _ArraysOnly(pickle.Unpickler):
    """The official Python layout is a pickle; only what NumPy arrays need may be loaded from it."""

    _ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        super().__init__(file, encoding=encoding)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR-10 batch")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
