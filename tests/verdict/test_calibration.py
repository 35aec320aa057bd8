"""Probabilities: monotone where theory is, right on real trainings, moved by trials as far as their number allows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, FinishedTrial, NTKPrior, Task, feasibility
from ntk_prior.verdict.calibration import Calibration, Lessons, shipped_calibration
from ntk_prior.verdict.estimates import estimate
from ntk_prior.verdict.laboratory import FEATURES, NetworkSize, features
from ntk_prior.verdict.model import PSEUDO_TRIALS, Model
from ntk_prior.verdict.outcomes import Outcome, outcome, reliability
from ntk_prior.verdict.trees import Trees, sums
from ntk_prior_optuna import finished_trials

TABLE = Path(__file__).parents[2] / "studies" / "trainings" / "cifar10.csv"
BUDGET = Budget(300, width=256)
TASK = Task.cifar10(512)


def config(weight_variance: float, depth: int, **more: Any) -> dict[str, Any]:
    return {"weight_variance": weight_variance, "bias_variance": 0.18, "depth": depth, **more}


shares = st.floats(0.0, 1.0)
rows = st.tuples(*[shares] * 5, st.floats(-10, 10), st.floats(-10, 10), st.floats(-10, 0))


@given(row=rows, feature=st.integers(0, len(FEATURES) - 1), more=st.floats(0, 20))
def test_no_probability_falls_as_something_good_grows(row: tuple[float, ...], feature: int, more: float) -> None:
    better = np.array([row, row])
    better[1, feature] += more
    for model in (shipped_calibration().trains, shipped_calibration().generalizes):
        before, after = model.log_odds(better)
        assert after >= before


def test_trees_send_each_row_to_one_leaf() -> None:
    """Two stumps: x_0 <= 1 gives -2 or 3, x_1 <= 0 gives 10 or 20."""
    whole = {
        "roots": [0, 3],
        "feature": [0, -1, -1, 1, -1, -1],
        "left": [1, 0, 0, 4, 0, 0],
        "right": [2, 0, 0, 5, 0, 0],
    }
    trees = Trees(
        **{name: np.array(values, dtype=np.int32) for name, values in whole.items()},
        threshold=np.array([1.0, 0, 0, 0.0, 0, 0]),
        value=np.array([0, -2.0, 3.0, 0, 10.0, 20.0]),
    )
    np.testing.assert_array_equal(sums(trees, np.array([[1.0, 0.0], [1.1, 0.0], [0.0, 0.1]])), [8.0, 13.0, 18.0])


def test_single_verdicts_and_columns_agree() -> None:
    grid = [config(w, depth, learning_rate=rate) for w in (0.8, 1.7, 3.0) for depth in (2, 20) for rate in (0.1, 30.0)]
    prior = NTKPrior(TASK, BUDGET)
    table = prior.score_many(pd.DataFrame(grid))
    single = [prior(one) for one in grid]
    np.testing.assert_allclose(table.trainability, [found.trainability for found in single])
    np.testing.assert_allclose(table.generalization, [found.generalization for found in single])
    assert list(table.verdict) == [found.verdict for found in single]


def test_rates_far_beyond_the_stable_one_never_train() -> None:
    for weight_variance in (0.8, 1.7, 3.0):
        for width in (16, 256, None):
            budget = Budget(300, 1e4, width=width)
            found = feasibility(Architecture(weight_variance, 0.18, 3), TASK, budget)
            assert found.trainability == 0.0
            assert found.verdict is ntp.Verdict.DIVERGES


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0.1, 0.9, 0.3, 0.3), Outcome(True, True)),
        ((0.1, 0.9, 0.15, 0.3), Outcome(True, False)),
        ((0.1, 0.2, 0.3, 0.3), Outcome(False, None)),
        ((0.1, 0.9, None, 0.3), Outcome(True, None)),
        ((0.1, None, 0.29, 0.3), Outcome(True, True)),
        ((0.1, None, 0.11, 0.3), None),
        ((0.1, math.nan, math.nan, None), None),
        ((0.5, 0.55, 0.55, 0.9), Outcome(False, None)),
        ((0.1, 0.9, 0.3, 0.3, True), Outcome(False, None)),
        ((0.9, 0.9, 0.9, 0.95), Outcome(False, None)),
        ((0.9, 0.93, 0.91, 0.95), Outcome(True, False)),
        ((0.9, None, 0.9, 0.95), None),
        ((1.0, 1.0, 1.0, 1.0), None),
    ],
)
def test_outcomes(arguments: tuple[Any, ...], expected: Outcome | None) -> None:
    assert outcome(*arguments) == expected


def test_reliability_of_probabilities() -> None:
    found = reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, True, True, True]))
    assert found.n == 4
    assert found.share == 0.75
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)
    assert found.calibration_error == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    assert found.auroc == pytest.approx((0.5 + 1 + 1) / 3)
    np.testing.assert_allclose(found.curve, [[0.1, 0.5, 2], [0.9, 1.0, 2]])
    assert math.isnan(reliability(np.array([0.4]), np.array([True])).auroc)
    assert reliability(np.empty(0), np.empty(0, dtype=bool)).n == 0


def trials(n: int, accuracy: float, *, weight_variance: float = 0.8, depth: int = 48) -> list[FinishedTrial]:
    rng = np.random.default_rng(0)
    return [
        FinishedTrial(config(weight_variance + 0.1 * rng.random(), depth), train_accuracy=accuracy, test_accuracy=0.3)
        for _ in range(n)
    ]


def test_a_few_trials_move_the_prior_little_and_many_overrule_it() -> None:
    prior, asked = NTKPrior(TASK, BUDGET), config(0.85, 48)
    first = prior(asked)
    assert first.verdict is ntp.Verdict.UNTRAINABLE
    report = prior.fit(trials(2, 1.0))
    few = prior(asked).trainability
    assert report.used == 2
    assert report.outweighs_in == PSEUDO_TRIALS - 2
    assert first.trainability < few < first.trainability + 0.15
    report = prior.fit(trials(300, 1.0))
    assert report.trains.share == 1.0
    assert report.trains.brier > 0.5
    assert prior(asked).trainability > 0.8
    assert prior.calibration.trials == 300


def test_dead_networks_on_unbalanced_classes_are_no_success() -> None:
    """Nine of ten labels are one class: whoever has learnt nothing answers nine of ten inputs right."""
    rng = np.random.default_rng(0)
    y = np.where(np.arange(200) % 10 == 0, 1, 0)
    task = Task.from_arrays(rng.normal(size=(200, 10)) + y[:, None], y)
    assert task.chance == 0.9
    prior = NTKPrior(task, BUDGET)
    dead = [one._replace(train_accuracy=0.9, test_accuracy=0.9) for one in trials(20, 0.9)]
    alive = [FinishedTrial(config(1.5, 3), train_accuracy=1.0, test_accuracy=0.97)] * 5
    report = prior.fit([*dead, *alive])
    assert (report.trains.n, report.trains.share) == (25, 0.2)
    assert (report.generalizes.n, report.generalizes.share) == (5, 1.0)


def test_skipped_trials_are_counted_by_reason() -> None:
    def to_architecture(one: dict[str, Any]) -> dict[str, Any] | None:
        return None if one["net"] == "transformer" else {name: value for name, value in one.items() if name != "net"}

    network = {"net": "mlp", **config(1.5, 3)}
    skipped = {
        "trained with adam, whose estimates are bounds": [network | {"optimizer": "Adam"}] * 9,
        "outside the theory: activation 'mish' has no known dual": [
            network | {"activation": "mish", "depth": depth} for depth in range(1, 9)
        ],
        "to_architecture does not know this configuration": [{"net": "transformer"}] * 4 + [{"heads": 3}] * 3,
        "outside the theory: optimizer 'Lion' is not known to the theory": [network | {"optimizer": "Lion"}] * 5,
        "outside the theory: what to_architecture returned lacks depth": [
            {"net": "mlp", "weight_variance": 1.5, "bias_variance": 0.1, f"x{k}": k} for k in range(4)
        ],
    }
    finished = [FinishedTrial(one, 0.9, 0.3) for many in skipped.values() for one in many]
    unknown = "no outcome known: accuracies are missing, or too low a test accuracy stands alone"
    finished += [FinishedTrial(network), FinishedTrial(network, None, 0.1), FinishedTrial(network, math.nan)]
    report = NTKPrior(TASK, BUDGET, to_architecture).fit([*finished, FinishedTrial(network, 0.9, 0.3)])
    assert report.reasons == {**{reason: len(many) for reason, many in skipped.items()}, unknown: 3}
    assert list(report.reasons.values()) == sorted(report.reasons.values(), reverse=True)
    assert (report.used, report.skipped) == (1, sum(report.reasons.values()))
    printed = str(report).splitlines()
    assert printed[:2] == ["1 trials used, 36 skipped", "    9 skipped: trained with adam, whose estimates are bounds"]
    assert "trains: 100% of 1 did" in printed[-2]
    assert NTKPrior(TASK, BUDGET).fit([]).reasons == {}


def test_trials_that_agree_with_the_prior_leave_its_verdicts_alone() -> None:
    prior = NTKPrior(TASK, BUDGET)
    before = [prior(config(w, depth)).verdict for w in (0.8, 1.7) for depth in (3, 48)]
    prior.fit(trials(40, 0.1) + trials(40, 1.0, weight_variance=1.5, depth=3))
    assert [prior(config(w, depth)).verdict for w in (0.8, 1.7) for depth in (3, 48)] == before


def test_fitting_again_starts_from_the_same_calibration() -> None:
    prior = NTKPrior(TASK, BUDGET)
    prior.fit(trials(20, 1.0))
    once = prior(config(0.85, 48)).trainability
    prior.fit(trials(20, 1.0))
    assert prior(config(0.85, 48)).trainability == once


def test_trials_that_say_nothing_are_skipped() -> None:
    prior = NTKPrior(TASK, BUDGET)
    silent = [
        FinishedTrial(config(1.5, 3, normalization="batch"), 1.0, 0.3),
        FinishedTrial({"weight_variance": 1.5}, 1.0, 0.3),
        FinishedTrial(config(1.5, 3, optimizer="adam", learning_rate=1e-3), 1.0, 0.3),
        FinishedTrial(config(1.5, 3)),
    ]
    report = prior.fit(silent)
    assert (report.used, report.skipped) == (0, 4)
    assert prior(config(0.85, 48)).trainability == NTKPrior(TASK, BUDGET)(config(0.85, 48)).trainability


@given(
    outcomes=st.lists(st.booleans(), min_size=1, max_size=60),
    seed=st.integers(0, 1000),
)
def test_no_trials_ever_turn_the_prior_round(outcomes: list[bool], seed: int) -> None:
    seen = np.random.default_rng(seed).uniform(0, 1, (len(outcomes), len(FEATURES)))
    moved = shipped_calibration().trains.adjust(seen, np.array(outcomes))
    assert moved.slope >= 0.0
    assert math.isfinite(moved.shift)


def test_a_saved_prior_keeps_what_it_has_learnt(tmp_path: Path) -> None:
    prior = NTKPrior(TASK, BUDGET)
    prior.fit(trials(50, 1.0))
    prior.save(tmp_path / "prior.json")
    loaded = NTKPrior.load(tmp_path / "prior.json")
    assert loaded(config(0.85, 48)).trainability == pytest.approx(prior(config(0.85, 48)).trainability)
    assert loaded.calibration.trials == 50


def changed(content: Mapping[str, Any], **nodes: Any) -> dict[str, Any]:
    return {**content, "trains": {**content["trains"], "trees": {**content["trains"]["trees"], **nodes}}}


def test_a_file_that_is_no_calibration_is_refused() -> None:
    content = json.loads(json.dumps(shipped_calibration().to_json()))
    trees = content["trains"]["trees"]
    loop = [index if feature >= 0 else 0 for index, feature in enumerate(trees["feature"])]
    for bad in (
        changed(content, left=loop),
        changed(content, right=[10**6] * len(trees["right"])),
        changed(content, feature=[99] * len(trees["feature"])),
        changed(content, value=[math.nan] * len(trees["value"])),
        changed(content, roots=[-1]),
        changed(content, left=trees["left"][:-1]),
        {**content, "format": "another"},
        {**content, "features": ["depth"]},
        {**content, "trains": {**content["trains"], "slope": -1.0}},
    ):
        with pytest.raises(ValueError, match="expected"):
            Calibration.from_json(bad)


def objective(trial: optuna.Trial) -> float:
    weight_variance = trial.suggest_float("weight_variance", 0.5, 4.0)
    trial.suggest_float("bias_variance", 0.0, 0.5)
    depth = trial.suggest_int("depth", 1, 64)
    trial.set_user_attr("train", 1.0 if depth < 30 else 0.1)
    trial.set_user_attr("diverged", weight_variance > 3.9)
    return 0.3 / depth


def test_a_study_teaches_the_prior() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20)
    prior = NTKPrior(TASK, BUDGET)
    found = finished_trials(study, train_accuracy="train", diverged="diverged")
    assert [one.test_accuracy for one in found] == [trial.value for trial in study.trials]
    assert prior.fit(found).used == 20
    assert prior.fit(finished_trials(study)).used < 20


def test_objectives_that_are_no_accuracy_are_refused() -> None:
    study = optuna.create_study()
    study.optimize(lambda trial: 7.0, n_trials=1)
    with pytest.raises(ValueError, match=r"trial 0: expected an accuracy in \[0, 1\] as the objective, received 7"):
        finished_trials(study)
    several = optuna.create_study(directions=["maximize", "minimize"])
    with pytest.raises(ValueError, match="test_accuracy: expected the name of a user attribute"):
        finished_trials(several)


def test_probabilities_hold_on_held_out_trainings() -> None:
    """Fully connected networks on CIFAR-10 that the shipped calibration has not seen, by the shipped summary."""
    table = pd.read_csv(TABLE)
    table = table[(table["split"] == "held_out") & (table["kind"] == "fcn") & (table["steps"] > 0)]
    best = table["best_test_accuracy"].max()
    seen, outcomes = [], []
    for row in table.itertuples():
        architecture = Architecture(row.weight_variance, row.bias_variance, row.depth, row.activation)
        for step in (10, 30, 100, 300):
            budget = Budget(step, row.learning_rate, width=row.width)
            train, test = getattr(row, f"train_accuracy_{step}"), getattr(row, f"test_accuracy_{step}")
            became = outcome(TASK.chance, train, test, best, diverged=math.isnan(train))
            assert became is not None
            seen.append(
                features(estimate(architecture, TASK, budget), NetworkSize.for_network(architecture, budget))[0]
            )
            outcomes.append(became)
    report = shipped_calibration().report(Lessons(np.array(seen), outcomes), Lessons(np.empty((0, 29)), []))
    assert report.trains.auroc > 0.93
    assert report.generalizes.auroc > 0.85
    assert report.trains.calibration_error < 0.1


def test_a_model_without_trees_is_its_intercept() -> None:
    empty = np.empty(0, dtype=np.int32)
    trees = Trees(empty, empty, np.empty(0), empty, empty, np.empty(0))
    np.testing.assert_allclose(Model(trees, 1.5).log_odds(np.zeros((2, len(FEATURES)))), [1.5, 1.5])
