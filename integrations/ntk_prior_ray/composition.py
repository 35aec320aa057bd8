"""What a trial's configuration is composed of, and what of it the prior gets to see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ntk_prior_ray.space import Config, Space, flattened, merged

_PLACEHOLDERS = ("__fn_ph", "__ref_ph")
"""First entries of the pairs by which a Tuner hides functions and objects from search algorithms."""


class Composition:
    """Configurations from a search algorithm's suggestions, a space declared to us, and what the Tuner adds.

    Args:
        own: The search space declared to us, or None if the Tuner or the search algorithm has it.
    """

    def __init__(self, own: Mapping[str, Any] | None) -> None:
        self.own = None if own is None else Space(own)
        self._drawn_from = self.own
        self._around: Config = {}
        self._hidden: list[str] = []

    def surround(self, given: Space, *, draws: bool = False) -> None:
        """Take the Tuner's space: its constants, and its domains too if it ``draws`` from them."""
        self._around = _known_part(given.constants)
        if draws:
            self._drawn_from = given
        sample = flattened(given.draw(np.random.default_rng(0)))
        self._hidden = [name for name, value in sample.items() if _is_placeholder(value)]

    @property
    def draws(self) -> bool:
        """Whether the space is known, so that it can be drawn from."""
        return self._drawn_from is not None

    @property
    def hint(self) -> str:
        """What to do about values that the Tuner hides."""
        if not self._hidden:
            return ""
        return (
            f". The Tuner hides {', '.join(self._hidden)} (functions or objects) from search algorithms: pass the "
            "space to NTKPriorSearch(space=...) instead of the Tuner"
        )

    def launched(self, suggestion: Config) -> Config:
        """What the Tuner gets for a suggestion of the search algorithm's."""
        return suggestion if self.own is None else self.own.completed(suggestion)

    def uniform(self, generator: np.random.Generator) -> Iterator[Config]:
        """What the Tuner gets for uniform draws over the space; none where that is not known."""
        space = self._drawn_from
        while space is not None:
            config = space.draw(generator)
            yield space.drawn_part(config) if self.own is None else config

    def judged(self, config: Config) -> Config:
        """What the prior is asked about: the trial's whole configuration, but for what the Tuner hides."""
        return _known_part(merged(self._around, config))

    def point(self, config: Config) -> Config:
        """The drawn values of a configuration by their flat names, such as ``"net/depth"``."""
        return flattened(config) if self._drawn_from is None else self._drawn_from.flat(config)


def _known_part(config: Config) -> Config:
    return {
        name: _known_part(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if not _is_placeholder(value)
    }


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and value[0] in _PLACEHOLDERS
