"""Search spaces of Ray Tune, and draws from them by Ray's own samplers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from difflib import get_close_matches
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
from ray.tune.search.variant_generator import assign_value, parse_spec_vars
from ray.tune.utils import deep_update, flatten_dict

from ntk_prior.architecture import shown

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
        _, domains, grids = parse_spec_vars(dict(config))
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
        config: Config = _copied(self._config)
        for path, domain in self._domains:
            assign_value(config, path, domain.sample(random_state=generator))
        return self._evaluated(config)

    def completed(self, suggestion: Config) -> Config:
        """The whole configuration around what a search algorithm has suggested."""
        return self._evaluated(merged(self.constants, suggestion))

    def drawn_part(self, config: Config) -> Config:
        """The top-level entries of a configuration that hold something drawn."""
        tops = {path[0] for path, _ in (*self._domains, *self._functions)}
        return {name: value for name, value in config.items() if name in tops}

    def flat(self, config: Mapping[str, Any]) -> Config:
        """The drawn values of a configuration by their flat names, such as ``"net/depth"``."""
        return {name: value for name, value in flattened(config).items() if name in self._names}

    def _evaluated(self, config: Config) -> Config:
        """With each ``tune.sample_from`` called on what is drawn by then."""
        for path, function in self._functions:
            assign_value(config, path, function.sample(config=config))
        return config


def flattened(config: Mapping[str, Any]) -> Config:
    """A configuration by flat names, such as ``"net/depth"``."""
    flat: Config = flatten_dict(dict(config))
    return flat


def leaves(config: Config, around: Path = ()) -> dict[str, Path]:
    """The keys that lead to each value of a configuration, by its flat name."""
    found: dict[str, Path] = {}
    for key, value in config.items():
        path = (*around, key)
        found.update(leaves(value, path) if isinstance(value, dict) else {_name(path): path})
    return found


def at(config: Config, path: Path) -> Any:
    """The value that a path leads to."""
    return reduce(getitem, path, config)


def replaced(config: Config, path: Path, value: Any) -> Config:
    """The configuration with another value there, in new dictionaries."""
    key, *rest = path
    changed = copy(config)
    changed[key] = replaced(config[key], tuple(rest), value) if rest else value
    return changed


def closest(name: str, known: Iterable[str]) -> str:
    """What a message on an unknown name suggests; empty where nothing is near."""
    names = list(known)
    near = [one for one in names if one.endswith(f"/{name}")] or get_close_matches(name, names, n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def merged(constants: Config, suggestion: Config) -> Config:
    """Both, nested dictionaries together, as a Tuner merges them."""
    both: Config = deep_update(_copied(constants), suggestion, new_keys_allowed=True)
    return both


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


def _copied(node: Any) -> Any:
    """New containers around the same values, which may be large or impossible to copy."""
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_copied(value) for value in node]
    return tuple(_copied(value) for value in node) if type(node) is tuple else node
