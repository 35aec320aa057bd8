"""Descent by signs against single steps of real networks."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from ntk_prior import Architecture, Budget, Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.layers import encode_one
from ntk_prior.theory.spectrum import LARGEST
from ntk_prior.verdict.estimates import estimate, estimates_of_rows
from ntk_prior_flax import Network

RATE = 1e-3


def data() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    x = (x - x.mean(axis=0))[:100]
    return x / np.sqrt(np.mean(x**2, axis=1, keepdims=True)), y[:100]


def one_step(architecture: Architecture, width: int, x: Any, y: Any, seed: int) -> tuple[float, float]:
    """Movement of a network's outputs along the labels, and along what inputs share, in a step by signs of rate 1."""
    network = Network(architecture, width, 10, "standard")
    params = network.init(jax.random.key(seed), jnp.asarray(x[:1]))
    labels = jax.nn.one_hot(y, 10) - 0.1

    def outputs(params: Any) -> Any:
        return network.apply(params, jnp.asarray(x))

    def moved(direction: Any) -> Any:
        slope = jax.grad(lambda p: jnp.sum(outputs(p) * direction))(params)
        return jax.jvp(outputs, (params,), (jax.tree.map(jnp.sign, slope),))[1]

    shared = jnp.zeros_like(labels).at[:, 0].set(1.0)
    along = jnp.sum(moved(labels) * labels) / jnp.sum(labels**2)
    return float(along), float(jnp.sum(moved(shared) * shared) / jnp.sum(shared))


NETWORKS = [
    Architecture(2.0, 0.0, 1, "relu"),
    Architecture(2.0, 0.0, 3, "relu"),
    Architecture(2.0, 0.0, 8, "relu"),
    Architecture(1.0, 0.0, 3, "tanh"),
    Architecture(1.5, 0.05, 5, "gelu"),
    Architecture(2.0, 0.0, 4, "relu", residual_scale=0.5),
    Architecture(2.0, 0.0, 4, "relu", normalization="layer"),
]


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda one: f"{one.activation}-{one.depth}")
def test_a_step_moves_the_outputs_about_as_far_as_the_layers_kernels_say(architecture: Architecture) -> None:
    # Entries of real gradients are less even than Gaussian ones (ReLU: many are 0), so that signs move a little less:
    # up to 1.5 times along the labels, up to 2.2 times along what all inputs share.
    x, y = data()
    budget = Budget(1, RATE, "adam", width=256, parametrization="standard")
    found = estimate(architecture, Task.from_arrays(x, y), budget)
    along, shared = np.log(RATE * np.abs(one_step(architecture, 256, x, y, seed=0)))
    assert -0.1 <= found.log_speed - along <= 0.45
    assert -0.1 <= found.log_kick - shared <= 0.8


@pytest.mark.parametrize("n", [1, 2_000], ids=["interpreted", "compiled"])
def test_without_a_rate_a_width_or_the_standard_parametrization_it_is_unknown(n: int) -> None:
    x, y = data()
    task, network = Task.from_arrays(x, y), Architecture(2.0, 0.0, 3, "relu")
    for budget in (Budget(10, None, "adam", width=64, parametrization="standard"), Budget(10, 1e-3, "adam", width=64)):
        rows, table = encode_one(network, budget)
        found = estimates_of_rows(np.repeat(rows, n), table, task, view_name(network))
        assert np.all(found.log_speed == -LARGEST)
        assert np.all(found.log_kick == -LARGEST)
