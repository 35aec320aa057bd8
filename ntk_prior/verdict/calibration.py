"""From the theory's estimates to probabilities that hold for real trainings.

Two models turn the theory's estimates of a configuration into the probability that it trains and, given that it does,
that it generalizes: gradient-boosted trees (scikit-learn's ``HistGradientBoostingClassifier``), constrained to be
monotone in every direction in which the theory is. The shipped ones were fitted to real trainings on CIFAR-10 by
``studies.calibration.fit``. Your own finished trials then shift and stretch their log-odds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_integer, shown
from ntk_prior.task.task import Task
from ntk_prior.theory.layers import encode_one
from ntk_prior.theory.spectrum import LARGEST
from ntk_prior.verdict.estimates import Estimates
from ntk_prior.verdict.laboratory import FEATURES, NetworkSize, features
from ntk_prior.verdict.model import PSEUDO_TRIALS, Model, model_from_json, model_to_json, probability
from ntk_prior.verdict.outcomes import Outcome, Reliability, reliability, split
from ntk_prior.verdict.practice import FIELDS_OF, MIN_SUPPORT, Practice, covered_rows, features_of_rows, is_covered

FORMAT = "ntk-prior calibration 3"

FORMER_FORMATS = ("ntk-prior calibration 1", "ntk-prior calibration 2")
"""Files of these formats are still read: features have other names in the first, and neither knows of practice."""

FORMER_NAMES = {
    "calm": "rate_margin",
    "calm_in_windows": "rate_margin_per_window",
    "carried": "generalization_at_infinite_width",
    "carried_ranking": "ranking_at_infinite_width",
    "stout": "negative_aspect_ratio",
}
"""What features are called in the first format, to what they are called now."""

N = TypeVar("N", float, Array)

_OVERSHOOTS = math.log(4.0)
"""ln of how many times the largest rate at which networks train may be exceeded; beyond it every step overshoots."""

OUT_OF_REACH = 0.1
"""A network whose correlation of outputs and training labels is bounded by less than this learns nothing: its outputs
cannot move by more than a tenth of the labels' size."""


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


class Lessons(NamedTuple):
    """Finished trials as models learn from them.

    Attributes:
        seen: Their features, shape (n, features).
        outcomes: What became of them, n of them.
    """

    seen: Array
    outcomes: Sequence[Outcome]


class Probabilities(NamedTuple, Generic[N]):
    """What is expected of one configuration, or of n (arrays of shape (n,)), after calibration.

    Attributes:
        trainability: Probability that the network trains; NaN where it is not known. Under Adam, a bound on the
            correlation between outputs and training labels where that is below ``OUT_OF_REACH``.
        generalization: Probability that it generalizes if it trains; NaN where it is not known, as under Adam.
        learnt, stability: Of the ``Estimates`` behind them. They tell verdicts apart that refuse for different reasons.
        expected_score: Test score that is expected, relative to the best known on the task; NaN where it is not known.
        score_error: Standard deviation of scores from that.
        support: How well the evidence covers it, in [0, 1]; NaN in the laboratory's regime, where theory speaks.
        fault: ``TOO_FAST_COLLAPSES`` or ``TOO_FAST_DIVERGES`` where a smaller rate would do better, else 0.
    """

    trainability: N
    generalization: N
    learnt: N
    stability: N
    expected_score: N
    score_error: N
    support: N
    fault: N


TOO_FAST_COLLAPSES, TOO_FAST_DIVERGES = 1.0, 2.0


