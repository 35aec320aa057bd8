"""Regression: real-valued targets in place of classes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from ntk_prior import Architecture, Budget, NTKPrior, Task, Verdict, feasibility
from ntk_prior.task.hadamard import centred

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 8))
Y = X[:, 0] + 0.1 * RNG.normal(size=120)
NETWORK = Architecture(2.0, 0.0, 2, "relu")


def test_real_numbers_make_a_regression_whose_chance_is_the_mean() -> None:
    task = Task.from_arrays(X, Y)
    assert (task.n_classes, task.n_outputs, task.chance, task.target_variance) == (0, 1, 0.0, 1.0)


def test_several_targets_count_as_scaled_to_variance_1_each() -> None:
    task = Task.from_arrays(X, np.column_stack([Y, 1000.0 * X[:, 1]]))
    assert (task.n_outputs, task.target_variance) == (2, 2.0)


def test_scale_and_offset_of_targets_change_nothing() -> None:
    one, other = Task.from_arrays(X, Y), Task.from_arrays(X, 7.0 - 300.0 * Y)
    np.testing.assert_allclose(one.views["fcn"].sketch.energy, other.views["fcn"].sketch.energy, rtol=1e-9)


def test_the_targets_energy_lies_where_the_inputs_eigenvectors_say() -> None:
    task = Task.from_arrays(X, Y, groups=10_000)
    unit = X / np.sqrt(np.mean(X**2, axis=1, keepdims=True))
    order = np.random.default_rng(0).permutation(len(X))
    powers = np.cumprod(np.broadcast_to(unit[order] @ unit[order].T / 8, (5, 120, 120)), axis=0)
    vectors = np.linalg.eigh(sum(0.3**k * centred(power) for k, power in enumerate(powers)))[1][:, ::-1]
    wanted = (vectors.T @ (Y[order] - Y.mean())) ** 2
    np.testing.assert_allclose(task.views["fcn"].sketch.energy, wanted / wanted.sum(), atol=1e-8)


def test_it_survives_a_file(tmp_path: Path) -> None:
    task = Task.from_arrays(X, Y)
    task.save(tmp_path / "task.json")
    again = Task.load(tmp_path / "task.json")
    assert (again.n_classes, again.n_targets, again.chance) == (0, 1, 0.0)
    budget = Budget(300, 0.1, width=64)
    assert feasibility(NETWORK, again, budget).score == pytest.approx(
        feasibility(NETWORK, task, budget).score, abs=1e-6
    )


def test_a_file_that_was_written_before_there_were_regressions_is_one_of_classes() -> None:
    values = json.loads(json.dumps(Task.cifar10(100).to_json()))
    del values["n_targets"]
    assert Task.from_json(values).n_targets == 0


def test_cross_entropy_has_nothing_to_say_of_it() -> None:
    found = feasibility(NETWORK, Task.from_arrays(X, Y), Budget(300, 0.1, loss="cross_entropy"))
    assert found.verdict is Verdict.OUTSIDE_THEORY
    assert "cross-entropy needs classes" in found.reason


def test_targets_that_do_not_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="expected targets that differ between inputs"):
        Task.from_arrays(X, np.full(120, 0.5))


def test_shares_of_classes_are_no_targets() -> None:
    with pytest.raises(ValueError, match="one-hot"):
        Task.from_arrays(X, np.full((120, 2), 0.5))


def test_real_targets_raise_no_doubts_and_are_judged() -> None:
    x, y = load_diabetes(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = Task.from_arrays(x, y / 77.0)
    budget = Budget(epochs=50, batch_size=32, learning_rate=1e-2, width=128, parametrization="standard")
    prior = NTKPrior(task, budget)
    config = {"weight_variance": 2.0, "bias_variance": 0.0, "depth": 2, "activation": "relu"}
    assert prior(config).verdict is Verdict.FEASIBLE
    assert prior({**config, "learning_rate": 3e-5, "epochs": 3}).verdict is Verdict.UNTRAINABLE
