"""The table "practice": what is drawn, that trainings are those of a plain loop, and what is shipped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from studies.trainings.practice import course, data, space, table, train

SHAPE = space.Shape(
    *("digits", 40, "fcn", False, "none", None, "relu", 2, 8),
    loss="cross_entropy",
    optimizer="adam",
    batch_size=16,
    keep_rate=1.0,
)
ONE = space.Configuration("id", "fit", "he", 2.0, 0.0, 0.01, 0.001, "cosine", 3, 12, (5,))


def small(dataset: str = "digits", n_train: int = 40) -> Any:
    found = data.load(dataset).first(n_train)
    return found, course.labelled(found._replace(x_test=found.x_test[:30], y_test=found.y_test[:30]))


def trained(shape: space.Shape, one: space.Configuration, ready: Any, n_classes: int) -> Any:
    row = course.variables(one, 5)
    program = course.compiled(shape, n_classes, ready, row)
    return program, row, course.run(program, row, ready, one.steps)


class TestSpace:
    def test_drawing_more_leaves_the_first_as_they_are(self) -> None:
        few, many = space.groups(60), space.groups(120)
        assert few == many[: len(few)]
        names = [name for group in many for name in group.row_ids]
        assert len(names) == len(set(names))

    def test_no_training_costs_more_than_it_may(self) -> None:
        for group in space.groups():
            fewest = min(one.steps for one in group.configurations)
            assert fewest >= 100
            for one in group.configurations:
                cost = space.cost_of_step(group.shape) * one.steps
                assert cost <= space.LARGEST_COST or one.steps == 100


class TestTraining:
    @pytest.mark.parametrize(
        ("optimizer", "plain"),
        [
            ("sgd", optax.sgd),
            ("momentum", lambda rate: optax.sgd(rate, momentum=0.9)),
            ("adam", optax.adam),
            ("adamw", lambda rate: optax.adamw(rate, weight_decay=0.001)),
            ("rmsprop", lambda rate: optax.rmsprop(rate, decay=0.99, eps_in_sqrt=False)),
        ],
    )
    def test_it_is_that_of_a_plain_loop_with_optax(self, optimizer: str, plain: Any) -> None:
        found, ready = small()
        shape = replace(SHAPE, optimizer=optimizer)
        program, row, outcome = trained(shape, ONE, ready, found.n_classes)
        network = course.Course(shape, found.n_classes)
        pace = optax.join_schedules(
            [optax.linear_schedule(0.01 / 4, 0.01, 3), optax.cosine_decay_schedule(0.01, 9)], [3]
        )
        chained = plain(pace) if optimizer == "adamw" else optax.chain(optax.add_decayed_weights(0.001), plain(pace))
        params = program.begin(row, ready).params
        memory = chained.init(params)
        key = jax.random.fold_in(jax.random.key(5), 99)
        for step in range(12):
            order, _ = jax.random.split(jax.random.fold_in(key, step))
            chosen = jax.random.randint(order, (16,), 0, 40)

            def loss(params: Any, chosen: Any = chosen) -> Any:
                return network.loss_of(network.outputs(params, ready.x[chosen]), ready.y[chosen])

            change, memory = chained.update(jax.grad(loss)(params), memory, params)
            params = optax.apply_updates(params, change)
        wanted = network.loss_of(network.outputs(params, ready.x), ready.y)
        assert outcome.seen[12].train_loss == pytest.approx(float(wanted), rel=1e-3)

    @pytest.mark.parametrize(
        ("name", "variance", "bias"), [("torch", 1 / 3, 1 / 3), ("keras", None, 0.0), ("he", 2.0, 0.0)]
    )
    def test_initializations(self, name: str, variance: float | None, bias: float) -> None:
        _, ready = small()
        shape = replace(SHAPE, width=256)
        params = course.Course(shape, 10).begin(course.variables(replace(ONE, initialization=name), 0), ready).params
        kernel = np.asarray(params["first"]["kernel"])
        fan = 64 if variance else (64 + 256) / 2
        assert kernel.var() * fan == pytest.approx(variance or 1.0, rel=0.05)
        assert np.asarray(params["first"]["bias"]).var() * 64 == pytest.approx(bias, rel=0.3, abs=1e-12)

    def test_convolutions_are_those_of_the_flax_network(self) -> None:
        found, ready = small()
        shape = replace(SHAPE, kind="cnn", activation="elu", depth=3)
        own = course.Course(shape, found.n_classes)
        params = own.begin(course.variables(ONE, 0), ready).params
        plain = own.network.apply({"params": params}, ready.x)
        np.testing.assert_allclose(own.outputs(params, ready.x), plain, rtol=1e-4, atol=1e-5)

    def test_regression_is_scored_by_its_share_of_the_variance(self) -> None:
        found, ready = small("diabetes", 200)
        shape = replace(SHAPE, dataset="diabetes", loss="mse", n_train=200, width=32)
        *_, outcome = trained(shape, replace(ONE, steps=200, schedule="constant"), ready, found.n_classes)
        assert 0.3 < outcome.seen[200].train_score < 1.0

    def test_what_diverges_ends_at_once(self) -> None:
        found, ready = small()
        shape = replace(SHAPE, optimizer="sgd", loss="mse")
        *_, outcome = trained(shape, replace(ONE, learning_rate=1e6, warmup_steps=0), ready, found.n_classes)
        assert outcome.diverged
        assert outcome.steps < 12

    def test_a_second_run_trains_what_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        groups = [space.Group(SHAPE, (ONE, replace(ONE, id="other", initialization="torch")))]
        monkeypatch.setattr(train, "groups", lambda _: groups)
        output = tmp_path / "practice.csv"
        train.main(["--output", str(output)])
        losses = table.load(output)["train_loss_5"]
        lines = output.read_text().splitlines()
        assert len(lines) == 3
        output.write_text("\n".join(lines[:2]) + "\n" + lines[2][:30])
        train.main(["--output", str(output)])
        again = table.load(output)
        assert list(again["id"]) == ["id-5", "other-5"]
        np.testing.assert_allclose(again["train_loss_5"], losses, rtol=1e-5)


class TestShipped:
    def test_the_table_is_that_of_the_program(self) -> None:
        found = table.load()
        made = json.loads(table.TABLE.with_suffix(".json").read_text())
        groups = space.groups()
        assert made["rows"] == len(found) >= 2_500
        assert set(found["id"]) <= {name for group in groups for name in group.row_ids}
        assert found.groupby("configuration")["split"].nunique().max() == 1
        assert found["split"].value_counts(normalize=True)["held_out"] == pytest.approx(0.4, abs=0.05)
        scores = found[[f"test_score_{k}" for k in range(table.EVALUATIONS)]].to_numpy()
        assert np.nanmax(scores) <= 1.0
        assert found.loc[~found["diverged"], "test_score_5"].notna().all()

    def test_two_seeds_of_a_configuration_seldom_disagree(self) -> None:
        found = table.load()
        pairs = found.groupby("configuration").filter(lambda rows: len(rows) == 2)
        spread = pairs.groupby("configuration")["train_score_5"].agg(np.ptp)
        assert spread.median() < 0.05


def test_standardised_columns_and_targets() -> None:
    found = data.load("diabetes")
    assert found.n_classes == 0
    assert found.y.std() == pytest.approx(1.0)
    np.testing.assert_allclose(found.x.std(axis=0), 1.0)
    assert jnp.asarray(found.x).ndim == 2
