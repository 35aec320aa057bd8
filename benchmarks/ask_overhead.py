"""Time that the prior's sampler and its gate add to a trial in memory, against the base sampler alone in the same run.

    python benchmarks/ask_overhead.py [REPEATS]

A trial here is one ``ask`` with the draws of all parameters, and the ``tell``. The studies hold 0, 100, 1,000 or 10,000
finished trials with random values, so that no sampler learns to avoid what the prior refuses. The two take turns, and
time is that of the thread, so that both see the same machine. Spaces: one of which the prior accepts most; one of which
it refuses most; a conditional one; and one with 63 parameters, of which it looks at 4.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

import ntk_prior as ntp
from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.judgement import Prior
from ntk_prior.decision.records import Record
from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from ntk_prior_optuna.space import uniform_draw

Space = dict[str, BaseDistribution]

BASES: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=0),
    "tpe": lambda: TPESampler(seed=0),
    "nsga2": lambda: NSGAIISampler(seed=0),
}
KIND = CategoricalDistribution(["erf", "tanh", "relu"])
EASY: Space = {
    "weight_variance": FloatDistribution(1.0, 2.5),
    "bias_variance": FloatDistribution(0.0, 0.5),
    "depth": IntDistribution(1, 12),
    "activation": KIND,
}
HARD: Space = {**EASY, "weight_variance": FloatDistribution(0.5, 8.0), "depth": IntDistribution(1, 128)}
SPACES: dict[str, Space] = {
    "easy": EASY,
    "hard": HARD,
    "conditional": {
        **HARD,
        "optimizer_kind": CategoricalDistribution(["a", "b"]),
        "rate_of_a": FloatDistribution(1e-4, 1e-2, log=True),
        "rate_of_b": FloatDistribution(1e-2, 1.0, log=True),
    },
    "63 parameters": {**EASY, **{f"p{n:02}": FloatDistribution(0.0, 1.0) for n in range(59)}},
}
LENGTHS = (0, 100, 1_000, 10_000)


def used(space: Space, number: int) -> Space:
    """What trial ``number`` suggests: of the conditional space one rate."""
    other = "rate_of_b" if number % 2 else "rate_of_a"
    return {name: one for name, one in space.items() if name != other}


def study_of(sampler: BaseSampler, space: Space, prior: Prior, trials: int) -> optuna.Study:
    """A study with finished trials, each with the prior's note."""
    study = optuna.create_study(sampler=sampler)
    generator = np.random.default_rng(0)
    for number in range(trials):
        distributions = dict(used(space, number))
        params = uniform_draw(distributions, generator)
        if "optimizer_kind" in params:
            params["optimizer_kind"] = "ab"[number % 2]
        note = Record.from_judgement(prior(params), Drawn.PLAIN if number % 10 == 0 else Drawn.SCREENED)._replace(
            reason=""
        )
        study.add_trial(
            optuna.create_trial(
                params=params,
                distributions=distributions,
                value=float(generator.random()),
                user_attrs={"ntk_prior": note.to_json()},
            )
        )
    return study


def trial_seconds(study: optuna.Study, space: Space, gate: Prior | None = None) -> tuple[float, float]:
    """Seconds of the ask and tell of one trial, and of the gate in between."""
    begin = time.thread_time()
    trial = study.ask(used(space, len(study._storage.get_all_trials(study._study_id, deepcopy=False))))
    asked = time.thread_time() - begin
    begin, pruned = time.thread_time(), False
    if gate is not None:
        try:
            prune_if_infeasible(trial, gate)
        except optuna.TrialPruned:
            pruned = True
    gated = time.thread_time() - begin
    begin = time.thread_time()
    study.tell(trial, state=TrialState.PRUNED) if pruned else study.tell(trial, 0.5)
    return asked + time.thread_time() - begin, gated


class Overhead(NamedTuple):
    """Milliseconds: a trial of the base sampler alone and with the prior, and the gate with and without the sampler."""

    alone: float
    both: float
    gate: float
    gate_alone: float


def measured(base: Callable[[], BaseSampler], prior: Prior, space: Space, trials: int, repeats: int) -> Overhead:
    """Medians over ``repeats`` trials each."""
    alone = study_of(base(), space, prior, trials)
    both = study_of(NTKPriorSampler(prior, base(), seed=0), space, prior, trials)
    trial_seconds(alone, space, prior), trial_seconds(both, space, prior)
    asked = [(trial_seconds(alone, space)[0], trial_seconds(both, space)[0]) for _ in range(repeats)]
    gates = [(trial_seconds(both, space, prior)[1], trial_seconds(alone, space, prior)[1]) for _ in range(repeats)]
    return Overhead(*np.median(asked, axis=0) * 1e3, *np.median(gates, axis=0) * 1e3)


def compiled_prior() -> ntp.NTKPrior:
    """The real prior, compiled and tabulated for each activation before any clock runs."""
    prior = ntp.NTKPrior(ntp.Task.cifar10(5_000), ntp.Budget(steps=5_000, width=512))
    for activation in KIND.choices:
        for _ in range(100):
            prior({"weight_variance": 1.7, "bias_variance": 0.1, "depth": 4, "activation": activation})
    return prior


def main(repeats: int) -> None:
    """Print one row for each space, base sampler and length of the study."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    prior = compiled_prior()
    table = Table(title=f"milliseconds a trial, medians of {repeats} (Optuna {optuna.__version__})")
    columns = ("alone", "with prior", "ratio", "added", "gate", "gate / alone", "gate without sampler")
    for column in ("space", "base", "trials", *columns):
        table.add_column(column, justify="left" if column in ("space", "base") else "right")
    for (space_name, space), (base_name, base), trials in product(SPACES.items(), BASES.items(), LENGTHS):
        if base_name != "random" and trials == LENGTHS[-1]:
            continue  # these samplers alone take a tenth of a second and more then
        found = measured(base, prior, space, trials, repeats)
        numbers = (found.alone, found.both, found.both / found.alone, found.both - found.alone)
        gates = (found.gate, found.gate / found.alone, found.gate_alone)
        table.add_row(space_name, base_name, f"{trials:,}", *(f"{number:.2f}" for number in (*numbers, *gates)))
    Console(width=140).print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
