"""Compiled: a training by Adam or its like in the units of descent by signs."""

from __future__ import annotations

import math

from ntk_prior.theory.jit import inner, inner_summing
from ntk_prior.theory.layers import Layers, Row, window_of
from ntk_prior.theory.sign_descent import MAX_DEPTH, layer_kernels, sign_speeds
from ntk_prior.theory.spectrum import LARGEST
from ntk_prior.theory.task_arrays import TaskArrays, Workspace, first_fan_of, readout_fan_of
from ntk_prior.verdict.schedule import effective_steps, longest_step


@inner_summing
def sign_steps(row: Row, net: Layers, arrays: TaskArrays, work: Workspace) -> tuple[float, float]:
    """``log_speed`` and ``log_kick`` of a training by Adam or its like; -LARGEST each where they are not known.

    Args:
        row, net: The configuration.
        arrays: The task.
        work: ``nodes`` and ``lam`` as ``propagate`` and ``eigenvalues`` left them.
    """
    if not _are_known(row, net):
        return -LARGEST, -LARGEST
    gap = quotient = 0.0
    for j in range(arrays.apart.size):
        gap += arrays.apart[j] * work.nodes.gaps[j]
    for i in range(work.lam.size):
        quotient += arrays.modes.energy[i] * work.lam[i]
    alignment = quotient / max(gap, 1e-12 * quotient) if quotient > 0.0 else 1.0
    window, fan = window_of(row), first_fan_of(row, arrays)
    sizes = (row.width * fan, row.width * row.width * window, readout_fan_of(row, arrays) * arrays.n_outputs)
    log_q = layer_kernels(net, arrays.cosines, arrays.group, arrays.spreads, arrays.variances, work.nodes, work.layers)
    speeds = sign_speeds(work.layers, net.depth, log_q, arrays.apart, alignment, sizes)
    rate = row.learning_rate * math.sqrt(row.width * window / row.weight_variance)
    labels = math.sqrt(arrays.n_train * arrays.target_variance)
    speed = math.log(max(rate * effective_steps(row) * speeds.labels / labels, 1e-300))
    return speed, math.log(max(rate * longest_step(row) * speeds.top, 1e-300))


@inner
def _are_known(row: Row, net: Layers) -> bool:
    """Whether steps can be counted; ``sign_steps`` is compiled as if no rate or width was NaN."""
    return bool(row.standard > 0.0 and row.width > 0.0 and row.learning_rate > 0.0 and net.depth <= MAX_DEPTH)
