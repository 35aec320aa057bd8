"""``ntk-prior preview``: what the prior would refuse of a search space, before any GPU is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from ntk_prior import FeasibilityTable, NTKPrior, Verdict, plot_phase_diagram
from ntk_prior.plots import theme
from ntk_prior.plots.axes import PREFERRED
from ntk_prior.plots.slices import slice_through
from ntk_prior.plots.training import training_in_words
from ntk_prior.runs import RunTrial
from ntk_prior_cli.console import errors, output
from ntk_prior_cli.options import (
    AsJson,
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
from ntk_prior_cli.space_file import read_space

if TYPE_CHECKING:
    import plotly.graph_objects as go


SAMPLES = 10_000
BINS = 5
SLICED = 500
"""Draws in whose middle a picture lies."""
TOO_MUCH, TOO_LITTLE = 0.9, 0.05
SILENT = 0.5
"""Share of a space outside the theory from which the user is told why."""


def preview(
    space: Annotated[
        Path,
        typer.Argument(
            help="JSON or YAML: name to {type: float|int|categorical, low, high, log, choices} or a constant."
        ),
    ],
    steps: Steps = 3000,
    optimizer: OptimizerName = Optimizer.SGD,
    width: Width = None,
    parametrization: ParametrizationName = Parametrization.NTK,
    n_train: NTrain = 50_000,
    task: TaskFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw a picture of the space, a .html, .png, .svg or .pdf file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Share of a search space that would be refused, by verdict and over each parameter's range.

    For example:

    ntk-prior preview space.yaml --width 256 --plot space.html

    where space.yaml holds, say, 'depth: {type: int, low: 1, high: 64, log: true}' and 'activation: tanh'. Pictures
    other than .html need Chrome or Chromium.
    """
    if plot is not None:
        require_figure_name("--plot", plot)
    entries = read_space(space)
    columns = draw_columns(entries, SAMPLES, seed)
    prior = NTKPrior(load_task(task, n_train), make_budget(steps, optimizer, parametrization, width))
    try:
        found = prior.score_many(columns)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{space}: {error}") from error
    report = summarize_draws(columns, found)
    if plot is not None:
        write_figure("--plot", draw_picture(prior, entries, columns, report["refused"]), plot)
        report["plot"] = str(plot)
    if as_json:
        output.print_json(json.dumps(report))
    else:
        _print(report)
        assumed = training_in_words(prior.budget, varying=columns)
        output.print(f"training assumed: {assumed}")
    ignored = prior.unread(columns)
    if ignored:
        errors.print(f"note: the prior does not look at {', '.join(ignored)}")
    refused, silent = report["refused"], found.score.mask
    if np.mean(silent) > SILENT:
        first = {name: column[np.argmax(silent)] for name, column in columns.items()}
        errors.print(
            f"warning: the prior is silent about {np.mean(silent):.0%} of this space: {prior(first).reason}",
            soft_wrap=True,
        )
    elif refused > TOO_MUCH:
        errors.print(f"warning: {refused:.0%} would be refused: the space hardly holds a feasible network")
    elif refused < TOO_LITTLE:
        errors.print(f"warning: only {refused:.0%} would be refused: the prior has little to do in this space")


def draw_columns(space: Mapping[str, Mapping[str, Any]], n: int, seed: int) -> dict[str, NDArray[Any]]:
    """Draw from a space uniformly, column by column."""
    rng = np.random.default_rng(seed)
    columns: dict[str, NDArray[Any]] = {}
    for name, entry in space.items():
        if entry["type"] == "categorical":
            choices = np.array(entry["choices"], dtype=object)
            columns[name] = choices[rng.integers(len(choices), size=n)]
            continue
        half = 0.5 if entry["type"] == "int" else 0.0
        low, high = entry["low"] - half, entry["high"] + half
        log = bool(entry.get("log"))
        ends = np.log([low, high]) if log else np.array([low, high])
        values = rng.uniform(ends[0], ends[1], n)
        values = np.exp(values) if log else values
        columns[name] = np.clip(np.round(values), entry["low"], entry["high"]) if half else values
    return columns


def summarize_draws(columns: Mapping[str, NDArray[Any]], found: FeasibilityTable) -> dict[str, Any]:
    """Count the share of each verdict, and the share refused in each part of each parameter's range."""
    verdicts = found.verdict
    refused = ~np.isin(verdicts, [Verdict.FEASIBLE.value, Verdict.OUTSIDE_THEORY.value])
    parameters = {}
    for name, column in columns.items():
        if column.dtype == object:
            groups = {str(choice): column == choice for choice in dict.fromkeys(column.tolist())}
        else:
            edges = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)))
            part = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, max(len(edges) - 2, 0))
            groups = {f"{edges[k]:.3g} to {edges[min(k + 1, len(edges) - 1)]:.3g}": part == k for k in np.unique(part)}
        parameters[name] = {label: float(refused[rows].mean()) for label, rows in groups.items()}
    return {
        "samples": len(verdicts),
        "refused": float(refused.mean()),
        "verdicts": {verdict.value: float(np.mean(verdicts == verdict.value)) for verdict in Verdict},
        "refused_by_parameter": parameters,
    }


def draw_picture(
    prior: NTKPrior, space: Mapping[str, Mapping[str, Any]], columns: Mapping[str, NDArray[Any]], refused: float
) -> go.Figure:
    """Draw the prior's map over two parameters of a space, with the others in the middle of their draws.

    Args:
        prior: The prior.
        space: The space.
        columns: Draws from it.
        refused: The share of these that would be refused.

    Raises:
        ValueError: If the space has no two numeric parameters that the theory knows.
    """
    spread = [
        name
        for name in PREFERRED
        if name in space and space[name]["type"] != "categorical" and np.ptp(columns[name]) > 0
    ]
    if len(spread) < 2:
        raise ValueError(
            f"--plot: expected a space with two numeric ranges among {', '.join(PREFERRED)}, received "
            f"{', '.join(spread) or 'none'}: leave --plot out, or draw a map with 'ntk-prior map'"
        )
    x, y = spread[:2]
    shown = [
        RunTrial(dict(zip(columns, row, strict=True)))
        for row in zip(*(column[:SLICED].tolist() for column in columns.values()), strict=True)
    ]
    figure = plot_phase_diagram(
        prior.task,
        prior.budget,
        x,
        y,
        fixed=slice_through(shown, x, y),
        calibration=prior.calibration,
        ranges={name: (space[name]["low"], space[name]["high"]) for name in (x, y)},
        log={name: bool(space[name].get("log")) for name in (x, y)},
    )
    theme.add_note(
        figure, f"Of the whole space {refused:.0%} would be refused; other parameters are in its middle here"
    )
    return figure


def _print(report: Mapping[str, Any]) -> None:
    table = Table(title=f"{report['refused']:.0%} of {report['samples']:,} draws would be refused")
    table.add_column("verdict")
    table.add_column("share", justify="right")
    for verdict, share in report["verdicts"].items():
        table.add_row(verdict, f"{share:.1%}")
    output.print(table)
    by_range = Table(title="Share refused over each parameter")
    for heading in ("parameter", "range", "refused"):
        by_range.add_column(heading, justify="right" if heading == "refused" else "left")
    for name, groups in report["refused_by_parameter"].items():
        for k, (label, share) in enumerate(groups.items()):
            by_range.add_row("" if k else name, label, f"{share:.0%}")
    output.print(by_range)
    if "plot" in report:
        output.print(f"picture: {report['plot']}")
