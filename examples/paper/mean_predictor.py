"""Figure 7: the mean predictor."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import pyplot as plt

import ntk_prior as ntp
from ntk_prior import exact
from paper.setting import (
    CHAOTIC,
    COLORS,
    CRITICAL,
    PHASES,
    Claim,
    args,
    claims,
    depth_grid,
    images,
    limits,
    network,
    show,
    task,
)
from paper.spectra import sweeps

# %% [markdown]
# ## 5. The mean predictor
#
# After infinite time the test outputs are $P(\Theta)Y = \Theta_{test,train}\,\Theta_{train,train}^{-1}\,Y$. How much of
# the labels is left in it is measured as the regression coefficient of the held-out outputs on their own centred
# labels. The theory says: a constant in the ordered phase (an ordered network that could be trained long enough *would*
# generalize), $O(1/l)$ at criticality, and $O(l\,(\chi_{c^*}/\chi_1)^l) = O(l\,e^{-l/\xi_*})$ in the chaotic phase.
#
# The thin lines are the predictor's `mean_predictor`, the share $s/(s+\lambda_{bulk})$ of the *class means* that is
# carried over. It is another measure, blind to what the class means leave unsaid, with the same decay. At criticality
# the $1/l$ sets in once $\frac23\,l\,q^*$ exceeds the eigenvalues of the data's own modes, which grow with the number
# of images; so its exponent is measured on few images, very deep down.

# %%
figure, ax = plt.subplots(figsize=(6.4, 3.8))
for phase, dots in sweeps.items():
    depths = np.array(list(dots))
    left = np.array([found.curve.mean_predictor[-1] for found in dots.values()])
    ax.loglog(depths, left, "o", color=COLORS[phase], label=f"{phase}, exact")
    fine_depths = np.array(depth_grid(depths[-1], 50))
    fast = [ntp.spectrum(network(PHASES[phase], depth), task).mean_predictor for depth in fine_depths]
    ax.loglog(fine_depths, fast, color=COLORS[phase], lw=1, label="predictor's share" if phase == "ordered" else None)
    layers = fine_depths + 1.0
    decay = limits(PHASES[phase]).xi_star
    shape = {"ordered": 1 + 0 * layers, "critical": 1 / layers}.get(phase)
    shape = layers * np.exp(-layers / decay) if shape is None else shape
    middle = len(depths) - 2
    scale = left[middle] / np.interp(depths[middle], fine_depths, shape)
    ax.loglog(fine_depths, scale * shape, "--", color=COLORS[phase], lw=2.5, alpha=0.4)
ax.set(xlabel="depth $L$", ylabel=r"labels left in $P(\Theta)Y$", ylim=(1e-8, 2))
ax.legend(ncols=2)
show(figure, "07_mean_predictor")

# %%
left = {phase: {depth: f.curve.mean_predictor[-1] for depth, f in dots.items()} for phase, dots in sweeps.items()}
ordered_depths = [depth for depth in left["ordered"] if depth <= 64]
change = left["ordered"][ordered_depths[-1]] / left["ordered"][ordered_depths[-2]]
text = f"x {change:.3f} from L = {ordered_depths[-2]} to {ordered_depths[-1]}"
claims.append(Claim("large depth", "P(Theta)Y ordered -> O(1)", text, change, 0.8, 1.25))
n, more = min(64, args.n_train), min(128, args.n_test)
few_inputs = np.concatenate([images.x_train[:n], images.x_test[:more]])
one, two = 500, 2000
few_left = []
for depth in (one, two):
    theta = exact.kernel(network(CRITICAL, depth), few_inputs).ntk
    curve = ntp.learning_curve(theta[:n, :n], theta[n:, :n], images.y_train[:n], images.y_test[:more], [1e30])
    few_left.append(curve.mean_predictor[0])
exponent = math.log(few_left[1] / few_left[0]) / math.log((two + 1) / (one + 1))
text = f"exponent {exponent:.2f} between L = {one} and {two}, {n} images"
claims.append(Claim("large depth", "P(Theta)Y critical -> O(1/l)", text, exponent, -1.3, -0.7))
one, two = list(left["chaotic"])[-2:]
fall = math.log(left["chaotic"][one] / (one + 1) / left["chaotic"][two] * (two + 1)) / (two - one)
text = f"falls over {1 / fall:.2f} layers, xi_* = {limits(CHAOTIC).xi_star:.2f}"
paper = "P(Theta)Y chaotic -> O(l (chi_c*/chi_1)^l)"
claims.append(Claim("large depth", paper, text, 1 / fall / limits(CHAOTIC).xi_star, 0.85, 1.15))
for row in claims[-3:]:
    print(f"{row.paper}: {row.measured}")
