"""The same number of launched trials with and without the prior, really trained, for several seeds.

    python -m studies.trained.with_and_without --data digits --output digits.csv
    python -m studies.trained.with_and_without --data cifar10 --data-dir DIR --output cifar10.csv

One row is appended per finished study, and studies that the file already holds are skipped: stop and restart at will.
Prints, for either arm, the best test accuracy, the share of launched trials that diverged or stayed at chance, and the
compute until a test accuracy was reached; and how many times less compute the prior takes, with bootstrap 95 %
confidence intervals over seeds. ``tuning/real_digits.csv`` holds ten seeds of 16 trials each.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import bootstrap

from ntk_prior_cli.tuning.engines import run
from ntk_prior_cli.tuning.options import TuneOptions

COLUMNS = [
    "prior",
    "seed",
    "trials",
    "flops_to_target",
    "best_test_accuracy",
    "launched_hopeless",
    "launched_flops",
    "seconds",
]
Array = NDArray[np.float64]
TARGETS = {"digits": 0.95, "cifar10": 0.3}
"""Test accuracies whose cost is counted."""


def main() -> None:
    """Run the missing studies and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(TARGETS), default="cifar10")
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--base", default="tpe")
    options = parser.parse_args()
    done = pd.read_csv(options.output) if options.output.exists() else pd.DataFrame(columns=COLUMNS)
    for seed in range(options.seeds):
        for prior in (True, False):
            if not ((done["prior"] == prior) & (done["seed"] == seed)).any():
                row = pd.DataFrame([study(prior, seed, options)])
                row.to_csv(options.output, mode="a", header=not options.output.exists(), index=False)
                done = pd.read_csv(options.output)
    show(done, options.data)


def study(prior: bool, seed: int, options: argparse.Namespace) -> dict[str, object]:
    """One study, as a row."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        job = TuneOptions(
            data=options.data,
            data_dir=options.data_dir,
            download=False,
            kind="fcn",
            base=options.base,
            trials=options.trials,
            prior=prior,
            steps=options.steps,
            width=options.width,
            n_train=512,
            side=None,
            optimizer="sgd",
            parametrization="ntk",
            batch_size=None,
            storage=None,
            study=f"seed-{seed}",
            resume=False,
            seed=seed,
            output=report,
            report=report.with_suffix(".html"),
        )
        run(job)
        found = json.loads(report.read_text(encoding="utf-8"))
    reached = {"flops_to_target": spent_until(TARGETS[options.data], [trial["result"] for trial in found["trials"]])}
    named = {"prior": prior, "seed": seed, "trials": found["launched"]}
    return {**named, **reached, **{name: found[name] for name in COLUMNS[4:]}}


def spent_until(target: float, results: Sequence[Mapping[str, float]]) -> float:
    """Operations of all trials up to the first that reached a test accuracy; infinite where none did."""
    spent = 0.0
    for result in results:
        spent += result["flops"]
        if result["best_test_accuracy"] >= target:
            return spent
    return math.inf


def show(done: pd.DataFrame, data: str) -> None:
    """Print means, ranges and medians over the seeds."""
    table = Table(title=f"launched trials on {data}, with and without the prior")
    target = f"FLOP to {TARGETS[data]:g} (median)"
    for heading in ("prior", "seeds", "launched", "best test accuracy", "diverged or at chance", "FLOP", target):
        table.add_column(heading, justify="right")
    for prior, rows in done.groupby("prior", sort=True):
        best, share = rows["best_test_accuracy"], rows["launched_hopeless"].sum() / rows["trials"].sum()
        accuracy = f"{best.mean():.3f} ({best.min():.3f} to {best.max():.3f})"
        flops = f"{rows['launched_flops'].mean():.2g}"
        to_target = f"{rows['flops_to_target'].median():.2g}"
        table.add_row(str(prior), str(len(rows)), str(rows["trials"].sum()), accuracy, f"{share:.0%}", flops, to_target)
    console = Console()
    console.print(table)
    both = done.pivot(index="seed", columns="prior").dropna()
    if len(both) > 1:
        spent, reached = times_less(both["launched_flops"], np.mean), times_less(both["flops_to_target"], np.median)
        console.print(f"times less compute with the prior: {spent}, to {TARGETS[data]:g}: {reached}", highlight=False)


def times_less(flops: pd.DataFrame, mean: Callable[..., Any]) -> str:
    """Ratio of the compute without the prior to that with it, seed by seed, with its interval."""

    def ratio(without: Array, prior: Array, axis: int = -1) -> Array:
        return np.asarray(mean(without, axis=axis) / mean(prior, axis=axis))

    samples = (flops[False].to_numpy(), flops[True].to_numpy())
    with np.errstate(invalid="ignore"):  # of resamples in which half of the seeds never got there
        low, high = bootstrap(samples, ratio, paired=True, method="percentile", rng=0).confidence_interval
    return f"{ratio(*samples):.2g} [{low:.2g}, {high:.2g}]"


if __name__ == "__main__":
    main()
