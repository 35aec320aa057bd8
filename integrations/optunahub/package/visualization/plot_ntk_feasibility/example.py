"""A study of stand-ins for networks, and where its trials lie among the prior's verdicts."""

from __future__ import annotations

import optuna
import optunahub

sampler_module = optunahub.load_module("samplers/ntk_prior")
plot_module = optunahub.load_module("visualization/plot_ntk_feasibility")


def objective(trial: optuna.Trial) -> float:
    """Stands in for the accuracy of a trained network."""
    weight_variance = trial.suggest_float("weight_variance", 0.5, 4.0)
    bias_variance = trial.suggest_float("bias_variance", 0.0, 0.5)
    depth = trial.suggest_int("depth", 1, 64)
    return 1.0 / (1.0 + abs(weight_variance - 1.7) + bias_variance + depth / 64)


prior = sampler_module.NTKPrior(sampler_module.Task.cifar10(1_000), sampler_module.Budget(steps=500, width=256))
sampler = sampler_module.NTKPriorSampler(prior, seed=0)
study = optuna.create_study(direction="maximize", sampler=sampler)
study.optimize(objective, n_trials=30)
plot_module.plot_feasibility(study).show()
