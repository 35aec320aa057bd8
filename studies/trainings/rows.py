"""Rows of the table: the trainings of one group."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jax.numpy as jnp

from ntk_prior import Budget, Task, max_learning_rate
from ntk_prior.datasets import Images, load_cifar10, load_digits, prepare
from ntk_prior_flax import training_flops
from studies.trainings.course import Labelled, Outcome, compiled, run, variables
from studies.trainings.network import Model, basis
from studies.trainings.space import Configuration, Family, Group, Space, rounded

Row = dict[str, Any]


class Material(NamedTuple):
    """What the networks of a family are trained on, and its summary."""

    images: Images
    task: Task


def load_images(dataset: str, directory: Any = None) -> Images:
    """The full data set."""
    return load_digits() if dataset == "digits" else load_cifar10(directory)


def materials(space: Space, images: Images) -> dict[tuple[int, int | None], Material]:
    """Material by number and side of the training images."""
    found = {}
    for family in space.families:
        chosen = prepare(images, n_train=family.n_train, n_test=space.n_test, side=family.side, seed=space.seed)
        found[family.n_train, family.side] = Material(chosen, Task.from_arrays(chosen.x_train, chosen.y_train))
    return found


def material_of(family: Family, found: dict[tuple[int, int | None], Material]) -> Material:
    """A family's material."""
    return found[family.n_train, family.side]


@lru_cache(maxsize=4)
def labelled(kind: str, images: Images) -> Labelled:
    """Material as compiled programs take it."""
    return Labelled(basis(kind, images.x_train, images.x_test), jnp.asarray(images.y_train), jnp.asarray(images.y_test))


def train_group(group: Group, space: Space, material: Material, done: Container[str] = ()) -> Iterator[Row]:
    """Train what is missing of a group.

    Args:
        group: The group.
        space: Where it is from.
        material: Of the group's family.
        done: Ids of finished rows.
    """
    missing = [(one, seed) for one in group.configurations for seed in one.seeds if one.row_id(seed) not in done]
    if not missing:
        return
    data = labelled(group.shape.kind, material.images)
    program = compiled(Model(group.shape, material.images.n_classes), data)
    for one, seed in missing:
        rate = learning_rate(one, group, material.task)
        row = variables(seed, one.weight_variance, one.bias_variance, rate)
        outcome = run(program, row, data, space.evaluations)
        yield described(one, seed, rate, group, space, material, outcome)


def learning_rate(one: Configuration, group: Group, task: Task) -> float:
    """The rate for the mean loss that is ``relative_rate`` times the largest stable one."""
    architecture = group.shape.architecture(one.weight_variance, one.bias_variance)
    limit = max_learning_rate(architecture, task, Budget(steps=1, width=group.shape.width))
    return rounded(one.relative_rate * limit)


def described(
    one: Configuration, seed: int, rate: float, group: Group, space: Space, material: Material, outcome: Outcome
) -> Row:
    """A row of the table, by column."""
    shape, images, seen = group.shape, material.images, outcome.seen
    best = max(seen, key=lambda step: seen[step].test_accuracy)
    last = seen[max(seen)]
    architecture = shape.architecture(one.weight_variance, one.bias_variance)
    budget = Budget(steps=outcome.steps, width=shape.width)
    row: Row = {
        "id": one.row_id(seed),
        "configuration": one.id,
        "dataset": space.dataset,
        "split": one.split,
        "seed": seed,
        "kind": shape.kind,
        "pooling": int(shape.pooling),
        "activation": shape.activation,
        "weight_variance": one.weight_variance,
        "bias_variance": one.bias_variance,
        "depth": shape.depth,
        "width": shape.width,
        "learning_rate": rate,
        "relative_rate": one.relative_rate,
        "n_train": len(images.x_train),
        "n_test": len(images.x_test),
        "side": images.x_train.shape[1],
        "steps": outcome.steps,
        "train_loss": last.train_loss,
        "test_loss": last.test_loss,
        "train_accuracy": last.train_accuracy,
        "test_accuracy": last.test_accuracy,
        "correlation": last.correlation,
        "best_test_accuracy": seen[best].test_accuracy,
        "best_step": best,
        "diverged": int(outcome.diverged is not None),
        "diverged_at": outcome.diverged,
        "n_parameters": outcome.n_parameters,
        "flops": training_flops(architecture, budget, images.x_train.shape[1:], images.n_classes, len(images.x_train)),
        "seconds": outcome.seconds,
        "gradient_norm": outcome.gradient_norm,
        "gradient_norm_seconds": outcome.gradient_seconds,
        "condition_number": outcome.condition_number,
        "condition_number_seconds": outcome.condition_seconds,
    }
    for step in space.evaluations:
        for name in ("train_loss", "train_accuracy", "test_accuracy", "correlation"):
            # Nothing was evaluated behind the end of a diverged training.
            row[f"{name}_{step}"] = getattr(seen[step], name) if step in seen else None
    return row


def as_text(value: Any) -> str:
    """A cell: six significant digits, empty where there is no finite number."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
