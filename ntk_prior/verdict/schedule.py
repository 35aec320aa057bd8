"""A budget in the kernel's units: learning rate, time and noise, from a row of numbers or for a measured kernel."""

from __future__ import annotations

import math
from typing import NamedTuple

from ntk_prior._types import Array
from ntk_prior.budget import Budget
from ntk_prior.task.task import Task
from ntk_prior.theory.activations import ERF, SIN, TABULATED
from ntk_prior.theory.dual_table import GROWTH
from ntk_prior.theory.jit import PER_CONFIGURATION, entry, inner
from ntk_prior.theory.layers import Row, window_of
from ntk_prior.theory.measured import MeasuredSpectrum
from ntk_prior.theory.task_arrays import TaskArrays, first_fan_of, readout_fan_of

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
more. Above all that was seen in ``studies.trainings.largest_rates``'s trainings of depth 1 to 16 and width 128 and 512.
With full batches, the squared error and the NTK parametrization the limit holds as it is, and ``calibration`` knows how
sharply."""
ANY_NETWORK = 40.0
"""The same for a network of which only the kernel is known, or no width: more than was seen of any."""

RMS_DECAY = 0.99
"""Decay rate of RMSprop's average of squares; PyTorch's default."""

_SMALLEST_RATE, _LARGEST_RATE = 1e-290, 1e290
"""Learning rates in the kernel's units are kept inside this range."""


class Schedule(NamedTuple):
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


@inner
def schedule_of_row(row: Row, table: Array, arrays: TaskArrays) -> Schedule:
    """A row's training.

    A learning rate acts on the summed loss's NTK through a factor: the mean over samples divides by n_train;
    cross-entropy's curvature at initialisation is 1 / n_classes; and in the standard parametrization a hidden weight
    counts fan-in / sigma_w^2 times as much as in the NTK one. NaN (no width, no rate) fails every comparison below.
    """
    m, width = float(arrays.n_train), row.width
    curvature = 1.0 / arrays.n_outputs if row.cross_entropy > 0.0 else 1.0
    window, steps = window_of(row), effective_steps(row)
    conversion = width * window / row.weight_variance if row.standard > 0.0 and width > 0.0 else 1.0
    factor = conversion * curvature / m
    slow = math.expm1(min(WIDTH_GAIN * row.depth / width, 50.0)) if width > 0.0 else 0.0
    reach = -1.0
    if row.adaptive > 0.0:
        # No step of Adam moves a parameter by more than about eta, or RMSprop by as much as its longest one, so that P
        # of them move by at most eta t sqrt(P) together. Without a rate or a width nothing is said.
        reach = 1e300
        if row.learning_rate > 0.0 and width > 0.0:
            parameters = width * (first_fan_of(row, arrays) + width * window * (row.depth - 1.0))
            parameters += readout_fan_of(row, arrays) * arrays.n_outputs
            path = (row.learning_rate * longest_step(row) * steps) ** 2 * parameters
            reach = min(path * conversion / (m * arrays.target_variance), 1e300)
    rate = min(max(row.learning_rate * factor, _SMALLEST_RATE), _LARGEST_RATE) if row.learning_rate > 0.0 else 0.0
    elsewhere = row.cross_entropy > 0.0 or row.standard > 0.0 or row.batch_size < m
    return Schedule(
        rate=rate,
        time=steps * _passing(row, arrays) / (1.0 - row.momentum) / curvature,
        limit=2.0 * (1.0 + row.momentum),
        trains_up_to=_trains_up_to(row, table) if elsewhere else 1.0,
        sample_share=1.0 / min(row.batch_size, m) if row.batch_size > 0.0 else 0.0,
        slow=slow,
        noise=WIDTH_NOISE * math.sqrt(min(m, width) * slow) if width > 0.0 else 0.0,
        reach=reach,
    )


