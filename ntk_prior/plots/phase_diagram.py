"""The phase diagram: what the prior says over two parameters, the theory's lines, and the trials of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior.budget import Budget
from ntk_prior.checks import is_number, require_real, shown
from ntk_prior.configuration import BUDGET_FIELDS
from ntk_prior.plots import theme
from ntk_prior.plots.axes import AXES, Axis, axis
from ntk_prior.plots.facets import Facet, belongs, facet_title, facets_of, require_fixed
from ntk_prior.plots.markers import (
    add_entry,
    add_legend,
    add_trials,
    has_place,
    outcome_scale,
    spacing,
)
from ntk_prior.plots.phase_map import DepthScales, PhaseMap, TheoryLines, depth_scales, phase_map, theory_lines
from ntk_prior.plots.slices import slice_through
from ntk_prior.plots.training import training_in_words
from ntk_prior.runs.trial import RunTrial
from ntk_prior.task.task import Task
from ntk_prior.verdict.calibration import Calibration
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD, Verdict

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PANEL = 230
_PALEST = 0.7
"""Share of white where the score is at the threshold."""

_SMALLEST = 1e-9
"""Scores on either side of the threshold range over no less than this."""

_FEASIBLE = list(Verdict).index(Verdict.FEASIBLE)

DASHES = ("solid", "dash", "dot")
"""How the order-to-chaos line and the borders of trainability and generalization look."""


def plot_phase_diagram(
    task: Task,
    budget: Budget,
    x: str = "weight_variance",
    y: str = "depth",
    fixed: Mapping[str, Any] | None = None,
    trials: Sequence[RunTrial] | None = None,
    calibration: Calibration | None = None,
    *,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    log: Mapping[str, bool] | None = None,
    outcome_name: str = "outcome",
    threshold: float = DEFAULT_THRESHOLD,
) -> go.Figure:
    """Verdicts over two parameters, with the theory's lines and the trials of a run.

    Colours are verdicts, the stronger the farther the score is from the threshold. The order-to-chaos line is where
    chi_1 = 1; the others are where ordered networks lose trainability and chaotic ones generalization, both at the
    threshold, and the legend says what depth is there in units of the depth scales xi_1 and xi_star. Trials are laid
    over the map by these two parameters, whatever their others.

    Args:
        task: Summary of the data.
        budget: The training run.
        x, y: Any two numeric parameters of ``Architecture`` or ``Budget``.
        fixed: The other parameters; those missing are as the trials have them in the middle, else as in ``budget`` or
            ``USUAL``. Several values of ``activation`` or ``pooling`` make a panel each.
        trials: Launched trials are filled, with the colour of their outcome where it is known and of their verdict
            otherwise; refused ones are hollow, audited ones ringed.
        calibration: Makes probabilities of what the theory says; the shipped one by default.
        ranges: Of ``x`` and ``y``, as ``{name: (low, high)}``; by default those of the trials, or the usual ones.
        log: Of ``x`` and ``y``, whether equal ratios take equal lengths, as ``{name: True}``; by default they do for
            depth and for what ranges over decades.
        outcome_name: What the trials' outcomes are.
        threshold: Networks with a lower score are refused.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If a parameter's value has the wrong type.
        ValueError: If a parameter is unknown, or its value or the threshold lies outside its range.

    Example:
        >>> import ntk_prior as ntp
        >>> figure = ntp.plot_phase_diagram(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128), y="depth")
        >>> figure.write_html("phase_diagram.html")
    """
    require_real("threshold", threshold, 0.0, 1.0)
    shown = tuple(trials or ())
    limits, logarithmic = ranges or {}, log or {}
    _check_axes(x, y, ranges=limits, log=logarithmic)
    across, up = (
        axis(option, name, limits.get(name), [trial.config.get(name) for trial in shown], logarithmic.get(name))
        for option, name in (("x", x), ("y", y))
    )
    return phase_diagram(task, budget, across, up, fixed or {}, shown, calibration, outcome_name, threshold)


def phase_diagram(
    task: Task,
    budget: Budget,
    across: Axis,
    up: Axis,
    fixed: Mapping[str, Any],
    shown: Sequence[RunTrial],
    calibration: Calibration | None,
    outcome_name: str,
    threshold: float = DEFAULT_THRESHOLD,
) -> go.Figure:
    """As ``plot_phase_diagram``, over two axes."""
    x, y = across.name, up.name
    fixed = {**slice_through(shown, x, y), **fixed}
    require_fixed(x, y, fixed)
    facets = list(facets_of(fixed, x, y))
    maps = [phase_map(across, up, facet.config, task, budget, calibration, threshold) for facet in facets]
    rows, columns = facets[-1].row, facets[-1].column
    figure = theme.figure(
        _title(across, up, facets, shown, budget, threshold),
        rows=rows,
        columns=columns,
        height=theme.HEIGHT + _PANEL * (rows - 1) + 100,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        vertical_spacing=0.08,
        subplot_titles=[facet_title(facet, fixed) for facet in facets],
    )
    scales = []
    for facet, verdicts in zip(facets, maps, strict=True):
        place = {"row": facet.row, "col": facet.column}
        here = (across, up, facet.config, task)
        lines = theory_lines(*here, verdicts)
        scales.append(depth_scales(*here, lines))
        _draw_map(figure, place, verdicts, across, up)
        _draw_lines(figure, place, lines)
        members = [trial for trial in shown if belongs(trial, facet)]
        add_trials(figure, place, across, up, members, outcome_name, threshold)
    visible = [trial for trial in shown if _is_visible(trial, across, up, facets)]
    _add_legend(figure, maps, scales)
    add_legend(figure, visible, outcome_name, threshold)
    figure.update_layout(coloraxis=outcome_scale(outcome_name))
    figure.update_xaxes(showgrid=False, **spacing(across))
    figure.update_yaxes(showgrid=False, **spacing(up))
    for column in range(1, columns + 1):
        # Titles side by side would run into one another.
        if columns < 3 or column == (columns + 1) // 2:
            figure.update_xaxes(title_text=across.title, row=rows, col=column)
    figure.update_yaxes(title_text=up.title, col=1)
    return figure


def _check_axes(x: str, y: str, **options: Mapping[str, Any]) -> None:
    if x == y:
        raise ValueError(f"y: expected another parameter than x, received {shown(y)} for both")
    for option, values in options.items():
        for name in values:
            if name not in (x, y):
                raise ValueError(f"{option}: expected names among {x}, {y}, received {shown(name)}")


def _title(
    x: Axis, y: Axis, facets: Sequence[Facet], trials: Sequence[RunTrial], budget: Budget, threshold: float
) -> str:
    """What is shown, what holds all over it, and the training that is assumed."""
    config = facets[0].config
    parts = (
        [theme.plain(config["activation"])] if len({str(facet.config["activation"]) for facet in facets}) < 2 else []
    )
    numbers = {
        AXES[name].symbol: value
        for name, value in config.items()
        if name in AXES and name not in BUDGET_FIELDS and is_number(value)
    }
    parts += [f"{symbol} = {value:.3g}" for symbol, value in numbers.items()]
    hidden = sum(not _is_visible(trial, x, y, facets) for trial in trials)
    if hidden:
        parts.append(f"{hidden} of {len(trials)} trials are of other networks and not shown")
    return (
        f"What the prior says of each network<br><sup>{', '.join(parts)}<br>"
        f"Training assumed: {theme.plain(training_in_words(budget, config, (x.name, y.name)))}<br>"
        f"Strong colours are far from the threshold {threshold:g}, below which a network is refused</sup>"
    )


def _is_visible(trial: RunTrial, x: Axis, y: Axis, facets: Sequence[Facet]) -> bool:
    return has_place(trial, x, y) and any(belongs(trial, facet) for facet in facets)


def _draw_map(figure: go.Figure, place: dict[str, int], verdicts: PhaseMap, x: Axis, y: Axis) -> None:
    table = verdicts.table
    values = [verdicts.grid(column) for column in (table.score, table.trainability, table.generalization)]
    figure.add_heatmap(
        x=verdicts.x,
        y=verdicts.y,
        z=shades(verdicts).astype(np.float32),
        zmin=0,
        zmax=len(Verdict),
        colorscale=colorscale(),
        showscale=False,
        customdata=np.round(np.stack(values, axis=-1), 3).astype(np.float32),
        text=verdicts.grid(table.verdict),
        hovertemplate=(
            f"{x.symbol} = %{{x:.4g}}, {y.symbol} = %{{y:.4g}}<br><b>%{{text}}</b>, score %{{customdata[0]:.2f}}"
            "<br>trains with probability %{customdata[1]:.2f}"
            "<br>then generalizes with %{customdata[2]:.2f}<extra></extra>"
        ),
        **place,
    )


def shades(verdicts: PhaseMap) -> NDArray[np.float64]:
    """The verdict's code, plus how far the score is from the threshold; shape (ny, nx), see ``colorscale``."""
    table = verdicts.table
    codes, score = verdicts.grid(table.verdict_code), verdicts.grid(table.score)
    threshold = table.threshold
    feasible = (score - threshold) / max(1 - threshold, _SMALLEST)
    strength = np.where(codes == _FEASIBLE, feasible, 1 - score / max(threshold, _SMALLEST))
    return np.asarray(np.round(codes + 0.01 + 0.98 * np.clip(np.nan_to_num(strength, nan=1.0), 0.0, 1.0), 3))


