"""What the workers of the tests run, apart from all that they need not import."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

SPACE = {"x": tune.uniform(-1, 1), "y": tune.uniform(-1, 1)}


def improving(config: dict[str, Any]) -> None:
    """Report a sphere three times, better each time."""
    for step in range(3):
        tune.report({"loss": config["x"] ** 2 + config["y"] ** 2 + 1 / (step + 1)})


def checkpointed(config: dict[str, Any]) -> None:
    """Report four times in all, each with a checkpoint to go on from."""
    before = tune.get_checkpoint()
    done = 0
    if before is not None:
        with before.as_directory() as folder:
            done = int((Path(folder) / "step").read_text())
    for step in range(done + 1, 5):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "step").write_text(str(step))
            tune.report({"loss": config["net"]["x"]}, checkpoint=tune.Checkpoint.from_directory(folder))


def recorded(config: dict[str, Any]) -> None:
    """Append what a worker starts with to a file, then report four times, slowly."""
    trial_id = tune.get_context().get_trial_id()
    path = Path(config["folder"]) / "starts.jsonl"
    before = path.read_text().splitlines() if path.exists() else []
    start = {
        "trial_id": trial_id,
        "x": config["x"],
        "node": ray.get_runtime_context().get_node_id(),
        "again": any(trial_id in line for line in before),
    }
    with path.open("a") as file:
        file.write(json.dumps(start) + "\n")
    for step in range(4):
        time.sleep(0.5)
        tune.report({"loss": config["x"] ** 2 + 1 / (step + 1)})


def accurate(config: dict[str, Any]) -> None:
    """Report one accuracy, by a flat and by a nested name."""
    tune.report({"accuracy": 1 / config["depth"], "eval": {"accuracy": 1 / config["depth"]}})


def mended(config: dict[str, Any]) -> None:
    """Improve, but fail where y is large until there is a file."""
    if config["y"] > 0 and not Path(config["mended"]).exists():
        raise RuntimeError("not yet")
    improving(config)


def failing_above(config: dict[str, Any]) -> None:
    """Improve, or fail where y is large."""
    if config["y"] > 0.5:
        raise RuntimeError("y is large")
    improving(config)
