"""The largest learning rate at which gradient descent is stable."""

from __future__ import annotations

from dataclasses import replace

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_instance
from ntk_prior.task.task import Task
from ntk_prior.theory.spectrum import saturated
from ntk_prior.verdict.estimates import estimate


def max_learning_rate(architecture: Architecture, task: Task, budget: Budget) -> float:
    """Largest stable learning rate, in the budget's convention (mean loss, parametrization, batch size, momentum).

    Gradient descent on half the mean squared error is stable up to 2 n_train / lambda_max in the NTK parametrization.

    Args:
        architecture: The network.
        task: The task's summary.
        budget: The optimiser; its own ``learning_rate`` is ignored.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: For Adam, whose stability the kernel does not decide, and for what the theory does not know.

    Example:
        >>> import ntk_prior as ntp
        >>> he = ntp.Architecture(weight_variance=2.0, bias_variance=0.0, depth=3, activation="relu")
        >>> task = ntp.Task.cifar10(1_000)
        >>> f"{ntp.max_learning_rate(he, task, ntp.Budget(steps=300, width=512)):.2f}"
        '0.88'
        >>> f"{ntp.max_learning_rate(he, task, ntp.Budget(steps=300, width=512, parametrization='standard')):.4f}"
        '0.0031'
    """
    require_instance("architecture", architecture, Architecture)
    require_instance("task", task, Task)
    require_instance("budget", budget, Budget)
    if budget.unknown or architecture.unknown:
        raise ValueError(
            f"expected a training and a network that the theory knows: {budget.unknown or architecture.unknown}"
        )
    if budget.is_adaptive:
        raise ValueError("optimizer: expected 'sgd' or 'momentum' (Adam's stability is not a property of the kernel)")
    unit = replace(budget.in_steps(task.n_train), learning_rate=1.0)
    return saturated(-estimate(architecture, task, unit).log_excess)
