"""Figure 14: dropout."""

from __future__ import annotations

from matplotlib import pyplot as plt

import ntk_prior as ntp
from paper.setting import ORDERED, PURPLE, SKY, Claim, args, claims, depth_grid, limits, measure, network, show, task
from paper.spectra import sweep_depths, sweeps

# %% [markdown]
# ## 9. Dropout
#
# Dropout of keep rate $\rho$ multiplies the second moment on the diagonal by $1/\rho$ and leaves the others alone, so
# that two inputs never become quite alike: $c^* < 1$ even in the ordered phase, and $\kappa$ saturates at
#
# $$\kappa^* = \frac{p_{aa}^* + (m-1)\,p_{ab}^*}{p_{aa}^* - p_{ab}^*}, \qquad
# p_{aa}^* = \frac{q^*}{1-\chi_1}, \quad p_{ab}^* = \frac{c^*q^*}{1-\chi_{c^*}}.$$
#
# This saves training, but not generalization: what the kernel retains of the data keeps shrinking, while the bulk does
# not.

# %%
KEEP_RATES = {1.0: "#000000", 0.99: PURPLE, 0.9: SKY} if args.sweep_points >= 5 else {1.0: "#000000", 0.99: PURPLE}
drop_depths = sweep_depths["ordered"] if args.sweep_points < 5 else sweep_depths["ordered"][1::2]
dropped = {
    rate: {
        depth: sweeps["ordered"][depth] if rate == 1.0 else measure(network(ORDERED, depth, keep_rate=rate))
        for depth in (sweep_depths["ordered"] if rate == 1.0 else drop_depths)
    }
    for rate in KEEP_RATES
}


def saturated_kappa(keep_rate: float) -> float:
    """The condition number at infinite depth."""
    found = limits(ORDERED, keep_rate=keep_rate)
    p_aa, p_ab = found.q_star / (1 - found.chi_1), found.c_star * found.q_star / (1 - found.chi_c)
    return (p_aa + (args.n_train - 1) * p_ab) / (p_aa - p_ab)


# %%
figure, axes = plt.subplots(1, 3, figsize=(7.8, 3.3))
for rate, color in KEEP_RATES.items():
    lines = depth_grid(64, 40)
    fast = [ntp.spectrum(network(ORDERED, depth, keep_rate=rate), task).kappa for depth in lines]
    axes[0].loglog(lines, fast, color=color, label=rf"$\rho={rate:g}$")
    dots = dropped[rate]
    axes[0].loglog(list(dots), [found.spectrum.kappa for found in dots.values()], "o", color=color)
    if rate < 1:
        axes[0].axhline(saturated_kappa(rate), color=color, ls="--", alpha=0.5)
    axes[1].semilogx(list(dots), [found.curve.train_accuracy[5] for found in dots.values()], "o-", color=color)
    axes[2].semilogx(list(dots), [found.curve.test_accuracy[-1] for found in dots.values()], "o-", color=color)
axes[0].set(ylim=(10, 1e8), title=r"condition number $\kappa$")
axes[0].legend()
axes[1].set(ylim=(0, 1.03), title="training accuracy, $t=8^5$")
axes[2].set(ylim=(0, None), title=r"test accuracy, $t=\infty$")
for ax in axes:
    ax.set_xlabel("depth $L$")
show(figure, "14_dropout")

# %%
last = drop_depths[-1]
for rate in list(KEEP_RATES)[1:]:
    ratio = dropped[rate][last].spectrum.kappa / saturated_kappa(rate)
    text = f"{dropped[rate][last].spectrum.kappa:.4g} at L = {last}, limit {saturated_kappa(rate):.4g}"
    claims.append(Claim("dropout", f"ordered kappa saturates, keep rate {rate:g}", text, ratio, 0.9, 1.1))
with_dropout, without = dropped[0.99][last].curve, sweeps["ordered"][last].curve
text = f"training accuracy {without.train_accuracy[5]:.2f} without, {with_dropout.train_accuracy[5]:.2f} with, t = 8^5"
gain = float(with_dropout.train_accuracy[5] - without.train_accuracy[5])
claims.append(Claim("dropout", f"1 % dropout makes a deep ordered network train (L = {last})", text, gain, 0.5, 1.0))
kept = float(with_dropout.mean_predictor[-1] / without.mean_predictor[-1])
text = f"P(Theta)Y x {kept:.1g}"
claims.append(Claim("dropout", "but not generalize", text, kept, -0.1, 0.1))
for row in claims[-4:]:
    print(f"{row.paper}: {row.measured}")
