"""The second stage of a prior: exact spectra for the configurations that are worth it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import ArrayLike

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_integer
from ntk_prior.exact.infinite_width import MEMORY_LIMIT, cost, normalised
from ntk_prior.exact.nt_compat import neural_tangents
from ntk_prior.exact.nt_network import why_not
from ntk_prior.exact.spectra import spectrum
from ntk_prior.exact.store import Store
from ntk_prior.task.task import Task
from ntk_prior.theory.measured import MeasuredSpectrum
from ntk_prior.verdict.feasibility import Feasibility, feasibility_from_spectrum


class Refinement:
    """Judges a configuration by the exact spectrum on real inputs: ``NTKPrior(task, budget, refine=Refinement(x, y))``.

    A spectrum is computed once for each architecture and kept on disk, whatever the budget; several processes may share
    the folder. Nothing is said, so that the predictor's answer stands, of what neural-tangents has no kernel for, of
    the standard parametrization, and of what would exceed a limit.

    Args:
        x: Training inputs, shape (m, features) or (m, height, width, channels).
        y: Class labels, shape (m,).
        samples: Inputs that are used at the most, drawn at random but always the same. Their spectrum is carried to the
            task's number of samples.
        memory_limit: Bytes that one configuration may need.
        seconds_limit: Seconds that one configuration may take, estimated.
        cache_dir: Where spectra are kept; by default a folder among the user's caches.

    Raises:
        ImportError: If neural-tangents cannot be used.
        ValueError: If inputs and labels do not fit each other.

    Example:
        >>> import ntk_prior as ntp
        >>> from ntk_prior import exact
        >>> from sklearn.datasets import load_digits
        >>> x, y = load_digits(return_X_y=True)
        >>> refine = exact.Refinement(x / x.std(), y, samples=64)
        >>> prior = ntp.NTKPrior(ntp.Task.from_arrays(x / x.std(), y), ntp.Budget(300), refine=refine, when="always")
        >>> prior({"weight_variance": 1.5, "bias_variance": 0.05, "depth": 3}).verdict
        <Verdict.FEASIBLE: 'feasible'>
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        samples: int = 256,
        memory_limit: int = MEMORY_LIMIT,
        seconds_limit: float = 60.0,
        cache_dir: str | Path | None = None,
    ) -> None:
        neural_tangents()
        inputs, labels = np.asarray(x), np.asarray(y)
        if labels.shape != inputs.shape[:1]:
            raise ValueError(f"y: expected one label for each of the inputs {inputs.shape}, received {labels.shape}")
        chosen = np.random.default_rng(0).permutation(len(labels))[: require_integer("samples", samples, 2, 10**6)]
        self.x, self.y = inputs[chosen].astype(np.float64), labels[chosen]
        normalised(self.x, "fcn", "x")
        if len(np.unique(self.y)) < len(np.unique(labels)):
            raise ValueError(
                f"samples: expected enough for all {len(np.unique(labels))} classes, received {samples}: take more"
            )
        self.memory_limit = memory_limit
        self.seconds_limit = seconds_limit
        folder = platformdirs.user_cache_path("ntk-prior") / "exact" if cache_dir is None else Path(cache_dir)
        self._store = Store(folder)

    def __call__(self, architecture: Architecture, task: Task, budget: Budget) -> Feasibility | None:
        """The verdict by the exact spectrum, or None where the predictor's shall stand."""
        if why_not(architecture) or budget.parametrization != "ntk":
            return None
        if architecture.kind == "cnn" and self.x.ndim != 4:
            return None
        needs = cost(architecture, self.x.shape)
        if needs.bytes > self.memory_limit or needs.seconds > self.seconds_limit:
            return None

        def compute() -> MeasuredSpectrum:
            return spectrum(
                architecture, self.x, self.y, memory_limit=self.memory_limit, seconds_limit=self.seconds_limit
            )

        # A callable has no lasting name to keep its spectrum by.
        unnamed = callable(architecture.activation)
        found = compute() if unnamed else self._store.kept(architecture, self.x, self.y, compute)
        return feasibility_from_spectrum(found, task, budget, architecture=architecture)
