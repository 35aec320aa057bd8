"""A quiet Ray on this machine, for tests and the processes that they start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray

OBJECT_STORE = 80_000_000
"""Bytes of each node's object store."""


def start(address: str = "local", **options: Any) -> None:
    """Start or join a Ray whose workers find the modules of the tests."""
    environment = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}}
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env=environment, **options)


def start_two_cpus() -> None:
    """Start a Ray of two CPUs."""
    start(num_cpus=2, include_dashboard=False, object_store_memory=OBJECT_STORE)
