"""How far beyond 2 / lambda_max networks still train: short trainings as users run them, at twelve rates each.

    python -m studies.trainings.largest_rates --data-dir DIR

Networks of width 128 or 512 in the standard parametrization, He-initialised (ReLU, GELU) or with weight variance 1
(tanh) and without initial biases, are trained for 300 steps on 2,000 CIFAR-10 images averaged down to 16 x 16. Outputs
are those of the network, not measured from the initial ones, and all rates of a network share their mini-batches. A row
is one training, appended when its network is done, so a second run goes on where the first one ended; ``--summary``
prints the largest multiples of 2 / lambda_max at which networks trained. The task's summary is written beside the
table.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ntk_prior import Architecture, Budget, Task, max_learning_rate
from ntk_prior.datasets import load_cifar10, prepare
from ntk_prior_flax import Network

TABLE = Path(__file__).with_name("largest_rates.csv")
MULTIPLES = (0.01, 0.1, 0.5, 1, 1.5, 2, 4, 8, 16, 32, 64, 128)
INITIAL = {"relu": 2.0, "gelu": 2.0, "tanh": 1.0}
DEPTHS = (1, 2, 5, 8, 16)
N_TRAIN, N_TEST, SIDE, STEPS = 2_000, 1_000, 16, 300
TRAINED = 0.28
"""Training accuracy from which a network counts as trained: a fifth of the way from chance to 1."""


class Cell(NamedTuple):
    """One network and the way it is trained, at all rates."""

    activation: str
    depth: int
    optimizer: str
    momentum: float
    loss: str
    batch_size: int
    width: int = 128

    @property
    def architecture(self) -> Architecture:
        """The network at initialisation."""
        return Architecture(INITIAL[self.activation], 0.0, self.depth, self.activation)

    @property
    def budget(self) -> Budget:
        """Its training, at the default rate and with full batches: the units of ``MULTIPLES``."""
        return Budget(
            STEPS,
            None,
            self.optimizer,
            self.momentum,
            None,
            self.width,
            "standard",
            self.loss,  # type: ignore[arg-type]
        )


def cells() -> list[Cell]:
    """The networks, small ones first."""
    plain = [
        Cell(activation, depth, "sgd", 0.0, loss, batch)
        for depth, activation, loss, batch in product(DEPTHS, INITIAL, ("cross_entropy", "mse"), (32, 128))
    ]
    heavy = [
        Cell(activation, depth, "momentum", 0.9, loss, 128)
        for depth, activation, loss in product((2, 5, 8), INITIAL, ("cross_entropy", "mse"))
    ]
    whole = [
        Cell(activation, 2, "sgd", 0.0, loss, N_TRAIN)
        for activation, loss in product(INITIAL, ("cross_entropy", "mse"))
    ]
    wide = [
        Cell(activation, depth, "sgd", 0.0, loss, 128, 512)
        for depth, activation, loss in product((2, 5, 8), INITIAL, ("cross_entropy", "mse"))
    ]
    return sorted(plain + heavy + wide + whole, key=lambda cell: cell.depth * cell.width * cell.batch_size)


def train(cell: Cell, rates: Any, x: Any, y: Any, x_test: Any, y_test: Any) -> tuple[Any, ...]:
    """Final losses and accuracies on the training set, and accuracies on the test set, shape (rates,) each."""
    network = Network(cell.architecture, cell.width, 10, "standard")
    key, order = jax.random.split(jax.random.key(0))
    start = network.init(key, x[:1])["params"]

    def loss_of(params: Any, inputs: Any, labels: Any) -> Any:
        outputs = network.apply({"params": params}, inputs)
        if cell.loss == "cross_entropy":
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, labels))
        return jnp.mean(jnp.sum(optax.l2_loss(outputs, jax.nn.one_hot(labels, 10) - 0.1), axis=-1))

    def accuracy(params: Any, inputs: Any, labels: Any) -> Any:
        return jnp.mean(jnp.argmax(network.apply({"params": params}, inputs), axis=-1) == labels)

    def one(rate: Any) -> tuple[Any, ...]:
        optimizer = optax.sgd(rate, momentum=cell.momentum or None)

        def step(state: Any, chosen: Any) -> tuple[Any, None]:
            params, memory = state
            slope = jax.grad(loss_of)(params, x[chosen], y[chosen])
            change, memory = optimizer.update(slope, memory, params)
            return (optax.apply_updates(params, change), memory), None

        (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), batches)
        loss = loss_of(params, x, y)
        found = (accuracy(params, *known) for known in ((x, y), (x_test, y_test)))
        return loss, *(jnp.where(jnp.isfinite(loss), share, 0.0) for share in found)

    if cell.batch_size < N_TRAIN:
        batches = jax.vmap(lambda k: jax.random.choice(k, N_TRAIN, (cell.batch_size,), replace=False))(
            jax.random.split(order, STEPS)
        )
    else:
        batches = jnp.broadcast_to(jnp.arange(N_TRAIN), (STEPS, N_TRAIN))
    return tuple(np.asarray(column) for column in jax.jit(lambda: jax.lax.map(one, rates))())


def rows_of(cell: Cell, task: Task, data: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What became of a network at each rate."""
    rates = np.array(MULTIPLES) * max_learning_rate(cell.architecture, task, cell.budget)
    found = train(cell, jnp.asarray(rates, jnp.float32), *data)
    for multiple, rate, loss, train_accuracy, test_accuracy in zip(MULTIPLES, rates, *found, strict=True):
        yield {
            **cell._asdict(),
            "weight_variance": INITIAL[cell.activation],
            "multiple": multiple,
            "learning_rate": f"{rate:.6g}",
            "train_loss": f"{loss:.6g}" if np.isfinite(loss) else "",
            "train_accuracy": f"{train_accuracy:.4f}",
            "test_accuracy": f"{test_accuracy:.3f}",
        }


