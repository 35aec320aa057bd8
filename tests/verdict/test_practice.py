"""Trainings as people run them: probabilities, expected scores, and silence where no evidence reaches."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, FinishedTrial, NTKPrior, Task, Verdict, feasibility
from ntk_prior.theory.layers import encode_one
from ntk_prior.verdict.calibration import Calibration, shipped_calibration
from ntk_prior.verdict.estimates import estimate
from ntk_prior.verdict.outcomes import Outcome, outcome_in_practice
from ntk_prior.verdict.practice import FEATURES, MIN_SUPPORT, RISING_WITH_RATE, features_of_rows

TASK = Task.cifar10(4_000)
RELU = Architecture(2.0, 0.0, 3, "relu")
ADAM = Budget(600, 1e-3, "adam", batch_size=128, width=256, parametrization="standard", loss="cross_entropy")
PLAIN = {"weight_variance": 2.0, "bias_variance": 0.0, "depth": 3, "activation": "relu"}


def seen(architecture: Architecture, budget: Budget) -> dict[str, float]:
    found, (rows, table) = estimate(architecture, TASK, budget), encode_one(architecture, budget)
    return dict(zip(FEATURES, features_of_rows(found, rows, table, TASK)[0], strict=True))


class TestVerdicts:
    def test_a_usual_rate_of_adam_is_feasible_and_expected_to_do_well(self) -> None:
        found = feasibility(RELU, TASK, ADAM)
        assert found.verdict is Verdict.FEASIBLE
        assert found.support is not None
        assert found.support >= MIN_SUPPORT
        assert found.expected_score is not None
        assert found.expected_score > 0.5
        assert "expected score" in found.reason

    def test_a_rate_that_is_far_too_large_collapses_and_the_nearest_good_one_is_named(self) -> None:
        found = feasibility(replace(RELU, depth=6), TASK, replace(ADAM, learning_rate=1.0))
        assert found.verdict is Verdict.COLLAPSES
        assert found.reason.startswith("learning_rate 1 > ")
        assert "adam's longest step may move a unit" in found.reason
        assert found.suggestion is not None
        assert "learning_rate <= " in found.suggestion

    @pytest.mark.parametrize(("optimizer", "factor"), [("adam", 1.0), ("rmsprop", 10.0)])
    def test_the_longest_step_is_named(self, optimizer: str, factor: float) -> None:
        found = feasibility(replace(RELU, depth=6), TASK, replace(ADAM, learning_rate=1.0, optimizer=optimizer))
        assert found.verdict is Verdict.COLLAPSES
        assert f"may move a unit by {factor * 256 / np.sqrt(2):.2g} times its size" in found.reason

    @pytest.mark.parametrize("rate", [1e-6, 8e-6, 3e-5])
    @pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
    def test_a_rate_that_is_too_small_is_not_called_too_large(self, optimizer: str, rate: float) -> None:
        network = Architecture(0.5, 0.0, 6, "gelu")
        own = {"momentum": 0.9} if optimizer == "momentum" else {}
        budget = replace(ADAM, learning_rate=rate, optimizer=optimizer, batch_size=64, width=64, steps=300, **own)
        assert feasibility(network, TASK, budget).verdict not in (Verdict.COLLAPSES, Verdict.DIVERGES)

    def test_what_a_reason_or_a_suggestion_names_is_good(self) -> None:
        random = np.random.default_rng(0)
        named = 0
        for _ in range(60):
            rate = float(10 ** random.uniform(-2, 1))
            network = replace(RELU, depth=int(random.integers(1, 12)))
            found = feasibility(network, TASK, replace(ADAM, learning_rate=rate))
            for words in (found.reason, *(found.suggestion or "").split(", or ")):
                limit = re.search(r"learning_rate \S+ > ([^:]+):|learning_rate <= (\S+)", words)
                if found.verdict is Verdict.COLLAPSES and limit:
                    named += 1
                    slower = replace(ADAM, learning_rate=float(limit[1] or limit[2]))
                    again = feasibility(network, TASK, slower)
                    assert again.trainability is None or again.trainability >= found.threshold
        assert named > 20

    def test_a_budget_that_is_far_too_short_is_untrainable_and_says_what_would_do(self) -> None:
        found = feasibility(RELU, TASK, replace(ADAM, learning_rate=1e-5, steps=100, optimizer="sgd"))
        assert found.verdict is Verdict.UNTRAINABLE
        assert found.reason.startswith(("needs ", "learning_rate ", "of trainings"))

    def test_squared_errors_of_gradient_descent_diverge(self) -> None:
        budget = replace(ADAM, optimizer="sgd", loss="mse", learning_rate=8.0)
        assert feasibility(RELU, TASK, budget).verdict is Verdict.DIVERGES

    def test_the_expected_score_tells_good_ones_apart_where_probabilities_cannot(self) -> None:
        rates = np.geomspace(1e-5, 0.3, 12)
        found = [feasibility(RELU, TASK, replace(ADAM, learning_rate=float(rate))) for rate in rates]
        expected = [one.expected_score or 0.0 for one in found]
        assert 1e-4 < rates[int(np.argmax(expected))] < 2e-2


class TestSupport:
    @pytest.mark.parametrize(
        ("architecture", "own"),
        [
            (replace(RELU, depth=2_000), {}),
            (RELU, {"width": 10**7}),
            (RELU, {"learning_rate": 1e-30}),
            (RELU, {"weight_decay": 1e5}),
        ],
        ids=["deep", "wide", "slow", "decayed"],
    )
    def test_far_from_all_trainings_there_is_no_score(self, architecture: Architecture, own: dict[str, float]) -> None:
        found = feasibility(architecture, TASK, replace(ADAM, optimizer="sgd", **own))
        assert found.verdict is Verdict.OUTSIDE_THEORY
        assert (found.score, found.expected_score) == (None, None)
        assert found.support is not None
        assert found.support < MIN_SUPPORT
        assert "no score without evidence" in found.reason

    def test_unusual_averages_of_adam_are_not_in_the_evidence(self) -> None:
        unusual = {"betas": (0.5, 0.9)}
        for steps in (1, 600):
            found = feasibility(RELU, TASK, replace(ADAM, steps=steps, **unusual))
            assert (found.verdict, found.support, found.score) == (Verdict.OUTSIDE_THEORY, None, None)
            assert "the usual betas" in found.reason
        for name in ("sgd", "rmsprop"):  # which have none
            plain, other = (feasibility(RELU, TASK, replace(ADAM, optimizer=name, **own)) for own in ({}, unusual))
            assert plain.support is not None
            assert (plain.score, plain.support) == (other.score, other.support)

    @pytest.mark.parametrize("batch_size", [32, None])
    @pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
    def test_where_there_is_no_evidence_nothing_is_refused(self, optimizer: str, batch_size: int | None) -> None:
        # It trains to an accuracy of 1, far from the initial kernel, which would bound it by less than a tenth.
        x = np.random.default_rng(0).normal(size=(256, 20))
        task = Task.from_arrays(x, (x[:, 0] > 0.0).astype(int))
        budget = Budget(300, 1e-3, optimizer, batch_size=batch_size, width=16, parametrization="standard")
        found = feasibility(Architecture(0.5, 0.0, 20, "tanh"), task, budget)
        assert found.support is not None
        assert found.support >= MIN_SUPPORT or found.score is None

    @given(
        rate=st.floats(1e-300, 1e300),
        width=st.integers(1, 10**6),
        optimizer=st.sampled_from(["sgd", "adam", "adamw", "rmsprop"]),
        loss=st.sampled_from(["mse", "cross_entropy"]),
    )
    @settings(max_examples=100)
    def test_no_rate_is_called_too_fast_without_evidence(
        self, rate: float, width: int, optimizer: str, loss: str
    ) -> None:
        found = feasibility(RELU, TASK, replace(ADAM, learning_rate=rate, width=width, optimizer=optimizer, loss=loss))
        if found.support is not None and found.support < MIN_SUPPORT:
            assert found.verdict is Verdict.OUTSIDE_THEORY

    @pytest.mark.parametrize(
        ("own", "words"),
        [
            ({"width": 20_000, "weight_decay": 10.0}, "width 20000, weight_decay 10.0: beyond all recorded trainings"),
            ({"steps": 10**7}, "steps 10000000: beyond"),
        ],
    )
    def test_what_is_beyond_all_recorded_trainings_is_named(self, own: dict[str, float], words: str) -> None:
        assert words in feasibility(RELU, TASK, replace(ADAM, **own)).reason

    def test_in_the_laboratory_s_parametrization_theory_speaks(self) -> None:
        whole = Budget(600, 1e-3, width=256, parametrization="standard")
        for budget in (Budget(600, 1.0, width=256), whole, replace(whole, batch_size=4_000)):
            found = feasibility(RELU, TASK, budget)
            assert (found.support, found.expected_score) == (None, None)
            assert found.score is not None
        assert feasibility(RELU, TASK, replace(whole, batch_size=128)).support is not None


class TestFeatures:
    @given(rate=st.floats(1e-6, 1.0), factor=st.floats(1.1, 1e3))
    @settings(max_examples=30)
    def test_those_that_rise_with_the_rate_do_one_for_one(self, rate: float, factor: float) -> None:
        one, other = (seen(RELU, replace(ADAM, learning_rate=r, weight_decay=1.0)) for r in (rate, factor * rate))
        for name in RISING_WITH_RATE:
            assert other[name] - one[name] == pytest.approx(np.log(factor), abs=1e-2), name

    @given(
        st.integers(1, 200),
        st.integers(1, 4_096),
        st.floats(1e-12, 1e3),
        st.sampled_from(["sgd", "adam", "rmsprop"]),
        st.floats(1e-3, 1e3),
    )
    @settings(max_examples=60)
    def test_they_are_finite_everywhere(
        self, depth: int, width: int, rate: float, optimizer: str, variance: float
    ) -> None:
        network = Architecture(variance, 0.1, depth, "tanh")
        budget = Budget(50, rate, optimizer, batch_size=16, width=width, parametrization="standard")
        assert np.all(np.isfinite(list(seen(network, budget).values())))
        found = feasibility(network, TASK, budget)
        assert found.support is not None
        assert 0.0 <= found.support <= 1.0


class TestColumns:
    def test_rows_of_mixed_kinds_agree_with_single_configurations(self) -> None:
        prior = NTKPrior(TASK, ADAM)
        rows = [
            {**PLAIN, "learning_rate": rate, "optimizer": optimizer, "parametrization": parametrization}
            for rate in (1e-4, 1e-2, None)
            for optimizer in ("sgd", "adam")
            for parametrization in ("standard", "ntk")
        ]
        table = prior.score_many(rows)
        for number, row in enumerate(rows):
            found = prior(row)
            assert table.verdict[number] == found.verdict
            for name in ("score", "expected_score", "support"):
                one, other = getattr(found, name), getattr(table, name)
                assert other.mask[number] if one is None else other[number] == pytest.approx(one, abs=1e-12)


class TestLearning:
    def test_trials_of_adam_move_the_probabilities(self) -> None:
        prior = NTKPrior(TASK, ADAM)
        before = prior(PLAIN)
        trials = [FinishedTrial({**PLAIN, "depth": depth}, test_accuracy=0.1) for depth in (2, 3, 4)] * 5
        report = prior.fit([*trials, FinishedTrial(PLAIN, test_accuracy=0.5)])
        assert report.used == 16
        after = prior(PLAIN)
        assert after.trainability is not None
        assert before.trainability is not None
        assert after.trainability < before.trainability

    def test_trials_without_evidence_teach_nothing(self) -> None:
        report = NTKPrior(TASK, ADAM).fit([FinishedTrial({**PLAIN, "width": 10**7}, test_accuracy=0.3)])
        assert report.reasons == {"unlike the trainings that the probabilities rest on": 1}

    @pytest.mark.parametrize(
        ("train", "test", "expected"),
        [
            (1.0, 0.1, Outcome(True, False)),
            (0.1, 0.1, Outcome(False, None)),
            (0.3, 0.3, Outcome(True, True)),
            (None, 0.3, Outcome(True, False)),
            (None, 0.11, Outcome(False, None)),
            (0.9, None, Outcome(True, None)),
            (None, None, None),
        ],
    )
    def test_outcomes(self, train: float | None, test: float | None, expected: Outcome | None) -> None:
        assert outcome_in_practice(0.1, train, test, 0.6) == expected

    def test_what_diverged_did_not_train(self) -> None:
        assert outcome_in_practice(0.1, 0.9, 0.9, 0.6, diverged=True) == Outcome(False, None)


class TestFiles:
    def test_the_models_survive_json(self) -> None:
        again = Calibration.from_json(json.loads(json.dumps(shipped_calibration().to_json())))
        for rate in (1e-5, 1e-3, 0.3):
            budget = replace(ADAM, learning_rate=rate)
            assert feasibility(RELU, TASK, budget, again).score == feasibility(RELU, TASK, budget).score

    def test_a_file_that_knows_nothing_of_practice_gets_the_shipped_models(self) -> None:
        values = {**shipped_calibration().to_json(), "format": "ntk-prior calibration 2"}
        del values["practice"]
        assert feasibility(RELU, TASK, ADAM, Calibration.from_json(values)).score == feasibility(RELU, TASK, ADAM).score

    @pytest.mark.parametrize("broken", [{"features": []}, {"errors": [0.1]}, {"support": {"depths": [2.0, 1.0]}}])
    def test_a_broken_file_is_refused(self, broken: dict[str, object]) -> None:
        values = json.loads(json.dumps(shipped_calibration().to_json()))
        for name, value in broken.items():
            inner = values["practice"][name]
            values["practice"][name] = {**inner, **value} if isinstance(inner, dict) else value  # type: ignore[dict-item]
        with pytest.raises(ValueError, match=r"practice|errors|depths"):
            Calibration.from_json(values)


def test_it_is_public() -> None:
    assert ntp.Feasibility.__dataclass_fields__.keys() >= {"support", "expected_score", "score_error"}
