"""A task's view as the arrays that compiled code reads and works in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ntk_prior._types import Array
from ntk_prior.task.cosines import Fits
from ntk_prior.task.task import Task
from ntk_prior.task.views import ViewName
from ntk_prior.theory.jit import inner
from ntk_prior.theory.layers import Row, window_of
from ntk_prior.theory.recursion import Scratch, scratch
from ntk_prior.theory.sign_descent import LayerScratch, layer_scratch


class Modes(NamedTuple):
    """Eigenmodes of a centred kernel in groups, leading first, and where the labels lie in them.

    Attributes:
        counts: Modes in each group, shape (groups,), summing to the number of training samples.
        energy: Share of the centred labels' energy in each group, shape (groups,), summing to 1.
        middle: The group that holds the median eigenvalue.
    """

    counts: Array
    energy: Array
    middle: int


class TaskArrays(NamedTuple):
    """A task's view as compiled code reads it; see ``View`` for the arrays."""

    cosines: Array
    group: int
    spreads: Array
    variances: Array
    fits: Fits
    across: Array
    apart: Array
    """``across`` less ``within``: weights whose sum of gaps is the mean gap between inputs, pixels pooled."""
    same_class: Array
    other_class: Array
    within: Array
    eigenvalues: Array
    modes: Modes
    diagonals: Array
    uniform: Array
    uniform_pairs: Array
    """Products of ``uniform``'s entries, shape (size^2,); ``leading`` is flattened to (powers, size^2) like them."""
    leading: Array
    self_share: float
    n_train: int
    sides: int
    """Classes, or the two halves of a regression's targets, which ``same_class`` and ``other_class`` tell apart."""
    n_outputs: int
    target_variance: float
    n_features: int
    n_pixels: int


class Workspace(NamedTuple):
    """Arrays that ``eigenvalues`` works in."""

    nodes: Scratch
    layers: LayerScratch
    lam: Array
    """Eigenvalue of each group, shape (groups,)."""
    fit: Array
    """Gaps as n + sum_k a_k (1 - c^k): n and a_k, shape (powers + 1,)."""
    tried: Array
    """Terms of a fit that is only tried, shape (powers + 1,)."""
    pulls: Array
    """What each term explains of the gaps, shape (powers + 1,)."""
    block: Array
    """A matrix on the span of the leading vectors, shape (size^2,)."""
    vectors: Array
    """Two vectors in that span, shape (2, size)."""


def arrays_of(task: Task, name: ViewName) -> TaskArrays:
    """Prepare one of a task's views for compiled code."""
    view = task.views[name]
    summary = view.sketch
    contiguous = np.ascontiguousarray
    return TaskArrays(
        cosines=contiguous(view.cosines),
        group=view.group,
        spreads=contiguous(view.spreads),
        variances=contiguous(view.variances),
        fits=Fits(*map(contiguous, view.fits)),
        across=contiguous(view.across),
        apart=contiguous(view.across - view.within),
        same_class=contiguous(view.same_class),
        other_class=contiguous(view.other_class),
        within=contiguous(view.within),
        eigenvalues=contiguous(summary.eigenvalues),
        modes=modes(contiguous(summary.counts), contiguous(summary.energy)),
        diagonals=contiguous(summary.diagonals),
        uniform=contiguous(summary.uniform),
        uniform_pairs=np.outer(summary.uniform, summary.uniform).ravel(),
        leading=contiguous(summary.leading).reshape(len(summary.leading), -1),
        self_share=1.0 - float(view.within.sum()),
        n_train=task.n_train,
        sides=task.n_classes or 2,
        n_outputs=task.n_outputs,
        target_variance=task.target_variance,
        n_features=task.n_features,
        n_pixels=task.n_pixels or 1,
    )


def modes(counts: Array, energy: Array) -> Modes:
    """Groups of eigenmodes for compiled code, shape (groups,) each."""
    middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return Modes(counts=counts, energy=energy, middle=middle)


def workspace(arrays: TaskArrays) -> Workspace:
    """Arrays for one thread."""
    size, terms = arrays.uniform.size, arrays.fits.nugget.size
    return Workspace(
        nodes=scratch(arrays.cosines.size),
        layers=layer_scratch(arrays.cosines.size),
        lam=np.empty(arrays.modes.counts.size),
        fit=np.empty(terms),
        tried=np.empty(terms),
        pulls=np.empty(terms),
        block=np.empty(size * size),
        vectors=np.empty((2, size)),
    )


@inner
def first_fan_of(row: Row, arrays: TaskArrays) -> float:
    """Inputs of a unit of the first layer."""
    return window_of(row) * (arrays.n_features // arrays.n_pixels if row.cnn > 0.0 else arrays.n_features)


@inner
def readout_fan_of(row: Row, arrays: TaskArrays) -> float:
    """Inputs of an output unit."""
    return row.width * arrays.n_pixels if row.cnn > 0.0 and row.pooling == 0.0 else row.width
