"""The numbers behind a phase diagram: verdicts over two parameters, and the theory's lines through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.configuration import ARCHITECTURE_FIELDS
from ntk_prior.plots.axes import Axis
from ntk_prior.plots.level_lines import level_lines, zero_lines
from ntk_prior.task.task import Task
from ntk_prior.theory.coverage import why_outside
from ntk_prior.theory.mean_field import MeanField, mean_field
from ntk_prior.verdict.batch import FeasibilityTable, score_columns
from ntk_prior.verdict.calibration import Calibration
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

LINE_POINTS = 49
"""Values of each parameter at which the theory's lines are looked for."""

_LIMITS = ("activation", "slope", "keep_rate", "normalization", "weight_variance", "bias_variance", "residual_scale")
"""Fields that the infinite-depth limits depend on."""


class PhaseMap(NamedTuple):
    """Verdicts on a grid.

    Attributes:
        x, y: The parameters' values, shapes (nx,) and (ny,).
        table: Row ``i * nx + j`` is the verdict at ``y[i]``, ``x[j]``.
    """

    x: Array
    y: Array
    table: FeasibilityTable

    def grid(self, column: NDArray[Any]) -> NDArray[Any]:
        """A column of the table as an array of shape (ny, nx); NaN where the theory is silent."""
        if isinstance(column, np.ma.MaskedArray):
            column = column.filled(np.nan)
        return column.reshape(len(self.y), len(self.x))


class TheoryLines(NamedTuple):
    """The theory's lines, each as ``zero_lines`` gives them; of no points where the range holds none.

    Attributes:
        chaos: Where chi_1 = 1, between order and chaos.
        trains: Where trainability passes the threshold, in the ordered phase.
        generalizes: Where generalization does, in the chaotic phase.
    """

    chaos: Array
    trains: Array
    generalizes: Array


class DepthScales(NamedTuple):
    """The depths along the last two of the theory's lines in units of the depth scales; None without such a line.

    Attributes:
        trains: Smallest and largest depth / xi_1.
        generalizes: Smallest and largest depth / xi_star.
    """

    trains: tuple[float, float] | None
    generalizes: tuple[float, float] | None


def phase_map(
    x: Axis,
    y: Axis,
    config: Mapping[str, Any],
    task: Task,
    budget: Budget,
    calibration: Calibration | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> PhaseMap:
    """Verdicts over two parameters.

    Args:
        x, y: The parameters.
        config: All other fields of ``Architecture``, and of ``Budget`` where they override ``budget``.
        task: The task.
        budget: The training run.
        calibration, threshold: As for ``feasibility``.

    Raises:
        TypeError, ValueError: If a value is not one that ``Architecture`` and ``Budget`` take.
    """
    across, up = x.values(), y.values()
    grids = np.meshgrid(across, up)
    n = grids[0].size
    columns = _columns({**config, x.name: grids[0].ravel(), y.name: grids[1].ravel()}, n)
    return PhaseMap(across, up, score_columns(columns, task, budget, calibration, threshold))


def _columns(config: Mapping[str, Any], n: int) -> dict[str, NDArray[Any]]:
    """Columns of n rows, those of single values repeated."""
    return {
        name: value if isinstance(value, np.ndarray) else np.full(n, value, dtype=object)
        for name, value in config.items()
        if value is not None
    }


def theory_lines(x: Axis, y: Axis, config: Mapping[str, Any], task: Task, found: PhaseMap | None = None) -> TheoryLines:
    """The line between order and chaos, and where either phase ends to be feasible.

    The latter are drawn from the very values that the map's colours come from.

    Args:
        x, y, config, task: As for ``phase_map``.
        found: The map; None for the line between order and chaos alone.
    """
    limits_at = _limits_over(x, y, config, task)

    def chaos(across: float, up: float) -> float:
        chi_1 = limits_at(across, up).chi_1
        return math.log(chi_1) if chi_1 else math.nan

    line = zero_lines(chaos, x.positions(LINE_POINTS), y.positions(LINE_POINTS))
    if found is None:
        return TheoryLines(line, np.empty((0, 2)), np.empty((0, 2)))
    phase = np.array([[limits_at(across, up).phase for across in found.x] for up in found.y], dtype=object)
    sides = (("ordered", found.table.trainability), ("chaotic", found.table.generalization))
    borders = (
        level_lines(np.where(phase == own, found.grid(side), np.nan), found.table.threshold, found.x, found.y)
        for own, side in sides
    )
    return TheoryLines(line, *borders)


def depth_scales(x: Axis, y: Axis, config: Mapping[str, Any], task: Task, lines: TheoryLines) -> DepthScales:
    """What the depths along some lines are in units of the depth scales.

    Args:
        x, y, config, task: As for ``phase_map``.
        lines: From ``theory_lines``.
    """
    limits_at = _limits_over(x, y, config, task)

    def ends(line: Array, scale: str) -> tuple[float, float] | None:
        known = []
        for across, up in line[np.isfinite(line).all(axis=1)].tolist():
            length = getattr(limits_at(across, up), scale)
            if length:
                known.append({**config, x.name: across, y.name: up}["depth"] / length)
        return (min(known), max(known)) if known else None

    return DepthScales(ends(lines.trains, "xi_1"), ends(lines.generalizes, "xi_star"))


def _limits_over(x: Axis, y: Axis, config: Mapping[str, Any], task: Task) -> Callable[[float, float], MeanField]:
    """The infinite-depth limits at any place of a map."""
    known: dict[tuple[Any, ...], MeanField] = {}

    def limits_at(across: float, up: float) -> MeanField:
        values = {**config, x.name: across, y.name: up}
        key = tuple(values.get(name) for name in _LIMITS)
        if key not in known:
            # Limits do not depend on whole numbers, of which lines make fractions: any will do.
            whole = {one.name: round(one.low) for one in (x, y) if one.whole}
            known[key] = limits_of({**values, **whole}, task)
        return known[key]

    return limits_at


def limits_of(config: Mapping[str, Any], task: Task) -> MeanField:
    """The infinite-depth limits of a configuration; none outside the theory, and none for residual networks."""
    own = {name: value for name, value in config.items() if name in ARCHITECTURE_FIELDS}
    architecture = Architecture(**own)
    return MeanField.unknown() if why_outside(architecture, task) else mean_field(architecture)
