"""TPE on HPOBench's tables with and without the prior, on a table made up for the test."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from optuna.samplers import RandomSampler
from rich.console import Console

from ntk_prior.verdict.calibration import shipped_calibration
from studies.hpobench import tables, tuning


@cache
def peak(name: str) -> pd.DataFrame:
    """Configurations in the order of HPOBench's keys; the best have a learning rate near 1e-3."""
    grid = pd.DataFrame(itertools.product(*tables.CHOICES.values()), columns=list(tables.CHOICES))
    apart = np.abs(np.log10(grid["learning_rate"]) + 3.0)
    return grid.assign(score=1.0 / (1.0 + apart + 0.1 * grid["depth"]), seconds=grid["width"] / 64.0)


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "table", peak)
    monkeypatch.setattr(tuning, "calibration_for", lambda *_: shipped_calibration())


def test_a_trial_is_scored_by_the_nearest_configuration() -> None:
    landscape = tuning.Landscape("car")
    for row in peak("car").sample(50, random_state=0).to_dict("records"):
        near = {**row, "learning_rate": row["learning_rate"] * 1.3, "width": row["width"] * 1.05}
        assert landscape.scores[landscape.place(near)] == row["score"]
        assert landscape.seconds[landscape.place(near)] == row["seconds"]


def test_the_prior_knows_scikit_learns_penalty_and_initialisation() -> None:
    config = {"alpha": 0.1, "batch_size": 50, "depth": 2, "learning_rate": 1e-3, "width": 64}
    prior = tuning.Landscape("car").prior(shipped_calibration())
    judged = prior(config)
    assert judged.budget.weight_decay == pytest.approx(0.1 / 50)
    assert judged.architecture is not None
    assert judged.architecture.bias_variance == pytest.approx(1.0 / 64)
    assert judged.budget.epochs is None
    assert judged.budget.steps == tables.EPOCHS * np.ceil(tables.SOURCES["car"].n_train / 50)


def test_a_search_ends_at_the_goal_and_counts_what_it_cost() -> None:
    landscape = tuning.Landscape("car")
    found = tuning.search(landscape, RandomSampler(seed=0))
    assert 1 <= found.trials <= tuning.MOST_TRIALS
    assert found.training_seconds >= found.trials * min(tables.CHOICES["width"]) / 64.0


def test_a_second_run_goes_on_and_the_report_pairs_seeds(tmp_path: Path) -> None:
    output = tmp_path / "tuning.csv"
    tuning.run(("car",), 1, None, output)
    first = output.read_text()
    tuning.run(("car",), 3, None, output)
    assert output.read_text().startswith(first)
    found = pd.read_csv(output)
    assert sorted(found["seed"]) == [0, 0, 1, 1, 2, 2]
    console = Console(width=140, record=True)
    tuning.report(console, output)
    pairs = found.pivot(index="seed", columns="arm", values="trials")
    ratio = float(np.exp(np.log(pairs["tpe"] / pairs["tpe_with_prior"]).mean()))
    assert f"{ratio:.2f} [" in console.export_text()
