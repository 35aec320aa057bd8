"""Warnings, once in a study: of a prior that has nothing (more) to say, and of parameters that it does not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study, logging

from ntk_prior.decision.judgement import Judgement, Prior, score_of
from ntk_prior.decision.notices import unread_notice
from ntk_prior.decision.records import Record
from ntk_prior_optuna.history import ATTRIBUTE, History

PATIENCE = 5
"""Trials of all of which the prior must be silent before that is worth a warning."""

FALLEN_SILENT = 20
"""Trials in a row of which a prior that has spoken must be silent before that is worth a warning."""

TOLD = "ntk_prior:told"
"""Name of the study's system attribute with the kinds of warnings that some process has given."""

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


def warn_if_fallen_silent(study: Study, history: History, judgement: Judgement) -> None:
    """Warn once in a study where screening has stopped: the prior spoke, and then it was silent of many trials.

    Args:
        study: The study.
        history: Of its trials before this one.
        judgement: What the prior says of this one.
    """
    if score_of(judgement) is None and history.silent >= FALLEN_SILENT - 1:
        _warn_once(
            study,
            history.told,
            "fallen silent",
            f"The prior had nothing to say about the latest {FALLEN_SILENT} trials, though it did about earlier ones, "
            f"so it refuses nothing of the kind: {judgement.reason}",
        )


def warn_of_unread(study: Study, told: set[str], prior: Prior, config: Mapping[str, Any], score: float | None) -> None:
    """Warn once in a study of parameters that the prior does not look at.

    Args:
        study: The study.
        told: Kinds of warnings that this process has given.
        prior: Says by ``unread`` what it does not look at; one without is taken to look at everything.
        config: The parameters of a trial.
        score: The prior's score of it. Of a silent prior ``warn_if_silent`` tells more.
    """
    unread = getattr(prior, "unread", None)
    if unread is None or "unread" in told or score is None:
        return
    ignored = unread(config)
    if ignored:
        read = [name for name in config if name not in ignored]
        _warn_once(
            study,
            told,
            "unread",
            f"The prior {unread_notice(read, ignored)}",
        )


def _warn_once(study: Study, told: set[str], kind: str, message: str) -> None:
    """Warn unless this process, or by the storage another one, has warned of it."""
    if kind in told:
        return
    told.add(kind)
    elsewhere = study._storage.get_study_system_attrs(study._study_id).get(TOLD, [])
    if kind not in elsewhere:
        study._storage.set_study_system_attr(study._study_id, TOLD, [*elsewhere, kind])
        _logger.warning(message)
