"""Train scikit-learn's MLPClassifier as its users do, by Adam, at configurations drawn at random, and keep the scores.

    python -m studies.trainings.mlp_adam

Writes ``mlp_adam.csv`` beside this program, a row for each training as it ends; a second run goes on where the first
one ended. The data are scikit-learn's digits, 400 for training and 800 for the accuracy that is kept.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

TABLE = Path(__file__).with_name("mlp_adam.csv")
ROWS = 400
N_TRAIN, N_TEST = 400, 800
EPOCHS = 20


def drawn() -> list[dict[str, Any]]:
    """The configurations, always the same."""
    rng = np.random.default_rng(0)
    return [
        {
            "depth": int(rng.integers(1, 4)),
            "width": round(float(np.exp(rng.uniform(np.log(16), np.log(256))))),
            "batch_size": round(float(np.exp(rng.uniform(np.log(8), np.log(256))))),
            "learning_rate": float(f"{np.exp(rng.uniform(np.log(1e-5), np.log(1.0))):.5g}"),
            "alpha": float(f"{np.exp(rng.uniform(np.log(1e-8), np.log(1.0))):.5g}"),
        }
        for _ in range(ROWS)
    ]


def data() -> tuple[Any, ...]:
    """Inputs and labels for training, then for testing; inputs are standardised as a whole."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[: N_TRAIN + N_TEST]
    x, y = (x[order] - x.mean()) / x.std(), y[order]
    return x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:]


def accuracy(row: dict[str, Any], x: Any, y: Any, x_test: Any, y_test: Any) -> float:
    """What a configuration reaches on the test images."""
    network = MLPClassifier(
        [row["width"]] * row["depth"],
        alpha=row["alpha"],
        batch_size=row["batch_size"],
        learning_rate_init=row["learning_rate"],
        max_iter=EPOCHS,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)  # overflows of rates that are far too large
        try:
            return float(network.fit(x, y).score(x_test, y_test))
        except ValueError:  # weights that are not finite
            return float(np.bincount(y_test).max() / len(y_test))


def main() -> None:
    """Train what is missing."""
    rows = drawn()
    done = len(TABLE.read_text(encoding="utf-8").splitlines()) - 1 if TABLE.exists() else 0
    known = data()
    with TABLE.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "accuracy"])
        if not done:
            writer.writeheader()
        for row in rows[max(done, 0) :]:
            writer.writerow({**row, "accuracy": f"{accuracy(row, *known):.4f}"})
            file.flush()


if __name__ == "__main__":
    main()
