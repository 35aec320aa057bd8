"""Arguments checked, and values repeated in messages: expected what, received what."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = 200
"""Characters of a value that a message repeats."""


def escaped(text: str) -> str:
    """A text with escapes in place of control characters."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def shown(value: object) -> str:
    """A value as messages repeat it: its repr, cut to 200 characters, with control characters escaped."""
    try:
        whole = repr(value)
    except Exception:  # an int of more than 4,300 digits, or code of the user's
        whole = f"<{type(value).__name__} that cannot be shown>"
    return _on_one_line(whole)


def named(*names: object) -> str:
    """Names of the user's as messages repeat them, without quotation marks and otherwise as ``shown``."""
    return _on_one_line(", ".join(map(str, names)))


def _on_one_line(whole: str) -> str:
    text = escaped(whole[: SHOWN + 1])
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def is_set(value: object) -> bool:
    """Whether a configuration's entry says something: None, NaN and pandas' NA do not."""
    if isinstance(value, float | np.floating):
        return not math.isnan(value)
    return value is not None and type(value).__name__ != "NAType"


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, which truth values are not."""
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def as_number(value: Any) -> float | None:
    """A number of Python's, NumPy's or an array library's as a float; None for anything else."""
    if isinstance(value, bool | np.bool_ | str | bytes):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _as_float(name: str, value: Any, expected: str) -> float:
    """A real number as a float, infinity where it is too large for one.

    Raises:
        TypeError: If it is none; durations are none, although NumPy counts its own as integers.
    """
    if isinstance(value, bool | np.timedelta64) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected {expected}, received {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except Exception as error:  # of a number that somebody else has written
        raise TypeError(f"{name}: expected {expected}, received {shown(value)}, which makes no float") from error


def require_real(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> float:
    """Return ``value`` as a float, or raise an error that states expected and received.

    Args:
        name: What the value is called in the message.
        value: The candidate; booleans are refused although Python counts them as numbers.
        low: Smallest admissible value.
        high: Largest admissible value.
        open_low: Whether ``low`` itself is excluded.

    Raises:
        TypeError: If ``value`` is not a real number.
        ValueError: If it is NaN or outside the interval.
    """
    number = _as_float(name, value, "a real number")
    too_low = number <= low if open_low else number < low
    if math.isnan(number) or too_low or number > high:
        bracket = "(" if open_low else "["
        raise ValueError(f"{name}: expected a value in {bracket}{low:g}, {high:g}], received {shown(value)}")
    return number


def require_integer(name: str, value: Any, low: int, high: int) -> int:
    """Return ``value`` as an int, or raise an error that states expected and received.

    Raises:
        TypeError: If ``value`` is not a number.
        ValueError: If it is not a whole number in ``[low, high]``.
    """
    number = _as_float(name, value, "an integer")
    if not number.is_integer() or not low <= number <= high:
        raise ValueError(f"{name}: expected an integer in [{low}, {high}], received {shown(value)}")
    return int(number)


def require_accuracy(name: str, value: Any) -> float | None:
    """Return an accuracy that somebody has measured as a float; None where there is none, or it is NaN.

    Args:
        name: What the value is called in the message.
        value: The candidate.

    Raises:
        ValueError: If it is no number in [0, 1].
    """
    if value is None:
        return None
    number = as_number(value)
    if number is None or not (math.isnan(number) or 0.0 <= number <= 1.0):
        raise ValueError(f"{name}: expected an accuracy in [0, 1], received {shown(value)}")
    return None if math.isnan(number) else number


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``choices``, or raise an error that lists them.

    Raises:
        ValueError: If it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, received {shown(value)}")
    return str(value)


def require_flag(name: str, value: Any) -> bool:
    """Return ``value`` as a bool, or raise a TypeError that states what came.

    Raises:
        TypeError: If ``value`` is neither a bool nor a NumPy bool.
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{name}: expected True or False, received {shown(value)}")
    return bool(value)


def require_instance(name: str, value: Any, kind: type) -> None:
    """Raise an error that states expected and received, unless ``value`` is of that class of the package.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected ntk_prior.{kind.__name__}, received {shown(value)}")


@dataclass(frozen=True)
class Range:
    """The values that a numeric field takes.

    Attributes:
        low, high: Smallest and largest value.
        whole: Whether only integers are among them.
        open_low: Whether ``low`` itself is none of them.
    """

    low: float
    high: float
    whole: bool = False
    open_low: bool = False

    def __call__(self, name: str, value: Any) -> float:
        """Return a field's value as a number, or raise an error that states expected and received.

        Raises:
            TypeError, ValueError: As ``require_real`` and ``require_integer``.
        """
        if self.whole:
            return require_integer(name, value, int(self.low), int(self.high))
        return require_real(name, value, self.low, self.high, open_low=self.open_low)

    def holds(self, column: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of many values are among them, shape (n,)."""
        inside: NDArray[np.bool_] = (column > self.low if self.open_low else column >= self.low) & (column <= self.high)
        return inside & (column == np.floor(column)) if self.whole else inside


class Named:
    """The names that a field takes, however they are spelt; others are kept as they are.

    Args:
        known: The names that the theory knows.
        also: Other names of the same, in lower-case letters alone.
    """

    def __init__(self, known: tuple[str, ...], also: Mapping[str, str] | None = None) -> None:
        self.known = known
        self._spelt = {**{_letters(name): name for name in known}, **(also or {})}

    def __call__(self, name: str, value: Any) -> str:
        """Return a field's value, as the theory spells it, or raise a TypeError that states expected and received.

        Raises:
            TypeError: If it is no string.
        """
        if not isinstance(value, str):
            raise TypeError(f"{name}: expected a name such as {self.known[0]!r}, received {shown(value)}")
        return self._spelt.get(_letters(value), str(value))

    def unknown(self, name: str, value: str) -> str | None:
        """Why the theory is silent about a field's value; None where it knows it."""
        if value in self.known:
            return None
        return f"{name} {shown(value)} is not known to the theory; known: {', '.join(self.known)}"


def _letters(name: str) -> str:
    """What spellings of a name share."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


Check = Callable[[str, Any], Any]
"""Returns a field's value as the theory reads it, or raises an error that names the field."""


def put_checked(specification: Any, checks: Mapping[str, Check]) -> None:
    """Replace each field of a frozen dataclass by its checked value; None stays where it is the default."""
    for field in fields(specification):
        value = getattr(specification, field.name)
        if value is not None or field.default is not None:
            object.__setattr__(specification, field.name, checks[field.name](field.name, value))
