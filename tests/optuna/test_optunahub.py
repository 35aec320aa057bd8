"""The packages for OptunaHub: laid out as its registry asks, loaded by its loader, and run."""

from __future__ import annotations

import inspect
import re
import runpy
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import optunahub
import plotly.graph_objects as go
import pytest
import yaml

REGISTRY = Path(__file__).parents[2] / "integrations" / "optunahub" / "package"
PACKAGES = {"samplers/ntk_prior": "sampler", "visualization/plot_ntk_feasibility": "visualization"}


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[go.Figure]:
    """Figures that were shown; OptunaHub reads its packages from here instead of the network."""

    def load(package: str, **_: Any) -> ModuleType:
        return optunahub.load_local_module(package, registry_root=str(REGISTRY))

    figures: list[go.Figure] = []
    monkeypatch.setattr(optunahub, "load_module", load)
    monkeypatch.setattr(go.Figure, "show", lambda figure, **_: figures.append(figure))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return figures


def readme(package: str) -> tuple[dict[str, Any], str]:
    """Front matter and body of a package's page."""
    _, front, body = (REGISTRY / package / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_folder_holds_what_the_registry_asks_for(package: str) -> None:
    present = {path.name for path in (REGISTRY / package).iterdir() if path.is_file()}
    assert present == {"LICENSE", "README.md", "__init__.py", "example.py", "requirements.txt"}
    assert (REGISTRY / package / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) ")
    assert (REGISTRY / package / "requirements.txt").read_text().startswith("ntk-prior[optuna")


def test_the_page_has_the_registrys_front_matter_and_sections(package: str) -> None:
    front, body = readme(package)
    assert list(front) == ["author", "title", "description", "tags", "optuna_versions", "license"]
    assert front["license"] == "MIT License"
    assert front["tags"][0] == PACKAGES[package]
    assert all(isinstance(entry, str) for entry in [front["author"], front["title"], *front["optuna_versions"]])
    assert version("optuna") in front["optuna_versions"]
    headings = re.findall(r"^## (.*)$", body, flags=re.MULTILINE)
    assert headings == ["Abstract", "APIs", "Installation", "Example", "Others"]


def test_the_page_holds_no_html(package: str) -> None:
    _, body = readme(package)
    prose = re.sub(r"```.*?```|`[^`]*`", "", body, flags=re.DOTALL)
    assert not re.search(r"<[A-Za-z!/]", prose)


def test_the_page_states_the_signatures_as_they_are(package: str) -> None:
    module = optunahub.load_local_module(package, registry_root=str(REGISTRY))
    _, body = readme(package)
    stated = dict(re.findall(r"^- `(\w+)(\(.*\))`", body, flags=re.MULTILINE))
    assert stated.keys() & set(module.__all__)
    for name in stated.keys() & set(module.__all__):
        signature = inspect.signature(getattr(module, name))
        bare = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
        actual = inspect.Signature(bare)
        assert stated[name].replace('"', "'") == str(actual), name


def test_the_sampler_runs_a_study() -> None:
    module = optunahub.load_local_module("samplers/ntk_prior", registry_root=str(REGISTRY))
    prior = module.NTKPrior(module.Task.cifar10(500), module.Budget(steps=300, width=128))
    space = {
        "weight_variance": optuna.distributions.FloatDistribution(0.5, 4.0),
        "bias_variance": optuna.distributions.FloatDistribution(0.0, 0.5),
        "depth": optuna.distributions.IntDistribution(1, 64),
    }
    base = optuna.samplers.RandomSampler(seed=1)
    sampler = module.NTKPriorSampler(prior, base, search_space=space, seed=3)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(len([trial._suggest(*one) for one in space.items()])), n_trials=20)
    notes = [trial.user_attrs["ntk_prior"] for trial in study.trials]
    assert {note["verdict"] for note in notes if note["drawn"] in ("screened", "uniform")} == {"feasible"}


def test_the_example_runs(package: str, shown: list[go.Figure], capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(REGISTRY / package / "example.py"))
    if package == "samplers/ntk_prior":
        assert "best accuracy: 0." in capsys.readouterr().out
    else:
        assert [type(figure) for figure in shown] == [go.Figure]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.filterwarnings("ignore:.*(invalid value|overflow|divide by zero).*:RuntimeWarning")
def test_the_code_on_the_page_runs(package: str, shown: list[go.Figure], capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", readme(package)[1], flags=re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    assert len(namespace["study"].trials) >= 20
    assert "'verdict': " in capsys.readouterr().out or shown


@pytest.mark.parametrize("missing", ["ntk_prior_optuna", "optuna"])
def test_a_missing_dependency_is_an_error_that_says_what_to_install(
    package: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Callable[..., ModuleType] = optunahub.load_local_module
    for name in [name for name in sys.modules if name.partition(".")[0] == "ntk_prior_optuna"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'ntk-prior\[optuna"):
        load(package, registry_root=str(REGISTRY))
