"""What theory alone expects of a training: what gradient descent learns in time, and what of it carries over.

Trainability is the correlation between outputs and training labels that gradient descent reaches,
sqrt(sum_i a_i (1 - exp(-2 eta lambda_i t))) over the eigenmodes i with label energy a_i. Generalization is the R^2
that generalized cross-validation (Craven and Wahba 1978) expects of the kernel machine so reached, relative to the best
kernel for the same data.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_integer
from ntk_prior.task.hadamard import modes_at
from ntk_prior.task.task import Task
from ntk_prior.task.views import ViewName, view_name
from ntk_prior.theory.eigenvalues import eigenvalues
from ntk_prior.theory.jit import PER_CALL, PER_CONFIGURATION, entry_summing, inlined, inner, inner_summing, on_all_cores
from ntk_prior.theory.layers import encode_one, layers_of_row
from ntk_prior.theory.measured import MeasuredSpectrum
from ntk_prior.theory.recursion import propagate
from ntk_prior.theory.spectrum import LARGEST
from ntk_prior.theory.task_arrays import (
    Modes,
    TaskArrays,
    Workspace,
    arrays_of,
    first_fan_of,
    modes,
    readout_fan_of,
    workspace,
)
from ntk_prior.verdict.schedule import Schedule, schedule_of, schedule_of_own_kernel, schedule_of_row
from ntk_prior.verdict.sign_steps import sign_steps

_LARGEST_LOG, _LARGEST_NUMBER = 1e15, 1e300
"""Logarithms and numbers beyond these are taken for overflows."""

_RESOLUTION = 1e-9
"""Where eigenvalues differ by less, relative to their mean, what inputs share has drowned in rounding: each input knows
of itself alone, and nothing carries over."""

_UNSEEN = 1e-8
"""Where no mode is learnt by more than this share, the network's own rounding hides what training has changed."""

_LINEAR = 1e-6
"""Share of the leading mode that is learnt at least, where only the ranking of outputs counts."""


class Estimates(NamedTuple):
    """What is expected of one configuration, or arrays of many; all finite.

    A kernel that is not finite (dropout that keeps next to nothing) learns nothing: its estimates are the worst ones.

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
        generalization_at_infinite_width: In [0, 1].
        ranking_at_infinite_width: The same as a correlation, by leave-one-out: what the test accuracy follows. In
            [0, 1], relative to the best kernel's.
        log_speed: ln of how far the steps of the budget would carry the outputs along the labels at the initial speed,
            in units of the labels' size. Of Adam and its like by ``theory.sign_descent``, -LARGEST where it is unknown.
        log_kick: ln of how much the longest step moves what all inputs share, relative to the labels' size:
            ``log_excess`` of gradient descent, where 0 is the limit of stability; of Adam and its like as
            ``log_speed``.
    """

    trainability: Any
    generalization: Any
    stability: Any
    log_excess: Any
    log_overshoot: Any
    log_kappa: Any
    learnt: Any
    ranked: Any
    generalization_at_infinite_width: Any
    ranking_at_infinite_width: Any
    log_speed: Any
    log_kick: Any


_HOPELESS = Estimates(
    trainability=0.0,
    generalization=0.0,
    stability=1.0,
    log_excess=-math.log(2.0),
    log_overshoot=-math.log(2.0),
    log_kappa=LARGEST,
    learnt=0.0,
    ranked=0.0,
    generalization_at_infinite_width=0.0,
    ranking_at_infinite_width=0.0,
    log_speed=-LARGEST,
    log_kick=-math.log(2.0),
)
"""Of a kernel that is not finite: it learns nothing at any rate."""


SPEED, KICK = Estimates._fields.index("log_speed"), Estimates._fields.index("log_kick")


@lru_cache(maxsize=64)
def arrays_of_view(task: Task, view: ViewName) -> tuple[TaskArrays, float]:
    """A task's view ready for compiled code, and the best R^2 on it."""
    arrays = arrays_of(task, view)
    return arrays, best_r2(arrays)


