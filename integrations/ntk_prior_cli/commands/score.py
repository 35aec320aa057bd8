"""``ntk-prior score``: one configuration."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ntk_prior import Architecture, feasibility
from ntk_prior_cli.console import output
from ntk_prior_cli.options import (
    AsJson,
    BatchSize,
    Kind,
    LearningRate,
    NTrain,
    Optimizer,
    OptimizerName,
    Parametrization,
    ParametrizationName,
    Steps,
    TaskFile,
    Width,
    load_task,
    make_budget,
)


def score(
    weight_variance: Annotated[float, typer.Option(help="sigma_w^2")],
    depth: Annotated[int, typer.Option(help="Hidden layers.")],
    bias_variance: Annotated[float, typer.Option(help="sigma_b^2")] = 0.05,
    activation: Annotated[str, typer.Option(help="erf, tanh, relu, leaky_relu, gelu, silu, sin or identity")] = "erf",
    kind: Annotated[Kind, typer.Option(help="Fully connected or convolutional.")] = Kind.FCN,
    pooling: Annotated[bool, typer.Option(help="Global average pooling (cnn).")] = False,
    keep_rate: Annotated[float, typer.Option(help="Probability that dropout keeps a unit.")] = 1.0,
    steps: Steps = 3000,
    learning_rate: LearningRate = None,
    optimizer: OptimizerName = Optimizer.SGD,
    batch_size: BatchSize = None,
    width: Width = None,
    parametrization: ParametrizationName = Parametrization.NTK,
    n_train: NTrain = 50_000,
    task: TaskFile = None,
    as_json: AsJson = False,
) -> None:
    """Judge one configuration: verdict, both probabilities, the binding reason and the nearest fix.

    For example:

    ntk-prior score --weight-variance 1.2 --depth 48 --width 256

    ntk-prior score --weight-variance 2 --depth 20 --activation relu --learning-rate 0.1 --json
    """
    architecture = Architecture(
        weight_variance, bias_variance, depth, activation, kind.value, pooling=pooling, keep_rate=keep_rate
    )
    budget = make_budget(steps, optimizer, parametrization, width, learning_rate, batch_size)
    found = feasibility(architecture, load_task(task, n_train), budget)
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
            output.print(f"{name:>15}  {text}")
