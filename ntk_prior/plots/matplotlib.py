"""The figures of a run that papers need, in Matplotlib: ``axes.figure.savefig("study.pdf")``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

try:
    from matplotlib import pyplot as plt
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "matplotlib":
        raise
    raise ImportError("these figures need Matplotlib, which is not installed: pip install 'ntk-prior[plot]'") from error

import numpy as np
from matplotlib.axes import Axes as Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ntk_prior.plots import theme
from ntk_prior.plots.axes import Axis
from ntk_prior.plots.bidi import unmarked
from ntk_prior.plots.facets import belongs, facet_title, facets_of
from ntk_prior.plots.markers import AUDITED, SHAPES, WOULD_BE_REFUSED, has_place, shape_of, would_be_refused
from ntk_prior.plots.phase_diagram import DASHES, colorscale, line_names, shades
from ntk_prior.plots.phase_map import PhaseMap, depth_scales, phase_map, theory_lines
from ntk_prior.plots.run_map import lacks_map
from ntk_prior.plots.scored_outcomes import appearances, threshold_name, worst_outcome
from ntk_prior.plots.slices import map_axes, slice_through
from ntk_prior.plots.training import training_in_words
from ntk_prior.prior import NTKPrior
from ntk_prior.runs.run import Run
from ntk_prior.runs.scored_outcomes import ScoredOutcomes, score_outcomes
from ntk_prior.runs.trial import RunTrial

_STYLES: dict[str, Any] = dict(zip(DASHES, ("-", "--", ":"), strict=True))
_SCALE = "cividis"
_SYMBOLS = {"circle": "o", "x": "x", "square": "s"}
_MARKERS: dict[str, str | None] = {"o": None, "s": "square", "D": "diamond"}
"""Matplotlib's marker for each shape of ``markers.SHAPES``."""

_RING: dict[str, Any] = {"s": 90, "facecolors": "none", "edgecolors": theme.VERMILION, "linewidths": 1.5}


def draw_feasibility(run: Run, params: Sequence[str] | None = None) -> Axes | NDArray[Any] | None:
    """As ``ntk_prior.plots.run_figures.draw_feasibility``, in Matplotlib.

    Args:
        run, params: As there.

    Returns:
        The axes, or an array of them, shape (poolings, activations), where there are several panels; None if the run
        has no two numeric parameters.

    Raises:
        ValueError: If ``params`` are not two numeric parameters.
    """
    trials = run.trials
    axes = map_axes(trials, run.log, params)
    if axes is None:
        return None
    x, y = axes
    if run.prior is not None and lacks_map(run.prior, trials, x, y) is None:
        return _draw_with_map(run.prior, trials, x, y, run.outcome_name, run.threshold)
    figure, ax = plt.subplots(figsize=(6.0, 4.5), layout="constrained")
    asked = any(trial.verdict is not None for trial in trials)
    norm = None if asked else _norm(trials)
    _add_trials(ax, trials, x, y, norm, run.threshold)
    _label(ax, x, y)
    _add_legend(figure, [], {}, trials, run.threshold)
    if norm is not None:
        figure.colorbar(ScalarMappable(norm, _SCALE), ax=ax, label=run.outcome_name)
    return ax


def draw_calibration(run: Run, good_from: float | None = None) -> NDArray[Any] | None:
    """As ``ntk_prior.plots.run_figures.draw_calibration``, in Matplotlib.

    Args:
        run, good_from: As there.

    Returns:
        Two axes: score against outcome, and the share of good trials over the score. None if no finished trial has a
        score.
    """
    scored = score_outcomes(run.trials, maximize=run.maximize, good_from=good_from)
    if not scored.trials:
        return None
    figure, (above, below) = plt.subplots(2, figsize=(6.0, 6.0), sharex=True, layout="constrained")
    _add_outcomes(above, scored, run.threshold)
    above.set_ylabel(run.outcome_name)
    mean, frequency, _ = scored.reliability.curve.T
    intervals = scored.intervals
    errors = [[share.value - share.low for share in intervals], [share.high - share.value for share in intervals]]
    below.plot([0, 1], [0, 1], color=theme.GRAY, label="where scores are probabilities")
    below.errorbar(
        mean, frequency, errors, color=theme.GREEN, marker="o", capsize=3, label="share of good trials, 95 % interval"
    )
    below.set(xlabel="score: P(trains) or P(generalizes), the smaller one", ylabel="share of good trials")
    below.set(xlim=(-0.03, 1.03), ylim=(-0.05, 1.05))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return np.array([above, below])


