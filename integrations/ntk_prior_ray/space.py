"""Search spaces of Ray Tune, draws from them by Ray's own samplers, and the trials' configurations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from difflib import get_close_matches
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np

from ntk_prior.checks import shown
from ntk_prior_ray import _ray

Config = dict[str, Any]
Path = tuple[Any, ...]


class Space:
    """A search space of Ray Tune, as given to a Tuner's ``param_space``.

    Args:
        config: Constants and domains, nested at will.

    Raises:
        TypeError: If it is not a dictionary.
        ValueError: If it contains ``tune.grid_search``.
    """

    def __init__(self, config: Any) -> None:
        if not isinstance(config, Mapping):
            raise TypeError(f"space: expected a dictionary of constants and Ray Tune domains, received {shown(config)}")
        domains, grids = _ray.domains_and_grids(dict(config))
        if grids:
            names = ", ".join(_name(path) for path, _ in grids)
            raise ValueError(
                f"space: expected domains to draw from, received tune.grid_search for {names}: a grid visits each of "
                "its points, so the prior could refuse none. Use tune.choice, or the grid without NTKPriorSearch"
            )
        self._config = dict(config)
        self._domains = [(path, domain) for path, domain in domains if not domain.is_function()]
        self._functions = [(path, domain) for path, domain in domains if domain.is_function()]
        self._names = {_name(path) for path, _ in self._domains}
        self.constants: Config = _without(self._config, {path for path, _ in domains})
        """What is not drawn."""
        self.searchable: Config = _without(self._config, {path for path, _ in self._functions})
        """The space without ``tune.sample_from``, which search algorithms do not take."""

    @property
    def is_constant(self) -> bool:
        """Whether there is nothing to draw."""
        return not self._domains and not self._functions

    def draw(self, generator: np.random.Generator) -> Config:
        """One whole configuration, each domain sampled as Ray Tune samples it."""
        config: Config = _copy(self._config)
        for path, domain in self._domains:
            assign(config, path, domain.sample(random_state=generator))
        return self._evaluate(config)

    def complete(self, suggestion: Config) -> Config:
        """The whole configuration around what a search algorithm has suggested."""
        return self._evaluate(merge(self.constants, suggestion))

    def drawn_part(self, config: Config) -> Config:
        """The top-level entries of a configuration that hold something drawn."""
        tops = {path[0] for path, _ in (*self._domains, *self._functions)}
        return {name: value for name, value in config.items() if name in tops}

    def flat(self, config: Mapping[str, Any]) -> Config:
        """The drawn values of a configuration by their flat names, such as ``"net/depth"``."""
        return {name: value for name, value in flatten(config).items() if name in self._names}

    def _evaluate(self, config: Config) -> Config:
        """With each ``tune.sample_from`` called on what is drawn by then."""
        for path, function in self._functions:
            assign(config, path, function.sample(config=config))
        return config


class TrialSpace:
    """Configurations from a search algorithm's suggestions, a space declared to us, and what the Tuner adds.

    Args:
        declared: The search space declared to us, or None if the Tuner or the search algorithm has it.
    """

    def __init__(self, declared: Mapping[str, Any] | None) -> None:
        self.declared = None if declared is None else Space(declared)
        self._drawn = self.declared
        self._around: Config = {}
        self._hidden: list[str] = []

    def set_tuner_space(self, given: Space, *, draws: bool = False) -> None:
        """Take the Tuner's space: its constants, and its domains too if it ``draws`` from them."""
        self._around = _known_part(given.constants)
        if draws:
            self._drawn = given
        sample = flatten(given.draw(np.random.default_rng(0)))
        self._hidden = [name for name, value in sample.items() if _is_placeholder(value)]

    @property
    def can_draw(self) -> bool:
        """Whether the space is known, so that it can be drawn from."""
        return self._drawn is not None

    @property
    def hint(self) -> str:
        """What to do about values that the Tuner hides."""
        if not self._hidden:
            return ""
        return (
            f". The Tuner hides {', '.join(self._hidden)} (functions or objects) from search algorithms: pass the "
            "space to NTKPriorSearch(space=...) instead of the Tuner"
        )

    def complete(self, suggestion: Config) -> Config:
        """What the Tuner gets for a suggestion of the search algorithm's."""
        return suggestion if self.declared is None else self.declared.complete(suggestion)

    def uniform_draws(self, generator: np.random.Generator) -> Iterator[Config]:
        """What the Tuner gets for uniform draws over the space; none where that is not known."""
        space = self._drawn
        while space is not None:
            config = space.draw(generator)
            yield space.drawn_part(config) if self.declared is None else config

    def visible(self, config: Config) -> Config:
        """What the prior is asked about: the trial's whole configuration, but for what the Tuner hides."""
        return _known_part(merge(self._around, config))

    def flat_point(self, config: Config) -> Config:
        """The drawn values of a configuration by their flat names, such as ``"net/depth"``."""
        return flatten(config) if self._drawn is None else self._drawn.flat(config)


