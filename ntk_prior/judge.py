"""The two sides of feasibility as numbers: what gradient descent learns in time, and what of it carries over.

Trainability is the correlation between outputs and training labels that gradient descent reaches,
sqrt(sum_i a_i (1 - exp(-2 eta lambda_i t))) over the eigenmodes i with label energy a_i. Generalization is the R^2
that generalized cross-validation (Craven and Wahba 1978) expects of the kernel machine so reached, relative to the best
kernel for the same data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from os import cpu_count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.activations import dual
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.compiled import entry, inner
from ntk_prior.ntk import Layers, scratch
from ntk_prior.spectrum import Scene, eigenvalues, scene, view_name
from ntk_prior.task import Task, ViewName

Array = NDArray[np.float64]

WIDTH_GAIN = 3.0
"""Relative variance of a width-N network's NTK entries: expm1(WIDTH_GAIN L / N) (Hanin and Nica, arXiv 1909.05989)."""

WIDTH_NOISE = 0.5
"""Spectral size of those fluctuations, in units of their standard deviation times sqrt(min(samples, width))."""

_CHUNK = 4096


class Run(NamedTuple):
    """A budget as compiled code reads it, in the units of the spectrum (loss summed over samples).

    Attributes:
        rate: eta, or 0 for 1 / lambda_max.
        time: Optimiser steps times their effective length (heavy ball: 1 / (1 - momentum)).
        limit: eta lambda_max beyond which the optimiser is unstable.
        sample_share: 1 / batch size, 0 for the full batch.
        slow: Relative variance of the finite-width kernel.
        noise: Its spectral size, relative to the mean eigenvalue.
        reach: Squared distance in parameter space that Adam can cover, relative to the label energy; negative for
            other optimisers.
    """

    rate: float
    time: float
    limit: float
    sample_share: float
    slow: float
    noise: float
    reach: float


class Sides(NamedTuple):
    """Both sides of one configuration, or arrays of many; all finite.

    Attributes:
        trainability: Correlation between outputs and training labels, times ``stability``, in [0, 1].
        generalization: Share of the best R^2 on this task that survives, in [0, 1].
        stability: 1 inside the stable range of learning rates, falling to 0 at twice its end.
        log_excess: ln(eta / eta_max); negative inside the stable range.
        log_kappa: ln(lambda_max / lambda_bulk).
    """

    trainability: Any
    generalization: Any
    stability: Any
    log_excess: Any
    log_kappa: Any