def _of_theory(trainability: Array, generalization: Array, found: Estimates) -> Probabilities[Array]:
    """Probabilities where no trainings of practice have a say."""
    unknown = np.full_like(trainability, np.nan)
    return Probabilities(
        trainability,
        generalization,
        found.learnt,
        found.stability,
        unknown,
        unknown,
        unknown,
        np.zeros_like(trainability),
    )


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
        practice: The models of trainings as people run them.
        trials: Finished trials of one's own that have shifted the shipped calibration.
    """

    trains: Model
    generalizes: Model
    practice: Practice
    trials: int = 0

    def probabilities(
        self, found: Estimates, architecture: Architecture | None, budget: Budget, task: Task
    ) -> Probabilities[float]:
        """Probabilities for one configuration.

        Args:
            found: The theory's estimates of it.
            architecture: The network; None for the very network whose kernel was measured.
            budget: The training.
            task: What it is trained on.
        """
        if architecture is not None and is_covered(budget, task.n_train):
            known = self._in_practice(found, *encode_one(architecture, budget), task)
        elif budget.is_adaptive:
            known = bound_under_adam(found, architecture is not None and budget.parametrization == "standard")
        else:
            known = self._apply(found, NetworkSize.for_network(architecture, budget))
        return Probabilities(*(float(np.ravel(column)[0]) for column in known))

    def unlike(self, found: Estimates, architecture: Architecture, budget: Budget, task: Task) -> list[str]:
        """The fields by which a training lies beyond all recorded ones; arguments as for ``probabilities``."""
        seen = features_of_rows(found, *encode_one(architecture, budget), task)
        return [FIELDS_OF[name] for name in self.practice.support.beyond(seen) if name in FIELDS_OF]

    def probabilities_of_rows(
        self, found: Estimates, rows: NDArray[np.void], table: Array, task: Task
    ) -> Probabilities[Array]:
        """Probabilities for n configurations made by ``layers.encode`` that share an optimiser and an activation.

        Args:
            found: The theory's estimates of them.
            rows: The configurations.
            table: Of the activation's dual.
            task: What they are trained on.
        """
        covered = covered_rows(rows, task.n_train)
        if covered.all():
            return self._in_practice(found, rows, table, task)
        adaptive = rows["adaptive"][0] > 0
        known = (
            bound_under_adam(found, rows["standard"] > 0.0)
            if adaptive
            else self._apply(found, NetworkSize.for_rows(rows))
        )
        if not covered.any():
            return known
        columns = [np.array(np.broadcast_to(column, len(rows)), dtype=np.float64) for column in known]
        part = Estimates(*(np.asarray(column)[covered] for column in found))
        for column, values in zip(columns, self._in_practice(part, rows[covered], table, task), strict=True):
            column[covered] = values
        return Probabilities(*columns)

    def _in_practice(self, found: Estimates, rows: NDArray[np.void], table: Array, task: Task) -> Probabilities[Array]:
        """Probabilities where trainings of practice cover a configuration, and silence elsewhere."""
        known = self.practice.prospects(features_of_rows(found, rows, table, task))
        silent = known.support < MIN_SUPPORT
        gentle = (rows["adaptive"] > 0) | (rows["cross_entropy"] > 0)
        return Probabilities(
            np.where(silent, np.nan, known.trains),
            np.where(silent, np.nan, known.generalizes),
            np.broadcast_to(found.learnt, len(rows)),
            np.ones(len(rows)),
            np.where(silent, np.nan, known.expected_score),
            np.where(silent, np.nan, known.score_error),
            known.support,
            np.where(known.too_fast & ~silent, np.where(gentle, TOO_FAST_COLLAPSES, TOO_FAST_DIVERGES), 0.0),
        )

    def _apply(self, found: Estimates, size: NetworkSize) -> Probabilities[Array]:
        rows = features(found, size)
        trains, generalizes = (probability(model.log_odds(rows)) for model in (self.trains, self.generalizes))
        # The models have seen no rates far beyond, where nothing but overshooting is left, and no kernel that is not
        # finite.
        hopeless = (np.asarray(found.log_overshoot) > _OVERSHOOTS) | (np.asarray(found.log_kappa) >= LARGEST)
        trains = np.where(hopeless, 0.0, trains)
        return _of_theory(trains, generalizes, found)

    def adjust(self, theory: Lessons, practice: Lessons) -> Calibration:
        """This calibration, shifted by finished trials; the more trials, the larger the shift.

        Args:
            theory: Trials whose probabilities are those of the laboratory's models.
            practice: Trials whose probabilities are those of ``practice``.
        """
        trained, known, good = split(theory.outcomes)
        return Calibration(
            self.trains.adjust(theory.seen, trained),
            self.generalizes.adjust(theory.seen[known], good[known]),
            self.practice.adjust(practice.seen, practice.outcomes),
            self.trials + len(theory.outcomes) + len(practice.outcomes),
        )

    def report(self, theory: Lessons, practice: Lessons, skipped: int = 0) -> CalibrationReport:
        """How well this calibration predicts finished trials.

        Args:
            theory, practice: As for ``adjust``.
            skipped: Trials that are not among them.
        """
        expected: dict[str, list[Array]] = {"trains": [], "generalizes": []}
        became: dict[str, list[NDArray[np.bool_]]] = {"trains": [], "generalizes": []}
        for models, lessons in ((self, theory), (self.practice, practice)):
            trained, known, good = split(lessons.outcomes)
            expected["trains"].append(probability(models.trains.log_odds(lessons.seen)))
            expected["generalizes"].append(probability(models.generalizes.log_odds(lessons.seen[known])))
            became["trains"].append(trained)
            became["generalizes"].append(good[known])
        used = len(theory.outcomes) + len(practice.outcomes)
        found = {name: reliability(np.concatenate(expected[name]), np.concatenate(became[name])) for name in expected}
        return CalibrationReport(
            found["trains"],
            found["generalizes"],
            used,
            skipped,
            max(int(PSEUDO_TRIALS) - self.trials - used, 0),
        )

    def to_json(self) -> dict[str, Any]:
        """The calibration as JSON-serialisable values."""
        models = {name: model_to_json(getattr(self, name)) for name in ("trains", "generalizes")}
        practice = self.practice.to_json()
        return {"format": FORMAT, "features": list(FEATURES), **models, "practice": practice, "trials": self.trials}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: If the values are not those of a calibration.
        """
        names = tuple(values["features"])
        if values["format"] == FORMER_FORMATS[0]:
            names = tuple(FORMER_NAMES.get(name, name) for name in names)
        if values["format"] not in (FORMAT, *FORMER_FORMATS) or names != FEATURES:
            raise ValueError(f"format: expected {FORMAT!r} of {FEATURES}, received {shown(values['format'])}")
        return cls(
            model_from_json("trains", values["trains"], len(FEATURES)),
            model_from_json("generalizes", values["generalizes"], len(FEATURES)),
            Practice.from_json(values["practice"]) if values["format"] == FORMAT else shipped_calibration().practice,
            require_integer("trials", values["trials"], 0, 10**9),
        )


def bound_under_adam(found: Estimates, standard: Any) -> Probabilities[Array]:
    """What is known under Adam: no probabilities, but that some networks cannot train while the kernel is as it was.

    Args:
        found: The theory's estimates of one configuration or of n.
        standard: Whether it is in the standard parametrization, where small steps move narrow networks far from their
            initial kernel, which bounds nothing then.

    Returns:
        For ``trainability`` the bound where it is below ``OUT_OF_REACH``, and NaN elsewhere; NaN for
        ``generalization``.
    """
    bound = np.asarray(found.trainability, dtype=np.float64)
    trainability = np.where((bound < OUT_OF_REACH) & ~np.asarray(standard), bound, np.nan)
    return _of_theory(trainability, np.full_like(bound, np.nan), found)


@cache
def shipped_calibration() -> Calibration:
    """The calibration that comes with the package, fitted to trainings on CIFAR-10."""
    text = resources.files("ntk_prior.verdict").joinpath("calibration.json").read_text(encoding="utf-8")
    return Calibration.from_json(json.loads(text))
