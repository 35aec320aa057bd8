"""Checks an installation of the wheel without extras: what ships, what imports, and what the adapters say."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

SHIPPED = {"ntk_prior", "ntk_prior_cli", "ntk_prior_flax", "ntk_prior_optuna", "ntk_prior_ray"}
EXTRA_OF_ADAPTER = {
    "ntk_prior_optuna": "optuna",
    "ntk_prior_flax": "train",
    "ntk_prior_ray": "ray",
    "ntk_prior.report": "report",
}
TEMPLATES = {"page.css", "page.html", "page.js"}


def check_contents() -> None:
    """Only the packages themselves may ship, each with its type marker."""
    files = importlib.metadata.files("ntk-prior") or []
    modules = {file.parts[0] for file in files if file.suffix == ".py"}
    assert modules == SHIPPED, f"expected the top-level packages {sorted(SHIPPED)}, the wheel holds {sorted(modules)}"
    marked = {file.parts[0] for file in files if file.name == "py.typed"}
    assert marked == SHIPPED, f"expected a py.typed in each package, found them in {sorted(marked)}"
    templates = {file.name for file in files if file.parts[:3] == ("ntk_prior", "report", "templates")}
    assert templates == TEMPLATES, f"expected the report's {sorted(TEMPLATES)}, the wheel holds {sorted(templates)}"
    for name in ("integrations", "tests", "examples", "benchmarks", "studies"):
        assert importlib.util.find_spec(name) is None, f"expected no top-level package {name!r} to be installed"


def check_predictor() -> None:
    """The predictor works alone, and imports neither a tuner nor JAX nor what the command is made of."""
    code = "import sys, ntk_prior; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-I", "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    foreign = {"optuna", "ray", "flax", "jax", "rich", "typer", "yaml"}.intersection(run.stdout.split())
    assert not foreign, f"expected ntk_prior to import none of its extras, it imported {sorted(foreign)}"


def check_adapters() -> None:
    """An adapter without its extra says which one to install."""
    for adapter, extra in EXTRA_OF_ADAPTER.items():
        try:
            importlib.import_module(adapter)
        except ImportError as error:
            expected = f"pip install 'ntk-prior[{extra}]'"
            assert expected in str(error), f"{adapter}: expected {expected!r} in the error, received {error}"
        else:
            raise AssertionError(f"{adapter}: expected an ImportError without the extra {extra!r}, it imported")


def check_command() -> None:
    """The command without its extra says in one line which one to install, and ends with code 1."""
    command = Path(sys.executable).with_name("ntk-prior")
    run = subprocess.run([command, "--help"], check=False, capture_output=True, text=True)
    found = (run.returncode, run.stdout, run.stderr.count("\n"))
    assert found == (1, "", 1), f"expected exit code 1 and one line of error, received {found}: {run.stderr}"
    assert "pip install 'ntk-prior[cli]'" in run.stderr, f"expected the extra cli in the error, received {run.stderr}"


if __name__ == "__main__":
    check_contents()
    check_predictor()
    check_adapters()
    check_command()
    print("wheel: contents, predictor, adapters and command as they should be")
