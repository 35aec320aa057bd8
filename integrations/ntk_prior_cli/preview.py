"""``ntk-prior preview``: what the prior would refuse of a search space, before any GPU is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from numpy.typing import NDArray
from rich.table import Table

from ntk_prior import Budget, FeasibilityTable, NTKPrior, Verdict
from ntk_prior_cli.console import Optimizer, Parametrization, errors, momentum_of, output, task_from

SAMPLES = 10_000
BINS = 5
TOO_MUCH, TOO_LITTLE = 0.9, 0.05


def preview(
    space: Annotated[
        Path,
        typer.Argument(
            help="JSON or YAML: name to {type: float|int|categorical, low, high, log, choices} or a constant."
        ),
    ],
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 3000,
    optimizer: Annotated[Optimizer, typer.Option()] = Optimizer.SGD,
    width: Annotated[int | None, typer.Option(help="Default: infinite.")] = None,
    parametrization: Annotated[Parametrization, typer.Option()] = Parametrization.NTK,
    n_train: Annotated[int, typer.Option(help="CIFAR-10 training images.")] = 50_000,
    task: Annotated[Path | None, typer.Option(help="Task summary written by Task.save, in place of CIFAR-10.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Share of a search space that would be refused, by verdict and over each parameter's range.

    Example: ntk-prior preview space.yaml --width 256

    where space.yaml holds, say, 'depth: {type: int, low: 1, high: 64, log: true}' and 'activation: tanh'.
    """
    columns = drawn(read_space(space), SAMPLES, seed)
    budget = Budget(
        steps,
        optimizer=optimizer.value,
        momentum=momentum_of(optimizer),
        width=width,
        parametrization=parametrization.value,
    )
    found = NTKPrior(task_from(task, n_train), budget).score_many(columns)
    report = summarised(columns, found)
    if as_json:
        output.print_json(json.dumps(report))
    else:
        _print(report)
    refused = report["refused"]
    if refused > TOO_MUCH:
        errors.print(f"warning: {refused:.0%} would be refused: the space hardly holds a feasible network")
    elif refused < TOO_LITTLE:
        errors.print(f"warning: only {refused:.0%} would be refused: the prior has little to do in this space")


def read_space(path: Path) -> dict[str, dict[str, Any]]:
    """Read and check a search space.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a search space.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected JSON or YAML, received something else: {error}") from error
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{path}: expected a mapping of parameter names to ranges, received {content!r}")
    return {str(name): _entry(path, str(name), value) for name, value in content.items()}


def _entry(path: Path, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {"type": "categorical", "choices": [value]}
    entry = dict(value)
    kind = entry.get("type")
    if kind == "categorical" and isinstance(entry.get("choices"), list) and entry["choices"]:
        return entry
    if kind in ("float", "int"):
        bounds: list[Any] = [entry.get("low"), entry.get("high")]
        numbers = all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds)
        if numbers and bounds[0] <= bounds[1] and not (entry.get("log") and bounds[0] <= 0):
            return entry
    raise ValueError(
        f"{path}: {name}: expected {{type: float|int, low, high, log}} with low <= high (low > 0 if log) or "
        f"{{type: categorical, choices: [...]}} or a constant, received {value!r}"
    )


def drawn(space: Mapping[str, Mapping[str, Any]], n: int, seed: int) -> dict[str, NDArray[Any]]:
    """Uniform draws from a space, column by column."""
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


def summarised(columns: Mapping[str, NDArray[Any]], found: FeasibilityTable) -> dict[str, Any]:
    """Shares by verdict, and the share refused in each part of each parameter's range."""
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
