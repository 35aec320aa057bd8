"""Fit the calibration that ships with the package to the table of real trainings, and measure it on held-out rows.

    python -m studies.calibration.fit [--data-dir DIR] [--write]

The fit sees the rows of the split ``fit`` only; everything printed is about ``held_out`` ones, each training counting
once for every number of steps at which it was evaluated. CIFAR-10 in its official layout is needed for the summaries of
the very images that the networks were trained on ($NTK_PRIOR_DATA by default); digits come with scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ntk_prior import DEFAULT_THRESHOLD, Architecture, Budget, Task, feasibility
from ntk_prior.datasets import load_cifar10, load_digits, prepare
from ntk_prior.theory.mean_field import mean_field
from ntk_prior.verdict.calibration import Calibration, shipped_calibration
from ntk_prior.verdict.laboratory import FEATURES, NetworkSize, features
from ntk_prior.verdict.model import Model
from ntk_prior.verdict.outcomes import outcome, reliability
from studies.calibration.boosting import calibrated
from studies.trainings.table import EVALUATIONS, load

Array = NDArray[np.float64]

TARGET = Path(__file__).parents[2] / "ntk_prior" / "verdict" / "calibration.json"
TREES = {
    "trained": {
        "max_iter": 80, "learning_rate": 0.12, "max_leaf_nodes": 12, "min_samples_leaf": 8, "l2_regularization": 1.0,
    },
    "generalizes": {
        "max_iter": 80, "learning_rate": 0.08, "max_leaf_nodes": 6, "min_samples_leaf": 25, "l2_regularization": 5.0,
    },
}  # fmt: skip
"""Settings of each model, those of a dozen with the least log loss in cross-validation of the fit split."""

LAST = EVALUATIONS[-1]


class Judged(NamedTuple):
    """Trainings as the calibration sees them, a row for each training and number of steps.

    Attributes:
        frame: ``configuration``, ``steps``, ``held_out``, ``family``, ``trained``, ``generalizes`` (NaN where nothing
            is said), ``test_accuracy``, and the plain predictors that the calibration is compared with.
        seen: Features, shape (n, features).
        seconds: Of one verdict, in the median.
    """

    frame: pd.DataFrame
    seen: Array
    seconds: float


@cache
def task_of(dataset: str, n_train: int, side: int, n_test: int, directory: str | None) -> Task:
    """Summary of the images that a training saw."""
    images = load_digits() if dataset == "digits" else load_cifar10(directory)
    own = images.x_train.shape[1]
    chosen = prepare(images, n_train=n_train, n_test=n_test, side=None if side == own else side)
    return Task.from_arrays(chosen.x_train, chosen.y_train)


def judged(table: pd.DataFrame, directory: str | None) -> Judged:
    """Every row of a table at every number of steps."""
    table = table.assign(family=table["kind"] + np.where(table["pooling"], ", pooled", ""))
    accuracies = [f"test_accuracy_{step}" for step in EVALUATIONS]
    best = table.groupby("family")[accuracies].max().max(axis=1)
    rows, seen, spent = [], [], []
    for row in table.itertuples():
        architecture = Architecture(
            row.weight_variance, row.bias_variance, row.depth, row.activation, row.kind, bool(row.pooling)
        )
        task = task_of(row.dataset, row.n_train, row.side, row.n_test, directory)
        plain = {
            "depth": -row.depth,
            "parameters": row.n_parameters,
            "chi_1": -abs(np.log(mean_field(architecture).chi_1 or 1.0)),
            "gradient norm": row.gradient_norm,
            "NTK condition number": -np.log(row.condition_number),
        }
        for step in EVALUATIONS:
            budget = Budget(step, row.learning_rate, width=row.width)
            start = time.perf_counter()
            found = feasibility(architecture, task, budget).estimates
            spent.append(time.perf_counter() - start)
            train, test = getattr(row, f"train_accuracy_{step}"), getattr(row, f"test_accuracy_{step}")
            became = outcome(task.chance, train, test, best[row.family], diverged=bool(np.isnan(train)))
            rows.append(
                {
                    "configuration": row.configuration,
                    "steps": step,
                    "held_out": row.split == "held_out",
                    "family": row.family,
                    "trained": became.trained,
                    "generalizes": np.nan if became.generalizes is None else float(became.generalizes),
                    "test_accuracy": task.chance if np.isnan(test) else test,
                    **plain,
                }
            )
            seen.append(features(found, NetworkSize.for_network(architecture, budget))[0])
    return Judged(pd.DataFrame(rows), np.array(seen), float(np.median(spent)))


def probabilities(model: Model, seen: Array) -> Array:
    """Of rows of features."""
    return np.asarray(1.0 / (1.0 + np.exp(-model.log_odds(seen))))


def show_sides(console: Console, title: str, data: Judged, rows: NDArray[np.bool_], calibration: Calibration) -> None:
    """Discrimination and calibration of both probabilities on some rows."""
    table = Table(title=title, title_justify="left")
    for heading in ("question", "rows", "share", "AUROC", "Brier", "ECE"):
        table.add_column(heading, justify="left" if heading == "question" else "right")
    trained = data.frame["trained"].to_numpy(dtype=float)
    generalizes = data.frame["generalizes"].to_numpy()
    questions = [
        ("trains (else untrainable or diverges)", rows, trained, calibration.trains),
        ("generalizes, if it trains (else memorizes only)", rows & np.isfinite(generalizes), generalizes,
         calibration.generalizes),
    ]  # fmt: skip
    for name, chosen, truth, model in questions:
        found = reliability(probabilities(model, data.seen[chosen]), truth[chosen] > 0)
        numbers = (found.auroc, found.brier, found.calibration_error)
        table.add_row(name, f"{found.n:,}", f"{found.share:.2f}", *(f"{number:.3f}" for number in numbers))
    console.print(table)


def show_refusals(console: Console, data: Judged, rows: NDArray[np.bool_], calibration: Calibration) -> None:
    """What the default threshold refuses, and of the best tenth of each family after all steps."""
    frame = data.frame.assign(score=score_of(calibration, data.seen))
    last = frame[rows & (frame["steps"] == LAST)]
    best = last.groupby("family")["test_accuracy"].rank(ascending=False, pct=True) <= 0.1
    overall = last["test_accuracy"].rank(ascending=False, pct=True) <= 0.1
    refused = last["score"] < DEFAULT_THRESHOLD
    worthless = ~last["trained"] | (last["generalizes"] == 0)
    console.print(
        f"refused at {DEFAULT_THRESHOLD:g}: {refused.mean():.0%} of {len(last)} held-out trainings of {LAST} steps, "
        f"{refused[worthless].mean():.0%} of the {worthless.sum()} hopeless ones; of the best tenth "
        f"{refused[overall].sum()} of {overall.sum()}, of the best tenth of each family {refused[best].sum()} "
        f"of {best.sum()}"
    )


def score_of(calibration: Calibration, seen: Array) -> Array:
    """The weaker side."""
    return np.minimum(probabilities(calibration.trains, seen), probabilities(calibration.generalizes, seen))


def show_peers(
    console: Console, data: Judged, table: pd.DataFrame, rows: NDArray[np.bool_], calibration: Calibration
) -> None:
    """The score against what is simpler, and against zero-cost proxies measured on the same networks."""
    frame = data.frame
    last = (rows & (frame["steps"] == LAST)).to_numpy()
    fit = (~rows & (frame["steps"] == LAST)).to_numpy()
    trained = frame["trained"].to_numpy(dtype=bool)
    worthwhile = trained & (frame["generalizes"] != 0).to_numpy()
    seconds = {
        "gradient norm": table["gradient_norm_seconds"].median(),
        "NTK condition number": table["condition_number_seconds"].median(),
    }
    shown = Table(title=f"held-out trainings of {LAST} steps: the score and its peers", title_justify="left")
    for heading in ("predictor", "AUROC trains", "AUROC worth launching", "Spearman test accuracy", "ms each"):
        shown.add_column(heading, justify="left" if heading == "predictor" else "right")
    candidates: dict[str, tuple[Array, Array]] = {
        "ntk-prior": (probabilities(calibration.trains, data.seen), score_of(calibration, data.seen))
    }
    for name in ("depth", "parameters", "chi_1", "gradient norm", "NTK condition number"):
        values = frame[name].to_numpy(dtype=float)
        # A peer may count from either end; the fit split says which.
        turned = values if roc_auc_score(worthwhile[fit], values[fit]) >= 0.5 else -values
        candidates[name] = turned, turned
    for name, (trains, worth) in candidates.items():
        cost = data.seconds if name == "ntk-prior" else seconds.get(name, 0.0)
        shown.add_row(
            name,
            f"{roc_auc_score(trained[last], trains[last]):.3f}",
            f"{roc_auc_score(worthwhile[last], worth[last]):.3f}",
            f"{spearmanr(worth[last], frame['test_accuracy'][last]).statistic:.2f}",
            f"{1e3 * cost:.2g}" if cost else "",
        )
    console.print(shown)


def show_depth_scales(console: Console, table: pd.DataFrame) -> None:
    """The constants C of the depth scales: where half of the trainings fail, in units of xi_1 and of xi_star."""
    chosen = table[(table["split"] == "fit") & table["relative_rate"].between(0.1, 1.0)]
    limits = [mean_field(Architecture(r.weight_variance, r.bias_variance, r.depth, r.activation)) for r in
              chosen.itertuples()]  # fmt: skip
    gain = (chosen["train_accuracy"] - 0.1) / 0.9
    test_gain = (chosen["test_accuracy"] - 0.1) / (table["best_test_accuracy"].max() - 0.1)
    sides = (("ordered", "xi_1", gain >= 0.2, "trains"), ("chaotic", "xi_star", test_gain >= 0.5, "generalizes"))
    for phase, scale, good, word in sides:
        lengths = np.array([getattr(one, scale) or np.nan if one.phase == phase else np.nan for one in limits])
        known = np.isfinite(lengths)
        ratio = np.log(chosen["depth"].to_numpy()[known] / lengths[known])
        if good[known].nunique() < 2:
            continue
        fit = LogisticRegression(C=1e3).fit(ratio[:, None], good[known])
        constant = float(np.exp(-fit.intercept_[0] / fit.coef_[0, 0]))
        console.print(
            f"{phase}: half of {known.sum()} trainings at 0.1 to 1 of the stable rate {word} at depth "
            f"{constant:.2g} {scale} (log-odds fall by {-fit.coef_[0, 0]:.2g} for each e-fold of depth)"
        )


def main() -> None:
    """Fit, measure, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--table", type=Path, help="another table of trainings on CIFAR-10")
    parser.add_argument("--digits", type=Path, help="another table of trainings on digits")
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name} into the package")
    options = parser.parse_args()
    console = Console(width=120)
    table = load("cifar10", options.table)
    data = judged(table, options.data_dir)
    held_out = data.frame["held_out"].to_numpy()
    known = np.isfinite(data.frame["generalizes"].to_numpy())
    fits = ((~held_out, "trained"), (~held_out & known, "generalizes"))
    configurations = data.frame["configuration"].to_numpy(dtype=str)
    models = [
        calibrated(
            data.seen[rows],
            data.frame[name].to_numpy()[rows].astype(bool),
            configurations[rows],
            monotonic_cst=[1] * len(FEATURES),  # trees that never fall as a feature grows
            **TREES[name],
        )
        for rows, name in fits
    ]
    calibration = Calibration(*models, shipped_calibration().practice)
    show_sides(console, f"CIFAR-10, held out ({len(table)} trainings in all)", data, held_out, calibration)
    for family in sorted(data.frame["family"].unique()):
        rows = held_out & (data.frame["family"] == family).to_numpy()
        show_sides(console, f"CIFAR-10, held out, {family}", data, rows, calibration)
    show_refusals(console, data, held_out, calibration)
    show_peers(console, data, table, held_out, calibration)
    show_depth_scales(console, table)
    transfer(console, options.digits, calibration)
    if options.write:
        TARGET.write_text(json.dumps(calibration.to_json(), separators=(",", ":")) + "\n", encoding="utf-8")
        console.print(f"wrote {TARGET.name}: {TARGET.stat().st_size / 1024:.0f} KiB")


def transfer(console: Console, path: Path | None, calibration: Calibration) -> None:
    """The same calibration on digits, without another fit."""
    try:
        table = load("digits", path)
    except FileNotFoundError as error:
        console.print(f"no transfer: {error}")
        return
    data = judged(table, None)
    everything = np.ones(len(data.frame), dtype=bool)
    show_sides(console, f"digits ({len(table)} trainings), by the calibration fitted to CIFAR-10", data, everything,
               calibration)  # fmt: skip
    show_refusals(console, data, everything, calibration)


if __name__ == "__main__":
    main()
