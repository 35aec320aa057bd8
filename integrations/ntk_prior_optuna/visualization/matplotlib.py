"""The figures that papers need, in Matplotlib: ``axes.figure.savefig("study.pdf")``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

try:
    from matplotlib import pyplot as plt
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "matplotlib":
        raise
    raise ImportError("these figures need Matplotlib, which is not installed: pip install 'ntk-prior[plot]'") from error

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ntk_prior import NTKPrior, PlottedTrial
from ntk_prior.plots import theme
from ntk_prior.plots.against_outcome import ScoredOutcomes, scored_outcomes, worst_outcome
from ntk_prior.plots.axes import Axis
from ntk_prior.plots.markers import has_place
from ntk_prior.plots.phase_diagram import (
    DASHES,
    belongs,
    colorscale,
    facet_title,
    facets_of,
    has_map,
    line_names,
    shades,
)
from ntk_prior.plots.phase_map import PhaseMap, depth_constants, phase_map, theory_lines
from ntk_prior.plots.trials import slice_through
from ntk_prior_optuna.visualization.records import (
    Goal,
    Target,
    goal,
    plotted_trials,
    study_map,
    threshold_of,
)
from ntk_prior_optuna.visualization.words import NO_SCORES, warn

_STYLES: dict[str, Any] = dict(zip(DASHES, ("-", "--", ":"), strict=True))
_SCALE = "cividis"
_RING: dict[str, Any] = {"s": 90, "facecolors": "none", "edgecolors": theme.VERMILION, "linewidths": 1.5}


def plot_feasibility(
    study: optuna.Study,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    prior: NTKPrior | None = None,
    params: Sequence[str] | None = None,
) -> Axes | NDArray[Any]:
    """As ``ntk_prior_optuna.visualization.plot_feasibility``, in Matplotlib.

    Returns:
        The axes, or an array of them, shape (poolings, activations), where there are several panels.
    """
    shown = study_map(study, target, target_name, prior, params)
    if isinstance(shown, str):
        return _empty(shown)
    trials, x, y, used, compared = shown
    if has_map(used, x, y):
        return _with_map(used, trials, x, y, compared)
    figure, ax = plt.subplots(figsize=(6.0, 4.5), layout="constrained")
    _add_trials(ax, trials, x, y, None)
    _label(ax, x, y)
    _add_legend(figure, [], {}, trials)
    return ax


def plot_calibration(
    study: optuna.Study,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    good_from: float | None = None,
) -> NDArray[Any]:
    """As ``ntk_prior_optuna.visualization.plot_calibration``, in Matplotlib.

    Returns:
        Two axes: score against outcome, and the share of good trials over the score.
    """
    compared = goal(study, target, target_name)
    found = scored_outcomes(plotted_trials(study, target=target), maximize=compared.maximize, good_from=good_from)
    if not found.trials:
        return np.array([_empty(NO_SCORES)])
    figure, (above, below) = plt.subplots(2, figsize=(6.0, 6.0), sharex=True, layout="constrained")
    _add_outcomes(above, found, threshold_of(study))
    above.set_ylabel(target_name)
    mean, frequency, _ = found.reliability.curve.T
    errors = [[one.value - one.low for one in found.intervals], [one.high - one.value for one in found.intervals]]
    below.plot([0, 1], [0, 1], color=theme.GRAY, label="where scores are probabilities")
    below.errorbar(
        mean, frequency, errors, color=theme.GREEN, marker="o", capsize=3, label="share of good trials, 95 % interval"
    )
    below.set(xlabel="score: P(trains) or P(generalizes), the smaller one", ylabel="share of good trials")
    below.set(xlim=(-0.03, 1.03), ylim=(-0.05, 1.05))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return np.array([above, below])


def _with_map(prior: NTKPrior, trials: Sequence[PlottedTrial], x: Axis, y: Axis, compared: Goal) -> Axes | NDArray[Any]:
    fixed = slice_through(trials, x.name, y.name)
    facets = list(facets_of(fixed, x.name, y.name))
    rows, columns = facets[-1].row, facets[-1].column
    size = (max(6.0, 3.0 * columns), 2.2 + 2.6 * rows)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    said = (prior.task, prior.budget, prior.calibration)
    maps, constants, drawn = [], [], set()
    outcomes = [one.outcome for one in trials if one.outcome is not None]
    norm = Normalize(min(outcomes), max(outcomes)) if outcomes else None
    for facet in facets:
        ax = grid[facet.row - 1, facet.column - 1]
        found = phase_map(x, y, facet.config, *said)
        at = depth_constants({x.name: x.low, y.name: y.low, **facet.config}, *said)
        colors = LinearSegmentedColormap.from_list("verdicts", colorscale(), N=1000)
        ax.pcolormesh(
            found.x, found.y, shades(found), cmap=colors, vmin=0, vmax=len(theme.COLORS), shading="nearest",
            rasterized=True,
        )  # fmt: skip
        for dash, line in zip(DASHES, theory_lines(x, y, facet.config, prior.task, at), strict=True):
            if len(line):
                ax.plot(*line.T, color="black", linestyle=_STYLES[dash], linewidth=1.5)
                drawn.add(dash)
        _add_trials(ax, [one for one in trials if belongs(one, facet)], x, y, norm)
        ax.set_title(facet_title(facet, fixed), fontsize="medium")
        maps.append(found)
        constants.append(at)
    if norm is not None:
        figure.colorbar(ScalarMappable(norm, _SCALE), ax=grid, label=compared.name)
    for ax in grid.flat:
        _label(ax, x, y)
        ax.label_outer()
    names = dict(zip(DASHES, map(_text, line_names(constants)), strict=True))
    _add_legend(figure, maps, {dash: words for dash, words in names.items() if dash in drawn}, trials)
    return grid if grid.size > 1 else grid[0, 0]


def _add_trials(ax: Axes, trials: Sequence[PlottedTrial], x: Axis, y: Axis, norm: Normalize | None) -> None:
    """Trials as points, with the colours of their outcomes by ``norm``, or of their verdicts without one."""
    placed = [trial for trial in trials if has_place(trial, x, y)]

    def add(chosen: Sequence[PlottedTrial], **look: Any) -> None:
        at = ([trial.config[axis.name] for trial in chosen] for axis in (x, y))
        ax.scatter(*at, clip_on=False, zorder=3, **look)

    outlined: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.8, "s": 32}
    launched = [trial for trial in placed if trial.launched]
    failed = [trial for trial in launched if trial.failed and norm is not None]
    measured = [trial for trial in launched if trial.outcome is not None and norm is not None]
    plain = [trial for trial in launched if norm is None or (trial.outcome is None and not trial.failed)]
    add([trial for trial in placed if not trial.launched], facecolors="none", **outlined)
    add(plain, c=[theme.COLORS.get(trial.verdict or "", "white") for trial in plain], **outlined)
    add(failed, marker="X", c="white", **outlined)
    add(measured, c=[trial.outcome for trial in measured], cmap=_SCALE, norm=norm, **outlined)
    add([trial for trial in placed if trial.audited], **_RING)


def _add_outcomes(ax: Axes, found: ScoredOutcomes, threshold: float) -> None:
    finished = np.isfinite(found.outcome)
    heights = np.where(finished, found.outcome, worst_outcome(found))
    for words, rows, marker in (("finished trial", finished, "o"), ("failed or pruned", ~finished, "x")):
        if rows.any():
            ax.scatter(found.score[rows], heights[rows], s=24, color=theme.BLUE, marker=marker, label=words)
    if found.audited.any():
        rows = found.audited
        ax.scatter(found.score[rows], heights[rows], label="audited: bypassed the prior", **_RING)
    ax.axhline(found.good_from, color="black", linestyle="--", linewidth=1, label="good from here on")
    words = f"refused below {threshold:g}, but for audits"
    ax.axvline(threshold, color="black", linestyle=":", linewidth=1.2, label=words)


def _label(ax: Axes, x: Axis, y: Axis) -> None:
    ax.set(xlabel=_text(x.title), ylabel=_text(y.title))
    ax.set(xscale="log" if x.log else "linear", yscale="log" if y.log else "linear")
    ax.set(xlim=x.ends, ylim=y.ends)
    for shown, axis in ((x, ax.xaxis), (y, ax.yaxis)):
        ticks = theme.log_axis(*shown.ends) if shown.log else {}
        if "tickvals" in ticks:
            axis.set_ticks(ticks["tickvals"], list(map(_text, ticks["ticktext"])))
            axis.set_ticks([], minor=True)


def _add_legend(
    figure: Figure, maps: Sequence[PhaseMap], lines: dict[str, str], trials: Sequence[PlottedTrial]
) -> None:
    names = {verdict for found in maps for verdict in found.table.verdict}
    names |= {trial.verdict for trial in trials if not maps and trial.launched}
    handles: list[Any] = [
        Patch(color=theme.COLORS[one], label=theme.WORDS[one]) for one in theme.COLORS if one in names
    ]
    handles += [Line2D([], [], color="black", linestyle=_STYLES[dash], label=words) for dash, words in lines.items()]
    point: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgecolor": "black", "markersize": 6}
    if any(not trial.launched for trial in trials):
        handles.append(Line2D([], [], markerfacecolor="none", label="refused", **point))
    if any(trial.launched for trial in trials):
        handles.append(Line2D([], [], markerfacecolor=theme.GRAY, label="launched", **point))
    if maps and any(trial.failed for trial in trials):
        crossed = {**point, "marker": "X"}
        handles.append(Line2D([], [], markerfacecolor="white", label="failed or pruned", **crossed))
    if any(trial.audited for trial in trials):
        ring = {**point, "markeredgecolor": theme.VERMILION, "markersize": 9}
        handles.append(Line2D([], [], markerfacecolor="none", label="audited: bypassed the prior", **ring))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize="small")


def _text(html: str) -> str:
    """A label in Matplotlib's own markup."""
    marked = re.sub(r"<sub>(.*?)</sub>", r"$_{\1}$", re.sub(r"<sup>(.*?)</sup>", r"$^{\1}$", html))
    return marked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _empty(words: str) -> Axes:
    warn(words)
    _, ax = plt.subplots(figsize=(6.0, 4.5), layout="constrained")
    ax.set_axis_off()
    ax.text(0.5, 0.5, words, ha="center", va="center", wrap=True, transform=ax.transAxes)
    return ax
