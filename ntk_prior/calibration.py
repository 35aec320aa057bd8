"""From the theory's two sides to probabilities that hold for real trainings.

Two models turn what the theory says of a configuration into the probability that it trains and, given that it does,
that it generalizes: boosted trees that never fall as something grows that the theory calls good (scikit-learn's
``HistGradientBoostingClassifier`` with monotonic constraints). The shipped ones were fitted to real trainings on
CIFAR-10 by ``benchmarks/calibrate.py``. Finished trials of one's own then shift and stretch their log-odds.

References:
    Platt, "Probabilistic outputs for support vector machines", 1999 (shifting and stretching log-odds).
    Huang, Stein, Rubin and Kou, "Catalytic prior distributions", arXiv 2004.03106 (shrinkage by weighted predictions of
    a simpler model, here of the shipped one).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior.architecture import Architecture, require_integer, require_real, shown
from ntk_prior.budget import Budget
from ntk_prior.judge import WIDTH_GAIN, Sides
from ntk_prior.outcomes import Outcome, Reliability, reliability, split
from ntk_prior.spectrum import LARGEST
from ntk_prior.trees import Trees, sums, trees_from_json, trees_to_json

Array = NDArray[np.float64]

PSEUDO_TRIALS = 30.0
"""Weight of the shipped calibration, in trials, where trials of one's own are fitted."""

FORMAT = "ntk-prior calibration 1"

FEATURES = ("learnt", "ranked", "carried", "carried_ranking", "generalization", "calm", "calm_in_windows", "stout")
"""What the models see of a configuration, see ``features``; the larger, the better."""

_OVERSHOOTS = math.log(4.0)
"""Beyond this many times the largest rate at which networks train (its logarithm) nothing is left but overshooting."""

OUT_OF_REACH = 0.1
"""Where even a bound on the correlation of outputs and training labels is below this, nothing is learnt: the outputs
cannot move by more than a tenth of the labels' size."""

_SLENDEREST = 10.0
"""Depth / width counts up to this."""


class CalibrationReport(NamedTuple):
    """What finished trials say of the probabilities that the prior gave them before it learnt from them.

    Attributes:
        trains: Of the probability that a network trains, behind ``untrainable`` and ``diverges``.
        generalizes: Of the probability that a network which trained generalizes, behind ``memorizes_only``.
        used: Trials that said something.
        skipped: Trials that the prior was silent about, or whose outcome is not known.
        outweighs_in: Trials still to come until one's own count for more than the shipped calibration.
        reasons: Why trials were skipped, and how many for each reason; ``skipped`` is their sum.
    """

    trains: Reliability
    generalizes: Reliability
    used: int
    skipped: int
    outweighs_in: int
    reasons: Mapping[str, int] = MappingProxyType({})

    def __str__(self) -> str:
        lines = [f"{self.used} trials used, {self.skipped} skipped"]
        lines += [f"    {count} skipped: {reason}" for reason, count in self.reasons.items()]
        for name, side in (("trains", self.trains), ("generalizes", self.generalizes)):
            if side.n:
                lines.append(
                    f"{name}: {side.share:.0%} of {side.n} did, AUROC {side.auroc:.2f}, Brier {side.brier:.2f}"
                )
        return "\n".join(lines)


class Shape(NamedTuple):
    """What the calibration needs to know of a network beside its sides: numbers, or arrays of shape (n,).

    Attributes:
        depth: Hidden layers.
        width: Units or channels of a hidden layer; infinity, or NaN, for infinitely many.
        window: Pixels that a unit sees of the layer before; 1 for a fully connected network.
    """

    depth: ArrayLike
    width: ArrayLike
    window: ArrayLike = 1.0

    @classmethod
    def of(cls, architecture: Architecture | None, budget: Budget) -> Shape:
        """That of one network; None stands for the very network whose kernel was measured."""
        if architecture is None:
            return cls(0.0, math.inf)
        window = architecture.kernel_size**2 if architecture.kind == "cnn" else 1
        return cls(architecture.depth, math.inf if budget.width is None else budget.width, window)

    @classmethod
    def of_rows(cls, rows: NDArray[np.void]) -> Shape:
        """That of configurations made by ``judge.encode``."""
        return cls(rows["depth"], rows["width"], np.where(rows["cnn"] > 0, rows["kernel_size"] ** 2, 1.0))


