"""The two sides of feasibility as numbers: what gradient descent learns in time, and what of it carries over.

Trainability is the correlation between outputs and training labels that gradient descent reaches,
sqrt(sum_i a_i (1 - exp(-2 eta lambda_i t))) over the eigenmodes i with label energy a_i. Generalization is the R^2
that generalized cross-validation (Craven and Wahba 1978) expects of the kernel machine so reached, relative to the best
kernel for the same data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.activations import ERF, SIN, TABULATED, dual
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.compiled import (
    PER_CALL,
    PER_CONFIGURATION,
    entry,
    entry_summing,
    inlined,
    inner,
    inner_summing,
    on_all_cores,
)
from ntk_prior.ntk import Layers, propagate
from ntk_prior.quadrature import GROWTH
from ntk_prior.spectrum import LARGEST, Scene, eigenvalues, scene, view_name, workspace
from ntk_prior.task import Task
from ntk_prior.views import ViewName

Array = NDArray[np.float64]

WIDTH_GAIN = 3.0
"""Relative variance of a width-N network's NTK entries: expm1(WIDTH_GAIN L / N) (Hanin and Nica, arXiv 1909.05989)."""

WIDTH_NOISE = 0.5
"""Spectral size of those fluctuations, in units of their standard deviation times sqrt(min(samples, width))."""

GROWING, DEEPER, NARROW = 2.5, 0.75, 128.0
"""Networks train at GROWING depth^DEEPER times the stability limit at the most, with mini-batches, under cross-entropy
or in the standard parametrization, where the activation grows (ReLU, GELU); wider ones than NARROW at as many times
more as they are wider, ..."""
BOUNDED, BOUNDED_SHALLOW = 2.5, 18.0
"""... and where it is bounded (tanh) at BOUNDED times, under cross-entropy at BOUNDED_SHALLOW / depth times if that is
more. Above all that was seen in ``benchmarks/largest_rates.py``'s trainings of depth 1 to 16 and width 128 and 512.
With full batches, the squared error and the NTK parametrization the limit holds as it is, and ``calibration`` knows how
sharply."""
ANY_NETWORK = 40.0
"""The same for a network of which only the kernel is known, or no width: more than was seen of any."""

_HOPELESS = (0.0, 0.0, 1.0, -math.log(2.0), -math.log(2.0), LARGEST, 0.0, 0.0, 0.0, 0.0)
"""The fields of ``Sides`` for a kernel that is not finite: it learns nothing at any rate."""

_LARGEST_LOG, _LARGEST_NUMBER = 1e15, 1e300
"""Logarithms and numbers beyond these are taken for overflows."""

_SMALLEST_RATE, _LARGEST_RATE = 1e-290, 1e290
"""Learning rates in the kernel's units are kept inside this range."""

_RESOLUTION = 1e-9
"""Where eigenvalues differ by less, relative to their mean, what inputs share has drowned in rounding: each input knows
of itself alone, and nothing carries over."""

_UNSEEN = 1e-8
"""Where no mode is learnt by more than this share, the network's own rounding hides what training has changed."""

_LINEAR = 1e-6
"""Share of the leading mode that is learnt at least, where only the ranking of outputs counts."""


class Run(NamedTuple):
    """A budget as compiled code reads it, in the units of the spectrum (loss summed over samples).

    Attributes:
        rate: eta, > 0, or 0 for 1 / lambda_max.
        time: Optimiser steps times their effective length: 1 / (1 - momentum) of heavy ball, n_classes of
            cross-entropy, whose residuals pull as hard as those of the squared error against a smaller curvature, and
            the share of steps in which dropout lets a gradient pass.
        limit: eta lambda_max beyond which the optimiser is unstable.
        trains_up_to: Multiple of ``limit`` up to which networks train all the same, >= 1.
        sample_share: 1 / batch size, 0 for the full batch.
        slow: Relative variance of the finite-width kernel.
        noise: Its spectral size, relative to the mean eigenvalue.
        reach: Squared distance in parameter space that Adam can cover, relative to the label energy; negative for
            other optimisers.
    """

    rate: float
    time: float
    limit: float
    trains_up_to: float
    sample_share: float
    slow: float
    noise: float
    reach: float