def colorscale() -> list[tuple[float, str]]:
    """One interval of unit length for each verdict, from pale to strong."""
    n = len(Verdict)
    return [
        (position, color)
        for code, verdict in enumerate(Verdict)
        for position, color in (
            (code / n, theme.lighter(theme.COLORS[verdict], _PALEST)),
            ((code + 1) / n, theme.COLORS[verdict]),
        )
    ]


def _draw_lines(figure: go.Figure, place: dict[str, int], lines: TheoryLines) -> None:
    for dash, line in zip(DASHES, lines, strict=True):
        if len(line):
            figure.add_scatter(
                x=line[:, 0],
                y=line[:, 1],
                mode="lines",
                line={"color": theme.BLACK, "width": 2, "dash": dash},
                legendgroup=dash,
                showlegend=False,
                hoverinfo="skip",
                **place,
            )


def _add_legend(figure: go.Figure, maps: Sequence[PhaseMap], scales: Sequence[DepthScales]) -> None:
    """Entries of their own, since the map itself has one look for each verdict and each panel repeats the lines."""
    present = {int(code) for verdicts in maps for code in np.unique(verdicts.table.verdict_code)}
    for code, verdict in enumerate(Verdict):
        if code in present:
            marker = {"symbol": "square", "size": 12, "color": theme.COLORS[verdict]}
            add_entry(figure, theme.WORDS[verdict], verdict, mode="markers", marker=marker)
    drawn = {trace.legendgroup for trace in figure.select_traces({"mode": "lines"})}
    for dash, words in zip(DASHES, line_names(scales, maps[0].table.threshold), strict=True):
        if dash in drawn:
            add_entry(figure, words, dash, mode="lines", line={"color": theme.BLACK, "width": 2, "dash": dash})


def line_names(scales: Sequence[DepthScales], threshold: float = DEFAULT_THRESHOLD) -> tuple[str, ...]:
    """The three lines, with the depths along them in units of the depth scales."""

    def spread(ranges: Sequence[tuple[float, float] | None], symbol: str) -> str:
        ends = [ends for ends in ranges if ends is not None]
        if not ends:
            return ""
        low, high = f"{min(low for low, _ in ends):.2g}", f"{max(high for _, high in ends):.2g}"
        return f": L = {low if low == high else f'{low} to {high}'} {symbol}"

    return (
        "order | chaos: χ<sub>1</sub> = 1",
        f"trainability {threshold:g}{spread([scale.trains for scale in scales], 'ξ<sub>1</sub>')}",
        f"generalization {threshold:g}{spread([scale.generalizes for scale in scales], 'ξ<sub>*</sub>')}",
    )
