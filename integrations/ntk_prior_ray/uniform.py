"""Uniform proposals by Ray's own samplers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ray import cloudpickle
from ray.tune.search import Searcher

from ntk_prior_ray.space import Config, Space


class UniformSearch(Searcher):
    """Independent draws from the search space by Ray Tune's own samplers.

    Args:
        seed: Seed of the draws.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._space: Space | None = None
        self._generator = np.random.default_rng(seed)

    def set_search_properties(self, metric: str | None, mode: str | None, config: Config, **_: Any) -> bool:
        """Take the search space, unless there is one."""
        if self._space is not None:
            return False
        self._metric, self._mode, self._space = metric, mode, Space(config)
        return True

    def suggest(self, trial_id: str) -> Config:  # noqa: ARG002
        """One draw."""
        if self._space is None:
            raise RuntimeError(
                "NTKPriorSearch has no search space: pass param_space to the Tuner, or space to NTKPriorSearch"
            )
        return self._space.drawn_part(self._space.draw(self._generator))

    def on_trial_complete(self, trial_id: str, result: Config | None = None, error: bool = False) -> None:
        """Nothing is learnt from results."""

    def add_evaluated_point(self, *_: Any, **__: Any) -> None:
        """Nothing is learnt from results."""

    def save(self, checkpoint_path: str) -> None:
        """Write the space, and where the random numbers stand."""
        Path(checkpoint_path).write_bytes(cloudpickle.dumps(vars(self)))  # type: ignore[no-untyped-call]

    def restore(self, checkpoint_path: str) -> None:
        """Go on with the random numbers."""
        vars(self).update(cloudpickle.loads(Path(checkpoint_path).read_bytes()))
