"""The tables of real trainings: the program that makes them, at small sizes, and the tables that are shipped."""

from __future__ import annotations

import csv
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import ntk_prior as ntp
import ntk_prior_flax
from studies.trainings import course, journal, network, rows, space, table, train

REPOSITORY = Path(__file__).parents[2]
TRAININGS = REPOSITORY / "studies" / "trainings"

STEPS = (1, 3, 20)
SIZES = {"configurations": 24, "n_train": 40, "n_test": 20, "evaluations": STEPS, "max_width": 8, "max_depth": 2}
OPTIONS = [
    word
    for name, size in SIZES.items()
    for word in (f"--{name.replace('_', '-')}", *map(str, size if isinstance(size, tuple) else (size,)))
]
TIMED = [name for name in table.COLUMNS if "seconds" in name]
README = (REPOSITORY / "studies" / "trainings" / "README.md").read_text(encoding="utf-8")


@cache
def small() -> Any:
    return space.resized(space.digits(), **SIZES)


@cache
def digits() -> Any:
    return rows.materials(small(), rows.load_images("digits"))


def material() -> Any:
    (one,) = digits().values()
    return one


@cache
def program(model: Any) -> Any:
    return course.compiled(model, rows.labelled(model.shape.kind, material().images))


@pytest.fixture(autouse=True)
def _compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests train on the same images, so programs serve all of them."""
    monkeypatch.setattr(rows, "compiled", lambda model, data: program(model))


def command(output: Path, *options: str) -> list[str]:
    return ["digits", *OPTIONS, "--output", str(output), *options]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file, without what differs from run to run."""
    with path.open(encoding="utf-8") as file:
        return [{name: cell for name, cell in row.items() if name not in TIMED} for row in csv.DictReader(file)]


def first_of(kind: str, depth: int) -> Any:
    return next(g for g in space.groups(small()) if (g.shape.kind, g.shape.depth) == (kind, depth))


@pytest.mark.parametrize(("kind", "depth"), [("fcn", 2), ("cnn", 1)])
def test_a_row_is_what_training_that_network_alone_gives(kind: str, depth: int) -> None:
    group = first_of(kind, depth)
    one = group.configurations[0]
    architecture = group.shape.architecture(one.weight_variance, one.bias_variance)
    row = next(rows.train_group(group, small(), material()))
    images = material().images
    alone = ntk_prior_flax.train(
        architecture,
        ntp.Budget(steps=STEPS[-1], width=group.shape.width, learning_rate=row["learning_rate"]),
        images.x_train.astype(np.float32),
        images.y_train,
        images.x_test.astype(np.float32),
        images.y_test,
        seed=one.seeds[0],
    )
    assert not alone.diverged
    assert not row["diverged"]
    assert row["train_loss"] == pytest.approx(alone.train_loss, rel=1e-4)
    assert row["test_loss"] == pytest.approx(alone.test_loss, rel=1e-4)
    assert row["train_accuracy"] == pytest.approx(alone.train_accuracy, abs=1.5 / len(images.x_train))
    assert row["test_accuracy"] == pytest.approx(alone.test_accuracy, abs=1.5 / len(images.x_test))
    assert (row["n_parameters"], row["flops"]) == (alone.n_parameters, alone.flops)
    limit = ntp.max_learning_rate(architecture, material().task, ntp.Budget(steps=1))
    assert row["learning_rate"] == pytest.approx(one.relative_rate * limit, rel=1e-5)


