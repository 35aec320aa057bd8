"""What is said in place of a figure, and in the log."""

from __future__ import annotations

import logging

from ntk_prior.runs import Run

NO_RECORDS = (
    "No trial of this experiment was judged by the prior: run it with NTKPriorSearch, and with NTKPriorCallback to "
    "keep what it says, or see ntk_prior_ray.review for what it would have said."
)
WITH_PRIOR = "Give the prior as well to see its map."
NO_SCORES = "No finished trial of this experiment has a score of the prior."
NO_AXES = "A map needs two numeric parameters with more than one value, which this experiment does not have."

_logger = logging.getLogger("ntk_prior_ray.visualization")


def no_scores(run: Run) -> str:
    """What is said where no finished trial has a score."""
    return NO_SCORES if run.was_judged else NO_RECORDS


def warn(words: str) -> str:
    """Say it in the log too; returns the words."""
    _logger.warning(words)
    return words
