"""Where users train: by Adam, under cross-entropy, in mini-batches, in the standard parametrization."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, NTKPrior, Task, Verdict, feasibility
from ntk_prior.verdict.practice import MIN_SUPPORT
from ntk_prior_optuna import NTKPriorSampler

TRAININGS = Path(__file__).parents[2] / "studies" / "trainings"
CIFAR10 = Task.cifar10(4000)


def recorded(name: str) -> list[dict[str, str]]:
    with (TRAININGS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def adam(steps: int, rate: float | None = 1e-3, **fields: Any) -> Budget:
    chosen: dict[str, Any] = {"width": 256, "loss": "cross_entropy", **fields}
    return Budget(steps, rate, "adam", **chosen)


@pytest.mark.parametrize("rate", [1e-4, 1e-3, 3e-2])
@pytest.mark.parametrize("depth", [1, 3, 16])
def test_under_adam_the_prior_has_no_score_and_says_why(depth: int, rate: float) -> None:
    found = feasibility(Architecture(2.0, 0.0, depth, "relu"), CIFAR10, adam(600, rate))
    assert (found.trainability, found.generalization, found.score) == (None, None, None)
    assert found.verdict is Verdict.OUTSIDE_THEORY
    assert "Adam" in found.reason
    assert found.suggestion is None


def test_under_adam_only_what_it_cannot_reach_is_refused() -> None:
    network = Architecture(2.0, 0.0, 3, "relu")
    found = feasibility(network, CIFAR10, adam(5, 1e-8))
    assert found.verdict is Verdict.UNTRAINABLE
    assert found.score == found.trainability
    assert found.score is not None
    assert found.score < 0.1
    assert found.generalization is None
    assert "steps of adam" in found.reason
    # What is suggested is no longer out of reach.
    assert found.suggestion is not None
    assert "learning_rate >= " in found.suggestion
    nearer = float(found.suggestion.split("learning_rate >= ")[1].split(",")[0])
    assert feasibility(network, CIFAR10, adam(5, 1.01 * nearer)).score is None


def test_tables_mask_what_is_not_known_under_adam() -> None:
    prior = NTKPrior(CIFAR10, Budget(600, width=256))
    columns = {
        "weight_variance": [2.0, 2.0, 2.0],
        "bias_variance": [0.0, 0.0, 0.0],
        "depth": [3, 3, 3],
        "optimizer": ["adam", "sgd", "adam"],
        "learning_rate": [1e-3, None, 1e-12],
    }
    table = prior.score_many(columns)
    assert table.verdict.tolist() == ["outside_theory", "feasible", "untrainable"]
    assert table.score.mask.tolist() == [True, False, False]
    assert table.trainability.mask.tolist() == [True, False, False]
    assert table.generalization.mask.tolist() == [True, False, True]
    assert np.all(np.isfinite(table.score.data))


@pytest.mark.parametrize(
    ("network", "width"),
    [
        (Architecture(2.0, 0.0, 2, "relu"), 512),
        (Architecture(2.0, 0.0, 5, "relu"), 512),
        (Architecture(2.0, 0.0, 8, "relu"), 256),
        (Architecture(1.0, 0.0, 3, "tanh"), 256),
    ],
)
def test_the_textbook_recipe_of_sgd_at_a_tenth_is_not_said_to_diverge(network: Architecture, width: int) -> None:
    budget = Budget(600, 0.1, batch_size=128, width=width, parametrization="standard", loss="cross_entropy")
    found = feasibility(network, CIFAR10, budget)
    assert found.verdict is not Verdict.DIVERGES
    assert found.trainability is not None
    assert found.trainability >= 0.3


def judged(row: dict[str, str], task: Task) -> ntp.Feasibility:
    architecture = Architecture(float(row["weight_variance"]), 0.0, int(row["depth"]), row["activation"])
    budget = Budget(
        300,
        float(row["learning_rate"]),
        "momentum" if row["optimizer"] == "momentum" else "sgd",
        float(row["momentum"]),
        int(row["batch_size"]),
        int(row["width"]),
        "standard",
        "mse" if row["loss"] == "mse" else "cross_entropy",
    )
    return feasibility(architecture, task, budget)


def test_no_recorded_network_that_trained_is_said_to_diverge() -> None:
    """``studies.trainings.largest_rates`` trained at up to 128 times 2 / lambda_max."""
    task = Task.load(TRAININGS / "largest_rates.json")
    rows = recorded("largest_rates.csv")
    assert len(rows) >= 720
    trained = [row for row in rows if float(row["train_accuracy"]) >= 0.28]
    assert len(trained) > 200
    refused = [row for row in trained if judged(row, task).verdict in (Verdict.DIVERGES, Verdict.COLLAPSES)]
    assert len(refused) <= len(trained) // 50


def test_rates_beyond_all_at_which_networks_trained_are_refused() -> None:
    beyond = [
        row
        for row in recorded("largest_rates.csv")
        if float(row["multiple"]) >= 128 and not (row["activation"] == "tanh" and row["loss"] == "cross_entropy")
    ]
    task = Task.load(TRAININGS / "largest_rates.json")
    found = [judged(row, task) for row in beyond]
    killed = [one for one in found if one.verdict in (Verdict.DIVERGES, Verdict.COLLAPSES, Verdict.OUTSIDE_THEORY)]
    assert len(killed) == len(found)
    spoken = [one for one in killed if one.verdict is not Verdict.OUTSIDE_THEORY]
    assert len(spoken) >= 0.8 * len(killed)
    words = next(one.reason for one in spoken if one.budget.loss == "cross_entropy")
    assert "times 2 / lambda_max" in words


@pytest.mark.parametrize(
    ("network", "width", "verdict"),
    [
        (Architecture(1.0, 0.05, 40), 512, Verdict.UNTRAINABLE),
        (Architecture(3.0, 0.05, 52), 256, Verdict.MEMORIZES_ONLY),
        (Architecture(1.8, 0.05, 100), 256, Verdict.MEMORIZES_ONLY),
    ],
)
def test_what_is_hardly_learnt_is_untrainable_and_only_what_is_learnt_memorizes(
    network: Architecture, width: int, verdict: Verdict
) -> None:
    found = feasibility(network, Task.cifar10(10_000), Budget(3000, width=width))
    assert found.verdict is verdict
    assert ("hardly trains" in found.reason) is (verdict is Verdict.UNTRAINABLE)


@pytest.mark.parametrize("rate", [0.02, 0.03])
def test_full_batches_in_the_standard_parametrization_train_beyond_the_limit_too(rate: float) -> None:
    """ReLU networks of depth 5 and width 128 reach a training accuracy of 1 on 1,000 digits at both rates."""
    x, y = load_digits(return_X_y=True)
    task = Task.from_arrays(x[:1000] / 16 - 0.3, y[:1000])
    budget = Budget(400, rate, width=128, parametrization="standard")
    found = feasibility(Architecture(2.0, 0.0, 5, "relu"), task, budget)
    assert found.verdict is not Verdict.DIVERGES


def test_with_full_batches_and_squared_error_the_limit_stays_two_over_lambda_max() -> None:
    network, task = Architecture(1.5, 0.05, 4), Task.cifar10(512)
    limit = ntp.max_learning_rate(network, task, Budget(300, width=512))
    at = [feasibility(network, task, Budget(300, factor * limit, width=512)) for factor in (0.5, 5.0)]
    assert [found.verdict for found in at] == [Verdict.FEASIBLE, Verdict.DIVERGES]
    assert "= 2 / lambda_max: every step overshoots" in at[1].reason


def test_the_residuals_of_cross_entropy_pull_as_hard_as_those_of_the_squared_error() -> None:
    """At a rate that is stable for both, neither needs more steps than the other."""
    network, task = Architecture(1.5, 0.05, 3), Task.cifar10(512)
    rate = 0.5 * ntp.max_learning_rate(network, task, Budget(30, width=512))
    squared, entropy = (
        feasibility(network, task, Budget(30, rate, width=512, loss=loss)) for loss in ("mse", "cross_entropy")
    )
    assert squared.estimates is not None
    assert entropy.estimates is not None
    assert entropy.estimates.learnt == pytest.approx(squared.estimates.learnt, rel=1e-9)


ENDS = {
    "weight_variance": st.sampled_from([1e-3, 1.5, 1e3]),
    "bias_variance": st.sampled_from([0.0, 5e-324, 1e-300, 0.1, 1e3]),
    "depth": st.sampled_from([1, 2, 64, 10_000]),
    "activation": st.sampled_from(["erf", "tanh", "relu", "gelu", "silu", "sin", "identity"]),
    "keep_rate": st.sampled_from([5e-324, 1e-308, 1e-200, 1e-100, 1e-20, 0.5, 1.0]),
    "residual_scale": st.sampled_from([None, 5e-324, 1e-160, 1.0, 100.0]),
    "normalization": st.sampled_from(["none", "layer"]),
    "learning_rate": st.sampled_from([None, 5e-324, 1e-300, 1e-3, 1e300]),
    "width": st.sampled_from([1, 64, 10**9]),
    "steps": st.sampled_from([1, 300, 10**12]),
    "batch_size": st.sampled_from([None, 1, 10**9]),
    "loss": st.sampled_from(["mse", "cross_entropy"]),
    "parametrization": st.sampled_from(["ntk", "standard"]),
}


@given(config=st.fixed_dictionaries(ENDS))
def test_at_the_ends_of_floats_scores_stay_numbers_and_what_is_not_finite_is_not_feasible(
    config: dict[str, Any],
) -> None:
    found = NTKPrior(CIFAR10, Budget(300))(config)
    assert found.estimates is not None
    assert all(math.isfinite(side) for side in found.estimates)
    if found.score is None:  # so far from all trainings that nothing is said
        assert found.support is not None
        assert found.support < MIN_SUPPORT
        return
    assert 0.0 <= found.score <= 1.0
    assert "nan" not in found.reason
    assert "inf" not in found.reason
    assert found.spectrum is not None
    assert not any(math.isnan(value) for value in found.spectrum[7:11])
    if config["keep_rate"] <= 1e-100:
        assert found.verdict is not Verdict.FEASIBLE


def test_the_smallest_rate_is_not_taken_for_the_default_one() -> None:
    network, task = Architecture(1.5, 0.05, 3), Task.cifar10(512)
    tiny, default = (feasibility(network, task, Budget(300, rate, width=256)) for rate in (5e-324, None))
    assert default.verdict is Verdict.FEASIBLE
    assert tiny.verdict is Verdict.UNTRAINABLE


def test_tpe_is_not_slowed_by_a_prior_that_knows_only_bounds() -> None:
    """Real Adam trainings of scikit-learn's MLPClassifier, each looked up where TPE asks for its nearest neighbour."""
    rows = recorded("mlp_adam.csv")
    names = ("depth", "width", "batch_size", "learning_rate", "alpha")
    low = np.array([1, 16, 8, 1e-5, 1e-8])
    span = np.log(np.array([3, 256, 256, 1.0, 1.0]) / low)
    points = np.log(np.array([[float(row[name]) for name in names] for row in rows]) / low) / span
    scores = np.array([float(row["accuracy"]) for row in rows])
    good = np.sort(scores)[-len(scores) // 50]
    x, y = load_digits(return_X_y=True)

    def to_architecture(config: dict[str, Any]) -> dict[str, Any]:
        return {
            "weight_variance": 1.0,
            "bias_variance": 0.0,
            "depth": config["depth"],
            "activation": "relu",
            "width": config["width"],
            "batch_size": config["batch_size"],
            "learning_rate": config["learning_rate"],
        }

    budget = Budget(20 * 400 // 32, None, "adam", width=64, parametrization="standard", loss="cross_entropy")
    prior = NTKPrior(Task.from_arrays(x / x.std(), y, n_train=400), budget, to_architecture)

    def objective(trial: optuna.Trial) -> float:
        asked = [
            trial.suggest_int("depth", 1, 3),
            trial.suggest_int("width", 16, 256, log=True),
            trial.suggest_int("batch_size", 8, 256, log=True),
            trial.suggest_float("learning_rate", 1e-5, 1.0, log=True),
            trial.suggest_float("alpha", 1e-8, 1.0, log=True),
        ]
        nearest = np.argmin(np.sum((points - np.log(np.array(asked) / low) / span) ** 2, axis=1))
        return float(scores[nearest])

    def trials_to_good(seed: int, *, screened: bool) -> int:
        base = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(
            direction="maximize", sampler=NTKPriorSampler(prior, base, seed=seed) if screened else base
        )
        study.optimize(objective, n_trials=100, callbacks=[lambda s, _: s.stop() if s.best_value >= good else None])
        return len(study.trials)

    seeds = range(40)
    without, with_prior = (
        np.log([trials_to_good(seed, screened=screened) for seed in seeds]) for screened in (False, True)
    )
    slower = stats.ttest_rel(with_prior, without, alternative="greater")
    # Other releases of Optuna draw otherwise: a limit that one of a hundred fails by chance.
    assert slower.pvalue > 0.05
