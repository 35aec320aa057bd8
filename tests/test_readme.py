"""The README's code runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optuna
import pytest
from flax import linen as nn
from snippets import snippets

from ntk_prior import Budget, NTKPrior, Task

README = Path(__file__).parents[1] / "README.md"
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
    model = nn.Sequential([nn.Dense(64), nn.relu, nn.Dense(3)])
    return {
        "model": model,
        "params": model.init(jax.random.key(0), inputs)["params"],
        "x_train": inputs,
        "y_train": labels,
        "train_and_evaluate": train_and_evaluate,
    }


def test_the_snippets_run_and_print_a_verdict(
    namespace: dict[str, Any], launched: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for snippet in (one for one in SNIPPETS if "ntk_prior_ray" not in one):
        exec(snippet, namespace)
    assert len(launched) == len(namespace["study"].trials) == 100
    assert all(trial.user_attrs["ntk_prior"]["verdict"] for trial in namespace["study"].trials)
    printed = capsys.readouterr().out
    assert str(namespace["found"].verdict) in printed
    assert namespace["found"].reason in printed
    assert namespace["measured"].n_parameters == 20 * 64 + 64 + 64 * 3 + 3
    assert printed.count("verdict=") == 1


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("local_ray")
def test_the_ray_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray_trainables import accurate

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


def test_every_script_that_the_readme_names_exists() -> None:
    named = re.findall(r"(?:benchmarks|examples|docs)/\w+\.\w+", README.read_text(encoding="utf-8"))
    assert named
    assert all((Path(__file__).parents[1] / name).exists() for name in named)
