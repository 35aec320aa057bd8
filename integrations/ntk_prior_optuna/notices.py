"""What Optuna's log says once: that the prior fails, is or falls silent, ignores parameters, or was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study, logging

from ntk_prior.decision import Judgement, Prior, Silence, score_of, unread_notice, withdrawal_notices
from ntk_prior_optuna._optuna import set_study_system_attribute, study_system_attribute
from ntk_prior_optuna.history import History, record_of

SILENT_TRIALS_BEFORE_WARNING = 5
"""Trials of all of which the prior must be silent before that is worth a warning."""

SILENT_TRIALS_AFTER_SPEAKING = 20
"""Trials in a row of which a prior that has spoken must be silent before that is worth a warning."""

TOLD = "ntk_prior:told"
"""Name of the study's system attribute with the kinds of warnings that some process has given."""

_logger = logging.get_logger("optuna.ntk_prior")


def warn_if_failed(judgement: Judgement, number: int, told: set[str]) -> None:
    """Warn, as Optuna does of a failed trial, that the prior raised an error for the parameters of a trial.

    Texts differ from trial to trial where they hold values, so each kind of error is told of once.

    Args:
        judgement: What the prior said.
        number: Of the trial.
        told: Kinds of warnings that this process has given, to which this one is added.
    """
    if not isinstance(judgement, Silence) or not judgement.failed or judgement.kind in told:
        return
    told.add(judgement.kind)
    _logger.warning(
        f"Trial {number} was not judged: {judgement.reason} (the log does not repeat this for other trials)"
    )


def warn_if_withdrawn(history: History, threshold: float) -> None:
    """Warn of verdicts that finished trials contradict, and of those that they contradict no more.

    Args:
        history: Of the study's trials.
        threshold: The sampler's.
    """
    withdrawn = history.withdrawn(threshold)
    for notice in withdrawal_notices(history.told_withdrawn, withdrawn):
        _logger.warning(notice)
    history.told_withdrawn = frozenset(withdrawn)


def warn_if_silent(study: Study, number: int, judgement: Judgement) -> None:
    """Warn once in a study, after ``SILENT_TRIALS_BEFORE_WARNING`` trials, if the prior was silent about all of them.

    Args:
        study: The study. What the prior said of its trials is read from the storage, so that workers warn only once.
        number: Of the trial that is judged now.
        judgement: What the prior says of it.
    """
    if number != SILENT_TRIALS_BEFORE_WARNING - 1 or score_of(judgement) is not None:
        return
    notes = (record_of(trial) for trial in study.get_trials(deepcopy=False))
    if all(note is None or note.score is None for note in notes):
        _logger.warning(
            f"The prior had nothing to say about any of the first {SILENT_TRIALS_BEFORE_WARNING} trials, so it refuses "
            f"nothing: {judgement.reason}"
        )


def warn_if_fallen_silent(study: Study, history: History, judgement: Judgement) -> None:
    """Warn once in a study where screening has stopped: the prior spoke, and then it was silent of many trials.

    Args:
        study: The study.
        history: Of its trials before this one.
        judgement: What the prior says of this one.
    """
    if score_of(judgement) is None and history.silent >= SILENT_TRIALS_AFTER_SPEAKING - 1:
        _warn_once(
            study,
            history.told,
            "fallen silent",
            f"The prior had nothing to say about the latest {SILENT_TRIALS_AFTER_SPEAKING} trials, though it did about "
            f"earlier ones, so it refuses nothing of the kind: {judgement.reason}",
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
    elsewhere = study_system_attribute(study, TOLD) or []
    if kind not in elsewhere:
        set_study_system_attribute(study, TOLD, [*elsewhere, kind])
        _logger.warning(message)
