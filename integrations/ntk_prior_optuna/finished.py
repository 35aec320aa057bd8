"""Finished trials of a study, for ``NTKPrior.fit``."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna

from ntk_prior import FinishedTrial
from ntk_prior.checks import shown


def finished_trials(
    study: optuna.Study,
    *,
    test_accuracy: str | None = None,
    train_accuracy: str | None = None,
    diverged: str | None = None,
) -> list[FinishedTrial]:
    """What the complete trials of a study say about the prior: ``prior.fit(finished_trials(study))``.

    Args:
        study: Its trials' parameters are what the prior is asked about.
        test_accuracy: Name of the user attribute with the test accuracy; None for the objective's value, which then
            must be that accuracy, and be maximized.
        train_accuracy: Name of the user attribute with the training accuracy. Without it only trials that generalize
            say that they have trained, and none says that it has not.
        diverged: Name of the user attribute that says whether the training diverged.

    Raises:
        ValueError: If an accuracy is not in [0, 1], or the objective's value is asked for where there are several, or
            where it is minimized: what is minimized is no accuracy.

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))

        >>> from ntk_prior_optuna import finished_trials
        >>> def objective(trial):
        ...     trial.suggest_float("weight_variance", 1.0, 2.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return 0.9 if trial.suggest_int("depth", 1, 32) < 16 else 0.1  # a test accuracy
        >>> study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        >>> study.optimize(objective, n_trials=20)
        >>> report = prior.fit(finished_trials(study))
        >>> report.used > 0
        True
    """
    if test_accuracy is None and len(study.directions) > 1:
        raise ValueError("test_accuracy: expected the name of a user attribute, since the study has several objectives")
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    noted = {name for trial in complete for name in trial.user_attrs}
    for argument, name in (
        ("test_accuracy", test_accuracy),
        ("train_accuracy", train_accuracy),
        ("diverged", diverged),
    ):
        if complete and name is not None and name not in noted:
            raise ValueError(
                f"{argument}: expected a user attribute of the study's trials, such as {', '.join(sorted(noted))}, "
                f"received {shown(name)}: call trial.set_user_attr({name!r}, ...) in the objective"
            )
    found = [
        FinishedTrial(
            trial.params,
            train_accuracy=_share(trial, train_accuracy, None),
            test_accuracy=_share(trial, test_accuracy, trial.values[0]),
            diverged=_flag(trial, diverged),
        )
        for trial in complete
    ]
    if test_accuracy is None and study.directions[0] != optuna.study.StudyDirection.MAXIMIZE:
        raise ValueError(
            "test_accuracy: expected the name of a user attribute, since the study minimizes its objective, which "
            "therefore is no accuracy: call trial.set_user_attr('test_accuracy', ...) in the objective and give "
            "test_accuracy='test_accuracy' here, or create the study with direction='maximize'"
        )
    return found


def _share(trial: optuna.trial.FrozenTrial, attribute: str | None, otherwise: float | None) -> float | None:
    """An accuracy of a trial; None where it has none.

    Raises:
        ValueError: If it is no number in [0, 1].
    """
    value: Any = otherwise if attribute is None else trial.user_attrs.get(attribute)
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if value is None or (attribute is not None and is_number and value != value):
        return None
    if not is_number or not 0.0 <= value <= 1.0:
        what = "the objective" if attribute is None else f"the user attribute {attribute!r}"
        raise ValueError(
            f"trial {trial.number}: expected an accuracy in [0, 1] as {what}, received {shown(value)}: name the user "
            "attributes that hold accuracies"
        )
    return float(value)


def _flag(trial: optuna.trial.FrozenTrial, attribute: str | None) -> bool:
    """Whether a trial says that it diverged; one that says nothing did not.

    Raises:
        ValueError: If it says neither yes nor no.
    """
    value: Any = None if attribute is None else trial.user_attrs.get(attribute)
    if value is None:
        return False
    if not isinstance(value, bool | np.bool_ | int) or value not in (0, 1):
        raise ValueError(
            f"trial {trial.number}: expected True or False as the user attribute {attribute!r}, received {shown(value)}"
        )
    return bool(value)
