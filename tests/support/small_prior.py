"""A small task's inputs and labels, and a configuration, on which tests make mistakes."""

from __future__ import annotations

import numpy as np

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6)), np.arange(40) % 4
PLAIN = {"weight_variance": 1.5, "bias_variance": 0.05, "depth": 4}
