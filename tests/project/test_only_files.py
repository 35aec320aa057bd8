"""What is read: regular files alone, and no more of them than a limit."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ntk_prior import Architecture, Budget, NTKPrior, Task
from ntk_prior.datasets import load_cifar10
from ntk_prior.exact import Refinement
from ntk_prior.files import read_bytes
from ntk_prior.runs.ray_folder import REJECTIONS, read_experiment
from ntk_prior_cli.space_file import read_space

RNG = np.random.default_rng(0)
TASK = Task.equicorrelated(50, 0.1)


def experiment(folder: Path) -> None:
    read_experiment(folder, "accuracy", "max")


def state_of_a_search(path: Path) -> None:
    from ray import tune

    from ntk_prior_ray import NTKPriorSearch

    search = NTKPriorSearch(
        NTKPrior(TASK, Budget(steps=100)), space={"depth": tune.randint(1, 9)}, metric="loss", mode="min"
    )
    search.restore(str(path))


EXPERIMENT = {"trial/params.json": '{"depth": 3}', "trial/result.json": '{"accuracy": 0.5}\n'}
BATCH = "\0" * 3073
READERS: dict[str, tuple[str, dict[str, str], Callable[[Path], object]]] = {
    "task": ("task.json", {}, lambda folder: Task.load(folder / "task.json")),
    "prior": ("prior.json", {}, lambda folder: NTKPrior.load(folder / "prior.json")),
    "space": ("space.yaml", {}, lambda folder: read_space(folder / "space.yaml")),
    "trial's parameters": ("trial/params.json", EXPERIMENT, experiment),
    "trial's results": ("trial/result.json", EXPERIMENT, experiment),
    "experiment": ("experiment_state-1.json", EXPERIMENT, experiment),
    "refused proposals": (REJECTIONS, EXPERIMENT, experiment),
    "search": ("state", {}, lambda folder: state_of_a_search(folder / "state")),
    "images": ("data_batch_1.bin", {"test_batch.bin": BATCH}, load_cifar10),
    "images for tests": ("test_batch.bin", {"data_batch_1.bin": BATCH}, load_cifar10),
}
"""What is read: the name of its file, what is beside it, and how it is read from a folder."""


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("kind", ["a named pipe", "a device", "a socket"])
@pytest.mark.parametrize(("name", "beside", "read"), READERS.values(), ids=READERS.keys())
def test_only_regular_files_are_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    beside: dict[str, str],
    read: Callable[[Path], object],
    kind: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    Path("trial").mkdir()
    for other, content in beside.items():
        Path(other).write_text(content)
    path = Path(name)
    path.unlink(missing_ok=True)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(path))
    with pytest.raises(ValueError, match=rf"{path.name}: expected .*it is {kind}, and only regular files are read"):
        read(Path())


@pytest.mark.usefixtures("in_time")
def test_no_more_is_read_than_the_limit_whatever_size_a_file_says_it_has(tmp_path: Path) -> None:
    made_up = Path("/proc/self/status")
    assert made_up.stat().st_size == 0
    assert read_bytes(made_up, 10**6).startswith(b"Name:")
    with pytest.raises(ValueError, match=r"expected at most 10 bytes, received more"):
        read_bytes(made_up, 10)
    (tmp_path / "exact").write_bytes(b"1234")
    assert read_bytes(tmp_path / "exact", 4) == b"1234"
    with pytest.raises(ValueError, match=r"expected at most 3 bytes, received 4"):
        read_bytes(tmp_path / "exact", 3)
    with pytest.raises(ValueError, match=r"it is a folder, and only regular files are read"):
        read_bytes(tmp_path)


@pytest.mark.usefixtures("in_time")
def test_a_pipe_among_the_kept_spectra_is_computed_anew_and_left_alone(tmp_path: Path) -> None:
    x, y = RNG.normal(size=(20, 8)), np.arange(20) % 2
    task, budget, network = Task.from_arrays(x, y), Budget(steps=100), Architecture(1.5, 0.1, 3)
    before = Refinement(x, y, cache_dir=tmp_path)(network, task, budget)
    (path,) = tmp_path.iterdir()
    path.unlink()
    os.mkfifo(path)
    after = Refinement(x, y, cache_dir=tmp_path)(network, task, budget)
    assert before is not None
    assert after is not None
    assert after.score == before.score
    assert path.is_fifo()


def test_a_line_cut_within_a_letter_is_half_a_line(tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "params.json").write_text('{"depth": 3}')
    whole = '{"accuracy": 0.5}\n{"note": "\N{GREEK SMALL LETTER SIGMA}'.encode()
    (tmp_path / "trial" / "result.json").write_bytes(whole[:-1])
    (row,) = read_experiment(tmp_path, "accuracy", "max").rows
    assert row.trial.outcome == 0.5
