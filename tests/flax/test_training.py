"""The Flax networks are those of the theory, and their training behaves as the prior says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from ntk_prior import Architecture, Budget, Task, feasibility, max_learning_rate
from ntk_prior.datasets import Images, load_digits, prepare
from ntk_prior_flax import Network, train, training_flops

pytestmark = pytest.mark.usefixtures("compiled_quickly")

VARIANTS = [
    {},
    {"kind": "cnn"},
    {"kind": "cnn", "pooling": True},
    {"residual_scale": 0.5},
    {"normalization": "layer"},
    {"keep_rate": 0.8},
    {"activation": "relu"},
]


@pytest.fixture(scope="module")
def digits() -> Images:
    return prepare(load_digits(), n_train=96, n_test=200)


@pytest.fixture(scope="module")
def task(digits: Images) -> Task:
    return Task.from_arrays(digits.x_train, digits.y_train)


def data(images: Images) -> tuple[NDArray[np.float64], ...]:
    return images.x_train, images.y_train, images.x_test, images.y_test


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_both_parametrizations_are_one_function_at_initialisation(digits: Images, variant: dict[str, object]) -> None:
    architecture = Architecture(1.7, 0.2, 4, **variant)
    x = jnp.asarray(digits.x_train[:5])
    outputs = []
    for parametrization in ("ntk", "standard"):
        network = Network(architecture, 32, 10, parametrization)
        params = network.init(jax.random.key(0), x)
        outputs.append(network.apply(params, x, training=True, rngs={"dropout": jax.random.key(1)}))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-4)
    assert float(jnp.std(outputs[0])) > 0.1


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_output_covariances_at_initialisation_follow_the_erf_recursion(digits: Images, depth: int) -> None:
    """K' = sigma_w^2 (2 / pi) asin(2 k / (1 + 2 q)) + sigma_b^2, iterated here by hand from the inputs' cosine."""
    weight_variance, bias_variance = 1.5, 0.3
    x = digits.x_train[:2].reshape(2, -1)
    cosine = float(x[0] @ x[1]) / x.shape[1]
    q, k = weight_variance + bias_variance, weight_variance * cosine + bias_variance
    for _ in range(depth):
        k = weight_variance * 2 / math.pi * math.asin(2 * k / (1 + 2 * q)) + bias_variance
        q = weight_variance * 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + bias_variance
    network = Network(Architecture(weight_variance, bias_variance, depth), 512, 4096)
    outputs = network.apply(network.init(jax.random.key(3), jnp.asarray(x)), jnp.asarray(x))
    assert float(jnp.mean(outputs[0] ** 2)) == pytest.approx(q, rel=0.12)
    assert float(jnp.mean(outputs[0] * outputs[1])) == pytest.approx(k, rel=0.12, abs=0.1 * q)


def test_the_compile_unit_is_one_scanned_layer_whatever_the_depth(digits: Images) -> None:
    x = jnp.asarray(digits.x_train[:1])
    shapes = jax.eval_shape(Network(Architecture(1.5, 0.1, 30), 16, 10).init, jax.random.key(0), x)
    assert shapes["params"]["hidden"]["affine"]["kernel"].shape == (29, 16, 16)


@pytest.mark.parametrize("parametrization", ["ntk", "standard"])
@pytest.mark.parametrize("variant", [{}, {"kind": "cnn"}, {"activation": "relu"}], ids=str)
def test_the_predicted_largest_learning_rate_separates_training_from_divergence(
    digits: Images, task: Task, parametrization: str, variant: dict[str, object]
) -> None:
    """The conversion between parametrizations is part of the prediction: the two rates differ a hundredfold."""
    architecture = Architecture(1.8, 0.05, 3, **variant)
    width = 8 if architecture.kind == "cnn" else 256
    budget = Budget(40, width=width, parametrization=parametrization)
    limit = max_learning_rate(architecture, task, budget)
    below = train(architecture, Budget(40, 0.5 * limit, width=width, parametrization=parametrization), *data(digits))
    above = train(architecture, Budget(40, 12.0 * limit, width=width, parametrization=parametrization), *data(digits))
    assert not below.diverged
    assert below.train_loss < 0.45  # it starts at about 0.45 + q / 2 and falls
    assert above.diverged or above.train_loss > 10 * below.train_loss


def test_momentum_reaches_what_its_longer_effective_steps_promise(digits: Images, task: Task) -> None:
    architecture = Architecture(1.5, 0.05, 2)
    limit = max_learning_rate(architecture, task, Budget(50, width=256))
    plain = train(architecture, Budget(50, 0.1 * limit, width=256), *data(digits))
    heavy = train(architecture, Budget(50, 0.1 * limit, "momentum", 0.9, width=256), *data(digits))
    assert heavy.train_loss < plain.train_loss


def test_the_prior_orders_trainings_on_digits(digits: Images, task: Task) -> None:
    budget = Budget(100, width=128)
    good, frozen, chaotic = (Architecture(v, 0.05, depth) for v, depth in ((1.5, 3), (0.6, 40), (4.0, 24)))
    results = {a: train(a, budget, *data(digits), task=task) for a in (good, frozen, chaotic)}
    verdicts = {a: feasibility(a, task, budget).verdict for a in results}
    assert verdicts == {good: "feasible", frozen: "untrainable", chaotic: "memorizes_only"}
    assert results[good].test_accuracy > 0.7
    assert results[frozen].train_accuracy < 0.35
    assert results[chaotic].test_accuracy < 0.35


def test_training_is_reproducible_and_reports_as_it_goes(digits: Images) -> None:
    seen: list[int] = []
    budget = Budget(20, 0.1, batch_size=32, width=16, loss="cross_entropy")
    runs = [
        train(
            Architecture(1.5, 0.1, 2),
            budget,
            *data(digits),
            seed=5,
            report=lambda step, loss, accuracy: seen.append(step),
        )
        for _ in range(2)
    ]
    assert runs[0].train_loss == runs[1].train_loss
    assert seen == [2 * (k + 1) for k in range(10)] * 2
    assert runs[0].steps == 20


def test_missing_width_or_rate_is_refused_before_any_work(digits: Images) -> None:
    with pytest.raises(ValueError, match="width: expected an integer"):
        train(Architecture(1.5, 0.1, 2), Budget(5, 0.1), *data(digits))
    with pytest.raises(ValueError, match="learning_rate: expected a number, or a task"):
        train(Architecture(1.5, 0.1, 2), Budget(5, width=8), *data(digits))


@pytest.mark.parametrize(
    ("network", "budget", "message"),
    [
        ({}, {"optimizer": "Lion"}, "optimizer: expected one of sgd, momentum, adam, adamw, rmsprop, received 'Lion'"),
        ({}, {"schedule": "saw"}, "schedule: expected one of constant, cosine, linear, received 'saw'"),
        ({}, {"loss": "hinge"}, "loss: expected one of mse, cross_entropy, received 'hinge'"),
        ({}, {"parametrization": "mup"}, "parametrization: expected one of ntk, standard, received 'mup'"),
        ({"normalization": "GroupNorm"}, {}, "normalization: expected one of none, layer, received 'GroupNorm'"),
        ({"normalization": "batch"}, {}, "normalization: expected one of none, layer, received 'batch'"),
        ({"kind": "transformer"}, {}, "kind: expected one of fcn, cnn, received 'transformer'"),
    ],
)
def test_what_cannot_be_trained_here_is_refused_by_name(
    digits: Images, network: dict[str, Any], budget: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(Architecture(1.5, 0.1, 2, **network), Budget(5, 0.1, width=8, **budget), *data(digits))


def test_flops_count_every_weight_application() -> None:
    budget = Budget(10, width=4)
    assert training_flops(Architecture(1, 0, 3), budget, (8, 8, 1), 10, 5) == 6 * 50 * (64 * 4 + 2 * 16 + 40)
    flat = training_flops(Architecture(1, 0, 2, kind="cnn"), budget, (8, 8, 3), 10, 5)
    assert flat == 6 * 50 * (64 * 9 * 4 * (3 + 4) + 64 * 40)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_each_optimizer_takes_schedule_and_weight_decay(digits: Images, optimizer: str) -> None:
    budget = Budget(None, 1e-3, optimizer, width=32, loss="cross_entropy", batch_size=64, epochs=4)
    network = Architecture(2.0, 0.0, 2, "elu")
    plain = train(network, budget, *data(digits))
    assert plain.steps == budget.in_steps(len(digits.x_train)).steps
    for own in ({"weight_decay": 10.0}, {"schedule": "cosine"}, {"schedule": "linear", "warmup_steps": 2}):
        other = train(network, replace(budget, **own), *data(digits))
        assert other.train_loss != plain.train_loss
        # Falling rates slow down what is learnt so early.
        assert "schedule" not in own or other.train_loss > plain.train_loss
