"""Labels as users hold them: classes, of whatever kind, or the real-valued targets of a regression."""

from __future__ import annotations

from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.checks import shown

_FEW = 10
"""So many classes may have as few inputs each as they like."""

_MANY = 20
"""More classes than this, given as numbers, may be regression targets."""

_PER_CLASS = 10
"""Inputs of a class, on average, above which many numbered classes raise no doubt."""


class Labels(NamedTuple):
    """Labels of a task.

    Attributes:
        indices: Class indices, shape (n,); of a regression, on which side of the first target's median each lies.
        frequencies: Inputs of each class, shape (classes,); empty for a regression.
        doubts: What may be wrong with them, in words.
        targets: Those of a regression, each of variance 1, shape (n, targets); None for classes.
    """

    indices: NDArray[np.int64]
    frequencies: NDArray[np.int64]
    doubts: tuple[str, ...]
    targets: Array | None = None

    @property
    def chance(self) -> float:
        """Score without knowledge: the share of the largest class; 0, the R^2 of the mean, for a regression."""
        return float(self.frequencies.max() / self.frequencies.sum()) if self.frequencies.size else 0.0


def class_labels(y: Any, n: int) -> Labels:
    """Labels of ``n`` inputs.

    Raises:
        TypeError: If they are of several kinds.
        ValueError: If their shape is another one, some are missing, they look like regression targets, or there are
            fewer than two classes.
    """
    given = _array(y)
    numbers = _numbers(given)
    if _are_real(numbers, n):
        return _regression(numbers.reshape(n, -1).astype(np.float64))
    if given.shape != (n,):
        if given.size == n:
            _labels(given.ravel())  # errors about the values come before one about the shape
        raise ValueError(
            f"y: expected one label for each of the {n} inputs, received shape {given.shape}{_hint(given, n)}"
        )
    return _labels(given)


def _are_real(given: NDArray[Any], n: int) -> bool:
    """Whether labels are the targets of a regression: fractional numbers, or nearly as many of them as inputs."""
    if given.ndim not in (1, 2) or len(given) != n or given.dtype.kind not in "iuf" or not given.size:
        return False
    if not np.all(np.isfinite(given)) or (given.ndim == 2 and given.shape[1] > 1 and _are_shares(given)):
        return False
    if np.any(given != np.round(given)):
        return True
    return given.size == n and _each_for_itself(np.unique(given), n)


def _each_for_itself(classes: NDArray[Any], n: int) -> bool:
    """Whether so many different whole numbers for ``n`` inputs can hardly be classes."""
    return len(classes) > _FEW and n < (2 if _are_indices(classes) else 3) * len(classes)


def _are_indices(classes: NDArray[Any]) -> bool:
    """Whether classes are 0, 1, 2 ... or 1, 2, 3 ..."""
    return bool(classes[0] in (0, 1) and int(classes[-1]) == int(classes[0]) + len(classes) - 1)


def _regression(targets: Array) -> Labels:
    spread = targets.std(axis=0)
    if not np.all(spread > 0.0):
        raise ValueError("y: expected targets that differ between inputs, received the same number everywhere")
    scaled = (targets - targets.mean(axis=0)) / spread
    above = scaled[:, 0] > np.median(scaled[:, 0])
    return Labels(above.astype(np.int64), np.empty(0, dtype=np.int64), (), scaled)


def _are_shares(given: NDArray[Any]) -> bool:
    """Whether rows are probabilities of classes."""
    return bool(given.dtype.kind in "biuf" and np.all(given >= 0) and np.allclose(given.sum(axis=1), 1))


def _labels(given: NDArray[Any]) -> Labels:
    missing = _missing(given)
    if missing:
        raise ValueError(f"y: expected a label for each input, received {missing} missing ones (None or NaN)")
    values = _numbers(given)
    try:
        classes, indices, frequencies = np.unique(values, return_inverse=True, return_counts=True)
    except TypeError as error:
        raise TypeError(
            f"y: expected labels of one kind, numbers or strings, received a mixture ({shown(str(error))})"
        ) from error
    if values.dtype.kind in "iuf":
        doubts = _doubts_about_numbers(classes, len(values))
    else:
        doubts = _doubts_about_names(len(classes), len(values))
    if len(classes) < 2:
        raise ValueError(f"y: expected at least 2 classes, received only {shown(classes.tolist()[0])}")
    return Labels(indices.astype(np.int64), frequencies, doubts)


def _array(y: Any) -> NDArray[Any]:
    """Labels as an array; a list of several kinds stays one of objects, which NumPy alone would make strings."""
    try:
        given = np.asarray(y)
        if given.dtype.kind in "SU" and not hasattr(y, "dtype"):
            given = np.asarray(y, dtype=object)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"y: expected one label for each input, numbers or strings, received something else ({shown(str(error))})"
        ) from error
    if given.dtype.kind == "c":
        raise TypeError("y: expected class labels, numbers or strings, received complex numbers")
    return given


def _missing(given: NDArray[Any]) -> int:
    """How many labels are missing: None, NaN, or what pandas has for them."""
    if given.dtype.kind == "f":
        return int(np.isnan(given).sum())
    if given.dtype.kind in "mM":
        return int(np.isnat(given).sum())
    if given.dtype.kind != "O":
        return 0
    return sum(
        label is None or type(label).__name__ in ("NAType", "NaTType") or (isinstance(label, Number) and label != label)
        for label in given
    )


def _numbers(given: NDArray[Any]) -> NDArray[Any]:
    """Labels as an array of numbers where all of them are, although the array is one of objects."""
    if given.dtype.kind != "O" or not all(isinstance(label, Number) for label in given):
        return given
    plain = np.asarray(given.tolist())
    try:
        return plain if plain.dtype.kind != "O" else plain.astype(np.float64)
    except (OverflowError, TypeError, ValueError):
        return given


def _doubts_about_numbers(classes: NDArray[Any], n: int) -> tuple[str, ...]:
    """What makes numbers doubtful as classes.

    Raises:
        ValueError: If they are regression targets.
    """
    expected = "y: expected class labels or finite real-valued targets, received"
    if not np.all(np.isfinite(classes)):
        raise ValueError(f"{expected} infinite numbers")
    count, numbered = len(classes), _are_indices(classes)
    if count > _MANY and (n < _PER_CLASS * count or not numbered or classes.dtype.kind == "f"):
        return (
            f"y: received {count} different numbers for {n} inputs, taken for as many classes: if they are "
            "targets of a regression, scale them first, (y - y.mean()) / y.std()",
        )
    return ()


def _doubts_about_names(count: int, n: int) -> tuple[str, ...]:
    if count > _FEW and n < 2 * count:
        return (
            f"y: received {count} different labels for {n} inputs, taken for as many classes, of which each "
            "should have several inputs",
        )
    return ()


def _hint(given: NDArray[Any], n: int) -> str:
    """What to do about a shape."""
    if given.size == n:
        return " (take y.ravel())"
    if given.ndim != 2 or len(given) != n:
        return ""
    if _are_shares(given):
        return " (one-hot? take y.argmax(axis=1))"
    return ": classes are one label for each input, and only real-valued targets may be several"
