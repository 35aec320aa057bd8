"""How long, with which schedule, by which optimiser: fields of ``Budget`` alone, in configurations and in columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntk_prior import Architecture, Budget, NTKPrior, Task
from ntk_prior.theory.layers import encode_one
from ntk_prior.verdict.schedule import RMS_DECAY, effective_steps, longest_step
from ntk_prior_flax import training

TASK = Task.cifar10(1_000)
NETWORK = Architecture(2.0, 0.0, 2, "relu")
PLAIN = {"weight_variance": 2.0, "bias_variance": 0.0, "depth": 2, "activation": "relu"}
STANDARD = Budget(300, 0.01, batch_size=100, width=64, parametrization="standard")


def steps_of(budget: Budget) -> float:
    return effective_steps(encode_one(NETWORK, budget)[0][0])


def test_epochs_are_counted_in_steps_of_the_task() -> None:
    budget = Budget(epochs=3, batch_size=300)
    assert budget.in_steps(1_000) == Budget(steps=12, batch_size=300)
    assert Budget(epochs=3).in_steps(1_000) == Budget(steps=3)
    assert Budget(steps=5).in_steps(1_000) == Budget(steps=5)


@pytest.mark.parametrize("lengths", [{}, {"steps": 10, "epochs": 1}])
def test_either_steps_or_epochs(lengths: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="steps, epochs: expected one of them, received"):
        Budget(**lengths)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"betas": 0.9}, "betas: expected two numbers"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\]: expected a value in \[0, 1\]"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"warmup_steps": 0.5}, "warmup_steps"),
        ({"optimizer": "adamw", "momentum": 0.9}, "momentum: expected 0 for optimizer='adamw'"),
    ],
)
def test_mistakes_are_named(given_: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Budget(10, **given_)


def test_a_schedule_nobody_knows_makes_the_prior_silent() -> None:
    prior = NTKPrior(TASK, STANDARD)
    assert "schedule 'sawtooth' is not known" in prior({**PLAIN, "schedule": "sawtooth"}).reason


@given(steps=st.integers(10, 10_000), share=st.floats(0.0, 1.0))
def test_falling_rates_and_warm_ups_count_half(steps: int, share: float) -> None:
    warmup = int(share * steps)
    assert steps_of(Budget(steps)) == steps
    assert steps_of(Budget(steps, warmup_steps=warmup)) == pytest.approx(steps - warmup / 2)
    assert steps_of(Budget(steps, schedule="cosine")) == pytest.approx(steps / 2)
    # The mean of the rates that the trainings of the table practice really took.
    left = 1.0 - (np.arange(steps)) / steps
    assert np.sum(0.5 - 0.5 * np.cos(np.pi * left)) == pytest.approx(steps / 2, abs=1.0)


@pytest.mark.parametrize("warmup", [0, 3, 50, 400])
def test_rmsprops_longest_step_is_optaxs(warmup: int) -> None:
    optimizer = optax.scale_by_rms(RMS_DECAY, eps=0.0, eps_in_sqrt=False)
    slope = np.float32(0.3)
    memory = optimizer.init(slope)
    lengths = []
    for step in range(warmup + 20):
        direction, memory = optimizer.update(slope, memory)
        lengths.append(float(direction) * min((step + 1) / (warmup + 1), 1.0))
    budget = Budget(1_000, 1e-3, "rmsprop", width=64, parametrization="standard", warmup_steps=warmup)
    assert longest_step(encode_one(NETWORK, budget)[0][0]) == pytest.approx(max(lengths), rel=1e-3)
    assert RMS_DECAY == training.RMS_DECAY
    for other in ("adam", "adamw"):
        row = encode_one(NETWORK, Budget(1_000, 1e-3, other, width=64, parametrization="standard"))[0][0]
        assert longest_step(row) == 1.0


@given(decay=st.floats(0.0, 10.0), rate=st.floats(1e-5, 10.0))
def test_weights_that_decay_forget_all_but_the_last_steps(decay: float, rate: float) -> None:
    steps = steps_of(Budget(1_000, rate, weight_decay=decay))
    # By summing what each step still counts at the end.
    kept = np.exp(-decay * rate * (np.arange(1_000) + 0.5)).sum()
    assert steps == pytest.approx(max(kept, 0.5), rel=0.02 + decay * rate)
    assert steps <= 1_000
    assert math.isfinite(steps)


def test_each_of_them_may_be_a_parameter_and_columns_say_the_same() -> None:
    prior = NTKPrior(TASK, STANDARD)
    rows = [
        {**PLAIN, "optimizer": optimizer, "learning_rate": 1e-3, **own}
        for optimizer in ("sgd", "adam", "adamw", "rmsprop")
        for own in (
            {"epochs": 20},
            {"steps": 150, "schedule": "cosine"},
            {"warmup_steps": 30, "schedule": "linear"},
            {"weight_decay": 0.05, "betas": (0.9, 0.999)},
        )
    ]
    table = prior.score_many(rows)
    for number, row in enumerate(rows):
        found = prior(row)
        assert table.verdict[number] == found.verdict
        assert found.score == pytest.approx(table.score[number], abs=1e-12)
        assert found.expected_score == pytest.approx(table.expected_score[number], abs=1e-12)
    whole = prior.score_many({name: [row.get(name) for row in rows] for name in {key for row in rows for key in row}})
    np.testing.assert_allclose(whole.score, table.score, atol=1e-12)


def test_a_configuration_s_epochs_take_the_place_of_steps_and_the_other_way_round() -> None:
    prior = NTKPrior(TASK, STANDARD)
    assert prior({**PLAIN, "epochs": 7}).budget.steps == 70
    in_epochs = NTKPrior(TASK, Budget(None, 0.01, batch_size=100, width=64, parametrization="standard", epochs=7))
    assert in_epochs(PLAIN).budget.steps == 70
    assert in_epochs({**PLAIN, "steps": 30}).budget.steps == 30
    with pytest.raises(ValueError, match=r"steps, epochs: expected one of them, received 3 and 4 \(row 1\)"):
        prior.score_many({**{name: [value] * 2 for name, value in PLAIN.items()}, "steps": [3, 3], "epochs": [None, 4]})
