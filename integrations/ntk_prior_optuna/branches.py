"""What finished trials tell of a study's search space: latest distributions, and which parameters go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from ntk_prior_optuna.space import Space

RECENT = 20
"""Trials after which a set of parameters counts no more beside a later one of the same categorical values."""

BY_CHANCE = 0.01
"""A parameter that trials with some value do not use is missing by chance where the probability of that is larger."""


class Branches:
    """The parameters that the finished trials of one study have used.

    Trials that used the same names are one *form*; of it, those with the same categorical values are one *branch*.
    The space may change from trial to trial: a range may depend on another parameter, or the user may have narrowed
    it. So the latest distribution counts, of a trial of the same branch where there is one.
    """

    def __init__(self) -> None:
        self.latest: Mapping[str, BaseDistribution] = {}
        """The distribution that each parameter had when it was last used."""
        self.varying: frozenset[str] = frozenset()
        """Parameters whose distribution has changed."""
        self._forms: Mapping[frozenset[str], _Form] = {}
        self._with: Mapping[tuple[str, str], _With] = {}
        self._uses: Counter[str] = Counter()
        self._trials = 0
        self._categorical: tuple[str, ...] = ()
        self._answers: dict[tuple[tuple[str, str], ...], Branch] = {}

    def read(self, trials: Iterable[FrozenTrial]) -> None:
        """Learn from trials that have finished, by number. What is replaced may still be read by another thread."""
        latest, varying, forms = dict(self.latest), set(self.varying), dict(self._forms)
        together, uses, count = dict(self._with), Counter(self._uses), self._trials
        for trial in trials:
            for name, distribution in trial.distributions.items():
                if latest.get(name, distribution) != distribution:
                    varying.add(name)
                latest[name] = distribution
            # A failed trial may have ended before it used all its parameters.
            if trial.state == TrialState.FAIL or not trial.distributions:
                continue
            names = frozenset(trial.distributions)
            form = forms.setdefault(names, _Form(trial.distributions))
            form.add(trial)
            count += 1
            uses.update(names)
            for name in form.categorical:
                pair = name, _key(trial.params[name])
                before = together.get(pair, _With(0, names, names))
                together[pair] = _With(before.trials + 1, before.some | names, before.all & names)
        self.latest, self.varying, self._forms = latest, frozenset(varying), forms
        # Those that all trials use come first: they decide what else is used.
        self._uses = Counter(dict(uses.most_common()))
        self._with, self._trials = together, count
        self._categorical = tuple(sorted({name for name, _ in together}))
        self._answers = {}

    def like(self, values: Mapping[str, Any]) -> Branch:
        """What a trial with these categorical values will use, as far as finished trials tell."""
        keys = {name: _key(values[name]) for name in self._categorical if name in values}
        known, answered = self._answers, tuple(keys.items())
        if answered not in known:
            same = [trial for form in self._forms.values() if (trial := form.latest_with(keys)) is not None]
            known[answered] = Branch(self._used(same, keys), self._distributions(same))
        return known[answered]

    def _used(self, same: Sequence[FrozenTrial], keys: Mapping[str, str]) -> frozenset[str] | None:
        """Names of parameters, see ``Branch``.

        Args:
            same: The latest trial of each form that has these categorical values.
            keys: The categorical values. Where no trial had all of them, a parameter counts as used unless trials that
                had one of them never used it.
        """
        if len(self._forms) == 1:
            return next(iter(self._forms))
        if same:
            newest = max(trial.number for trial in same)
            return frozenset().union(*(trial.distributions for trial in same if trial.number > newest - RECENT))
        unused: frozenset[str] = frozenset()
        for name in self._uses:
            if name in keys and name not in unused:
                unused |= self._never_with(name, keys[name])
        return frozenset(self.latest) - unused if unused else None

    def _distributions(self, same: Sequence[FrozenTrial]) -> Space:
        found = dict(self.latest)
        for trial in sorted(same, key=lambda one: one.number):
            found.update(trial.distributions)
        return found

    def _never_with(self, name: str, key: str) -> frozenset[str]:
        """Parameters that trials with this value never use, be it that the value decides it, or beyond chance."""
        if (name, key) not in self._with:
            return frozenset()
        trials, some, _ = self._with[name, key]
        undecided = frozenset().union(*(one.some - one.all for pair, one in self._with.items() if pair[0] == name))
        return frozenset(
            other
            for other in self._uses.keys() - some
            if other not in undecided or (1 - self._uses[other] / self._trials) ** trials < BY_CHANCE
        )


class Branch(NamedTuple):
    """What trials with the same categorical values use.

    Attributes:
        used: Names of their parameters; None where no trial tells.
        distributions: Those that all parameters will most likely have.
    """

    used: frozenset[str] | None
    distributions: Space


class _With(NamedTuple):
    """Trials that have one categorical value in common: how many, and what some and all of them used."""

    trials: int
    some: frozenset[str]
    all: frozenset[str]


class _Form:
    """Trials that used the same parameters: the latest one for all values of the categorical ones."""

    def __init__(self, distributions: Space) -> None:
        self.categorical = tuple(
            sorted(name for name, one in distributions.items() if isinstance(one, CategoricalDistribution))
        )
        self._latest: dict[tuple[str, ...], FrozenTrial] = {}

    def add(self, trial: FrozenTrial) -> None:
        self._latest[tuple(_key(trial.params[name]) for name in self.categorical)] = trial

    def latest_with(self, keys: Mapping[str, str]) -> FrozenTrial | None:
        return self._latest.get(tuple(keys.get(name, "") for name in self.categorical))


def _key(value: Any) -> str:
    """Names a categorical value, alike before and after a storage has turned its tuples into lists."""
    return repr(_as_stored(value))


def _as_stored(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_as_stored(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _as_stored(one) for name, one in value.items()}
    return value
