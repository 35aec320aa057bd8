"""A warning for a study whose prior has had nothing to say from the start: most likely, names do not match."""

from __future__ import annotations

from optuna import Study, logging

from ntk_prior.screening import Judgement, Record, score_of
from ntk_prior_optuna.history import ATTRIBUTE

PATIENCE = 5
"""Trials of all of which the prior must be silent before that is worth a warning."""

_logger = logging.get_logger("optuna.ntk_prior")


def warn_if_silent(study: Study, number: int, judgement: Judgement) -> None:
    """Warn once in a study, at trial ``PATIENCE - 1``, where the prior has been silent of all trials so far.

    Args:
        study: The study. What the prior said of its trials is read from the storage, so that workers warn only once.
        number: Of the trial that is judged now.
        judgement: What the prior says of it.
    """
    if number != PATIENCE - 1 or score_of(judgement) is not None:
        return
    notes = (Record.from_json(trial.user_attrs.get(ATTRIBUTE)) for trial in study.get_trials(deepcopy=False))
    if all(note is None or note.score is None for note in notes):
        _logger.warning(
            f"The prior had nothing to say about any of the first {PATIENCE} trials, so it refuses nothing: "
            f"{judgement.reason}"
        )
