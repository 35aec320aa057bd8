# %% [markdown]
# # Which very deep networks train, and which of them generalize
#
# L. Xiao, J. Pennington and S. Schoenholz, *Disentangling Trainability and Generalization in Deep Neural Networks*
# (ICML 2020, [arXiv:1912.13053](https://arxiv.org/abs/1912.13053)), measured again on CIFAR-10 with ntk-prior. Every
# kernel on inputs, drawn as a **dot** or as a map, is exact: neural-tangents computes it by `ntk_prior.exact`. Every
# **line** is the fast predictor, `ntp.spectrum`, which sees only a summary of the data. **Dashes** are the limits of
# infinite depth. The last table compares each of the paper's claims with the number that was measured here.

# %%
"""Reproduce the paper's results on CIFAR-10: phase diagram, depth scales, NTK spectra, accuracy maps, claims.

    python examples/reproduce_paper.py --data-dir DIR --output FOLDER

DIR holds CIFAR-10 (or NTK_PRIOR_DATA names it; without either, scikit-learn's digits are used). Needs matplotlib and
pip install 'ntk-prior[exact]'.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from scipy.optimize import brentq

import ntk_prior as ntp
from ntk_prior import exact
from ntk_prior.datasets import load_cifar10, load_digits, prepare

IN_NOTEBOOK = "ipykernel" in sys.modules
if not IN_NOTEBOOK:
    plt.switch_backend("agg")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data-dir", default=os.environ.get("NTK_PRIOR_DATA"))
parser.add_argument("--output", default="paper-figures", help="folder for the figures")
parser.add_argument("--format", choices=("png", "svg"), default="png", help="of the figures")
parser.add_argument("--n-train", type=int, default=404, help="training images")
parser.add_argument("--n-test", type=int, default=400, help="test images")
parser.add_argument("--variances", type=int, default=12, help="grid points of the maps along the weight variance")
parser.add_argument("--depths", type=int, default=11, help="grid points of the maps along the depth")
parser.add_argument("--max-depth", type=int, default=64)
parser.add_argument("--sweep-points", type=int, default=8, help="depths at which kernels are computed along a line")
parser.add_argument("--cnn-train", type=int, default=64, help="training images of the convolutional networks")
parser.add_argument("--cnn-test", type=int, default=128)
parser.add_argument("--cnn-side", type=int, default=8, help="their height and width")
parser.add_argument("--cnn-depth", type=int, default=8, help="depth of the deepest of them")
args, unknown = parser.parse_known_args()
if unknown and not IN_NOTEBOOK:
    parser.error(f"unknown options: {' '.join(unknown)}")

# %% [markdown]
# ## Conventions
#
# Inputs have $|x|^2/n_0 = 1$. A network of depth $L$ has $L$ hidden layers (activations); its kernels follow
#
# $$K^{l+1} = \sigma_w^2\,\mathcal T(K^l) + \sigma_b^2, \qquad
# \Theta^{l+1} = K^{l+1} + \sigma_w^2\,\dot{\mathcal T}(K^l)\,\Theta^l, \qquad K^1 = \Theta^1$$
#
# up to $l = L + 1$, the readout, in the NTK parametrization. $q^*$ and $c^*$ are the fixed points of the length and the
# correlation map, $\chi_1$ and $\chi_{c^*}$ the slopes of the correlation map at $1$ and at $c^*$. The phase is
# *ordered* where $\chi_1 < 1$ (all inputs become alike), *chaotic* where $\chi_1 > 1$ (they become unlike), and
# *critical* between. Time is counted in steps of gradient descent at the rate $1/\lambda_{max}$, on centred labels and
# from zero outputs.

# %%
BIAS_VARIANCE = 0.18
ORDERED, CHAOTIC = 1.0, 2.5
TIMES = [8**k for k in range(9)]
COLORS = {"ordered": "#0072B2", "critical": "#009E73", "chaotic": "#D55E00"}
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
plt.rcParams.update({
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.markersize": 5,
    "image.cmap": "cividis",
})  # fmt: skip

everything = load_cifar10(args.data_dir) if args.data_dir else load_digits()
images = prepare(everything, n_train=args.n_train, n_test=args.n_test)
if args.n_train % images.n_classes == 0:
    parser.error(f"--n-train: expected no multiple of {images.n_classes} classes (section 6), received {args.n_train}")
x_all = np.concatenate([images.x_train, images.x_test])
task = ntp.Task.from_arrays(images.x_train.reshape(args.n_train, -1), images.y_train)
pair = ntp.Task.equicorrelated(2, 0.3)
print(f"{images.name}: {args.n_train} images for training, {args.n_test} for testing, {images.n_classes} classes")


def network(weight_variance: float, depth: int, **changes: Any) -> ntp.Architecture:
    """A fully connected Erf network with the bias variance of this page, unless told otherwise."""
    return ntp.Architecture(
        **{"weight_variance": weight_variance, "bias_variance": BIAS_VARIANCE, "depth": depth, **changes}
    )


def limits(weight_variance: float, **changes: Any) -> ntp.Spectrum:
    """Phase, fixed points and depth scales of a network; its depth plays no part in them."""
    return ntp.spectrum(network(weight_variance, 1, **changes), pair)


def transition(**changes: Any) -> float:
    """The weight variance at which chi_1 = 1."""
    return brentq(lambda variance: limits(variance, **changes).chi_1 - 1.0, 0.3, 6.0, xtol=1e-14)


def show(figure: plt.Figure, name: str) -> None:
    """Save a figure; a notebook shows it as well."""
    if IN_NOTEBOOK:
        return
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.{args.format}", dpi=120)
    plt.close(figure)


def depth_grid(last: int, points: int) -> list[int]:
    """Depths from 1 to ``last``, evenly spaced in their logarithm."""
    return sorted({round(depth) for depth in np.geomspace(1, last, points)})


class Claim(NamedTuple):
    """What the paper says against a measured number and the interval in which it counts as confirmed."""

    section: str
    paper: str
    measured: str
    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the number lies in the interval; NaN marks a grid too small to tell."""
        if math.isnan(self.value):
            return "unresolved"
        return "holds" if self.low <= self.value <= self.high else "FAILS"


