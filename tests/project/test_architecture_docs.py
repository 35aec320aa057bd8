"""The map of the code names every package and every module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^##+ (ntk_prior[\w.]*)[^\n]*\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
CORE = ROOT / "ntk_prior"
FOLDERS = [CORE, *(found.parent for found in CORE.glob("*/__init__.py")), *(ROOT / "integrations").glob("ntk_prior_*")]


def modules_of(folder: Path) -> set[str]:
    """The modules that a section has to name: those of subpackages too, unless these have sections."""
    return {path.stem for path in (folder.glob("*.py") if folder == CORE else folder.rglob("*.py"))} - {"__init__"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_map_names_every_module_of_a_package(folder: Path) -> None:
    package = f"ntk_prior.{folder.name}" if folder.parent == CORE else folder.name
    assert sorted(modules_of(folder) - set(re.findall(r"`(\w+)`", SECTIONS[package]))) == []
