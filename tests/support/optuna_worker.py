"""One worker of a study that several share: ``optuna_worker.py STORAGE STUDY N_TRIALS [FOLDER]``.

With a folder it stops in the middle of its third trial, leaves the trial's number in a file there, and waits to be
killed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import optuna
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from ntk_prior_optuna import NTKPriorSampler
from tests.support.optuna_studies import SPACE, sphere
from tests.support.priors import likes_small_x


def storage_of(address: str) -> BaseStorage | str:
    """The storage behind an address: an SQLAlchemy URL, or a path for a journal file."""
    return address if "://" in address else JournalStorage(JournalFileBackend(address))


def sampler() -> NTKPriorSampler:
    return NTKPriorSampler(likes_small_x, TPESampler(n_startup_trials=5), search_space=SPACE, seed=12)


def main(address: str, name: str, n_trials: str, folder: str | None = None) -> None:
    study = optuna.load_study(study_name=name, storage=storage_of(address), sampler=sampler())
    done = 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal done
        value = sphere(trial)
        done += 1
        if folder is not None and done == 3:
            Path(folder, "number").write_text(str(trial.number))
            time.sleep(600)
        return value

    study.optimize(objective, n_trials=int(n_trials))
    json.dump([trial.params for trial in study.trials], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
