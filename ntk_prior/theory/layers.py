"""One network as compiled code reads it: from an architecture, or from a row of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.theory.activations import dual
from ntk_prior.theory.jit import inner


class Row(Protocol):
    """One configuration in numbers, as compiled code reads it.

    The fields of ``Architecture`` and ``Budget``, NaN for None, flags in place of names, and ``code`` for the
    activation (see ``activations.Dual``). ``adaptive`` stands for Adam and its like, ``decoupled`` for AdamW,
    ``falling`` for a schedule that ends at 0, ``beta`` for the first of ``betas``, and ``usual_betas`` for
    their default.
    """

    weight_variance: float
    bias_variance: float
    depth: float
    code: float
    slope: float
    keep_rate: float
    residual_scale: float
    kernel_size: float
    pooling: float
    layer_norm: float
    cnn: float
    steps: float
    learning_rate: float
    momentum: float
    batch_size: float
    width: float
    adaptive: float
    standard: float
    cross_entropy: float
    weight_decay: float
    decoupled: float
    falling: float
    warmup_steps: float
    beta: float
    usual_betas: float


CONFIGURATION = np.dtype([(name, np.float64) for name in Row.__annotations__])
"""The type of a ``Row`` in an array."""


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
        "steps": budget.n_steps,
        "learning_rate": number(budget.learning_rate),
        "momentum": budget.momentum,
        "batch_size": number(budget.batch_size),
        "width": number(budget.width),
        "adaptive": budget.is_adaptive,
        "standard": budget.parametrization == "standard",
        "cross_entropy": budget.loss == "cross_entropy",
        "weight_decay": budget.weight_decay,
        "decoupled": budget.optimizer == "adamw",
        "falling": budget.schedule != "constant",
        "warmup_steps": budget.warmup_steps,
        "usual_betas": budget.has_usual_betas,
        "beta": 0.0 if budget.optimizer == "rmsprop" else budget.betas[0],
    }


@lru_cache(maxsize=4)
def encode_one(architecture: Architecture, budget: Budget) -> tuple[NDArray[np.void], Array]:
    """One configuration for compiled code; what estimates it and what judges the estimates ask one after the other.

    Returns:
        Array of ``CONFIGURATION``, shape (1,), and the table of the activation's dual.

    Raises:
        ValueError: If its activation is unknown.
    """
    code, slope, table = dual(architecture.activation, architecture.slope)
    return encode({**plain_values(architecture, budget), "code": code, "slope": slope}), table


class Layers(NamedTuple):
    """A network as compiled code reads it; see ``Architecture`` for the meaning of most numbers.

    The last three are what each layer's own parameters weigh in Theta, in units of a hidden layer's weights. The NTK
    parametrization has 1, 1 and sigma_b^2. In the standard one a layer's weights count by their fan-in, which leaves
    these three numbers once the hidden fan-in / sigma_w^2 is taken out as a common factor.
    """

    weight_variance: float
    bias_variance: float
    depth: int
    code: int
    slope: float
    table: Array
    keep_rate: float
    branch: float
    """alpha^2 of the residual branch; a negative number means a plain network."""
    layer_norm: bool
    spread_per_layer: float
    """Variance, in pixels^2, that one convolution's window adds along each axis; 0 where nothing is averaged."""
    first: float
    """Weights of the first layer, relative to their share in K^1."""
    readout: float
    """Weights of the readout, relative to their share in K^{L+1}."""
    bias: float
    """What every layer's biases add to Theta."""


def layers(architecture: Architecture) -> Layers:
    """A network in the NTK parametrization for compiled code.

    Raises:
        ValueError: If its activation is unknown.
    """
    rows, table = encode_one(architecture, Budget(steps=1))
    return layers_of_row(rows[0], table, 1.0, 1.0)


@inner
def layers_of_row(row: Row, table: Array, first_fan: float, readout_fan: float) -> Layers:
    """A row's network.

    Args:
        row: The configuration.
        table: Of its activation's dual.
        first_fan, readout_fan: Inputs of a unit of the first layer and of an output unit, for the standard
            parametrization.
    """
    window = window_of(row)
    first = readout = 1.0
    bias = row.bias_variance
    if row.standard > 0.0 and row.width > 0.0:
        fan_in = row.width * window
        first, readout = first_fan / fan_in, readout_fan / fan_in
        bias = row.weight_variance / fan_in
    return Layers(
        weight_variance=row.weight_variance,
        bias_variance=row.bias_variance,
        depth=int(row.depth),
        code=int(row.code),
        slope=row.slope,
        table=table,
        keep_rate=row.keep_rate,
        branch=row.residual_scale * row.residual_scale if row.residual_scale >= 0.0 else -1.0,
        layer_norm=row.layer_norm > 0.0,
        spread_per_layer=(window - 1.0) / 12.0,
        first=first,
        readout=readout,
        bias=bias,
    )


@inner
def window_of(row: Row) -> float:
    """Pixels that a unit sees of the layer before."""
    return row.kernel_size * row.kernel_size if row.cnn > 0.0 else 1.0
