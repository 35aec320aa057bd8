"""Feasibility of many configurations at once: columns in, columns out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.activations import dual
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.calibration import Calibration, shipped_calibration
from ntk_prior.feasibility import Feasibility, Verdict, silence, verdict_codes
from ntk_prior.judge import Sides, encode, plain_values, sides_of_rows
from ntk_prior.spectrum import view_name
from ntk_prior.task import Task

Array = NDArray[np.float64]

ARCHITECTURE_FIELDS = tuple(field.name for field in fields(Architecture))
BUDGET_FIELDS = tuple(field.name for field in fields(Budget))
FIELDS = (*ARCHITECTURE_FIELDS, *BUDGET_FIELDS)
REQUIRED = ("weight_variance", "bias_variance", "depth")
_NAMES = ("activation", "kind", "pooling", "normalization", "optimizer", "parametrization", "loss")
"""Fields that choose a code path: rows are grouped by them, the others are numbers."""

_ALMOST = 0.8
"""Likeness (difflib's ratio) from which a name counts as a slip of the pen."""

_WHOLE = ("depth", "kernel_size", "steps", "batch_size", "width")
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Architecture) if field.name not in REQUIRED}

_BLOCK = 1 << 17
"""Rows held in memory as intermediate numbers at a time."""

_OUTSIDE = list(Verdict).index(Verdict.OUTSIDE_THEORY)


class FeasibilityTable(NamedTuple):
    """Feasibility of many configurations; numbers are masked where the verdict is ``outside_theory``.

    Under the mask stands 1, so that code which drops it never refuses what the theory skips.

    Attributes:
        trainability, generalization, score: Masked float64 arrays, shape (n,), in [0, 1]; see ``Feasibility``.
        verdict_code: Indices into ``tuple(Verdict)``, shape (n,), int8.
    """

    trainability: np.ma.MaskedArray[Any, Any]
    generalization: np.ma.MaskedArray[Any, Any]
    score: np.ma.MaskedArray[Any, Any]
    verdict_code: NDArray[np.int8]

    @property
    def verdict(self) -> NDArray[np.str_]:
        """Verdict names, shape (n,)."""
        return np.array([verdict.value for verdict in Verdict])[self.verdict_code]


def tabulated(found: Sequence[Feasibility]) -> FeasibilityTable:
    """Single results as a table."""

    def column(side: str) -> Array:
        values = (getattr(feasibility, side) for feasibility in found)
        return np.array([1.0 if value is None else value for value in values])

    order = list(Verdict)
    codes = np.array([order.index(feasibility.verdict) for feasibility in found], dtype=np.int8)
    return _masked(column("trainability"), column("generalization"), codes)


