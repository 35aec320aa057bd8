"""What fixes a network at initialisation, as far as the theory sees it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from ntk_prior.checks import Check, Named, Range, put_checked, require_flag, shown

ACTIVATIONS = ("erf", "tanh", "relu", "leaky_relu", "gelu", "silu", "elu", "sin", "identity")
KINDS = ("fcn", "cnn")
NORMALIZATIONS = ("none", "layer", "batch")

MAX_DEPTH = 10_000
MIN_WEIGHT_VARIANCE, MAX_WEIGHT_VARIANCE = 1e-3, 1e3


_ACTIVATION = Named(ACTIVATIONS, {"swish": "silu", "linear": "identity"})
_KIND = Named(KINDS, {"mlp": "fcn", "fc": "fcn", "fullyconnected": "fcn", "convnet": "cnn", "convolutional": "cnn"})
_NORMALIZATION = Named(
    NORMALIZATIONS, {"layernorm": "layer", "batchnorm": "batch", "batchnorm1d": "batch", "batchnorm2d": "batch"}
)


def _require_activation(name: str, value: Any) -> Any:
    if not isinstance(value, str) and not (callable(value) and isinstance(value, Hashable)):
        raise TypeError(f"{name}: expected a name or a callable that can be hashed, received {shown(value)}")
    return _ACTIVATION(name, value) if isinstance(value, str) else value


ARCHITECTURE_CHECKS: Mapping[str, Check] = {
    "weight_variance": Range(MIN_WEIGHT_VARIANCE, MAX_WEIGHT_VARIANCE),
    "bias_variance": Range(0.0, 1e3),
    "depth": Range(1, MAX_DEPTH, whole=True),
    "activation": _require_activation,
    "kind": _KIND,
    "pooling": require_flag,
    "kernel_size": Range(1, 99, whole=True),
    "slope": Range(-1.0, 1.0),
    "keep_rate": Range(0.0, 1.0, open_low=True),
    "residual_scale": Range(0.0, 100.0, open_low=True),
    "normalization": lambda name, value: _NORMALIZATION(name, "none" if value is None else value),
}
"""What each field of ``Architecture`` takes."""


@dataclass(frozen=True)
class Architecture:
    """A network at initialisation, before any training.

    Hidden layers compute ``sigma_w phi(x) W / sqrt(fan_in) + sigma_b b`` with standard normal ``W`` and ``b``; the
    readout uses the same two variances.

    Names may be spelt in any way (``"ReLU"``, ``"LeakyReLU"``, ``"swish"``, ``"MLP"``, ``"LayerNorm"``). One that the
    theory does not know is allowed, and makes every verdict ``outside_theory``.

    Example:
        >>> import ntk_prior as ntp
        >>> network = ntp.Architecture(weight_variance=2.0, bias_variance=0.0, depth=12, activation="ReLU")
        >>> network.activation, network.kind
        ('relu', 'fcn')
        >>> ntp.Architecture(weight_variance=2.0, bias_variance=0.0, depth=0)
        Traceback (most recent call last):
        ValueError: depth: expected an integer in [1, 10000], received 0

    Attributes:
        weight_variance: sigma_w^2, in [1e-3, 1e3].
        bias_variance: sigma_b^2, in [0, 1e3].
        depth: L, the number of hidden layers (of activations), 1 to 10,000.
        activation: A name (``"erf"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"gelu"``, ``"silu"``, ``"elu"``,
            ``"sin"``, ``"identity"``), or a callable on arrays.
        kind: ``"fcn"`` (fully connected) or ``"cnn"`` (convolutions with circular padding, stride 1).
        pooling: For ``"cnn"``: global average pooling before the readout (CNN-P) instead of flattening (CNN-F).
        kernel_size: Side of the square convolution window, in pixels.
        slope: Negative slope of ``"leaky_relu"``.
        keep_rate: Probability rho that dropout keeps a unit; 1 means no dropout.
        residual_scale: alpha of ``K' = K + alpha^2 (sigma_w^2 T(K) + sigma_b^2)`` in every hidden layer behind the
            first, or None for a plain network.
        normalization: ``"none"`` (or None), ``"layer"`` (layer norm before each activation) or ``"batch"`` (outside the
            theory).

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a field lies outside its range, or two fields contradict each other.
    """

    weight_variance: float
    bias_variance: float
    depth: int
    activation: str | Callable[[Any], Any] = "erf"
    kind: str = "fcn"
    pooling: bool = False
    kernel_size: int = 3
    slope: float = 0.01
    keep_rate: float = 1.0
    residual_scale: float | None = None
    normalization: str = "none"

    def __post_init__(self) -> None:
        put_checked(self, ARCHITECTURE_CHECKS)
        if self.pooling and self.kind == "fcn":
            raise ValueError("pooling: expected False for kind='fcn' (there are no pixels to pool), received True")

    @property
    def unknown(self) -> str | None:
        """Which of its names the theory does not know, and so is silent about it; None where it knows kind and norm."""
        return _KIND.unknown("kind", self.kind) or _NORMALIZATION.unknown("normalization", self.normalization)
