"""The examples that users copy, at small size: on CIFAR-10 where NTK_PRIOR_DATA names it, on digits elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("compiled_quickly")

EXAMPLES = Path(__file__).parents[2] / "examples"


def tuned_by(script: str, *options: str) -> None:
    """Run an example at small size: it launches three trials and says how well the best one did."""
    size = ["--trials", "3", "--n-train", "100", "--steps", "20", "--width", "16"]
    command = [sys.executable, str(EXAMPLES / script), *size, *options]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert finished.returncode == 0, finished.stderr
    data = "cifar10" if "NTK_PRIOR_DATA" in os.environ else "digits"
    assert f"best test accuracy on {data}: 0." in finished.stdout
    assert finished.stdout.count("trial ") == 3


def test_the_optuna_example_tunes_a_network() -> None:
    tuned_by("optuna_cifar10.py")


@pytest.mark.xdist_group("ray")
def test_the_ray_example_tunes_a_network_on_a_cluster_of_its_own(tmp_path: Path) -> None:
    tuned_by("ray_cifar10.py", "--storage-path", str(tmp_path))
    assert len(list(tmp_path.glob("ntk-prior/*/checkpoint_*/result.json"))) >= 3