class Sides(NamedTuple):
    """Both sides of one configuration, or arrays of many; all finite.

    A kernel that is not finite (dropout that keeps next to nothing) learns nothing: its sides are the worst there are.

    Attributes:
        trainability: Correlation between outputs and training labels, times ``stability``, in [0, 1]. Under Adam, a
            bound on that correlation.
        generalization: Share of the best R^2 on this task that survives, in [0, 1].
        stability: 1 where networks train, falling to 0 at twice the largest rate at which they do.
        log_excess: ln(eta / eta_max) with eta_max = 2 / lambda_max; negative inside the stable range.
        log_overshoot: ln(eta / eta_end), where eta_end is the largest rate at which networks train: eta_max with full
            batches and the squared error, beyond it elsewhere.
        log_kappa: ln(lambda_max / lambda_bulk).
        learnt: Trainability at infinite width and a stable rate, in [0, 1].
        ranked: The same as a correlation that does not see how small outputs still are, in [0, 1]: what the training
            accuracy follows.
        carried: Generalization at infinite width, in [0, 1].
        carried_ranking: The same as a correlation, by leave-one-out: what the test accuracy follows. In [0, 1],
            relative to the best kernel's.
    """

    trainability: Any
    generalization: Any
    stability: Any
    log_excess: Any
    log_overshoot: Any
    log_kappa: Any
    learnt: Any
    ranked: Any
    carried: Any
    carried_ranking: Any


CONFIGURATION = np.dtype(
    [
        (name, np.float64)
        for name in (
            *("weight_variance", "bias_variance", "depth", "code", "slope", "keep_rate", "residual_scale"),
            *("kernel_size", "pooling", "layer_norm", "cnn", "steps", "learning_rate", "momentum", "batch_size"),
            *("width", "adam", "standard", "cross_entropy"),
        )
    ]
)
"""One configuration in numbers: the fields of ``Architecture`` and ``Budget``, NaN for None, flags in place of names,
and ``code`` for the activation (see ``activations.Dual``)."""


def encode(values: Mapping[str, Any]) -> NDArray[np.void]:
    """Configurations for compiled code.

    Args:
        values: The fields of ``CONFIGURATION``, numbers or arrays of shape (n,).

    Returns:
        Array of ``CONFIGURATION``, shape (n,); n is 1 where all values are numbers.
    """
    n = max(len(value) if isinstance(value, np.ndarray) else 1 for value in values.values())
    rows = np.empty(n, (np.record, CONFIGURATION))  # the interpreter reads row.field of records alone
    for name in CONFIGURATION.fields or ():
        rows[name] = values[name]
    return rows


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
    stage = scene(task, view)
    return stage, best_r2(stage)


def sides(architecture: Architecture, task: Task, budget: Budget) -> Sides:
    """Both sides of one configuration inside the theory."""
    return Sides(*(float(column[0]) for column in _sides_of_one(architecture, task, budget)))


def _sides_of_one(architecture: Architecture, task: Task, budget: Budget) -> Array:
    code, slope, table = dual(architecture.activation, architecture.slope)
    rows = encode({**plain_values(architecture, budget), "code": code, "slope": slope})
    stage, best = stage_of(task, view_name(architecture))
    out = np.empty((len(Sides._fields), 1))
    judge_rows(rows, table, stage, best, workspace(stage), out)
    return out


def sides_of_rows(rows: NDArray[np.void], table: Array, task: Task, view: ViewName) -> Sides:
    """Both sides of many configurations that share an activation and a view, on all cores."""
    stage, best = stage_of(task, view)
    out = np.empty((len(Sides._fields), len(rows)))

    def work(span: slice) -> None:
        judge_rows(rows[span], table, stage, best, workspace(stage), out[:, span])

    on_all_cores(work, len(rows))
    return Sides(*out)


@entry_summing(lambda rows, *_: PER_CALL + PER_CONFIGURATION * len(rows) + rows["depth"].sum())
def judge_rows(rows, table, stage, best, work, out):  # type: ignore[no-untyped-def]
    """From rows made by ``encode`` to both sides; fills ``out``, shape (fields, n), with the fields of ``Sides``."""
    for i in range(rows.shape[0]):
        row = rows[i]
        net, run = _layers(row, table, stage), _run(row, table, stage)
        log_scale, diagonal, log_gap, _ = propagate(
            net, stage.cosines, stage.group, stage.spreads, stage.variances, work.nodes
        )
        log_max, log_own, _ = eigenvalues(log_scale, diagonal, log_gap, stage, work)
        if not _is_finite(log_gap, log_max, log_own, work.lam):
            found = _HOPELESS
        else:
            found = _judge(log_gap, log_max, log_own, work.lam, run, stage.modes, best)
        for field in range(out.shape[0]):
            out[field, i] = found[field]


