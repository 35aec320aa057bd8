"""The guard of population based training."""

from __future__ import annotations

from typing import Any

import pytest
from known_priors import Judged, is_silent, judged, refuses_everything

from ntk_prior_ray import FeasibleMutation


def stable_below_one(config: Any) -> Judged:
    return judged(1.0 if config["rate"] < 1 else 0.0)


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
