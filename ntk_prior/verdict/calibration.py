"""From the theory's estimates to probabilities that hold for real trainings.

Two models turn the theory's estimates of a configuration into the probability that it trains and, given that it does,
that it generalizes: gradient-boosted trees (scikit-learn's ``HistGradientBoostingClassifier``), constrained to be
monotone in every direction in which the theory is. The shipped ones were fitted to real trainings on CIFAR-10 by
``studies.calibration.fit``. Your own finished trials then shift and stretch their log-odds.

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
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_integer, require_real, shown
from ntk_prior.theory.spectrum import LARGEST
from ntk_prior.verdict.estimates import Estimates
from ntk_prior.verdict.outcomes import Outcome, Reliability, reliability, split
from ntk_prior.verdict.schedule import WIDTH_GAIN
from ntk_prior.verdict.trees import Trees, sums, trees_from_json, trees_to_json

PSEUDO_TRIALS = 30.0
"""So many finished trials of your own count as much as the shipped calibration."""

FORMAT = "ntk-prior calibration 2"

FORMER_FORMAT = "ntk-prior calibration 1"
"""Files of this format are still read: their features are the same ones under other names."""

FORMER_NAMES = {
    "calm": "rate_margin",
    "calm_in_windows": "rate_margin_per_window",
    "carried": "generalization_at_infinite_width",
    "carried_ranking": "ranking_at_infinite_width",
    "stout": "negative_aspect_ratio",
}
"""What features are called in the former format, to what they are called now."""

FEATURES = (
    "learnt",
    "ranked",
    "generalization_at_infinite_width",
    "ranking_at_infinite_width",
    "generalization",
    "rate_margin",
    "rate_margin_per_window",
    "negative_aspect_ratio",
)
"""What the models see of a configuration, see ``features``; the larger, the better."""

N = TypeVar("N", float, Array)

_OVERSHOOTS = math.log(4.0)
"""ln of how many times the largest rate at which networks train may be exceeded; beyond it every step overshoots."""

OUT_OF_REACH = 0.1
"""A network whose correlation of outputs and training labels is bounded by less than this learns nothing: its outputs
cannot move by more than a tenth of the labels' size."""

MAX_ASPECT_RATIO = 10.0
"""Larger ratios of depth to width count as this one."""


