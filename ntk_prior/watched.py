"""Which entries of a configuration a function reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any


def flat(config: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """A configuration's entries in their order, those of nested dictionaries by names like ``"net/depth"``."""
    entries: dict[str, Any] = {}
    for name, value in config.items():
        entries |= flat(value, f"{prefix}{name}/") if _is_nested(value) else {f"{prefix}{name}": value}
    return entries


def without(config: Mapping[Any, Any], flat_name: str, prefix: str = "") -> dict[Any, Any]:
    """A configuration without one of its entries."""
    return {
        name: without(value, flat_name, f"{prefix}{name}/") if _is_nested(value) else value
        for name, value in config.items()
        if f"{prefix}{name}" != flat_name
    }


def _is_nested(value: Any) -> bool:
    # Subclasses of dict have ways of their own to be read.
    return type(value) is dict and bool(value)


def _of_one(method: Callable[..., Any]) -> Any:
    """A dictionary's method that reads one entry, which it notes."""

    @wraps(method)
    def noting(self: Watched, name: Any, *rest: Any) -> Any:
        self._note(name)
        return method(self, name, *rest)

    return noting


def _of_all(method: Callable[..., Any]) -> Any:
    """A dictionary's method that reads every entry, which it notes."""

    @wraps(method)
    def noting(self: Watched, *rest: Any) -> Any:
        self._note(*dict.keys(self))
        return method(self, *rest)

    return noting


class Watched(dict[Any, Any]):
    """A copy of a configuration that notes which of its entries are read, and is a dictionary in every other respect.

    Whoever iterates over it, copies or compares it has read all of it; of a nested dictionary, what is read of that.

    Args:
        config: The configuration.
        read: Where the flat names of the entries that are read are put.
        prefix: Of these names.
    """

    def __init__(self, config: Mapping[Any, Any], read: set[str], prefix: str = "") -> None:
        super().__init__(
            (name, Watched(value, read, f"{prefix}{name}/") if _is_nested(value) else value)
            for name, value in config.items()
        )
        self._read, self._prefix = read, prefix

    def _note(self, *names: Any) -> None:
        self._read.update(f"{self._prefix}{name}" for name in names if not isinstance(dict.get(self, name), Watched))

    __getitem__: Any = _of_one(dict.__getitem__)
    __contains__: Any = _of_one(dict.__contains__)
    get: Any = _of_one(dict.get)
    pop: Any = _of_one(dict.pop)
    setdefault: Any = _of_one(dict.setdefault)
    # With an __iter__ of its own, dict(...), {**...} and f(**...) ask for keys and items instead of copying past them.
    __iter__: Any = _of_all(dict.__iter__)
    __reversed__: Any = _of_all(dict.__reversed__)
    keys: Any = _of_all(dict.keys)
    values: Any = _of_all(dict.values)
    items: Any = _of_all(dict.items)
    popitem: Any = _of_all(dict.popitem)
    copy: Any = _of_all(dict)
    __eq__: Any = _of_all(dict.__eq__)
    __ne__: Any = _of_all(dict.__ne__)
    __or__: Any = _of_all(dict.__or__)
    __ror__: Any = _of_all(dict.__ror__)
    __hash__ = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (self.copy(),)