SECTIONS = {
    "abstract": "The abstract",
    "large depth": "The table of large depths",
    "depth scales": "Depth scales",
    "phases": "Phase boundaries",
    "notebook": "The authors' notebook",
    "pooling": "Pooling",
    "ReLU": "ReLU",
    "dropout": "Dropout",
    "predictor": "The fast predictor",
}
claims: list[Claim] = []


def print_claims() -> None:
    """The table of all claims, by section."""
    widths = 46, 44
    for name, title in SECTIONS.items():
        print(f"\n{title}")
        for row in (row for row in claims if row.section == name):
            cells = [textwrap.wrap(cell, width) for cell, width in zip((row.paper, row.measured), widths, strict=True)]
            for i in range(max(map(len, cells))):
                left, middle = (cell[i] if i < len(cell) else "" for cell in cells)
                right = f"{row.verdict:10} [{row.low:g}, {row.high:g}]" if i == 0 else ""
                print(f"  {left:{widths[0]}}  {middle:{widths[1]}}  {right}".rstrip())


class Measured(NamedTuple):
    """What one exact kernel on training and test images says."""

    spectrum: ntp.MeasuredSpectrum
    curve: ntp.LearningCurve
    spread: float
    """Standard deviation of the off-diagonal entries over the mean of the diagonal."""


def measure(architecture: ntp.Architecture) -> Measured:
    """Spectrum and learning curve, the last of its times being infinite."""
    # One kernel on all images compiles once; training and test kernels of their own would do so twice.
    theta = exact.kernel(architecture, x_all).ntk
    n = args.n_train
    train, held_out = theta[:n, :n], theta[n:, :n]
    curve = ntp.learning_curve(train, held_out, images.y_train, images.y_test, [*TIMES, 1e30])
    spread = np.std(train[np.triu_indices(n, 1)]) / np.mean(np.diagonal(train))
    return Measured(ntp.measured_spectrum(train, images.y_train), curve, float(spread))


CRITICAL = transition()
PHASES = {"ordered": ORDERED, "critical": CRITICAL, "chaotic": CHAOTIC}
