"""Figures 3 and 4: entries and condition numbers of kernels at large depth."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib import pyplot as plt

import ntk_prior as ntp
from ntk_prior import exact
from paper.setting import (
    CHAOTIC,
    COLORS,
    CRITICAL,
    ORANGE,
    ORDERED,
    PHASES,
    SKY,
    Claim,
    args,
    claims,
    depth_grid,
    limits,
    network,
    show,
)

# %% [markdown]
# ## 3. Entries of the kernel, and the table of large depths
#
# Take $m$ inputs that are all equally alike. The kernel then has two different entries, $p_{aa}$ on the diagonal and
# $p_{ab}$ off it, and two different eigenvalues: $\lambda_{max} = p_{aa} + (m-1)\,p_{ab}$ once and
# $\lambda_{bulk} = p_{aa} - p_{ab}$ otherwise. With $l = L + 1$:
#
# |  | ordered | critical | chaotic |
# |---|---|---|---|
# | $p_{aa}$ | $p^* = q^*/(1-\chi_1)$ | $l\,q^*$ | $q^*(\chi_1^l-1)/(\chi_1-1)$ |
# | $p_{ab}$ | $p^*$ | $\tfrac13\,l\,q^*$ | $c^*q^*/(1-\chi_{c^*})$ |
# | $\lambda_{max}$ | $m\,p^*$ | $\tfrac{m+2}{3}\,l\,q^*$ | $\Theta(\chi_1^l)$ |
# | $\lambda_{bulk}$ | $\Theta(l\,\chi_1^l)$ | $\tfrac23\,l\,q^*$ | $\Theta(\chi_1^l)$ |
# | $\kappa$ | $m\,p^*/\Theta(l\,\chi_1^l)$ | $\tfrac{m+2}{2}$ | $1 + O(\chi_1^{-l})$ |
#
# Average pooling over $d$ pixels (CNN-P) divides what an image shares with itself alone by $d$: the bulk in every
# phase, $\lambda_{max}$ in the chaotic one; critical $\lambda_{max} = \frac{md+2}{3d}\,l\,q^*$ and $\kappa =
# \frac{md+2}{2}$.

# %%
SAMPLES, SIDE, COSINE = 8, 3, 0.2
PIXELS = SIDE * SIDE
KINDS: dict[str, dict[str, Any]] = {"FCN": {}, "CNN-P": {"kind": "cnn", "pooling": True}}


def alike(n: int) -> np.ndarray:
    """Vectors of mean square 1, any two of which have the same cosine, shape (n, n)."""
    return np.linalg.cholesky((1.0 - COSINE) * np.eye(n) + COSINE) * math.sqrt(n)


equal_inputs = {
    "FCN": alike(SAMPLES),
    "CNN-P": alike(SAMPLES * PIXELS).reshape(SAMPLES, SIDE, SIDE, SAMPLES * PIXELS),
}
equal_tasks = {
    "FCN": ntp.Task.equicorrelated(SAMPLES, COSINE),
    "CNN-P": ntp.Task.equicorrelated(SAMPLES, COSINE, n_pixels=PIXELS, pixel_cosine=COSINE),
}


class Pair(NamedTuple):
    """The two different eigenvalues of a kernel on inputs that are equally alike."""

    top: float
    bulk: float

    @property
    def kappa(self) -> float:
        """The condition number."""
        return self.top / self.bulk


def exact_pair(kind: str, variance: float, depth: int, **changes: Any) -> Pair:
    """Eigenvalues of the exact kernel."""
    theta = exact.kernel(network(variance, depth, **KINDS[kind], **changes), equal_inputs[kind]).ntk
    values = np.linalg.eigvalsh(theta)
    return Pair(values[-1], float(np.median(values[:-1])))


def fast_pair(kind: str, variance: float, depth: int, **changes: Any) -> Pair:
    """The same by the predictor."""
    found = ntp.spectrum(network(variance, depth, **KINDS[kind], **changes), equal_tasks[kind])
    return Pair(found.lambda_max, found.lambda_bulk)


def entries(found: Pair) -> tuple[float, float]:
    """p_aa and p_ab of a fully connected network from its two eigenvalues."""
    return (found.top + (SAMPLES - 1) * found.bulk) / SAMPLES, (found.top - found.bulk) / SAMPLES


# Shallow depths for the figure, the last two for the table. Beyond them the ordered gap drowns in float64, and chi_1^l
# leaves nothing of kappa - 1.
table_depths = {
    "ordered": [round(n * limits(ORDERED).xi_1) for n in (8, 20)],
    "critical": [125, 500],
    "chaotic": [round(n / math.log(limits(CHAOTIC).chi_1)) for n in (7, 18)],
}
few = 0 if args.sweep_points < 5 else 6
table_pairs = {
    (kind, phase): {
        depth: exact_pair(kind, PHASES[phase], depth)
        for depth in [*(depth_grid(depths[0] // 2, few)[:few] if kind == "FCN" else []), *depths]
    }
    for kind in KINDS
    for phase, depths in table_depths.items()
}

# %%
figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.4))
for ax, (phase, variance) in zip(axes, PHASES.items(), strict=True):
    last = table_depths[phase][-1]
    depths, ends = depth_grid(last, 60), np.array(depth_grid(last, 60)[20:])
    curves = np.array([entries(fast_pair("FCN", variance, depth)) for depth in depths])
    dots = table_pairs["FCN", phase]
    exact_entries = np.array([entries(found) for found in dots.values()])
    found = limits(variance)
    layers = ends + 1.0
    if phase == "ordered":
        p_aa = p_ab = found.q_star / (1 - found.chi_1) + 0 * layers
        shape = layers * found.chi_1**layers
        gap = shape * dots[last].bulk / ((last + 1) * found.chi_1 ** (last + 1))
    elif phase == "critical":
        p_aa, p_ab, gap = (share * layers * found.q_star for share in (1, 1 / 3, 2 / 3))
    else:
        p_aa = gap = found.q_star * (found.chi_1**layers - 1) / (found.chi_1 - 1)
        p_ab = found.c_star * found.q_star / (1 - found.chi_c) + 0 * layers
    series = (
        (r"$p_{aa}$", "#000000", curves[:, 0], exact_entries[:, 0], p_aa),
        (r"$p_{ab}$", ORANGE, curves[:, 1], exact_entries[:, 1], p_ab),
        (r"$p_{aa}-p_{ab}$", SKY, curves @ [1, -1], [found.bulk for found in dots.values()], gap),
    )
    for label, color, line, points, asymptote in series:
        ax.plot(depths, line, color=color, label=label, lw=1.5)
        ax.plot(list(dots), points, "o", color=color)
        ax.plot(ends, asymptote, "--", color=color, lw=2.5, alpha=0.45)
    ax.set(xscale="log", yscale="log", title=rf"{phase}, $\sigma_w^2={variance:.4g}$", xlabel="depth $L$")
axes[0].set_ylabel(r"entries of $\Theta$")
axes[0].plot([], [], "--", color="#777777", lw=2.5, alpha=0.45, label="limit")
axes[0].legend(loc="lower left")
show(figure, "03_entries")

# %% [markdown]
# The limits are reached slowly, above all at criticality, where corrections fall like $1/l$. So the predictor computes
# the recursion to the depth in question and uses the limits as an explanation only.

# %%
figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.3), sharey=True)
for ax, kind in zip(axes, KINDS, strict=True):
    limit = (SAMPLES + 2) / 2 if kind == "FCN" else (SAMPLES * PIXELS + 2) / 2
    for phase, variance in PHASES.items():
        depths = depth_grid(table_depths[phase][-1], 60)
        ax.plot(depths, [fast_pair(kind, variance, depth).kappa for depth in depths], color=COLORS[phase], label=phase)
        dots = table_pairs[kind, phase]
        ax.plot(list(dots), [found.kappa for found in dots.values()], "o", color=COLORS[phase])
    ax.axhline(limit, color=COLORS["critical"], ls="--", alpha=0.5)
    ax.axhline(1.0, color=COLORS["chaotic"], ls="--", alpha=0.5)
    ax.set(xscale="log", yscale="log", ylim=(0.7, 3e6), xlabel="depth $L$")
    ax.set_title(kind if kind == "FCN" else f"CNN-P, $d={PIXELS}$ uncorrelated pixels")
axes[0].set_ylabel(rf"condition number $\kappa$, $m={SAMPLES}$")
axes[0].legend()
show(figure, "04_condition_number")


# %%
def table_claim(quantity: str, formula: str, value: float, text: str, tolerance: float = 0.05) -> None:
    """A row of the table of large depths, as measured over predicted."""
    claims.append(Claim("large depth", f"{quantity} -> {formula}", text, value, 1 - tolerance, 1 + tolerance))


for kind in KINDS:
    d = 1 if kind == "FCN" else PIXELS
    (first, last), found = table_depths["ordered"], limits(ORDERED)
    one, two = (table_pairs[kind, "ordered"][depth] for depth in (first, last))
    p_star = found.q_star / (1 - found.chi_1)
    rate = math.log(two.bulk / (last + 1) / one.bulk * (first + 1)) / ((last - first) * math.log(found.chi_1))
    table_claim(f"{kind} ordered lambda_max", "m p*", two.top / SAMPLES / p_star, f"x {two.top / SAMPLES / p_star:.4f}")
    table_claim(f"{kind} ordered lambda_bulk / l", "chi_1^l", rate, f"rate x {rate:.4f} between L = {first} and {last}")

    deep, found = table_depths["critical"][-1], limits(CRITICAL)
    two, unit = table_pairs[kind, "critical"][deep], (deep + 1) * found.q_star
    md = SAMPLES * d
    values = two.top / unit / ((md + 2) / (3 * d)), two.bulk / unit / (2 / (3 * d)), two.kappa / ((md + 2) / 2)
    formulas = ("(m+2)/3 l q*", "2/3 l q*", "(m+2)/2") if d == 1 else ("(md+2)/(3d) l q*", "2/(3d) l q*", "(md+2)/2")
    for quantity, formula, value in zip(("lambda_max", "lambda_bulk", "kappa"), formulas, values, strict=True):
        table_claim(f"{kind} critical {quantity}", formula, value, f"x {value:.4f} at L = {deep}")

    (first, last), found = table_depths["chaotic"], limits(CHAOTIC)
    one, two = (table_pairs[kind, "chaotic"][depth] for depth in (first, last))
    growth = (last - first) * math.log(found.chi_1)
    rates = (
        math.log(two.top / one.top) / growth,
        math.log(two.bulk / one.bulk) / growth,
        math.log((one.kappa - 1) / (two.kappa - 1)) / growth,
    )
    formulas = "chi_1^l", "chi_1^l", "chi_1^-l"
    for quantity, formula, value in zip(("lambda_max", "lambda_bulk", "kappa - 1"), formulas, rates, strict=True):
        text = f"rate x {value:.4f} between L = {first} and {last}"
        table_claim(f"{kind} chaotic {quantity}", formula, value, text)

for phase, quantity in (("ordered", "bulk"), ("ordered", "kappa"), ("chaotic", "top"), ("chaotic", "bulk")):
    depth = table_depths[phase][0 if quantity == "kappa" else 1]
    fcn, pooled = (getattr(table_pairs[kind, phase][depth], quantity) for kind in ("FCN", "CNN-P"))
    factor = pooled / fcn if quantity == "kappa" else fcn / pooled
    name = {"top": "lambda_max", "bulk": "lambda_bulk", "kappa": "kappa"}[quantity]
    how = "times d" if quantity == "kappa" else "divided by d"
    text = f"{factor:.3f}, d = {PIXELS}"
    table_claim(f"pooling, {phase}: {name}", f"{how} (uncorrelated pixels)", factor / PIXELS, text)
agreement = max(
    abs(math.log(getattr(fast_pair(kind, PHASES[phase], depth), name) / getattr(found, name)))
    for (kind, phase), pairs in table_pairs.items()
    for depth, found in pairs.items()
    for name in ("top", "bulk")
)
text = f"largest difference {agreement:.1e}"
claims.append(
    Claim("large depth", "the recursion (fast predictor) gives the same eigenvalues", text, agreement, 0, 1e-3)
)
print("predictor against exact kernels on inputs that are equally alike:", text)