def features(found: Sides, shape: Shape) -> Array:
    """What the models see, shape (n, features), in the order of ``FEATURES``.

    Finite networks fluctuate: their largest eigenvalue is larger by about the standard deviation of the kernel's
    entries, which brings the largest stable learning rate down.

    Args:
        found: Both sides by the theory, of one configuration or of n.
        shape: Of the same networks.
    """
    slender = np.nan_to_num(np.divide(shape.depth, shape.width))
    columns = [getattr(found, name) for name in FEATURES if name in Sides._fields]
    for ratio in (slender, slender / shape.window):
        lift = np.log1p(np.sqrt(np.expm1(np.minimum(WIDTH_GAIN * ratio, 50.0))))
        columns.append(-(found.log_overshoot + lift))
    columns.append(-np.minimum(slender / shape.window, _SLENDEREST))
    return np.array(columns, dtype=np.float64).reshape(len(FEATURES), -1).T.copy()


@dataclass(frozen=True, eq=False)
class Model:
    """A probability that never falls as a feature grows.

    Attributes:
        trees: Their sum and ``intercept`` are log-odds.
        intercept: See above.
        slope, shift: What trials of one's own make of these log-odds, ``slope`` times them plus ``shift``.
    """

    trees: Trees
    intercept: float
    slope: float = 1.0
    shift: float = 0.0

    def log_odds(self, rows: Array) -> Array:
        """Log-odds of rows of features, shape (n, features) to (n,)."""
        return self.slope * (self.intercept + sums(self.trees, rows)) + self.shift

    def moved(self, rows: Array, outcomes: NDArray[np.bool_]) -> Model:
        """The model shifted and stretched to fit some outcomes as well.

        Its own predictions at the same rows count as ``PSEUDO_TRIALS`` more outcomes, so that few trials move it little
        and outcomes of one kind alone do not carry it away.

        Args:
            rows: Features, shape (n, features).
            outcomes: Shape (n,).
        """
        from sklearn.linear_model import LogisticRegression  # takes a second to import, which scoring need not wait for

        n = len(outcomes)
        if n == 0:
            return self
        before = self.log_odds(rows)
        expected, weight = probability(before), np.full(n, PSEUDO_TRIALS / n)
        fit = LogisticRegression(C=1e3).fit(
            np.tile(before, 3)[:, None],
            np.concatenate([outcomes, np.ones(n, dtype=bool), np.zeros(n, dtype=bool)]),
            np.concatenate([np.ones(n), weight * expected, weight * (1.0 - expected)]),
        )
        # Outcomes against the model flatten it; they do not turn it round.
        slope = max(float(fit.coef_[0, 0]), 0.0)
        shift = float(fit.intercept_[0])
        if slope == 0.0:
            rate = (float(np.sum(outcomes)) + PSEUDO_TRIALS * float(np.mean(expected))) / (n + PSEUDO_TRIALS)
            shift = math.log(rate / (1.0 - rate))
        return replace(self, slope=slope * self.slope, shift=slope * self.shift + shift)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Two probabilities for each configuration.

    Attributes:
        trains: That a network trains.
        generalizes: That a network which trains generalizes.
        trials: Finished trials of one's own that have moved the shipped calibration.
    """

    trains: Model
    generalizes: Model
    trials: int = 0

    def __call__(self, found: Sides, shape: Shape) -> Sides:
        """Sides whose ``trainability`` and ``generalization`` are probabilities, arrays of shape (n,).

        Args:
            found: Both sides by the theory, of one configuration or of n.
            shape: Of the same networks.
        """
        rows = features(found, shape)
        trains, generalizes = (probability(model.log_odds(rows)) for model in (self.trains, self.generalizes))
        # The models have seen no rates far beyond, where nothing but overshooting is left, and no kernel that is not
        # finite.
        hopeless = (np.asarray(found.log_overshoot) > _OVERSHOOTS) | (np.asarray(found.log_kappa) >= LARGEST)
        trains = np.where(hopeless, 0.0, trains)
        return found._replace(trainability=trains, generalization=generalizes)

    def of(self, found: Sides, architecture: Architecture | None, budget: Budget) -> Sides:
        """The same for one configuration, as numbers; NaN where nothing is known, see ``bounded``."""
        judged = bounded(found) if budget.optimizer == "adam" else self(found, Shape.of(architecture, budget))
        trainability, generalization = (np.ravel(side)[0] for side in judged[:2])
        return judged._replace(trainability=float(trainability), generalization=float(generalization))

    def of_rows(self, found: Sides, rows: NDArray[np.void]) -> Sides:
        """The same for configurations made by ``judge.encode`` that share an optimiser."""
        return bounded(found) if rows["adam"][0] > 0 else self(found, Shape.of_rows(rows))

    def moved(self, rows: Array, outcomes: Sequence[Outcome]) -> Calibration:
        """This calibration moved by finished trials, as far as their number allows.

        Args:
            rows: Their features, shape (n, features).
            outcomes: What became of them, n of them.
        """
        trained, known, good = split(outcomes)
        return Calibration(
            self.trains.moved(rows, trained),
            self.generalizes.moved(rows[known], good[known]),
            self.trials + len(outcomes),
        )

    def report(self, rows: Array, outcomes: Sequence[Outcome], skipped: int = 0) -> CalibrationReport:
        """How well this calibration foretells finished trials.

        Args:
            rows, outcomes: As for ``moved``.
            skipped: Trials that are not among them.
        """
        trained, known, good = split(outcomes)
        used = len(outcomes)
        return CalibrationReport(
            reliability(probability(self.trains.log_odds(rows)), trained),
            reliability(probability(self.generalizes.log_odds(rows[known])), good[known]),
            used,
            skipped,
            max(int(PSEUDO_TRIALS) - self.trials - used, 0),
        )

    def to_json(self) -> dict[str, Any]:
        """The calibration as JSON-serialisable values."""
        models = {name: _model_to_json(getattr(self, name)) for name in ("trains", "generalizes")}
        return {"format": FORMAT, "features": list(FEATURES), **models, "trials": self.trials}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: If the values are not those of a calibration.
        """
        if values["format"] != FORMAT or tuple(values["features"]) != FEATURES:
            raise ValueError(f"format: expected {FORMAT!r} of {FEATURES}, received {shown(values['format'])}")
        return cls(
            _model_from_json("trains", values["trains"]),
            _model_from_json("generalizes", values["generalizes"]),
            require_integer("trials", values["trials"], 0, 10**9),
        )


