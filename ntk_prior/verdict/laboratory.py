"""What models of the laboratory's trainings, full batches with the squared error, see of a configuration."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.verdict.estimates import Estimates
from ntk_prior.verdict.schedule import WIDTH_GAIN

FEATURES = (
    "learnt",
    "ranked",
    "generalization_at_infinite_width",
    "ranking_at_infinite_width",
    "generalization",
    "rate_margin",
    "rate_margin_per_window",
    "negative_aspect_ratio",
)
"""What the models see of a configuration, see ``features``; the larger, the better."""

MAX_ASPECT_RATIO = 10.0
"""Larger ratios of depth to width count as this one."""


class NetworkSize(NamedTuple):
    """What the calibration needs to know of a network beside its estimates: numbers, or arrays of shape (n,).

    Attributes:
        depth: Hidden layers.
        width: Units or channels of a hidden layer; infinity, or NaN, for infinitely many.
        window: Pixels that a unit sees of the layer before; 1 for a fully connected network.
    """

    depth: ArrayLike
    width: ArrayLike
    window: ArrayLike = 1.0

    @classmethod
    def for_network(cls, architecture: Architecture | None, budget: Budget) -> NetworkSize:
        """The size of one network; None stands for the very network whose kernel was measured."""
        if architecture is None:
            return cls(0.0, math.inf)
        window = architecture.kernel_size**2 if architecture.kind == "cnn" else 1
        return cls(architecture.depth, math.inf if budget.width is None else budget.width, window)

    @classmethod
    def for_rows(cls, rows: NDArray[np.void]) -> NetworkSize:
        """The sizes of configurations made by ``layers.encode``."""
        return cls(rows["depth"], rows["width"], np.where(rows["cnn"] > 0, rows["kernel_size"] ** 2, 1.0))


def features(found: Estimates, size: NetworkSize) -> Array:
    """What the models see, shape (n, features), in the order of ``FEATURES``.

    Finite networks fluctuate: their largest eigenvalue is larger by about the standard deviation of the kernel's
    entries, which brings the largest stable learning rate down.

    Args:
        found: The theory's estimates of one configuration or of n.
        size: Of the same networks.
    """
    aspect_ratio = np.nan_to_num(np.divide(size.depth, size.width))

    def rate_margin(ratio: Any) -> Any:
        lift = np.log1p(np.sqrt(np.expm1(np.minimum(WIDTH_GAIN * ratio, 50.0))))
        return -(found.log_overshoot + lift)

    columns = {
        "learnt": found.learnt,
        "ranked": found.ranked,
        "generalization_at_infinite_width": found.generalization_at_infinite_width,
        "ranking_at_infinite_width": found.ranking_at_infinite_width,
        "generalization": found.generalization,
        "rate_margin": rate_margin(aspect_ratio),
        "rate_margin_per_window": rate_margin(aspect_ratio / size.window),
        "negative_aspect_ratio": -np.minimum(aspect_ratio / size.window, MAX_ASPECT_RATIO),
    }
    ordered = [columns[name] for name in FEATURES]
    return np.array(ordered, dtype=np.float64).reshape(len(FEATURES), -1).T.copy()
