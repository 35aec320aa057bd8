"""Files from elsewhere: whatever they hold, reading them runs nothing and ends in an error that names the file."""

from __future__ import annotations

import json
import math
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ntk_prior import Architecture, Budget, NTKPrior, Task
from ntk_prior.datasets import load_cifar10
from ntk_prior.exact import Refinement
from ntk_prior.files import LARGEST
from ntk_prior.runs.ray_folder import REJECTIONS
from ntk_prior.verdict.calibration import Calibration, shipped_calibration
from ntk_prior_cli import main

RNG = np.random.default_rng(0)
TASK = Task.from_arrays(RNG.normal(size=(40, 8)), RNG.integers(0, 3, 40))
VIEW, SKETCH = ("views", "fcn"), ("views", "fcn", "sketch")


def changed(content: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of nested JSON values with one of them replaced."""
    copy = json.loads(json.dumps(content))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return copy


WHOLE = json.dumps(TASK.to_json())
NO_JSON = {
    "nothing": b"",
    "a part of it": WHOLE[: len(WHOLE) // 2].encode(),
    "another alphabet": WHOLE.encode("utf-16"),
    "bytes": bytes(range(256)),
    "a pickle": pickle.dumps(TASK.to_json()),
    "a number": b"3",
    "a list": b"[]",
    "null": b"null",
    "a number of ten thousand digits": b'{"format": ' + b"9" * 10_000 + b"}",
}
LOADERS: dict[str, Callable[[Path], Any]] = {"task": Task.load, "prior": NTKPrior.load}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_object_is_refused(tmp_path: Path, loader: str, content: bytes) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"given\.json: expected a (task summary|saved prior) "):
        LOADERS[loader](path)


@pytest.mark.parametrize("loader", LOADERS)
def test_lists_in_lists_in_lists_are_refused(tmp_path: Path, loader: str) -> None:
    path = tmp_path / "deep.json"
    path.write_text('{"format": ' + "[" * 200_000 + "]" * 200_000 + "}")
    with pytest.raises(ValueError, match=r"deep\.json: expected a .* nested too deeply: write it again"):
        LOADERS[loader](path)


def test_a_file_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=rf"large\.json: .* expected at most {LARGEST} bytes, received 1099511627776"):
        Task.load(path)
    batches = tmp_path / "cifar-10-batches-bin"
    batches.mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        path.rename(batches / name) if path.exists() else (batches / name).touch()
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: expected a batch of at most"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("format",), "ntk-prior task 99", "format: expected 'ntk-prior task 1', received 'ntk-prior task 99'"),
        (("n_train",), 10**12, "n_train: expected an integer in"),
        (("n_train",), 41, "counts: expected positive numbers that sum to n_train, 41"),
        (("n_classes",), math.nan, "n_classes: expected an integer in"),
        (("views",), [], "views: expected a mapping"),
        (("views",), {}, "views: expected a mapping"),
        (("views",), {"transformer": {}}, "views: expected a mapping with some of fcn, cnn, cnn_pooled"),
        ((*VIEW, "cosines"), "many", "could not convert"),
        ((*VIEW, "cosines"), 0.5, "matching shapes"),
        ((*VIEW, "cosines", 0), math.nan, "cosines: expected finite numbers"),
        ((*VIEW, "cosines", 0), math.inf, "cosines: expected finite numbers"),
        ((*VIEW, "cosines", 0), 1e300, "cosines: expected finite numbers"),
        ((*VIEW, "cosines", 0), -3.0, r"cosines: expected numbers in \[-1, 1\]"),
        ((*VIEW, "across", 0), -50.0, "weights: expected sums of 1"),
        ((*VIEW, "within", 0), 7.0, "within: expected a sum in"),
        ((*VIEW, "group"), 0, "group: expected an integer in"),
        ((*VIEW, "spreads"), [], "matching shapes"),
        ((*VIEW, "variances", 0), -1.0, "variances: expected no negative ones"),
        ((*SKETCH, "energy", 0), -1.0, "energy: expected shares that sum to 1"),
        ((*SKETCH, "counts", 0), -1.0, "counts: expected positive numbers"),
        ((*SKETCH, "leading", 0), [[1.0]], "inhomogeneous"),
        ((*SKETCH, "uniform"), [[1.0]], "matching shapes"),
        (SKETCH, {}, "'eigenvalues' is missing"),
    ],
    ids=str,
)
def test_a_summary_whose_numbers_mean_nothing_is_refused(
    tmp_path: Path, place: tuple[Any, ...], value: Any, message: str
) -> None:
    path = tmp_path / "task.json"
    path.write_text(json.dumps(changed(TASK.to_json(), place, value)))
    with pytest.raises(ValueError, match=rf"task\.json: expected a task summary .*{message}.*: write it again"):
        Task.load(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("roots", 0), 10**12, "roots: expected a list of whole numbers"),
        (("roots", 0), 0.5, "roots: expected a list of whole numbers"),
        (("roots",), 0, "roots: expected a list of numbers"),
        (("roots",), [[0, 1]], "roots: expected a list of numbers"),
        (("roots", 0), 10**6, "nodes that lead onwards"),
        (("left", 0), 0, "nodes that lead onwards"),
        (("feature", 0), 99, "nodes that lead onwards"),
        (("threshold", 0), math.nan, "expected finite numbers"),
        (("value", 0), 1e308, "expected finite numbers"),
    ],
    ids=str,
)
def test_trees_that_would_not_end_or_leave_their_arrays_are_refused(
    tmp_path: Path, place: tuple[Any, ...], value: Any, message: str
) -> None:
    prior = NTKPrior(TASK, Budget(steps=100))
    path = tmp_path / "prior.json"
    prior.save(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(changed(content, ("calibration", "trains", "trees", *place), value)))
    with pytest.raises(ValueError, match=rf"prior\.json: expected a saved prior .*{message}"):
        NTKPrior.load(path)


def test_what_is_shipped_and_what_is_saved_passes_these_checks(tmp_path: Path) -> None:
    tasks = [TASK, TASK.at(10**6), Task.cifar10(), Task.cifar10(3), Task.equicorrelated(50, -1.0, n_pixels=9)]
    for task in tasks:
        task.save(tmp_path / "task.json")
        assert Task.load(tmp_path / "task.json").n_train == task.n_train
    assert Calibration.from_json(json.loads(json.dumps(shipped_calibration().to_json()))).trials == 0


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"null", pickle.dumps(1), b'{"eigenvalues": [1e999]}'], ids=str)
def test_a_damaged_spectrum_on_disk_is_computed_anew(tmp_path: Path, content: bytes) -> None:
    x, y = RNG.normal(size=(20, 8)), np.arange(20) % 2
    judge = Refinement(x, y, cache_dir=tmp_path)
    task, budget = Task.from_arrays(x, y), Budget(steps=100)
    network = Architecture(1.5, 0.1, 3)
    before = judge(network, task, budget)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(content)
    after = judge(network, task, budget)
    assert before is not None
    assert after is not None
    assert after.score == before.score
    assert path.read_bytes() == whole, "the damaged file is replaced"


@pytest.mark.parametrize(
    "content",
    [
        b"depth: !!python/object/apply:os.mkdir [trace]",
        pickle.dumps({"depth": 3}),
        b"- depth",
        b"",
        b"depth: {low: .nan}",
    ],
    ids=str,
)
def test_a_search_space_that_is_none_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "space.yaml").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ntk-prior", "preview", "space.yaml"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "space.yaml: " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]


def test_a_damaged_state_of_rays_search_says_so(tmp_path: Path) -> None:
    from ray import tune

    from ntk_prior_ray import NTKPriorSearch

    def search() -> NTKPriorSearch:
        prior = NTKPrior(TASK, Budget(steps=100))
        return NTKPriorSearch(prior, space={"depth": tune.randint(1, 9)}, metric="loss", mode="min", seed=0)

    path = tmp_path / "state"
    search().save(str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        ValueError, match=r"state: expected the state of a search algorithm, .*: restore from an earlier"
    ):
        search().restore(str(path))


def test_rays_file_of_refused_proposals_is_checked_before_it_is_continued(tmp_path: Path) -> None:
    from pyarrow.fs import LocalFileSystem

    from ntk_prior_ray._ray import ExperimentFolder
    from ntk_prior_ray.callback import stored_before

    storage = ExperimentFolder(tmp_path, str(tmp_path), LocalFileSystem())
    (tmp_path / REJECTIONS).write_text('{"refused_before": 0}\n{"refused_before": 7}\n{"refused_be')
    assert stored_before(5, storage) == [b'{"refused_before": 0}\n']
    for line in ("[]", "{}", '{"refused_before": "0"}', "[" * 200_000):
        (tmp_path / REJECTIONS).write_text(line + "\n")
        with pytest.raises(ValueError, match=rf"{REJECTIONS}: expected a refused proposal on each line"):
            stored_before(5, storage)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_name_that_is_given_twice_is_an_error_in_what_was_saved_too(tmp_path: Path, loader: str) -> None:
    (tmp_path / "given.json").write_text(WHOLE.replace('"cosines"', '"spreads"'))
    with pytest.raises(ValueError, match=r"given\.json: expected a .*'spreads' is given twice: write it again"):
        LOADERS[loader](tmp_path / "given.json")
