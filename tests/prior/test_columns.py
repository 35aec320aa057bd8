"""Columns of configurations: they are judged, and refused, as single calls are."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.configuration import FIELDS, REQUIRED

BUDGET = Budget(300, width=256)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.cifar10(512)


@pytest.fixture(scope="module")
def prior(task: Task) -> NTKPrior:
    return NTKPrior(task, BUDGET)


ROWS = st.fixed_dictionaries(
    {
        "weight_variance": st.floats(1e-3, 1e3),
        "bias_variance": st.floats(0, 10),
        "depth": st.integers(1, 10_000),
        "activation": st.sampled_from(["erf", "tanh", "relu", "gelu", "silu", "sin", "identity", "mish"]),
        "kind": st.sampled_from(["fcn", "cnn"]),
        "keep_rate": st.sampled_from([1.0, 0.9, 0.1]),
        "residual_scale": st.sampled_from([None, 0.5]),
        "normalization": st.sampled_from(["none", "layer", "batch"]),
        "learning_rate": st.one_of(st.none(), st.floats(1e-6, 1e6)),
        "optimizer": st.sampled_from(["sgd", "adam"]),
        "batch_size": st.sampled_from([None, 1, 32]),
        "width": st.sampled_from([None, 1, 64]),
        "loss": st.sampled_from(["mse", "cross_entropy"]),
        "steps": st.integers(1, 10**9),
    }
)


@given(rows=st.lists(ROWS, min_size=1, max_size=12))
def test_tables_agree_with_single_calls_and_every_score_lies_in_the_unit_interval(
    rows: list[dict[str, object]],
) -> None:
    prior = NTKPrior(Task.equicorrelated(30, 0.2, n_pixels=4, pixel_cosine=0.5), BUDGET)
    singles = [prior(row) for row in rows]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for table in (prior.score_many(columns), prior.score_many(pd.DataFrame(columns)), prior.score_many(rows)):
        assert table.verdict.tolist() == [single.verdict.value for single in singles]
        for single, score, masked in zip(singles, table.score.data, table.score.mask, strict=True):
            assert masked == (single.score is None)
            assert masked or score == pytest.approx(single.score, abs=1e-12)
            assert 0 <= score <= 1


class Odd(float):
    """A number whose own code is broken."""

    def __float__(self) -> float:
        raise ZeroDivisionError


NUMBERS = st.one_of(
    st.floats(0.01, 2.0),
    st.integers(1, 20),
    st.floats(),
    st.integers(),
    st.fractions(),
    st.decimals(),
    st.sampled_from([10**400, -(10**400), 10**5000, Fraction(10**400, 3), Odd(1.0), True, np.True_, 1 + 0j]),
    st.sampled_from([np.float32(0.5), np.int8(3), np.float64("nan"), np.longdouble("1e4000"), np.timedelta64(3, "s")]),
    st.sampled_from(
        [timedelta(1), pd.Timedelta(1), np.datetime64(3, "ns"), pd.NaT, pd.NA, None, "1.5", b"1.5", "", (1,)]
    ),
)
NAMES = st.one_of(
    st.sampled_from(["erf", "ReLU", "mish", "fcn", "CNN", "LayerNorm", "batch", "Adam", "SGD", "Lion", "CrossEntropy"]),
    st.sampled_from(["standard", "muP", "mse", "", np.str_("tanh"), "\x1b[31m" * 100]),
    st.sampled_from([None, np.nan, pd.NA, True, False, np.False_, 3, 1.5, b"relu", np.tanh, {"a": 1}, ("relu",)]),
)
PLAIN = st.fixed_dictionaries(
    {}, optional={name: st.floats(0.5, 2.0) for name in REQUIRED if name != "depth"} | {"depth": st.integers(1, 8)}
)
WILD = st.dictionaries(st.sampled_from(FIELDS), st.one_of(NUMBERS, NAMES), max_size=3)
OTHERS = st.dictionaries(st.sampled_from(["lr", "top_k"]), st.sampled_from([1, None, "x", (1, 2), [3], {}]))


def said_of(call: Callable[[], str]) -> str:
    """The verdict, or which field was refused, and how."""
    try:
        return str(call())
    except (TypeError, ValueError) as error:
        kind, message = type(error).__name__, str(error)
    field = message.partition(":")[0]
    assert field in FIELDS, message
    assert len(message) < 400
    assert message.isprintable()
    return f"{kind} {field}"


@given(plain=PLAIN, wild=WILD, others=OTHERS)
def test_calls_and_columns_refuse_and_understand_the_same(
    plain: dict[str, object], wild: dict[str, object], others: dict[str, object]
) -> None:
    """Any mapping of field names: one verdict, or one error that names the field."""
    prior = NTKPrior(Task.equicorrelated(30, 0.2, n_pixels=4, pixel_cosine=0.5), BUDGET)
    config = {**plain, **wild, **others}
    single = said_of(lambda: prior(config).verdict)
    assert said_of(lambda: prior.score_many([config]).verdict[0]) == single
    if config and not any(isinstance(value, tuple) for value in config.values()):
        assert said_of(lambda: prior.score_many({name: [value] for name, value in config.items()}).verdict[0]) == single
        assert said_of(lambda: prior.score_many(pd.DataFrame([config])).verdict[0]) == single


COLUMNS = {"weight_variance": [1.5, 1.5, 1.5], "bias_variance": [0.1, 0.1, 0.1], "depth": [3, 3, 3]}


@pytest.mark.parametrize(
    ("field", "column", "message"),
    [
        ("depth", np.array([True, False, True]), r"TypeError depth: expected an integer, received .*True.* \(row 0\)"),
        ("depth", [1, 2, True], r"TypeError depth: expected an integer, received True \(row 2\)"),
        ("depth", np.array(["1", "2", "3"]), r"TypeError depth: expected an integer, received .*'1'.* \(row 0\)"),
        ("depth", [3, b"1", 3], r"TypeError depth: expected an integer, received b'1' \(row 1\)"),
        ("depth", np.array([1, 2, 3], "m8[s]"), r"TypeError depth: expected an integer, .* \(row 0\)"),
        ("depth", np.array([1, 2, 3], "M8[ns]"), r"TypeError depth: expected an integer, .* \(row 0\)"),
        ("depth", pd.to_datetime([1, 2, 3]), r"TypeError depth: expected an integer, .* \(row 0\)"),
        ("depth", np.array([1, 2, 3 + 0j]), r"TypeError depth: expected an integer, .* \(row 0\)"),
        ("depth", [3, 3, 10**400], r"ValueError depth: expected an integer in \[1, 10000\], .* \(row 2\)"),
        ("depth", [3, 3, 10**5000], r"ValueError depth: .* received <int that cannot be shown> \(row 2\)"),
        ("depth", np.array([1.0, np.inf, 2.0]), r"ValueError depth: .* received inf \(row 1\)"),
        ("depth", np.array([1.0, 2.5, np.nan]), r"ValueError depth: .* received 2.5 \(row 1\)"),
        ("weight_variance", [1.5, Decimal(1), 1.5], r"TypeError weight_variance: .* Decimal\('1'\) \(row 1\)"),
        ("weight_variance", [1.5, 1.5, Odd(1)], r"TypeError weight_variance: .* \(row 2\)"),
        ("learning_rate", np.array([0.1, -np.inf, 0.1]), r"ValueError learning_rate: .* received -inf \(row 1\)"),
        ("pooling", [True, None, 1], r"TypeError pooling: expected True or False, received 1 \(row 2\)"),
        ("optimizer", ["sgd", 3, None], r"TypeError optimizer: expected a name such as 'sgd', received 3 \(row 1\)"),
        ("activation", np.array([np.nan, 1.0, 2.0]), r"TypeError activation: .* received .*1.0.* \(row 1\)"),
        ("depth", [[1], [2], [3]], r"ValueError columns: .* depth of shape \(3, 1\)"),
    ],
)
def test_a_wrong_entry_of_a_column_is_named_with_its_row(
    prior: NTKPrior, field: str, column: Any, message: str
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        prior.score_many({**COLUMNS, field: column})
    assert re.match(message, f"{type(caught.value).__name__} {caught.value}"), caught.value


def test_rows_without_what_the_theory_needs_are_checked_all_the_same(prior: NTKPrior) -> None:
    with pytest.raises(ValueError, match=r"weight_variance: .* received -1.0 \(row 0\)"):
        prior.score_many({**COLUMNS, "weight_variance": [-1.0, 1.5, 1.5], "depth": [None, 3, 3]})
    with pytest.raises(ValueError, match=r"weight_variance: .* received -1"):
        prior({"weight_variance": -1.0})


@pytest.mark.parametrize(
    "column",
    [
        [3, None, np.nan],
        np.array([3, np.nan, np.nan]),
        pd.Series([3, pd.NA, pd.NA], dtype="Int64"),
        np.ma.array([3, 99999, -1], mask=[0, 1, 1]),
        np.array([3, None, float("nan")], dtype=object),
    ],
    ids=lambda column: type(column).__name__,
)
def test_none_nan_and_na_are_not_set(prior: NTKPrior, column: Any) -> None:
    assert prior.score_many({**COLUMNS, "depth": column}).score.mask.tolist() == [False, True, True]
    assert prior.score_many(pd.DataFrame({**COLUMNS, "depth": column})).score.mask.tolist() == [False, True, True]
    widths = prior.score_many({**COLUMNS, "width": column}).score
    assert widths[1] == widths[2] == prior({"weight_variance": 1.5, "bias_variance": 0.1, "depth": 3}).score
    for nothing in (None, np.nan, np.float32("nan"), pd.NA):
        assert prior({"weight_variance": 1.5, "bias_variance": 0.1, "depth": nothing}).reason.startswith(
            "the configuration lacks depth and has weight_variance, bias_variance;"
        )


def test_a_rate_in_the_standard_parametrization_needs_a_width_in_every_row(task: Task) -> None:
    prior = NTKPrior(task, Budget(300))
    columns = {**COLUMNS, "parametrization": ["ntk", "standard", "standard"], "learning_rate": [0.1] * 3}
    with pytest.raises(ValueError, match=r"width: expected an integer, since .* received None \(row 2\)"):
        prior.score_many({**columns, "width": [None, 64, None]})
    assert not prior.score_many({**columns, "width": [None, 64, 64]}).score.mask.any()


@pytest.mark.parametrize(
    "empty", [[], np.array([]), np.array([], dtype=object)], ids=lambda empty: type(empty).__name__
)
def test_no_rows_have_no_verdicts(prior: NTKPrior, empty: Any) -> None:
    assert len(prior.score_many(dict.fromkeys((*REQUIRED, "activation"), empty)).score) == 0


def test_columns_that_the_prior_does_not_look_at_may_hold_anything(prior: NTKPrior) -> None:
    plain = prior.score_many(COLUMNS).score.tolist()
    for other in ([[1, 2], [3, 4], [5, 6]], [{}, [], None], np.zeros((3, 2)), np.array([1, 2, 3], "M8[s]")):
        assert prior.score_many({**COLUMNS, "layers": other}).score.tolist() == plain


def test_rows_that_lack_what_the_theory_needs_are_masked(prior: NTKPrior) -> None:
    columns = {"weight_variance": [1.5, np.nan, 1.5], "bias_variance": [0.1] * 3, "depth": [3, 3, None]}
    assert prior.score_many(columns).score.mask.tolist() == [False, True, True]
    assert prior.score_many({"lr": [1, 2]}).verdict.tolist() == ["outside_theory"] * 2


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"weight_variance": [1.0, -1.0], "bias_variance": [0, 0], "depth": [1, 1]}, ValueError, "received -1"),
        ({"weight_variance": [1.0, 1.0], "bias_variance": [0, 0], "depth": [1, 2.5]}, ValueError, "received 2.5"),
        ({"weight_variance": [1.0], "bias_variance": [0, 0]}, ValueError, "one length"),
        (
            {"weight_variance": ["a"], "bias_variance": [0], "depth": [1]},
            TypeError,
            "weight_variance: expected a real number, .*row 0",
        ),
        (5, TypeError, "expected a mapping of names to columns"),
    ],
)
def test_bad_columns_are_refused(prior: NTKPrior, columns: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        prior.score_many(columns)
