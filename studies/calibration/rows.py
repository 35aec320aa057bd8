"""Recorded trainings as the models of practice see them: features beside what became of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ntk_prior import Architecture, Budget, Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.activations import dual
from ntk_prior.theory.layers import encode, plain_values
from ntk_prior.verdict.estimates import estimates_of_rows
from ntk_prior.verdict.outcomes import USEFUL, outcome_in_practice
from ntk_prior.verdict.practice import FEATURES, features_of_rows
from studies.hpobench import tables
from studies.trainings.largest_rates import MULTIPLES, STEPS
from studies.trainings.largest_rates import TABLE as RATES_TABLE
from studies.trainings.practice.data import load
from studies.trainings.practice.table import EVALUATIONS

Array = NDArray[np.float64]

NAMED = (
    *("dataset", "n_train", "kind", "pooling", "normalization", "residual_scale", "activation", "keep_rate"),
    *("optimizer", "loss", "schedule"),
)
"""Columns in which rows agree that are encoded together."""

NUMBERS = (
    *("weight_variance", "bias_variance", "depth", "width"),
    *("learning_rate", "batch_size", "weight_decay", "warmup_steps", "steps"),
)
IMAGES_MEASURED, ROWS_MEASURED = 512, 1024
"""Samples that a task's summary is made of."""

MOMENTUM = 0.9


class Known(NamedTuple):
    """Recorded trainings.

    Attributes:
        frame: Columns of the table "practice", and ``relative``, ``hopeless``, ``trained``, ``generalizes`` (NaN where
            nobody knows), ``weight``.
        seen: Features, shape (n, features).
    """

    frame: pd.DataFrame
    seen: Array

    def where(self, rows: Any) -> Known:
        """Some of them, by a mask or by their positions."""
        rows = np.asarray(rows)
        return Known(self.frame.iloc[rows].reset_index(drop=True), self.seen[rows])


def joined(*parts: Known) -> Known:
    """Several sets as one."""
    frames = [part.frame for part in parts]
    return Known(pd.concat(frames, ignore_index=True), np.concatenate([part.seen for part in parts]))


def features(frame: pd.DataFrame, task_of: Callable[[str, int], Task]) -> Array:
    """What the models see of the rows of a frame, shape (n, features)."""
    seen = np.empty((len(frame), len(FEATURES)))
    for key, rows in frame.groupby(list(NAMED), dropna=False).indices.items():
        named = dict(zip(NAMED, key, strict=True))
        group = frame.iloc[rows]
        residual = None if pd.isna(named["residual_scale"]) else float(named["residual_scale"])
        architecture = Architecture(
            1.0,
            0.0,
            1,
            named["activation"],
            named["kind"],
            bool(named["pooling"]),
            keep_rate=float(named["keep_rate"]),
            residual_scale=residual,
            normalization=named["normalization"],
        )
        budget = Budget(
            1,
            1.0,
            named["optimizer"],
            MOMENTUM if named["optimizer"] == "momentum" else 0.0,
            width=1,
            parametrization="standard",
            loss=named["loss"],
            schedule=named["schedule"],
        )
        code, slope, table = dual(architecture.activation, architecture.slope)
        numbers = {name: group[name].to_numpy(dtype=np.float64) for name in NUMBERS}
        encoded = encode({**plain_values(architecture, budget), **numbers, "code": code, "slope": slope})
        task = task_of(named["dataset"], int(named["n_train"]))
        found = estimates_of_rows(encoded, table, task, view_name(architecture))
        seen[rows] = features_of_rows(found, encoded, table, task)
    return seen


@cache
def practice_task(dataset: str, n_train: int, data_dir: Path | None = None) -> Task:
    """Summary of what a network of the table "practice" was trained on."""
    if n_train:
        return practice_task(dataset, 0, data_dir).at(n_train)
    data = load(dataset, data_dir)
    return Task.from_arrays(data.x, data.y, max_samples=IMAGES_MEASURED if data.x.ndim == 4 else ROWS_MEASURED)


