"""The code of a page of documentation: it is run as it stands, and prints what the page says."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

_BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", flags=re.DOTALL | re.MULTILINE)


class Snippet(NamedTuple):
    """A fenced block of Python.

    Attributes:
        code: The block.
        output: The block of text right behind it, which says what it prints; None without one.
    """

    code: str
    output: str | None


def snippets(page: Path) -> list[Snippet]:
    """The Python blocks of a page in Markdown, in their order."""
    return [Snippet(*found.groups()) for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def run_page(page: Path, namespace: dict[str, Any]) -> dict[str, Any]:
    """Run a page's blocks one after the other in one namespace.

    Raises:
        AssertionError: If a block prints anything else than the page says; three dots stand for anything.
    """
    for number, snippet in enumerate(snippets(page), 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(snippet.code, f"{page.name}, block {number}", "exec"), namespace)
        if snippet.output is None:
            continue
        alike = doctest.OutputChecker().check_output(
            snippet.output, printed.getvalue(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        )
        assert alike, f"{page}, block {number}: expected\n{snippet.output}\nreceived\n{printed.getvalue()}"
    return namespace
