"""Labels as users hold them: classes, of whatever kind, and never regression targets."""

from __future__ import annotations

from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.checks import shown

_FEW = 10
"""So many classes may have as few inputs each as they like."""

_MANY = 20
"""More classes than this, given as numbers, may be regression targets."""

_PER_CLASS = 10
"""Inputs of a class, on average, above which many numbered classes raise no doubt."""


class Labels(NamedTuple):
    """Labels of a classification task.

    Attributes:
        indices: Class indices, shape (n,).
        frequencies: Inputs of each class, shape (classes,).
        doubts: What may be wrong with them, in words.
    """

    indices: NDArray[np.int64]
    frequencies: NDArray[np.int64]
    doubts: tuple[str, ...]


def class_labels(y: Any, n: int) -> Labels:
    """Labels of ``n`` inputs.

    Raises:
        TypeError: If they are of several kinds.
        ValueError: If their shape is another one, some are missing, they look like regression targets, or there are
            fewer than two classes.
    """
    given = _array(y)
    if given.shape != (n,):
        if given.size == n:
            _labels(given.ravel())  # errors about the values come before one about the shape
        raise ValueError(
            f"y: expected one label for each of the {n} inputs, received shape {given.shape}{_hint(given, n)}"
        )
    return _labels(given)


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
    expected = "y: expected class labels, since the prior is for classification only, received"
    if not np.all(np.isfinite(classes)):
        raise ValueError(f"{expected} infinite numbers")
    fractional = classes[classes != np.round(classes)]
    if fractional.size:
        raise ValueError(f"{expected} fractional numbers such as {fractional[0]:g} (regression targets?)")
    count = len(classes)
    numbered = classes[0] in (0, 1) and int(classes[-1]) == int(classes[0]) + count - 1
    if count > _FEW and n < (2 if numbered else 3) * count:
        raise ValueError(
            f"{expected} {count} different numbers for {n} inputs (regression targets?): if they are classes, give "
            "them as strings, y.astype(str)"
        )
    if count > _MANY and (n < _PER_CLASS * count or not numbered or classes.dtype.kind == "f"):
        return (
            f"y: received {count} different numbers for {n} inputs, taken for as many classes: the prior is for "
            "classification only, and its verdicts mean nothing if these are regression targets",
        )
    return ()


def _doubts_about_names(count: int, n: int) -> tuple[str, ...]:
    if count > _FEW and n < 2 * count:
        return (
            f"y: received {count} different labels for {n} inputs, taken for as many classes: the prior is for "
            "classification only, where a class has several inputs",
        )
    return ()


def _hint(given: NDArray[Any], n: int) -> str:
    """What to do about a shape."""
    if given.size == n:
        return " (take y.ravel())"
    if given.ndim != 2 or len(given) != n:
        return ""
    shares = given.dtype.kind in "biuf" and np.all(given >= 0) and np.allclose(given.sum(axis=1), 1)
    if shares:
        return " (one-hot? take y.argmax(axis=1))"
    return ": the prior is for classification only, with one label for each input"