@inner
def effective_steps(row: Row) -> float:
    """Steps at the full learning rate that move the network as far as all of a row's steps do.

    A falling rate is half the full one on average, and so is that of a warm-up. Weights that decay forget what moved
    them: a step counts exp(-decay) times as much one step later, which bounds the number of those that count.
    """
    warmup = min(row.warmup_steps, row.steps)
    steps = 0.5 * warmup + (row.steps - warmup) * (0.5 if row.falling > 0.0 else 1.0)
    decay = row.weight_decay * row.learning_rate / (1.0 - row.momentum) * steps
    if decay > 0.0 and (row.adaptive == 0.0 or row.decoupled > 0.0):  # False for NaN, where there is no rate
        steps *= -math.expm1(-min(decay, 600.0)) / decay
    return max(steps, 0.5)


@inner
def longest_step(row: Row) -> float:
    """The longest step, in units of those at the full learning rate.

    RMSprop's average of squares starts at 0 and nothing corrects for it, as Adam does: after t steps it holds
    1 - RMS_DECAY^t of the squares, so that the first step is ten times too long, unless the rate is still warming up.
    """
    if not (row.adaptive > 0.0 and row.beta == 0.0):
        return 1.0
    return 1.0 / math.sqrt(-math.expm1(math.log(RMS_DECAY) * (row.warmup_steps + 1.0)))


@inner
def _passing(row: Row, arrays: TaskArrays) -> float:
    """Share of the steps in which dropout leaves a path through all layers; in the others no gradient passes."""
    if not (row.keep_rate < 1.0 and row.width > 0.0):
        return 1.0
    units = row.width * (arrays.n_pixels if row.cnn > 0.0 else 1.0)
    none_left = math.exp(units * math.log1p(-row.keep_rate))
    return float(max((1.0 - none_left) ** row.depth, 1e-300))


@inner
def _trains_up_to(row: Row, table: Array) -> float:
    """Multiple of the stability limit at which networks train where users do, see ``GROWING``."""
    code = int(row.code)
    if code in (ERF, SIN) or (code == TABULATED and table[0, GROWTH] == 0.0):
        return max(BOUNDED, BOUNDED_SHALLOW / row.depth) if row.cross_entropy > 0.0 else BOUNDED
    if not row.width > 0.0:
        return ANY_NETWORK
    return float(GROWING * row.depth**DEEPER * max(1.0, row.width / NARROW))


@entry(lambda *_: PER_CONFIGURATION)
def schedule_of(row: Row, table: Array, arrays: TaskArrays) -> Schedule:
    """``Schedule`` of a row made by ``encode``."""
    return schedule_of_row(row, table, arrays)


def schedule_of_own_kernel(spectrum: MeasuredSpectrum, task: Task, budget: Budget) -> Schedule:
    """A training of the very network whose kernel was measured: its width has nothing left to add.

    Raises:
        ValueError: If Adam's verdict lacks the number of parameters.
    """
    m = float(task.n_train)
    curvature = 1.0 / task.n_outputs if budget.loss == "cross_entropy" else 1.0
    reach = -1.0
    if budget.is_adaptive:
        reach = 1e300
        if budget.learning_rate is not None:
            if spectrum.n_parameters is None:
                raise ValueError("n_parameters: expected a number for optimizer='adam', received None")
            path = (budget.learning_rate * budget.n_steps) ** 2 * spectrum.n_parameters
            reach = min(path / (m * task.target_variance), 1e300)
    elsewhere = budget.loss == "cross_entropy" or budget.parametrization == "standard" or (budget.batch_size or m) < m
    return Schedule(
        rate=(budget.learning_rate or 0.0) * curvature / m,
        time=budget.n_steps / (1.0 - budget.momentum) / curvature,
        limit=2.0 * (1.0 + budget.momentum),
        trains_up_to=ANY_NETWORK if elsewhere else 1.0,
        sample_share=1.0 / min(budget.batch_size, m) if budget.batch_size else 0.0,
        slow=0.0,
        noise=0.0,
        reach=reach,
    )
