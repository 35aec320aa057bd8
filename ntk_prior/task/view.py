"""How one kind of network sees the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ntk_prior._types import Array
from ntk_prior.task.cosines import Fits, free_fit, positive_fits
from ntk_prior.task.hadamard import Sketch


@dataclass(frozen=True, eq=False)
class View:
    """How one kind of network sees the data: which cosines enter its kernel, and with which spectra.

    For ``"fcn"`` the cosines are those of whole inputs; for ``"cnn"`` (flattened) those of equal pixels of two images;
    for ``"cnn_pooled"`` those of all pairs of pixels, within an image and across two. Pixel cosines are taken after one
    convolution window's average.

    Attributes:
        cosines: Quadrature nodes, shape (nodes,).
        across: Weights of the nodes over pairs of different inputs, shape (nodes,), summing to 1.
        same_class: The same over pairs of one class; other pairs follow from ``across`` and the class sizes.
        other_class: The same over pairs of two classes.
        within: Weights over pairs of different pixels of one image, summing to the share of such pairs; zeros except
            for ``"cnn_pooled"``.
        group: Consecutive nodes that further convolutions average with one another.
        spreads: Window variances (pixels^2) at which ``variances`` is given, increasing, shape (k,).
        variances: Positional variance inside a group left after that much averaging, shape (k,).
        sketch: Spectrum of the data and label energies, at ``n_train`` samples.
    """

    cosines: Array
    across: Array
    same_class: Array
    other_class: Array
    within: Array
    group: int
    spreads: Array
    variances: Array
    sketch: Sketch

    @cached_property
    def fits(self) -> Fits:
        """Ways to fit a polynomial to gaps at the nodes; a single one where nodes stand alone."""
        weights = np.maximum(self.across, 0.0) + np.maximum(self.within, 0.0)
        if self.group == 1:
            return free_fit(self.cosines, weights)
        return positive_fits(self.cosines, weights, self.group)