def encode(values: Mapping[str, Any], task: Task) -> Array:
    """Configurations as rows of numbers: the fields of ``ntk.Layers`` (without the table), then those of ``Run``.

    Args:
        values: The fields of ``Architecture`` and ``Budget``, numbers or arrays of shape (n,), with NaN for None, the
            flags ``layer_norm``, ``cnn``, ``adam``, ``standard`` and ``cross_entropy`` in place of the names, and
            ``code`` for the activation.
        task: The task.

    Returns:
        Shape (n, fields); n is 1 where all values are numbers.
    """
    v = values
    width, pixels = v["width"], task.n_pixels or 1
    wide = np.isfinite(width)
    window = np.where(v["cnn"], v["kernel_size"] ** 2, 1)
    standard = np.logical_and(v["standard"], wide)
    fan_in = np.where(wide, width, 1.0) * window
    first_fan = window * np.where(v["cnn"], task.n_features // pixels, task.n_features)
    readout_fan = np.where(wide, width, 1.0) * np.where(np.logical_and(v["cnn"], v["pooling"] == 0), pixels, 1)
    factor = rate_factor(v, task)
    fluctuation = np.where(wide, np.expm1(np.minimum(WIDTH_GAIN * v["depth"] / width, 50.0)), 0.0)
    columns = (
        v["weight_variance"],
        v["bias_variance"],
        v["depth"],
        v["code"],
        v["slope"],
        v["keep_rate"],
        np.where(np.isfinite(v["residual_scale"]), v["residual_scale"] ** 2, -1.0),
        v["layer_norm"],
        (window - 1) / 12.0,
        np.where(standard, first_fan / fan_in, 1.0),
        np.where(standard, readout_fan / fan_in, 1.0),
        np.where(standard, v["weight_variance"] / fan_in, v["bias_variance"]),
        np.where(np.isfinite(v["learning_rate"]), v["learning_rate"], 0.0) * factor,
        v["steps"] / (1.0 - v["momentum"]),
        2.0 * (1.0 + v["momentum"]),
        np.where(np.isfinite(v["batch_size"]), 1.0 / np.minimum(v["batch_size"], task.n_train), 0.0),
        fluctuation,
        WIDTH_NOISE * np.sqrt(np.minimum(task.n_train, np.where(wide, width, 1.0)) * fluctuation),
        np.where(v["adam"], _adam_reach(v, task, factor, fan_in, first_fan, readout_fan), -1.0),
    )
    stacked = np.stack([np.asarray(column, dtype=np.float64) for column in np.broadcast_arrays(*columns)], axis=-1)
    return stacked.reshape(-1, len(columns))


def rate_factor(v: Mapping[str, Any], task: Task) -> Any:
    """What a learning rate in the budget's convention is multiplied by to act on the summed loss's NTK.

    The mean over samples divides by n_train; cross-entropy's curvature at initialisation is 1 / n_classes; and in the
    standard parametrization a hidden weight counts fan-in / sigma_w^2 times as much as in the NTK one.
    """
    wide = np.isfinite(v["width"])
    fan_in = np.where(wide, v["width"], 1.0) * np.where(v["cnn"], v["kernel_size"] ** 2, 1)
    conversion = np.where(np.logical_and(v["standard"], wide), fan_in / v["weight_variance"], 1.0)
    return conversion * np.where(v["cross_entropy"], 1.0 / task.n_classes, 1.0) / task.n_train


def _adam_reach(v: Mapping[str, Any], task: Task, factor: Any, fan_in: Any, first_fan: Any, readout_fan: Any) -> Any:
    """Adam moves no parameter by more than about eta a step, so P of them by at most eta t sqrt(P) together.

    Without a rate or a width there is no such bound, and nothing is said.
    """
    width = v["width"]
    parameters = width * (first_fan + fan_in * (v["depth"] - 1)) + readout_fan * task.n_classes
    path = (v["learning_rate"] * v["steps"]) ** 2 * parameters
    scale = factor * task.n_train * np.where(v["cross_entropy"], task.n_classes, 1)
    energy = task.n_train * (1.0 - 1.0 / task.n_classes)
    return np.nan_to_num(path * scale / energy, nan=1e300, posinf=1e300)


def plain_values(architecture: Architecture, budget: Budget) -> dict[str, Any]:
    """The fields of both as ``encode`` takes them, without ``code``."""

    def number(value: float | None) -> float:
        return math.nan if value is None else float(value)

    return {
        "weight_variance": architecture.weight_variance,
        "bias_variance": architecture.bias_variance,
        "depth": architecture.depth,
        "slope": architecture.slope,
        "keep_rate": architecture.keep_rate,
        "residual_scale": number(architecture.residual_scale),
        "kernel_size": architecture.kernel_size,
        "pooling": architecture.pooling,
        "layer_norm": architecture.normalization == "layer",
        "cnn": architecture.kind == "cnn",
        "steps": budget.steps,
        "learning_rate": number(budget.learning_rate),
        "momentum": budget.momentum,
        "batch_size": number(budget.batch_size),
        "width": number(budget.width),
        "adam": budget.optimizer == "adam",
        "standard": budget.parametrization == "standard",
        "cross_entropy": budget.loss == "cross_entropy",
    }


@lru_cache(maxsize=64)
def stage_of(task: Task, view: ViewName) -> tuple[Scene, float]:
    """A task's view ready for compiled code, and the best R^2 on it."""
    stage = scene(task.views[view], task.n_train, task.n_classes)
    return stage, best_r2(stage)


def sides(architecture: Architecture, task: Task, budget: Budget) -> Sides:
    """Both sides of one configuration inside the theory."""
    return Sides(*(float(column[0]) for column in _sides_of_one(architecture, task, budget)))


def _sides_of_one(architecture: Architecture, task: Task, budget: Budget) -> Array:
    code, slope, table = dual(architecture.activation, architecture.slope)
    rows = encode({**plain_values(architecture, budget), "code": code, "slope": slope}, task)
    stage, best = stage_of(task, view_name(architecture))
    out = np.empty((5, 1))
    judge_rows(rows, table, stage, best, out)
    return out


def sides_of_rows(rows: Array, table: Array, task: Task, view: ViewName) -> Sides:
    """Both sides of many configurations that share an activation and a view, on all cores."""
    stage, best = stage_of(task, view)
    out = np.empty((5, len(rows)))
    spans = [slice(start, start + _CHUNK) for start in range(0, len(rows), _CHUNK)]

    def work(span: slice) -> None:
        judge_rows(rows[span], table, stage, best, out[:, span])

    if len(spans) < 2:
        for span in spans:
            work(span)
    else:
        with ThreadPoolExecutor(cpu_count()) as pool:
            list(pool.map(work, spans))
    return Sides(*out)


@entry
def judge_rows(rows, table, stage, best, out):  # type: ignore[no-untyped-def]
    """``judge`` over rows made by ``encode``; fills ``out``, shape (5, n), with the fields of ``Sides``."""
    nodes = scratch(stage.cosines.size)
    lam, fit = np.empty(stage.counts.size), np.empty(stage.fit.shape[0])
    for i in range(rows.shape[0]):
        r = rows[i]
        net = Layers(r[0], r[1], int(r[2]), int(r[3]), r[4], table, r[5], r[6], r[7] > 0.0, r[8], r[9], r[10], r[11])
        budget = Run(r[12], r[13], r[14], r[15], r[16], r[17], r[18])
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = judge(net, stage, budget, best, nodes, lam, fit)


@inner
def judge(net, stage, budget, best, nodes, lam, fit):  # type: ignore[no-untyped-def]
    """Both sides of one configuration.

    Args:
        net: ``ntk.Layers``.
        stage: ``spectrum.Scene``.
        budget: ``Run``.
        best: R^2 that the best kernel reaches on this task, see ``best_r2``.
        nodes, lam, fit: Scratch, see ``spectrum.eigenvalues``.

    Returns:
        The fields of ``Sides``.
    """
    log_gap, log_max, log_own, _ = eigenvalues(net, stage, nodes, lam, fit)
    m = stage.n_train
    adam = budget.reach >= 0.0
    # Sampling noise adds the curvature of single examples (Ma, Bassily and Belkin, arXiv 1712.06559).
    log_peak = log_max
    if budget.sample_share > 0.0:
        single = m * math.exp(log_own - log_max) * budget.sample_share
        log_peak += math.log(1.0 - budget.sample_share + single)
    log_limit = math.log(budget.limit) - log_peak
    log_excess = math.log(budget.rate) - log_limit if budget.rate > 0.0 and not adam else -math.log(2.0)
    stability = min(max(1.0 - log_excess / math.log(2.0), 0.0), 1.0)
    log_time = min(log_limit + min(log_excess, 0.0) + math.log(budget.time) + log_gap, 600.0)
    mean = 0.0
    for i in range(lam.size):
        mean += stage.counts[i] * lam[i] / m
    time = math.exp(log_time)
    learnt = total = degrees = 0.0
    left = budget.reach
    floor = 1.0 + budget.noise * time * mean
    for i in range(lam.size):
        energy = stage.energy[i]
        x = time * lam[i]
        if adam:
            need = energy * math.exp(min(-log_gap - math.log(lam[i]), 600.0))
            learnt += energy * min(1.0, left / need) if need > 0.0 else energy
            left = max(left - need, 0.0)
            # Adam's preconditioner is unknown: generalization is that of the fully trained kernel.
            rest = 1.0 / (lam[i] + (budget.noise + 1e-6) * mean)
        else:
            learnt -= energy * math.expm1(-2.0 * min(x, 300.0) / (1.0 + budget.slow))
            rest = 1.0 / (floor + x)
        total += energy * rest * rest
        degrees += stage.counts[i] * rest / m
    r2 = 1.0 - total / max(degrees * degrees, 1e-300)
    generalization = min(max(r2 / best, 0.0), 1.0)
    trainability = math.sqrt(min(max(learnt, 0.0), 1.0)) * stability
    return trainability, generalization, stability, log_excess, log_max - log_gap - math.log(lam[stage.middle])


def best_r2(stage: Scene) -> float:
    """R^2 that the best ridge regression with a kernel cubic in the cosine reaches, by the same estimate."""
    powers = np.maximum(stage.eigenvalues, 0.0)
    mixes = np.array(
        [[1, 0, 0, 0, 0], [2, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 2, 1, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0.0]]
    )
    mixes /= mixes.sum(axis=1, keepdims=True)
    ridges = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0])
    rest = 1.0 / ((mixes @ powers)[:, None, :] + ridges[:, None])  # mixes, ridges, groups
    degrees = rest @ stage.counts / stage.counts.sum()
    return max(float(np.max(1.0 - (rest**2) @ stage.energy / degrees**2)), 1e-3)
