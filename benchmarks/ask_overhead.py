"""Time that the prior's sampler adds to ``ask`` in memory, against the base sampler alone in the same run.

    python benchmarks/ask_overhead.py [TRIALS]

One ``ask`` here includes the draws of all parameters. The two studies take turns, so that both see the same machine.
Three priors: the real one; one that accepts everything at no cost (what the wrapping alone costs); and the real one
over a space of which it refuses most (what drawing again costs).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from rich.console import Console
from rich.table import Table

import ntk_prior as ntp
from ntk_prior.screening import Judgement, Prior
from ntk_prior_optuna import NTKPriorSampler

Space = dict[str, BaseDistribution]

BASES: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=0),
    "tpe": lambda: TPESampler(seed=0),
    "cmaes": lambda: CmaEsSampler(seed=0, warn_independent_sampling=False),
    "nsga2": lambda: NSGAIISampler(seed=0),
    "qmc": lambda: QMCSampler(seed=0),
}
KIND = CategoricalDistribution(["erf", "tanh", "relu"])
EASY: Space = {
    "weight_variance": FloatDistribution(1.0, 2.5),
    "bias_variance": FloatDistribution(0.0, 0.5),
    "depth": IntDistribution(1, 12),
    "activation": KIND,
}
HARD: Space = {**EASY, "weight_variance": FloatDistribution(0.5, 8.0), "depth": IntDistribution(1, 128)}


class Accepted:
    """A judgement that costs nothing."""

    score, verdict, reason = 1.0, "feasible", "free"


def accepts(_: Mapping[str, Any]) -> Accepted:
    """A prior that costs nothing."""
    return Accepted()


def objective(params: Mapping[str, Any]) -> float:
    """Smooth, best at moderate depth near criticality."""
    return float((params["weight_variance"] - 1.7) ** 2 + params["bias_variance"] + (params["depth"] / 8 - 1) ** 2)


def ask(study: optuna.Study, space: Space) -> float:
    """Seconds of one ask; the trial is told afterwards."""
    begin = time.perf_counter()
    trial = study.ask(space)
    seconds = time.perf_counter() - begin
    study.tell(trial, objective(trial.params))
    return seconds


def compare(base: Callable[[], BaseSampler], prior: Prior, space: Space, trials: int) -> tuple[float, ...]:
    """Median ask of the base alone and with the prior and mean added, in ms; draws judged for each trial."""
    asked = 0

    def counted(config: Mapping[str, Any]) -> Judgement:
        nonlocal asked
        asked += 1
        return prior(config)

    alone = optuna.create_study(sampler=base())
    wrapped = optuna.create_study(sampler=NTKPriorSampler(counted, base(), search_space=space, seed=0))
    seconds = np.array([(ask(alone, space), ask(wrapped, space)) for _ in range(trials)]) * 1e3
    # The prior is asked once more when a trial ends.
    judged = asked / trials - 1
    return *np.median(seconds, axis=0), float(np.mean(seconds[:, 1] - seconds[:, 0])), judged


def compiled_prior() -> ntp.NTKPrior:
    """The real prior, compiled and tabulated for each activation before any clock runs."""
    prior = ntp.NTKPrior(ntp.Task.cifar10(5_000), ntp.Budget(steps=5_000, width=512))
    for activation in KIND.choices:
        for _ in range(100):
            prior({"weight_variance": 1.7, "bias_variance": 0.1, "depth": 4, "activation": activation})
    return prior


def main(trials: int) -> None:
    """Print one row for each base sampler and prior."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    real = compiled_prior()
    priors: dict[str, tuple[Prior, Space]] = {
        "free": (accepts, EASY),
        "NTKPrior": (real, EASY),
        "NTKPrior, hard space": (real, HARD),
    }
    table = Table(title=f"ask in memory, {trials} trials, milliseconds (Optuna {optuna.__version__})")
    for column in (
        "base",
        "prior",
        "base alone",
        "with prior",
        "ratio",
        "added (median)",
        "added (mean)",
        "draws judged",
    ):
        table.add_column(column, justify="left" if column in ("base", "prior") else "right")
    for base_name, base in BASES.items():
        for prior_name, (prior, space) in priors.items():
            alone, both, mean, judged = compare(base, prior, space, trials)
            numbers = (f"{alone:.2f}", f"{both:.2f}", f"{both / alone:.2f}", f"{both - alone:.2f}", f"{mean:.2f}")
            table.add_row(base_name, prior_name, *numbers, f"{judged:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
