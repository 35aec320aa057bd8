"""The storage that a command's ``--storage`` names, and the studies in it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import JournalStorage, RDBStorage, fail_stale_trials
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ntk_prior_cli.owners import ATTRIBUTE, has_ended, this_process
from ntk_prior_optuna._optuna import CachedStorage

HEARTBEAT, GRACE = 60, 600
"""Seconds between two signs of life of a trial in a database, and without one until it counts as failed everywhere."""

NOTES = "ntk_prior_tune"
"""User attribute of a study with what is worth knowing of the run, such as its seed."""

_SQLITE = b"SQLite format 3\x00"


@contextmanager
def explain_storage_errors(storage: str) -> Iterator[str]:
    """Explain what goes wrong with a storage inside; gives its URL as it may be shown.

    Raises:
        ValueError: If the storage cannot be read or written.
    """
    shown = hide_password(storage)
    try:
        yield shown
    except (SQLAlchemyError, ImportError, RuntimeError, json.JSONDecodeError) as error:
        told = str(error).partition("\n")[0]
        raise ValueError(
            f"--storage: expected the URL of an Optuna storage, such as sqlite:///study.db, received {shown!r}, which "
            f"cannot be opened ({told}): see that it is there and that its driver is installed"
        ) from error


def open_storage(storage: str) -> str | optuna.storages.BaseStorage:
    """Open a storage that is there; an URL stays as it is, since Optuna opens it.

    Raises:
        ValueError: If a file is expected and there is none, which Optuna would create.
    """
    file = Path(storage)
    if file.is_file():
        with file.open("rb") as stream:
            if stream.read(len(_SQLITE)) == _SQLITE:
                return f"sqlite:///{file}"
        return JournalStorage(JournalFileBackend(str(file)))
    url = None if "://" not in storage else make_url(storage)
    database = None if url is None else url.database
    if url is None or (url.get_backend_name() == "sqlite" and not (database and Path(database).is_file())):
        raise ValueError(
            f"--storage: expected the URL of an Optuna storage that exists, such as sqlite:///study.db, received "
            f"{storage!r}: give the one that the study was run with"
        )
    return storage


def load_study(name: str, storage: str) -> optuna.Study:
    """Load a study.

    Args:
        name: Its name.
        storage: URL of its storage, or the file of a SQLite database or a journal.

    Raises:
        ValueError: If there is no such storage, or no such study in it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with explain_storage_errors(storage) as shown:
        opened = open_storage(storage)
        names = optuna.get_all_study_names(opened)
        if name not in names:
            known = ", ".join(map(repr, names)) or "none"
            raise ValueError(
                f"STUDY: expected the name of a study in {shown}, which holds {known}, received {name!r}: give one of "
                "these, or another --storage"
            )
        return optuna.load_study(study_name=name, storage=opened)


class _Owned:
    """A storage whose trials name the process that runs them from the moment that they are there."""

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        owner = this_process()
        if template_trial is None and owner is not None:
            template_trial = create_trial(state=TrialState.RUNNING, system_attrs={ATTRIBUTE: list(owner)})
        number: int = super().create_new_trial(study_id, template_trial)  # type: ignore[misc]
        return number


class OwnedJournal(_Owned, JournalStorage):
    """A journal of such trials."""


class OwnedDatabase(_Owned, CachedStorage):
    """A database of such trials, each with a sign of life every minute."""

    def __init__(self, url: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(RDBStorage(url, heartbeat_interval=HEARTBEAT, grace_period=GRACE))


def open_tuned_storage(storage: str) -> optuna.storages.BaseStorage:
    """Open the storage that a run writes its trials to: that of an URL, or an existing file of Optuna's."""
    found = open_storage(storage) if Path(storage).is_file() else storage
    if isinstance(found, JournalStorage):
        return OwnedJournal(JournalFileBackend(storage))
    return OwnedDatabase(str(found))


class Abandoned(NamedTuple):
    """What became of the trials of a study that were running.

    Attributes:
        failed: How many count as failed now.
        left: How many are running elsewhere, as far as this process can tell.
    """

    failed: int
    left: int


def fail_abandoned(study: optuna.Study) -> Abandoned:
    """Let the trials fail whose process has been killed; those of another machine after ``GRACE`` without a sign."""

    def running() -> list[FrozenTrial]:
        return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    before = {trial.number for trial in running()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)
    for trial in running():
        if has_ended(trial.system_attrs.get(ATTRIBUTE)):
            # Somebody else may be doing the same.
            with suppress(UpdateFinishedTrialError):
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    left = {trial.number for trial in running()} & before
    return Abandoned(len(before - left), len(left))


def hide_password(storage: str) -> str:
    """Replace the password in a storage's URL, so that it may be shown."""
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return storage