def score_columns(
    columns: Mapping[str, Any], task: Task, budget: Budget, calibration: Calibration | None = None
) -> FeasibilityTable:
    """Feasibility of the rows of equally long columns.

    Args:
        columns: Names to columns; those that are no fields of ``Architecture`` or ``Budget`` are ignored, misspelt
            ones are errors. NaN and None mean "not set".
        task: The task.
        budget: What holds where a column or an entry is missing.
        calibration: As for ``feasibility``.

    Raises:
        TypeError: If an entry has the wrong type.
        ValueError: If the columns differ in length, an entry lies outside its range, or a name is almost a field's.
    """
    require_spelling(tuple(columns))
    lengths = {_shape(column) for column in columns.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise ValueError(f"columns: expected one-dimensional columns of one length, received shapes {sorted(lengths)}")
    n = next(iter(lengths))[0]
    names = {name: np.asarray(columns[name], dtype=object) for name in _NAMES if name in columns}
    numbers = {
        name: _as_numbers(name, columns[name], budget) for name in FIELDS if name in columns and name not in _NAMES
    }
    trainability, generalization = np.ones(n), np.ones(n)
    codes = np.full(n, _OUTSIDE, dtype=np.int8)
    known = np.ones(n, dtype=bool)
    for name in REQUIRED:
        known &= np.isfinite(numbers[name]) if name in numbers else False
    for choice, rows in _groups(names, n):
        rows = rows[known[rows]]
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            part = {name: column[block] for name, column in numbers.items()}
            found = _judged_block(part, choice, task, budget, calibration or shipped_calibration())
            if found is not None:
                trainability[block], generalization[block] = found.trainability, found.generalization
                codes[block] = verdict_codes(found)
    return _masked(trainability, generalization, codes)


@lru_cache(maxsize=256)
def require_spelling(names: tuple[Any, ...]) -> None:
    """Refuse names that are almost those of absent fields: to ignore them would be to judge another network.

    Raises:
        ValueError: If there is one.
    """
    absent = [name for name in FIELDS if name not in names]
    for name in names:
        # Numbered names (depth_1, depth_2) are nobody's slip.
        if not isinstance(name, str) or name in FIELDS or any(letter.isdigit() for letter in name):
            continue
        for meant in get_close_matches(name.lower(), absent, 1, _ALMOST):
            raise ValueError(f"{name}: expected {meant}, received {name}: write it so, or give it quite another name")


def _judged_block(
    numbers: Mapping[str, Array], choice: Mapping[str, Any], task: Task, budget: Budget, calibration: Calibration
) -> Sides | None:
    """Both sides of rows that agree in every named field, calibrated; None outside the theory."""
    for position in _extremes(numbers):
        row = {name: float(column[position]) for name, column in numbers.items()}
        architecture, spent = _specification({**choice, **row}, budget)
    if silence(architecture, task, spent):
        return None
    code, slope, table = dual(architecture.activation, architecture.slope)
    values = {**plain_values(architecture, spent), **numbers, "code": code}
    if architecture.activation != "leaky_relu":
        values["slope"] = slope
    rows = encode(values)
    found = sides_of_rows(rows, table, task, view_name(architecture))
    return calibration.of_rows(found, rows)


def _specification(row: Mapping[str, Any], budget: Budget) -> tuple[Architecture, Budget]:
    """The validated specifications of one row; NaN stands for None."""
    given: dict[str, Any] = {
        name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()
    }
    architecture = Architecture(**{name: given[name] for name in ARCHITECTURE_FIELDS if name in given})
    own = {name: given[name] for name in BUDGET_FIELDS if name in given}
    return architecture, replace(budget, **own) if own else budget


def _extremes(numbers: Mapping[str, Array]) -> list[int]:
    """Rows that the specifications must accept for all to be valid: each column's ends, and any fraction in it."""
    rows = [0]
    for name, column in numbers.items():
        if np.isfinite(column).any():
            rows += [int(np.nanargmin(column)), int(np.nanargmax(column))]
        if name in _WHOLE:
            rows += [int(row) for row in np.flatnonzero(column != np.round(column))[:1] if np.isfinite(column[row])]
        rows += [int(row) for row in np.flatnonzero(np.isinf(column))[:1]]
    return rows


def _shape(column: Any) -> tuple[int, ...]:
    array = column if hasattr(column, "shape") else np.asarray(column, dtype=object)
    return tuple(array.shape) or (1,)


def _as_numbers(name: str, column: Any, budget: Budget) -> Array:
    """A column as float64, with NaN where nothing is set and no default holds.

    Raises:
        TypeError: If an entry is not a number.
    """
    try:
        values = np.array(np.atleast_1d(column), dtype=np.float64)
    except (TypeError, ValueError) as error:
        entries = np.atleast_1d(np.asarray(column, dtype=object))
        wrong = next((value for value in entries if value is not None and not isinstance(value, Real)), column)
        raise TypeError(f"{name}: expected numbers, received {wrong!r}") from error
    default = getattr(budget, name) if name in BUDGET_FIELDS else _DEFAULTS.get(name)
    if default is not None:
        values[np.isnan(values)] = default
    return values


def _groups(names: Mapping[str, NDArray[Any]], n: int) -> list[tuple[dict[str, Any], NDArray[np.int64]]]:
    """Rows grouped by their combination of named choices; unset choices are left to the defaults."""
    if not names:
        return [({}, np.arange(n))]
    seen: dict[tuple[Any, ...], int] = {}
    group = np.fromiter(
        (seen.setdefault(choice, len(seen)) for choice in zip(*names.values(), strict=True)), dtype=np.int64, count=n
    )
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(group, minlength=len(seen)))[:-1])

    def is_set(value: Any) -> bool:
        return value is not None and not (isinstance(value, float) and np.isnan(value))

    return [
        ({name: value for name, value in zip(names, choice, strict=True) if is_set(value)}, rows)
        for choice, rows in zip(seen, parts, strict=True)
    ]


def _masked(trainability: Array, generalization: Array, codes: NDArray[np.int8]) -> FeasibilityTable:
    silent = codes == _OUTSIDE
    sides = (trainability, generalization, np.minimum(trainability, generalization))
    trainable, general, score = (np.ma.MaskedArray(side, mask=silent) for side in sides)
    return FeasibilityTable(trainable, general, score, codes)
