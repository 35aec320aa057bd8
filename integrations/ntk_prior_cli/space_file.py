"""A search space as users write it down: JSON or YAML."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ntk_prior.files import expecting

LARGEST = 2**20
"""Bytes of the largest file that is read."""

_REMEDY = "see 'ntk-prior preview --help' for an example"
_SCALARS = (str, bool, int, float, type(None))


class Loader(yaml.SafeLoader):
    """Reads numbers as YAML 1.2 has them: ``1e-4`` is one, where PyYAML's own reader, of YAML 1.1, sees a word."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_space(path: Path) -> dict[str, dict[str, Any]]:
    """Read and check a search space.

    Returns:
        For each parameter ``type`` with ``low``, ``high`` and ``log``, or with ``choices``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a search space.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{path}: expected a search space of at most {LARGEST} bytes, received {size}")
    with expecting("a search space in JSON or YAML", path, _REMEDY):
        content = _parsed(path.read_text(encoding="utf-8"))
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{path}: expected a mapping of parameter names to ranges, received {content!r}: {_REMEDY}")
    return {str(name): _entry(path, str(name), value) for name, value in content.items()}


def _parsed(text: str) -> Any:
    """The document; a few lines of references to references could stand for more than memory holds."""
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("it refers to another part of itself (an alias): write each value out")
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"this was received: {error}") from error


def _entry(path: Path, name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, _SCALARS):
        return {"type": "categorical", "choices": [value]}
    entry = dict(value) if isinstance(value, Mapping) else {}
    kind, choices, log = entry.get("type"), entry.get("choices"), entry.get("log", False)
    if kind == "categorical" and isinstance(choices, list) and choices:
        if all(isinstance(choice, _SCALARS) for choice in choices):
            return entry
    elif kind in ("float", "int") and isinstance(log, bool):
        bounds: list[Any] = [entry.get("low"), entry.get("high")]
        low, high = bounds
        if all(_is_bound(bound, kind) for bound in bounds) and low <= high and not (log and low <= 0):
            return entry
    raise ValueError(
        f"{path}: {name}: expected {{type: float|int, low, high, log}} with finite low <= high (whole numbers for int, "
        f"low > 0 if log) or {{type: categorical, choices: [...]}} or a constant, received {str(value)[:200]}"
    )


def _is_bound(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return False
    return math.isfinite(value) and (kind == "float" or float(value).is_integer())
