"""Examples in docstrings print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import optuna
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "ntk_prior": ROOT,
    "ntk_prior_cli": ROOT / "integrations",
    "ntk_prior_flax": ROOT / "integrations",
    "ntk_prior_optuna": ROOT / "integrations",
    "ntk_prior_ray": ROOT / "integrations",
}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def with_examples() -> list[str]:
    """The modules in which there are examples."""
    return [
        ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__")
        for package, top in PACKAGES.items()
        for path in sorted((top / package).rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of_a_module_print_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert result.failed == 0, capsys.readouterr().out
    assert result.attempted > 0
