"""Figures 12 and 13: convolutional networks, flattened and pooled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

import ntk_prior as ntp
from ntk_prior import exact
from ntk_prior.datasets import prepare
from paper.accuracy_maps import chance
from paper.setting import ORANGE, ORDERED, SKY, TIMES, Claim, Measured, args, claims, everything, network, show

# %% [markdown]
# ## 8. Convolutional networks: flattened (CNN-F) against average pooling (CNN-P)
#
# A flattened network's kernel is the mean of the kernels of its pixels. No pair of different pixels enters it, so the
# network behaves like a fully connected one. A pooled network sees all pairs. In section 3 that multiplied $\kappa$ by
# exactly $d$, the number of pixels, because the pixels were uncorrelated and the network deep. Pixels of images are
# correlated, so the factor depends on the depth. Pooled networks train more slowly. In return, their mean predictor
# survives deeper into chaos.

# %%
small = prepare(everything, n_train=args.cnn_train, n_test=args.cnn_test, side=args.cnn_side)
small_task = ntp.Task.from_arrays(small.x_train, small.y_train)
FAMILY: dict[str, tuple[dict[str, Any], str, str]] = {
    "FCN": ({}, "#000000", "s"),
    "CNN-F": ({"kind": "cnn"}, SKY, "o"),
    "CNN-P": ({"kind": "cnn", "pooling": True}, ORANGE, "D"),
}
cnn_depths = [2**k for k in range(int(math.log2(args.cnn_depth)) + 1)]
cnn_depths = cnn_depths if args.sweep_points >= 5 else [1, cnn_depths[-1]]
CNN_VARIANCES = {"ordered": ORDERED, "chaotic": 4.0}


def measure_small(architecture: ntp.Architecture) -> Measured:
    """As ``measure``, on the small images; pixel pairs are dear, so many test images meet training images only."""
    n = args.cnn_train
    if architecture.pooling and args.cnn_test > 64:
        train = exact.kernel(architecture, small.x_train).ntk
        held_out = exact.kernel(architecture, small.x_test, small.x_train).ntk
    else:
        theta = exact.kernel(architecture, np.concatenate([small.x_train, small.x_test])).ntk
        train, held_out = theta[:n, :n], theta[n:, :n]
    curve = ntp.learning_curve(train, held_out, small.y_train, small.y_test, [*TIMES, 1e30])
    return Measured(ntp.measured_spectrum(train, small.y_train), curve, math.nan)


family = {
    (kind, phase): {depth: measure_small(network(variance, depth, **changes)) for depth in cnn_depths}
    for phase, variance in CNN_VARIANCES.items()
    for kind, (changes, _, _) in FAMILY.items()
}

# %%
figure, axes = plt.subplots(2, 2, figsize=(7.2, 5.6), sharex=True)
for column, (phase, variance) in enumerate(CNN_VARIANCES.items()):
    for kind, (changes, color, marker) in FAMILY.items():
        dots = family[kind, phase]
        lines = list(range(1, cnn_depths[-1] + 1))
        fast = [ntp.spectrum(network(variance, depth, **changes), small_task) for depth in lines]
        axes[0, column].plot(lines, [found.kappa for found in fast], color=color, label=kind)
        kappa = [found.spectrum.kappa for found in dots.values()]
        axes[0, column].plot(list(dots), kappa, marker, color=color)
        kept = [found.curve.mean_predictor[-1] for found in dots.values()]
        axes[1, column].plot(list(dots), kept, marker + "-", color=color, lw=1, label=kind)
    axes[0, column].set_title(rf"{phase}, $\sigma_w^2={variance:g}$")
    for row in (0, 1):
        axes[row, column].set(xscale="log", yscale="log")
        axes[row, column].set_xticks(cnn_depths, [str(depth) for depth in cnn_depths])
        axes[row, column].set_xticks([], minor=True)
    axes[1, column].set_xlabel("depth $L$")
axes[0, 0].set_ylabel(r"condition number $\kappa$")
axes[1, 0].set_ylabel(r"labels left in $P(\Theta)Y$")
axes[0, 0].legend()
show(figure, "12_pooling")
# %%
figure, axes = plt.subplots(2, 2, figsize=(7.2, 5.2), sharex=True, sharey="row")
for column, phase in enumerate(CNN_VARIANCES):
    depth = cnn_depths[-1]
    for kind, (_, color, marker) in FAMILY.items():
        curve = family[kind, phase][depth].curve
        steps = np.arange(len(TIMES))
        axes[0, column].plot(steps, curve.train_accuracy[:-1], marker + "-", color=color, label=kind)
        axes[1, column].plot(steps, curve.test_accuracy[:-1], marker + "-", color=color)
    axes[0, column].set_title(f"{phase}, $L={depth}$")
    for row in (0, 1):
        axes[row, column].axhline(chance, color="#777777", ls=":")
    axes[1, column].set_xlabel("$k$, time $t=8^k$")
axes[0, 0].set(ylabel="training accuracy", ylim=(0, 1.05))
axes[1, 0].set(ylabel="test accuracy", ylim=(0, None))
axes[0, 0].legend()
show(figure, "13_pooling_accuracy")

# %%
pixels, deepest = args.cnn_side**2, cnn_depths[-1]


def side_by_side(phase: str) -> tuple[Measured, Measured, Measured]:
    """The deepest FCN, CNN-F and CNN-P of a phase."""
    fcn, flat, pooled = (family[kind, phase][deepest] for kind in FAMILY)
    return fcn, flat, pooled


gaps = [
    np.abs(getattr(flat.curve, side) - getattr(fcn.curve, side))
    for fcn, flat, _ in map(side_by_side, CNN_VARIANCES)
    for side in ("train_accuracy", "test_accuracy")
]
alike_curves = float(np.mean(gaps))
text = f"accuracies differ by {alike_curves:.3f} on average over times, phases at L = {deepest}"
claims.append(Claim("abstract", "CNNs without pooling behave almost as FCNs", text, alike_curves, 0.0, 0.06))
for phase in CNN_VARIANCES:
    fcn, flat, pooled = side_by_side(phase)
    ratio = flat.spectrum.kappa / fcn.spectrum.kappa
    text = f"x {ratio:.2f} at L = {deepest}"
    claims.append(Claim("pooling", f"CNN-F has the FCN's kappa, {phase}", text, ratio, 0.5, 2.0))
factors = {
    depth: family["CNN-P", "ordered"][depth].spectrum.kappa / family["CNN-F", "ordered"][depth].spectrum.kappa
    for depth in cnn_depths
}
print("kappa of CNN-P over CNN-F, ordered:", {depth: round(factor, 1) for depth, factor in factors.items()})
_, flat, pooled = side_by_side("ordered")
ratio = pooled.spectrum.kappa / flat.spectrum.kappa
text = f"x {ratio:.1f}, d = {pixels} correlated pixels, L = {deepest}"
claims.append(
    Claim("pooling", "ordered kappa: CNN-P's is larger (on images by the order of d)", text, ratio, 1.1, 4 * pixels)
)
lag = float(np.mean(flat.curve.train_accuracy - pooled.curve.train_accuracy))
text = f"training accuracy {lag:.2f} behind, mean over times"
claims.append(Claim("pooling", "CNN-P trains more slowly, ordered", text, lag, 0.02, 1.0))
kept = {kind: {depth: f.curve.mean_predictor[-1] for depth, f in family[kind, "chaotic"].items()} for kind in FAMILY}
ratio = kept["CNN-P"][deepest] / kept["CNN-P"][1] / kept["CNN-F"][deepest] * kept["CNN-F"][1]
text = f"x {ratio:.1f} more of P(Theta)Y survives from L = 1 to {deepest}, d = {pixels}"
claims.append(
    Claim("abstract", "pooling generalizes deeper into chaos (in the limit x d)", text, ratio, 1.2, 2 * pixels)
)
for row in claims[-6:]:
    print(f"{row.paper}: {row.measured}")