class CalibrationReport(NamedTuple):
    """How well the prior predicted finished trials, before it learnt from them.

    Attributes:
        trains: Of the probability that a network trains, behind ``untrainable`` and ``diverges``.
        generalizes: Of the probability that a network which trained generalizes, behind ``memorizes_only``.
        used: Trials that the prior learnt from.
        skipped: Trials that the prior was silent about, or whose outcome is not known.
        outweighs_in: How many more trials it takes until your own count for more than the shipped calibration.
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
        for name, found in (("trains", self.trains), ("generalizes", self.generalizes)):
            if found.n:
                lines.append(
                    f"{name}: {found.share:.0%} of {found.n} did, AUROC {found.auroc:.2f}, Brier {found.brier:.2f}"
                )
        return "\n".join(lines)


class NetworkSize(NamedTuple):
    """What the calibration needs to know of a network beside its estimates: numbers, or arrays of shape (n,).

    Attributes:
        depth: Hidden layers.
        width: Units or channels of a hidden layer; infinity, or NaN, for infinitely many.
        window: Pixels that a unit sees of the layer before; 1 for a fully connected network.
    """

    depth: ArrayLike
    width: ArrayLike
    window: ArrayLike = 1.0

    @classmethod
    def for_network(cls, architecture: Architecture | None, budget: Budget) -> NetworkSize:
        """The size of one network; None stands for the very network whose kernel was measured."""
        if architecture is None:
            return cls(0.0, math.inf)
        window = architecture.kernel_size**2 if architecture.kind == "cnn" else 1
        return cls(architecture.depth, math.inf if budget.width is None else budget.width, window)

    @classmethod
    def for_rows(cls, rows: NDArray[np.void]) -> NetworkSize:
        """The sizes of configurations made by ``layers.encode``."""
        return cls(rows["depth"], rows["width"], np.where(rows["cnn"] > 0, rows["kernel_size"] ** 2, 1.0))


class Probabilities(NamedTuple, Generic[N]):
    """What is expected of one configuration, or of n (arrays of shape (n,)), after calibration.

    Attributes:
        trainability: Probability that the network trains; NaN where it is not known. Under Adam, a bound on the
            correlation between outputs and training labels where that is below ``OUT_OF_REACH``.
        generalization: Probability that it generalizes if it trains; NaN where it is not known, as under Adam.
        learnt, stability: Of the ``Estimates`` behind them. They tell verdicts apart that refuse for different reasons.
    """

    trainability: N
    generalization: N
    learnt: N
    stability: N


def features(found: Estimates, size: NetworkSize) -> Array:
    """What the models see, shape (n, features), in the order of ``FEATURES``.

    Finite networks fluctuate: their largest eigenvalue is larger by about the standard deviation of the kernel's
    entries, which brings the largest stable learning rate down.

    Args:
        found: The theory's estimates of one configuration or of n.
        size: Of the same networks.
    """
    aspect_ratio = np.nan_to_num(np.divide(size.depth, size.width))

    def rate_margin(ratio: Any) -> Any:
        lift = np.log1p(np.sqrt(np.expm1(np.minimum(WIDTH_GAIN * ratio, 50.0))))
        return -(found.log_overshoot + lift)

    columns = {
        "learnt": found.learnt,
        "ranked": found.ranked,
        "generalization_at_infinite_width": found.generalization_at_infinite_width,
        "ranking_at_infinite_width": found.ranking_at_infinite_width,
        "generalization": found.generalization,
        "rate_margin": rate_margin(aspect_ratio),
        "rate_margin_per_window": rate_margin(aspect_ratio / size.window),
        "negative_aspect_ratio": -np.minimum(aspect_ratio / size.window, MAX_ASPECT_RATIO),
    }
    ordered = [columns[name] for name in FEATURES]
    return np.array(ordered, dtype=np.float64).reshape(len(FEATURES), -1).T.copy()


@dataclass(frozen=True, eq=False)
class Model:
    """A probability that never falls as a feature grows.

    Attributes:
        trees: Their sum and ``intercept`` are log-odds.
        intercept: See above.
        slope, shift: Your own trials turn these log-odds into ``slope`` times them plus ``shift``.
    """

    trees: Trees
    intercept: float
    slope: float = 1.0
    shift: float = 0.0

    def log_odds(self, rows: Array) -> Array:
        """Log-odds of rows of features, shape (n, features) to (n,)."""
        return self.slope * (self.intercept + sums(self.trees, rows)) + self.shift

    def adjust(self, rows: Array, outcomes: NDArray[np.bool_]) -> Model:
        """The model with its log-odds shifted and stretched to fit some outcomes.

        Its own predictions at the same rows count as ``PSEUDO_TRIALS`` more outcomes, so that a few trials shift it
        little, and outcomes of one kind alone do not carry it away.

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
    """Makes two probabilities of what the theory estimates of a configuration.

    Example:
        >>> import ntk_prior as ntp
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> config = {"weight_variance": 1.7, "bias_variance": 0.1, "depth": 3}
        >>> report = prior.fit([ntp.FinishedTrial(config, train_accuracy=0.9, test_accuracy=0.4)] * 5)
        >>> prior.calibration.trials
        5
        >>> again = ntp.Calibration.from_json(prior.calibration.to_json())
        >>> ntp.NTKPrior(prior.task, prior.budget, calibration=again)(config).score == prior(config).score
        True

    Attributes:
        trains: That a network trains.
        generalizes: That a network which trains generalizes.
        trials: Finished trials of one's own that have shifted the shipped calibration.
    """

    trains: Model
    generalizes: Model
    trials: int = 0

    def probabilities(
        self, found: Estimates, architecture: Architecture | None, budget: Budget
    ) -> Probabilities[float]:
        """Probabilities for one configuration.

        Args:
            found: The theory's estimates of it.
            architecture: The network; None for the very network whose kernel was measured.
            budget: The training.
        """
        if budget.optimizer == "adam":
            known = bound_under_adam(found)
        else:
            known = self._apply(found, NetworkSize.for_network(architecture, budget))
        return Probabilities(*(float(np.ravel(column)[0]) for column in known))

    def probabilities_of_rows(self, found: Estimates, rows: NDArray[np.void]) -> Probabilities[Array]:
        """Probabilities for n configurations made by ``layers.encode`` that share an optimiser."""
        return bound_under_adam(found) if rows["adam"][0] > 0 else self._apply(found, NetworkSize.for_rows(rows))

    def _apply(self, found: Estimates, size: NetworkSize) -> Probabilities[Array]:
        rows = features(found, size)
        trains, generalizes = (probability(model.log_odds(rows)) for model in (self.trains, self.generalizes))
        # The models have seen no rates far beyond, where nothing but overshooting is left, and no kernel that is not
        # finite.
        hopeless = (np.asarray(found.log_overshoot) > _OVERSHOOTS) | (np.asarray(found.log_kappa) >= LARGEST)
        trains = np.where(hopeless, 0.0, trains)
        return Probabilities(trains, generalizes, found.learnt, found.stability)

    def adjust(self, rows: Array, outcomes: Sequence[Outcome]) -> Calibration:
        """This calibration, shifted by finished trials; the more trials, the larger the shift.

        Args:
            rows: Their features, shape (n, features).
            outcomes: What became of them, n of them.
        """
        trained, known, good = split(outcomes)
        return Calibration(
            self.trains.adjust(rows, trained),
            self.generalizes.adjust(rows[known], good[known]),
            self.trials + len(outcomes),
        )

    def report(self, rows: Array, outcomes: Sequence[Outcome], skipped: int = 0) -> CalibrationReport:
        """How well this calibration predicts finished trials.

        Args:
            rows, outcomes: As for ``adjust``.
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
        names = tuple(values["features"])
        if values["format"] == FORMER_FORMAT:
            names = tuple(FORMER_NAMES.get(name, name) for name in names)
        if values["format"] not in (FORMAT, FORMER_FORMAT) or names != FEATURES:
            raise ValueError(f"format: expected {FORMAT!r} of {FEATURES}, received {shown(values['format'])}")
        return cls(
            _model_from_json("trains", values["trains"]),
            _model_from_json("generalizes", values["generalizes"]),
            require_integer("trials", values["trials"], 0, 10**9),
        )


def bound_under_adam(found: Estimates) -> Probabilities[Array]:
    """What is known under Adam: no probabilities, but the certainty that some networks cannot train.

    Args:
        found: The theory's estimates of one configuration or of n.

    Returns:
        For ``trainability`` the bound where it is below ``OUT_OF_REACH``, and NaN elsewhere; NaN for
        ``generalization``.
    """
    bound = np.asarray(found.trainability, dtype=np.float64)
    trainability = np.where(bound < OUT_OF_REACH, bound, np.nan)
    return Probabilities(trainability, np.full_like(bound, np.nan), found.learnt, found.stability)


@cache
def shipped_calibration() -> Calibration:
    """The calibration that comes with the package, fitted to trainings on CIFAR-10."""
    text = resources.files("ntk_prior.verdict").joinpath("calibration.json").read_text(encoding="utf-8")
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
