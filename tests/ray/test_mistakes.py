"""What a new user of Ray Tune may get wrong, or has every right to do."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from ray import tune

from ntk_prior import Architecture, Budget, Feasibility, NTKPrior, Task, feasibility_from_spectrum, measured_spectrum
from ntk_prior_ray import FeasibleMutation, NTKPriorSearch
from ntk_prior_ray.callback import columns
from tests.support.priors import refuses_everything

TASK = Task.cifar10(500)
NETWORK = {"weight_variance": 1.5, "bias_variance": 0.05, "depth": 4}


def test_results_of_adam_have_no_largest_stable_rate() -> None:
    prior = NTKPrior(TASK, Budget(100, learning_rate=1e-3, optimizer="adam", width=64))
    found = columns(prior(NETWORK), None)
    assert found["kappa"] > 1
    assert "max_learning_rate" not in found


def test_results_of_a_measured_network_have_neither_rate_nor_phase() -> None:
    x = np.random.default_rng(0).normal(size=(12, 30))

    def refine(architecture: Architecture, task: Task, budget: Budget) -> Feasibility:
        return feasibility_from_spectrum(measured_spectrum(x @ x.T / 30, np.arange(12) % 10), task, budget)

    found = columns(NTKPrior(TASK, Budget(100), refine=refine, when="always")(NETWORK), None)
    assert found["kappa"] > 1
    assert not {"max_learning_rate", "phase"} & found.keys()


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ({**NETWORK, "weight_varience": tune.uniform(0.5, 4.0)}, None),
        (
            {"depth": 3, "bias_variance": 0.0, "weight_varience": tune.uniform(0.5, 4.0)},
            "weight_varience: expected weight_",
        ),
        ({"net": {**NETWORK, "depth": tune.randint(1, 9)}}, "lacks weight_variance, bias_variance, depth and has net"),
        ({"gain": tune.uniform(0.5, 2.0)}, "lacks weight_variance, bias_variance, depth and has gain; NTKPrior"),
    ],
)
def test_a_space_that_the_prior_does_not_understand_is_told_of_before_anything_starts(
    space: dict[str, Any], reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        NTKPriorSearch(NTKPrior(TASK, Budget(100))).set_search_properties("loss", "min", space)
    assert (reason is not None) == ("refuses nothing" in caplog.text or "was not judged" in caplog.text)
    assert reason is None or reason in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None, ["rate"]), TypeError, "prior: expected a callable such as ntk_prior.NTKPrior, received None"),
        ((refuses_everything, "rate"), TypeError, "parameters: expected a sequence of names, received 'rate'"),
        ((refuses_everything, []), ValueError, "parameters: expected the names of what may be moved, received none"),
        ((refuses_everything, ["rate"], 3), ValueError, r"threshold: expected a value in \[0, 1\], received 3"),
    ],
)
def test_the_guard_of_population_based_training_checks_its_fields(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        FeasibleMutation(*arguments)
