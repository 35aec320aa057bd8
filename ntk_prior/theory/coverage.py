"""What the theory covers, and why it is silent elsewhere."""

from __future__ import annotations

from ntk_prior.architecture import ACTIVATIONS, Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import shown
from ntk_prior.task.task import Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.activations import is_known

MUP = "muP changes the features during training, which a fixed kernel does not describe"


def silence(architecture: Architecture, task: Task, budget: Budget) -> str | None:
    """Why the theory says nothing of a configuration, or None where it speaks."""
    if budget.parametrization == "mup":
        return MUP
    if budget.loss == "cross_entropy" and not task.n_classes:
        return "cross-entropy needs classes, and the task is a regression: its loss is 'mse'"
    return budget.unknown or why_outside(architecture, task)


def why_outside(architecture: Architecture, task: Task) -> str | None:
    """Why the theory is silent about an architecture, or None where it speaks."""
    if not is_known(architecture.activation):
        known = ", ".join(ACTIVATIONS)
        return f"activation {shown(architecture.activation)} has no known dual; known: {known}, or a callable"
    if architecture.unknown:
        return architecture.unknown
    if architecture.normalization == "batch":
        return "batch normalization couples the samples, which this kernel does not describe"
    name = view_name(architecture)
    if name in task.views:
        return None
    if task.n_pixels is None and name != "fcn":
        return f"the task summary has no image structure, which kind={architecture.kind!r} needs"
    kept = f"the view{'s' * (len(task.views) > 1)} {', '.join(task.views)}"
    return (
        f"the saved summary holds {kept} only: build the view {name} before saving, with task.views[{name!r}] or "
        f"task.save(path, views={[*task.views, name]})"
    )
