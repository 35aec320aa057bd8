"""A Flax network for every ``Architecture`` that the theory covers."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from ntk_prior import Architecture
from ntk_prior.checks import require_choice, shown

Activation = Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, Activation] = {
    "erf": jax.scipy.special.erf,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "sin": jnp.sin,
    "identity": lambda x: x,
}


def activation_of(architecture: Architecture) -> Activation:
    """The architecture's activation on JAX arrays.

    Raises:
        ValueError: If the name is unknown.
    """
    activation = architecture.activation
    if not isinstance(activation, str):
        return activation
    if activation == "leaky_relu":
        return lambda x: jax.nn.leaky_relu(x, architecture.slope)
    if activation not in ACTIVATIONS:
        known = ", ".join([*ACTIVATIONS, "leaky_relu"])
        raise ValueError(f"activation: expected one of {known} or a callable, received {shown(activation)}")
    return ACTIVATIONS[activation]


class Affine(nn.Module):
    """sigma_w x W / sqrt(fan_in) + sigma_b b with standard normal W and b, densely or as a circular convolution.

    Attributes:
        features: Output units or channels.
        weight_variance: sigma_w^2.
        bias_variance: sigma_b^2.
        window: Side of the convolution's window, or None for a dense map.
        scaled: NTK parametrization: the factors apply at run time and the parameters are standard normal. Otherwise
            (standard parametrization) the initial parameters contain them; the function is the same.
    """

    features: int
    weight_variance: float
    bias_variance: float
    window: int | None
    scaled: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map the last axis of ``x`` to ``features``."""
        window = () if self.window is None else (self.window, self.window)
        shape = (*window, x.shape[-1], self.features)
        weight_scale = math.sqrt(self.weight_variance / math.prod(shape[:-1]))
        bias_scale = math.sqrt(self.bias_variance)
        inside = (1.0, 1.0) if self.scaled else (weight_scale, bias_scale)
        outside = (weight_scale, bias_scale) if self.scaled else (1.0, 1.0)
        kernel = self.param("kernel", nn.initializers.normal(inside[0]), shape)
        bias = self.param("bias", nn.initializers.normal(inside[1]), (self.features,))
        return outside[0] * self._apply(x, kernel) + outside[1] * bias

    def _apply(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        if self.window is None:
            return x @ kernel
        before = self.window // 2
        after = self.window - 1 - before
        wrapped = jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0)), mode="wrap")
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(wrapped, kernel, (1, 1), "VALID", dimension_numbers=layout)


def affine(spec: Architecture, features: int, parametrization: str, name: str, *, dense: bool = False) -> Affine:
    """An affine map with the architecture's variances."""
    window = None if dense or spec.kind == "fcn" else spec.kernel_size
    return Affine(features, spec.weight_variance, spec.bias_variance, window, parametrization == "ntk", name=name)


def activated(spec: Architecture, h: jax.Array, training: bool) -> jax.Array:
    """Layer norm (without parameters of its own), activation and dropout, as the architecture asks."""
    if spec.normalization == "layer":
        h = h / jnp.sqrt(jnp.mean(h**2, axis=-1, keepdims=True) + 1e-12)
    h = activation_of(spec)(h)
    if spec.keep_rate < 1.0:
        h = nn.Dropout(1.0 - spec.keep_rate, deterministic=not training)(h)
    return h


class Hidden(nn.Module):
    """One hidden layer behind the first: normalise, activate, drop, map, and add to the residual stream if any."""

    architecture: Architecture
    width: int
    parametrization: str
    training: bool

    @nn.compact
    def __call__(self, h: jax.Array, _: None) -> tuple[jax.Array, None]:
        """One step of the scan over layers."""
        spec = self.architecture
        branch = affine(spec, self.width, self.parametrization, "affine")(activated(spec, h, self.training))
        return (branch if spec.residual_scale is None else h + spec.residual_scale * branch), None


class Network(nn.Module):
    """The network that an ``Architecture`` describes, at finite width.

    All hidden layers have one width, so they are one scanned layer: compile time does not grow with depth.

    Attributes:
        architecture: The specification.
        width: Units or channels of every hidden layer.
        n_outputs: Units of the readout.
        parametrization: ``"ntk"`` or ``"standard"``.

    Example:
        >>> import jax
        >>> from ntk_prior import Architecture
        >>> from ntk_prior_flax import Network
        >>> network = Network(Architecture(1.5, 0.1, 3), width=16, n_outputs=10)
        >>> params = network.init(jax.random.key(0), jax.numpy.ones((2, 8)))
        >>> network.apply(params, jax.numpy.ones((2, 8))).shape
        (2, 10)
    """

    architecture: Architecture
    width: int
    n_outputs: int
    parametrization: str = "ntk"

    @nn.compact
    def __call__(self, x: jax.Array, training: bool = False) -> jax.Array:
        """Map images (n, height, width, channels) or vectors (n, features) to outputs (n, n_outputs)."""
        spec = self.architecture
        require_choice("normalization", spec.normalization, ("none", "layer"))
        require_choice("kind", spec.kind, ("fcn", "cnn"))
        require_choice("parametrization", self.parametrization, ("ntk", "standard"))
        h = x.reshape(len(x), -1) if spec.kind == "fcn" else x
        h = affine(spec, self.width, self.parametrization, "first")(h)
        if spec.depth > 1:
            hidden = nn.scan(
                Hidden,
                variable_axes={"params": 0},
                split_rngs={"params": True, "dropout": True},
                length=spec.depth - 1,
            )
            h, _ = hidden(spec, self.width, self.parametrization, training, name="hidden")(h, None)
        h = activated(spec, h, training)
        if spec.kind == "cnn":
            h = h.mean(axis=(1, 2)) if spec.pooling else h.reshape(len(h), -1)
        return affine(spec, self.n_outputs, self.parametrization, "readout", dense=True)(h)