def estimate(architecture: Architecture, task: Task, budget: Budget) -> Estimates:
    """Estimates of one configuration inside the theory."""
    rows, table = encode_one(architecture, budget)
    arrays, best = arrays_of_view(task, view_name(architecture))
    out = np.empty((len(Estimates._fields), 1))
    estimate_rows(rows, table, arrays, best, workspace(arrays), out)
    return Estimates(*(float(column[0]) for column in out))


def estimates_of_rows(rows: NDArray[np.void], table: Array, task: Task, view: ViewName) -> Estimates:
    """Estimates of many configurations that share an activation and a view, on all cores."""
    arrays, best = arrays_of_view(task, view)
    out = np.empty((len(Estimates._fields), len(rows)))

    def work(span: slice) -> None:
        estimate_rows(rows[span], table, arrays, best, workspace(arrays), out[:, span])

    on_all_cores(work, len(rows))
    return Estimates(*out)


@entry_summing(lambda rows, *_: PER_CALL + PER_CONFIGURATION * len(rows) + rows["depth"].sum())
def estimate_rows(
    rows: NDArray[np.void], table: Array, arrays: TaskArrays, best: float, work: Workspace, out: Array
) -> None:
    """From rows made by ``encode`` to estimates; fills ``out``, shape (fields, n)."""
    for i in range(rows.shape[0]):
        row = rows[i]
        net = layers_of_row(row, table, first_fan_of(row, arrays), readout_fan_of(row, arrays))
        schedule = schedule_of_row(row, table, arrays)
        log_scale, diagonal, log_gap, _ = propagate(
            net, arrays.cosines, arrays.group, arrays.spreads, arrays.variances, work.nodes
        )
        log_max, log_own, _ = eigenvalues(log_scale, diagonal, log_gap, arrays, work)
        if not _is_finite(log_gap, log_max, log_own, work.lam):
            found = _HOPELESS
        else:
            found = _estimate(log_gap, log_max, log_own, work.lam, schedule, arrays.modes, best)
        for field in range(out.shape[0]):
            out[field, i] = found[field]
        if row.adaptive > 0.0:
            out[SPEED, i], out[KICK, i] = sign_steps(row, net, arrays, work)


@inner
def _is_finite(log_gap: float, log_max: float, log_own: float, lam: Array) -> bool:
    """Whether a spectrum can be computed with; ``estimate_rows`` itself is compiled as if there were no NaN."""
    fine = abs(log_gap) <= _LARGEST_LOG and abs(log_max) <= _LARGEST_LOG and abs(log_own) <= _LARGEST_LOG
    for i in range(lam.size):
        fine = fine and 0.0 < lam[i] <= _LARGEST_NUMBER
    return fine


@entry_summing(lambda *_: PER_CONFIGURATION)
def estimate_modes(
    log_gap: float, log_max: float, log_own: float, lam: Array, schedule: Schedule, modes: Modes, best: float
) -> Estimates:
    """Estimates from a spectrum that is known already; arguments as for ``_estimate``."""
    return _estimate(log_gap, log_max, log_own, lam, schedule, modes, best)


