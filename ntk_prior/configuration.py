"""Names and fields: what a configuration sets, misspellings, and the network and training that it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar

from ntk_prior.architecture import ARCHITECTURE_CHECKS, Architecture
from ntk_prior.budget import BUDGET_CHECKS, Budget
from ntk_prior.checks import is_set, named

T = TypeVar("T")

Configuration = Mapping[str, Any]
"""Parameter names to values, as a tuner draws them."""

CHECKS = {**ARCHITECTURE_CHECKS, **BUDGET_CHECKS}
ARCHITECTURE_FIELDS, BUDGET_FIELDS, FIELDS = tuple(ARCHITECTURE_CHECKS), tuple(BUDGET_CHECKS), tuple(CHECKS)
REQUIRED = ("weight_variance", "bias_variance", "depth")

_ALMOST = 0.8
"""Likeness (difflib's ratio) from which a name counts as a slip of the pen."""


@lru_cache(maxsize=256)
def require_spelling(names: tuple[Any, ...]) -> None:
    """Refuse names that are almost those of absent fields: to ignore them would be to judge another network.

    Raises:
        ValueError: If there is one.
    """
    absent = [name for name in FIELDS if name not in names]
    for name in names:
        # Numbered names (depth_1, depth_2) are nobody's slip.
        if not isinstance(name, str) or name in FIELDS or any(letter.isdigit() for letter in name):
            continue
        for meant in get_close_matches(name.lower(), absent, 1, _ALMOST):
            received = named(name)
            raise ValueError(
                f"{received}: expected {meant}, received {received}: write it so, or give it quite another name"
            )


def set_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a configuration sets, checked.

    Raises:
        TypeError, ValueError: If a field has the wrong type or lies outside its range.
    """
    return {name: CHECKS[name](name, config[name]) for name in FIELDS if name in config and is_set(config[name])}


def architecture_of(fields: Mapping[str, Any]) -> Architecture:
    """The network of a configuration's checked fields.

    Spaces draw ``pooling`` for each of their kinds: where there is nothing to pool, it is ignored.
    """
    network = {name: fields[name] for name in ARCHITECTURE_FIELDS if name in fields}
    if network.get("kind", "fcn") == "fcn":
        network.pop("pooling", None)
    return Architecture(**network)


def budget_of(fields: Mapping[str, Any], budget: Budget) -> Budget:
    """What a configuration's fields leave of a budget."""
    return budget.with_own({name: fields[name] for name in BUDGET_FIELDS if name in fields})


def naming_row(row: int, call: Callable[..., T], *arguments: Any) -> T:
    """The result of a call about one row, which errors of this package then name.

    Raises:
        TypeError, ValueError: If the call does.
    """
    try:
        return call(*arguments)
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{error} (row {row})") from error
