"""Train the networks of a table, one row appended per finished training; stop, kill and restart at will.

    python -m studies.trainings.train cifar10 --data-dir DIR
    python -m studies.trainings.train digits

A second run goes on where the first one ended. Several processes share the work with ``--shard 0/2``, ``--shard 1/2``,
each into a file of its own, and ``--merge FILE ...`` makes one table of them; ``--ray`` spreads groups over a Ray
cluster instead, whose nodes need this checkout at the same path. A process needs one core:

    NPROC=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 XLA_FLAGS=--xla_cpu_multi_thread_eigen=false python ...
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from studies.trainings.journal import Journal, merged
from studies.trainings.rows import Material, Row, as_text, load_images, material_of, materials, train_group
from studies.trainings.space import SPACES, Group, Space, groups, resized
from studies.trainings.table import columns

HERE = Path(__file__).parent
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "scikit-learn", "ntk-prior")
Finished = Iterator[list[Row]]
ONE_CORE = {
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the missing trainings, or merge files."""
    options = parser().parse_args(arguments)
    space = resized(
        SPACES[options.dataset](),
        configurations=options.configurations,
        n_train=options.n_train,
        n_test=options.n_test,
        evaluations=options.evaluations,
        max_width=options.max_width,
        max_depth=options.max_depth,
    )
    everything = groups(space)
    if options.merge:
        merge(everything, space, options)
        return
    shard, shards = options.shard
    todo = everything[shard::shards][: options.limit]
    with Journal(options.output or output_of(options.dataset, shard, shards), columns(space.evaluations)) as journal:
        todo = [group for group in todo if not journal.done.issuperset(group.row_ids)]
        if not todo:
            print("nothing is missing", file=sys.stderr)
            return
        found = materials(space, load_images(options.dataset, options.data_dir))
        train = over_ray if options.ray else in_turn
        record(train(todo, space, found, frozenset(journal.done)), journal, sum(len(group.row_ids) for group in todo))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("dataset", choices=sorted(SPACES))
    made.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    made.add_argument("--output", type=Path, help="default: DATASET.csv beside this program, DATASET-I-of-N.csv")
    made.add_argument("--shard", type=shard_of, default=(0, 1), metavar="I/N", help="train every N-th group only")
    made.add_argument("--ray", action="store_true", help="train each group as a task of the Ray cluster")
    made.add_argument("--limit", type=int, help="groups to train at most")
    made.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="write the rows of these files to --output")
    sizes = made.add_argument_group("sizes (other rows than those of the tables)")
    sizes.add_argument("--configurations", type=int)
    sizes.add_argument("--n-train", type=int)
    sizes.add_argument("--n-test", type=int)
    sizes.add_argument("--evaluations", type=int, nargs="+", metavar="STEP")
    sizes.add_argument("--max-width", type=int)
    sizes.add_argument("--max-depth", type=int)
    return made


def shard_of(text: str) -> tuple[int, int]:
    """I and N of "I/N".

    Raises:
        argparse.ArgumentTypeError: If the text is no such pair.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 0 to N - 1, for example 0/2, received {text!r}")
    return int(index), int(count)


def output_of(dataset: str, shard: int, shards: int) -> Path:
    """Where rows go by default."""
    return HERE / (f"{dataset}.csv" if shards == 1 else f"{dataset}-{shard}-of-{shards}.csv")


def in_turn(todo: Sequence[Group], space: Space, found: dict[Any, Material], done: frozenset[str]) -> Finished:
    """Rows as they are finished, trained in this process."""
    for group in todo:
        for row in train_group(group, space, material_of(group.family, found), done):
            yield [row]


def over_ray(
    todo: Sequence[Group],
    space: Space,
    found: dict[Any, Material],
    done: frozenset[str],
    work: Callable[..., Iterator[Row]] = train_group,
) -> Finished:
    """Rows of whole groups as they are finished, each group a Ray task; this process alone writes."""
    import ray

    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    environment = {
        "env_vars": {
            **ONE_CORE,
            "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
        }
    }
    task = ray.remote(_rows).options(num_cpus=1, runtime_env=environment)
    shared = {key: ray.put(material) for key, material in found.items()}
    running = [task.remote(work, group, space, shared[group.family.n_train, group.family.side], done) for group in todo]
    while running:
        finished, running = ray.wait(running)
        for reference in finished:
            yield ray.get(reference)


def _rows(work: Callable[..., Iterator[Row]], *arguments: Any) -> list[Row]:
    return list(work(*arguments))


def record(finished: Finished, journal: Journal, total: int) -> None:
    """Append rows as they come, and say how far it is from time to time."""
    began = said = time.monotonic()
    written = 0
    for rows in finished:
        for row in rows:
            journal.append({name: as_text(value) for name, value in row.items()})
        written += len(rows)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"{written} of {total} rows after {(said - began) / 60:.0f} min", file=sys.stderr, flush=True)
    print(f"{written} rows written", file=sys.stderr)


def merge(everything: Sequence[Group], space: Space, options: argparse.Namespace) -> None:
    """One table of several files, and what it was made with beside it."""
    output = options.output or output_of(options.dataset, 0, 1)
    order = [name for group in everything for name in group.row_ids]
    rows = merged(options.merge, columns(space.evaluations), order, output)
    made = {
        "command": f"python -m studies.trainings.train {options.dataset}",
        "rows": rows,
        "of": len(order),
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }
    output.with_suffix(".json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    print(f"{rows} of {len(order)} rows in {output}", file=sys.stderr)


if __name__ == "__main__":
    main()