@inner_summing
def _estimate(
    log_gap: float, log_max: float, log_own: float, lam: Array, schedule: Schedule, modes: Modes, best: float
) -> Estimates:
    """Estimates of one configuration.

    Args:
        log_gap, log_max, log_own: Logarithms of the eigenvalues' unit, of lambda_max and of the kernel's diagonal.
        lam: The eigenvalue of each group, shape (groups,).
        schedule: The training.
        modes: The groups.
        best: R^2 that the best kernel reaches on this task, see ``best_r2``.
    """
    m = modes.counts.sum()
    adam = schedule.reach >= 0.0
    log_limit = math.log(schedule.limit) - _log_peak(log_max, log_own, m, schedule.sample_share)
    log_excess = math.log(schedule.rate) - log_limit if schedule.rate > 0.0 and not adam else -math.log(2.0)
    log_overshoot = log_excess - math.log(schedule.trains_up_to)
    stability = min(max(1.0 - log_overshoot / math.log(2.0), 0.0), 1.0)
    log_time = min(log_limit + min(log_excess, 0.0) + math.log(schedule.time) + log_gap, 600.0)
    mean = top = pull = 0.0
    bottom = lam[0]
    for i in range(lam.size):
        mean += modes.counts[i] * lam[i] / m
        top, bottom = max(top, lam[i]), min(bottom, lam[i])
        pull += modes.energy[i] * lam[i]
    time = math.exp(log_time)
    # So short a training is linear, and rankings do not depend on its length any more.
    no_less = max(time, _LINEAR / top)
    fitted = reached = aligned = length = 0.0
    slowed = 2.0 * time / (1.0 + schedule.slow)
    if adam:
        fitted = reached = aligned = length = _reached(modes, lam, log_gap, schedule.reach)
        # Adam's preconditioner is unknown: generalization is that of the fully trained kernel.
        time = no_less = 1.0
        floor, noise = 1e-6 * mean, schedule.noise * mean
    else:
        floor, noise = 1.0, schedule.noise * time * mean
        for i in range(lam.size):
            left = _decay(min(no_less * lam[i], 600.0))
            energy, share = modes.energy[i], 1.0 - left
            fitted += energy * (1.0 - _decay(min(slowed * lam[i], 600.0)))
            reached += energy * share * (1.0 + left)
            aligned += energy * share
            length += energy * share * share
    r2, _ = _kernel_regression_r2(time, floor + noise, lam, modes)
    wide_r2, ranking = _kernel_regression_r2(no_less, floor, lam, modes)
    if top - bottom <= _RESOLUTION * mean:
        r2 = wide_r2 = ranking = 0.0
    if time * top <= _UNSEEN:
        aligned = wide_r2 = ranking = 0.0
    return Estimates(
        trainability=_root(fitted) * stability,
        generalization=_share(r2 / best),
        stability=stability,
        log_excess=log_excess,
        log_overshoot=log_overshoot,
        log_kappa=log_max - log_gap - math.log(lam[modes.middle]),
        learnt=_root(reached),
        ranked=_share(aligned / math.sqrt(max(length, 1e-300))),
        generalization_at_infinite_width=_share(wide_r2 / best),
        ranking_at_infinite_width=_share(ranking / math.sqrt(best)),
        log_speed=log_limit + log_excess + math.log(schedule.time) + log_gap + math.log(pull),
        log_kick=log_excess,
    )


@inner_summing
def _log_peak(log_max: float, log_own: float, m: float, sample_share: float) -> float:
    """ln of the largest curvature that steps meet: sampling noise adds that of single examples.

    Ma, Bassily and Belkin, arXiv 1712.06559.
    """
    if sample_share <= 0.0:
        return log_max
    single = m * math.exp(log_own - log_max) * sample_share
    return log_max + math.log(1.0 - sample_share + single)


@inner
def _share(x: float) -> float:
    """``x`` inside [0, 1]."""
    return min(max(x, 0.0), 1.0)


@inner
def _root(x: float) -> float:
    """Square root of ``x`` inside [0, 1]."""
    return math.sqrt(min(max(x, 0.0), 1.0))


