"""The numbers behind a phase diagram: verdicts over two parameters, and the theory's lines through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.calibration import Calibration
from ntk_prior.meanfield import MeanField, mean_field
from ntk_prior.plots.axes import Axis
from ntk_prior.plots.level_lines import zero_lines
from ntk_prior.spectrum import why_outside
from ntk_prior.table import ARCHITECTURE_FIELDS, FeasibilityTable, score_columns
from ntk_prior.task import Task

Array = NDArray[np.float64]

LINE_POINTS = 49
"""Values of each parameter at which the theory's lines are looked for."""

EVEN = 0.5
"""The probability that the depth-scale lines mark."""

_DEPTHS = np.unique(np.round(np.geomspace(1, 400, 80)))
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


class DepthConstants(NamedTuple):
    """Where depth ends what the theory's depth scales measure; None where no depth does.

    Attributes:
        trains: C such that half of the ordered networks train at depth C xi_1.
        generalizes: C such that half of the chaotic networks that train generalize at depth C xi_star.
    """

    trains: float | None
    generalizes: float | None


class TheoryLines(NamedTuple):
    """The theory's lines, each as ``zero_lines`` gives them; of no points where the range holds none.

    Attributes:
        chaos: Where chi_1 = 1, between order and chaos.
        trains: Where depth = C xi_1, in the ordered phase.
        generalizes: Where depth = C xi_star, in the chaotic phase.
    """

    chaos: Array
    trains: Array
    generalizes: Array


def phase_map(
    x: Axis, y: Axis, config: Mapping[str, Any], task: Task, budget: Budget, calibration: Calibration | None = None
) -> PhaseMap:
    """Verdicts over two parameters.

    Args:
        x, y: The parameters.
        config: All other fields of ``Architecture``, and of ``Budget`` where they override ``budget``.
        task: The task.
        budget: The training run.
        calibration: As for ``feasibility``.

    Raises:
        TypeError, ValueError: If a value is not one that ``Architecture`` and ``Budget`` take.
    """
    across, up = x.values(), y.values()
    grids = np.meshgrid(across, up)
    n = grids[0].size
    columns = _columns({**config, x.name: grids[0].ravel(), y.name: grids[1].ravel()}, n)
    return PhaseMap(across, up, score_columns(columns, task, budget, calibration))


def _columns(config: Mapping[str, Any], n: int) -> dict[str, NDArray[Any]]:
    """Columns of n rows, those of single values repeated."""
    return {
        name: value if isinstance(value, np.ndarray) else np.full(n, value, dtype=object)
        for name, value in config.items()
        if value is not None
    }


def depth_constants(
    config: Mapping[str, Any], task: Task, budget: Budget, calibration: Calibration | None = None
) -> DepthConstants:
    """The constants C of both depth scales, read off the calibrated probabilities on this task and budget.

    For weight variances on either side of the order-to-chaos line, the depth at which the probability falls through
    one half is divided by the depth scale; the constant is the median.

    Args:
        config: Fields of ``Architecture`` and ``Budget``; ``depth`` and ``weight_variance`` do not matter.
        task, budget, calibration: As for ``phase_map``.
    """
    ratios: dict[str, list[float]] = {"ordered": [], "chaotic": []}
    for variance in np.geomspace(0.25, 16.0, 49):
        here = {**config, "depth": 1, "weight_variance": float(variance)}
        limits = limits_of(here, task)
        scale = limits.xi_1 if limits.phase == "ordered" else limits.xi_star
        # Shorter scales than a layer are no scale, and longer ones reach beyond the depths that are tried.
        if scale is None or limits.phase is None or not 1.0 <= scale <= 30.0:
            continue
        found = score_columns(_columns({**here, "depth": _DEPTHS}, len(_DEPTHS)), task, budget, calibration)
        side = found.trainability if limits.phase == "ordered" else found.generalization
        depth = _falls_through(side.filled(np.nan))
        if depth is not None:
            ratios[limits.phase].append(depth / scale)
    return DepthConstants(*(float(np.median(found)) if found else None for found in ratios.values()))


def _falls_through(probability: Array) -> float | None:
    """The depth of ``_DEPTHS`` at which a probability falls through one half for the last time; None if it does not."""
    above = np.flatnonzero(probability >= EVEN)
    if not above.size or above[-1] + 1 == len(_DEPTHS):
        return None
    last = above[-1]
    high, low = probability[last], probability[last + 1]
    part = (high - EVEN) / (high - low)
    return float(np.exp(np.log(_DEPTHS[last]) * (1 - part) + np.log(_DEPTHS[last + 1]) * part))


def theory_lines(x: Axis, y: Axis, config: Mapping[str, Any], task: Task, constants: DepthConstants) -> TheoryLines:
    """The lines that the infinite-depth limits draw over two parameters.

    Args:
        x, y, config, task: As for ``phase_map``.
        constants: Those that the depth-scale lines are drawn at.
    """
    known: dict[tuple[Any, ...], MeanField] = {}

    def limits_at(across: float, up: float) -> MeanField:
        values = {**config, x.name: across, y.name: up}
        key = tuple(values.get(name) for name in _LIMITS)
        if key not in known:
            # Limits do not depend on whole numbers, of which lines make fractions: any will do.
            whole = {one.name: round(one.low) for one in (x, y) if one.whole}
            known[key] = limits_of({**values, **whole}, task)
        return known[key]

    def chaos(across: float, up: float) -> float:
        chi_1 = limits_at(across, up).chi_1
        return math.log(chi_1) if chi_1 else math.nan

    def excess(scale: str, constant: float | None) -> Callable[[float, float], float]:
        def over(across: float, up: float) -> float:
            limits = limits_at(across, up)
            if constant is None or not limits.chi_1:
                return math.nan
            length = getattr(limits, scale)
            return ({**config, x.name: across, y.name: up}["depth"] / length if length else 0.0) - constant

        return over

    grid = x.positions(LINE_POINTS), y.positions(LINE_POINTS)
    functions = (chaos, excess("xi_1", constants.trains), excess("xi_star", constants.generalizes))
    return TheoryLines(*(zero_lines(function, *grid) for function in functions))


def limits_of(config: Mapping[str, Any], task: Task) -> MeanField:
    """The infinite-depth limits of a configuration; none outside the theory, and none for residual networks."""
    own = {name: value for name, value in config.items() if name in ARCHITECTURE_FIELDS}
    architecture = Architecture(**own)
    return MeanField(*[None] * 7) if why_outside(architecture, task) else mean_field(architecture)
