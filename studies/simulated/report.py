"""What simulated studies took: one table, and one plot.

    python -m studies.simulated.report studies.csv [MORE.csv ...] [--plot studies.svg]

Costs to a target are medians over seeds, by default compute in trainings of an average uniform draw of the space;
"times less" is that of the same sampler and pruner without the prior divided by it, so above 1 the prior saves.
Brackets hold bootstrap 95 % confidence intervals over seeds. Where half of the seeds or more did not get there, what
these studies spent stands for the cost, marked ">", and a ratio with it is a bound; "?" where neither got there. The
percentage is the share of seeds that got there.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from studies.simulated.arms import ARMS
from studies.simulated.studies import FIRST, GRID

HERE = Path(__file__).parent

Array = NDArray[np.float64]

FIXED = 20.0
"""Compute after which the best is shown."""

TARGETS = {"a_tenth": "90 % of best", "a_point": "best - 0.01", "a_hundredth": "99 % of best"}
NAMES = {
    "flops": "floating-point operations, in average trainings of a uniform draw of the space",
    "flops_unstopped": "floating-point operations, in average trainings, if nothing but a pruner stops what diverges",
    "steps": "training steps",
    "launched": "launched trials",
}
CAPTION = (
    "to: median, interval, share of seeds that got there; times less: than the same without the prior; hopeless: "
    f"diverged or within 0.05 of chance, of the first {FIRST} launched; spare: draws judged beside each launched one"
)
RESAMPLES = 2000
COLOURS = {
    "random": "#999999",
    "tpe": "#0072B2",
    "hyperband": "#D55E00",
    "improvement": "#009E73",
    "tpe-adversary": "#CC79A7",
}
"""Okabe and Ito's, which colour-blind readers tell apart."""

PLOTTED = (
    *("random", "random-prior", "tpe", "tpe-prior", "hyperband", "hyperband-prior", "improvement", "pibo"),
    "tpe-adversary",
)


