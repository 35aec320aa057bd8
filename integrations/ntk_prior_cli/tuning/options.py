"""The options of ``ntk-prior tune``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class TuneOptions:
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
