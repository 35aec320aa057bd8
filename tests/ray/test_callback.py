"""The file of refused proposals, whenever a driver was killed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pyarrow.fs import LocalFileSystem
from ray import tune

from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch
from tests.support.priors import refuses_everything
from tests.support.ray_searches import search_over


@pytest.fixture
def folders(tmp_path: Path) -> SimpleNamespace:
    """Where an experiment stores its files, and where its driver writes them before."""
    for name in ("stored", "staged"):
        (tmp_path / name).mkdir()
    return SimpleNamespace(
        storage_filesystem=LocalFileSystem(),
        experiment_fs_path=str(tmp_path / "stored"),
        experiment_driver_staging_path=str(tmp_path / "staged"),
    )


def lines(folders: SimpleNamespace) -> list[dict[str, Any]]:
    path = Path(folders.experiment_driver_staging_path) / "ntk_rejections.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def step(callback: NTKPriorCallback, folders: SimpleNamespace) -> None:
    callback.on_step_end(0, [SimpleNamespace(storage=folders)])


def test_every_refusal_is_written_once_and_in_order(folders: SimpleNamespace) -> None:
    search = search_over(refuses_everything)
    callback = NTKPriorCallback(search)
    for number in range(3):
        search.suggest(str(number))
        step(callback, folders)
        step(callback, folders)
    assert [line["refused_before"] for line in lines(folders)] == list(range(3 * 32))
    assert [line["config"] for line in lines(folders)] == [refusal.config for refusal in search.refusals()]


def test_what_was_refused_in_another_experiment_is_not_written(folders: SimpleNamespace) -> None:
    search = search_over(refuses_everything)
    search.suggest("a")
    callback = NTKPriorCallback(search)
    search.suggest("b")
    step(callback, folders)
    assert {line["trial_id"] for line in lines(folders)} == {"b"}


class Activation:
    def __repr__(self) -> str:
        return "Activation(\x1b)"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.int64(52), 52),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("relu"), "relu"),
        (True, True),
        (None, None),
        (2**70, 2**70),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (np.float32("nan"), "nan"),
        ((1, np.int8(2)), [1, 2]),
        ([{"units": np.int64(8)}, math.inf], [{"units": 8}, "inf"]),
        ({"depth": np.int64(3), 4: {np.int64(5): ()}}, {"depth": 3, "4": {"5": []}}),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array([0.5, math.nan]), [0.5, "nan"]),
        (np.array(3), 3),
        (Activation(), "Activation(\\x1b)"),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_the_file_holds_strict_json_numbers_as_numbers_and_what_json_does_not_know_in_words(
    value: Any, written: Any, folders: SimpleNamespace
) -> None:
    search = search_over(refuses_everything, space={"x": tune.uniform(-1, 1), "odd": value})
    callback = NTKPriorCallback(search)
    search.suggest("a")
    step(callback, folders)
    path = Path(folders.experiment_driver_staging_path) / "ntk_rejections.jsonl"
    # Python's json reads NaN and Infinity, which strict JSON has not.
    found = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert len(found) == 32
    assert [line["config"]["odd"] for line in found] == [written] * 32
    assert type(found[0]["config"]["odd"]) is type(written)


def test_a_long_array_is_written_in_words(folders: SimpleNamespace) -> None:
    search = search_over(refuses_everything, space={"x": tune.uniform(-1, 1), "odd": np.zeros(100_000)})
    callback = NTKPriorCallback(search)
    search.suggest("a")
    step(callback, folders)
    assert lines(folders)[0]["config"]["odd"].startswith("array([0., 0., 0., ..., 0., 0., 0.]")


@pytest.mark.parametrize("stored", [0, 20, 32, 40])
def test_a_restored_experiment_continues_the_file_whether_it_is_older_or_newer_than_the_state(
    folders: SimpleNamespace, tmp_path: Path, stored: int
) -> None:
    """The state knows of 32 refusals, the stored file of so many and a half."""
    search = search_over(refuses_everything)
    callback = NTKPriorCallback(search)
    for number in range(3):
        search.suggest(str(number))
    step(callback, folders)
    whole = lines(folders)
    staged = Path(folders.experiment_driver_staging_path) / "ntk_rejections.jsonl"
    text = staged.read_text().splitlines(keepends=True)
    staged.unlink()
    (Path(folders.experiment_fs_path) / staged.name).write_text("".join(text[:stored]) + text[stored][:30])

    before = search_over(refuses_everything)
    restored: NTKPriorSearch = search_over(refuses_everything)
    again = NTKPriorCallback(restored)
    for number in range(2):
        before.suggest(str(number))
    before.save(str(tmp_path / "state"))
    restored.restore(str(tmp_path / "state"))
    step(again, folders)
    restored.suggest("2")
    step(again, folders)
    assert lines(folders) == whole
