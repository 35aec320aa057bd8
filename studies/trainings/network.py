"""A Flax ``Network`` whose variances and initial key are arguments of the compiled program, fast on a CPU.

In the NTK parametrization every parameter starts standard normal and sigma_w and sigma_b multiply at run time. So one
compiled program serves all rows of equal shapes. Two rewritings, both exact, make it fast:

- A fully connected first layer is trained in an orthonormal basis of the span of the training inputs, which its
  gradient never leaves: 512 coordinates instead of 3,072 pixels. Test inputs see the initial kernel, too.
- A circular convolution becomes, for each row of its window, one matrix product over whole rows of pixels. With few
  channels, XLA's own convolution is many times slower, and slower still with a kernel for each element of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_prior import Architecture
from ntk_prior_flax import Network
from ntk_prior_flax.networks import activation_of

Params = Any


@dataclass(frozen=True)
class Shape:
    """What a compiled program is specialised to."""

    kind: str
    pooling: bool
    activation: str
    depth: int
    width: int

    def architecture(self, weight_variance: float, bias_variance: float) -> Architecture:
        """The specification of a network of this shape."""
        return Architecture(
            weight_variance,
            bias_variance,
            self.depth,
            self.activation,
            "cnn" if self.kind == "cnn" else "fcn",
            self.pooling,
        )


class Basis(NamedTuple):
    """Training inputs, and test inputs in and outside of their span.

    Attributes:
        x: Training inputs as the network trains on them: images, or coordinates of mean square 1.
        vectors: Orthonormal basis of the span, shape (features, coordinates); empty for images.
        inputs, inputs_test: The original inputs.
    """

    x: jax.Array
    vectors: jax.Array
    inputs: jax.Array
    inputs_test: jax.Array


def basis(kind: str, x_train: np.ndarray, x_test: np.ndarray) -> Basis:
    """Inputs for one kind of network."""
    inputs, inputs_test = (jnp.asarray(x, jnp.float32) for x in (x_train, x_test))
    if kind == "cnn":
        return Basis(inputs, jnp.zeros((0, 0)), inputs, inputs_test)
    flat = x_train.reshape(len(x_train), -1)
    vectors = np.linalg.qr(flat.T)[0] if len(flat) < flat.shape[1] else np.eye(flat.shape[1])
    # The first layer divides by its fan-in, which is now the number of coordinates.
    x = flat @ vectors * math.sqrt(vectors.shape[1] / flat.shape[1])
    return Basis(jnp.asarray(x, jnp.float32), jnp.asarray(vectors, jnp.float32), inputs, inputs_test)


class Scales(NamedTuple):
    """sigma_w and sigma_b."""

    weight: jax.Array
    bias: jax.Array


@dataclass(frozen=True)
class Model:
    """Initial parameters and outputs of a shape's networks."""

    shape: Shape
    n_classes: int

    @property
    def network(self) -> Network:
        """The network of unit variances."""
        return Network(self.shape.architecture(1.0, 1.0), self.shape.width, self.n_classes)

    def init(self, key: jax.Array, data: Basis) -> Params:
        """The parameters that ``ntk_prior_flax.train`` starts from with the same key."""
        return self.network.init(jax.random.split(key)[0], data.inputs[:1])["params"]

    def reduced(self, params: Params, data: Basis) -> Params:
        """Parameters that are trained: the first kernel in coordinates of the basis."""
        if self.shape.kind == "cnn":
            return params
        return self._with_first_kernel(params, data.vectors.T @ params["first"]["kernel"])

    def outputs(self, params: Params, scales: Scales, x: jax.Array) -> jax.Array:
        """Outputs, shape (n, n_classes), for inputs that fit the parameters."""
        scaled = jax.tree_util.tree_map_with_path(
            lambda path, leaf: leaf * (scales.weight if path[-1].key == "kernel" else scales.bias), params
        )
        if self.shape.kind == "cnn":
            return self._convolved(scaled, x)
        return jnp.asarray(self.network.apply({"params": scaled}, x))

    def test_outputs(self, params: Params, initial: Params, scales: Scales, data: Basis) -> jax.Array:
        """Outputs on the test inputs after training; ``initial`` as ``init`` made them."""
        if self.shape.kind == "cnn":
            return self.outputs(params, scales, data.inputs_test)
        start = initial["first"]["kernel"]
        moved = params["first"]["kernel"] - data.vectors.T @ start
        full = self._with_first_kernel(params, start + data.vectors @ moved)
        return self.outputs(full, scales, data.inputs_test)

    def _with_first_kernel(self, params: Params, kernel: jax.Array) -> Params:
        return {**params, "first": {**params["first"], "kernel": kernel}}

    def _convolved(self, params: Params, x: jax.Array) -> jax.Array:
        """The convolutional network on images (n, side, side, channels), pixels of a row side by side in memory."""
        phi = activation_of(self.network.architecture)
        n, side, _, channels = x.shape
        h = _circular(params["first"], x.reshape(n, side, side * channels))
        if self.shape.depth > 1:
            h, _ = jax.lax.scan(lambda h, layer: (_circular(layer, phi(h)), None), h, params["hidden"]["affine"])
        h = phi(h).reshape(n, side * side, -1)
        h = h.mean(axis=1) if self.shape.pooling else h.reshape(n, -1)
        readout = params["readout"]
        return h @ readout["kernel"] / math.sqrt(h.shape[1]) + readout["bias"]


def _circular(params: Params, x: jax.Array) -> jax.Array:
    """3 x 3 circular convolution of (n, side, side * channels), in the NTK parametrization."""
    kernel, bias = params["kernel"], params["bias"]
    n, side, _ = x.shape
    window, _, channels, features = kernel.shape
    offsets = np.arange(window) - window // 2
    # joins[j, a, b] = 1 where output column b sees input column a through column j of the window.
    joins = jnp.asarray(np.stack([np.roll(np.eye(side), -o, axis=1) for o in offsets]), jnp.float32)
    rows = jnp.einsum("jab,ijcd->iacbd", joins, kernel).reshape(window * side * channels, side * features)
    stacked = jnp.concatenate([jnp.roll(x, -o, axis=1) for o in offsets], axis=2)
    mapped = stacked.reshape(n * side, -1) @ rows / math.sqrt(window * window * channels)
    return mapped.reshape(n, side, side * features) + jnp.tile(bias, side)
