"""The search space that is tuned, in terms of neither tuner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds.

    Attributes:
        low, high: The bounds, both included.
        log: Whether draws are uniform in the logarithm.
        integer: Whether they are integers.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False


Domain = Range | tuple[str | bool, ...]
"""A range, or the values to choose from."""


def make_search_space(kind: str) -> dict[str, Domain]:
    """Make the search space; pooling is tuned for convolutional networks only."""
    space: dict[str, Domain] = {
        "weight_variance": Range(0.5, 4.0, log=True),
        "bias_variance": Range(0.0, 0.5),
        "depth": Range(1, 64, log=True, integer=True),
        "activation": ("erf", "tanh", "relu", "gelu"),
        "learning_rate": Range(1e-3, 10.0, log=True),
    }
    if kind == "cnn":
        space["pooling"] = (False, True)
    return space
