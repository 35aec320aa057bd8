"""The candidates for one trial: the base sampler's draws, and uniform ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any, NamedTuple, cast

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from ntk_prior.decision import Draw, Screen
from ntk_prior_optuna._optuna import DraftStudy, draws_uniformly, holds, is_expensive
from ntk_prior_optuna.history import History
from ntk_prior_optuna.runners_up import RunnersUp
from ntk_prior_optuna.space import JointSpace, Space, single_value, translated, uniform_draw

EXPENSIVE_DRAWS = 3
"""Draws taken from a base sampler that needs a tenth of a second or more for each."""

_START_UP = 1
"""Salt of the random numbers that stand in for those of a base sampler that draws uniformly."""


class Point(NamedTuple):
    """A candidate.

    Attributes:
        params: Its parameters.
        as_drawn: Those that the base sampler draws at once. The trial draws the others in its turn, within the ranges
            that it then has.
        config: What the prior is asked about.
        writes: What the base sampler noted about its latest draw.
        own: Whether it is the base sampler's.
    """

    params: dict[str, Any]
    as_drawn: dict[str, Any]
    config: Mapping[str, Any]
    writes: Mapping[str, Any]
    own: bool


class Asked(NamedTuple):
    """What a trial is asked of.

    Attributes:
        base: The base sampler.
        screen: Has the random numbers.
        study: The study.
        trial: The trial.
        history: Of the study.
    """

    base: BaseSampler
    screen: Screen
    study: Study
    trial: FrozenTrial
    history: History


class Proposals:
    """The candidates for one trial: all of its parameters, drawn together.

    Args:
        asked: Who draws for which trial.
        space: What is drawn, with the distributions that the objective gives.
        declared: The space that the user has declared.
        fixed: Values that no draw changes.
    """

    def __init__(self, asked: Asked, space: dict[str, BaseDistribution], declared: Space, fixed: Mapping[str, Any]):
        self._asked = asked
        self._space = space
        self._fixed = fixed
        self._branches = asked.history.branches
        self._stored = {**declared, **self._branches.latest}
        self._constants = {name: single_value(one) for name, one in self._stored.items() if one.single()}
        self._writes: Mapping[str, Any] = {}
        self._varying = [
            name
            for name, distribution in space.items()
            if name in self._branches.varying and not isinstance(distribution, CategoricalDistribution)
        ]

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the space."""
        return bool(self._stored or self._space)

    def of_base(self) -> Iterator[Draw[Point]]:
        """The base sampler's draws, completed by its independent sampler.

        The first one is its own. Where it draws uniformly, the others are drawn here, from the same distribution in
        less time, and those of TPE are the runners-up of the first one.
        """
        base, screen, study, trial, _ = self._asked
        remembers = RunnersUp(base) if type(base) is TPESampler else None
        asked = base if remembers is None else remembers.sampler
        inferred = self._space.of_base() if isinstance(self._space, JointSpace) else self._space
        for _ in range(EXPENSIVE_DRAWS) if is_expensive(base) else repeat(None):
            draft = DraftStudy(study, trial)
            seen = cast("Study", draft)
            relative = self._translated(asked.sample_relative(seen, trial, inferred), inferred)
            self._writes = draft.writes
            yield self._completed(asked, seen, relative)
            if not relative and draws_uniformly(base, study):
                yield from self._uniform(np.random.default_rng(screen.tuner_seed(trial.number, _START_UP)))
            if remembers is not None:
                for values in remembers.further():
                    yield self._completed(base, seen, self._translated(values, self._stored))

    def _translated(self, values: Mapping[str, Any], sources: Space) -> dict[str, Any]:
        """Values of these distributions as the objective gives them, of the parameters that are to be drawn."""
        space = self._space
        return {
            name: translated(value, sources.get(name, space[name]), space[name])
            for name, value in values.items()
            if name in space
        }

    def _completed(self, base: BaseSampler, seen: Study, relative: dict[str, Any]) -> Draw[Point]:
        """A draw of the base sampler with the parameters that its relative space lacks."""
        as_drawn = {**relative, **self._drawn_alone(base, seen, self._others(relative))}
        varying = self._ranges(as_drawn)
        outside = {name: one for name, one in varying.items() if not holds(one, relative.get(name))}
        return self._draw({**as_drawn, **self._drawn_alone(base, seen, outside)}, as_drawn, own=True)

    def uniform(self) -> Iterator[Draw[Point]]:
        """Uniform draws over the whole space."""
        return self._uniform(self._asked.screen.uniform_generator(self._asked.trial.number))

    def _uniform(self, generator: np.random.Generator) -> Iterator[Draw[Point]]:
        steady = self._others({})
        while True:
            params = uniform_draw(steady, generator)
            params.update(uniform_draw(self._ranges(params), generator))
            yield self._draw(params, params, own=False)

    def _others(self, drawn: Mapping[str, Any]) -> Space:
        """Parameters that are still to be drawn, but for those whose ranges depend on the ones that come first."""
        return {name: one for name, one in self._space.items() if name not in drawn and name not in self._varying}

    def _ranges(self, params: Mapping[str, Any]) -> Space:
        """The ranges of the parameters whose ranges vary, as in the latest trial with the same categorical values."""
        if not self._varying:
            return {}
        likely = self._branches.like({**self._constants, **params, **self._fixed}).distributions
        return {name: likely.get(name, self._space[name]) for name in self._varying}

    def _drawn_alone(self, base: BaseSampler, seen: Study, distributions: Space) -> dict[str, Any]:
        trial = self._asked.trial
        return {
            name: drawn_alone(base, seen, trial, name, self._stored.get(name, one), one)
            for name, one in distributions.items()
        }

    def _draw(self, params: dict[str, Any], as_drawn: dict[str, Any], *, own: bool) -> Draw[Point]:
        for drawn in (params, as_drawn):
            drawn.update({name: value for name, value in self._fixed.items() if name in drawn})
        config = self._config(params)
        return Draw(config, Point(params, as_drawn, config or {}, self._writes, own))

    def _config(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """The configuration that a trial with these parameters would run, as far as it can be told."""
        config = {**self._constants, **params, **self._fixed}
        used = self._branches.like(config).used
        if used is not None:
            config = {name: value for name, value in config.items() if name in used}
        return config or None


class OneParameter:
    """Candidates for a parameter of a trial, all others being settled.

    Args:
        asked: Who draws for which trial.
        config: The other parameters.
        name: The parameter.
        distribution: Its distribution in this trial.
    """

    def __init__(self, asked: Asked, config: Mapping[str, Any], name: str, distribution: BaseDistribution):
        self._asked = asked
        self._config = config
        self._name = name
        self._distribution = distribution

    def of_base(self) -> Iterator[Draw[Any]]:
        """Draws of the base sampler's independent sampler."""
        base, _, study, trial, history = self._asked
        seen = cast("Study", DraftStudy(study, trial))
        stored = history.branches.latest.get(self._name, self._distribution)
        while True:
            yield self._draw(drawn_alone(base, seen, trial, self._name, stored, self._distribution))

    def uniform(self) -> Iterator[Draw[Any]]:
        """Uniform draws."""
        generator = self._asked.screen.uniform_generator(self._asked.trial.number)
        while True:
            yield self._draw(uniform_draw({self._name: self._distribution}, generator)[self._name])

    def _draw(self, value: Any) -> Draw[Any]:
        return Draw({**self._config, self._name: value}, value)


def drawn_alone(
    base: BaseSampler, study: Study, trial: FrozenTrial, name: str, stored: BaseDistribution, given: BaseDistribution
) -> Any:
    """A value that the base sampler draws for one parameter by itself.

    Args:
        base: The base sampler.
        study: The study.
        trial: The trial.
        name: The parameter's name.
        stored: Its distribution in earlier trials: categorical values are drawn as the storage has them, since the
            base sampler compares them with those of earlier trials.
        given: Its distribution in this trial.
    """
    if given.single():
        return single_value(given)
    source = given
    if isinstance(given, CategoricalDistribution) and isinstance(stored, CategoricalDistribution):
        source = stored if len(stored.choices) == len(given.choices) else given
    return translated(base.sample_independent(study, trial, name, source), source, given)
