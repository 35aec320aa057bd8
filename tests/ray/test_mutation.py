"""The guard of population based training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior_ray import FeasibleMutation
from tests.support.priors import Judged, is_silent, judged, refuses_everything


def stable_below_one(config: Any) -> Judged:
    return judged(1.0 if config["rate"] < 1 else 0.0)


def shallow(config: Any) -> Judged:
    return judged(1.0 if abs(config["net"]["depth"]) <= 6 else 0.0)


@pytest.mark.parametrize("prior", [stable_below_one, is_silent])
def test_what_is_not_refused_stays_as_it_is(prior: Any) -> None:
    config = {"rate": 0.5, "depth": 3}
    assert FeasibleMutation(prior, ["rate"])(config) is config


def test_what_is_refused_moves_as_little_as_is_needed() -> None:
    assert FeasibleMutation(stable_below_one, ["decay", "rate"])({"rate": 3.0, "decay": 0.1}) == {
        "rate": 0.75,
        "decay": 0.1,
    }


def test_only_the_named_parameters_move() -> None:
    config = {"rate": 3.0, "decay": 0.1}
    assert FeasibleMutation(stable_below_one, ["decay"])(config) == config


def test_what_nothing_mends_stays_as_it_is() -> None:
    config = {"rate": 3.0}
    assert FeasibleMutation(refuses_everything, ["rate"])(config) == config


@pytest.mark.parametrize("names", [["net/depth"], ["net"], ("rate", "net"), {"net": {"depth": [1, 2]}}, iter(["net"])])
def test_parameters_of_nested_configurations_are_named_flat_or_by_what_they_are_in(names: Any) -> None:
    config = {"net": {"depth": 20, "kind": "fcn", "pooling": True}, "rate": 0.5}
    before = deepcopy(config)
    assert FeasibleMutation(shallow, names)(config) == {
        "net": {"depth": 5, "kind": "fcn", "pooling": True},
        "rate": 0.5,
    }
    assert config == before


def test_a_name_with_a_slash_of_its_own_is_found() -> None:
    mutation = FeasibleMutation(lambda config: judged(1.0 if config["a/b"]["c"] < 1 else 0.0), ["a/b/c"])
    assert mutation({"a/b": {"c": 1.5}}) == {"a/b": {"c": 0.75}}


@pytest.mark.parametrize(
    ("depth", "moved"),
    [
        (7, 4),
        (1000, 4),
        (np.int64(24), np.int64(6)),
        (np.int8(100), np.int8(6)),
        (np.uint16(40), np.uint16(5)),
        (7.0, 3.5),
        (np.float32(9), np.float32(4.5)),
        (np.float16(2048), np.float16(4)),
        (-8, -4),
        (-9.0, -4.5),
    ],
)
def test_numbers_keep_their_type_and_their_sign(depth: Any, moved: Any) -> None:
    found = FeasibleMutation(shallow, ["net/depth"])({"net": {"depth": depth}})["net"]["depth"]
    assert (found, type(found)) == (moved, type(moved))


@pytest.mark.parametrize(
    "value",
    [
        1,
        3,
        pytest.param(10**400, id="huge"),
        np.int8(120),
        0,
        0.0,
        True,
        1e300,
        1e-320,
        np.float16(6e-8),
        np.float32(3e38),
        -2,
        float("nan"),
    ],
)
def test_no_neighbour_is_zero_infinite_a_fraction_of_a_whole_number_or_of_another_type(value: Any) -> None:
    tried = []

    def remembers(config: Any) -> Judged:
        tried.append(config["value"])
        return judged(0.0)

    config = {"value": value, "other": 1.0}
    assert FeasibleMutation(remembers, ["value", "other"])(config) is config
    assert {type(one) for one in tried} == {type(value)}
    assert all(one != 0 and abs(one) != float("inf") for one in tried if one is not value)
    assert not isinstance(value, bool) or not any(one is False for one in tried)


@pytest.mark.parametrize("value", ["relu", True, np.bool_(True), [64, 32]])
def test_what_is_no_number_stays_and_alone_is_an_error(value: Any) -> None:
    found = FeasibleMutation(stable_below_one, ["kind", "rate"])({"kind": value, "rate": 1.5})
    assert found["kind"] is value
    assert found["rate"] == 0.75
    with pytest.raises(TypeError, match=r"parameters: expected the name of a number, .* but kind stands for"):
        FeasibleMutation(stable_below_one, ["kind"])({"kind": value, "rate": 0.5})


def test_a_parameter_that_is_not_set_is_no_error() -> None:
    config = {"rate": 1.5, "momentum": None}
    assert FeasibleMutation(stable_below_one, ["momentum"])(config) is config


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("zz", "which has net/learning_rate, net/depth, rate, received 'zz'$"),
        ("lerning_rate", "received 'lerning_rate': did you mean 'net/learning_rate'?"),
        ("learning_rate", "received 'learning_rate': did you mean 'net/learning_rate'?"),
        ("net/dept", "received 'net/dept': did you mean 'net/depth'?"),
        ("ne", "received 'ne'$"),
    ],
)
def test_a_name_that_the_configuration_lacks_is_an_error_even_where_nothing_is_refused(name: str, advice: str) -> None:
    config = {"net": {"learning_rate": 0.1, "depth": 3}, "rate": 0.5}
    with pytest.raises(ValueError, match=f"parameters: expected names in the configuration, .*{advice}"):
        FeasibleMutation(stable_below_one, ["rate", name])(config)


def test_silence_about_a_neighbour_mends_nothing() -> None:
    def speaks_up_to_one(config: Any) -> Judged:
        if config["keep_rate"] > 1:
            raise ValueError("keep_rate: expected a value in (0, 1]")
        return judged(0.1)

    config = {"keep_rate": 0.9}
    assert FeasibleMutation(speaks_up_to_one, ["keep_rate"])(config) is config


def test_a_network_too_deep_for_the_theory_becomes_shallower() -> None:
    prior = NTKPrior(Task.cifar10(1_000), Budget(500, width=256), lambda config: config["net"])
    config = {"net": {"weight_variance": 1.0, "bias_variance": 0.05, "depth": 512, "activation": "erf"}}
    assert prior(config).score < 0.3  # type: ignore[operator]
    found = FeasibleMutation(prior, ["net/depth"])(config)
    assert prior(found).verdict == "feasible"
    assert isinstance(found["net"]["depth"], int)


@pytest.mark.parametrize("depth", [60, 60.0, np.float32(60)])
def test_whole_numbers_written_as_fractions_are_moved_to_whole_ones_too(depth: Any) -> None:
    prior = NTKPrior(Task.cifar10(1000), Budget(300, width=128))
    moved = FeasibleMutation(prior, ["depth"])({"weight_variance": 4.0, "bias_variance": 0.0, "depth": depth})
    assert moved["depth"] < 60
    assert moved["depth"] == round(moved["depth"])
    assert type(moved["depth"]) is type(depth)
