"""Search spaces, and what a training of one of their configurations gives and costs, by the surrogate.

A space holds what a user tunes, with the *absolute* learning rate of the mean loss. The table holds rates relative to
the largest stable one, so a configuration's rate is divided by ``ntk_prior.max_learning_rate`` of its network, the very
number that the table's rates were multiplied by. Relative rates above the table's range diverge; those below it train
as at the range's lower end. Widths and depths that the table leaves out (wide *and* deep networks) are extrapolated.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ntk_prior import Architecture, Budget, NTKPrior, Task, max_learning_rate
from ntk_prior_flax import training_flops
from studies.simulated.surrogate import (
    ACTIVATIONS,
    CHANCE,
    EVALUATIONS,
    RELATIVE_RATES,
    Array,
    Surrogate,
    encoded,
    errors,
    trainings,
)
from studies.trainings.table import load

Columns = dict[str, Any]
Space = dict[str, BaseDistribution]

N_TRAIN, SHAPE, CLASSES = 512, (32, 32, 3), 10
HOPELESS = CHANCE + 0.05
"""A training whose best test accuracy stays below was not worth its launch, nor was one that diverges."""

SPACES: dict[str, Space] = {
    "wide": {
        "weight_variance": FloatDistribution(0.5, 4.0),
        "bias_variance": FloatDistribution(0.0, 0.5),
        "depth": IntDistribution(1, 64, log=True),
        "width": IntDistribution(64, 512, log=True),
        "learning_rate": FloatDistribution(1e-3, 1e2, log=True),
        "activation": CategoricalDistribution(ACTIVATIONS),
    },
    "narrow": {
        "weight_variance": FloatDistribution(1.4, 2.2),
        "bias_variance": FloatDistribution(0.0, 0.1),
        "depth": IntDistribution(2, 8),
        "width": IntDistribution(64, 512, log=True),
        "learning_rate": FloatDistribution(0.1, 1.0, log=True),
        "activation": CategoricalDistribution(ACTIVATIONS),
    },
}
"""Everything that a beginner may try, over five decades of the rate, and what an expert would."""


class Training(NamedTuple):
    """One training, were it run to its end.

    Attributes:
        accuracy: Expected best test accuracy until each evaluation.
        observed: The same, as this training's initialisation would show it.
        steps: Steps that it takes.
        diverges: Whether that is since it diverges.
        step_flops: Floating-point operations of one step.
    """

    accuracy: Array
    observed: Array
    steps: int
    diverges: bool
    step_flops: float

    @property
    def hopeless(self) -> bool:
        """Whether it was not worth launching."""
        return self.diverges or float(self.accuracy[-1]) < HOPELESS


def quantiles(distribution: BaseDistribution, u: Array) -> Any:
    """A column of values at quantiles in [0, 1), uniform on the distribution's own scale."""
    if isinstance(distribution, CategoricalDistribution):
        return np.array(distribution.choices)[(u * len(distribution.choices)).astype(int)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    whole = isinstance(distribution, IntDistribution)
    low, high = (distribution.low - 0.5, distribution.high + 0.5) if whole else (distribution.low, distribution.high)
    values = low * (high / low) ** u if distribution.log else low + u * (high - low)
    return np.clip(np.rint(values), distribution.low, distribution.high).astype(int) if whole else values


def draws(space: Space, n: int, rng: np.random.Generator) -> Columns:
    """Uniform draws as columns."""
    return {name: quantiles(distribution, rng.random(n)) for name, distribution in space.items()}


def rows(columns: Columns) -> list[dict[str, Any]]:
    """Columns as configurations."""
    lists = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


@dataclass(frozen=True)
class Landscape:
    """A space, and what its trainings give.

    Attributes:
        name: Of the space.
        space: The space.
        surrogate: Predicts trainings by their relative rate.
        table: Digest of the table that the surrogate was fitted on.
        task: Of the trainings.
    """

    name: str
    space: Space
    surrogate: Surrogate
    table: str
    task: Task

    @property
    def prior(self) -> NTKPrior:
        """As a user would make it."""
        return NTKPrior(self.task, Budget(steps=EVALUATIONS[-1]))

    def training(self, config: Mapping[str, Any], rng: np.random.Generator) -> Training:
        """Train one configuration.

        Args:
            config: A value for each parameter.
            rng: Its first random number decides the initialisation.
        """
        columns = {name: np.array([value]) for name, value in config.items()}
        relative = np.array([config["learning_rate"] / self.stable_rate(config)])
        found = self.surrogate(_inputs(columns, relative), relative)
        expected = found.accuracy[0]
        observed = expected
        if not found.diverges[0]:
            noisy = np.clip(expected + self.surrogate.residual(float(expected[-1]), rng), 0.0, 1.0)
            observed = np.maximum.accumulate(noisy)
        return Training(expected, observed, int(found.steps[0]), bool(found.diverges[0]), step_flops(config))

    def stable_rate(self, config: Mapping[str, Any]) -> float:
        """The largest stable learning rate of a configuration's network."""
        return max_learning_rate(_architecture(config), self.task, Budget(steps=1, width=int(config["width"])))

    @cached_property
    def unit(self) -> float:
        """Floating-point operations of a training at a uniform draw, on average over draws, divergence included."""
        rng = np.random.default_rng(0)
        trained = [self.training(row, rng) for row in rows(draws(self.space, 2000, rng))]
        return float(np.mean([one.steps * one.step_flops for one in trained]))

    @cached_property
    def best(self) -> tuple[float, dict[str, Any]]:
        """The highest expected accuracy in the space and where it is: random draws, then steps from the best."""
        rng = np.random.default_rng(1)
        columns = draws(self.space, 1 << 15, rng)
        columns["relative"] = np.exp(rng.uniform(*np.log(RELATIVE_RATES), 1 << 15))
        for spread in (0.2, 0.1, 0.05, 0.02, 0.01):
            top = self._top(columns, 100)
            columns = {name: np.repeat(values, 20) for name, values in top.items()}
            columns = {name: self._moved(name, values, spread, rng) for name, values in columns.items()}
            columns = {name: np.concatenate([values, top[name]]) for name, values in columns.items()}
        winner = self._top(columns, 40)
        value = float(self._values(winner)[0])
        relative = winner.pop("relative")
        config = rows(winner)[0]
        return value, {**config, "learning_rate": float(relative[0]) * self.stable_rate(config)}

    def _values(self, columns: Columns) -> Array:
        """Highest accuracies; -inf where the absolute rate lies outside the space."""
        relative = columns["relative"]
        return np.where(
            self._admissible(columns),
            self.surrogate(_inputs(columns, relative), relative).accuracy[:, -1],
            -np.inf,
        )

    def _admissible(self, columns: Columns) -> Any:
        rate = self.space["learning_rate"]
        assert isinstance(rate, FloatDistribution)
        absolute = columns["relative"] * [self.stable_rate(row) for row in rows(columns)]
        return (absolute >= rate.low) & (absolute <= rate.high)

    def _top(self, columns: Columns, n: int) -> Columns:
        """The best rows; absolute rates, which are slow to compute, are asked for among the most promising only."""
        relative = columns["relative"]
        hoped = self.surrogate(_inputs(columns, relative), relative).accuracy[:, -1]
        promising = np.argsort(-hoped)[: 5 * n]
        columns = {name: values[promising] for name, values in columns.items()}
        order = np.argsort(-self._values(columns))[:n]
        return {name: values[order] for name, values in columns.items()}

    def _moved(self, name: str, values: Any, spread: float, rng: np.random.Generator) -> Any:
        """Values moved by a share of their range."""
        z = spread * rng.standard_normal(len(values))
        if name == "relative":
            return np.clip(values * np.exp(z * np.log(RELATIVE_RATES[1] / RELATIVE_RATES[0])), *RELATIVE_RATES)
        distribution = self.space[name]
        if isinstance(distribution, CategoricalDistribution):
            return values
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        low, high = distribution.low, distribution.high
        moved = values * (high / low) ** z if distribution.log else values + z * (high - low)
        moved = np.clip(moved, low, high)
        return np.rint(moved).astype(int) if isinstance(distribution, IntDistribution) else moved


def landscapes(paths: Sequence[Path] | None = None, split: str | None = None) -> dict[str, Landscape]:
    """All spaces on one surrogate.

    Args:
        paths: Files of the table; None for the one that is shipped.
        split: Rows to fit on, ``"fit"`` or ``"held_out"``; None for all.
    """
    tables = [load("cifar10", path) for path in paths] if paths else [load("cifar10")]
    table = pd.concat(tables, ignore_index=True).drop_duplicates("id").sort_values("id", ignore_index=True)
    if split is not None:
        table = table[table["split"] == split].reset_index(drop=True)
    rows_of_table = trainings(table)
    surrogate = Surrogate.fit(rows_of_table)
    found = ", ".join(f"{name} {value:.3g}" for name, value in errors(surrogate, rows_of_table).items())
    print(f"surrogate, cross-validated by configuration: {found}", file=sys.stderr)
    digest = hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()[:10]
    return {name: Landscape(name, space, surrogate, digest, Task.cifar10(N_TRAIN)) for name, space in SPACES.items()}


def step_flops(config: Mapping[str, Any]) -> float:
    """Floating-point operations of one step of training."""
    budget = Budget(steps=1, width=int(config["width"]))
    return training_flops(_architecture(config), budget, SHAPE, CLASSES, N_TRAIN)


def _architecture(config: Mapping[str, Any]) -> Architecture:
    names = ("weight_variance", "bias_variance", "depth", "activation")
    return Architecture(**{name: config[name] for name in names})


def _inputs(columns: Mapping[str, Any], relative: Array) -> Array:
    names = ("activation", "weight_variance", "bias_variance", "depth", "width")
    return encoded(*(columns[name] for name in names), relative)
