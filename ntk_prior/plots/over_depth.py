"""The numbers behind a picture of the spectrum: the kernel over depth, and what the theory says of large depth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ntk_prior._types import Array
from ntk_prior.architecture import MAX_DEPTH, Architecture
from ntk_prior.task.task import Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.activations import RECTIFIER, dual
from ntk_prior.theory.layers import layers
from ntk_prior.theory.mean_field import MeanField, mean_field
from ntk_prior.theory.recursion import propagate
from ntk_prior.theory.spectrum import LARGEST, spectrum
from ntk_prior.theory.task_arrays import arrays_of, workspace

POINTS = 49
CLOSE_TO_CRITICAL = 1e-3
"""Closer to chi_1 = 1 than this, the laws of the critical line describe any depth that is drawn."""


_BEGINS, _ENDS = 0.5, 1e-6


class OverDepth(NamedTuple):
    """What the network's kernel becomes as layers are added; arrays of shape (depths,), logarithms natural.

    Attributes:
        depth: Hidden layers.
        log_diagonal: Of Theta_aa.
        log_off_diagonal: Of Theta_ab, its mean over pairs of different inputs; NaN where that is not positive.
        log_lambda_max, log_lambda_bulk, log_kappa: As for ``Spectrum``.
        mean_predictor: As for ``Spectrum``.
    """

    depth: Array
    log_diagonal: Array
    log_off_diagonal: Array
    log_lambda_max: Array
    log_lambda_bulk: Array
    log_kappa: Array
    mean_predictor: Array


class Asymptotes(NamedTuple):
    """Laws of large depth, by the names of ``OverDepth``; arrays of shape (depths,), None where the theory has none.

    Attributes:
        anchored: Those whose prefactor the theory leaves open: they meet the finite-depth curve at the largest depth.
    """

    log_diagonal: Array | None = None
    log_off_diagonal: Array | None = None
    log_lambda_max: Array | None = None
    log_lambda_bulk: Array | None = None
    log_kappa: Array | None = None
    log_mean_predictor: Array | None = None
    anchored: tuple[str, ...] = ()


def depths_to(deepest: int) -> list[int]:
    """Depths from 1 to the deepest, about equally far apart on a logarithmic axis."""
    return [int(depth) for depth in np.unique(np.round(np.geomspace(1, deepest, POINTS)))]


def over_depth(architecture: Architecture, task: Task, depths: list[int] | None = None) -> OverDepth:
    """The kernel of a network and of the same network at other depths.

    Args:
        architecture: The network.
        task: The task's summary.
        depths: Hidden layers; None for depths from 1 to four times the network's own, and 64 at least.

    Raises:
        ValueError: If the theory does not cover the architecture.
    """
    chosen = depths or depths_to(min(max(4 * architecture.depth, 64), MAX_DEPTH))
    rows = []
    for depth in chosen:
        deep = replace(architecture, depth=depth)
        found = spectrum(deep, task)
        rows.append(
            (
                float(depth),
                *_entries(deep, task),
                found.log_lambda_max,
                found.log_lambda_bulk,
                found.log_lambda_max - found.log_lambda_bulk,
                found.mean_predictor,
            )
        )
    return OverDepth(*np.array(rows).T)


def _entries(architecture: Architecture, task: Task) -> tuple[float, float]:
    """Logarithms of Theta_aa and of the mean Theta_ab."""
    arrays = arrays_of(task, view_name(architecture))
    work = workspace(arrays)
    log_scale, diagonal, log_gap, _ = propagate(
        layers(architecture), arrays.cosines, arrays.group, arrays.spreads, arrays.variances, work.nodes
    )
    share = math.exp(min(log_gap - log_scale, LARGEST))
    own = diagonal - share * float(arrays.within @ work.nodes.gaps)
    other = diagonal - share * float(arrays.across @ work.nodes.gaps)
    return tuple(log_scale + math.log(value) if value > 0 else math.nan for value in (own, other))  # type: ignore[return-value]


def asymptotes(architecture: Architecture, task: Task, found: OverDepth) -> Asymptotes:
    """The laws of large depth (Xiao, Pennington and Schoenholz 2020, table 1) at the depths of some curves.

    They hold for plain networks without dropout and normalisation, to which others are not compared.

    Args:
        architecture, task: As for ``over_depth``.
        found: The curves.
    """
    limits = mean_field(architecture)
    plain = architecture.keep_rate == 1.0 and architecture.residual_scale is None
    if not plain or architecture.normalization != "none" or not limits.q_star or limits.chi_1 is None:
        return Asymptotes()
    pixels = float(task.n_pixels or 1) if architecture.pooling else 1.0
    if abs(limits.chi_1 - 1.0) < CLOSE_TO_CRITICAL:
        return _critical(architecture, task.n_train, pixels, limits.q_star, found)
    return _ordered(task.n_train, limits, found) if limits.phase == "ordered" else _chaotic(limits, found)


def _critical(architecture: Architecture, m: int, pixels: float, q_star: float, found: OverDepth) -> Asymptotes:
    """On the critical line Theta_aa grows as l q*, and Theta_ab as a third of that, a quarter where there is a kink."""
    code, slope, _ = dual(architecture.activation, architecture.slope)
    kink = code == RECTIFIER
    if kink and slope == 1.0:
        # A linear network conserves the inputs' own correlations.
        return Asymptotes()
    shared = 1.0 / 4.0 if kink else 1.0 / 3.0
    growth = np.log(found.depth * q_star)
    own = shared + (1.0 - shared) / pixels
    bulk = (1.0 - shared) / pixels
    top = bulk + m * shared
    return Asymptotes(
        growth + math.log(own),
        growth + math.log(shared),
        growth + math.log(top),
        growth + math.log(bulk),
        np.full_like(growth, math.log(top / bulk)),
        _mean_predictor_law(-np.log(found.depth), found.mean_predictor),
        ("log_mean_predictor",),
    )


def _ordered(m: int, limits: MeanField, found: OverDepth) -> Asymptotes:
    """All entries become p* = q* / (1 - chi_1); what tells them apart dies as l chi_1^l."""
    chi_1, q_star = limits.chi_1 or math.nan, limits.q_star or math.nan
    level = np.full_like(found.depth, math.log(q_star / (1.0 - chi_1)))
    bulk = _through(np.log(found.depth) + found.depth * math.log(chi_1), found.log_lambda_bulk)
    top = level + math.log(m)
    return Asymptotes(level, level, top, bulk, top - bulk, None, ("log_lambda_bulk", "log_kappa"))


def _chaotic(limits: MeanField, found: OverDepth) -> Asymptotes:
    """The diagonal grows as chi_1^l and leaves the rest behind."""
    growth = found.depth * math.log(limits.chi_1 or math.nan)
    predictor = None
    if limits.xi_star is not None:
        predictor = _mean_predictor_law(np.log(found.depth) - found.depth / limits.xi_star, found.mean_predictor)
    return Asymptotes(
        _through(growth, found.log_diagonal),
        None,
        _through(growth, found.log_lambda_max),
        _through(growth, found.log_lambda_bulk),
        np.zeros_like(growth),
        predictor,
        ("log_diagonal", "log_lambda_max", "log_lambda_bulk", "log_mean_predictor"),
    )


def _through(law: Array, curve: Array) -> Array:
    """A law with the prefactor that makes it meet a curve at the largest depth."""
    return np.asarray(law - law[-1] + curve[-1])


def _mean_predictor_law(law: Array, predictor: Array) -> Array | None:
    """The law of the mean predictor, where that is small enough to follow it, and is not rounding yet."""
    follows = np.flatnonzero((predictor < _BEGINS) & (predictor > _ENDS))
    if not follows.size:
        return None
    last = follows[-1]
    return np.where(predictor < _BEGINS, law - law[last] + math.log(predictor[last]), np.nan)
