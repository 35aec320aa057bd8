"""Tune a Flax network on CIFAR-10 with Optuna; the prior refuses hopeless configurations before they are launched.

    python examples/optuna_cifar10.py --data-dir DIR        (or NTK_PRIOR_DATA=DIR; digits without either)

Needs pip install 'ntk-prior[optuna,train]'. Training runs on a GPU if JAX finds one. The prior never uses it.
"""

from __future__ import annotations

import argparse
import os

import jax
import optuna

from ntk_prior import Architecture, Budget, NTKPrior, Task
from ntk_prior.datasets import load_cifar10, load_digits, prepare
from ntk_prior_flax import train
from ntk_prior_optuna import NTKPriorSampler

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data-dir", default=os.environ.get("NTK_PRIOR_DATA"))
parser.add_argument("--n-train", type=int, default=1024)
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--trials", type=int, default=20)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

images = prepare(load_cifar10(args.data_dir) if args.data_dir else load_digits(), n_train=args.n_train)
task = Task.from_arrays(images.x_train, images.y_train, n_test=len(images.y_test))
budget = Budget(steps=args.steps, width=args.width)
prior = NTKPrior(task, budget)


def objective(trial: optuna.Trial) -> float:
    """Train one network; its parameters carry the names that the prior knows."""
    architecture = Architecture(
        weight_variance=trial.suggest_float("weight_variance", 0.5, 4.0, log=True),
        bias_variance=trial.suggest_float("bias_variance", 0.0, 0.5),
        depth=trial.suggest_int("depth", 1, 64, log=True),
        activation=trial.suggest_categorical("activation", ["erf", "tanh", "relu"]),
    )
    rate = trial.suggest_float("learning_rate", 1e-3, 10.0, log=True)
    data = (images.x_train, images.y_train, images.x_test, images.y_test)
    return train(architecture, Budget(args.steps, rate, width=args.width), *data, seed=trial.number).test_accuracy


space = {
    "weight_variance": optuna.distributions.FloatDistribution(0.5, 4.0, log=True),
    "bias_variance": optuna.distributions.FloatDistribution(0.0, 0.5),
    "depth": optuna.distributions.IntDistribution(1, 64, log=True),
    "activation": optuna.distributions.CategoricalDistribution(["erf", "tanh", "relu"]),
    "learning_rate": optuna.distributions.FloatDistribution(1e-3, 10.0, log=True),
}
sampler = NTKPriorSampler(prior, optuna.samplers.TPESampler(seed=args.seed), search_space=space, seed=args.seed)
study = optuna.create_study(direction="maximize", sampler=sampler)
study.optimize(objective, n_trials=args.trials)
for trial in study.trials:
    verdict = trial.user_attrs["ntk_prior"]["verdict"]
    print(f"trial {trial.number}: accuracy {trial.value:.3f}, {verdict}, {trial.params}")
print(f"best test accuracy on {images.name}: {study.best_value:.3f}, trained on {jax.devices()[0].platform}")