def draw_message(words: str) -> Axes:
    """Draw a message where there is nothing to see."""
    _, ax = plt.subplots(figsize=(6.0, 4.5), layout="constrained")
    ax.set_axis_off()
    ax.text(0.5, 0.5, words, ha="center", va="center", wrap=True, transform=ax.transAxes)
    return ax


def _draw_with_map(
    prior: NTKPrior, trials: Sequence[RunTrial], x: Axis, y: Axis, outcome_name: str, threshold: float
) -> Axes | NDArray[Any]:
    fixed = slice_through(trials, x.name, y.name)
    facets = list(facets_of(fixed, x.name, y.name))
    rows, columns = facets[-1].row, facets[-1].column
    size = (max(6.0, 3.0 * columns), 2.2 + 2.6 * rows)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    settings = (prior.task, prior.budget, prior.calibration, threshold)
    maps, scales, drawn = [], [], set()
    norm = _norm(trials)
    for facet in facets:
        ax = grid[facet.row - 1, facet.column - 1]
        verdicts = phase_map(x, y, facet.config, *settings)
        here = (x, y, facet.config, prior.task)
        lines = theory_lines(*here, verdicts)
        colors = LinearSegmentedColormap.from_list("verdicts", colorscale(), N=1000)
        ax.pcolormesh(
            verdicts.x, verdicts.y, shades(verdicts), cmap=colors, vmin=0, vmax=len(theme.COLORS), shading="nearest",
            rasterized=True,
        )  # fmt: skip
        for dash, line in zip(DASHES, lines, strict=True):
            if len(line):
                ax.plot(*line.T, color="black", linestyle=_STYLES[dash], linewidth=1.5)
                drawn.add(dash)
        _add_trials(ax, [trial for trial in trials if belongs(trial, facet)], x, y, norm, threshold)
        ax.set_title(facet_title(facet, fixed), fontsize="medium")
        maps.append(verdicts)
        scales.append(depth_scales(*here, lines))
    if norm is not None:
        figure.colorbar(ScalarMappable(norm, _SCALE), ax=grid, label=outcome_name)
    for ax in grid.flat:
        _label(ax, x, y)
        ax.label_outer()
    names = dict(zip(DASHES, map(_text, line_names(scales, threshold)), strict=True))
    _add_legend(figure, maps, {dash: words for dash, words in names.items() if dash in drawn}, trials, threshold)
    figure.suptitle(
        "\n".join(wrap(f"Training assumed: {training_in_words(prior.budget, facets[0].config, (x.name, y.name))}", 80)),
        fontsize="small",
    )
    return grid if grid.size > 1 else grid[0, 0]


def _norm(trials: Sequence[RunTrial]) -> Normalize | None:
    """The range of colours of the trials' outcomes; None without any."""
    outcomes = [trial.outcome for trial in trials if trial.outcome is not None]
    return Normalize(min(outcomes), max(outcomes)) if outcomes else None


