"""Time that NTKPriorSearch adds to ``suggest``, against the wrapped search algorithm alone in the same run.

    python benchmarks/suggest_overhead.py [TRIALS]

The two searches take turns, so that both see the same machine, and every trial is told at once. Two spaces: an
ordinary one, and one of which the prior refuses most, so that several proposals are made and judged for a trial. What
is added changes as trials finish: several proposals compete for each of the first twenty, and the last hundred have as
much evidence to weigh as there ever is, in 500 trials or more. The last column is what one driver can serve:
suggestions and results a second, for the search alone.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from ask_overhead import KIND, compiled_prior, objective
from ray import tune
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from rich.console import Console
from rich.table import Table

from ntk_prior.decision.judgement import Prior
from ntk_prior_ray import NTKPriorSearch
from ntk_prior_ray.uniform import UniformSearch

SEARCHERS: dict[str, Callable[[], Searcher]] = {
    "uniform draws": lambda: UniformSearch(0),
    "Optuna, random": lambda: OptunaSearch(sampler=optuna.samplers.RandomSampler(seed=0)),
    "Optuna, TPE": lambda: OptunaSearch(seed=0),
}
EASY = {
    "weight_variance": tune.uniform(1.0, 2.5),
    "bias_variance": tune.uniform(0.0, 0.5),
    "depth": tune.randint(1, 13),
    "activation": tune.choice(list(KIND.choices)),
}
HARD = {**EASY, "weight_variance": tune.uniform(0.5, 8.0), "depth": tune.randint(1, 129)}
SPACES = {"ordinary": EASY, "mostly refused": HARD}

FIRST, LAST = 20, 100


def trial(search: Searcher, number: int) -> tuple[float, float]:
    """Seconds of one suggestion, and of the result told afterwards."""
    begin = time.perf_counter()
    config = search.suggest(str(number))
    suggested = time.perf_counter()
    loss = objective(config)
    told = time.perf_counter()
    search.on_trial_complete(str(number), {"loss": loss, "training_iteration": 1})
    return suggested - begin, time.perf_counter() - told


def compare(make: Callable[[], Searcher], prior: Prior, space: dict[str, Any], trials: int) -> tuple[float, ...]:
    """Median suggest alone, with the prior, mean added at all, first and last (ms), refused and served trials."""
    alone, wrapped = make(), NTKPriorSearch(prior, make(), seed=0)
    for search in (alone, wrapped):
        search.set_search_properties("loss", "min", space)
    pairs = [(trial(alone, number), trial(wrapped, number)) for number in range(trials)]
    seconds = np.array([(one[0], other[0]) for one, other in pairs]) * 1e3
    refused = len(wrapped.refusals()) / trials
    served = trials / sum(sum(other) for _, other in pairs)
    added = seconds[:, 1] - seconds[:, 0]
    means = [float(np.mean(some)) for some in (added, added[:FIRST], added[-LAST:])]
    return *np.median(seconds, axis=0), *means, refused, served


def main(trials: int) -> None:
    """Print one row for each search algorithm and space."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.disable(logging.WARNING)
    prior = compiled_prior()
    table = Table(title=f"suggest, {trials} trials, milliseconds")
    table.add_column("search algorithm")
    table.add_column("space")
    added = ("added", f"first {FIRST}", f"last {LAST}")
    for column in ("alone", "with prior", *added, "refused a trial", "trials/s"):
        table.add_column(column, justify="right")
    for name, make in SEARCHERS.items():
        for label, space in SPACES.items():
            *milliseconds, refused, served = compare(make, prior, space, trials)
            numbers = [f"{value:.2f}" for value in milliseconds]
            table.add_row(name, label, *numbers, f"{refused:.1f}", f"{served:,.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
