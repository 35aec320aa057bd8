"""The training that verdicts assume, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ntk_prior.budget import ADAPTIVE, Budget
from ntk_prior.checks import is_number
from ntk_prior.configuration import BUDGET_FIELDS

OPTIMIZERS: Mapping[str, str] = {
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
}
"""Each optimiser in words."""


WHOLE = ("steps", "batch_size", "width")


def training_in_words(budget: Budget, config: Mapping[str, Any] | None = None, varying: Collection[str] = ()) -> str:
    """How many steps of what, at which rate, of how wide a network.

    Args:
        budget: The training run.
        config: Fields that override it.
        varying: Fields that have many values, of which nothing is said.
    """
    own = {name: value for name, value in (config or {}).items() if name in BUDGET_FIELDS and value is not None}
    values = {**vars(budget), **own}

    def number(name: str, words: str, unknown: str = "") -> str:
        if name in varying:
            return ""
        value = values[name]
        if not is_number(value):
            return unknown
        return words.format(int(value) if name in WHOLE else value)

    optimizer = OPTIMIZERS.get(str(values["optimizer"]), str(values["optimizer"]))
    moved = number("momentum", " {:.3g}") if values["optimizer"] == "momentum" else ""
    loss = {"mse": "", "cross_entropy": "cross-entropy"}.get(str(values["loss"]), str(values["loss"]))
    adaptive = values["optimizer"] in ADAPTIVE
    parts = (
        f"{number('steps', '{:,} steps of ') or number('epochs', '{:,} epochs of ')}{optimizer}{moved}",
        number("learning_rate", "learning rate {:.3g}", "" if adaptive else "half the largest stable learning rate"),
        number("batch_size", "batches of {:,}", "full batch"),
        number("width", "width {:,}", "infinite width"),
        f"{values['parametrization']} parametrization",
        loss,
    )
    return ", ".join(part for part in parts if part)
