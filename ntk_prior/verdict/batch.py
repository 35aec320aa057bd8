"""Feasibility of many configurations at once: columns in, columns out."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import Range, is_set, named
from ntk_prior.configuration import (
    BUDGET_FIELDS,
    CHECKS,
    FIELDS,
    REQUIRED,
    architecture_of,
    budget_of,
    naming_row,
    require_spelling,
    set_fields,
)
from ntk_prior.task.task import Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.activations import dual
from ntk_prior.theory.coverage import silence
from ntk_prior.theory.layers import encode, plain_values
from ntk_prior.verdict.calibration import Calibration, Probabilities, shipped_calibration
from ntk_prior.verdict.estimates import estimates_of_rows
from ntk_prior.verdict.feasibility import (
    DEFAULT_THRESHOLD,
    Feasibility,
    Verdict,
    hide_idle_bounds,
    verdict_codes,
)

Rows = NDArray[np.int64]

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Architecture) if field.name not in REQUIRED}

_PLAIN = {int, float, type(None), np.float64, np.float32, np.int64, np.int32}
"""Types of entries that need no look each."""

_BLOCK = 1 << 17
"""Rows held in memory as intermediate numbers at a time."""

_NUMBERS = ("trainability", "generalization", "expected_score", "support")
"""Numbers of a table that ``Feasibility`` has None for where they are not known."""

_OUTSIDE = list(Verdict).index(Verdict.OUTSIDE_THEORY)


class FeasibilityTable(NamedTuple):
    """Feasibility of many configurations; numbers that ``Feasibility`` has None for are masked.

    Masked entries contain 1.0, so code that ignores the mask will not refuse configurations the theory does not cover.

    Attributes:
        trainability, generalization, score: Masked float64 arrays, shape (n,), in [0, 1]; see ``Feasibility``.
        verdict_code: Indices into ``tuple(Verdict)``, shape (n,), int8.
        expected_score, support: Masked float64 arrays, shape (n,), in [0, 1]; see ``Feasibility``.
        threshold: What both probabilities had to reach.
    """

    trainability: np.ma.MaskedArray[Any, Any]
    generalization: np.ma.MaskedArray[Any, Any]
    score: np.ma.MaskedArray[Any, Any]
    verdict_code: NDArray[np.int8]
    expected_score: np.ma.MaskedArray[Any, Any]
    support: np.ma.MaskedArray[Any, Any]
    threshold: float = DEFAULT_THRESHOLD

    @property
    def verdict(self) -> NDArray[np.str_]:
        """Verdict names, shape (n,)."""
        return np.array([verdict.value for verdict in Verdict])[self.verdict_code]


def tabulate(found: Sequence[Feasibility], threshold: float) -> FeasibilityTable:
    """Single results, which share a threshold, as a table."""

    def column(name: str) -> Array:
        values = (getattr(feasibility, name) for feasibility in found)
        return np.array([np.nan if value is None else value for value in values])

    order = list(Verdict)
    codes = np.array([order.index(feasibility.verdict) for feasibility in found], dtype=np.int8)
    return _masked({name: column(name) for name in _NUMBERS}, codes, threshold)


def score_columns(
    columns: Mapping[str, Any],
    task: Task,
    budget: Budget,
    calibration: Calibration | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> FeasibilityTable:
    """Feasibility of the rows of equally long columns.

    Args:
        columns: Names to columns; those that are no fields of ``Architecture`` or ``Budget`` are ignored, misspelt
            ones are errors. NaN and None mean "not set".
        task: The task.
        budget: What holds where a column or an entry is missing.
        calibration, threshold: As for ``feasibility``.

    Raises:
        TypeError: If an entry has the wrong type.
        ValueError: If the columns differ in length, an entry lies outside its range, or a name is almost a field's.
    """
    require_spelling(tuple(columns))
    entries = {name: entries_of(column) for name, column in columns.items()}
    n = length_of(entries, FIELDS)
    checked = {name: _checked(name, entries[name]) for name in FIELDS if name in entries}
    numbers = {name: column for name, column in checked.items() if isinstance(CHECKS[name], Range)}
    names = {name: column for name, column in checked.items() if name not in numbers}
    whole = {name: np.full(n, np.nan) for name in _NUMBERS}
    codes = np.full(n, _OUTSIDE, dtype=np.int8)
    for choice, rows in _groups(names, n):
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            own = {name: column[block] for name, column in numbers.items()}
            _require_one_length(own, budget, block)
            part = _filled(_in_steps(own, budget, task.n_train), choice, budget)
            _require_together(part, choice, budget, block)
            known = _has_all(REQUIRED, part, len(block))
            if not known.all():
                part, block = {name: column[known] for name, column in part.items()}, block[known]
            found = _probabilities_of_block(part, choice, task, budget, calibration or shipped_calibration())
            if found is not None:
                found = hide_idle_bounds(found, threshold)
                for name, column in whole.items():
                    column[block] = getattr(found, name)
                codes[block] = verdict_codes(found, threshold)
    return _masked(whole, codes, threshold)


def _probabilities_of_block(
    numbers: Mapping[str, Array], choice: Mapping[str, Any], task: Task, budget: Budget, calibration: Calibration
) -> Probabilities[Array] | None:
    """Probabilities for checked rows that agree in every named field; None outside the theory, and for no rows."""
    if not len(numbers.get("depth", ())):
        return None
    first = {**choice, **_row(numbers, 0)}
    architecture, spent = architecture_of(first), budget_of(first, budget).in_steps(task.n_train)
    if silence(architecture, task, spent):
        return None
    code, slope, table = dual(architecture.activation, architecture.slope)
    values = {**plain_values(architecture, spent), **numbers, "code": code}
    if architecture.activation != "leaky_relu":
        values["slope"] = slope
    rows = encode(values)
    found = estimates_of_rows(rows, table, task, view_name(architecture))
    return calibration.probabilities_of_rows(found, rows, table, task)


def _require_one_length(own: Mapping[str, Array], budget: Budget, rows: Rows) -> None:
    """Refuse a row that sets both steps and epochs.

    Raises:
        ValueError: If there is one; it is named.
    """
    if {"steps", "epochs"} <= own.keys():
        for position in np.flatnonzero(~np.isnan(own["steps"]) & ~np.isnan(own["epochs"]))[:1]:
            both = {name: int(own[name][position]) for name in ("steps", "epochs")}
            naming_row(int(rows[position]), budget_of, both, budget)


def _in_steps(own: Mapping[str, Array], budget: Budget, n_train: int) -> dict[str, Array]:
    """Columns whose epochs, or those of the budget, are counted in steps."""
    columns = dict(own)
    epochs = columns.pop("epochs", None)
    if (epochs is None and budget.epochs is None) or not columns:
        return columns
    unset = np.full(len(next(iter(columns.values()))), np.nan)
    epochs, steps = unset if epochs is None else epochs, columns.get("steps", unset)
    batch = columns.get("batch_size", unset)
    if budget.batch_size is not None:
        batch = np.where(np.isnan(batch), budget.batch_size, batch)
    if budget.epochs is not None:
        epochs = np.where(np.isnan(epochs) & np.isnan(steps), budget.epochs, epochs)
    per_epoch = np.where(np.isnan(batch), 1.0, np.ceil(n_train / batch))
    return {**columns, "steps": np.where(np.isnan(epochs), steps, epochs * per_epoch)}


def _filled(numbers: Mapping[str, Array], choice: Mapping[str, Any], budget: Budget) -> dict[str, Array]:
    """Columns with the defaults where nothing is set, as far as there are any; NaN stands for None."""
    spent = budget.with_own({name: choice[name] for name in ("optimizer",) if name in choice})
    filled = {}
    for name, column in numbers.items():
        default = getattr(spent, name) if name in BUDGET_FIELDS else _DEFAULTS.get(name)
        filled[name] = column if default is None else np.where(np.isnan(column), default, column)
    if spent.is_adaptive:
        filled.pop("momentum", None)
    return filled


def _require_together(numbers: Mapping[str, Array], choice: Mapping[str, Any], budget: Budget, rows: Rows) -> None:
    """Refuse a row whose fields contradict each other.

    Raises:
        ValueError: If there is one; it is named.
    """
    if choice.get("parametrization", budget.parametrization) != "standard":
        return
    rated, wide = (
        _has_all([name], numbers, len(rows))
        if name in numbers
        else np.full(len(rows), getattr(budget, name) is not None)
        for name in ("learning_rate", "width")
    )
    for position in np.flatnonzero(rated & ~wide)[:1]:
        naming_row(int(rows[position]), budget_of, {**choice, **_row(numbers, position)}, budget)


def _row(numbers: Mapping[str, Array], position: int) -> dict[str, Any]:
    """The numbers that a row sets, checked."""
    return set_fields({name: float(column[position]) for name, column in numbers.items()})


def _has_all(names: Sequence[str], numbers: Mapping[str, Array], n: int) -> NDArray[np.bool_]:
    """Which rows set all of these numbers, shape (n,)."""
    has = np.ones(n, dtype=bool)
    for name in names:
        has &= ~np.isnan(numbers[name]) if name in numbers else False
    return has


def entries_of(column: Any) -> NDArray[Any]:
    """A column as an array of its entries, of which lists keep the types."""
    if isinstance(column, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(column)
        column = [None if masked else value for masked, value in zip(hidden, column.data, strict=True)]
    if hasattr(column, "to_numpy"):
        column = column.to_numpy()
    if hasattr(column, "dtype"):
        return np.atleast_1d(np.asarray(column))
    if isinstance(column, list) and any(isinstance(entry, tuple) for entry in column):
        array = np.empty(len(column), dtype=object)  # of pairs, as betas are, NumPy would make two columns
        array[:] = column
        return array
    return np.atleast_1d(np.asarray(column, dtype=object))


def length_of(columns: Mapping[str, NDArray[Any]], one_dimensional: Container[str] = ()) -> int:
    """The number of rows of columns, as ``entries_of`` returned them.

    Args:
        columns: The columns.
        one_dimensional: Those of them that must be; the prior looks into no others, which may be anything.

    Raises:
        ValueError: If columns differ in length, or have too many dimensions.
    """
    shapes: dict[tuple[int, ...], str] = {}
    for name, column in columns.items():
        shapes.setdefault(column.shape if name in one_dimensional else column.shape[:1], name)
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        received = ", ".join(f"{named(name)} of shape {shape}" for shape, name in shapes.items()) or "no column"
        raise ValueError(f"columns: expected one-dimensional columns of one length, received {received}")
    return next(iter(shapes))[0]


def _checked(name: str, entries: NDArray[Any]) -> NDArray[Any]:
    """A column of a field, checked: numbers as float64 with NaN where nothing is set, names as objects with None.

    Raises:
        TypeError, ValueError: If an entry has the wrong type or lies outside the field's range; its row is named.
    """
    check = CHECKS[name]
    if not isinstance(check, Range):
        return _checked_names(name, entries)
    values = _plain_numbers(entries)
    if values is None:
        values = np.array(
            [naming_row(row, _number, name, entry) for row, entry in enumerate(entries)], dtype=np.float64
        )
    for start in range(0, len(values), _BLOCK):
        part = values[start : start + _BLOCK]
        for position in np.flatnonzero(~(check.holds(part) | np.isnan(part)))[:1]:
            row = start + int(position)
            naming_row(row, check, name, entries[row].item() if entries.dtype != object else entries[row])
    return values


def _plain_numbers(entries: NDArray[Any]) -> Array | None:
    """Entries as float64, where all of them are plain numbers or None; None elsewhere."""
    if entries.dtype.kind in "fiu":
        return entries.astype(np.float64, copy=False)
    if entries.dtype == object and {*map(type, entries)} <= _PLAIN:
        try:
            return entries.astype(np.float64)
        except OverflowError:
            return None
    return None


def _number(name: str, entry: Any) -> float:
    return float(CHECKS[name](name, entry)) if is_set(entry) else np.nan


def _checked_names(name: str, entries: NDArray[Any]) -> NDArray[Any]:
    """Entries as the theory spells them; each is looked at once, however often it comes."""
    found = np.empty(len(entries), dtype=object)
    plain = entries.tolist() if entries.dtype.kind in "OUb" else list(entries)
    if {*map(type, plain)} <= {str, bool, type(None)}:
        known = {one: naming_row(plain.index(one), _named, name, one) for one in dict.fromkeys(plain)}
        found[:] = [known[entry] for entry in plain]
    else:
        for row, entry in enumerate(plain):
            found[row] = naming_row(row, _named, name, entry)
    return found


def _named(name: str, entry: Any) -> Any:
    return CHECKS[name](name, entry) if is_set(entry) else None


def _groups(names: Mapping[str, NDArray[Any]], n: int) -> Iterator[tuple[dict[str, Any], Rows]]:
    """Rows grouped by their combination of named choices; unset choices are left to the defaults."""
    if not names or n == 0:
        yield {}, np.arange(n)
        return
    seen: dict[tuple[Any, ...], int] = {}
    group = np.fromiter(
        (seen.setdefault(choice, len(seen)) for choice in zip(*names.values(), strict=True)), dtype=np.int64, count=n
    )
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(group, minlength=len(seen)))[:-1])
    for choice, rows in zip(seen, parts, strict=True):
        yield {name: value for name, value in zip(names, choice, strict=True) if value is not None}, rows


def _masked(whole: Mapping[str, Array], codes: NDArray[np.int8], threshold: float) -> FeasibilityTable:
    """A table of columns that hold NaN where nothing is known."""
    columns = {**whole, "score": np.fmin(whole["trainability"], whole["generalization"])}
    masked = {
        name: np.ma.MaskedArray(np.where(np.isnan(column), 1.0, column), mask=np.isnan(column))
        for name, column in columns.items()
    }
    return FeasibilityTable(**masked, verdict_code=codes, threshold=threshold)
