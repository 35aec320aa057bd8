"""The reference of the command names every command, argument and option."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ntk_prior_cli.application import app

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
TOP, *_REST = re.split(r"^## ", PAGE, flags=re.MULTILINE)
SECTIONS = {section.split("\n", 1)[0]: section for section in _REST}
COMMAND: Any = typer.main.get_command(app)


def names(command: Any) -> Iterator[str]:
    """The names of a command's arguments and options, as users type them."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield (parameter.metavar or parameter.name).strip("{}[]")
        else:
            yield from (*parameter.opts, *parameter.secondary_opts)


def is_named(name: str, section: str) -> bool:
    """Whether code in a section is the name, alone or with a metavariable behind it."""
    return re.search(rf"`{re.escape(name)}(?: [^`]*)?`", section) is not None


def test_every_command_has_a_section_and_no_section_lacks_a_command() -> None:
    assert set(SECTIONS) == set(COMMAND.commands)
    assert all(f"[`{name}`](#{name})" in TOP for name in COMMAND.commands)


@pytest.mark.parametrize("command", sorted(COMMAND.commands))
def test_a_section_names_every_argument_and_option(command: str) -> None:
    assert [name for name in names(COMMAND.commands[command]) if not is_named(name, SECTIONS[command])] == []


@pytest.mark.parametrize("command", sorted(COMMAND.commands))
def test_a_section_names_no_option_that_there_is_not(command: str) -> None:
    known = set(names(COMMAND.commands[command])) | {"--help"}
    first_cells = [line.split("|")[1] for line in SECTIONS[command].splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(--?[a-z][a-z-]*)", "".join(first_cells))) <= known


def test_the_options_of_the_command_itself_are_named() -> None:
    for name in names(COMMAND):
        assert f"`ntk-prior {name}`" in TOP
