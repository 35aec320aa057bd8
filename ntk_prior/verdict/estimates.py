"""The two sides of feasibility as numbers: what gradient descent learns in time, and what of it carries over.

Trainability is the correlation between outputs and training labels that gradient descent reaches,
sqrt(sum_i a_i (1 - exp(-2 eta lambda_i t))) over the eigenmodes i with label energy a_i. Generalization is the R^2
that generalized cross-validation (Craven and Wahba 1978) expects of the kernel machine so reached, relative to the best
kernel for the same data.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_instance, require_integer
from ntk_prior.task.hadamard import carried_modes
from ntk_prior.task.task import Task
from ntk_prior.task.views import ViewName, view_name
from ntk_prior.theory.activations import dual
from ntk_prior.theory.eigenvalues import eigenvalues
from ntk_prior.theory.jit import PER_CALL, PER_CONFIGURATION, entry_summing, inlined, inner, inner_summing, on_all_cores
from ntk_prior.theory.layers import encode, layers_of_row, plain_values
from ntk_prior.theory.measured import MeasuredSpectrum
from ntk_prior.theory.recursion import propagate
from ntk_prior.theory.spectrum import LARGEST, saturated
from ntk_prior.theory.task_arrays import TaskArrays, arrays_of, modes, workspace
from ntk_prior.verdict.schedule import schedule_of, schedule_of_own_kernel, schedule_of_row

_HOPELESS = (0.0, 0.0, 1.0, -math.log(2.0), -math.log(2.0), LARGEST, 0.0, 0.0, 0.0, 0.0)
"""The fields of ``Estimates`` for a kernel that is not finite: it learns nothing at any rate."""

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


@lru_cache(maxsize=64)
def arrays_of_view(task: Task, view: ViewName) -> tuple[TaskArrays, float]:
    """A task's view ready for compiled code, and the best R^2 on it."""
    stage = arrays_of(task, view)
    return stage, best_r2(stage)


def estimate(architecture: Architecture, task: Task, budget: Budget) -> Estimates:
    """Both sides of one configuration inside the theory."""
    return Estimates(*(float(column[0]) for column in _estimates_of_one(architecture, task, budget)))


def _estimates_of_one(architecture: Architecture, task: Task, budget: Budget) -> Array:
    code, slope, table = dual(architecture.activation, architecture.slope)
    rows = encode({**plain_values(architecture, budget), "code": code, "slope": slope})
    stage, best = arrays_of_view(task, view_name(architecture))
    out = np.empty((len(Estimates._fields), 1))
    judge_rows(rows, table, stage, best, workspace(stage), out)
    return out


def estimates_of_rows(rows: NDArray[np.void], table: Array, task: Task, view: ViewName) -> Estimates:
    """Both sides of many configurations that share an activation and a view, on all cores."""
    stage, best = arrays_of_view(task, view)
    out = np.empty((len(Estimates._fields), len(rows)))

    def work(span: slice) -> None:
        judge_rows(rows[span], table, stage, best, workspace(stage), out[:, span])

    on_all_cores(work, len(rows))
    return Estimates(*out)


@entry_summing(lambda rows, *_: PER_CALL + PER_CONFIGURATION * len(rows) + rows["depth"].sum())
def judge_rows(rows, table, stage, best, work, out):  # type: ignore[no-untyped-def]
    """From rows made by ``encode`` to both sides; fills ``out``, shape (fields, n), with ``Estimates``."""
    for i in range(rows.shape[0]):
        row = rows[i]
        net, run = layers_of_row(row, table, stage), schedule_of_row(row, table, stage)
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


@entry_summing(lambda *_: PER_CONFIGURATION)
def judge_modes(log_gap, log_max, log_own, lam, run, modes, best):  # type: ignore[no-untyped-def]
    """The fields of ``Estimates`` from a spectrum that is known already; arguments as for ``_judge``."""
    return _judge(log_gap, log_max, log_own, lam, run, modes, best)


@inner_summing
def _judge(log_gap, log_max, log_own, lam, budget, modes, best):  # type: ignore[no-untyped-def]
    """Both sides of one configuration.

    Args:
        log_gap, log_max, log_own: Logarithms of the eigenvalues' unit, of lambda_max and of the kernel's diagonal.
        lam: The eigenvalue of each group, shape (groups,).
        budget: ``Schedule``.
        modes: ``Modes``.
        best: R^2 that the best kernel reaches on this task, see ``best_r2``.

    Returns:
        The fields of ``Estimates``.
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


def best_r2(stage: TaskArrays) -> float:
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


def estimates_from_spectrum(
    spectrum: MeasuredSpectrum, task: Task, budget: Budget, architecture: Architecture | None = None
) -> Estimates:
    """Both sides of feasibility from a measured spectrum, carried to the task's number of samples.

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
    lam, energy, counts = carried_modes(spectrum.eigenvalues / unit, spectrum.energy, n)
    log_max = spectrum.log_lambda_max + math.log(max(n / measured, 1e-300))
    log_own = math.log(spectrum.diagonal)
    if architecture is None:
        run, best = (
            schedule_of_own_kernel(spectrum, task, budget),
            max(arrays_of_view(task, view)[1] for view in task.views),
        )
    else:
        code, slope, table = dual(architecture.activation, architecture.slope)
        row = encode({**plain_values(architecture, budget), "code": code, "slope": slope})[0]
        stage, best = arrays_of_view(task, view_name(architecture))
        run = schedule_of(row, table, stage)
    lam = np.maximum(np.ascontiguousarray(lam), math.exp(-LARGEST))
    return Estimates(*judge_modes(math.log(unit), log_max, log_own, lam, run, modes(counts, energy), best))


def max_learning_rate(architecture: Architecture, task: Task, budget: Budget) -> float:
    """Largest stable learning rate, in the budget's convention (mean loss, parametrization, batch size, momentum).

    Gradient descent on half the mean squared error is stable up to 2 n_train / lambda_max in the NTK parametrization.

    Args:
        architecture: The network.
        task: The task's summary.
        budget: The optimiser; its own ``learning_rate`` is ignored.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: For Adam, whose stability the kernel does not decide, and for what the theory does not know.
    """
    require_instance("architecture", architecture, Architecture)
    require_instance("task", task, Task)
    require_instance("budget", budget, Budget)
    if budget.unknown or architecture.unknown:
        raise ValueError(
            f"expected a training and a network that the theory knows: {budget.unknown or architecture.unknown}"
        )
    if budget.optimizer == "adam":
        raise ValueError("optimizer: expected 'sgd' or 'momentum' (Adam's stability is not a property of the kernel)")
    return saturated(-estimate(architecture, task, replace(budget, learning_rate=1.0)).log_excess)
