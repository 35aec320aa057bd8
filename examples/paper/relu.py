"""Figure 11: ReLU."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt

from paper.accuracy_maps import best, chance, late, memorised, test_maps
from paper.depth_scales import grid
from paper.large_depth import SAMPLES, exact_pair, fast_pair, few
from paper.setting import Claim, args, claims, depth_grid, measure, network, show, transition

# %% [markdown]
# ## 7. ReLU
#
# ReLU has no chaotic phase with $c^* < 1$: inputs always become alike, exponentially for $\chi_1 = \sigma_w^2/2 < 1$
# and by a power law from there on. At criticality ($\sigma_w^2 = 2$, $\sigma_b^2 = 0$) $p_{ab}/p_{aa} \to 1/4$, hence
# $\kappa \to (m+3)/3$. Without biases the kernel is homogeneous: $\sigma_w^2$ scales it and changes no condition
# number.

# %%
relu_scale = sorted({64, 1000, *depth_grid(1000, few)})
relu_pairs = {depth: exact_pair("FCN", 2.0, depth, activation="relu", bias_variance=0.0) for depth in relu_scale}
relu_grid = np.geomspace(grid[0], grid[-1], args.variances // 2)
relu_depths = depth_grid(args.max_depth, args.depths // 2 + 1)
relu_maps = [[measure(network(variance, depth, activation="relu")) for depth in relu_depths] for variance in relu_grid]
relu_train = np.array([[found.curve.train_accuracy for found in column] for column in relu_maps])
relu_test = np.array([[found.curve.test_accuracy for found in column] for column in relu_maps])

# %%
figure, axes = plt.subplots(1, 3, figsize=(7.8, 3.2), width_ratios=[1.1, 1, 1])
ax = axes[0]
lines = depth_grid(1000, 60)
for variance, style in ((1.0, ":"), (2.0, "-")):
    changes = {"activation": "relu", "bias_variance": 0.0}
    kappa = [fast_pair("FCN", variance, depth, **changes).kappa for depth in lines]
    ax.semilogx(lines, kappa, style, color="black", lw=1.5 if style == "-" else 4, alpha=1 if style == "-" else 0.4,
                label=rf"$\sigma_w^2={variance:g}$")  # fmt: skip
ax.plot(list(relu_pairs), [found.kappa for found in relu_pairs.values()], "o", color="black")
ax.axhline((SAMPLES + 3) / 3, color="black", ls="--", alpha=0.5)
ax.set(xlabel="depth $L$", title=rf"$\kappa$, $\sigma_b^2=0$, $m={SAMPLES}$")
ax.legend()
for ax, values, name in ((axes[1], relu_train, "training"), (axes[2], relu_test, "test")):
    top = 1.0 if name == "training" else test_maps.max()
    mesh = ax.pcolormesh(relu_grid, relu_depths, values[:, :, 5].T, vmin=chance, vmax=top, shading="nearest")
    ax.axvline(2.0, color="white", ls=":")
    ax.set(xscale="log", yscale="log", title=f"{name}, $t=8^5$", xlabel=r"$\sigma_w^2$")
    ax.set_xticks([0.6, 1, 2, 4], ["0.6", "1", "2", "4"])
    ax.set_xticks([], minor=True)
    ax.set_yticks([1, 4, 16, 64], ["1", "4", "16", "64"])
    ax.grid(visible=False)
    figure.colorbar(mesh, ax=ax, orientation="horizontal", label="accuracy")
show(figure, "11_relu")

# %%
last = max(relu_pairs)
ratio = relu_pairs[last].kappa / ((SAMPLES + 3) / 3)
claims.append(Claim("ReLU", "critical kappa -> (m+3)/3", f"x {ratio:.4f} at L = {last}", ratio, 0.95, 1.05))
other = exact_pair("FCN", 1.0, 64, activation="relu", bias_variance=0.0)
same = other.kappa / relu_pairs[64].kappa
text = f"ratio {same:.6f} between sigma_w^2 = 1 and 2"
claims.append(Claim("ReLU", "without biases sigma_w^2 leaves kappa alone", text, same, 0.9999, 1.0001))
at = transition(activation="relu", bias_variance=0.0)
claims.append(Claim("ReLU", "critical at sigma_w^2 = 2", f"{at:.6f}", at, 1.9999, 2.0001))
relu_memorised = (relu_train[:, :, late] >= 0.95) & (relu_test[:, :, late] <= chance + 0.25 * (best - chance))
text = f"{100 * relu_memorised.mean():.0f} % of ReLU's map, {100 * memorised.mean():.0f} % of Erf's"
claims.append(Claim("ReLU", "no phase that only memorises", text, relu_memorised.mean(), 0.0, 0.02))
for row in claims[-4:]:
    print(f"{row.paper}: {row.measured}")
