"""Hindsight: what the prior would have refused of a study that ran without it."""

from __future__ import annotations

import optuna

from ntk_prior.checks import shown
from ntk_prior.decision import Prior
from ntk_prior.plots.review import Review
from ntk_prior.runs import UNFINISHED
from ntk_prior_optuna.run import Target, goal, read_run


def review(
    study: optuna.Study,
    prior: Prior,
    *,
    target: Target | None = None,
    target_name: str = "Objective Value",
    threshold: float | None = None,
) -> Review:
    """Judge the finished trials of a study afterwards: what would have been refused, and was that right?

    ``print(review(study, prior))`` says it in words. The study may have run without the prior or with it; what was said
    then does not count. Trials that a gate has stopped never trained, and are left out.

    Args:
        study: The study.
        prior: Judges the trials' parameters.
        target: The outcome of a complete trial; None for the objective's value. Needed for several objectives.
        target_name: What that is.
        threshold: Lower scores would have been refused; None for that of the study's ``NTKPriorSampler``, or the usual
            one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If there are several objectives and no target, or the threshold lies outside [0, 1].

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))

        >>> from ntk_prior_optuna import review
        >>> def objective(trial):
        ...     trial.suggest_float("weight_variance", 1.0, 2.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return 1 / trial.suggest_int("depth", 1, 64)
        >>> study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        >>> study.optimize(objective, n_trials=20)
        >>> found = review(study, prior)
        >>> len(found.trials), len(found.refused)
        (20, 15)
    """
    if not isinstance(study, optuna.Study):
        raise TypeError(f"study: expected an optuna.Study, received {shown(study)}")
    run = read_run(study, goal(study, target, target_name))
    return Review.from_trials(
        [row.trial for row in run.rows if row.state not in UNFINISHED],
        prior,
        outcome_name=run.outcome_name,
        maximize=run.maximize,
        threshold=run.threshold if threshold is None else threshold,
        log=run.log,
    )
