"""A guard for population based training, which mutates configurations without asking the search algorithm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import numpy as np

from ntk_prior.checks import require_real, shown
from ntk_prior.decision import Prior, ask, own_threshold, score_of
from ntk_prior_ray.space import Path, closest, leaves, replace_at, value_at

STEPS = 12
"""Halvings and doublings tried of each parameter."""


@dataclass(frozen=True)
class FeasibleMutation:
    """Moves a mutated configuration that the prior refuses to a near one that it lets through.

    One parameter at a time is halved or doubled until the prior scores the configuration high enough; the fewest steps
    win. Numbers keep their type and their sign, and whole ones stay whole and at least 1. What cannot be halved and
    doubled stays as it is: zero, booleans, text. A configuration that no single parameter mends is returned as it is,
    and none is changed in place.

    Attributes:
        prior: Judges configurations.
        parameters: Names of numbers that may be moved, those in ``hyperparam_mutations``. In nested configurations
            ``"net/depth"`` is ``depth`` in ``net``, and ``"net"`` stands for every number in it.
        threshold: Configurations that score lower are refused. None for the prior's own, which is 0.3 unless it was
            made with another.

    Raises:
        TypeError: If a field has the wrong type, or no named parameter of a configuration is a number.
        ValueError: If no parameter is named, a configuration lacks one, or the threshold is not in [0, 1].

    Example:
        ``PopulationBasedTraining`` takes it as ``custom_explore_fn``:

        >>> import ntk_prior as ntp
        >>> from ntk_prior_ray import FeasibleMutation
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> mend = FeasibleMutation(prior, ["depth"])
        >>> mend({"weight_variance": 1.7, "bias_variance": 0.05, "depth": 60})
        {'weight_variance': 1.7, 'bias_variance': 0.05, 'depth': 15}
    """

    prior: Prior
    parameters: Sequence[str]
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.prior):
            raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {shown(self.prior)}")
        named = self.parameters
        names = tuple(named) if np.iterable(named) and not isinstance(named, str | bytes) else (None,)
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"parameters: expected a sequence of names, received {shown(named)}")
        if not names:
            raise ValueError("parameters: expected the names of what may be moved, received none")
        object.__setattr__(self, "parameters", names)
        if self.threshold is not None:
            require_real("threshold", self.threshold, 0.0, 1.0)

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration itself, or the nearest one that the prior lets through."""
        paths = self._numbers(config)
        score = score_of(ask(self.prior, config))
        if score is None or score >= self._limit:
            return config
        return next((near for near in _nearby(config, paths) if self._lets_through(near)), config)

    @property
    def _limit(self) -> float:
        return own_threshold(self.prior) if self.threshold is None else self.threshold

    def _numbers(self, config: dict[str, Any]) -> list[Path]:
        """Where the numbers are that may be moved.

        Raises:
            TypeError: If none of the named parameters is a number.
            ValueError: If the configuration lacks one.
        """
        known = leaves(config)
        named = list(dict.fromkeys(path for name in self.parameters for path in _found(name, known)))
        numbers = [path for path in named if _is_number(value_at(config, path))]
        values = [value_at(config, path) for path in named]
        if not numbers and any(value is not None for value in values):
            raise TypeError(
                f"parameters: expected the name of a number, which can be halved and doubled, but "
                f"{', '.join(self.parameters)} stands for {', '.join(map(shown, values))}"
            )
        return numbers

    def _lets_through(self, config: dict[str, Any]) -> bool:
        """Whether the prior says that it is good enough; silence, about a value out of range for one, mends nothing."""
        score = score_of(ask(self.prior, config))
        return score is not None and score >= self._limit


def _found(name: str, known: Mapping[str, Path]) -> list[Path]:
    """Where a parameter is among the flat names of a configuration, or all that is in it.

    Raises:
        ValueError: If there is none.
    """
    paths = [path for flat, path in known.items() if flat == name or flat.startswith(f"{name}/")]
    if not paths:
        raise ValueError(
            f"parameters: expected names in the configuration, which has {', '.join(known) or 'none'}, received "
            f"{shown(name)}{closest(name, known)}"
        )
    return paths


def _nearby(config: dict[str, Any], paths: list[Path]) -> Iterator[dict[str, Any]]:
    """Configurations with one number halved or doubled, the nearest ones first."""
    for step in range(1, STEPS + 1):
        for path in paths:
            value = value_at(config, path)
            for power in (-step, step):
                moved = _scaled(value, power)
                if moved is not None and moved != value:
                    yield replace_at(config, path, moved)
                    fraction = not isinstance(value, Integral) and value == round(value) != 0 and moved != round(moved)
                    if fraction and round(moved):
                        yield replace_at(config, path, type(value)(round(moved)))  # 7.5 layers are none, 8.0 are


def _scaled(value: Any, power: int) -> Any:
    """The number times that power of 2 in its own type; None where that has none."""
    kind = type(value)
    whole = isinstance(value, Integral)
    try:
        with np.errstate(over="ignore", under="ignore"):
            moved = kind(_scaled_whole(int(value), power) if whole else float(value) * 2.0**power)
    except (OverflowError, ValueError):
        return None
    # A rate of 0 or infinity trains nothing.
    return moved if moved and (whole or math.isfinite(moved)) else None


def _scaled_whole(value: int, power: int) -> int:
    size = max(1, round(abs(value) * Fraction(2) ** power)) if value else 0
    return size if value > 0 else -size


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
