"""What a training run may spend, and with which optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ntk_prior.architecture import require_choice, require_integer, require_real

Optimizer = Literal["sgd", "momentum", "adam"]
Parametrization = Literal["ntk", "standard", "mup"]
Loss = Literal["mse", "cross_entropy"]


@dataclass(frozen=True)
class Budget:
    """One training run: how long, how fast, how wide.

    Learning rates are those of the *mean* over examples of the loss: half the squared error summed over the
    outputs (``"mse"``), or the softmax cross-entropy.

    Attributes:
        steps: Optimiser steps.
        learning_rate: The rate, or None for the largest stable one.
        optimizer: ``"sgd"``, ``"momentum"`` (heavy ball, coefficient ``momentum``) or ``"adam"``.
        momentum: Heavy-ball coefficient, in [0, 1); used by ``"momentum"`` only.
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
    optimizer: Optimizer = "sgd"
    momentum: float = 0.0
    batch_size: int | None = None
    width: int | None = None
    parametrization: Parametrization = "ntk"
    loss: Loss = "mse"

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("steps", require_integer("steps", self.steps, 1, 10**12))
        if self.learning_rate is not None:
            put("learning_rate", require_real("learning_rate", self.learning_rate, 0.0, 1e300, open_low=True))
        require_choice("optimizer", self.optimizer, get_args(Optimizer))
        put("momentum", require_real("momentum", self.momentum, 0.0, 0.9999))
        if self.momentum and self.optimizer != "momentum":
            raise ValueError(
                f"momentum: expected 0 for optimizer={self.optimizer!r} (use optimizer='momentum'), "
                f"received {self.momentum!r}"
            )
        for name in ("batch_size", "width"):
            if getattr(self, name) is not None:
                put(name, require_integer(name, getattr(self, name), 1, 10**9))
        require_choice("parametrization", self.parametrization, get_args(Parametrization))
        require_choice("loss", self.loss, get_args(Loss))
        if self.parametrization == "standard" and self.learning_rate is not None and self.width is None:
            raise ValueError(
                "width: expected an integer, since parametrization='standard' converts learning_rate by it, "
                "received None"
            )
