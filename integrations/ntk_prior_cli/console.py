"""Where the command prints to, and what its options have in common."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ntk_prior import Task

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

output = Console(soft_wrap=True)
errors = Console(stderr=True)


class Kind(StrEnum):
    """Kinds of network."""

    FCN = "fcn"
    CNN = "cnn"


class Optimizer(StrEnum):
    """Optimisers."""

    SGD = "sgd"
    MOMENTUM = "momentum"
    ADAM = "adam"


class Parametrization(StrEnum):
    """Parametrizations."""

    NTK = "ntk"
    STANDARD = "standard"


def task_from(path: Path | None, n_train: int) -> Task:
    """The task summary in a file, or CIFAR-10."""
    return Task.cifar10(n_train) if path is None else Task.load(path)


def momentum_of(optimizer: Optimizer) -> float:
    """The usual coefficient of the heavy ball, 0 for other optimisers."""
    return 0.9 if optimizer is Optimizer.MOMENTUM else 0.0


def progress_bar() -> Progress:
    """A bar for trials, beside the errors."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors)
