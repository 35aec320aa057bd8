"""What the environment and the package's metadata promise."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import ntk_prior

ROOT = Path(__file__).parents[2]


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str = "constraints.txt") -> dict[str, list[Requirement]]:
    """The lines of a file of pins by package; one package may have a line for each range of Python versions."""
    lines = (ROOT / name).read_text().splitlines()
    found: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, filter(None, lines)):
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lowest.txt"])
def test_every_constraint_is_one_exact_version_without_an_address(name: str) -> None:
    for requirement in (line for lines in pins(name).values() for line in lines):
        assert requirement.url is None
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_each_declared_dependency_is_pinned_once_for_each_python_version(python: str) -> None:
    content = project()
    table = content["project"]
    groups = content["dependency-groups"].values()  # type: ignore[attr-defined]
    declared = [*table["dependencies"], *(line for group in groups for line in group if isinstance(line, str))]  # type: ignore[index]
    declared += [name for extra in table["optional-dependencies"].values() for name in extra]  # type: ignore[index]
    for requirement in map(Requirement, declared):
        if requirement.name == "ntk-prior":
            continue
        environment = {"python_version": python, "python_full_version": f"{python}.0"}
        lines = [
            pin
            for pin in pins().get(canonicalize_name(requirement.name), [])
            if pin.marker is None or pin.marker.evaluate(environment)
        ]
        assert len(lines) == 1, f"{requirement} on Python {python}: expected one pin, found {lines}"
        (version,) = (specifier.version for specifier in lines[0].specifier)
        assert requirement.specifier.contains(version), f"{requirement}: the pin {version} is outside"


def test_the_lowest_versions_that_are_tested_are_those_that_are_declared() -> None:
    content = project()
    table, lowest = content["project"], pins("constraints-lowest.txt")
    extras = [line for name, lines in table["optional-dependencies"].items() if name != "exact" for line in lines]  # type: ignore[index]
    declared = [*table["dependencies"], *extras, *content["dependency-groups"]["test"]]  # type: ignore[index]
    for requirement in map(Requirement, declared):
        if requirement.name == "ntk-prior":
            continue
        (floor,) = [one.version for one in requirement.specifier if one.operator == ">="]
        (pin,) = lowest[canonicalize_name(requirement.name)]
        (version,) = (one.version for one in pin.specifier)
        assert Version(version) == Version(floor), f"{requirement}: expected {floor} to be tested, found {version}"


def test_neural_tangents_is_here_without_tensorflow() -> None:
    assert importlib.metadata.version("neural-tangents") == "0.6.5"
    assert importlib.util.find_spec("tensorflow") is None


def test_importing_the_predictor_loads_no_tuner_no_jax_and_nothing_of_the_command() -> None:
    code = "import sys, ntk_prior; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    assert not {"optuna", "ray", "flax", "jax", "rich", "typer", "yaml", "sklearn"}.intersection(run.stdout.split())


def test_the_version_is_that_of_the_citation_and_of_the_installed_package() -> None:
    assert f"\nversion: {ntk_prior.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert importlib.metadata.version("ntk-prior") == ntk_prior.__version__


def test_the_changelog_has_a_section_for_what_is_not_released_yet() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
