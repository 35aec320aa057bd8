"""One network as compiled code reads it: from an architecture, or from a row of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.theory.activations import Dual, dual
from ntk_prior.theory.jit import inner

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


class Sources(NamedTuple):
    """Relative weight of each layer's own parameters in Theta, in units of a hidden layer's weights.

    The NTK parametrization has 1, 1 and sigma_b^2. In the standard one a layer's weights count by their fan-in, which
    leaves these three numbers once the hidden fan-in / sigma_w^2 is taken out as a common factor.
    """

    first: float
    """Weights of the first layer, relative to its share in K^1."""
    readout: float
    """Weights of the readout, relative to their share in K^{L+1}."""
    bias: float
    """What every layer's biases add to Theta."""


class Layers(NamedTuple):
    """An architecture as compiled code reads it; see ``Architecture`` for the meaning of each number."""

    weight_variance: float
    bias_variance: float
    depth: int
    code: int
    slope: float
    table: np.ndarray
    keep_rate: float
    branch: float
    """alpha^2 of the residual branch; a negative number means a plain network."""
    layer_norm: bool
    spread_per_layer: float
    """Variance, in pixels^2, that one convolution's window adds along each axis; 0 where nothing is averaged."""
    first: float
    readout: float
    bias: float


def layers(architecture: Architecture, sources: Sources | None = None) -> Layers:
    """Translate an architecture for compiled code.

    Args:
        architecture: The network.
        sources: Relative weights of the layers' own parameters; the NTK parametrization by default.

    Raises:
        ValueError: If its activation is unknown.
    """
    activation: Dual = dual(architecture.activation, architecture.slope)
    alpha = architecture.residual_scale
    window = architecture.kernel_size if architecture.kind == "cnn" else 1
    return Layers(
        architecture.weight_variance,
        architecture.bias_variance,
        architecture.depth,
        *activation,
        architecture.keep_rate,
        -1.0 if alpha is None else alpha * alpha,
        architecture.normalization == "layer",
        (window * window - 1) / 12.0,
        *(sources or Sources(1.0, 1.0, architecture.bias_variance)),
    )


@inner
def layers_of_row(row, table, stage):  # type: ignore[no-untyped-def]
    """A row's network."""
    window = window_of(row)
    first = readout = 1.0
    bias = row.bias_variance
    if row.standard > 0.0 and row.width > 0.0:
        fan_in = row.width * window
        first, readout = first_fan(row, stage) / fan_in, readout_fan(row, stage) / fan_in
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
def window_of(row):  # type: ignore[no-untyped-def]
    """Pixels that a unit sees of the layer before."""
    return row.kernel_size * row.kernel_size if row.cnn > 0.0 else 1.0


@inner
def first_fan(row, stage):  # type: ignore[no-untyped-def]
    """Inputs of a unit of the first layer."""
    return window_of(row) * (stage.n_features // stage.n_pixels if row.cnn > 0.0 else stage.n_features)


@inner
def readout_fan(row, stage):  # type: ignore[no-untyped-def]
    """Inputs of an output unit."""
    return row.width * stage.n_pixels if row.cnn > 0.0 and row.pooling == 0.0 else row.width
