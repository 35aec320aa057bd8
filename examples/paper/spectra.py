"""Figures 5 and 6: spectra of real images."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import pyplot as plt

import ntk_prior as ntp
from paper.setting import COLORS, PHASES, SKY, Claim, args, claims, depth_grid, limits, measure, network, show, task

# %% [markdown]
# ## 4. Spectra of real images
#
# Images are not equally alike, but depth makes them so: the off-diagonal entries lose their spread. What is left is the
# two-valued spectrum above. $\lambda_{bulk}$ is the median eigenvalue of the centred kernel.


# %%
sweep_depths = {
    "ordered": depth_grid(64, args.sweep_points),
    "critical": depth_grid(256, args.sweep_points),
    "chaotic": depth_grid(64, args.sweep_points),
}
sweeps = {
    phase: {depth: measure(network(PHASES[phase], depth)) for depth in depths} for phase, depths in sweep_depths.items()
}

# %%
figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.6))
for ax, (phase, variance) in zip(axes, PHASES.items(), strict=True):
    dots, found = sweeps[phase], limits(variance)
    depths = depth_grid(sweep_depths[phase][-1], 50)
    fast = [ntp.spectrum(network(variance, depth), task) for depth in depths]
    layers, m = np.array(depths) + 1.0, args.n_train
    if phase == "ordered":
        last = sweep_depths[phase][-1]
        top = m * found.q_star / (1 - found.chi_1) + 0 * layers
        shape = layers * found.chi_1**layers
        bulk = shape * dots[last].spectrum.lambda_bulk / ((last + 1) * found.chi_1 ** (last + 1))
    elif phase == "critical":
        top, bulk = (m + 2) / 3 * layers * found.q_star, 2 / 3 * layers * found.q_star
    else:
        bulk = found.q_star * (found.chi_1**layers - 1) / (found.chi_1 - 1)
        top = bulk + (m - 1) * found.c_star * found.q_star / (1 - found.chi_c)
    for name, color, asymptote in (("lambda_max", "#000000", top), ("lambda_bulk", SKY, bulk)):
        label = rf"$\lambda_{{{name.split('_')[1]}}}$"
        ax.plot(depths, [getattr(f, name) for f in fast], color=color, label=label)
        ax.plot(list(dots), [getattr(f.spectrum, name) for f in dots.values()], "o", color=color)
        ax.plot(depths, asymptote, "--", color=color, lw=2.5, alpha=0.4)
    ax.set(xscale="log", yscale="log", title=rf"{phase}, $\sigma_w^2={variance:.4g}$", xlabel="depth $L$")
axes[0].set_ylabel(rf"eigenvalues of $\Theta$, {args.n_train} images")
axes[1].legend()
show(figure, "05_spectra")

# %%
figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.4))
for phase, variance in PHASES.items():
    dots, depths = sweeps[phase], depth_grid(sweep_depths[phase][-1], 50)
    fast = [ntp.spectrum(network(variance, depth), task).kappa for depth in depths]
    axes[0].loglog(depths, fast, color=COLORS[phase], label=phase)
    axes[0].loglog(list(dots), [found.spectrum.kappa for found in dots.values()], "o", color=COLORS[phase])
    axes[1].loglog(list(dots), [found.spread for found in dots.values()], "o-", color=COLORS[phase])
axes[0].axhline((args.n_train + 2) / 2, color=COLORS["critical"], ls="--", alpha=0.5)
axes[0].axhline(1.0, color=COLORS["chaotic"], ls="--", alpha=0.5)
axes[0].set(xlabel="depth $L$", ylabel=r"condition number $\kappa$", ylim=(0.5, 1e12))
axes[0].legend()
axes[1].set(xlabel="depth $L$", ylabel=r"spread of $\Theta_{ab}$ over $\Theta_{aa}$", title="dependence on the data")
show(figure, "06_images")

# %%
for phase, dots in sweeps.items():
    first, last = min(dots), max(dots)
    left = dots[last].spread / dots[first].spread
    text = f"spread of the entries x {left:.2g} from L = {first} to {last}"
    claims.append(Claim("abstract", f"deep NTKs depend on the data only weakly: {phase}", text, left, 0.0, 0.25))
differences = [
    abs(math.log(getattr(ntp.spectrum(network(PHASES[phase], depth), task), name) / getattr(found.spectrum, name)))
    for phase, dots in sweeps.items()
    for depth, found in dots.items()
    for name in ("lambda_max", "lambda_bulk")
]
worst = math.exp(max(differences))
text = f"within a factor of {worst:.2f} at {len(differences)} points, median {math.exp(np.median(differences)):.3f}"
claims.append(Claim("predictor", "(ntk-prior) eigenvalues on images from a summary of the data", text, worst, 1.0, 1.6))
print("predictor against exact kernels on images:", text)
