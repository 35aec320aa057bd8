"""What trials have measured, by the names that users give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ntk_prior import CalibrationReport, FinishedTrial, NTKPrior
from ntk_prior.screening import judge
from ntk_prior_cli.json_lines import is_number
from ntk_prior_report import Row


class Measures(NamedTuple):
    """Names of user attributes or metrics; those of nested ones have slashes, as in Ray Tune.

    Attributes:
        test_accuracy, train_accuracy: Accuracies in [0, 1]; None if not measured.
        diverged: Whether the training diverged; None if nobody noted that.
    """

    test_accuracy: str | None = None
    train_accuracy: str | None = None
    diverged: str | None = None


def foretold(prior: NTKPrior, rows: Sequence[Row], names: Measures) -> CalibrationReport | None:
    """How well the prior's probabilities have foretold finished trials; None where nothing was measured.

    Raises:
        ValueError: If an accuracy is none.
    """
    if names == Measures():
        return None
    # The prior that draws the map is not moved.
    asked = NTKPrior(prior.task, prior.budget, prior.to_architecture, calibration=prior.calibration)
    finished = [_finished(row, names) for row in rows if row.trial.launched and row.trial.outcome is not None]
    # A study may have names that are almost the theory's, or values that are none of its: the prior is silent of these.
    return asked.fit(one for one in finished if not getattr(judge(asked, one.config), "failed", False))


def _finished(row: Row, names: Measures) -> FinishedTrial:
    return FinishedTrial(
        row.params,
        train_accuracy=_accuracy(row, "--train-accuracy", names.train_accuracy),
        test_accuracy=_accuracy(row, "--test-accuracy", names.test_accuracy),
        diverged=bool(names.diverged is not None and entry(row.measured, names.diverged)),
    )


def _accuracy(row: Row, option: str, name: str | None) -> float | None:
    value = None if name is None else entry(row.measured, name)
    if value is None:
        return None
    if not is_number(value) or not 0.0 <= value <= 1.0:
        raise ValueError(
            f"{option}: expected the name of an accuracy in [0, 1], received {name!r}, which is {value!r} in "
            f"{row.trial.name}: name another one"
        )
    return float(value)


def entry(measured: Mapping[str, Any], name: str) -> Any:
    """A value by its name, looked up along slashes where there is no such name; None for none."""
    if name in measured:
        return measured[name]
    first, _, rest = name.partition("/")
    inner = measured.get(first)
    return entry(inner, rest) if rest and isinstance(inner, Mapping) else None
