"""Reading images: the official CIFAR-10 layout, digits, and what a trial is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ntk_prior.datasets import Images, load_cifar10, load_digits, prepare, standardize

RECORD = 3073


def batch(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 10, n, dtype=np.uint8), rng.integers(0, 256, (n, RECORD - 1), dtype=np.uint8)


def write_binary(folder: Path, name: str, labels: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.concatenate([labels[:, None], pixels], axis=1).tofile(folder / f"{name}.bin")


@pytest.mark.parametrize("inner", [".", "cifar-10-batches-bin"])
def test_the_official_binary_layout_is_read(tmp_path: Path, inner: str) -> None:
    for k, n in ((1, 7), (2, 5)):
        write_binary(tmp_path / inner, f"data_batch_{k}", *batch(n, k))
    write_binary(tmp_path / inner, "test_batch", *batch(4, 9))
    images = load_cifar10(tmp_path)
    assert images.x_train.shape == (12, 32, 32, 3)
    assert images.x_test.shape == (4, 32, 32, 3)
    labels, pixels = batch(7, 1)
    assert images.y_train[:7].tolist() == labels.tolist()
    # The files store the red plane first, row by row.
    assert images.x_train[2, 5, 11, 1] == pixels[2, 1024 + 5 * 32 + 11] / 255


def test_a_truncated_batch_names_the_file_and_its_size(tmp_path: Path) -> None:
    write_binary(tmp_path, "data_batch_1", *batch(3, 0))
    write_binary(tmp_path, "test_batch", *batch(3, 1))
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: expected records of 3073 bytes, received 9119"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize("inner", [".", "cifar-10-batches-py"])
def test_the_python_layout_is_left_alone_and_the_error_names_the_archive_to_take(tmp_path: Path, inner: str) -> None:
    (tmp_path / inner).mkdir(exist_ok=True)
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / inner / name).write_bytes(b"whatever")
    with pytest.raises(FileNotFoundError, match=r"found the Python layout.*take https:.*/cifar-10-binary\.tar\.gz"):
        load_cifar10(tmp_path)


def test_a_label_above_nine_is_refused(tmp_path: Path) -> None:
    labels, pixels = batch(3, 0)
    write_binary(tmp_path, "data_batch_1", labels + np.uint8(10), pixels)
    write_binary(tmp_path, "test_batch", labels, pixels)
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: expected labels 0 to 9, received"):
        load_cifar10(tmp_path)


def test_a_folder_without_batches_says_what_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected data_batch_1\.bin"):
        load_cifar10(tmp_path)
    monkeypatch.delenv("NTK_PRIOR_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="NTK_PRIOR_DATA"):
        load_cifar10()


def test_prepared_images_are_balanced_standardized_and_of_mean_square_one() -> None:
    images = prepare(load_digits(), n_train=200, n_test=50, side=4)
    assert images.x_train.shape == (200, 4, 4, 1)
    assert np.ptp(np.bincount(images.y_train)) <= 1
    np.testing.assert_allclose(np.mean(images.x_train**2, axis=(1, 2, 3)), 1.0)
    full = standardize(load_digits())
    assert full.x_train.mean() == pytest.approx(0.0, abs=1e-12)
    assert full.x_train.std() == pytest.approx(1.0)


def test_subsamples_depend_on_the_seed_alone() -> None:
    first, again, other = (prepare(load_digits(), n_train=40, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x_train, again.x_train)
    assert not np.array_equal(first.x_train, other.x_train)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_train": 10_000}, "n_train: expected an integer in"),
        ({"n_train": 0}, "n_train: expected an integer in"),
        ({"n_train": 20, "side": 3}, "side: expected a divisor of 8, received 3"),
        ({"n_train": 20, "n_test": 1e6}, "n_test: expected an integer in"),
    ],
)
def test_impossible_subsamples_are_refused(changes: dict[str, float], message: str) -> None:
    images: Images = load_digits()
    with pytest.raises(ValueError, match=message):
        prepare(images, **changes)
