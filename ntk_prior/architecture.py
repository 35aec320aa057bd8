"""What fixes a network at initialisation, as far as the theory sees it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

Kind = Literal["fcn", "cnn"]
Normalization = Literal["none", "layer", "batch"]

ACTIVATIONS = ("erf", "tanh", "relu", "leaky_relu", "gelu", "silu", "sin", "identity")
_SPELT = {name.replace("_", ""): name for name in ACTIVATIONS} | {"swish": "silu"}

MAX_DEPTH = 10_000
MIN_WEIGHT_VARIANCE, MAX_WEIGHT_VARIANCE = 1e-3, 1e3


_SHOWN = 200
"""Characters of a value that a message repeats."""


def escaped(text: str) -> str:
    """A text with escapes in place of control characters."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def shown(value: object) -> str:
    """A value as messages repeat it: its repr, cut to 200 characters, with control characters escaped."""
    text = escaped(repr(value)[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def require_real(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> float:
    """Return ``value`` as a float, or raise an error that states expected and received.

    Args:
        name: What the value is called in the message.
        value: The candidate; booleans are refused although Python counts them as numbers.
        low: Smallest admissible value.
        high: Largest admissible value.
        open_low: Whether ``low`` itself is excluded.

    Raises:
        TypeError: If ``value`` is not a real number.
        ValueError: If it is NaN or outside the interval.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a real number, received {shown(value)}")
    number = float(value)
    too_low = number <= low if open_low else number < low
    if math.isnan(number) or too_low or number > high:
        bracket = "(" if open_low else "["
        raise ValueError(f"{name}: expected a value in {bracket}{low:g}, {high:g}], received {shown(value)}")
    return number


def require_integer(name: str, value: Any, low: int, high: int) -> int:
    """Return ``value`` as an int, or raise an error that states expected and received.

    Raises:
        TypeError: If ``value`` is not a number.
        ValueError: If it is not a whole number in ``[low, high]``.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected an integer, received {shown(value)}")
    number = float(value)
    if not number.is_integer() or not low <= number <= high:
        raise ValueError(f"{name}: expected an integer in [{low}, {high}], received {shown(value)}")
    return int(number)


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``choices``, or raise an error that lists them.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, received {shown(value)}")
    return str(value)


def require_flag(name: str, value: Any) -> bool:
    """Return ``value`` as a bool, or raise a TypeError that states what came.

    Raises:
        TypeError: If ``value`` is neither a bool nor a NumPy bool.
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{name}: expected True or False, received {shown(value)}")
    return bool(value)


def require_instance(name: str, value: Any, kind: type) -> None:
    """Raise an error that states expected and received, unless ``value`` is of that class of the package.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected ntk_prior.{kind.__name__}, received {shown(value)}")


@dataclass(frozen=True)
class Architecture:
    """A network at initialisation, before any training.

    Hidden layers compute ``sigma_w phi(x) W / sqrt(fan_in) + sigma_b b`` with standard normal ``W`` and ``b``; the
    readout uses the same two variances.

    Attributes:
        weight_variance: sigma_w^2, in [1e-3, 1e3].
        bias_variance: sigma_b^2, in [0, 1e3].
        depth: L, the number of hidden layers (of activations), 1 to 10,000.
        activation: A name (``"erf"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"gelu"``, ``"silu"``, ``"sin"``,
            ``"identity"``), however it is spelt (``"ReLU"``, ``"LeakyReLU"``, ``"swish"``), or a callable on arrays. A
            name the theory does not know is allowed and makes every verdict ``outside_theory``.
        kind: ``"fcn"`` (fully connected) or ``"cnn"`` (convolutions with circular padding, stride 1).
        pooling: For ``"cnn"``: global average pooling before the readout (CNN-P) instead of flattening (CNN-F).
        kernel_size: Side of the square convolution window, in pixels.
        slope: Negative slope of ``"leaky_relu"``.
        keep_rate: Probability rho that dropout keeps a unit; 1 means no dropout.
        residual_scale: alpha of ``K' = K + alpha^2 (sigma_w^2 T(K) + sigma_b^2)`` in every hidden layer behind the
            first, or None for a plain network.
        normalization: ``"none"``, ``"layer"`` (layer norm before each activation) or ``"batch"``
            (outside the theory).

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a field lies outside its range, or two fields contradict each other.
    """

    weight_variance: float
    bias_variance: float
    depth: int
    activation: str | Callable[[Any], Any] = "erf"
    kind: Kind = "fcn"
    pooling: bool = False
    kernel_size: int = 3
    slope: float = 0.01
    keep_rate: float = 1.0
    residual_scale: float | None = None
    normalization: Normalization = "none"

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put(
            "weight_variance",
            require_real("weight_variance", self.weight_variance, MIN_WEIGHT_VARIANCE, MAX_WEIGHT_VARIANCE),
        )
        put("bias_variance", require_real("bias_variance", self.bias_variance, 0.0, 1e3))
        put("depth", require_integer("depth", self.depth, 1, MAX_DEPTH))
        if not isinstance(self.activation, str) and not callable(self.activation):
            raise TypeError(f"activation: expected a name or a callable, received {shown(self.activation)}")
        if isinstance(self.activation, str):
            put("activation", _SPELT.get(self.activation.lower().replace("_", ""), self.activation))
        require_choice("kind", self.kind, get_args(Kind))
        put("pooling", require_flag("pooling", self.pooling))
        if self.pooling and self.kind == "fcn":
            raise ValueError("pooling: expected False for kind='fcn' (there are no pixels to pool), received True")
        put("kernel_size", require_integer("kernel_size", self.kernel_size, 1, 99))
        put("slope", require_real("slope", self.slope, -1.0, 1.0))
        put("keep_rate", require_real("keep_rate", self.keep_rate, 0.0, 1.0, open_low=True))
        if self.residual_scale is not None:
            put("residual_scale", require_real("residual_scale", self.residual_scale, 0.0, 100.0, open_low=True))
        require_choice("normalization", self.normalization, get_args(Normalization))
