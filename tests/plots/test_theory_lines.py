"""The theory's lines in phase diagrams, against mpmath, and the search for lines behind them."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

import ntk_prior as ntp
from ntk_prior.plots.axes import AXES, axis
from ntk_prior.plots.level_lines import level_lines, zero_lines
from ntk_prior.plots.phase_map import depth_scales, phase_map, theory_lines
from ntk_prior.theory.mean_field import mean_field

TASK = ntp.Task.equicorrelated(20)
GRID = np.linspace(-2.0, 2.0, 9)


def on_half_line(function: object, q: mp.mpf) -> mp.mpf:
    """E[f(x) + f(-x)] over the positive half of x ~ N(0, q), by quadrature."""
    root = mp.sqrt(q)
    edges = sorted({mp.mpf(edge) for edge in (0, 1 / root, 3 / root, 8 / root, 1, 4, 13) if edge <= 13})
    return mp.quad(lambda z: mp.npdf(z) * (function(root * z) + function(-root * z)), edges)  # type: ignore[operator]


def gelu_second(q: mp.mpf) -> mp.mpf:
    return on_half_line(lambda x: (x * mp.ncdf(x)) ** 2, q)


def gelu_gain(q: mp.mpf) -> mp.mpf:
    return on_half_line(lambda x: (mp.ncdf(x) + x * mp.npdf(x)) ** 2, q)


def gelu_critical(bias_variance: float) -> mp.mpf:
    """The weight variance at which GELU networks turn chaotic.

    With little bias, inputs of variance q = sigma_w^2 + sigma_b^2 then leave for infinity instead of a small fixed
    point: the first layer keeps them in place, T(q) = 1. With more there is one fixed point, and chi_1 passes
    through 1 there.
    """
    if bias_variance < 0.16:
        return mp.findroot(lambda q: gelu_second(q) - 1, mp.mpf(2)) - bias_variance
    q = mp.findroot(
        lambda q: (q - gelu_second(q) / gelu_gain(q)) - bias_variance, (mp.mpf(4), mp.mpf(20)), solver="anderson"
    )
    return 1 / gelu_gain(q)


@pytest.mark.parametrize("bias_variance", [0.0, 0.05, 0.15, 0.2, 0.3, 0.5])
def test_the_order_to_chaos_line_of_gelu_is_exact(bias_variance: float) -> None:
    with mp.workdps(20):
        critical = float(gelu_critical(bias_variance))
    up = axis("y", "bias_variance", (bias_variance, bias_variance + 0.1), ())
    lines = theory_lines(AXES["weight_variance"], up, {"depth": 16, "activation": "gelu"}, TASK)
    (drawn,) = lines.chaos[lines.chaos[:, 1] == bias_variance, 0]
    assert drawn == pytest.approx(critical, rel=1e-10)
    assert not len(lines.trains)
    assert not len(lines.generalizes)


@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_where_the_variance_jumps_the_order_to_chaos_line_is_straight(activation: str) -> None:
    up = axis("y", "bias_variance", (0.0, 0.15), ())
    fixed = {"depth": 16, "activation": activation}
    line = theory_lines(AXES["weight_variance"], up, fixed, TASK).chaos
    assert len(line) > 49
    assert np.ptp(line.sum(axis=1)) < 1e-9  # sigma_w^2 + sigma_b^2, at which T is 1


@pytest.mark.parametrize("activation", ["erf", "tanh"])
def test_the_depths_along_lines_are_measured_in_the_depth_scales_of_mean_field_theory(activation: str) -> None:
    config = {"bias_variance": 0.3, "activation": activation}
    here = (AXES["weight_variance"], AXES["depth"], config, TASK)
    found = phase_map(*here[:3], TASK, ntp.Budget(steps=1_000, width=128))
    lines = theory_lines(*here, found)
    scales = depth_scales(*here, lines)
    for line, scale, ends in (
        (lines.trains, "xi_1", scales.trains),
        (lines.generalizes, "xi_star", scales.generalizes),
    ):
        limits = [
            (depth, mean_field(ntp.Architecture(variance, 0.3, 1, activation))) for variance, depth in known(line)
        ]
        ratios = [depth / getattr(limit, scale) for depth, limit in limits if getattr(limit, scale) is not None]
        assert len(ratios) > 10
        assert ends == pytest.approx((min(ratios), max(ratios)), rel=1e-7)


def known(line: NDArray[np.float64]) -> list[list[float]]:
    """The points of lines, without the gaps between them."""
    found: list[list[float]] = line[np.isfinite(line).all(axis=1)].tolist()
    return found


def test_lines_of_values_on_a_grid_pass_the_level_and_leave_out_what_is_not_known() -> None:
    x, y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0])
    values = np.array([[0.0, 1.0, 3.0], [0.0, 1.0, math.nan]])
    assert level_lines(values, 0.25, x, y).tolist() == [[0.25, 0.0], [0.25, 2.0]]
    assert level_lines(values, 2.0, x, y).shape == (0, 2)


def test_lines_of_jumps_and_of_roots_lie_exactly() -> None:
    def jump(x: float, y: float) -> float:
        return 1.0 if x * x + y * y > 2.0 else -3.0

    def root(x: float, y: float) -> float:
        return x * x + y * y - 2.0

    for function in (jump, root):
        (circle,) = separate(zero_lines(function, GRID, GRID))
        assert np.sum(circle**2, axis=1) == pytest.approx(2.0, rel=1e-11)
        assert list(circle[0]) == list(circle[-1])
        assert np.max(np.linalg.norm(np.diff(circle, axis=0), axis=1)) < 0.75


def test_lines_end_where_the_function_does_and_separate_ones_stay_separate() -> None:
    def stripes(x: float, y: float) -> float:
        return math.nan if y > 1.0 else math.cos(x * math.pi / 2 + 0.1)

    lines = separate(zero_lines(stripes, GRID, GRID))
    assert sorted(float(line[0, 0]) for line in lines) == pytest.approx([-1 - 0.2 / math.pi, 1 - 0.2 / math.pi])
    assert all((line[:, 1].min(), line[:, 1].max()) == (-2.0, 1.0) for line in lines)
    assert zero_lines(lambda x, y: 1.0, GRID, GRID).shape == (0, 2)


def separate(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The lines between rows of NaN."""
    gaps = np.flatnonzero(np.isnan(points[:, 0]))
    return [line[~np.isnan(line[:, 0])] for line in np.split(points, gaps)]