def run(output: Path, data_dir: Path | None, shard: int, shards: int) -> None:
    """Train what is missing in the table."""
    done = {tuple(row[name] for name in Cell._fields) for row in read(output)}
    todo = [cell for cell in cells() if tuple(map(str, cell)) not in done][shard::shards]
    images = prepare(load_cifar10(data_dir), n_train=N_TRAIN, n_test=N_TEST, side=SIDE)
    x = images.x_train.reshape(N_TRAIN, -1)
    task = Task.from_arrays(x, images.y_train)
    task.save(output.with_suffix(".json"))
    inputs = (jnp.asarray(part.reshape(len(part), -1), jnp.float32) for part in (images.x_train, images.x_test))
    data = [
        part for pair in zip(inputs, (images.y_train, images.y_test), strict=True) for part in map(jnp.asarray, pair)
    ]
    for cell in todo:
        rows = list(rows_of(cell, task, data))
        begun = output.exists()
        with output.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            if not begun:
                writer.writeheader()
            writer.writerows(rows)
        print(*cell, [row["train_accuracy"] for row in rows], flush=True)


def read(table: Path) -> list[dict[str, str]]:
    """The rows that are there."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(table: Path) -> None:
    """Print, for each way of training, the largest multiple at which networks of each depth trained."""
    largest: dict[tuple[str, ...], dict[int, float]] = {}
    for row in read(table):
        way = (row["loss"], row["optimizer"], row["batch_size"], row["activation"])
        depth = largest.setdefault(way, {})
        trained = float(row["multiple"]) if float(row["train_accuracy"]) >= TRAINED else 0.0
        depth[int(row["depth"])] = max(depth.get(int(row["depth"]), 0.0), trained)
    print(f"{'loss':14}{'optimizer':10}{'batch':>6} {'activation':10} largest multiple of 2 / lambda_max, by depth")
    for way, depths in sorted(largest.items()):
        found = "  ".join(f"{depth}: {multiple:g}" for depth, multiple in sorted(depths.items()))
        print(f"{way[0]:14}{way[1]:10}{way[2]:>6} {way[3]:10} {found}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, or summarise the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--shard", type=int, nargs=2, default=(0, 1), metavar=("I", "N"))
    parser.add_argument("--summary", action="store_true", help="print the largest rates of the table and train nothing")
    options = parser.parse_args(arguments)
    if not options.summary:
        run(options.output, options.data_dir, *options.shard)
    summary(options.output)


if __name__ == "__main__":
    main()
