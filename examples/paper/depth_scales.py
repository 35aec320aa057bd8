"""Figure 2: the depth scales, read off exact kernels."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import pyplot as plt

from ntk_prior import exact
from paper.setting import COLORS, CRITICAL, Claim, args, claims, limits, network, show

# %% [markdown]
# ## 2. Depth scales
#
# These scales are measured on exact kernels of three inputs; nothing is put in by hand. In the ordered phase
# the gap $K_{aa} - K_{ab}$ shrinks by $\chi_1$ a layer. In the chaotic phase the difference between two off-diagonal
# entries shrinks by $\chi_{c^*}$ while $\Theta_{aa}$ grows by $\chi_1$, so what still depends on the data falls,
# compared with the diagonal, by $e^{-1/\xi_*}$ a layer.

# %%
three = np.linalg.cholesky(np.array([[1.0, 0.6, 0.1], [0.6, 1.0, 0.3], [0.1, 0.3, 1.0]])) * math.sqrt(3.0)


def measured_scale(variance: float) -> float:
    """xi_1 or xi_* from exact kernels at two depths."""
    predicted = limits(variance)
    settling = -1.0 / math.log(predicted.chi_c)  # layers over which the correlations approach c*
    depths = math.ceil(4 * settling) + 2, math.ceil(9 * settling) + 4
    left = []
    for depth in depths:
        kernels = exact.kernel(network(variance, depth), three)
        if predicted.phase == "ordered":
            left.append(kernels.nngp[0, 0] - kernels.nngp[0, 1])
        else:
            left.append((kernels.nngp[0, 1] - kernels.nngp[0, 2]) / kernels.ntk[0, 0])
    return (depths[1] - depths[0]) / math.log(left[0] / left[1])


grid = np.geomspace(0.6, 4.0, args.variances)
sides = [variance for variance in grid if abs(variance - CRITICAL) > 0.1][:: 1 if args.variances < 8 else 2]
fine = np.linspace(0.55, 4.2, 366)
xi_1 = np.array([limits(variance).xi_1 or np.nan for variance in fine])
xi_star = np.array([limits(variance).xi_star or np.nan for variance in fine])
measured_scales = {variance: measured_scale(variance) for variance in sides}
figure, ax = plt.subplots(figsize=(6.4, 3.6))
ax.semilogy(fine, xi_1, color=COLORS["ordered"], label=r"$\xi_1$, trainability")
ax.semilogy(fine, xi_star, color=COLORS["chaotic"], label=r"$\xi_*$, generalization")
ax.semilogy(list(measured_scales), list(measured_scales.values()), "ko", label="measured on exact kernels")
ax.axvline(CRITICAL, color=COLORS["critical"], ls=":", label="critical")
ax.set(xlabel=r"weight variance $\sigma_w^2$", ylabel="depth scale (layers)", ylim=(0.8, 200))
ax.legend()
show(figure, "02_depth_scales")

# %%
for name, attribute in (("xi_1", "xi_1"), ("xi_*", "xi_star")):
    ratios = [s / getattr(limits(v), attribute) for v, s in measured_scales.items() if getattr(limits(v), attribute)]
    worst = max(ratios, key=lambda ratio: abs(math.log(ratio)))
    formula = "-1/ln chi_1" if name == "xi_1" else "-1/(ln chi_c* - ln chi_1)"
    text = f"measured / predicted at worst {worst:.3f} of {len(ratios)}"
    claims.append(Claim("depth scales", f"{name} = {formula}", text, worst, 0.9, 1.1))
    print(name, text)
