"""Inputs as users hold them: looked at a few rows at a time, with a sample of them copied."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.checks import shown

_AT_ONCE = 1 << 20
"""Numbers that are read at once."""

_FEW_CHANNELS = 4
"""Square images are refused as channels first where what should be their height is this at the most."""

_NOTEWORTHY = 0.9
"""Contradictory labels are worth a word where they bound the training accuracy below this."""


class Inputs(NamedTuple):
    """Inputs that can be read in slices of rows.

    Attributes:
        rows: An array, a memory map, a tensor, an HDF5 data set ...
        shape: (n, features) or (n, height, width, channels).
        doubts: What may be wrong with them, in words.
    """

    rows: Any
    shape: tuple[int, ...]
    doubts: tuple[str, ...]


def readable(x: Any) -> Inputs:
    """Inputs ready to be read; what cannot be read in slices becomes an array.

    Raises:
        TypeError: If ``x`` holds no real numbers.
        ValueError: If its shape is not that of inputs, or channels come first.
    """
    sliced = all(hasattr(x, name) for name in ("shape", "dtype", "__getitem__"))
    rows = x if sliced else _array(x)
    shape = tuple(int(length) for length in rows.shape)
    if len(shape) not in (2, 4):
        channel = " (grey images? add the channel: x[..., None])" if len(shape) == 3 else ""
        raise ValueError(f"x: expected shape (n, features) or (n, height, width, channels), received {shape}{channel}")
    if shape[0] < 2 or 0 in shape:
        raise ValueError(f"x: expected at least 2 inputs with at least 1 feature, received shape {shape}")
    some = _numbers(rows[: max(_AT_ONCE // math.prod(shape[1:]), 1)])
    return Inputs(rows, shape, _channels_first(shape, some))


def sampled(inputs: Inputs, chosen: NDArray[np.int64]) -> NDArray[Any]:
    """The chosen inputs in their own precision, after a look at all of them.

    Args:
        inputs: Read by slices in ascending order, as files like it.
        chosen: Indices of different rows, shape (size,).

    Raises:
        TypeError: If there is anything but real numbers.
        ValueError: If some input is zero or not finite.
    """
    n, *each = inputs.shape
    step = max(_AT_ONCE // math.prod(each), 1)
    order = np.argsort(chosen)
    ascending = chosen[order]
    parts, zeros = [], 0
    for start in range(0, n, step):
        part = _numbers(inputs.rows[start : start + step])
        if part.shape != (min(step, n - start), *each):
            raise TypeError(f"x: expected rows of shape {tuple(each)}, received {part.shape[1:]}")
        largest = _largest(part)
        if not np.all(np.isfinite(largest)):
            raise ValueError("x: expected finite numbers, received NaN or infinity")
        zeros += int(np.sum(largest == 0))
        first, last = np.searchsorted(ascending, (start, start + step))
        parts.append(part[ascending[first:last] - start])
    if zeros:
        raise ValueError(
            f"x: expected inputs other than zero, received {zeros} zero inputs: leave them out, or give "
            "the inputs as the network gets them, standardised for one"
        )
    return np.concatenate(parts)[np.argsort(order)]


def normalised(inputs: NDArray[Any]) -> Array:
    """Inputs scaled to |x|^2 / n_0 = 1, however large or small their numbers are."""
    wide = inputs.astype(np.promote_types(inputs.dtype, np.float64))
    each = (-1, *[1] * (inputs.ndim - 1))
    # By powers of two first, which change no digit, so that squares neither overflow nor vanish.
    exponents = np.frexp(_largest(wide))[1]
    scaled = np.ldexp(wide, -exponents.reshape(each)).astype(np.float64)
    norms = np.sqrt(np.mean(scaled.reshape(len(scaled), -1) ** 2, axis=1))
    return np.asarray(scaled / norms.reshape(each))


def doubts(sample: NDArray[Any], labels: NDArray[np.int64] | None) -> list[str]:
    """What may be wrong with a sample, in words; ``labels`` are None where there are no classes."""
    found = []
    if sample.dtype == np.uint8 and np.any(sample > 1):
        found.append(
            "x: received bytes, as images are stored: give the inputs as the network gets them (scaled, and centred if "
            "it gets them so), since how alike they are decides what it can learn"
        )
    if labels is None:
        return found
    contradicted, fitted = _contradictions(normalised(sample).reshape(len(sample), -1), labels)
    if fitted < _NOTEWORTHY:
        found.append(
            f"x: of {len(sample)} inputs, {contradicted} are the same as some with another label, once each is scaled "
            f"to the same length, as the theory does: no network then fits more than {fitted:.0%} of them, which the "
            "verdicts do not take into account"
        )
    return found


def _contradictions(flat: Array, labels: NDArray[np.int64]) -> tuple[int, float]:
    """How many inputs have a twin of another class, and the share of all that one answer for each input gets right."""
    # Two inputs whose projections on two random directions agree to nine digits are the same.
    directions = np.random.default_rng(0).normal(size=(flat.shape[1], 2)) / math.sqrt(flat.shape[1])
    twins = np.unique(np.round(flat @ directions, 9), axis=0, return_inverse=True)[1]
    both, counts = np.unique(np.stack([twins, labels]), axis=1, return_counts=True)
    total = np.bincount(twins)
    best = np.zeros_like(total)
    np.maximum.at(best, both[0], counts)
    return int(total[best < total].sum()), float(best.sum() / len(labels))


def _array(x: Any) -> NDArray[Any]:
    try:
        return np.asarray(x)
    except (RuntimeError, TypeError, ValueError) as error:
        raise _no_numbers(error) from error


def _numbers(rows: Any) -> NDArray[Any]:
    """Rows as an array of real numbers, in their own precision where NumPy has it."""
    given = _array(rows)
    if given.dtype.kind in "biuf":
        return given
    if given.dtype.kind in "cmMSTU":
        raise _no_numbers(f"these are {given.dtype}")
    try:
        return given.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise _no_numbers(error) from error


def _no_numbers(error: object) -> TypeError:
    return TypeError(f"x: expected an array of real numbers, received something else ({shown(str(error))})")


def _largest(rows: NDArray[Any]) -> NDArray[Any]:
    """Largest absolute number of each row, NaN where there is one, without a copy of the rows."""
    axes, wide = tuple(range(1, rows.ndim)), np.promote_types(rows.dtype, np.float64)
    with np.errstate(invalid="ignore"):
        high, low = (extreme(rows, axis=axes).astype(wide) for extreme in (np.max, np.min))
    return np.asarray(np.maximum(high, -low))


def _channels_first(shape: tuple[int, ...], some: NDArray[Any]) -> tuple[str, ...]:
    """A doubt about the order of the axes, if there is one.

    One-hot sequences, shape (n, 1, length, letters), are what they seem to be: no row of an image has one pixel alone.

    Raises:
        ValueError: If channels come first beyond doubt.
    """
    if len(shape) != 4 or np.all(np.count_nonzero(some, axis=-1) <= 1):
        return ()
    first, height, width = shape[1:]
    message = (
        f"x: expected images of shape (n, height, width, channels), received {shape}, which looks like "
        "(n, channels, height, width): give np.transpose(x, (0, 2, 3, 1))"
    )
    if first <= _FEW_CHANNELS < height == width:
        raise ValueError(message)
    alike = max(height, width) <= 2 * min(height, width)
    if alike and 2 * first <= min(height, width) and width > 2 * _FEW_CHANNELS:
        return (f"{message}, if so",)
    return ()