def bounded(found: Sides) -> Sides:
    """Sides that are bounds, as under Adam: no probabilities, but for the certainty that a network cannot train.

    Args:
        found: Both sides by the theory, of one configuration or of n.

    Returns:
        The same with the bound for ``trainability`` where it is below ``OUT_OF_REACH``; NaN elsewhere, and NaN for
        ``generalization``.
    """
    bound = np.asarray(found.trainability, dtype=np.float64)
    return found._replace(
        trainability=np.where(bound < OUT_OF_REACH, bound, np.nan), generalization=np.full_like(bound, np.nan)
    )


@cache
def shipped_calibration() -> Calibration:
    """The calibration that comes with the package, fitted to trainings on CIFAR-10."""
    text = resources.files("ntk_prior").joinpath("calibration.json").read_text(encoding="utf-8")
    return Calibration.from_json(json.loads(text))


def probability(log_odds: Array) -> Array:
    """The logistic function (SciPy's takes longer to import than a verdict)."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))


def _model_to_json(model: Model) -> dict[str, Any]:
    numbers = {"intercept": model.intercept, "slope": model.slope, "shift": model.shift}
    return {**numbers, "trees": trees_to_json(model.trees)}


def _model_from_json(name: str, values: Mapping[str, Any]) -> Model:
    trees = trees_from_json(values["trees"], len(FEATURES))
    slope = require_real(f"{name}: slope", values["slope"], 0.0, 1e6)
    intercept, shift = (require_real(f"{name}: {key}", values[key], -1e6, 1e6) for key in ("intercept", "shift"))
    return Model(trees, intercept, slope, shift)
