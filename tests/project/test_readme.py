"""The README fits on a page, its code runs as it stands, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from ntk_prior import Budget, NTKPrior, Task
from tests.support.snippets import snippets

README = Path(__file__).parents[2] / "README.md"
SNIPPETS = [one.code for one in snippets(README)]


@pytest.fixture
def launched() -> list[tuple[float, float, int]]:
    return []


@pytest.fixture
def namespace(launched: list[tuple[float, float, int]]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)

    def train_and_evaluate(*configuration: Any) -> float:
        launched.append(configuration)
        return float(np.exp(-abs(configuration[0] - 1.7)))

    inputs = rng.normal(size=(3, 20))[labels] + rng.normal(size=(90, 20))
    return {"x_train": inputs, "y_train": labels, "train_and_evaluate": train_and_evaluate}


def test_the_optuna_snippet_runs(namespace: dict[str, Any], launched: list[Any]) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    (snippet,) = [one for one in SNIPPETS if "NTKPriorSampler" in one]
    exec(snippet, namespace)
    assert len(launched) == len(namespace["study"].trials) == 100
    assert all(trial.user_attrs["ntk_prior"]["verdict"] for trial in namespace["study"].trials)


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("local_ray")
def test_the_ray_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.ray_trainables import accurate

    # Where no storage_path is given, Ray writes below the home directory.
    monkeypatch.setenv("HOME", str(tmp_path))
    (snippet,) = [one for one in SNIPPETS if "NTKPriorSearch" in one]
    namespace = {"prior": NTKPrior(Task.cifar10(1_000), Budget(steps=500, width=256)), "train": accurate}
    exec(snippet.replace("num_samples=20", "num_samples=2"), namespace)
    frame = namespace["results"].get_dataframe()  # type: ignore[attr-defined]
    assert len(frame) == 2
    # The snippet has no seed, so a trial may be one of those that bypass the prior.
    assert set(frame[frame["ntk_prior/drawn"] != "plain"]["ntk_prior/verdict"]) <= {"feasible"}
    assert frame["ntk_prior/score"].between(0, 1).all()


def test_every_file_that_the_readme_names_exists() -> None:
    text = README.read_text(encoding="utf-8")
    named = re.findall(r"(?:benchmarks|examples|docs|studies)/[\w/-]+\.\w+", text)
    linked = [target.partition("#")[0] for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text)]
    assert len(named) > 10
    assert [name for name in [*named, *linked] if not (README.parent / name).exists()] == []


def test_the_readme_is_one_page() -> None:
    assert len(README.read_text(encoding="utf-8").split()) < 900
