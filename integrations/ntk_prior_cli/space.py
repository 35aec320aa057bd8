"""What is tuned, in no tuner's own words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Floats:
    """Numbers between two bounds.

    Attributes:
        low, high: The bounds, both included.
        log: Whether draws are uniform in the logarithm.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Integers:
    """Integers between two bounds.

    Attributes:
        low, high: The bounds, both included.
        log: Whether draws are uniform in the logarithm.
    """

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[str | bool, ...]


Domain = Floats | Integers | Choices


def search_space(kind: str) -> dict[str, Domain]:
    """What is tuned; pooling only for convolutional networks."""
    space: dict[str, Domain] = {
        "weight_variance": Floats(0.5, 4.0, log=True),
        "bias_variance": Floats(0.0, 0.5),
        "depth": Integers(1, 64, log=True),
        "activation": Choices(("erf", "tanh", "relu", "gelu")),
        "learning_rate": Floats(1e-3, 10.0, log=True),
    }
    if kind == "cnn":
        space["pooling"] = Choices((False, True))
    return space
