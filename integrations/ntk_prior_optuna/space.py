"""Search spaces: checks of a declared one, values of distributions, and uniform draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ntk_prior.checks import shown

Space = Mapping[str, BaseDistribution]


class JointSpace(dict[str, BaseDistribution]):
    """A relative search space that remembers which part of it the base sampler asked for."""

    def __init__(self, distributions: Space, inferred: dict[str, BaseDistribution]) -> None:
        super().__init__(distributions)
        self._inferred = inferred

    def of_base(self) -> dict[str, BaseDistribution]:
        """The base sampler's part, without what an outer sampler has taken out since."""
        if all(name in self for name in self._inferred):
            return self._inferred
        return {name: distribution for name, distribution in self._inferred.items() if name in self}


def require_space(space: Any) -> dict[str, BaseDistribution]:
    """Return a declared search space, or raise a TypeError that states what came.

    Raises:
        TypeError: If it is not a mapping of names to Optuna distributions.
    """
    if not isinstance(space, Mapping):
        raise TypeError(f"search_space: expected a mapping of names to optuna.distributions, received {shown(space)}")
    for name, distribution in space.items():
        if not isinstance(name, str) or not isinstance(distribution, BaseDistribution):
            raise TypeError(
                f"search_space: expected a mapping of names to optuna.distributions, received {shown(distribution)} "
                f"for {name!r}"
            )
    return dict(space)


def is_certain(distribution: BaseDistribution) -> bool:
    """Whether a distribution that a storage returns is the one that the objective gave.

    Storages that keep JSON return tuples as lists, and Optuna refuses a list where the objective has a tuple.
    """
    if not isinstance(distribution, CategoricalDistribution):
        return True
    return not any(isinstance(choice, list | dict) for choice in distribution.choices)


def translated(value: Any, source: BaseDistribution, target: BaseDistribution) -> Any:
    """A value of one distribution in the words of another: the choice in the same place."""
    if source is target or not isinstance(target, CategoricalDistribution):
        return value
    return target.to_external_repr(source.to_internal_repr(value))


def single_value(distribution: BaseDistribution) -> Any:
    """The only value of a distribution whose ``single()`` holds."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low


def uniform_draw(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """One draw of each parameter, uniform on its own (logarithmic, stepped) scale."""
    places = generator.random(len(space)).tolist()
    return {name: _uniform(distribution, u) for (name, distribution), u in zip(space.items(), places, strict=True)}


def _uniform(distribution: BaseDistribution, u: float) -> Any:
    """The value at quantile ``u`` in [0, 1)."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(u * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        # An integer owns half a unit to either side, so that the ends are as likely as their neighbours.
        margin = 0.5 if isinstance(distribution, IntDistribution) else 0.0
        bottom, top = math.log(low - margin), math.log(high + margin)
        value = math.exp(bottom + u * (top - bottom))
        value = round(value) if margin else value
    elif distribution.step is not None:
        steps = int(u * (round((high - low) / distribution.step) + 1))
        value = low + steps * distribution.step
    else:
        value = low + u * (high - low)
    return type(low)(min(max(value, low), high))
