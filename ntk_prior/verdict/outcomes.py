"""What became of trainings, and how well probabilities predicted it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.checks import require_flag, require_real, shown

TRAINED = 0.2
"""Share of the way from chance to perfect training accuracy at which a network counts as trained."""

GENERALIZES = 0.5
"""Share of the way from chance to the best known test accuracy at which a trained network counts as generalizing."""


USEFUL = 0.1
"""In practice a network has also learnt something if its test score is at this share of the way from chance to the best
known one; below it is hopeless."""


class Outcome(NamedTuple):
    """What became of a training.

    Attributes:
        trained: Whether it reached ``TRAINED``; a diverged one did not.
        generalizes: Whether it reached ``GENERALIZES``; None where it did not train, or nobody measured.
    """

    trained: bool
    generalizes: bool | None


def outcome(
    chance: float,
    train_accuracy: float | None,
    test_accuracy: float | None,
    best_test_accuracy: float | None,
    diverged: bool = False,
) -> Outcome | None:
    """What became of a training, from its accuracies.

    Args:
        chance: Accuracy of always answering the most frequent class, ``Task.chance``.
        train_accuracy, test_accuracy: Of the trained network; None or NaN if unknown.
        best_test_accuracy: The best one known for the task.
        diverged: Whether the loss diverged (exceeded the divergence limit or became non-finite).

    Returns:
        The outcome, or None where nothing can be said.
    """
    if diverged:
        return Outcome(False, None)
    train, test, best = (_gain(value, chance) for value in (train_accuracy, test_accuracy, best_test_accuracy))
    good = None if test is None or best is None or best <= 0.0 else bool(test >= GENERALIZES * best)
    if train is None:
        # What carries over to test inputs was learnt; the opposite does not follow.
        return Outcome(True, True) if good else None
    trained = bool(train >= TRAINED)
    return Outcome(trained, good if trained else None)


def outcome_in_practice(
    chance: float,
    train_score: float | None,
    test_score: float | None,
    best_test_score: float | None,
    diverged: bool = False,
) -> Outcome | None:
    """What became of a training as people run them, of which often the test score alone is known.

    What a network learns carries over if its test score is at half the share of the way to the best known one at which
    its training score is on the way to 1.

    Args:
        chance, diverged: As for ``outcome``.
        train_score, test_score: Accuracies, or shares of the variance (R^2).
        best_test_score: The best one known for the task.
    """
    if diverged:
        return Outcome(False, None)
    train, test, best = (_gain(value, chance) for value in (train_score, test_score, best_test_score))
    relative = None if test is None or best is None or best <= 0.0 else test / best
    if train is None and relative is None:
        return None
    trained = (relative is not None and relative >= USEFUL) or (train is not None and train >= TRAINED)
    if not trained or relative is None:
        return Outcome(bool(trained), None)
    return Outcome(True, bool(relative >= GENERALIZES * min(1.0 if train is None else max(train, 0.0), 1.0)))


def _gain(accuracy: float | None, chance: float) -> float | None:
    """Share of the way from chance to 1; None where it is not known, or there is no way to go."""
    if accuracy is None or not math.isfinite(accuracy) or chance >= 1.0:
        return None
    return (accuracy - chance) / (1.0 - chance)


class FinishedTrial(NamedTuple):
    """A training that has ended, as ``NTKPrior.fit`` takes it.

    Example:
        >>> import ntk_prior as ntp
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> config = {"weight_variance": 1.7, "bias_variance": 0.1, "depth": 3}
        >>> report = prior.fit([ntp.FinishedTrial(config, train_accuracy=0.9, test_accuracy=0.4)])
        >>> report.used, report.skipped
        (1, 0)

    Attributes:
        config: What was trained, as the prior is asked about it.
        train_accuracy, test_accuracy: Of the trained network, in [0, 1]; None if unknown. A good test accuracy alone
            still says that the network has trained.
        diverged: Whether the loss diverged (exceeded the divergence limit or became non-finite).
    """

    config: Mapping[str, Any]
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    diverged: bool = False


def require_finished(trials: Iterable[FinishedTrial]) -> list[FinishedTrial]:
    """Return finished trials as a list, or raise an error that names the first that is none.

    Raises:
        TypeError: If something is no ``FinishedTrial``, or a field has the wrong type.
        ValueError: If an accuracy is neither in [0, 1] nor NaN.
    """
    found = list(trials)
    for number, one in enumerate(found):
        if not isinstance(one, FinishedTrial) or not isinstance(one.config, Mapping):
            raise TypeError(f"trials: expected an ntk_prior.FinishedTrial with its config, received {shown(one)}")
        require_flag(f"trials[{number}].diverged", one.diverged)
        for name in ("train_accuracy", "test_accuracy"):
            value = getattr(one, name)
            if value is not None and not (isinstance(value, Real) and math.isnan(value)):
                require_real(f"trials[{number}].{name}", value, 0.0, 1.0)
    return found


class Reliability(NamedTuple):
    """How well one probability has predicted what happened.

    Attributes:
        n: Trials that say something about it.
        share: Of them, how many came out well; NaN for none, here and below.
        brier: Mean squared distance of probability and outcome; 0 is best.
        calibration_error: Mean distance of probability and frequency over ten equal bins, weighted by trials.
        auroc: Probability that a trial which came out well had the larger probability of two; NaN if all came out
            alike.
        curve: Mean probability, frequency and number of trials of each bin that is not empty, shape (bins, 3).
    """

    n: int
    share: float
    brier: float
    calibration_error: float
    auroc: float
    curve: Array


def reliability(probabilities: Array, outcomes: NDArray[np.bool_], bins: int = 10) -> Reliability:
    """How well probabilities have predicted outcomes.

    Args:
        probabilities, outcomes: Shape (n,).
        bins: Equal parts of [0, 1].
    """
    n = len(outcomes)
    if n == 0:
        nothing = math.nan
        return Reliability(0, nothing, nothing, nothing, nothing, np.empty((0, 3)))
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    full = count > 0
    mean, frequency = (
        np.bincount(bin_of, weights=values, minlength=bins)[full] / count[full]
        for values in (probabilities, outcomes.astype(float))
    )
    error = float(np.sum(count[full] * np.abs(mean - frequency)) / n)
    good, bad = probabilities[outcomes], probabilities[~outcomes]
    won = np.mean(np.sign(good[:, None] - bad) / 2 + 0.5) if len(good) and len(bad) else math.nan
    brier = float(np.mean((probabilities - outcomes) ** 2))
    curve = np.column_stack([mean, frequency, count[full]])
    return Reliability(n, float(np.mean(outcomes)), brier, error, float(won), curve)


def split(outcomes: Sequence[Outcome]) -> tuple[NDArray[np.bool_], ...]:
    """Which trainings trained, of which it is known whether they generalize, and which do; shape (n,) each."""
    answers = ([one.trained, one.generalizes is not None, one.generalizes is True] for one in outcomes)
    trained, known, good = np.array(list(answers), dtype=bool).reshape(-1, 3).T
    return trained, known, good
