"""Data as users hold them: what is taken for inputs and labels, what is refused, and what is worth a warning."""

from __future__ import annotations

import enum
import re
import tracemalloc
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from ntk_prior import Task

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 6)), np.arange(60) % 3
EXACT = np.round(X * 8) / 8 + 0.125  # numbers that half precision holds too


class Rows:
    """Data on a disk, as h5py and zarr show them: slices of rows, and never all at once."""

    def __init__(self, content: NDArray[Any], most: int) -> None:
        self.shape, self.dtype = content.shape, content.dtype
        self._content, self._most = content, most

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        assert isinstance(rows, slice)
        part = self._content[rows]
        assert len(part) <= self._most
        return part


class Tensor:
    """What is an array only once it is asked to be one."""

    def __init__(self, content: NDArray[Any]) -> None:
        self._content = content

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._content


class Attached(Tensor):
    """A tensor that still has its gradient."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


def same(first: Task, second: Task) -> bool:
    """Whether two tasks have the same summary for fully connected networks, to nine digits."""
    return first.to_json() == second.to_json()


class TestInputs:
    def test_inputs_are_taken_in_whatever_form_they_come(self, tmp_path: Path) -> None:
        import jax.numpy as jnp

        np.save(tmp_path / "x.npy", EXACT)
        forms: dict[str, Any] = {
            "list": EXACT.tolist(),
            "columns first": np.asfortranarray(EXACT),
            "every other row": np.repeat(EXACT, 2, axis=0)[::2],
            "half": EXACT.astype(np.float16),
            "single": EXACT.astype(np.float32),
            "extended": EXACT.astype(np.longdouble),
            "objects": EXACT.astype(object),
            "memory map": np.load(tmp_path / "x.npy", mmap_mode="r"),
            "table": pd.DataFrame(EXACT),
            "tensor": Tensor(EXACT),
            "jax": jnp.asarray(EXACT),
            "brain floats": jnp.asarray(EXACT, jnp.bfloat16),
            "rows of a file": Rows(EXACT, most=60),
        }
        task = Task.from_arrays(EXACT, Y)
        for name, form in forms.items():
            assert same(Task.from_arrays(form, Y), task), name

    @pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.uint64, np.float32, bool])
    def test_whole_numbers_are_inputs_as_good_as_others(self, kind: type) -> None:
        numbers = RNG.integers(0, 2, (60, 12))
        numbers[:, 0] = 1
        assert same(Task.from_arrays(numbers.astype(kind), Y), Task.from_arrays(numbers.astype(float), Y))

    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2)])
    def test_images_need_not_lie_in_memory_as_they_are_indexed(self, order: tuple[int, ...]) -> None:
        images = RNG.normal(size=(20, 5, 6, 2))
        moved = np.ascontiguousarray(images.transpose(order)).transpose(np.argsort(order))
        assert same(Task.from_arrays(moved, Y[:20]), Task.from_arrays(images, Y[:20]))

    @pytest.mark.parametrize("scale", [1e200, 1e-200, 1e307, 1e-310])
    def test_the_scale_of_the_inputs_does_not_matter_however_extreme(self, scale: float) -> None:
        x = RNG.choice([-0.5, 0.25, 1.0], (60, 9))
        extreme, plain = Task.from_arrays(x * scale, Y), Task.from_arrays(x, Y)
        assert extreme.views["fcn"].sketch.eigenvalues == pytest.approx(plain.views["fcn"].sketch.eigenvalues)
        assert extreme.views["fcn"].cosines == pytest.approx(plain.views["fcn"].cosines)

    @pytest.mark.parametrize(
        ("kind", "scale"),
        [(np.float32, 2.0**120), (np.float32, 2.0**-125), (np.float16, 2.0**12), (np.longdouble, 1e300)],
    )
    def test_nor_does_it_in_other_precisions(self, kind: type, scale: float) -> None:
        x = RNG.choice([-0.5, 0.25, 1.0], (60, 9)).astype(kind)
        scaled = x * kind(scale) * (kind(scale) if kind is np.longdouble else kind(1))
        assert same(Task.from_arrays(scaled, Y), Task.from_arrays(x, Y))

    def test_each_input_may_have_a_scale_of_its_own(self) -> None:
        scales = np.logspace(-250, 250, 60)[:, None]
        found, plain = Task.from_arrays(X * scales, Y), Task.from_arrays(X, Y)
        assert found.views["fcn"].sketch.eigenvalues == pytest.approx(plain.views["fcn"].sketch.eigenvalues)

    def test_a_sample_is_all_that_is_copied(self) -> None:
        x, y = RNG.normal(size=(20_000, 800)).astype(np.float32), np.arange(20_000) % 10
        tracemalloc.start()
        task = Task.from_arrays(x, y, max_samples=100)
        assert task.views["fcn"].sketch.counts.sum() == 20_000
        assert tracemalloc.get_traced_memory()[1] < x.nbytes / 4
        tracemalloc.stop()

    def test_data_on_a_disk_are_read_a_few_rows_at_a_time(self) -> None:
        x = RNG.normal(size=(3_000, 2_000)).astype(np.float32)
        y = np.arange(3_000) % 10
        assert same(Task.from_arrays(Rows(x, most=600), y, max_samples=50), Task.from_arrays(x, y, max_samples=50))

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_every_input_is_looked_at_although_few_are_measured(self, wrong: float, kind: type) -> None:
        x = np.ones((5_000, 300), kind)
        x[4_321, 17] = wrong
        with pytest.raises(ValueError, match="x: expected finite numbers, received NaN or infinity"):
            Task.from_arrays(x, np.arange(5_000) % 2, max_samples=10)
        x[4_321, 17] = 1.0
        x[[7, 4_999]] = 0.0
        with pytest.raises(ValueError, match="x: expected inputs other than zero, received 2 zero inputs"):
            Task.from_arrays(x, np.arange(5_000) % 2, max_samples=10)

    @pytest.mark.parametrize(
        "x",
        [
            [["1.0", "2.0"]] * 60,
            np.full((60, 2), "2020-01-01", dtype="M8[D]"),
            np.full((60, 2), {}),
            np.full((60, 2), 10**400),
            np.array([[1j, 2.0]] * 60, dtype=object),
            Attached(X),
        ],
        ids=["strings", "dates", "objects", "huge", "complex", "attached"],
    )
    def test_what_holds_no_real_numbers_is_refused(self, x: Any) -> None:
        with pytest.raises(TypeError, match="x: expected an array of real numbers, received something else"):
            Task.from_arrays(x, Y)

    def test_a_long_or_odd_value_is_not_repeated_whole(self) -> None:
        for call in (
            lambda: Task.from_arrays([["\x1b[31m" + "a" * 10_000]] * 60, Y),
            lambda: Task.from_arrays(np.full((60, 1), "\x1b[31m" + "a" * 10_000, dtype=object), Y),
            lambda: Task.from_arrays(X, ["\x1b[31m" + "a" * 10_000] * 60),
            lambda: Task.from_arrays(X, Y, max_samples="\x1b[31m" + "a" * 10_000),
        ):
            with pytest.raises((TypeError, ValueError)) as caught:
                call()
            assert len(str(caught.value)) < 400
            assert "\x1b" not in str(caught.value)


class TestAxes:
    @pytest.mark.parametrize("each", [(1, 28, 28), (2, 24, 24), (3, 32, 32), (4, 32, 32), (1, 8, 8), (3, 5, 5)])
    def test_square_images_with_few_channels_first_are_refused(self, each: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"looks like \(n, channels, height, width\): give np.transpose"):
            Task.from_arrays(RNG.normal(size=(6, *each)), Y[:6])

    @pytest.mark.parametrize("each", [(3, 24, 48), (1, 30, 20), (4, 16, 24), (10, 32, 32), (13, 64, 64), (3, 48, 24)])
    def test_others_that_look_like_it_are_taken_with_a_warning(self, each: tuple[int, ...]) -> None:
        with pytest.warns(UserWarning, match=r"looks like \(n, channels, height, width\).*, if so"):
            task = Task.from_arrays(RNG.normal(size=(6, *each)), Y[:6])
        assert task.n_pixels == each[0] * each[1]

    @pytest.mark.parametrize(
        "each",
        [(28, 28, 1), (32, 32, 3), (24, 48, 3), (1, 100, 4), (4, 4, 512), (8, 8, 64), (1, 1, 5), (2, 3, 1), (1, 7, 1)],
    )
    def test_images_and_sequences_with_their_channels_last_are_fine(self, each: tuple[int, ...]) -> None:
        assert Task.from_arrays(RNG.normal(size=(6, *each)), Y[:6]).n_features == np.prod(each)

    @pytest.mark.parametrize(("length", "letters"), [(20, 20), (30, 20), (100, 64), (50, 4)])
    def test_one_hot_sequences_are_no_images_whatever_their_length(self, length: int, letters: int) -> None:
        x = np.eye(letters)[RNG.integers(0, letters, (6, 1, length))]
        assert Task.from_arrays(x, Y[:6]).n_pixels == length


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            Y,
            Y.astype(np.uint8),
            Y.astype(np.float32),
            Y.tolist(),
            [int(label) if label else np.int64(0) for label in Y],
            np.array([True, 2, 3.0], dtype=object)[Y],
            np.array([Decimal(1), 2, 3.0], dtype=object)[Y],
            np.array(["a", "b", "c"])[Y],
            np.array(["a", np.str_("b"), "c"], dtype=object)[Y],
            [["a", "b", "c"][label] for label in Y],
            np.array([b"a", b"b", b"c"])[Y],
            pd.Series(Y, index=range(100, 160)),
            pd.Series(["a", "b", "c"]).iloc[Y],
            pd.Categorical(["a", "b", "c"]).take(Y),
            pd.Series(pd.Categorical(["a", "b", "c"]).take(Y)),
            Tensor(Y),
        ],
        ids=lambda labels: f"{type(labels).__name__}",
    )
    def test_classes_may_have_any_names_of_one_kind(self, labels: Any) -> None:
        assert same(Task.from_arrays(X, labels), Task.from_arrays(X, Y))

    @pytest.mark.parametrize("names", [(-1, 1), (False, True), (-1.0, 1.0), (0, 255), (10**20, 10**30)])
    def test_two_classes_may_have_any_numbers(self, names: tuple[Any, Any]) -> None:
        task = Task.from_arrays(X, [names[label % 2] for label in Y])
        assert task.n_classes == 2

    def test_a_byte_has_room_for_256_classes(self) -> None:
        x = RNG.normal(size=(2_560, 3))
        assert Task.from_arrays(x, (np.arange(2_560) % 256).astype(np.uint8), max_samples=50).n_classes == 256

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, Decimal("NaN")])
    @pytest.mark.parametrize("others", [0, "a"])
    def test_missing_labels_are_counted(self, missing: Any, others: Any) -> None:
        for form in (list, lambda given: np.array(given, dtype=object), lambda given: pd.Series(given, dtype=object)):
            with pytest.raises(ValueError, match="y: expected a label for each input, received 2 missing ones"):
                Task.from_arrays(X, form([missing, *[others] * 58, missing]))

    def test_labels_missing_in_arrays_of_numbers_and_in_tables_are_counted_too(self) -> None:
        for labels in (
            np.where(Y == 0, np.nan, Y),
            pd.Series(["a", None, "b"]).iloc[Y],
            pd.Categorical(["a", None, "b"]).take(Y),
            pd.Series([1, pd.NA, 2], dtype="Int64").iloc[Y],
        ):
            with pytest.raises(ValueError, match="received 20 missing ones"):
                Task.from_arrays(X, labels)

    @pytest.mark.parametrize(
        "labels",
        [[1, "a"] * 30, [*["a"] * 59, 1.5], list(Colour) * 30, [(1, 2), "a"] * 30, [{}, {1: 2}] * 30, Y + 1j],
        ids=["mixed", "one number", "members", "tuples", "mappings", "complex"],
    )
    def test_what_cannot_be_sorted_into_classes_is_refused(self, labels: Any) -> None:
        with pytest.raises(TypeError, match="y: expected"):
            Task.from_arrays(X, labels)

    @pytest.mark.parametrize(
        ("labels", "hint"),
        [
            (Y[:, None], r"\(take y.ravel\(\)\)"),
            (Y[None], r"\(take y.ravel\(\)\)"),
            (np.eye(3)[Y], r"\(one-hot\? take y.argmax\(axis=1\)\)"),
            (np.full((60, 3), 1 / 3), r"\(one-hot\? take y.argmax\(axis=1\)\)"),
            (
                RNG.integers(0, 9, (60, 3)),
                ": classes are one label for each input, and only real-valued targets may be several",
            ),
            (
                RNG.integers(0, 2, (60, 5)),
                ": classes are one label for each input, and only real-valued targets may be several",
            ),
            (Y[:50], r"received shape \(50,\)$"),
        ],
    )
    def test_labels_of_another_shape_come_with_a_hint_that_fits(self, labels: Any, hint: str) -> None:
        with pytest.raises(ValueError, match=f"y: expected one label for each of the 60 inputs, .*{hint}"):
            Task.from_arrays(X, labels)


class TestRegressionTargets:
    """Targets that are whole numbers must not pass for hundreds of classes."""

    @pytest.mark.parametrize("form", [np.asarray, lambda y: y[:, None], lambda y: y.astype(int), list, pd.Series])
    def test_the_diabetes_targets_are_targets(self, form: Any) -> None:
        x, y = load_diabetes(return_X_y=True)
        assert len(np.unique(y)) == 214
        task = Task.from_arrays(x, form(y))
        assert (task.n_classes, task.n_targets) == (0, 1)

    @pytest.mark.parametrize(
        "form", [np.asarray, lambda y: y.astype(object), lambda y: y[:, None], lambda y: y.tolist()]
    )
    def test_fractional_numbers_are_targets_in_any_form(self, form: Any) -> None:
        assert Task.from_arrays(X, form(Y + 0.5)).n_targets == 1

    def test_infinite_numbers_are_no_classes(self) -> None:
        with pytest.raises(ValueError, match="received infinite numbers"):
            Task.from_arrays(X, np.where(Y == 0, np.inf, Y))

    @pytest.mark.parametrize("targets", [np.arange(60), np.arange(60) // 1.5 // 1, RNG.permutation(60) * 7 % 41 + 100])
    def test_numbers_that_nearly_every_input_has_for_itself_are_targets(self, targets: NDArray[Any]) -> None:
        assert Task.from_arrays(X, targets).n_targets == 1

    def test_their_names_as_strings_are_classes_if_the_user_says_so(self) -> None:
        with pytest.warns(UserWarning, match="y: received 60 different labels for 60 inputs"):
            assert Task.from_arrays(X, np.arange(60).astype(str)).n_classes == 60

    @pytest.mark.parametrize(
        "targets",
        [
            np.arange(442) % 67,
            (np.arange(2_000) % 67).astype(float),
            np.arange(2_000) % 67 + 18,
            np.arange(2_000) % 67 * 10,
        ],
        ids=["few of each", "floats", "ages", "gaps"],
    )
    def test_whole_numbers_that_pass_as_67_classes_are_taken_with_a_warning(self, targets: NDArray[Any]) -> None:
        x = RNG.normal(size=(len(targets), 4))
        with pytest.warns(
            UserWarning, match=r"y: received 67 different numbers for .* if they are targets of a regression"
        ):
            assert Task.from_arrays(x, targets, max_samples=100).n_classes == 67

    @pytest.mark.parametrize(
        ("classes", "n"), [(2, 2), (3, 3), (10, 10), (10, 1_000), (15, 60), (100, 1_000), (1_000, 10_000)]
    )
    def test_class_indices_are_taken_without_a_word(self, classes: int, n: int) -> None:
        assert Task.from_arrays(RNG.normal(size=(n, 4)), np.arange(n) % classes, max_samples=50).n_classes == classes


class TestTwins:
    def test_inputs_with_contradictory_labels_are_worth_a_warning(self) -> None:
        x = np.repeat(X[:30], 2, axis=0)
        with pytest.warns(UserWarning, match="x: of 60 inputs, 20 are the same as some with another label.* than 83%"):
            Task.from_arrays(x, np.where(np.arange(60) < 20, np.arange(60) % 2, 1))

    def test_inputs_that_differ_by_a_factor_are_twins_to_the_theory(self) -> None:
        with pytest.warns(UserWarning, match="no network then fits more than"):
            Task.from_arrays(X[:, :1], Y)
        with pytest.warns(UserWarning, match="no network then fits more than 50%"):
            Task.from_arrays(np.concatenate([X[:30], 3 * X[:30]]), np.arange(60) // 30)

    def test_twins_of_one_class_and_a_rare_slip_are_not(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Task.from_arrays(np.repeat(X[:30], 2, axis=0), np.repeat(Y[:30], 2))
            x = RNG.normal(size=(300, 4))
            x[1] = x[0]
            Task.from_arrays(x, np.arange(300) % 3)


def test_words_about_the_data_lead_to_the_line_that_gave_them() -> None:
    with pytest.warns(UserWarning, match="bytes") as caught:
        Task.from_arrays(RNG.integers(1, 256, (60, 5, 5, 3), dtype=np.uint8), Y)
    assert [re.split(r"[\\/]", warning.filename)[-1] for warning in caught] == ["test_inputs.py"]
