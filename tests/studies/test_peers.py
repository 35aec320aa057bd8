"""What the prior is compared with on recorded trainings; and the recipes of textbooks."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from ntk_prior.verdict.calibration import shipped_calibration
from studies.calibration.figures import refused_of
from studies.calibration.peers import rankings
from studies.calibration.rows import Known, practice, recipes
from studies.trainings.practice.recipes import TABLE as RECIPES
from studies.trainings.practice.recipes import TWELVE
from studies.trainings.practice.table import load

IMAGES = ("cifar10_8", "cifar10_16") if "NTK_PRIOR_DATA" in os.environ else ()
HERE = ("digits", "diabetes", "friedman", *IMAGES)
"""Data sets that need no further package."""


@cache
def known(*names: str) -> Known:
    table = load()
    return practice(table[table["dataset"].isin(names)].reset_index(drop=True), None, along_the_way=False)


def test_the_prior_is_ahead_of_all_that_costs_less_than_training() -> None:
    digits = known("digits")
    held_out = digits.where(digits.frame["split"] == "held_out")
    fit = digits.frame[digits.frame["split"] == "fit"]
    found = list(rankings(fit, held_out, shipped_calibration().practice))
    useful = ~held_out.frame["hopeless"].to_numpy(dtype=bool)
    reached = {one.name: float(roc_auc_score(useful, one.goodness)) for one in found}
    assert all(np.isfinite(one.goodness).all() and one.seconds >= 0.0 for one in found)
    steps = {name for name in reached if name.startswith("ten real steps")}
    assert len(steps) == 2
    assert max(reached, key=lambda name: 0.0 if name in steps else reached[name]) == "the prior"


def test_no_recipe_of_a_textbook_that_trains_is_refused() -> None:
    table = pd.read_csv(RECIPES)
    here = table[table["dataset"].isin(HERE)].reset_index(drop=True)
    assert len(here) >= 15
    found = recipes(here, load(), None)
    refused = refused_of(shipped_calibration().practice.prospects(found.seen))
    textbook = ~found.frame["source"].isin([one.source for one in TWELVE]).to_numpy()
    useful = ~found.frame["hopeless"].to_numpy(dtype=bool)
    assert useful[textbook].all()
    assert not refused[useful].any()