def flatten(config: Mapping[str, Any]) -> Config:
    """A configuration by flat names, such as ``"net/depth"``."""
    flat: Config = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat.update((f"{name}/{inner}", one) for inner, one in flatten(value).items())
        else:
            flat[name] = value
    return flat


def leaves(config: Config, around: Path = ()) -> dict[str, Path]:
    """The keys that lead to each value of a configuration, by its flat name."""
    found: dict[str, Path] = {}
    for key, value in config.items():
        path = (*around, key)
        found.update(leaves(value, path) if isinstance(value, dict) else {_name(path): path})
    return found


def value_at(config: Config, path: Path) -> Any:
    """The value that a path leads to."""
    return reduce(getitem, path, config)


def replace_at(config: Config, path: Path, value: Any) -> Config:
    """The configuration with another value there, in new dictionaries."""
    key, *rest = path
    changed = copy(config)
    changed[key] = replace_at(config[key], tuple(rest), value) if rest else value
    return changed


def closest(name: str, known: Iterable[str]) -> str:
    """What a message on an unknown name suggests; empty where nothing is near."""
    names = list(known)
    near = [one for one in names if one.endswith(f"/{name}")] or get_close_matches(name, names, n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def merge(constants: Config, suggestion: Config) -> Config:
    """Both, nested dictionaries together, as a Tuner merges them."""
    return _update(_copy(constants), suggestion)


def assign(config: Config, path: Path, value: Any) -> None:
    """Put a value into nested dictionaries, lists and tuples; a tuple in them is replaced by a new one."""
    *around, key = path
    holder = value_at(config, tuple(around))
    if isinstance(holder, tuple):
        assign(config, tuple(around), (*holder[:key], value, *holder[key + 1 :]))
    else:
        holder[key] = value


def _update(config: Config, values: Config) -> Config:
    for name, value in values.items():
        inside = config.get(name)
        config[name] = _update(inside, value) if isinstance(inside, dict) and isinstance(value, dict) else value
    return config


def _name(path: Path) -> str:
    return "/".join(map(str, path))


def _without(config: Config, paths: set[Path]) -> Config:
    """A search space without the entries that hold one of the paths, lists as a whole."""
    kept = {}
    for name, value in config.items():
        inside = {path[1:] for path in paths if path[0] == name}
        if isinstance(value, dict) and () not in inside:
            kept[name] = _without(value, inside)
        elif not inside:
            kept[name] = value
    return kept


def _copy(node: Any) -> Any:
    """New containers around the same values, which may be large or impossible to copy."""
    if isinstance(node, dict):
        return {key: _copy(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_copy(value) for value in node]
    return tuple(_copy(value) for value in node) if type(node) is tuple else node


def _known_part(config: Config) -> Config:
    return {
        name: _known_part(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if not _is_placeholder(value)
    }


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and value[0] in _ray.PLACEHOLDERS
