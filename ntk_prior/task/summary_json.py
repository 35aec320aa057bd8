"""A task's summary as JSON: what is written, and what must be true of what is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ntk_prior._types import Array
from ntk_prior.checks import require_integer, require_real, shown
from ntk_prior.task.cosines import POWERS
from ntk_prior.task.hadamard import Sketch
from ntk_prior.task.view import View
from ntk_prior.task.views import NAMES, ViewName

FORMAT = "ntk-prior task 1"

_WEIGHTS = ("across", "same_class", "other_class", "within")

_LARGEST_NUMBER = 1e12
"""No number of a summary is larger."""

ROUNDED = 1e-6
"""What sums and bounds of a summary may miss: files hold nine digits."""


def plain(value: Any) -> Any:
    """Arrays to lists (nine significant digits), dataclasses and tuples of arrays to mappings."""
    if isinstance(value, np.ndarray):
        return [plain(row) for row in value] if value.ndim > 1 else [float(f"{number:.9g}") for number in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Sketch):
        return {name: plain(array) for name, array in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: plain(entry) for name, entry in value.items()}
    return value


def views_from_json(values: Any, n_train: int) -> dict[ViewName, View]:
    """The views of a summary.

    Raises:
        KeyError, TypeError, ValueError: If the values are not those of views.
    """
    if not isinstance(values, Mapping) or not values or not values.keys() <= set(NAMES):
        raise ValueError(f"views: expected a mapping with some of {', '.join(NAMES)}")
    return {name: _view(view, n_train) for name, view in values.items()}


def _view(values: Mapping[str, Any], n_train: int) -> View:
    def array(owner: Mapping[str, Any], name: str) -> Array:
        try:
            numbers = np.asarray(owner[name], dtype=np.float64)
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: expected numbers, received something else ({shown(str(error))})") from error
        if not np.all(np.abs(numbers) <= _LARGEST_NUMBER):
            raise ValueError(f"{name}: expected finite numbers of at most {_LARGEST_NUMBER:g}")
        return numbers

    arrays = {f.name: array(values, f.name) for f in fields(View) if f.name not in ("group", "sketch")}
    summary = Sketch(**{name: array(values["sketch"], name) for name in Sketch._fields})
    view = View(**arrays, group=require_integer("group", values["group"], 1, 64), sketch=summary)
    nodes, groups = view.cosines.shape, summary.counts.shape
    agree = (
        len(nodes) == len(groups) == view.spreads.ndim == summary.uniform.ndim == 1
        and all(getattr(view, name).shape == nodes for name in _WEIGHTS)
        and summary.eigenvalues.shape == (len(POWERS), *groups)
        and summary.leading.shape == (len(POWERS), *summary.uniform.shape * 2)
        and summary.diagonals.shape == (len(POWERS),)
        and summary.energy.shape == groups
        and view.spreads.shape == view.variances.shape
        and nodes[0] % view.group == 0
    )
    if not agree:
        raise ValueError("views: expected arrays of matching shapes")
    _require_meaning(view, n_train)
    return view


def chance_from_json(value: Any, n_classes: int) -> float:
    """A summary's ``chance``; NaN in those that were written before it was kept.

    Raises:
        TypeError: If it is no number.
        ValueError: If no distribution over the classes has it.
    """
    if value is None:
        return math.nan
    chance = require_real("chance", value, 0.0, 1.0)
    if n_classes == 0:
        return chance
    if not 1.0 / n_classes - ROUNDED <= chance < 1.0:
        raise ValueError(f"chance: expected the share of the largest of {n_classes} classes, received {shown(value)}")
    return chance


def _require_meaning(view: View, n_train: int) -> None:
    """Check that a view's numbers can be what they stand for.

    Raises:
        ValueError: If some cannot.
    """
    summary, share = view.sketch, float(view.within.sum())
    sums = {name: float(getattr(view, name).sum()) for name in _WEIGHTS if name != "within"}
    checks = {
        "cosines: expected numbers in [-1, 1]": np.all(np.abs(view.cosines) <= 1.0 + ROUNDED),
        "weights: expected sums of 1": all(abs(total - 1.0) <= ROUNDED for total in sums.values()),
        "within: expected a sum in [0, 1]": -ROUNDED <= share <= 1.0 + ROUNDED,
        "spreads: expected increasing numbers": np.all(np.diff(view.spreads) > 0.0) and view.spreads.size > 0,
        "variances: expected no negative ones": np.all(view.variances >= 0.0),
        "energy: expected shares that sum to 1": np.all(summary.energy >= 0.0)
        and abs(float(summary.energy.sum()) - 1.0) <= ROUNDED,
        f"counts: expected positive numbers that sum to n_train, {n_train}": np.all(summary.counts > 0.0)
        and abs(float(summary.counts.sum()) - n_train) <= ROUNDED * n_train,
    }
    for words, fine in checks.items():
        if not fine:
            raise ValueError(words)
