"""What figures say where there is nothing to show."""

from __future__ import annotations

import optuna

_logger = optuna.logging.get_logger("optuna.ntk_prior")

NO_RECORDS = "No trial of this study was judged by the prior: run it with NTKPriorSampler or prune_if_infeasible."
NO_SCORES = "No finished trial of this study has a score of the prior."
NO_AXES = "A map needs two numeric parameters, which this study does not have."


def warn(words: str) -> None:
    """Say it in the log too, as Optuna's own figures do."""
    _logger.warning(words)
