"""Files that are read as data: JSON objects, and errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LARGEST = 64 * 2**20
"""Bytes of the largest JSON file that is read; a summary or a prior takes a thousandth of that."""


@contextmanager
def expecting(what: str, path: str | Path, remedy: str) -> Iterator[None]:
    """Make errors about a file's content name the file, what was expected, and what to do.

    Args:
        what: What the file should hold.
        path: The file.
        remedy: What the user can do about it.

    Raises:
        ValueError: In place of any error that wrong content causes.
    """
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path}: expected {what}, but {error} is missing: {remedy}") from error
    except (AttributeError, EOFError, IndexError, MemoryError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected {what}, but {error}: {remedy}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: expected {what}, but it is nested too deeply: {remedy}") from error


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: If the file is too large, or holds anything else.
        RecursionError: If it is nested too deeply.
    """
    size = Path(path).stat().st_size
    if size > LARGEST:
        raise ValueError(f"expected at most {LARGEST} bytes, received {size}")
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, received {type(content).__name__}")
    return content
