"""What is said in place of a figure, and in the log, as Optuna's own figures do."""

from __future__ import annotations

import optuna

NO_RECORDS = "No trial of this study was judged by the prior: run it with NTKPriorSampler or prune_if_infeasible."
HINDSIGHT = "Give the prior as well to see what it says in hindsight."
NO_SCORES = "No finished trial of this study has a score of the prior."
NO_AXES = "A map needs two numeric parameters, which this study does not have."

_logger = optuna.logging.get_logger("optuna.ntk_prior")


def no_scores(prior: object) -> str:
    """What is said where no finished trial has a score: how to get some, where no prior was given."""
    return NO_SCORES if prior is not None else f"{NO_SCORES} {HINDSIGHT}"


def warn(words: str) -> str:
    """Say it in the log too; returns the words."""
    _logger.warning(words)
    return words
