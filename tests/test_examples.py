"""The examples that users copy, at small size: on CIFAR-10 where NTK_PRIOR_DATA names it, on digits elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_optuna_example_tunes_a_network() -> None:
    size = ["--trials", "3", "--n-train", "100", "--steps", "20", "--width", "16"]
    command = [sys.executable, str(EXAMPLES / "optuna_cifar10.py"), *size]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert finished.returncode == 0, finished.stderr
    data = "cifar10" if "NTK_PRIOR_DATA" in os.environ else "digits"
    assert f"best test accuracy on {data}: 0." in finished.stdout
    assert finished.stdout.count("trial ") == 3


@pytest.mark.xdist_group("ray")
def test_the_ray_example_tunes_a_network_on_a_cluster_of_its_own(tmp_path: Path) -> None:
    size = ["--trials", "3", "--n-train", "100", "--steps", "20", "--width", "16", "--storage-path", str(tmp_path)]
    command = [sys.executable, str(EXAMPLES / "ray_cifar10.py"), *size]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert finished.returncode == 0, finished.stderr
    data = "cifar10" if "NTK_PRIOR_DATA" in os.environ else "digits"
    assert f"best test accuracy on {data}: 0." in finished.stdout
    assert finished.stdout.count("trial ") == 3
    assert len(list(tmp_path.glob("ntk-prior/*/checkpoint_*/result.json"))) >= 3
