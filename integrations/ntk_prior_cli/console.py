"""Where the command prints to. Names and values from elsewhere are shown as they are: they neither style nor steer."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from typer.core import TyperGroup

from ntk_prior.checks import escaped
from ntk_prior.files import legible

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


class PlainConsole(Console):
    """Prints texts without markup or emoji, with escapes in place of control characters.

    Args:
        cut: Whether long texts are cut, as messages are that repeat what they were given.
    """

    def __init__(self, *, cut: bool = False, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)
        self._shown = legible if cut else escaped

    def render_str(self, text: str, **options: Any) -> Text:
        """Rich calls this for each text, be it in a table or a title."""
        return super().render_str(self._shown(text), **options)

    def print_json(self, json: str | None = None, **options: Any) -> None:
        """Print JSON that every parser takes and no terminal acts on."""
        super().print_json(strict_json(json or "null"), ensure_ascii=True, **options)


output = PlainConsole(soft_wrap=True)
errors = PlainConsole(stderr=True, cut=True)


def strict_json(text: str) -> str:
    """The same JSON with null for numbers that are not finite, which JSON does not have but Python writes."""
    return json.dumps(json.loads(text, parse_constant=lambda _: None), indent=2)


def print_traceback() -> None:
    """Print where the exception that is being handled comes from."""
    for line in traceback.format_exc().splitlines():
        errors.print(line, soft_wrap=True)


def progress_bar() -> Progress:
    """A bar for trials, beside the errors."""
    text = TextColumn("{task.description}", markup=False)
    return Progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=errors)


class PlainGroup(TyperGroup):
    """The command, whose words on wrong usage repeat what was given as ``errors`` does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the subcommand's name."""
        if not args:  # the error that follows is the help
            return super().parse_args(ctx, args)
        with _legible_usage():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Read the subcommand's options, and run it."""
        with _legible_usage():
            return super().invoke(ctx)


@contextmanager
def _legible_usage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Where the class of these errors is to be found depends on Typer's version.
        if hasattr(error, "format_message"):
            error.message = legible(error.message, 400)  # type: ignore[attr-defined]
        raise
