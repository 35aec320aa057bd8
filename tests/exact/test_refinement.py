"""A prior of two stages: the exact spectrum decides what the predictor leaves open, and is computed once."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior.datasets import load_digits, prepare
from ntk_prior.exact import Refinement, spectrum

BUDGET = ntp.Budget(steps=300, width=512)


@pytest.fixture(scope="module")
def digits() -> Any:
    return prepare(load_digits(), n_train=256, n_test=2, side=None)


@pytest.fixture(scope="module")
def task(digits: Any) -> ntp.Task:
    return ntp.Task.from_arrays(digits.x_train.reshape(256, -1), digits.y_train)


def config(weight_variance: float, depth: int, **more: Any) -> dict[str, Any]:
    return {"weight_variance": weight_variance, "bias_variance": 0.18, "depth": depth, **more}


def refused(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("the spectrum should have come from disk")


def test_the_exact_verdict_is_near_the_predictors_and_is_computed_once(
    digits: Any, task: ntp.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = ntp.NTKPrior(
        task, BUDGET, refine=Refinement(digits.x_train, digits.y_train, cache_dir=tmp_path), when="always"
    )
    found, fast = judged(config(1.5, 6)), ntp.NTKPrior(task, BUDGET)(config(1.5, 6))
    assert found.measured is not None
    assert found.estimates.trainability == pytest.approx(fast.estimates.trainability, abs=0.05)
    assert found.estimates.generalization == pytest.approx(fast.estimates.generalization, abs=0.1)
    order = np.random.default_rng(0).permutation(256)
    exact = spectrum(ntp.Architecture(1.5, 0.18, 6), digits.x_train[order], digits.y_train[order])
    assert found.measured.kappa == pytest.approx(exact.kappa)
    # Another budget, another process: the same file.
    monkeypatch.setattr(sys.modules["ntk_prior.exact.spectra"], "kernel", refused)
    again = Refinement(digits.x_train, digits.y_train, cache_dir=tmp_path)
    other = pickle.loads(pickle.dumps(again))(ntp.Architecture(1.5, 0.18, 6), task, ntp.Budget(steps=3))
    assert other is not None
    assert other.measured is not None
    assert other.measured.kappa == found.measured.kappa
    assert other.trainability is not None
    assert other.trainability < found.trainability


@pytest.mark.parametrize(
    "change",
    [
        {"normalization": "batch"},
        {"activation": "mish"},
        {"parametrization": "standard"},
        {"kind": "cnn", "pooling": True},
        {"activation": "tanh", "depth": 10_000},
    ],
    ids=str,
)
def test_it_says_nothing_where_it_cannot(change: dict[str, Any], digits: Any, task: ntp.Task, tmp_path: Path) -> None:
    vectors = digits.x_train.reshape(256, -1)
    plain, refined = (
        ntp.NTKPrior(task, BUDGET, refine=refine, when="always")
        for refine in (None, Refinement(vectors, digits.y_train, cache_dir=tmp_path))
    )
    candidate = {**config(1.5, 6), **change}
    found, expected = refined(candidate), plain(candidate)
    assert replace(found, estimates=None) == replace(expected, estimates=None)
    # Interpreted at first, compiled later: the last digit may differ.
    assert found.estimates == (None if expected.estimates is None else pytest.approx(expected.estimates, rel=1e-12))
    assert found.measured is None


def test_only_uncertain_configurations_and_silences_pay(task: ntp.Task) -> None:
    asked: list[ntp.Architecture] = []

    def slow(architecture: ntp.Architecture, task: ntp.Task, budget: ntp.Budget) -> ntp.Feasibility | None:
        asked.append(architecture)
        return None

    prior = ntp.NTKPrior(task, BUDGET, refine=slow)
    columns = {
        "weight_variance": np.linspace(0.6, 4.0, 60),
        "bias_variance": np.full(60, 0.18),
        "depth": np.full(60, 16),
    }
    plain = ntp.NTKPrior(task, BUDGET).score_many(columns)
    scores = np.minimum(plain.trainability, plain.generalization)
    near = np.abs(scores - ntp.DEFAULT_THRESHOLD) <= 0.1
    table = prior.score_many(columns)
    assert 0 < near.sum() < 30
    assert [one.weight_variance for one in asked] == list(columns["weight_variance"][near])
    np.testing.assert_allclose(table.trainability, plain.trainability)
    asked.clear()
    assert prior(config(1.5, 6, normalization="batch")).verdict == "outside_theory"
    assert len(asked) == 1


def test_ones_own_judge_speaks_where_the_theory_is_silent(digits: Any, task: ntp.Task) -> None:
    labels = digits.y_train

    def own(architecture: ntp.Architecture, task: ntp.Task, budget: ntp.Budget) -> ntp.Feasibility:
        kernel = 1.0 * (labels[:, None] == labels) + np.eye(len(labels))
        return ntp.feasibility_from_spectrum(ntp.measured_spectrum(kernel, labels), task, budget)

    found = ntp.NTKPrior(task, BUDGET, refine=own)(config(1.5, 6, normalization="batch"))
    assert found.verdict == "feasible"


def test_bad_arguments_are_refused(digits: Any, task: ntp.Task) -> None:
    with pytest.raises(TypeError, match=r"refine: expected a callable such as .*Refinement\(x, y\).*received 'exact'"):
        ntp.NTKPrior(task, BUDGET, refine="exact")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="when: expected one of uncertain, always"):
        ntp.NTKPrior(task, BUDGET, when="never")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="y: expected one label for each"):
        Refinement(digits.x_train, digits.y_train[:3])
    with pytest.raises(ValueError, match="samples: expected enough for all 10 classes"):
        Refinement(digits.x_train, digits.y_train, samples=5)
