"""Examples in docstrings print what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
from dataclasses import is_dataclass
from enum import Enum
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


FACADES = (
    "ntk_prior",
    "ntk_prior.exact",
    "ntk_prior.report",
    "ntk_prior_flax",
    "ntk_prior_optuna",
    "ntk_prior_optuna.visualization",
    "ntk_prior_ray",
    "ntk_prior_ray.visualization",
)
OF_RECORDS = {"build_page", "summarize"}
"""Functions of a run; the example of ``ntk_prior.runs`` and that of ``write_page`` make one."""


def callables_of(facade: str) -> list[str]:
    """The functions of a facade, and the classes that users make objects of: no results, which functions return."""
    module = importlib.import_module(facade)
    return [
        f"{facade}.{name}"
        for name in module.__all__
        if inspect.isfunction(found := getattr(module, name))
        or (inspect.isclass(found) and not issubclass(found, tuple | Enum) and not is_dataclass(found))
    ]


@pytest.mark.parametrize("name", [name for facade in FACADES for name in callables_of(facade)])
def test_what_users_call_has_an_example(name: str) -> None:
    facade, _, own = name.rpartition(".")
    if own not in OF_RECORDS:
        assert ">>> " in (inspect.getdoc(getattr(importlib.import_module(facade), own)) or "")