@inner
def _is_finite(log_gap, log_max, log_own, lam):  # type: ignore[no-untyped-def]
    """Whether a spectrum can be computed with; ``judge_rows`` itself is compiled as if there were no NaN."""
    fine = abs(log_gap) <= _LARGEST_LOG and abs(log_max) <= _LARGEST_LOG and abs(log_own) <= _LARGEST_LOG
    for i in range(lam.size):
        fine = fine and 0.0 < lam[i] <= _LARGEST_NUMBER
    return fine


@inner
def _layers(row, table, stage):  # type: ignore[no-untyped-def]
    """A row's network."""
    window = _window(row)
    first = readout = 1.0
    bias = row.bias_variance
    if row.standard > 0.0 and row.width > 0.0:
        fan_in = row.width * window
        first, readout = _first_fan(row, stage) / fan_in, _readout_fan(row, stage) / fan_in
        bias = row.weight_variance / fan_in
    return Layers(
        row.weight_variance,
        row.bias_variance,
        int(row.depth),
        int(row.code),
        row.slope,
        table,
        row.keep_rate,
        row.residual_scale * row.residual_scale if row.residual_scale >= 0.0 else -1.0,
        row.layer_norm > 0.0,
        (window - 1.0) / 12.0,
        first,
        readout,
        bias,
    )


@inner
def _run(row, table, stage):  # type: ignore[no-untyped-def]
    """A row's training.

    A learning rate acts on the summed loss's NTK through a factor: the mean over samples divides by n_train;
    cross-entropy's curvature at initialisation is 1 / n_classes; and in the standard parametrization a hidden weight
    counts fan-in / sigma_w^2 times as much as in the NTK one. NaN (no width, no rate) fails every comparison below.
    """
    m, width = float(stage.n_train), row.width
    curvature = 1.0 / stage.n_classes if row.cross_entropy > 0.0 else 1.0
    window = _window(row)
    conversion = width * window / row.weight_variance if row.standard > 0.0 and width > 0.0 else 1.0
    factor = conversion * curvature / m
    slow = math.expm1(min(WIDTH_GAIN * row.depth / width, 50.0)) if width > 0.0 else 0.0
    reach = -1.0
    if row.adam > 0.0:
        # Adam moves no parameter by more than about eta a step, so P of them by at most eta t sqrt(P) together. Without
        # a rate or a width there is no such bound, and nothing is said.
        reach = 1e300
        if row.learning_rate > 0.0 and width > 0.0:
            parameters = width * (_first_fan(row, stage) + width * window * (row.depth - 1.0))
            parameters += _readout_fan(row, stage) * stage.n_classes
            path = (row.learning_rate * row.steps) ** 2 * parameters
            reach = min(path * conversion / (m * (1.0 - 1.0 / stage.n_classes)), 1e300)
    rate = min(max(row.learning_rate * factor, _SMALLEST_RATE), _LARGEST_RATE) if row.learning_rate > 0.0 else 0.0
    return Run(
        rate,
        row.steps * _passing(row, stage) / (1.0 - row.momentum) / curvature,
        2.0 * (1.0 + row.momentum),
        _trains_up_to(row, table) if row.cross_entropy > 0.0 or row.standard > 0.0 or row.batch_size < m else 1.0,
        1.0 / min(row.batch_size, m) if row.batch_size > 0.0 else 0.0,
        slow,
        WIDTH_NOISE * math.sqrt(min(m, width) * slow) if width > 0.0 else 0.0,
        reach,
    )


@inner
def _passing(row, stage):  # type: ignore[no-untyped-def]
    """Share of the steps in which dropout leaves a path through all layers; in the others no gradient passes."""
    if not (row.keep_rate < 1.0 and row.width > 0.0):
        return 1.0
    units = row.width * (stage.n_pixels if row.cnn > 0.0 else 1.0)
    none_left = math.exp(units * math.log1p(-row.keep_rate))
    return max((1.0 - none_left) ** row.depth, 1e-300)


