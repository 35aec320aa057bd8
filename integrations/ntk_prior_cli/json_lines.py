"""Files with a JSON object on each line, as Ray Tune and ``NTKPriorCallback`` write them; read without Ray."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

from ntk_prior.architecture import shown
from ntk_prior.files import expecting, parsed_json, read_bytes

REJECTIONS = "ntk_rejections.jsonl"
"""Where ``NTKPriorCallback`` writes refused proposals, in the experiment's folder."""

LARGEST = 2**28
"""Bytes of the largest file of an experiment that is read."""


def refused_proposals(folder: Path) -> list[dict[str, Any]]:
    """Refused proposals of a Ray Tune experiment, in their order.

    Raises:
        ValueError: If the file holds anything else.
    """
    path = folder / REJECTIONS
    if not path.exists():
        return []
    with expecting("a refused proposal on each line, as a JSON object", path, "remove the lines that are none"):
        found = json_objects(path)
        for one in found:
            if not isinstance(one["config"], dict) or not is_number(one["score"]):
                raise TypeError(f"a line holds {shown(one)}")
        return found


def json_objects(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file's lines; half a line at its end is passed over, since it may just be written."""
    *lines, end = read_bytes(path, LARGEST).split(b"\n")
    found = [parsed_json(line.decode("utf-8")) for line in lines if line.strip()]
    if end.strip():
        with suppress(json.JSONDecodeError, UnicodeDecodeError):
            found.append(parsed_json(end.decode("utf-8")))
    if not all(isinstance(one, dict) for one in found):
        raise TypeError("a line holds something else")
    return found


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value can be compared."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
