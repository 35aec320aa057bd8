"""One simulated study."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import optuna

from ntk_prior_optuna import prune_if_infeasible
from studies.simulated.arms import Arm, Counted, Situation
from studies.simulated.landscape import Landscape, Training
from studies.simulated.surrogate import EVALUATIONS

CLOSE = {
    "a_tenth": lambda best: 0.9 * best,
    "a_point": lambda best: best - 0.01,
    "a_hundredth": lambda best: 0.99 * best,
}
"""Targets, the nearest last: expected accuracies as functions of the space's best."""

COSTS = ("flops", "flops_unstopped", "steps", "launched")
"""What is counted: floating-point operations; the same, were a diverged training not stopped before it is pruned or
ends; training steps; launched trials."""

GRID = np.geomspace(0.1, 1000.0, 121)
"""Compute at which the best so far is noted, in units of the landscape's average training."""

FIRST = 50
"""The share of hopeless trials is that among as many launched ones from the start."""


@dataclass(frozen=True)
class Limits:
    """When a study ends: as soon as one of these is reached, or the best is within a thousandth of the space's.

    Attributes:
        compute: In units of the landscape's average training.
        launched: Trials.
    """

    compute: float
    launched: int


@dataclass
class Ledger:
    """What a study has spent and found so far."""

    best: float
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COSTS, 0.0))
    reached: dict[str, dict[str, float]] = field(default_factory=dict)
    hopeless: int = 0
    spare: int = 0
    found: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, training: Training, steps: int, unstopped: int) -> None:
        """Account for a launched trial.

        Args:
            training: What was trained.
            steps: Steps that it ran.
            unstopped: Steps that it would have run without being stopped at divergence.
        """
        cost = (steps * training.step_flops, unstopped * training.step_flops, float(steps), 1.0)
        for name, amount in zip(COSTS, cost, strict=True):
            self.spent[name] += amount
        if self.spent["launched"] <= FIRST:
            self.hopeless += training.hopeless
        seen = sum(step <= steps for step in EVALUATIONS)
        value = float(training.accuracy[seen - 1]) if seen else 0.0
        if value > self.found:
            self.found = value
            self.points.append((self.spent["flops"], value))
        for name, target in CLOSE.items():
            if name not in self.reached and self.found >= target(self.best):
                self.reached[name] = dict(self.spent)


@dataclass(frozen=True)
class Finished:
    """A study.

    Attributes:
        ledger: All that it spent and found.
        curve: Best expected accuracy over ``GRID``.
        seconds: CPU time of sampler, prior and pruner.
    """

    ledger: Ledger
    curve: list[float]
    seconds: float


def run(arm: Arm, landscape: Landscape, seed: int, limits: Limits) -> Finished:
    """Simulate one study.

    Args:
        arm: Sampler, pruner and prior.
        landscape: What is tuned.
        seed: Of the sampler and of the trainings' initialisations.
        limits: When it ends.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    prior = Counted(arm.judge(landscape))
    sampler = arm.sampler(Situation(landscape.space, prior, landscape.prior, seed))
    # Hyperband takes a trial's bracket from the study's name.
    study = optuna.create_study(
        study_name=f"{landscape.name}-{seed}", direction="maximize", sampler=sampler, pruner=arm.pruner()
    )
    best = landscape.best[0]
    ledger = Ledger(best)
    seconds = 0.0
    enough = limits.compute * landscape.unit
    while ledger.spent["flops"] < enough and ledger.spent["launched"] < limits.launched and ledger.found < 0.999 * best:
        began, asked = time.process_time(), prior.asked
        trial = study.ask(landscape.space)
        ledger.spare += max(prior.asked - asked - 1, 0)
        if arm.gated:
            try:
                prune_if_infeasible(trial, prior, seed=seed)
            except optuna.TrialPruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                ledger.spare += 1
                seconds += time.process_time() - began
                if ledger.spare > 10 * limits.launched:
                    break
                continue
        seconds += time.process_time() - began
        training = landscape.training(trial.params, np.random.default_rng((seed, trial.number)))
        began = time.process_time()
        steps, unstopped = _train(study, trial, training)
        seconds += time.process_time() - began
        ledger.add(training, steps, unstopped)
    return Finished(ledger, _curve(ledger, landscape.unit), seconds)


def _train(study: optuna.Study, trial: optuna.Trial, training: Training) -> tuple[int, int]:
    """Run a trial until it ends or is pruned, and tell the study; steps with and without a stop at divergence."""
    prunes = not isinstance(study.pruner, optuna.pruners.NopPruner)
    for i, step in enumerate(EVALUATIONS):
        if step > training.steps:
            study.tell(trial, float(training.observed[i]))
            return training.steps, step if prunes else EVALUATIONS[-1]
        trial.report(float(training.observed[i]), step)
        if step < EVALUATIONS[-1] and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return step, step
    study.tell(trial, float(training.observed[-1]))
    return training.steps, training.steps


def _curve(ledger: Ledger, unit: float) -> list[float]:
    """Best so far at each point of the grid; the study's last value behind its end."""
    values, at = [], 0
    for compute in GRID * unit:
        while at < len(ledger.points) and ledger.points[at][0] <= compute:
            at += 1
        values.append(ledger.points[at - 1][1] if at else 0.0)
    return values
