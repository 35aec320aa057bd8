"""What a training run may spend, and with which optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ntk_prior.checks import Check, Named, Range, put_checked, shown

OPTIMIZERS = ("sgd", "momentum", "adam")
PARAMETRIZATIONS = ("ntk", "standard", "mup")
LOSSES = ("mse", "cross_entropy")

_OPTIMIZER = Named(OPTIMIZERS)
_PARAMETRIZATION = Named(PARAMETRIZATIONS, {"\N{GREEK SMALL LETTER MU}p": "mup"})
_LOSS = Named(LOSSES, {"meansquarederror": "mse", "crossentropyloss": "cross_entropy"})

BUDGET_CHECKS: Mapping[str, Check] = {
    "steps": Range(1, 10**12, whole=True),
    "learning_rate": Range(0.0, 1e300, open_low=True),
    "optimizer": _OPTIMIZER,
    "momentum": Range(0.0, 0.9999),
    "batch_size": Range(1, 10**9, whole=True),
    "width": Range(1, 10**9, whole=True),
    "parametrization": _PARAMETRIZATION,
    "loss": _LOSS,
}
"""What each field of ``Budget`` takes."""


@dataclass(frozen=True)
class Budget:
    """One training run: how long, how fast, how wide.

    Learning rates are those of the *mean* over examples of the loss: half the squared error summed over the
    outputs (``"mse"``), or the softmax cross-entropy.

    Names may be spelt in any way (``"Adam"``, ``"SGD"``, ``"CrossEntropy"``). One that the theory does not know
    (``"RMSprop"``, ``"hinge"``) is allowed, and makes every verdict ``outside_theory``.

    Example:
        >>> import ntk_prior as ntp
        >>> budget = ntp.Budget(steps=3_000, learning_rate=0.1, momentum=0.9, batch_size=128, width=512)
        >>> budget.optimizer, budget.loss
        ('momentum', 'mse')

    Attributes:
        steps: Optimiser steps.
        learning_rate: The rate, or None for half the largest stable one.
        optimizer: ``"sgd"``, ``"momentum"`` (heavy ball, coefficient ``momentum``) or ``"adam"``. ``"sgd"`` with a
            ``momentum`` above 0 is ``"momentum"``.
        momentum: Heavy-ball coefficient, in [0, 1).
        batch_size: Examples per step, or None for the full batch.
        width: Units or channels per hidden layer, or None for infinitely many.
        parametrization: ``"ntk"``; ``"standard"`` (needs ``width`` wherever ``learning_rate`` is given);
            ``"mup"`` (outside the theory).
        loss: ``"mse"`` or ``"cross_entropy"``.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a field lies outside its range, or two fields contradict each other.
    """

    steps: int
    learning_rate: float | None = None
    optimizer: str = "sgd"
    momentum: float = 0.0
    batch_size: int | None = None
    width: int | None = None
    parametrization: str = "ntk"
    loss: str = "mse"

    def __post_init__(self) -> None:
        put_checked(self, BUDGET_CHECKS)
        if self.momentum and self.optimizer == "sgd":
            object.__setattr__(self, "optimizer", "momentum")
        if self.momentum and self.optimizer == "adam":
            raise ValueError(
                f"momentum: expected 0 for optimizer='adam', which has none, received {shown(self.momentum)}"
            )
        if self.parametrization == "standard" and self.learning_rate is not None and self.width is None:
            raise ValueError(
                "width: expected an integer, since parametrization='standard' converts learning_rate by it, "
                "received None"
            )

    @property
    def unknown(self) -> str | None:
        """Which of its names the theory does not know, and so is silent about it; None where it knows all."""
        return (
            _OPTIMIZER.unknown("optimizer", self.optimizer)
            or _PARAMETRIZATION.unknown("parametrization", self.parametrization)
            or _LOSS.unknown("loss", self.loss)
        )

    def with_own(self, own: Mapping[str, Any]) -> Budget:
        """This budget with what a configuration sets itself.

        Spaces draw a ``momentum`` for each of their optimizers: beside Adam it is ignored. A configuration that asks
        for ``"sgd"`` and says nothing of momentum gets none.

        Args:
            own: Field names to values that ``BUDGET_CHECKS`` has returned.

        Raises:
            ValueError: If fields contradict each other.
        """
        if not own:
            return self
        momentum = own.get("momentum", 0.0 if own.get("optimizer") == "sgd" else self.momentum)
        if own.get("optimizer", self.optimizer) == "adam":
            momentum = 0.0
        return replace(self, **{**own, "momentum": momentum})
