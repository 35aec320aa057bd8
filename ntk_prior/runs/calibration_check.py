"""How well a prior's probabilities agree with what the trials of a run measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ntk_prior.checks import require_accuracy, shown
from ntk_prior.decision.judgement import ask
from ntk_prior.prior import NTKPrior
from ntk_prior.runs.run import Row
from ntk_prior.verdict.calibration import CalibrationReport
from ntk_prior.verdict.outcomes import FinishedTrial


class MetricNames(NamedTuple):
    """Where a trial keeps what was measured: names of user attributes or metrics, with slashes for nested ones.

    Attributes:
        test_accuracy, train_accuracy: Accuracies in [0, 1]; None if not measured.
        diverged: Whether the training diverged; None if nobody noted that.
    """

    test_accuracy: str | None = None
    train_accuracy: str | None = None
    diverged: str | None = None


def check_calibration(prior: NTKPrior, rows: Sequence[Row], names: MetricNames) -> CalibrationReport | None:
    """Compare the prior's probabilities with the trials of a run that have finished.

    Args:
        prior: The prior; stays as it is.
        rows: The run's rows.
        names: Where the trials keep what was measured.

    Returns:
        How well they agree; None where ``names`` is empty.

    Raises:
        ValueError: If an accuracy is not a number in [0, 1].
    """
    if names == MetricNames():
        return None
    # fit() changes the calibration of its prior.
    copy = NTKPrior(prior.task, prior.budget, prior.to_architecture, calibration=prior.calibration)
    finished = [_to_finished_trial(row, names) for row in rows if row.trial.launched and row.trial.outcome is not None]
    # The prior raises on misspelt names and on values that the theory refuses: such trials are left out.
    return copy.fit(one for one in finished if not getattr(ask(copy, one.config), "failed", False))


def _to_finished_trial(row: Row, names: MetricNames) -> FinishedTrial:
    return FinishedTrial(
        row.params,
        train_accuracy=_read_accuracy(row, "train_accuracy", names.train_accuracy),
        test_accuracy=_read_accuracy(row, "test_accuracy", names.test_accuracy),
        diverged=bool(names.diverged is not None and look_up(row.measured, names.diverged)),
    )


def _read_accuracy(row: Row, field: str, name: str | None) -> float | None:
    value = None if name is None else look_up(row.measured, name)
    try:
        return require_accuracy(row.trial.name, value)
    except ValueError as error:
        option = f"--{field.replace('_', '-')}"  # of the command, whose users give the names
        raise ValueError(
            f"{option}: expected the name of an accuracy in [0, 1], received {name!r}, which is {shown(value)} in "
            f"{row.trial.name}: name another one"
        ) from error


def look_up(measured: Mapping[str, Any], name: str) -> Any:
    """A value by its name, looked up along slashes where there is no such name; None for none."""
    if name in measured:
        return measured[name]
    first, _, rest = name.partition("/")
    inner = measured.get(first)
    return look_up(inner, rest) if rest and isinstance(inner, Mapping) else None
