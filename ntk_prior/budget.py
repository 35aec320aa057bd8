"""What a training run may spend, and with which optimiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ntk_prior.checks import Check, Named, Range, put_checked, require_real, shown

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "rmsprop")
ADAPTIVE = ("adam", "adamw", "rmsprop")
"""Optimizers whose steps do not grow with the gradient."""

USUAL_BETAS = (0.9, 0.999)
SCHEDULES = ("constant", "cosine", "linear")
PARAMETRIZATIONS = ("ntk", "standard", "mup")
LOSSES = ("mse", "cross_entropy")

_OPTIMIZER = Named(OPTIMIZERS)
_PARAMETRIZATION = Named(PARAMETRIZATIONS, {"\N{GREEK SMALL LETTER MU}p": "mup"})
_SCHEDULE = Named(SCHEDULES)
_LOSS = Named(LOSSES, {"meansquarederror": "mse", "crossentropyloss": "cross_entropy"})


def _require_betas(name: str, value: Any) -> tuple[float, float]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise TypeError(f"{name}: expected two numbers in [0, 1), received {shown(value)}")
    first, second = (require_real(f"{name}[{k}]", number, 0.0, 1.0 - 1e-9) for k, number in enumerate(value))
    return first, second


BUDGET_CHECKS: Mapping[str, Check] = {
    "steps": Range(1, 10**12, whole=True),
    "learning_rate": Range(0.0, 1e300, open_low=True),
    "optimizer": _OPTIMIZER,
    "momentum": Range(0.0, 0.9999),
    "batch_size": Range(1, 10**9, whole=True),
    "width": Range(1, 10**9, whole=True),
    "parametrization": _PARAMETRIZATION,
    "loss": _LOSS,
    "weight_decay": Range(0.0, 1e6),
    "schedule": _SCHEDULE,
    "warmup_steps": Range(0, 10**12, whole=True),
    "betas": _require_betas,
    "epochs": Range(1, 10**9, whole=True),
}
"""What each field of ``Budget`` takes."""


@dataclass(frozen=True)
class Budget:
    """One training run: how long, how fast, how wide.

    Learning rates are those of the *mean* over examples of the loss: half the squared error summed over the
    outputs (``"mse"``), or the softmax cross-entropy.

    Names may be spelt in any way (``"Adam"``, ``"SGD"``, ``"CrossEntropy"``). One that the theory does not know
    (``"Lion"``, ``"hinge"``) is allowed, and makes every verdict ``outside_theory``.

    Example:
        >>> import ntk_prior as ntp
        >>> budget = ntp.Budget(steps=3_000, learning_rate=0.1, momentum=0.9, batch_size=128, width=512)
        >>> budget.optimizer, budget.loss
        ('momentum', 'mse')

    Attributes:
        steps: Optimiser steps; None where ``epochs`` are given.
        learning_rate: The rate, or None for half the largest stable one.
        optimizer: ``"sgd"``, ``"momentum"`` (heavy ball, coefficient ``momentum``), ``"adam"``, ``"adamw"`` or
            ``"rmsprop"``. ``"sgd"`` with a ``momentum`` above 0 is ``"momentum"``.
        momentum: Heavy-ball coefficient, in [0, 1).
        batch_size: Examples per step, or None for the full batch.
        width: Units or channels per hidden layer, or None for infinitely many.
        parametrization: ``"ntk"``; ``"standard"`` (needs ``width`` wherever ``learning_rate`` is given);
            ``"mup"`` (outside the theory).
        loss: ``"mse"`` or ``"cross_entropy"``.
        weight_decay: Added to the gradient, times the weights (L2); ``"adamw"`` decays weights beside it, by this times
            the learning rate a step.
        schedule: What becomes of the learning rate behind the warm-up: ``"constant"``, or falling to 0 as a
            ``"cosine"`` or a ``"linear"`` function of the step.
        warmup_steps: Steps in which the learning rate grows to its value.
        betas: Decay rates of Adam's and AdamW's averages of gradients and of their squares.
        epochs: Passes over the training set, in place of ``steps``.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a field lies outside its range, or two fields contradict each other.
    """

    steps: int | None = None
    learning_rate: float | None = None
    optimizer: str = "sgd"
    momentum: float = 0.0
    batch_size: int | None = None
    width: int | None = None
    parametrization: str = "ntk"
    loss: str = "mse"
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_steps: int = 0
    betas: tuple[float, float] = USUAL_BETAS
    epochs: int | None = None

    def __post_init__(self) -> None:
        put_checked(self, BUDGET_CHECKS)
        if (self.steps is None) == (self.epochs is None):
            received = "neither" if self.steps is None else f"{shown(self.steps)} and {shown(self.epochs)}"
            raise ValueError(f"steps, epochs: expected one of them, received {received}")
        if self.momentum and self.optimizer == "sgd":
            object.__setattr__(self, "optimizer", "momentum")
        if self.momentum and self.is_adaptive:
            raise ValueError(
                f"momentum: expected 0 for optimizer={self.optimizer!r}, which has none, received "
                f"{shown(self.momentum)}"
            )
        if self.parametrization == "standard" and self.learning_rate is not None and self.width is None:
            raise ValueError(
                "width: expected an integer, since parametrization='standard' converts learning_rate by it, "
                "received None"
            )

    @property
    def has_usual_betas(self) -> bool:
        """Whether its averages decay as usual, or it has no ``betas``: SGD, momentum and RMSprop."""
        return self.betas == USUAL_BETAS or self.optimizer not in ("adam", "adamw")

    @property
    def unknown(self) -> str | None:
        """Which of its names the theory does not know, and so is silent about it; None where it knows all."""
        return (
            _OPTIMIZER.unknown("optimizer", self.optimizer)
            or _PARAMETRIZATION.unknown("parametrization", self.parametrization)
            or _LOSS.unknown("loss", self.loss)
            or _SCHEDULE.unknown("schedule", self.schedule)
        )

    @property
    def is_adaptive(self) -> bool:
        """Whether steps do not grow with the gradient, as those of Adam."""
        return self.optimizer in ADAPTIVE

    @property
    def n_steps(self) -> int:
        """``steps`` of a budget that counts in them, as ``in_steps`` makes one."""
        assert self.steps is not None, "a budget of epochs is counted in steps before it is used"
        return self.steps

    def in_steps(self, n_train: int) -> Budget:
        """This budget with its epochs counted in steps.

        Args:
            n_train: Training samples.
        """
        if self.epochs is None:
            return self
        return replace(self, steps=self.epochs * steps_per_epoch(n_train, self.batch_size), epochs=None)

    def with_own(self, own: Mapping[str, Any]) -> Budget:
        """This budget with what a configuration sets itself.

        Spaces draw a ``momentum`` for each of their optimizers: beside Adam and its like it is ignored. A configuration
        that asks for ``"sgd"`` and says nothing of momentum gets none. Its own ``epochs`` take the place of ``steps``.

        Args:
            own: Field names to values that ``BUDGET_CHECKS`` has returned.

        Raises:
            ValueError: If fields contradict each other.
        """
        if not own:
            return self
        momentum = own.get("momentum", 0.0 if own.get("optimizer") == "sgd" else self.momentum)
        if own.get("optimizer", self.optimizer) in ADAPTIVE:
            momentum = 0.0
        lengths = {"steps": None, "epochs": None} if "steps" in own or "epochs" in own else {}
        return replace(self, **{**lengths, **own, "momentum": momentum})


def steps_per_epoch(n_train: int, batch_size: int | None) -> int:
    """Steps of one pass over the training set; the last batch may be smaller."""
    return 1 if batch_size is None else -(-n_train // batch_size)
