"""Where the command prints to."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

output = Console(soft_wrap=True)
errors = Console(stderr=True)


def progress_bar() -> Progress:
    """A bar for trials, beside the errors."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors)