def _add_trials(
    ax: Axes, trials: Sequence[RunTrial], x: Axis, y: Axis, norm: Normalize | None, threshold: float
) -> None:
    """Trials as points, with the colours of their outcomes by ``norm``, or of their verdicts without one."""
    placed = [trial for trial in trials if has_place(trial, x, y)]

    def add(chosen: Sequence[RunTrial], **look: Any) -> None:
        at = ([trial.config[axis.name] for trial in chosen] for axis in (x, y))
        ax.scatter(*at, clip_on=False, zorder=3, **look)

    outlined: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.8, "s": 32}
    add([trial for trial in placed if not trial.launched], facecolors="none", **outlined)
    for marker, shape in _MARKERS.items():
        launched = [trial for trial in placed if trial.launched and shape_of(trial) == shape]
        measured = [trial for trial in launched if trial.outcome is not None and norm is not None]
        plain = [trial for trial in launched if norm is None or (trial.outcome is None and not trial.failed)]
        add(plain, c=[theme.color_of(trial.verdict) for trial in plain], marker=marker, **outlined)
        add(measured, c=[trial.outcome for trial in measured], cmap=_SCALE, norm=norm, marker=marker, **outlined)
    add(
        [trial for trial in placed if trial.launched and trial.failed and norm is not None], marker="X", c="black", s=32
    )
    add([trial for trial in placed if would_be_refused(trial, threshold)], marker="s", **_RING)
    add([trial for trial in placed if trial.audited], **_RING)


def _add_outcomes(ax: Axes, found: ScoredOutcomes, threshold: float) -> None:
    finished = np.isfinite(found.outcome)
    heights = np.where(finished, found.outcome, worst_outcome(found))
    for words, rows, symbol in appearances(found):
        marker = _SYMBOLS[symbol]
        if rows.any():
            ax.scatter(found.score[rows], heights[rows], s=24, color=theme.BLUE, marker=marker, label=words)
    if found.audited.any():
        rows = found.audited
        ax.scatter(found.score[rows], heights[rows], label=AUDITED, **_RING)
    ax.axhline(found.good_from, color="black", linestyle="--", linewidth=1, label="good from here on")
    ax.axvline(threshold, color="black", linestyle=":", linewidth=1.2, label=threshold_name(threshold))


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
    figure: Figure, maps: Sequence[PhaseMap], lines: dict[str, str], trials: Sequence[RunTrial], threshold: float
) -> None:
    names = {verdict for verdicts in maps for verdict in verdicts.table.verdict}
    if not maps:
        names |= {trial.verdict for trial in trials if trial.launched and trial.verdict is not None}
    known = [*(verdict for verdict in theme.COLORS if verdict in names), *sorted(names - theme.COLORS.keys())]
    handles: list[Any] = [
        Patch(color=theme.color_of(verdict), label=_text(theme.words_of(verdict))) for verdict in known
    ]
    handles += [Line2D([], [], color="black", linestyle=_STYLES[dash], label=words) for dash, words in lines.items()]

    def add(words: str, present: bool, **look: Any) -> None:
        point = {"linestyle": "none", "marker": "o", "markeredgecolor": "black", "markersize": 6, **look}
        if present:
            handles.append(Line2D([], [], label=words, **point))

    launched = [trial for trial in trials if trial.launched]
    plain: dict[str | None, str] = {None: "launched", **dict(SHAPES.values())}
    large: dict[str, Any] = {"markeredgecolor": theme.VERMILION, "markersize": 9, "markerfacecolor": "none"}
    add("refused", len(launched) < len(trials), markerfacecolor="none")
    for marker, shape in _MARKERS.items():
        present = any(shape_of(trial) == shape for trial in launched)
        add(plain[shape], present, marker=marker, markerfacecolor=theme.GRAY)
    add("failed or pruned", bool(maps) and any(trial.failed for trial in trials), marker="X", markerfacecolor="black")
    add(WOULD_BE_REFUSED, any(would_be_refused(trial, threshold) for trial in trials), marker="s", **large)
    add(AUDITED, any(trial.audited for trial in trials), **large)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize="small")


def _text(html: str) -> str:
    """A label in Matplotlib's own markup."""
    marked = re.sub(r"<sub>(.*?)</sub>", r"$_{\1}$", re.sub(r"<sup>(.*?)</sup>", r"$^{\1}$", html))
    return unmarked(marked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