@pytest.mark.parametrize("pooling", [False, True])
def test_convolutions_by_rows_are_the_networks(pooling: bool) -> None:
    model = network.Model(network.Shape("cnn", pooling, "gelu", 3, 5), 4)
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    shapes = jax.eval_shape(model.network.init, jax.random.key(0), x)["params"]
    params = jax.tree.map(lambda leaf: np.random.default_rng(1).normal(size=leaf.shape).astype(leaf.dtype), shapes)
    expected = jax.jit(model.network.apply)({"params": params}, x)
    found = jax.jit(model.outputs)(params, network.Scales(np.float32(1), np.float32(1)), x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_proxies_and_divergence_are_those_of_the_network() -> None:
    group = first_of("fcn", 2)
    data = rows.labelled("fcn", material().images)
    compiled = program(rows.Model(group.shape, 10))
    calm = course.run(compiled, course.variables(0, 1.5, 0.1, 1e-3), data, STEPS)
    wild = course.run(compiled, course.variables(0, 1.5, 0.1, 1e3), data, STEPS)
    # A small step lowers the loss by rate times the squared norm; the first 64 images are all 40 here.
    assert 0.45 - calm.seen[1].train_loss == pytest.approx(1e-3 * calm.gradient_norm**2, rel=0.02)
    assert (calm.diverged, calm.steps, list(calm.seen)) == (None, 20, list(STEPS))
    assert wild.gradient_norm == calm.gradient_norm
    assert wild.diverged == wild.steps < 20
    assert not wild.seen[max(wild.seen)].train_loss <= course.DIVERGED


def test_condition_numbers_stay_finite() -> None:
    assert course.condition_number(np.diag([8.0, 4.0, 2.0])) == 4.0
    assert course.condition_number(np.ones((3, 3))) == pytest.approx(2.0**23)
    assert np.isnan(course.condition_number(np.full((2, 2), np.inf)))


def test_stopped_in_the_midst_and_resumed_gives_the_rows_of_an_uninterrupted_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole.csv", tmp_path / "stopped.csv"
    everything = rows.train_group
    monkeypatch.setattr(train, "groups", lambda which: [first_of("fcn", 2)])

    def some(*arguments: Any) -> Iterator[dict[str, Any]]:
        yield from itertools.islice(everything(*arguments), 2)
        raise KeyboardInterrupt

    train.main(command(whole))
    monkeypatch.setattr(train, "train_group", some)
    with pytest.raises(KeyboardInterrupt):
        train.main(command(stopped))
    monkeypatch.setattr(train, "train_group", everything)
    assert read(stopped) == read(whole)[:2]
    stopped.write_bytes(stopped.read_bytes() + b"0123456789-9,0123456789,dig")
    train.main(command(stopped))
    assert read(stopped) == read(whole)
    assert len(read(whole)) > 2


def test_a_killed_writer_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    forever = (
        "import itertools, journal, pathlib, sys\n"
        "with journal.Journal(pathlib.Path(sys.argv[1]), ['id', 'value']) as opened:\n"
        "    for i in itertools.count():\n"
        "        opened.append({'id': str(i), 'value': str(i) * 1000})\n"
    )
    with subprocess.Popen([sys.executable, "-c", forever, str(path)], cwd=TRAININGS) as process:
        while process.poll() is None and not (path.exists() and path.stat().st_size > 10_000):
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with journal.Journal(path, ["id", "value"]) as opened:
        opened.append({"id": "last", "value": ""})
    entries = path.read_text(encoding="utf-8").splitlines()[1:]
    assert entries == [*(f"{i},{str(i) * 1000}" for i in range(len(entries) - 1)), "last,"]


def test_every_cut_of_a_file_leaves_whole_rows(tmp_path: Path) -> None:
    path, columns = tmp_path / "rows.csv", ["id", "value"]
    entries = [{"id": f"row{i}", "value": str(i)} for i in range(3)]

    def complete() -> bytes:
        with journal.Journal(path, columns) as opened:
            for entry in entries:
                if entry["id"] not in opened.done:
                    opened.append(entry)
        return path.read_bytes()

    content = complete()
    assert content == b"id,value\nrow0,0\nrow1,1\nrow2,2\n"
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        assert complete() == content


def test_a_file_has_one_writer_and_one_set_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with journal.Journal(path, ["id"]), pytest.raises(RuntimeError, match="expected no other writer"):
        journal.Journal(path, ["id"])
    with pytest.raises(ValueError, match=r"expected the columns id,more, received id: name another --output"):
        journal.Journal(path, ["id", "more"])
    with journal.Journal(path, ["id"]) as opened:
        assert opened.done == set()


def untrained(group: Any, which: Any, _: Any, done: Container[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows without training."""
    for name in group.row_ids:
        if name not in done:
            yield {**dict.fromkeys(table.columns(which.evaluations)), "id": name, "depth": group.shape.depth}


def test_shards_partition_the_groups_and_merge_into_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "train_group", untrained)
    parts = [tmp_path / f"{shard}.csv" for shard in range(3)]
    whole, joined = tmp_path / "whole.csv", tmp_path / "joined.csv"
    train.main(command(whole, "--limit", "2"))
    assert [row["id"] for row in read(whole)] == [i for group in space.groups(small())[:2] for i in group.row_ids]
    train.main(command(whole))
    for shard, part in enumerate(parts):
        train.main(command(part, "--shard", f"{shard}/3"))
    ids = [row["id"] for part in parts for row in read(part)]
    assert sorted(ids) == sorted(row["id"] for row in read(whole))
    assert len(set(ids)) == len(ids) > 24
    train.main(["digits", *OPTIONS, "--output", str(joined), "--merge", *map(str, reversed(parts))])
    assert joined.read_bytes() == whole.read_bytes()
    made = json.loads(joined.with_suffix(".json").read_text(encoding="utf-8"))
    assert (made["rows"], made["of"]) == (len(ids), len(ids))
    train.main(command(joined))
    assert "nothing is missing" in capsys.readouterr().err


def test_rows_of_another_size_are_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    with journal.Journal(path, table.columns(STEPS)) as opened:
        opened.append({**dict.fromkeys(table.columns(STEPS), ""), "id": "0123456789-0"})
    with pytest.raises(ValueError, match="expected ids of this table, received 0123456789-0"):
        train.main(["digits", *OPTIONS, "--output", str(tmp_path / "all.csv"), "--merge", str(path)])


@pytest.mark.parametrize("text", ["2/2", "1", "a/b", "-1/2"])
def test_a_shard_is_one_of_several(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["digits", f"--shard={text}"])
    assert "expected I/N with I from 0 to N - 1" in capsys.readouterr().err


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore:os.fork")  # JAX may run in this process already; Ray's children start afresh
@pytest.mark.usefixtures("local_ray")
def test_over_ray_every_group_is_a_task() -> None:
    def work(group: Any, *_: Any) -> Iterator[dict[str, Any]]:
        return iter([{"id": name} for name in group.row_ids])

    todo = space.groups(small())
    nothing = dict.fromkeys(digits())
    found = train.over_ray(todo, small(), nothing, frozenset(), work)
    assert sorted(row["id"] for part in found for row in part) == sorted(i for group in todo for i in group.row_ids)


@pytest.mark.parametrize("dataset", ["cifar10", "digits"])
def test_configurations_cover_the_space(dataset: str) -> None:
    which = space.SPACES[dataset]()
    found = space.groups(which)
    again = space.groups(which)
    every = [(group, one) for group in found for one in group.configurations]
    ids = [name for group in found for name in group.row_ids]
    assert found == again
    assert len(every) == {"cifar10": 1200, "digits": 300}[dataset]
    assert len(ids) == len(set(ids)) == 6 * len(every) // 5
    assert len({one.id for _, one in every}) == len(every)
    assert {group.shape.activation for group in found} == set(space.ACTIVATIONS)
    assert all(0.5 <= one.weight_variance <= 4 and 0 <= one.bias_variance <= 0.5 for _, one in every)
    assert all(1e-3 <= one.relative_rate <= 8 for _, one in every)
    assert 0.4 < np.mean([0.1 <= one.relative_rate <= 2 for _, one in every]) < 0.6
    assert 0.5 < np.mean([one.split == "fit" for _, one in every]) < 0.7
    depths = [group.shape.depth for group in found if group.shape.kind == "fcn"]
    assert (min(depths), max(depths)) == (1, 64)


@pytest.mark.parametrize(
    ("activation", "bias_variance", "critical"),
    [("erf", 0.05, 1.376), ("tanh", 0.05, 1.761), ("erf", 0.18, 1.7476), ("relu", 0.3, 2.0)],
)
def test_the_critical_line(activation: str, bias_variance: float, critical: float) -> None:
    assert space.critical_weight_variance(activation, bias_variance) == pytest.approx(critical, rel=5e-3)


@pytest.mark.parametrize("dataset", ["cifar10", "digits"])
def test_the_shipped_tables_hold_what_is_said_of_them(dataset: str) -> None:
    shipped = table.load(dataset)
    found = {one.id: (group, one) for group in space.groups(space.SPACES[dataset]()) for one in group.configurations}
    made = json.loads((TRAININGS / f"{dataset}.json").read_text(encoding="utf-8"))
    counts = f"| `trainings/{dataset}.csv` | {len(shipped):,} | {shipped['configuration'].nunique():,} |"
    assert counts in README
    assert made["rows"] == len(shipped)
    assert made["of"] == sum(len(one.seeds) for _, one in found.values())
    assert set(shipped["split"]) == {"fit", "held_out"}
    assert set(shipped["kind"]) == {"fcn", "cnn"}
    assert set(shipped["activation"]) == set(space.ACTIVATIONS)
    for row in shipped.itertuples():
        group, one = found[row.configuration]
        assert row.seed in one.seeds
        assert row.id == one.row_id(row.seed)
        assert (row.split, row.weight_variance, row.relative_rate) == (
            one.split,
            one.weight_variance,
            one.relative_rate,
        )
        assert (row.depth, row.width, row.n_train) == (group.shape.depth, group.shape.width, group.family.n_train)
    assert (shipped["steps"] == 300).eq(~shipped["diverged"] | (shipped["diverged_at"] == 300)).all()
    assert (shipped["diverged_at"].notna() == shipped["diverged"]).all()
    calm = shipped[~shipped["diverged"]]
    assert calm.drop(columns="diverged_at").notna().all().all()
    assert np.allclose(calm["train_loss"], calm["train_loss_300"])
    assert calm["correlation"].between(-1, 1).all()
    assert (TRAININGS / f"{dataset}.csv").stat().st_size < 1_500_000
    for name in shipped.columns:
        assert f"`{name}`" in README or f"`{name.rsplit('_', 1)[0]}_T`" in README


def test_a_table_is_checked_when_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "digits.csv"
    lines = (TRAININGS / "digits.csv").read_text(encoding="utf-8").splitlines()
    with pytest.raises(FileNotFoundError, match=r"make it with trainings/train.py digits"):
        table.load("digits", path)
    path.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected no id twice"):
        table.load("digits", path)
    path.write_text("\n".join([lines[0].replace("depth", "layers"), *lines[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected the columns"):
        table.load("digits", path)
    with pytest.raises(ValueError, match="expected rows of cifar10 only"):
        table.load("cifar10", TRAININGS / "digits.csv")
