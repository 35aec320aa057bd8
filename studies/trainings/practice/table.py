"""The table "practice": real trainings as people run them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TABLE = Path(__file__).parents[1] / "practice.csv"
EVALUATIONS = 6

COLUMNS = (
    *("id", "configuration", "split", "seed", "dataset", "n_train", "n_test"),
    *("kind", "pooling", "normalization", "residual_scale", "activation", "depth", "width", "keep_rate"),
    *("initialization", "weight_variance", "bias_variance"),
    *("loss", "optimizer", "learning_rate", "batch_size", "weight_decay", "schedule", "warmup_steps", "steps"),
    *("diverged", "steps_taken", "n_parameters", "initial_loss"),
    *("gradient_norm", "synflow", "condition_number", "kernel_trace"),
    *("seconds", "first_seconds", "proxy_seconds"),
    *(
        f"{name}_{number}"
        for number in range(EVALUATIONS)
        for name in ("step", "train_loss", "train_score", "test_score")
    ),
)


def load(path: Path = TABLE) -> pd.DataFrame:
    """The table, one row a training; scores are accuracies or, for regression, shares of the variance.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has other columns.
    """
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    if list(table.columns) != list(COLUMNS):
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, received {', '.join(table.columns)}")
    return table.astype({"pooling": bool, "diverged": bool})
