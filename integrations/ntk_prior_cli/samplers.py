"""The samplers of Optuna's that propose, for either engine."""

from __future__ import annotations

from typing import Any

import optuna


def base_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler that proposes."""
    if name == "qmc":
        return optuna.samplers.QMCSampler(seed=seed, warn_asynchronous_seeding=False, warn_independent_sampling=False)
    kinds: dict[str, Any] = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
        "gp": optuna.samplers.GPSampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "nsgaii": optuna.samplers.NSGAIISampler,
    }
    sampler: optuna.samplers.BaseSampler = kinds[name](seed=seed)
    return sampler
