"""A search space as users write it down: JSON or YAML."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import yaml

from ntk_prior.checks import shown
from ntk_prior.files import expecting, legible, most_frequent, parsed_json, read_text

LARGEST = 2**20
"""Bytes of the largest file that is read."""

LARGEST_YAML = 2**16
"""Characters of the largest one in YAML, which is read in seconds where JSON takes milliseconds."""

DEEPEST, LONGEST = 20, 1000
"""How deep YAML may be nested, and characters of a value: what takes PyYAML the square of either is refused by then."""

_REMEDY = "see 'ntk-prior preview --help' for an example"
_SCALARS = (str, bool, int, float, type(None))


class Loader(yaml.SafeLoader):
    """PyYAML's safe reader within bounds, and with numbers as YAML 1.2 has them: ``1e-4`` is one, not a word.

    A name that is given twice is an error, and so is what makes parts of a document stand for other parts: a few lines
    of references to references could stand for more than memory holds.
    """

    def fetch_flow_collection_start(self, token: Any) -> None:
        """A bracket or brace opens."""
        self._require_shallow(self.flow_level + 1)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        """A line is indented further."""
        self._require_shallow(len(self.indents) + 1)
        return super().add_indent(column)

    def fetch_alias(self) -> None:
        """A reference begins."""
        raise yaml.YAMLError("it refers to another part of itself (an alias): write each value out")

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """A value ends."""
        length = len(self.peek_event().value)  # type: ignore[no-untyped-call]
        if length > LONGEST:
            raise yaml.YAMLError(f"it holds a value of {length} characters, and at most {LONGEST} are read")
        return super().compose_scalar_node(anchor)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping is complete."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("it merges another mapping into one ('<<'): write each value out")
        found = super().construct_mapping(node, deep=deep)
        if len(found) < len(node.value):
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            raise yaml.YAMLError(f"{most_frequent(names)} is given twice")
        return found

    def _require_shallow(self, depth: int) -> None:
        if depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {DEEPEST} deep")


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_space(path: Path) -> dict[str, dict[str, Any]]:
    """Read and check a search space.

    Returns:
        For each parameter ``type`` with ``low``, ``high`` and ``log``, or with ``choices``.

    Raises:
        OSError: If there is no such file.
        ValueError: If it is not a search space.
    """
    with expecting("a search space in JSON or YAML", path, _REMEDY):
        content = _parse(read_text(path, LARGEST))
        if not isinstance(content, Mapping) or not content:
            raise ValueError(f"expected a mapping of parameter names to ranges, received {shown(content)}")
        return {_require_name(name): _check_entry(name, value) for name, value in content.items()}


def _parse(text: str) -> Any:
    """The document: JSON wherever it is, since YAML takes longer."""
    try:
        return parsed_json(text)
    except JSONDecodeError as error:
        # What does not begin like JSON was never meant to be.
        no_json = f"it is no JSON ({error}), and as YAML " if text.lstrip().startswith(("{", "[")) else ""
    if len(text) > LARGEST_YAML:
        raise ValueError(f"{no_json}it has {len(text)} characters, of which at most {LARGEST_YAML} are read")
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(no_json + " ".join(str(error).split())) from error


def _require_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"expected names, received {shown(name)}: put it in quotes")
    return name


def _check_entry(name: str, value: Any) -> dict[str, Any]:
    if _is_constant(value):
        return {"type": "categorical", "choices": [value]}
    entry = dict(value) if isinstance(value, Mapping) else {}
    kind, choices, log = entry.get("type"), entry.get("choices"), entry.get("log", False)
    if kind == "categorical" and isinstance(choices, list) and choices:
        if all(_is_constant(choice) for choice in choices):
            return entry
    elif kind in ("float", "int") and isinstance(log, bool):
        bounds: list[Any] = [entry.get("low"), entry.get("high")]
        low, high = bounds
        if all(_is_bound(bound, kind) for bound in bounds) and low <= high and not (log and low <= 0):
            return entry
    raise ValueError(
        f"{legible(name)}: expected {{type: float|int, low, high, log}} with finite low <= high (whole numbers for "
        f"int, low > 0 if log) or {{type: categorical, choices: [...]}} or a finite constant, received {shown(value)}"
    )


def _is_constant(value: Any) -> bool:
    return isinstance(value, _SCALARS) and not (isinstance(value, float) and not math.isfinite(value))


def _is_bound(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return False
    return math.isfinite(value) and (kind == "float" or float(value).is_integer())
