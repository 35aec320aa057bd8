"""Small images for the tests of convolutional kernels, none of which needs a download."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_images

Array = NDArray[np.float64]

SIDE = 8
SCALE = 16


def photographs(n: int, side: int = SIDE) -> tuple[Array, NDArray[np.int64]]:
    """Patches of two photographs, averaged down to ``side`` pixels, standardised and scaled to mean square 1."""
    pictures = [picture / 255.0 for picture in load_sample_images().images]
    rng = np.random.default_rng(0)
    images, labels = [], []
    for k in range(n):
        picture = pictures[k % 2]
        row, column = (int(rng.integers(0, size - SCALE * side)) for size in picture.shape[:2])
        patch = picture[row : row + SCALE * side, column : column + SCALE * side]
        images.append(patch.reshape(side, SCALE, side, SCALE, 3).mean(axis=(1, 3)))
        labels.append(k % 2)
    x = np.array(images)
    x = (x - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2))
    return x / np.sqrt(np.mean(x**2, axis=(1, 2, 3), keepdims=True)), np.array(labels)


def small_images(n: int) -> tuple[Array, NDArray[np.int64]]:
    """CIFAR-10 averaged down to 8 x 8 where NTK_PRIOR_DATA names its folder, patches of photographs elsewhere."""
    folder = os.environ.get("NTK_PRIOR_DATA")
    if folder is None:
        return photographs(n)
    records = np.fromfile(Path(folder) / "data_batch_1.bin", np.uint8).reshape(-1, 3073)
    x = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / 255.0
    x = (x - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2))
    x = x[:n].reshape(n, SIDE, 4, SIDE, 4, 3).mean(axis=(2, 4))
    return x / np.sqrt(np.mean(x**2, axis=(1, 2, 3), keepdims=True)), records[:n, 0].astype(np.int64)


def whitened(x: Array) -> Array:
    """Rows with uncorrelated columns of equal variance, as near to the given ones as possible (ZCA)."""
    left, singular, right = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    kept = singular > 1e-6 * singular[0]
    return np.asarray(left[:, kept] @ right[kept])


UNCORRELATED = (
    *("white noise", "colour noise", "uniform noise", "signs", "rectangles"),
    *("one-hot sequences", "whitened digits"),
)


def uncorrelated(name: str, n: int) -> tuple[Array, NDArray[np.int64]]:
    """Inputs whose pixels hardly resemble their neighbours, or only where they are one symbol; mean square 1."""
    rng, digits = np.random.default_rng(0), load_digits(return_X_y=True)[0]
    x = {
        "white noise": lambda: rng.normal(size=(n, 8, 8, 1)),
        "colour noise": lambda: rng.normal(size=(n, 8, 8, 3)),
        "uniform noise": lambda: rng.uniform(-1, 1, size=(n, 8, 8, 1)),
        "signs": lambda: np.sign(rng.normal(size=(n, 8, 8, 1))),
        "rectangles": lambda: rng.normal(size=(n, 6, 14, 1)),
        "one-hot sequences": lambda: np.eye(4)[rng.integers(0, 4, size=(n, 1, 24))],
        "whitened digits": lambda: whitened(digits)[:n].reshape(n, 8, 8, 1),
    }[name]()
    return x / np.sqrt(np.mean(x**2, axis=(1, 2, 3), keepdims=True)), np.arange(n) % 2
