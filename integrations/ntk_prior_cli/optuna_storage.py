"""The storage that a command's ``--storage`` names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

_SQLITE = b"SQLite format 3\x00"


@contextmanager
def storage_of_option(storage: str) -> Iterator[str]:
    """Explain what goes wrong with a storage inside; gives its URL as it may be shown.

    Raises:
        ValueError: If the storage cannot be read or written.
    """
    shown = without_password(storage)
    try:
        yield shown
    except (SQLAlchemyError, ImportError, RuntimeError, json.JSONDecodeError) as error:
        told = str(error).partition("\n")[0]
        raise ValueError(
            f"--storage: expected the URL of an Optuna storage, such as sqlite:///study.db, received {shown!r}, which "
            f"cannot be opened ({told}): see that it is there and that its driver is installed"
        ) from error


def opened_storage(storage: str) -> str | optuna.storages.BaseStorage:
    """What Optuna opens.

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


def without_password(storage: str) -> str:
    """A storage's URL as it may be shown."""
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return storage
