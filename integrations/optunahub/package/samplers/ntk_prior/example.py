"""Tune a network on scikit-learn's digits; networks that cannot train, or only memorise, are not launched."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import optuna
import optunahub
from sklearn.datasets import load_digits

STEPS, WIDTH = 200, 64

x, y = load_digits(return_X_y=True)
x = x - x.mean(axis=0)
x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
x_train, y_train, x_test, y_test = x[:200], y[:200], x[200:600], y[200:600]


def signals(layers: list[np.ndarray], inputs: np.ndarray) -> list[np.ndarray]:
    """Inputs, hidden layers and outputs of a tanh network without biases."""
    hidden = [inputs]
    for weights in layers[:-1]:
        hidden.append(np.tanh(hidden[-1] @ weights))
    return [*hidden, hidden[-1] @ layers[-1]]


def test_accuracy(weight_variance: float, depth: int, rate: float, seed: int) -> float:
    """Train by gradient descent on half the mean squared error; at chance where that diverges."""
    rng = np.random.default_rng(seed)
    sizes = [x.shape[1], *[WIDTH] * depth, 10]
    layers = [rng.normal(size=(n, m)) * np.sqrt(weight_variance / n) for n, m in pairwise(sizes)]
    for _ in range(STEPS):
        *hidden, outputs = signals(layers, x_train)
        error = (outputs - np.eye(10)[y_train]) / len(x_train)
        if not np.all(np.abs(outputs) < 1e3):
            return 0.1
        for k in reversed(range(len(layers))):
            step = rate * hidden[k].T @ error
            error = error @ layers[k].T * (1 - hidden[k] ** 2)
            layers[k] -= step
    return float(np.mean(np.argmax(signals(layers, x_test)[-1], axis=1) == y_test))


def objective(trial: optuna.Trial) -> float:
    """Train one network."""
    return test_accuracy(
        trial.suggest_float("weight_variance", 0.5, 4.0, log=True),
        trial.suggest_int("depth", 1, 32, log=True),
        trial.suggest_float("learning_rate", 1e-3, 1.0, log=True),
        trial.number,
    )


module = optunahub.load_module("samplers/ntk_prior")
prior = module.NTKPrior(
    module.Task.from_arrays(x_train, y_train),
    module.Budget(steps=STEPS, width=WIDTH, parametrization="standard"),
    lambda config: {**config, "bias_variance": 0.0, "activation": "tanh"},
)
space = {
    "weight_variance": optuna.distributions.FloatDistribution(0.5, 4.0, log=True),
    "depth": optuna.distributions.IntDistribution(1, 32, log=True),
    "learning_rate": optuna.distributions.FloatDistribution(1e-3, 1.0, log=True),
}
sampler = module.NTKPriorSampler(prior, optuna.samplers.TPESampler(seed=0), search_space=space, seed=0)
study = optuna.create_study(direction="maximize", sampler=sampler)
study.optimize(objective, n_trials=20)
for trial in study.trials:
    note = trial.user_attrs["ntk_prior"]
    print(f"trial {trial.number}: accuracy {trial.value:.3f}, {note['verdict']}, {note['drawn']}")
print(f"best accuracy: {study.best_value:.3f} with {study.best_params}")
