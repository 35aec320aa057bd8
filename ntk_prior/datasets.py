"""Image data for examples, benchmarks and the command: scikit-learn's digits and CIFAR-10 in its binary layout."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.checks import require_integer
from ntk_prior.files import expecting, read_bytes

Labels = NDArray[np.int64]

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
DATA_VARIABLE = "NTK_PRIOR_DATA"
_RECORD = 1 + 3 * 32 * 32

_LARGEST_BATCH = 100_000 * _RECORD
"""Ten times the bytes of an official batch."""

_REMEDY = f"unpack the archive again, or take {CIFAR10_URL}"


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

    @property
    def chance(self) -> float:
        """Test accuracy of always answering the test set's most frequent class."""
        return float(np.bincount(self.y_test).max() / len(self.y_test))


def load_digits() -> Images:
    """The 8 x 8 digits that ship with scikit-learn: 1,437 for training, 360 for testing."""
    from sklearn import datasets  # takes a second to import, which other images need not wait for

    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].reshape(-1, 8, 8, 1) / 16.0, y[order].astype(np.int64)
    split = 1437
    return Images("digits", x[:split], y[:split], x[split:], y[split:])


def load_cifar10(directory: str | Path | None = None) -> Images:
    """CIFAR-10 in the official binary layout.

    Args:
        directory: Folder that holds ``data_batch_*.bin`` and ``test_batch.bin``, or one that contains the official
            folder; the environment variable NTK_PRIOR_DATA by default.

    Raises:
        FileNotFoundError: If there are no batches.
        ValueError: If a batch is truncated or of another format.
    """
    given = directory if directory is not None else os.environ.get(DATA_VARIABLE)
    if given is None:
        raise FileNotFoundError(f"data directory: expected a folder with CIFAR-10 (or ${DATA_VARIABLE}), received none")
    for folder in (Path(given), Path(given) / "cifar-10-batches-bin"):
        train = sorted(path for path in folder.glob("data_batch_[1-5].bin") if not path.is_dir())
        test = folder / "test_batch.bin"
        if train and test.exists() and not test.is_dir():
            x, y = (np.concatenate(part) for part in zip(*map(_read_batch, train), strict=True))
            return Images("cifar10", x, y, *_read_batch(test))
    python_layout = any((Path(given) / inner / "data_batch_1").exists() for inner in (".", "cifar-10-batches-py"))
    raise FileNotFoundError(
        f"{given}: expected data_batch_1.bin and test_batch.bin (cifar-10-batches-bin), found "
        + (f"the Python layout, which is not read: take {CIFAR10_URL}" if python_layout else "neither")
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


def prepare(
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
    train, test = _balanced_indices(images.y_train, n_train, rng), _balanced_indices(images.y_test, n_test, rng)
    chosen = replace(
        images,
        x_train=_shrink(images.x_train[train], side),
        y_train=images.y_train[train],
        x_test=_shrink(images.x_test[test], side),
        y_test=images.y_test[test],
    )
    scaled = standardize(chosen)
    return replace(scaled, x_train=_scale(scaled.x_train), x_test=_scale(scaled.x_test))


def standardize(images: Images) -> Images:
    """Subtract the training set's mean of each channel and divide by its standard deviation."""
    mean, deviation = images.x_train.mean(axis=(0, 1, 2)), images.x_train.std(axis=(0, 1, 2))
    return replace(images, x_train=(images.x_train - mean) / deviation, x_test=(images.x_test - mean) / deviation)


def _scale(x: Array) -> Array:
    """Each image divided by the root of its mean square."""
    return np.asarray(x / np.sqrt(np.mean(x**2, axis=(1, 2, 3), keepdims=True)))


def _shrink(x: Array, side: int | None) -> Array:
    height = x.shape[1]
    if side is None or side == height:
        return x
    if height % require_integer("side", side, 1, height):
        raise ValueError(f"side: expected a divisor of {height}, received {side}")
    factor = height // side
    return np.asarray(x.reshape(len(x), side, factor, side, factor, -1).mean(axis=(2, 4)))


def _balanced_indices(y: Labels, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of ``n`` samples, the classes as even as they come."""
    order = rng.permutation(len(y))
    rank = np.empty(len(y), dtype=np.int64)
    for label in np.unique(y):
        mine = order[y[order] == label]
        rank[mine] = np.arange(len(mine))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:n])


def _read_batch(path: Path) -> tuple[Array, Labels]:
    with expecting(f"a batch of at most {_LARGEST_BATCH} bytes", path, _REMEDY):
        content = np.frombuffer(read_bytes(path, _LARGEST_BATCH), dtype=np.uint8)
    if content.size == 0 or content.size % _RECORD:
        raise ValueError(f"{path}: expected records of {_RECORD} bytes, received {content.size} bytes (truncated?)")
    records = content.reshape(-1, _RECORD)
    labels, pixels = records[:, 0], records[:, 1:]
    if labels.max() > 9:
        raise ValueError(f"{path}: expected labels 0 to 9, received {labels.max()}")
    x = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / 255.0
    return np.ascontiguousarray(x), labels.astype(np.int64)
