"""The doors for authors of adapters, and what a module may be called."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ntk_prior
import ntk_prior_cli
import ntk_prior_flax
import ntk_prior_optuna
import ntk_prior_ray
from ntk_prior import decision, runs

ROOT = Path(__file__).parents[2]
PACKAGES = (ntk_prior, ntk_prior_cli, ntk_prior_flax, ntk_prior_optuna, ntk_prior_ray)
MODULES = sorted(
    found.name for package in PACKAGES for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


@pytest.mark.parametrize("name", MODULES)
def test_no_module_bears_the_name_of_something_else_in_its_package(name: str) -> None:
    module = importlib.import_module(name)
    package, _, last = name.rpartition(".")
    assert getattr(sys.modules[package], last) is module


@pytest.mark.parametrize("door", [decision, runs], ids=["decision", "runs"])
def test_a_door_has_the_names_that_it_says(door: ModuleType) -> None:
    assert {*door.__all__} <= {*dir(door)}
    assert all(getattr(door, name) is not None for name in door.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        door.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["ntk_prior.runs", "ntk_prior.plots.review", "ntk_prior_optuna", "ntk_prior_ray"])
def test_statistics_that_take_seconds_to_import_are_loaded_when_they_are_used(package: str) -> None:
    code = f"import sys, {package}; assert 'scipy.stats' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_of_runs_has_its_home() -> None:
    assert sorted(runs._HOMES) == sorted(runs.__all__)


@pytest.mark.parametrize("folder", ["integrations", "examples"])
def test_adapters_and_examples_use_the_doors_and_not_what_is_behind_them(folder: str) -> None:
    behind = re.compile(
        r"from ntk_prior\.(?:decision|runs)\.(?!ray_folder\b)\w+ import|import ntk_prior\.(?:decision|runs)\."
    )
    found = [path for path in (ROOT / folder).rglob("*.py") if behind.search(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(("host", "home"), [("optuna", "_optuna"), ("ray", "_ray")])
def test_what_is_private_to_a_tuner_is_imported_in_one_place(host: str, home: str) -> None:
    """ruff sees to attributes (SLF001), and this to imports."""
    private = re.compile(
        rf"from {host}\.[\w.]*\b_\w+|from {host}[\w.]* import [^\n]*\b_\w+|import {host}\.[\w.]*\b_\w+"
    )
    users = {
        path.stem for path in (ROOT / "integrations").rglob("*.py") if private.search(path.read_text(encoding="utf-8"))
    }
    assert users <= {home, f"{home}_check"}
    assert users
