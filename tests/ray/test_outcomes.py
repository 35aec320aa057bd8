"""Finished trials from the results of an experiment."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune import Result, ResultGrid

from ntk_prior_ray import finished_trials

NETWORK = {"weight_variance": 1.5, "bias_variance": 0.05, "depth": 4}


def results(*reported: dict[str, Any]) -> ResultGrid:
    """What a Tuner returns for trials that have reported this last."""
    grid = ResultGrid(SimpleNamespace(trials=[]))
    grid._results = [Result({**metrics, "config": NETWORK}, None, None, None) for metrics in reported]
    return grid


def test_nested_metrics_are_looked_up_as_a_tuner_does() -> None:
    found = finished_trials(
        results(
            {"eval": {"acc": 0.75, "train": {"acc": 0.9}}, "state": {"diverged": False}},
            {"eval": {"acc": 0.1, "train": {"acc": 0.2}}, "state": {"diverged": True}},
        ),
        test_accuracy="eval/acc",
        train_accuracy="eval/train/acc",
        diverged="state/diverged",
    )
    assert [(one.test_accuracy, one.train_accuracy, one.diverged) for one in found] == [
        (0.75, 0.9, False),
        (0.1, 0.2, True),
    ]
    assert found[0].config == NETWORK


@pytest.mark.parametrize("reported", [{"eval/acc": 0.5}, {"eval": {"acc": 0.5}}, {"eval/acc": 0.5, "eval": {"b": 1}}])
def test_a_name_with_a_slash_may_be_one_of_a_flat_metric(reported: dict[str, Any]) -> None:
    assert [one.test_accuracy for one in finished_trials(results(reported), test_accuracy="eval/acc")] == [0.5]


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5)])
def test_accuracies_may_be_scalars_of_array_libraries(value: Any) -> None:
    (found,) = finished_trials(results({"acc": value}), test_accuracy="acc")
    assert (found.test_accuracy, type(found.test_accuracy)) == (0.5, float)


@pytest.mark.parametrize("value", [None, math.nan, np.float32("nan")])
def test_an_accuracy_that_is_missing_or_no_number_is_unknown(value: Any) -> None:
    found = finished_trials(results({"acc": value}, {"acc": 0.5}, {"other": 1}), test_accuracy="acc")
    assert [one.test_accuracy for one in found] == [None, 0.5, None]


@pytest.mark.parametrize("value", [1.5, -0.1, math.inf, "0.5", "high", True, np.bool_(True), [0.5, 0.6]])
def test_anything_else_is_an_error_that_names_the_metric(value: Any) -> None:
    with pytest.raises(ValueError, match=r"eval/acc: expected an accuracy in \[0, 1\], received"):
        finished_trials(results({"eval": {"acc": value}}), test_accuracy="eval/acc")


@pytest.mark.parametrize("value", [True, 1, 1.0, np.bool_(True), np.int64(1)])
def test_divergence_may_be_a_flag_or_a_number(value: Any) -> None:
    found = finished_trials(
        results({"acc": 0.1, "bad": value}, {"acc": 0.5, "bad": type(value)(0)}, {"acc": 0.5, "bad": None}, {"acc": 1}),
        test_accuracy="acc",
        diverged="bad",
    )
    assert [one.diverged for one in found] == [True, False, False, False]


@pytest.mark.parametrize("value", ["False", 3, math.nan, [True]])
def test_any_other_divergence_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match="bad: expected True or False, received"):
        finished_trials(results({"acc": 0.1, "bad": value}), test_accuracy="acc", diverged="bad")


@pytest.mark.parametrize("argument", ["test_accuracy", "train_accuracy", "diverged"])
@pytest.mark.parametrize(
    ("name", "advice"), [("eval/ac", ": did you mean 'eval/acc'?"), ("acc", ": did you mean 'eval/acc'?"), ("zz", "")]
)
def test_a_metric_that_no_result_has_is_an_error_that_lists_flat_names(argument: str, name: str, advice: str) -> None:
    names = {"test_accuracy": "eval/acc", argument: name}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        finished_trials(results({"eval": {"acc": 0.5}, "loss": 1.0}), **names)
    assert str(caught.value) == (
        f"{argument}: expected a metric of the results, such as eval/acc, loss, received {name!r}{advice}"
    )


def test_results_of_nothing_are_no_trials() -> None:
    assert finished_trials(results(), test_accuracy="acc") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], "acc"), r"results: expected what Tuner.fit\(\) returns, a ray.tune.ResultGrid, received \[\]"),
        ((results({"acc": 0.5}), None), "test_accuracy: expected the name of a metric, received None"),
        ((results({"acc": 0.5}), ["acc"]), r"test_accuracy: expected the name of a metric, received \['acc'\]"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments: tuple[Any, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        finished_trials(arguments[0], test_accuracy=arguments[1])
