"""What the options of several commands have in common, and errors that name them."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

from ntk_prior import Budget, Task
from ntk_prior.checks import shown
from ntk_prior.files import replaced_place

P = ParamSpec("P")
R = TypeVar("R")


class Kind(StrEnum):
    """Kinds of network."""

    FCN = "fcn"
    CNN = "cnn"


class Optimizer(StrEnum):
    """Optimizers."""

    SGD = "sgd"
    MOMENTUM = "momentum"
    ADAM = "adam"


class Parametrization(StrEnum):
    """Parametrizations."""

    NTK = "ntk"
    STANDARD = "standard"


class Mode(StrEnum):
    """Which values of a metric are better."""

    MIN = "min"
    MAX = "max"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BatchSize = Annotated[int | None, typer.Option(help="Default: the full batch.")]
LearningRate = Annotated[float | None, typer.Option(help="Default: half the largest stable one.")]
NTrain = Annotated[int, typer.Option(help="CIFAR-10 training images.")]
OptimizerName = Annotated[Optimizer, typer.Option(case_sensitive=False)]
ParametrizationName = Annotated[Parametrization, typer.Option(case_sensitive=False)]
Steps = Annotated[int, typer.Option(help="Optimizer steps.")]
TaskFile = Annotated[Path | None, typer.Option(help="Task summary written by Task.save, in place of CIFAR-10.")]
Width = Annotated[int | None, typer.Option(help="Default: infinite.")]

Study = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study in --storage, or folder of a Ray Tune experiment.")
]
Storage = Annotated[
    str | None, typer.Option(help="Optuna storage: a URL such as sqlite:///study.db, or the file of a database.")
]
Objective = Annotated[int | None, typer.Option(min=0, help="Of a study with several: the one that counts, from 0.")]
Metric = Annotated[
    str | None, typer.Option(help="Of Ray's results: what trials are compared by. Default: that of the experiment.")
]
BetterMode = Annotated[Mode | None, typer.Option(help="Of Ray's results: which values of the metric are better.")]


def load_task(path: Path | None, n_train: int) -> Task:
    """Load the task summary in a file, or CIFAR-10's."""
    return Task.cifar10(n_train) if path is None else Task.load(path)


def require_place(option: str, path: Path) -> None:
    """Refuse a file that could not be written, before anything is computed.

    Raises:
        ValueError: If its folder is missing or closed, or it is a folder itself.
    """
    why = None
    place = replaced_place(path)
    folder = (place or path).parent
    if path.is_dir():
        why = "which is a folder: add a file's name"
    elif not folder.is_dir():
        why = f"but there is no folder {shown(str(folder))}: make it first"
    elif path.exists() and not os.access(path, os.W_OK):
        why = "which you may not write: take another place"
    elif place is not None and not os.access(folder, os.W_OK):
        why = "beside which you may make no file, as is done to replace it: take another place"
    if why is not None:
        raise ValueError(f"{option}: expected a file that can be written, received {shown(str(path))}, {why}")


def momentum_of(optimizer: Optimizer) -> float:
    """The usual coefficient of the heavy ball, 0 for other optimizers."""
    return 0.9 if optimizer is Optimizer.MOMENTUM else 0.0


def make_budget(
    steps: int,
    optimizer: Optimizer,
    parametrization: Parametrization,
    width: int | None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
) -> Budget:
    """Make the budget that options describe."""
    return Budget(
        steps,
        learning_rate,
        optimizer.value,
        momentum_of(optimizer),
        batch_size=batch_size,
        width=width,
        parametrization=parametrization.value,
    )


def name_options(command: Callable[P, R]) -> Callable[P, R]:
    """Make errors about an argument of the package name the option that it came from.

    Args:
        command: Its parameters are options.
    """
    options = {name: f"--{name.replace('_', '-')}" for name in inspect.signature(command).parameters}

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (TypeError, ValueError) as error:
            name, colon, words = str(error).partition(": ")
            if not colon or name not in options:
                raise
            raise ValueError(f"{options[name]}: {words}") from error

    return run
