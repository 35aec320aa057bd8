"""``ntk-prior map``: what the prior says over two parameters, as a picture."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from ntk_prior import NTKPrior, plot_phase_diagram
from ntk_prior_cli.console import output
from ntk_prior_cli.options import (
    AsJson,
    BatchSize,
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
from ntk_prior_cli.picture_file import require_figure_name, write_figure
from ntk_prior_cli.space_file import Loader

if TYPE_CHECKING:
    import plotly.graph_objects as go


SAID_BY_PRIOR = (
    "steps", "optimizer", "learning_rate", "batch_size", "width", "parametrization", "n_train", "task"
)  # fmt: skip
"""Options that a saved prior leaves nothing to say for."""


def map_(
    context: typer.Context,
    x: Annotated[str, typer.Option(help="The horizontal parameter.")] = "weight_variance",
    y: Annotated[str, typer.Option(help="The vertical parameter.")] = "depth",
    fixed: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another parameter, such as activation=tanh; may be repeated."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="NAME=LOW:HIGH", help="What is shown of --x or --y; may be repeated."),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=BOOL", help="Whether --x or --y is logarithmic, as depth=false; may be repeated."),
    ] = None,
    output_path: Annotated[Path, typer.Option("--output", "-o", help="A .html, .png, .svg or .pdf file.")] = Path(
        "ntk-prior-map.html"
    ),
    prior: Annotated[
        Path | None, typer.Option(help="A prior written by NTKPrior.save, in place of the options below.")
    ] = None,
    steps: Steps = 3000,
    optimizer: OptimizerName = Optimizer.SGD,
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    width: Width = None,
    parametrization: ParametrizationName = Parametrization.NTK,
    n_train: NTrain = 50_000,
    task: TaskFile = None,
    as_json: AsJson = False,
) -> None:
    """Draw which networks the prior would launch and refuse, with the theory's lines.

    For example:

    ntk-prior map --width 256 -o map.html

    ntk-prior map --fixed "activation=[erf, relu]" --fixed bias_variance=0.1 -o map.png

    ntk-prior map --x learning_rate --y depth --range depth=1:32 --width 256 -o map.svg

    --x and --y are any of weight_variance, bias_variance, depth, kernel_size, slope, keep_rate, residual_scale, steps,
    learning_rate, momentum, batch_size and width. Several values of activation or pooling make a panel each. Pictures
    need Chrome or Chromium. --json prints the share of the map with each verdict.
    """
    require_figure_name("--output", output_path)
    values = dict(_parse_assignment("--fixed", one) for one in fixed or ())
    limits = dict(_parse_range(one) for one in ranges or ())
    logarithmic = dict(_parse_flag(one) for one in log or ())
    if prior is not None:
        require_unset(context, SAID_BY_PRIOR)
        used = NTKPrior.load(prior)
    else:
        budget = make_budget(steps, optimizer, parametrization, width, learning_rate, batch_size)
        used = NTKPrior(load_task(task, n_train), budget)
    figure = plot_phase_diagram(
        used.task, used.budget, x, y, fixed=values, calibration=used.calibration, ranges=limits, log=logarithmic
    )
    write_figure("--output", figure, output_path)
    if as_json:
        output.print_json(json.dumps({"output": str(output_path), "verdicts": count_shares(figure)}))
    else:
        output.print(f"map: {output_path}")


def count_shares(figure: go.Figure) -> dict[str, float]:
    """The share of a map that has each verdict."""
    counts = Counter(str(verdict) for trace in figure.select_traces({"type": "heatmap"}) for verdict in trace.text.flat)
    return {verdict: count / counts.total() for verdict, count in sorted(counts.items())}


def require_unset(context: typer.Context, names: tuple[str, ...]) -> None:
    """Refuse options that --prior makes meaningless.

    Raises:
        ValueError: If one is given.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option}: expected none with --prior, which says it itself: leave one of them out")


def _parse_assignment(option: str, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{option}: expected NAME=VALUE, such as bias_variance=0.1, received {text!r}")
    try:
        return name.strip(), yaml.load(value, Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{option}: expected a number, a word or [a, list], received {value!r}") from error


def _parse_flag(text: str) -> tuple[str, bool]:
    name, value = _parse_assignment("--log", text)
    if not isinstance(value, bool):
        raise ValueError(f"--log: expected NAME=true or NAME=false, such as depth=false, received {text!r}")
    return name, value


def _parse_range(text: str) -> tuple[str, tuple[float, float]]:
    name, _, value = text.partition("=")
    low, _, high = value.partition(":")
    try:
        return name.strip(), (float(low), float(high))
    except ValueError as error:
        raise ValueError(f"--range: expected NAME=LOW:HIGH, such as depth=1:32, received {text!r}") from error
