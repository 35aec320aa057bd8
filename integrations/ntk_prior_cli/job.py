"""The options of ``ntk-prior tune``, and the engine that they choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NOTES = "ntk_prior_tune"
"""User attribute of a study with what is worth knowing of the run, such as its seed."""


@dataclass(frozen=True)
class Job:
    """The options of ``ntk-prior tune``, described in its help."""

    data: str
    data_dir: Path | None
    download: bool
    kind: Literal["fcn", "cnn"]
    base: str
    trials: int
    prior: bool
    steps: int
    width: int
    n_train: int
    side: int | None
    optimizer: Literal["sgd", "momentum", "adam"]
    parametrization: Literal["ntk", "standard"]
    batch_size: int | None
    storage: str | None
    study: str
    resume: bool
    seed: int
    output: Path
    report: Path
    engine: Literal["optuna", "ray"] = "optuna"
    address: str | None = None
    gpus_per_trial: float | None = None
    storage_path: Path | None = None
    as_json: bool = False


def run(job: Job) -> int:
    """Run the job; returns the exit code.

    Raises:
        ValueError: If an option does not fit the engine.
    """
    require_options(job)
    # Each engine needs an extra of its own.
    if job.engine == "ray":
        from ntk_prior_cli import ray_job

        return ray_job.run(job)
    from ntk_prior_cli import optuna_job

    return optuna_job.run(job)


def require_options(job: Job) -> None:
    """Refuse options that the engine would ignore.

    Raises:
        ValueError: If there is one.
    """
    if job.engine == "ray":
        ignored: dict[str, object] = {"--storage": job.storage}
        advice = "use --storage-path, or --engine optuna"
    else:
        ignored = {
            "--address": job.address,
            "--gpus-per-trial": job.gpus_per_trial,
            "--storage-path": job.storage_path,
        }
        advice = "leave it out, or use --engine ray"
    for option, value in ignored.items():
        if value is not None:
            raise ValueError(f"{option}: expected none with --engine {job.engine}, received {str(value)!r}: {advice}")
