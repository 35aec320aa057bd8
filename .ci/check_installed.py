"""Checks an installation of the wheel without extras: what ships, what imports, and what the adapters say."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys

SHIPPED = {"ntk_prior", "ntk_prior_cli", "ntk_prior_flax", "ntk_prior_optuna", "ntk_prior_ray", "ntk_prior_report"}
EXTRA_OF_ADAPTER = {
    "ntk_prior_optuna": "optuna",
    "ntk_prior_flax": "train",
    "ntk_prior_ray": "ray",
    "ntk_prior_report": "report",
}
TEMPLATES = {"page.css", "page.html", "page.js"}


def check_contents() -> None:
    """Only the packages themselves may ship, each with its type marker."""
    files = importlib.metadata.files("ntk-prior") or []
    modules = {file.parts[0] for file in files if file.suffix == ".py"}
    assert modules == SHIPPED, f"expected the top-level packages {sorted(SHIPPED)}, the wheel holds {sorted(modules)}"
    marked = {file.parts[0] for file in files if file.name == "py.typed"}
    assert marked == SHIPPED, f"expected a py.typed in each package, found them in {sorted(marked)}"
    templates = {file.name for file in files if file.parts[:2] == ("ntk_prior_report", "templates")}
    assert templates == TEMPLATES, f"expected the report's {sorted(TEMPLATES)}, the wheel holds {sorted(templates)}"
    for name in ("integrations", "tests", "examples", "benchmarks"):
        assert importlib.util.find_spec(name) is None, f"expected no top-level package {name!r} to be installed"


def check_predictor() -> None:
    """The predictor works alone, and imports neither a tuner nor JAX."""
    code = "import sys, ntk_prior; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-I", "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    foreign = {"optuna", "ray", "flax", "jax"}.intersection(run.stdout.split())
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


if __name__ == "__main__":
    check_contents()
    check_predictor()
    check_adapters()
    print("wheel: contents, predictor and adapters as they should be")
