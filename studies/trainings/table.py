"""The tables of real trainings, for anyone who wants to test a sampler, a pruner or a predictor on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
EVALUATIONS = (10, 30, 100, 300)
EVALUATED = ("train_loss", "train_accuracy", "test_accuracy", "correlation")

NAMES = ("id", "configuration", "dataset", "split", "kind", "activation")
COUNTS = ("seed", "depth", "width", "n_train", "n_test", "side", "steps", "best_step", "n_parameters")
FLAGS = ("pooling", "diverged")

COLUMNS = (
    *("id", "configuration", "dataset", "split", "seed"),
    *("kind", "pooling", "activation", "weight_variance", "bias_variance", "depth", "width"),
    *("learning_rate", "relative_rate", "n_train", "n_test", "side", "steps"),
    *("train_loss", "test_loss", "train_accuracy", "test_accuracy", "correlation"),
    *("best_test_accuracy", "best_step", "diverged", "diverged_at", "n_parameters", "flops", "seconds"),
    *("gradient_norm", "gradient_norm_seconds", "condition_number", "condition_number_seconds"),
)
"""Columns that every table begins with; those of the evaluations follow."""

POSITIVE = (
    *("weight_variance", "depth", "width", "learning_rate", "relative_rate", "n_train", "n_test", "side"),
    *("best_step", "n_parameters", "seconds", "gradient_norm_seconds", "condition_number_seconds"),
)


def columns(evaluations: Sequence[int] = EVALUATIONS) -> list[str]:
    """All columns of a table whose trainings were evaluated at these steps."""
    return [*COLUMNS, *(f"{name}_{step}" for step in evaluations for name in EVALUATED)]


def load(dataset: str, path: str | Path | None = None) -> pd.DataFrame:
    """The table of one data set, one row a training.

    Args:
        dataset: ``"cifar10"`` or ``"digits"``.
        path: Another file than the one that is shipped.

    Returns:
        Columns as ``benchmarks/README.md`` explains them; names as strings, flags as bools, the rest as numbers, NaN
        where a cell is empty.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If the file is not a table of this data set.
    """
    file = HERE / f"{dataset}.csv" if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected a table; make it with trainings/train.py {dataset}")
    types = {**dict.fromkeys(NAMES, str), **dict.fromkeys((*COUNTS, *FLAGS), np.int64)}
    table = pd.read_csv(file, dtype=types)
    if list(table.columns) != columns():
        raise ValueError(f"{file}: expected the columns {', '.join(columns())}, received {', '.join(table.columns)}")
    _validate(table, dataset, file)
    return table.astype(dict.fromkeys(FLAGS, bool))


def _validate(table: pd.DataFrame, dataset: str, file: Path) -> None:
    """Raise ValueError for the first thing that no table can hold."""

    def require(fine: bool, expected: str) -> None:
        if not fine:
            raise ValueError(f"{file}: expected {expected}")

    numbers = table.drop(columns=list(NAMES)).astype(np.float64)
    shares = [name for name in numbers if "accuracy" in name]
    require(bool(table["dataset"].eq(dataset).all()), f"rows of {dataset} only")
    require(table["id"].is_unique, "no id twice")
    require(set(table["split"]) <= {"fit", "held_out"}, "the splits fit and held_out")
    require(not np.isinf(numbers.to_numpy()).any(), "finite numbers or empty cells")
    require(bool((numbers[list(POSITIVE)] > 0).all().all()), f"numbers above 0 in {', '.join(POSITIVE)}")
    require(bool((numbers[shares].isna() | numbers[shares].le(1)).all().all()), "accuracies <= 1")
    require(bool(table[list(FLAGS)].isin([0, 1]).all().all()), "0 or 1 as flags")
    splits = table.groupby("configuration")["split"].nunique()
    require(bool((splits == 1).all()), "each configuration in one split")
