"""The panels of a map: what is fixed in each, and which trials belong to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from ntk_prior.checks import shown
from ntk_prior.configuration import FIELDS
from ntk_prior.plots import theme
from ntk_prior.plots.slices import FACETS
from ntk_prior.runs.trial import RunTrial

USUAL: Mapping[str, Any] = {"weight_variance": 1.5, "bias_variance": 0.05, "depth": 16, "activation": "erf"}
"""What holds where neither an axis nor ``fixed`` says anything."""


class Facet(NamedTuple):
    """One panel.

    Attributes:
        row, column: Its place, from 1.
        config: What is fixed in it.
    """

    row: int
    column: int
    config: dict[str, Any]


def require_fixed(x: str, y: str, fixed: Mapping[str, Any]) -> None:
    """Refuse values of a map's fixed parameters that it cannot be drawn for.

    Raises:
        ValueError: If a name is no field or that of an axis, or if several values are given where one can hold.
    """
    for name, value in fixed.items():
        if name not in FIELDS:
            raise ValueError(f"fixed: expected names among {', '.join(FIELDS)}, received {shown(name)}")
        if name in (x, y):
            raise ValueError(f"fixed: expected parameters other than those of the axes, received {shown(name)}")
        if isinstance(value, list | tuple) and (name not in FACETS or not value):
            raise ValueError(
                f"fixed: {name}: expected {'a value' if value else 'at least one value'}, received {shown(value)}"
            )


def facets_of(fixed: Mapping[str, Any], x: str, y: str) -> Iterator[Facet]:
    """Panels in reading order: activations side by side, pooling below one another."""
    usual = {name: value for name, value in USUAL.items() if name not in (x, y)}
    values = {**usual, "pooling": False, **fixed}
    activations, poolings = (
        list(value) if isinstance(value := values[name], list | tuple) else [value] for name in FACETS
    )
    for (row, pooling), (column, activation) in product(enumerate(poolings, 1), enumerate(activations, 1)):
        yield Facet(row, column, {**values, "pooling": pooling, "activation": activation})


def facet_title(facet: Facet, fixed: Mapping[str, Any]) -> str:
    """What stands above a panel: the values that only it has."""
    words = []
    if isinstance(fixed.get("activation"), list | tuple):
        words.append(theme.plain(facet.config["activation"]))
    if isinstance(fixed.get("pooling"), list | tuple):
        words.append("pooled" if facet.config["pooling"] else "not pooled")
    return ", ".join(words)


def belongs(trial: RunTrial, facet: Facet) -> bool:
    """Whether a trial is of a panel's activation and pooling."""
    usual = {"activation": USUAL["activation"], "pooling": False}
    return all(trial.config.get(name, usual[name]) == facet.config[name] for name in FACETS)
