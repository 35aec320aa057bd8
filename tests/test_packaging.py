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

ROOT = Path(__file__).parents[1]


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> dict[str, list[Requirement]]:
    """The lines of constraints.txt by package; one package may have a line for each range of Python versions."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, filter(None, lines)):
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_every_constraint_is_one_exact_version_without_an_address() -> None:
    for requirement in (line for lines in pins().values() for line in lines):
        assert requirement.url is None
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_each_declared_dependency_is_pinned_once_for_each_python_version(python: str) -> None:
    content = project()
    table = content["project"]
    declared = [*table["dependencies"], *content["dependency-groups"]["dev"]]  # type: ignore[index]
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


def test_neural_tangents_is_here_without_tensorflow() -> None:
    assert importlib.metadata.version("neural-tangents") == "0.6.5"
    assert importlib.util.find_spec("tensorflow") is None


def test_importing_the_predictor_loads_neither_a_tuner_nor_jax() -> None:
    code = "import sys, ntk_prior; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    assert not {"optuna", "ray", "flax", "jax"}.intersection(run.stdout.split())


def test_the_changelog_has_a_section_for_what_is_not_released_yet() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