class Interval(NamedTuple):
    """An estimate and its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap(statistic: Callable[..., float], *samples: Array) -> Interval:
    """A statistic of independent samples, each resampled by its rows.

    Args:
        statistic: Takes arrays of the samples' shapes.
        samples: Shape (seeds, ...).
    """
    rng = np.random.default_rng(0)
    found = [statistic(*(one[rng.integers(len(one), size=len(one))] for one in samples)) for _ in range(RESAMPLES)]
    low, high = np.percentile(found, [2.5, 97.5], method="nearest")
    return Interval(statistic(*samples), float(low), float(high))


def typical(needed: Array) -> float:
    """Median over seeds; where half of them did not get there, the median of all that these spent, a lower bound.

    Args:
        needed: Shape (seeds, 2): cost to the target, infinite where it was not reached, and of the whole study.
    """
    middle = float(np.median(needed[:, 0]))
    return middle if math.isfinite(middle) else float(np.median(needed[np.isinf(needed[:, 0]), 1]))


def times_less(base: Array, needed: Array) -> float:
    """How many times less than the base."""
    return typical(base) / typical(needed)


def share(counts: Array) -> float:
    """Sum of the first column over that of the second."""
    return float(counts[:, 0].sum() / counts[:, 1].sum())


def needed(rows: pd.DataFrame, target: str, cost: str) -> Array:
    """Costs as ``typical`` takes them; operations in units of the average training."""
    scale = rows["unit"].to_numpy() if cost.startswith("flops") else 1.0
    reached = rows[f"{target}_{cost}"].astype(np.float64).fillna(np.inf).to_numpy()
    return np.stack([reached / scale, rows[cost].to_numpy(np.float64) / scale], axis=1)


def unreached(values: Array) -> bool:
    """Whether half of the seeds or more did not get there."""
    return math.isinf(float(np.median(values[:, 0])))


def cost_cell(values: Array) -> str:
    """Median and interval, and the share of seeds that got there."""
    found = bootstrap(typical, values)
    there = float(np.mean(np.isfinite(values[:, 0])))
    return f"{'>' if unreached(values) else ''}{found.value:.3g} [{found.low:.3g}, {found.high:.3g}] {there:.0%}"


def less_cell(base: Array, values: Array) -> str:
    """Ratio and interval, marked where it is a bound; nothing is known where neither got there."""
    mark = {(True, True): None, (True, False): ">", (False, True): "<"}.get((unreached(base), unreached(values)), "")
    if mark is None:
        return "?"
    found = bootstrap(times_less, base, values)
    return f"{mark}{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def best_after(rows: pd.DataFrame, compute: float) -> Array:
    """Best expected accuracy of each study once it has spent so much."""
    at = int(np.searchsorted(GRID, compute * (1 + 1e-9))) - 1
    return np.array([float(curve.split(";")[at]) for curve in rows["curve"]])


def table(studies: pd.DataFrame, cost: str = "flops") -> Table:
    """One row for each space and arm."""
    commits, digests = (", ".join(sorted(studies[name].unique())) for name in ("commit", "table"))
    title = (
        f"simulated studies of at most {studies['trials'].max()} average trainings (commit {commits}, table {digests})"
    )
    made = Table(title=title, caption=f"{CAPTION}; cost: {NAMES[cost]}", title_justify="left", caption_justify="left")
    names = ["space", "arm", "seeds"]
    for target in TARGETS.values():
        names += [f"to {target}", "times less"]
    for name in (*names, f"best after {FIXED:g}", "hopeless", "spare"):
        made.add_column(name, justify="left" if name in ("space", "arm") else "right")
    for space, in_space in studies.groupby("space", sort=False):
        for arm in (name for name in ARMS if (in_space["arm"] == name).any()):
            rows = in_space[in_space["arm"] == arm]
            base = in_space[in_space["arm"] == ARMS[arm].base]
            compared = base if len(base) and arm != ARMS[arm].base else None
            made.add_row(str(space), ARMS[arm].title, *cells(rows, compared, cost))
        made.add_section()
    return made


def cells(rows: pd.DataFrame, base: pd.DataFrame | None, cost: str = "flops") -> list[str]:
    """All columns behind the names."""
    made = [str(len(rows))]
    for target in TARGETS:
        values = needed(rows, target, cost)
        made += [cost_cell(values), "" if base is None else less_cell(needed(base, target, cost), values)]
    best = bootstrap(lambda values: float(np.mean(values)), best_after(rows, FIXED))
    made.append(f"{best.value:.3f} [{best.low:.3f}, {best.high:.3f}]")
    counts = np.stack([rows["hopeless"], np.minimum(rows["launched"], FIRST)], axis=1).astype(np.float64)
    hopeless = bootstrap(share, counts)
    made.append(f"{hopeless.value:.0%} [{hopeless.low:.0%}, {hopeless.high:.0%}]")
    made.append(f"{rows['spare'].sum() / rows['launched'].sum():.2f}")
    return made


def plot(studies: pd.DataFrame, path: Path) -> None:
    """Best so far over compute, mean and its confidence band; solid lines with the prior, dashed ones without."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "ntk-prior"
    spaces = sorted(studies["space"].unique(), reverse=True)
    figure, axes = plt.subplots(1, len(spaces), figsize=(5.6 * len(spaces), 4.4), squeeze=False, layout="constrained")
    for axis, space in zip(axes[0], spaces, strict=True):
        in_space = studies[studies["space"] == space]
        best = float(in_space["target_best"].iloc[0])
        for arm in (name for name in PLOTTED if (in_space["arm"] == name).any()):
            _draw(axis, arm, in_space[in_space["arm"] == arm])
        for level, style in ((best, "-"), (best - 0.01, ":")):
            axis.axhline(level, color="black", linewidth=0.8, linestyle=style)
        axis.set(xscale="log", xlim=(1.0, float(in_space["trials"].max())), ylim=(best - 0.13, best + 0.005))
        axis.set(title=f"{space} space", xlabel="compute (average trainings)", ylabel="best expected test accuracy")
        axis.grid(alpha=0.25)
    axes[0][-1].legend(fontsize=8, loc="lower right")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _draw(axis: Any, arm: str, rows: pd.DataFrame) -> None:
    curves = np.array([[float(value) for value in curve.split(";")] for curve in rows["curve"]])
    mean = curves.mean(axis=0)
    error = 1.96 * curves.std(axis=0, ddof=1) / math.sqrt(len(curves)) if len(curves) > 1 else 0.0 * mean
    colour = COLOURS.get(arm, COLOURS[ARMS[arm].base])
    style = "--" if arm == ARMS[arm].base else "-"
    axis.plot(GRID, mean, color=colour, linestyle=style, linewidth=1.6, label=ARMS[arm].title)
    axis.fill_between(GRID, mean - error, mean + error, color=colour, alpha=0.12, linewidth=0)


def load(paths: Sequence[Path]) -> pd.DataFrame:
    """Studies of several files.

    Raises:
        ValueError: If they were simulated on different tables or with different limits.
    """
    studies = pd.concat([pd.read_csv(path, dtype={"commit": str, "table": str}) for path in paths], ignore_index=True)
    for column in ("table", "trials"):
        if studies[column].nunique() > 1:
            raise ValueError(f"{column}: expected the same in all rows, received {sorted(studies[column].unique())}")
    return studies.drop_duplicates("id")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument(
        "--cost", choices=list(NAMES), default="flops", help="; ".join(f"{k}: {v}" for k, v in NAMES.items())
    )
    parser.add_argument("--plot", type=Path, help="where the plot goes (SVG)")
    options = parser.parse_args(arguments)
    studies = load(options.studies)
    Console(width=240).print(table(studies, options.cost))
    if options.plot:
        plot(studies, options.plot)


if __name__ == "__main__":
    main()
