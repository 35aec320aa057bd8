"""``ntk-prior score``: one configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ntk_prior import Architecture, Budget, feasibility
from ntk_prior_cli.console import Kind, Optimizer, Parametrization, momentum_of, output, task_from


def score(
    weight_variance: Annotated[float, typer.Option(help="sigma_w^2")],
    depth: Annotated[int, typer.Option(help="Hidden layers.")],
    bias_variance: Annotated[float, typer.Option(help="sigma_b^2")] = 0.05,
    activation: Annotated[str, typer.Option(help="erf, tanh, relu, leaky_relu, gelu, silu, sin or identity")] = "erf",
    kind: Annotated[Kind, typer.Option(help="Fully connected or convolutional.")] = Kind.FCN,
    pooling: Annotated[bool, typer.Option(help="Global average pooling (cnn).")] = False,
    keep_rate: Annotated[float, typer.Option(help="Probability that dropout keeps a unit.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 3000,
    learning_rate: Annotated[float | None, typer.Option(help="Default: half the largest stable one.")] = None,
    optimizer: Annotated[Optimizer, typer.Option()] = Optimizer.SGD,
    batch_size: Annotated[int | None, typer.Option(help="Default: the full batch.")] = None,
    width: Annotated[int | None, typer.Option(help="Default: infinite.")] = None,
    parametrization: Annotated[Parametrization, typer.Option()] = Parametrization.NTK,
    n_train: Annotated[int, typer.Option(help="CIFAR-10 training images.")] = 50_000,
    task: Annotated[Path | None, typer.Option(help="Task summary written by Task.save, in place of CIFAR-10.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge one configuration: verdict, both sides, the binding reason and the nearest fix.

    Example: ntk-prior score --weight-variance 1.2 --depth 48 --width 256
    """
    architecture = Architecture(
        weight_variance, bias_variance, depth, activation, kind.value, pooling=pooling, keep_rate=keep_rate
    )
    budget = Budget(
        steps,
        learning_rate,
        optimizer.value,
        momentum_of(optimizer),
        batch_size=batch_size,
        width=width,
        parametrization=parametrization.value,
    )
    found = feasibility(architecture, task_from(task, n_train), budget)
    spectrum = found.spectrum
    values = {
        "verdict": found.verdict.value,
        "score": found.score,
        "trainability": found.trainability,
        "generalization": found.generalization,
        "reason": found.reason,
        "suggestion": found.suggestion,
        "phase": spectrum.phase if spectrum else None,
        "chi_1": spectrum.chi_1 if spectrum else None,
        "kappa": spectrum.kappa if spectrum else None,
    }
    if as_json:
        output.print_json(json.dumps(values))
        return
    for name, value in values.items():
        if value is not None:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            output.print(f"{name:>15}  {text}", markup=False, highlight=False)
