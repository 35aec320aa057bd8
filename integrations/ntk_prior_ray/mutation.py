"""A guard for population based training, which mutates configurations without asking the search algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ntk_prior import DEFAULT_THRESHOLD
from ntk_prior.architecture import require_real
from ntk_prior.screening import Prior, judge, score_of

STEPS = 12
"""Halvings and doublings tried of each parameter."""


@dataclass(frozen=True)
class FeasibleMutation:
    """Moves a mutated configuration that the prior refuses to a near one that it does not.

    One parameter at a time is halved or doubled until the prior no longer refuses; the fewest steps win. A
    configuration that no single parameter mends is left as it is. For example:

        PopulationBasedTraining(..., custom_explore_fn=FeasibleMutation(prior, ["learning_rate"]))

    Attributes:
        prior: Judges configurations.
        parameters: Names of positive real parameters that may be moved, those in ``hyperparam_mutations``.
        threshold: Configurations that score lower are refused.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If no parameter is named, or the threshold is not in [0, 1].
    """

    prior: Prior
    parameters: Sequence[str]
    threshold: float = DEFAULT_THRESHOLD

    def __post_init__(self) -> None:
        if not callable(self.prior):
            raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {self.prior!r}")
        if isinstance(self.parameters, str) or not all(isinstance(name, str) for name in self.parameters):
            raise TypeError(f"parameters: expected a sequence of names, received {self.parameters!r}")
        if not self.parameters:
            raise ValueError("parameters: expected the names of what may be moved, received none")
        require_real("threshold", self.threshold, 0.0, 1.0)

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration itself, or the nearest feasible one."""
        return next((near for near in self._nearby(config) if not self._refuses(near)), config)

    def _nearby(self, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield config
        for step in range(1, STEPS + 1):
            for name in self.parameters:
                if isinstance(config.get(name), float):
                    yield {**config, name: config[name] / 2**step}
                    yield {**config, name: config[name] * 2**step}

    def _refuses(self, config: dict[str, Any]) -> bool:
        score = score_of(judge(self.prior, config))
        return score is not None and score < self.threshold
