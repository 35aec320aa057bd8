"""Draw the README's picture: what the prior says of Erf networks on CIFAR-10, over weight variance and depth.

python -m studies.pictures.feasibility_map
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from ntk_prior import Budget, NTKPrior, Task, Verdict

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.patches import Patch

BIAS_VARIANCE = 0.05
RATE = 4.0
COLORS = {
    Verdict.FEASIBLE: "#0072b2",
    Verdict.UNTRAINABLE: "#e69f00",
    Verdict.DIVERGES: "#cc79a7",
    Verdict.MEMORIZES_ONLY: "#999999",
}
WORDS = {
    Verdict.FEASIBLE: "feasible: launched",
    Verdict.UNTRAINABLE: "untrainable within the budget",
    Verdict.DIVERGES: "diverges at this learning rate",
    Verdict.MEMORIZES_ONLY: "memorizes only",
}


def main() -> None:
    """Score a grid and write docs/feasibility.svg."""
    prior = NTKPrior(Task.cifar10(10_000), Budget(steps=3_000, width=512))
    variances, depths = np.linspace(0.5, 4.0, 281), np.arange(1, 65)
    grid = np.meshgrid(variances, depths)
    columns = {"weight_variance": grid[0].ravel(), "depth": grid[1].ravel()}
    columns["bias_variance"] = np.full(columns["depth"].shape, BIAS_VARIANCE)
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.7), sharey=True, layout="constrained")
    panels = (
        ("largest stable learning rate", {}),
        (f"learning rate {RATE:g}", {"learning_rate": np.full(grid[0].size, RATE)}),
    )
    for ax, (title, more) in zip(axes, panels, strict=True):
        found = prior.score_many({**columns, **more})
        image = np.ones((*grid[0].shape, 3))
        for code, verdict in enumerate(Verdict):
            if verdict in COLORS:
                rgb = np.array(matplotlib.colors.to_rgb(COLORS[verdict]))
                where = (found.verdict_code == code).reshape(grid[0].shape)
                image[where] = rgb
        strength = np.clip(found.score.filled(1.0).reshape(grid[0].shape), 0, 1)
        feasible = found.verdict_code.reshape(grid[0].shape) == 0
        image[feasible] = 1 - (1 - image[feasible]) * (0.35 + 0.65 * strength[feasible])[:, None]
        extent = (variances[0], variances[-1], 0.5, depths[-1] + 0.5)
        ax.imshow(image, origin="lower", extent=extent, aspect="auto", interpolation="nearest")
        ax.axvline(1.3758, color="black", linewidth=1, linestyle=":")
        ax.annotate(
            "order | chaos", (1.3758, 65), (0, 3), textcoords="offset points", ha="center", annotation_clip=False
        )
        ax.set_xlabel("weight variance $\\sigma_w^2$")
        ax.set_title(title, pad=18, fontsize=11)
    axes[0].set_ylabel("depth (hidden layers)")
    handles = [Patch(color=COLORS[verdict], label=words) for verdict, words in WORDS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    target = Path(__file__).parents[2] / "docs" / "feasibility.svg"
    target.parent.mkdir(exist_ok=True)
    plt.rcParams["svg.hashsalt"] = "ntk-prior"
    figure.savefig(target, metadata={"Date": None})
    print(f"wrote {target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target}")


if __name__ == "__main__":
    main()
