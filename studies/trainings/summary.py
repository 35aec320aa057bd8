"""Print what the tables hold.

python -m studies.trainings.summary
"""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.table import Table

from studies.trainings.table import HERE, load


def main() -> None:
    """Summarise every table that is there."""
    for dataset in ("cifar10", "digits"):
        if (HERE / f"{dataset}.csv").is_file():
            show(dataset, load(dataset))


def show(dataset: str, table: pd.DataFrame) -> None:
    """Print counts and outcomes by kind of network."""
    title = f"{dataset}: {len(table)} trainings of {table['configuration'].nunique()} configurations"
    shown = Table(title=title)
    headings = (
        "kind",
        "trainings",
        "held out",
        "diverged",
        "train accuracy >= 0.99",
        "best test accuracy",
        "CPU hours",
    )
    for heading in headings:
        shown.add_column(heading, justify="right")
    names = table["kind"] + table["pooling"].map({True: ", pooled", False: ""})
    for name, rows in [*table.groupby(names), ("all", table)]:
        shown.add_row(
            name,
            str(len(rows)),
            f"{rows['split'].eq('held_out').mean():.0%}",
            f"{rows['diverged'].mean():.0%}",
            f"{rows['train_accuracy'].ge(0.99).mean():.0%}",
            f"{rows['best_test_accuracy'].max():.3f}",
            f"{rows['seconds'].sum() / 3600:.2f}",
        )
    Console().print(shown)


if __name__ == "__main__":
    main()