@inner_summing
def _kernel_regression_r2(time: float, floor: float, lam: Array, modes: Modes) -> tuple[float, float]:
    """What of a kernel machine carries over to an input that it has not seen, by generalized cross-validation.

    A training residual r becomes that of a left-out sample when it is divided by the degrees of freedom that are left.

    Args:
        time: Ratio of the kernel to the ridge that stands for the training time.
        floor: The ridge.
        lam, modes: As for ``_estimate``.

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
def _decay(y: float) -> float:
    """exp(-y) to 1e-13 for y in [0, 600], by squaring exp(-y / 1024): libm's would keep loops from vectorising."""
    t = y * (1.0 / 1024.0)
    t2 = t * t
    e = (1.0 - t) + t2 * ((1.0 / 2.0 - t / 6.0) + t2 * ((1.0 / 24.0 - t / 120.0) + t2 * (1.0 / 720.0 - t / 5040.0)))
    for _ in range(10):
        e *= e
    return e


@inner_summing
def _reached(modes: Modes, lam: Array, log_gap: float, reach: float) -> float:
    """Share of the label energy that a path of limited length in parameter space fits, easiest modes first."""
    learnt = 0.0
    for i in range(lam.size):
        energy = modes.energy[i]
        need = energy * math.exp(min(-log_gap - math.log(lam[i]), 600.0))
        learnt += energy * min(1.0, reach / need) if need > 0.0 else energy
        reach = max(reach - need, 0.0)
    return learnt


def best_r2(arrays: TaskArrays) -> float:
    """R^2 that the best ridge regression with a polynomial kernel reaches, by the same estimate."""
    powers = np.maximum(arrays.eigenvalues, 0.0)
    mixes = np.array(
        [[1, 0, 0, 0, 0], [2, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 2, 1, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0.0]]
    )
    mixes /= mixes.sum(axis=1, keepdims=True)
    ridges = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0])
    rest = 1.0 / ((mixes @ powers)[:, None, :] + ridges[:, None])  # mixes, ridges, groups
    degrees = rest @ arrays.modes.counts / arrays.modes.counts.sum()
    return max(float(np.max(1.0 - (rest**2) @ arrays.modes.energy / degrees**2)), 1e-3)


def estimates_from_spectrum(
    spectrum: MeasuredSpectrum, task: Task, budget: Budget, architecture: Architecture | None = None
) -> Estimates:
    """Estimates from a measured spectrum, extrapolated to the task's number of samples.

    Args:
        spectrum: The kernel's. Of an infinitely wide network in the NTK parametrization where ``architecture`` is
            given; else of the very network that is to be trained, in its own parametrization.
        task: Summary of the data; gives the number of samples and the best R^2.
        budget: The training run.
        architecture: The network, whose width then counts as in ``feasibility``.

    Raises:
        ValueError: If classes disagree, or Adam's verdict lacks the number of parameters.
    """
    if spectrum.n_classes != task.n_classes:
        raise ValueError(f"task: expected {spectrum.n_classes} classes, as the spectrum has, received {task.n_classes}")
    measured, n = len(spectrum.eigenvalues), require_integer("n_train", task.n_train, 2, 10**7)
    unit = float(np.mean(spectrum.eigenvalues))
    lam, energy, counts = modes_at(spectrum.eigenvalues / unit, spectrum.energy, n)
    log_max = spectrum.log_lambda_max + math.log(max(n / measured, 1e-300))
    log_own = math.log(spectrum.diagonal)
    if architecture is None:
        schedule = schedule_of_own_kernel(spectrum, task, budget)
        best = max(arrays_of_view(task, view)[1] for view in task.views)
    else:
        rows, table = encode_one(architecture, budget)
        arrays, best = arrays_of_view(task, view_name(architecture))
        schedule = schedule_of(rows[0], table, arrays)
    lam = np.maximum(np.ascontiguousarray(lam), math.exp(-LARGEST))
    found = estimate_modes(math.log(unit), log_max, log_own, lam, schedule, modes(counts, energy), best)
    if not budget.is_adaptive:
        return found
    # The layers' shares, which decide how signs move outputs, are not in a spectrum.
    if architecture is None:
        return found._replace(log_speed=-LARGEST, log_kick=-LARGEST)
    own = estimate(architecture, task, budget)
    return found._replace(log_speed=own.log_speed, log_kick=own.log_kick)
