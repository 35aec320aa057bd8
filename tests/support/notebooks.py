"""Notebooks that are committed beside the scripts they were made from."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import nbformat


def executed(notebook: Path) -> Any:
    return nbformat.read(notebook, as_version=4)


def assert_cells_are_those_of(source: Any, notebook: Path) -> None:
    """Compare a notebook with the one that is made of the scripts beside it."""
    books = (source, executed(notebook))
    sources = [[(cell.cell_type, cell.source) for cell in book.cells] for book in books]
    assert sources[0] == sources[1], "make the notebook again: the script's docstring says how"


def outputs_without_errors(notebook: Path) -> list[Any]:
    """All outputs, every cell having run once, in order, without an error or a warning."""
    code = [cell for cell in executed(notebook).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    return outputs


def printed_by(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def assert_still_pictures(pictures: list[str]) -> None:
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