@inner
def _trains_up_to(row, table):  # type: ignore[no-untyped-def]
    """Multiple of the stability limit at which networks train where users do, see ``GROWING``."""
    code = int(row.code)
    if code in (ERF, SIN) or (code == TABULATED and table[0, GROWTH] == 0.0):
        return max(BOUNDED, BOUNDED_SHALLOW / row.depth) if row.cross_entropy > 0.0 else BOUNDED
    if not row.width > 0.0:
        return ANY_NETWORK
    return GROWING * row.depth**DEEPER * max(1.0, row.width / NARROW)


@inner
def _window(row):  # type: ignore[no-untyped-def]
    """Pixels that a unit sees of the layer before."""
    return row.kernel_size * row.kernel_size if row.cnn > 0.0 else 1.0


@inner
def _first_fan(row, stage):  # type: ignore[no-untyped-def]
    """Inputs of a unit of the first layer."""
    return _window(row) * (stage.n_features // stage.n_pixels if row.cnn > 0.0 else stage.n_features)


@inner
def _readout_fan(row, stage):  # type: ignore[no-untyped-def]
    """Inputs of an output unit."""
    return row.width * stage.n_pixels if row.cnn > 0.0 and row.pooling == 0.0 else row.width


@entry(lambda *_: PER_CONFIGURATION)
def run_of(row, table, stage):  # type: ignore[no-untyped-def]
    """``Run`` of a row made by ``encode``."""
    return _run(row, table, stage)


@entry_summing(lambda *_: PER_CONFIGURATION)
def judge_modes(log_gap, log_max, log_own, lam, run, modes, best):  # type: ignore[no-untyped-def]
    """The fields of ``Sides`` from a spectrum that is known already; arguments as for ``_judge``."""
    return _judge(log_gap, log_max, log_own, lam, run, modes, best)


@inner_summing
def _judge(log_gap, log_max, log_own, lam, budget, modes, best):  # type: ignore[no-untyped-def]
    """Both sides of one configuration.

    Args:
        log_gap, log_max, log_own: Logarithms of the eigenvalues' unit, of lambda_max and of the kernel's diagonal.
        lam: The eigenvalue of each group, shape (groups,).
        budget: ``Run``.
        modes: ``Modes``.
        best: R^2 that the best kernel reaches on this task, see ``best_r2``.

    Returns:
        The fields of ``Sides``.
    """
    m = modes.counts.sum()
    adam = budget.reach >= 0.0
    # Sampling noise adds the curvature of single examples (Ma, Bassily and Belkin, arXiv 1712.06559).
    log_peak = log_max
    if budget.sample_share > 0.0:
        single = m * math.exp(log_own - log_max) * budget.sample_share
        log_peak += math.log(1.0 - budget.sample_share + single)
    log_limit = math.log(budget.limit) - log_peak
    log_excess = math.log(budget.rate) - log_limit if budget.rate > 0.0 and not adam else -math.log(2.0)
    log_overshoot = log_excess - math.log(budget.trains_up_to)
    stability = min(max(1.0 - log_overshoot / math.log(2.0), 0.0), 1.0)
    log_time = min(log_limit + min(log_excess, 0.0) + math.log(budget.time) + log_gap, 600.0)
    mean = top = 0.0
    bottom = lam[0]
    for i in range(lam.size):
        mean += modes.counts[i] * lam[i] / m
        top, bottom = max(top, lam[i]), min(bottom, lam[i])
    time = math.exp(log_time)
    # So short a training is linear, and rankings do not depend on its length any more.
    no_less = max(time, _LINEAR / top)
    fitted = reached = aligned = length = 0.0
    slowed = 2.0 * time / (1.0 + budget.slow)
    if adam:
        fitted = reached = aligned = length = _reached(modes, lam, log_gap, budget.reach)
        # Adam's preconditioner is unknown: generalization is that of the fully trained kernel.
        time = no_less = 1.0
        floor, noise = 1e-6 * mean, budget.noise * mean
    else:
        floor, noise = 1.0, budget.noise * time * mean
        for i in range(lam.size):
            left = _decay(min(no_less * lam[i], 600.0))
            energy, share = modes.energy[i], 1.0 - left
            fitted += energy * (1.0 - _decay(min(slowed * lam[i], 600.0)))
            reached += energy * share * (1.0 + left)
            aligned += energy * share
            length += energy * share * share
    r2, _ = _carried(time, floor + noise, lam, modes)
    wide_r2, ranking = _carried(no_less, floor, lam, modes)
    if top - bottom <= _RESOLUTION * mean:
        r2 = wide_r2 = ranking = 0.0
    if time * top <= _UNSEEN:
        aligned = wide_r2 = ranking = 0.0
    return (
        _root(fitted) * stability,
        _share(r2 / best),
        stability,
        log_excess,
        log_overshoot,
        log_max - log_gap - math.log(lam[modes.middle]),
        _root(reached),
        _share(aligned / math.sqrt(max(length, 1e-300))),
        _share(wide_r2 / best),
        _share(ranking / math.sqrt(best)),
    )


@inner
def _share(x):  # type: ignore[no-untyped-def]
    """``x`` inside [0, 1]."""
    return min(max(x, 0.0), 1.0)


@inner
def _root(x):  # type: ignore[no-untyped-def]
    """Square root of ``x`` inside [0, 1]."""
    return math.sqrt(min(max(x, 0.0), 1.0))


@inner_summing
def _carried(time, floor, lam, modes):  # type: ignore[no-untyped-def]
    """What of a kernel machine carries over to an input that it has not seen, by generalized cross-validation.

    A training residual r becomes that of a left-out sample when it is divided by the degrees of freedom that are left.

    Args:
        time: Ratio of the kernel to the ridge that stands for the training time.
        floor: The ridge.
        lam, modes: As for ``_judge``.

    Returns:
        R^2, and the correlation between predictions and labels; neither is bounded below.
    """
    m = modes.counts.sum()
    degrees = 0.0
    for i in range(lam.size):
        degrees += modes.counts[i] / (floor + time * lam[i])
    degrees = max(degrees / m, 1e-300)
    missed = overlap = length = 0.0
    for i in range(lam.size):
        residual = 1.0 / ((floor + time * lam[i]) * degrees)
        missed += modes.energy[i] * residual * residual
        overlap += modes.energy[i] * (1.0 - residual)
        length += modes.energy[i] * (1.0 - residual) * (1.0 - residual)
    return 1.0 - missed, overlap / math.sqrt(max(length, 1e-300))


@inlined
def _decay(y):  # type: ignore[no-untyped-def]
    """exp(-y) to 1e-13 for y in [0, 600], by squaring exp(-y / 1024): libm's would keep loops from vectorising."""
    t = y * (1.0 / 1024.0)
    t2 = t * t
    e = (1.0 - t) + t2 * ((1.0 / 2.0 - t / 6.0) + t2 * ((1.0 / 24.0 - t / 120.0) + t2 * (1.0 / 720.0 - t / 5040.0)))
    for _ in range(10):
        e *= e
    return e


@inner_summing
def _reached(modes, lam, log_gap, reach):  # type: ignore[no-untyped-def]
    """Share of the label energy that a path of limited length in parameter space fits, easiest modes first."""
    learnt = 0.0
    for i in range(lam.size):
        energy = modes.energy[i]
        need = energy * math.exp(min(-log_gap - math.log(lam[i]), 600.0))
        learnt += energy * min(1.0, reach / need) if need > 0.0 else energy
        reach = max(reach - need, 0.0)
    return learnt


def best_r2(stage: Scene) -> float:
    """R^2 that the best ridge regression with a polynomial kernel reaches, by the same estimate."""
    powers = np.maximum(stage.eigenvalues, 0.0)
    mixes = np.array(
        [[1, 0, 0, 0, 0], [2, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 2, 1, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0.0]]
    )
    mixes /= mixes.sum(axis=1, keepdims=True)
    ridges = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0])
    rest = 1.0 / ((mixes @ powers)[:, None, :] + ridges[:, None])  # mixes, ridges, groups
    degrees = rest @ stage.modes.counts / stage.modes.counts.sum()
    return max(float(np.max(1.0 - (rest**2) @ stage.modes.energy / degrees**2)), 1e-3)
