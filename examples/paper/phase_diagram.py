"""Figure 1: the phase diagram."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt

from paper.setting import BIAS_VARIANCE, COLORS, CRITICAL, Claim, args, claims, limits, show, transition

# %% [markdown]
# ## 1. Phase diagram
#
# The plane of the two variances is split by the line $\chi_1 = 1$. The depth scales
#
# $$\xi_1 = -\frac{1}{\ln\chi_1}\ \text{(ordered)}, \qquad
# \xi_* = -\frac{1}{\ln\chi_{c^*} - \ln\chi_1}\ \text{(chaotic)}$$
#
# diverge there. At $\sigma_b^2 = 0.18$ an Erf network is critical at $\sigma_w^2 = 1.7476$; the authors' notebook marks
# 1.76. ReLU's line lies at $\sigma_w^2 = 2$ whatever the bias.

# %%
bias_axis, weight_axis = np.linspace(0.01, 0.5, 4 * args.variances), np.linspace(0.5, 4.0, 8 * args.variances)
scales = np.full((len(weight_axis), len(bias_axis)), np.nan)
for i, variance in enumerate(weight_axis):
    for j, bias in enumerate(bias_axis):
        found = limits(variance, bias_variance=bias)
        scales[i, j] = found.xi_1 or found.xi_star or np.nan
figure, ax = plt.subplots(figsize=(6.4, 4.2))
mesh = ax.pcolormesh(bias_axis, weight_axis, np.minimum(scales, 100), norm="log", vmin=1, vmax=100, rasterized=True)
figure.colorbar(mesh, label=r"depth scale $\xi_1$ or $\xi_*$ (layers)")
ax.plot(bias_axis, [transition(bias_variance=bias) for bias in bias_axis], "w-", lw=2, label="Erf critical")
tanh_line = [transition(bias_variance=bias, activation="tanh") for bias in bias_axis]
ax.plot(bias_axis, tanh_line, "w--", lw=1.5, label="tanh critical")
ax.axhline(2.0, color="white", ls=":", lw=1.5, label="ReLU critical")
ax.plot(BIAS_VARIANCE, CRITICAL, "o", color=COLORS["chaotic"], mec="white")
ax.annotate(f"{CRITICAL:.4f}", (BIAS_VARIANCE, CRITICAL), (8, -14), textcoords="offset points", color="white")
ax.text(0.04, 3.4, "chaotic", color="white", fontsize=13)
ax.text(0.35, 0.7, "ordered", color="white", fontsize=13)
ax.set(xlabel=r"bias variance $\sigma_b^2$", ylabel=r"weight variance $\sigma_w^2$", title="Erf: depth scales")
ax.legend(loc="upper right", labelcolor="white")
ax.grid(visible=False)
show(figure, "01_phase_diagram")

# %%
for activation, bias, expected in (("erf", 0.18, 1.7476), ("tanh", 0.18, 2.234), ("erf", 0.05, 1.376)):
    at = transition(activation=activation, bias_variance=bias)
    print(f"{activation}, bias variance {bias}: critical at weight variance {at:.4f}")
    note = "chi_1 = 1 (the notebook marks 1.76)" if (activation, bias) == ("erf", 0.18) else "chi_1 = 1"
    claims.append(Claim("phases", f"{activation}, sigma_b^2 = {bias}: transition at {expected}, where {note}",
                        f"{at:.4f}", at / expected, 0.9995, 1.0005))  # fmt: skip
