"""The table of configurations, as values that a script can sort and filter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ntk_prior.plots.bidi import balanced, isolated
from ntk_prior.runs.run import Row, Run, fate

MOST_REFUSED = 5_000
"""Refused draws in the table at most."""

LONGEST = 200
"""Characters of a value at most; reasons may be longer."""

NOT_ASKED = "not asked"
"""The verdict on a trial without a note of the prior's."""

Cell = str | float | None


def table(run: Run) -> dict[str, Any]:
    """Columns and rows of a run as JSON-serialisable values.

    Args:
        run: The run.

    Returns:
        ``columns``: label, and whether a column is chosen from (``choose``), numeric (``number``) or long text
        (``long``); ``rows``: a list of cells each; ``left_out``: refused draws that are not among them.
    """
    rows, left_out = _shown(run.rows)
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    timed = any(row.trial.seconds is not None for row in rows)
    columns = [
        {"label": "Configuration", "kind": "text"},
        {"label": "What was done", "kind": "choose"},
        {"label": "Verdict", "kind": "choose"},
        {"label": "Score", "kind": "number"},
        {"label": run.outcome_name, "kind": "number"},
        {"label": "Why", "kind": "long"},
        *({"label": str(name), "kind": "number" if _numeric(rows, name) else "text"} for name in names),
        *([{"label": "Seconds", "kind": "number"}] if timed else []),
        {"label": "State", "kind": "text"},
    ]
    return {
        "columns": columns,
        "rows": [_cells(row, run, names, timed=timed) for row in rows],
        "left_out": left_out,
    }


def _shown(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """All launched trials, and the latest refused draws."""
    refused = [k for k, row in enumerate(rows) if not row.trial.launched]
    dropped = set(refused[:-MOST_REFUSED])
    return [row for k, row in enumerate(rows) if k not in dropped], len(dropped)


def _numeric(rows: Sequence[Row], name: str) -> bool:
    values = [row.params[name] for row in rows if name in row.params]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _cells(row: Row, run: Run, names: Sequence[str], *, timed: bool) -> list[Cell]:
    trial = row.trial
    own = [_cell(row.params.get(name)) for name in names]
    seconds = [_cell(trial.seconds)] if timed else []
    verdict = trial.verdict or NOT_ASKED
    return [
        _cell(trial.name),
        fate(trial, run),
        _cell(verdict),
        _cell(trial.score),
        _cell(trial.outcome),
        balanced(str(row.reason)),
        *own,
        *seconds,
        _cell(row.state),
    ]


def _cell(value: Any) -> Cell:
    """A value as a number that JSON has, or as text."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        # Whole numbers beyond 2^53 are no numbers of JavaScript's.
        return value if abs(value) < 2**53 else str(value)
    text = balanced(str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def described(params: Mapping[str, Any]) -> str:
    """Parameters on one line, each in its own place whatever direction it is read in."""
    return ", ".join(f"{isolated(str(name))} = {isolated(_short(value))}" for name, value in params.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(_cell(value))
