"""The same number of launched trials with and without the prior, on CIFAR-10, for several seeds.

    python benchmarks/with_and_without.py --data-dir DIR --output results.csv

One row is appended per finished study, and studies that the file already holds are skipped: stop and restart at will.
Prints, for either arm, the best test accuracy and the share of launched trials that diverged or stayed at chance.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from ntk_prior_cli.job import Job, run

COLUMNS = ["prior", "seed", "trials", "best_test_accuracy", "launched_hopeless", "launched_flops", "seconds"]


def main() -> None:
    """Run the missing studies and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--output", type=Path, default=Path("with-and-without.csv"))
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
    show(done)


def study(prior: bool, seed: int, options: argparse.Namespace) -> dict[str, object]:
    """One study, as a row."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        job = Job(
            data="cifar10",
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
        )
        run(job)
        found = json.loads(report.read_text(encoding="utf-8"))
    return {"prior": prior, "seed": seed, "trials": found["launched"], **{name: found[name] for name in COLUMNS[3:]}}


def show(done: pd.DataFrame) -> None:
    """Print mean and range over the seeds."""
    table = Table(title="launched trials on CIFAR-10, with and without the prior")
    for heading in ("prior", "seeds", "launched", "best test accuracy", "diverged or at chance", "FLOP"):
        table.add_column(heading, justify="right")
    for prior, rows in done.groupby("prior", sort=True):
        best, share = rows["best_test_accuracy"], rows["launched_hopeless"].sum() / rows["trials"].sum()
        accuracy = f"{best.mean():.3f} ({best.min():.3f} to {best.max():.3f})"
        flops = f"{rows['launched_flops'].mean():.2g}"
        table.add_row(str(prior), str(len(rows)), str(rows["trials"].sum()), accuracy, f"{share:.0%}", flops)
    Console().print(table)


if __name__ == "__main__":
    main()