def practice(table: pd.DataFrame, data_dir: Path | None, *, along_the_way: bool) -> Known:
    """The trainings of the table "practice".

    A network keeps the best of its evaluations, as those do who keep a checkpoint. Where the learning rate is constant,
    a longer training is a shorter one on the way.

    Args:
        table: See ``studies.trainings.practice.table.load``.
        data_dir: CIFAR-10.
        along_the_way: Whether shorter trainings count too, each with a smaller weight.
    """
    numbers = range(EVALUATIONS)
    chances = {name: practice_task(name, 0, data_dir).chance for name in table["dataset"].unique()}
    chance = table["dataset"].map(chances).to_numpy()
    tests = np.maximum.accumulate(np.column_stack([table[f"test_score_{k}"].fillna(-np.inf) for k in numbers]), axis=1)
    best = table.assign(best=tests[:, -1]).groupby("dataset")["best"].transform("max").to_numpy()
    constant = (table["schedule"].eq("constant") & table["warmup_steps"].eq(0)).to_numpy()
    frames = []
    for k in numbers if along_the_way else (EVALUATIONS - 1,):
        last = k == EVALUATIONS - 1
        kept = np.ones(len(table), dtype=bool) if last else constant & table[f"test_score_{k}"].notna().to_numpy()
        test = np.where(np.isfinite(tests[:, k]), tests[:, k], chance)
        train = table[f"train_score_{k}"].fillna(-1.0).to_numpy()
        frame = table.assign(
            steps=table[f"step_{k}"],
            **_became(chance, train, test, best),
            weight=1.0 if last else SHORTER,
            point=k,
        )
        frames.append(frame[kept])
    frame = pd.concat(frames, ignore_index=True)
    return Known(frame, features(frame, lambda name, n_train: practice_task(name, n_train, data_dir)))


def _became(chance: Array, train: Array, test: Array, best: Array) -> dict[str, Any]:
    """Columns of what became of trainings, from scores, shape (n,) each."""
    became = [outcome_in_practice(*scores) for scores in zip(chance, train, test, best, strict=True)]
    relative = np.clip((test - chance) / (best - chance), 0.0, 1.0)
    return {
        "relative": relative,
        "hopeless": relative < USEFUL,
        "trained": [bool(one and one.trained) for one in became],
        "generalizes": [np.nan if not one or one.generalizes is None else float(one.generalizes) for one in became],
    }


SHORTER = 0.25
"""Weight of a training that is the beginning of a longer one."""


@cache
def largest_rates() -> Known:
    """The short trainings at 0.01 to 128 times 2 / lambda_max."""
    frame = pd.read_csv(RATES_TABLE)
    task = Task.load(RATES_TABLE.with_suffix(".json"))
    test = frame["test_accuracy"].to_numpy()
    same = np.full(len(frame), 1.0)
    frame = frame.assign(
        configuration=[f"rate-{k // len(MULTIPLES)}" for k in range(len(frame))],
        dataset="largest_rates",
        n_train=task.n_train,
        kind="fcn",
        pooling=False,
        normalization="none",
        residual_scale=np.nan,
        keep_rate=1.0,
        bias_variance=0.0,
        weight_decay=0.0,
        schedule="constant",
        warmup_steps=0,
        steps=STEPS,
        **_became(task.chance * same, frame["train_accuracy"].to_numpy(), test, test.max() * same),
        weight=1.0,
    )
    return Known(frame, features(frame, lambda *_: task))


def recipes(frame: pd.DataFrame, known: pd.DataFrame, data_dir: Path | None) -> Known:
    """The recipes of textbooks.

    Args:
        frame: The table "recipes".
        known: The table "practice", whose best scores theirs are relative to.
        data_dir: CIFAR-10.
    """
    scores = [column for column in known.columns if column.startswith("test_score_")]
    best = known[scores].max(axis=1).groupby(known["dataset"]).max()
    chance = frame["dataset"].map(lambda name: practice_task(name, 0, data_dir).chance).to_numpy()
    test = frame["best_test_score"].fillna(-np.inf).to_numpy()
    most = np.maximum(frame["dataset"].map(best).to_numpy(), test)
    frame = frame.assign(**_became(chance, frame["train_score"].fillna(-1.0).to_numpy(), test, most))
    return Known(frame, features(frame, lambda name, n_train: practice_task(name, n_train, data_dir)))


@cache
def hpobench(name: str) -> Known:
    """All configurations of one of HPOBench's tasks; nothing is known of their training scores."""
    frame = tables.table(name)
    frame = frame.assign(
        trained=~frame["hopeless"], generalizes=np.nan, configuration=[f"{name}-{k}" for k in range(len(frame))]
    )
    return Known(frame, features(frame, lambda dataset, _: tables.task(dataset)))
