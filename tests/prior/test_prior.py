"""The prior as users meet it: verdicts, reasons, fixes, columns, files, and what importing it changes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, NTKPrior, Task, Verdict, feasibility
from ntk_prior.configuration import FIELDS, REQUIRED

BUDGET = Budget(300, width=256)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.cifar10(512)


@pytest.fixture(scope="module")
def prior(task: Task) -> NTKPrior:
    return NTKPrior(task, BUDGET)


# Erf networks of width 256 on 512 CIFAR-10 images, 300 full-batch steps at 1 / lambda_max, sigma_b^2 = 0.18:
# (sigma_w^2, depth, train accuracy, test accuracy).
TRAININGS = [
    (0.8, 4, 0.73, 0.30),
    (1.2, 4, 0.96, 0.30),
    (1.75, 4, 1.00, 0.29),
    (2.5, 4, 1.00, 0.25),
    (4.0, 4, 1.00, 0.20),
    (0.8, 16, 0.19, 0.15),
    (1.2, 16, 0.49, 0.24),
    (1.75, 16, 0.99, 0.21),
    (2.5, 16, 1.00, 0.13),
    (4.0, 16, 1.00, 0.10),
    (0.8, 48, 0.13, 0.10),
    (1.2, 48, 0.13, 0.10),
    (1.75, 48, 0.80, 0.12),
    (2.5, 48, 0.80, 0.10),
    (4.0, 48, 0.46, 0.10),
]


def test_scores_separate_the_recorded_trainings_worth_launching(task: Task) -> None:
    found = [feasibility(Architecture(w, 0.18, depth), task, BUDGET) for w, depth, _, _ in TRAININGS]
    scores = np.array([f.score for f in found])
    worth = np.array([test >= 0.2 for _, _, _, test in TRAININGS])
    assert scores[worth].min() > scores[~worth].max()
    ordered = [
        (f.estimates.trainability, train) for f, (w, _, train, _) in zip(found, TRAININGS, strict=True) if w <= 1.75
    ]
    assert np.mean([abs(predicted - train) for predicted, train in ordered]) < 0.1


def test_each_verdict_names_its_limit_and_a_fix_that_works(task: Task) -> None:
    cases = {
        Verdict.UNTRAINABLE: (Architecture(1.2, 0.18, 48), BUDGET, "depth 48 >"),
        Verdict.MEMORIZES_ONLY: (Architecture(2.5, 0.18, 48), BUDGET, "xi_star"),
        Verdict.DIVERGES: (Architecture(1.5, 0.1, 4), Budget(300, 20.0, width=256), "learning_rate 20 >"),
    }
    for verdict, (architecture, budget, words) in cases.items():
        found = feasibility(architecture, task, budget)
        assert found.verdict is verdict
        assert words in found.reason
        for fix in found.suggestion.split(", or "):
            name, value = fix.replace("<=", " ").replace(">=", " ").split()
            owner = architecture if hasattr(architecture, name) else budget
            number = type(getattr(owner, name))(float(value))
            number = number * (0.999 if "<=" in fix and name == "learning_rate" else 1)
            changed = {**vars(owner), name: number}
            repaired = (Architecture(**changed), budget) if owner is architecture else (architecture, Budget(**changed))
            score = feasibility(repaired[0], task, repaired[1]).score
            assert score >= ntp.DEFAULT_THRESHOLD - 0.02  # printed with three digits
    needs = feasibility(Architecture(1.2, 0.18, 48), task, BUDGET).reason
    assert "kappa" in needs
    assert "steps, budget 3e+02" in needs


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"activation": "mish"}, "activation 'mish'"),
        ({"normalization": "batch"}, "batch normalization"),
        ({"parametrization": "mup"}, "muP"),
        ({"depth": None}, "lacks depth"),
    ],
)
def test_outside_the_theory_the_prior_is_silent(prior: NTKPrior, config: dict[str, object], words: str) -> None:
    found = prior({"weight_variance": 1.5, "bias_variance": 0.1, "depth": 3, **config})
    assert found.verdict is Verdict.OUTSIDE_THEORY
    assert (found.score, found.trainability, found.generalization, found.suggestion) == (None, None, None, None)
    assert words in found.reason


def test_more_steps_never_hurt_trainability_and_narrow_networks_generalize_less(task: Task) -> None:
    network = Architecture(1.3, 0.1, 20)
    by_steps = [feasibility(network, task, Budget(steps, width=256)).trainability for steps in (10, 100, 1000, 10_000)]
    assert by_steps == sorted(by_steps)
    by_width = [feasibility(network, task, Budget(300, width=width)).generalization for width in (16, 64, 1024, None)]
    assert by_width == sorted(by_width)


def test_adam_is_never_said_to_diverge_and_only_a_hopeless_path_is_untrainable(task: Task) -> None:
    network = Architecture(1.2, 0.18, 30)
    long, short = (feasibility(network, task, Budget(s, r, "adam", width=256)) for s, r in ((3000, 1e-3), (5, 1e-9)))
    assert (long.verdict, long.score) == (Verdict.OUTSIDE_THEORY, None)
    assert short.verdict is Verdict.UNTRAINABLE
    assert feasibility(network, task, Budget(300, 1e3, "adam", width=256)).verdict is not Verdict.DIVERGES


def test_learning_rate_conventions(task: Task) -> None:
    """Mean loss, heavy ball, cross-entropy and the standard parametrization, each by its own factor."""
    network = Architecture(1.5, 0.0, 3)
    plain = ntp.max_learning_rate(network, task, Budget(10, width=256))
    assert plain == pytest.approx(2 * task.n_train / ntp.spectrum(network, task).lambda_max, rel=1e-9)
    heavy = ntp.max_learning_rate(network, task, Budget(10, None, "momentum", 0.9, width=256))
    assert heavy == pytest.approx(1.9 * plain)
    entropy = ntp.max_learning_rate(network, task, Budget(10, width=256, loss="cross_entropy"))
    assert entropy == pytest.approx(task.n_classes * plain)
    with pytest.raises(ValueError, match="optimizer: expected 'sgd' or 'momentum'"):
        ntp.max_learning_rate(network, task, Budget(10, None, "adam"))


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
    st.sampled_from(
        ["erf", "ReLU", "mish", "fcn", "CNN", "LayerNorm", "batch", "Adam", "SGD", "RMSprop", "CrossEntropy"]
    ),
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


def test_spaces_with_names_of_their_own(task: Task) -> None:
    def to_architecture(config: dict[str, object]) -> object:
        if config.get("model") == "transformer":
            return None
        names = {"gain": "weight_variance", "blocks": "depth", "act": "activation", "lr": "learning_rate"}
        return {"bias_variance": 0.0, **{new: config[old] for old, new in names.items()}}

    prior = NTKPrior(task, BUDGET, to_architecture)
    own = {"gain": 2.0, "blocks": 5, "act": "relu", "lr": 0.1}
    named = {"weight_variance": 2.0, "bias_variance": 0.0, "depth": 5, "activation": "relu", "learning_rate": 0.1}
    assert prior(own).score == NTKPrior(task, BUDGET)(named).score
    assert prior({"model": "transformer"}).verdict is Verdict.OUTSIDE_THEORY
    assert prior({"gain": 2.0}).verdict is Verdict.OUTSIDE_THEORY
    table = prior.score_many({name: [value] * 2 for name, value in own.items()})
    assert table.score[0] == pytest.approx(prior(own).score)


def test_an_architecture_may_be_returned_and_is_judged_by_the_priors_own_budget(task: Task) -> None:
    prior = NTKPrior(task, Budget(300, 1e4, width=256), lambda config: Architecture(1.5, 0.1, config["layers"]))
    assert prior({"layers": 3}).verdict is Verdict.DIVERGES
    assert prior({"layers": 3, "learning_rate": 1e-3}).verdict is Verdict.DIVERGES


LOOK_ALIKES = [
    {"optimizer": "Adam"},
    {"optimizer": None, "loss": 3},
    {"width": 2},
    {"width": "wide"},
    {"parametrization": "mup"},
    {"learning_rate": 1e4},
    {"momentum": 2.0},
    {"depth": 0},
    {"activation": ["relu"]},
    {"optimiser": "Adam", "batchsize": 3},
]


@pytest.mark.parametrize("own", LOOK_ALIKES, ids=str)
def test_with_a_mapping_only_what_it_returns_counts(task: Task, own: dict[str, object]) -> None:
    """Parameters that are merely called like a field, or almost, are the user's own."""

    def to_architecture(config: dict[str, object]) -> object:
        return {
            "weight_variance": 1.5,
            "bias_variance": 0.1,
            "depth": config["layers"],
            "learning_rate": config["rate"],
        }

    prior = NTKPrior(task, BUDGET, to_architecture)
    plain, config = {"layers": 3, "rate": 0.1}, {"layers": 3, "rate": 0.1, **own}
    said = prior(plain)
    assert prior(config).score == said.score
    assert prior(config).budget == Budget(300, 0.1, width=256)
    for table in (prior.score_many([config]), prior.score_many({name: [value] for name, value in config.items()})):
        assert table.score.tolist() == [said.score]
    asked: list[Budget] = []
    refined = NTKPrior(task, BUDGET, to_architecture, refine=lambda a, t, budget: asked.append(budget), when="always")
    refined(config)
    assert asked == [said.budget]
    report = prior.fit([ntp.FinishedTrial(config, 0.9, 0.3)])
    assert (report.used, report.skipped) == (1, 0)
    assert set(own) - {"optimiser", "batchsize"} <= set(prior.unread(config))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"weight_variance": -1.0}, ValueError, "expected a value in"),
        ({"weight_variance": float("nan")}, ValueError, "received nan"),
        ({"weight_variance": "1"}, TypeError, "expected a real number"),
        ({"depth": 0}, ValueError, "expected an integer in"),
        ({"depth": 2.5}, ValueError, "received 2.5"),
        ({"depth": True}, TypeError, "expected an integer"),
        ({"kind": 3}, TypeError, "kind: expected a name such as 'fcn', received 3"),
        ({"pooling": True}, ValueError, "no pixels to pool"),
        ({"activation": 3}, TypeError, "expected a name or a callable"),
        ({"keep_rate": 0.0}, ValueError, "keep_rate"),
        ({"normalization": False}, TypeError, "normalization: expected a name such as 'none', received False"),
        ({"activation": [1]}, TypeError, "expected a name or a callable"),
        ({"depth": None}, TypeError, "depth: expected an integer, received None"),
    ],
)
def test_impossible_architectures_are_refused(fields: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Architecture(**{"weight_variance": 1.0, "bias_variance": 0.1, "depth": 3, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "steps: expected an integer"),
        ({"learning_rate": -0.1}, "learning_rate: expected a value"),
        ({"momentum": 1.0}, "momentum: expected a value"),
        ({"parametrization": "standard", "learning_rate": 0.1}, "width: expected an integer"),
    ],
)
def test_impossible_budgets_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Budget(**{"steps": 10, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 3)), [], "at least 2 inputs"),
        (np.ones((4, 3)), [0, 1, 0], "one label for each of the 4"),
        (np.ones(5), [0, 1, 0, 1, 0], "expected shape"),
        (np.full((2, 3), np.nan), [0, 1], "finite numbers"),
        (np.eye(3), [1, 1, 1], "at least 2 classes"),
        (np.zeros((2, 3)), [0, 1], "other than zero"),
        (np.eye(3), [0.5, 1.2, 3.3], "fractional"),
    ],
)
def test_impossible_data_are_refused(x: object, y: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task.from_arrays(x, y)  # type: ignore[arg-type]


def test_a_task_of_large_data_is_a_sample_carried_to_its_size() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 900)
    x = rng.normal(size=(900, 20)) + 2 * np.eye(20)[y]
    whole = Task.from_arrays(x, y, max_samples=900)
    sampled = Task.from_arrays(x, y, max_samples=300)
    network = Architecture(1.5, 0.1, 4)
    exact, carried = (ntp.spectrum(network, task) for task in (whole, sampled))
    assert sampled.n_train == whole.n_train == 900
    assert carried.lambda_max == pytest.approx(exact.lambda_max, rel=0.1)
    assert carried.lambda_bulk == pytest.approx(exact.lambda_bulk, rel=0.5)


def test_tasks_and_priors_survive_a_round_trip_as_json(tmp_path: Path, prior: NTKPrior) -> None:
    prior.task.save(tmp_path / "task.json")
    prior.save(tmp_path / "prior.json")
    network = {"weight_variance": 1.5, "bias_variance": 0.1, "depth": 9}
    for again in (NTKPrior(Task.load(tmp_path / "task.json"), BUDGET), NTKPrior.load(tmp_path / "prior.json")):
        assert again(network).score == pytest.approx(prior(network).score, abs=1e-6)
    assert (tmp_path / "task.json").stat().st_size < 100_000


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "other"}', '{"format": "ntk-prior task 1"}'])
def test_other_files_are_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    for load in (Task.load, NTKPrior.load):
        with pytest.raises(ValueError, match=r"file\.json: expected"):
            load(path)


def test_a_truncated_summary_is_refused(tmp_path: Path, task: Task) -> None:
    path = tmp_path / "task.json"
    values = task.to_json()
    values["views"]["fcn"]["cosines"] = values["views"]["fcn"]["cosines"][:-1]
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="matching shapes"):
        Task.load(path)


def test_importing_and_scoring_leaves_jax_and_the_tuners_alone() -> None:
    code = (
        "import sys, ntk_prior as ntp\n"
        "prior = ntp.NTKPrior(ntp.Task.cifar10(100), ntp.Budget(100))\n"
        "prior({'weight_variance': 1.5, 'bias_variance': 0.1, 'depth': 3}).reason\n"
        "assert not {'jax', 'flax', 'optuna', 'ray', 'torch', 'tensorflow'} & set(sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(("argument", "value"), [("task", 3), ("budget", {}), ("to_architecture", 5)])
def test_a_prior_of_the_wrong_parts_is_refused(task: Task, argument: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{argument}: expected"):
        NTKPrior(**{"task": task, "budget": BUDGET, argument: value})  # type: ignore[arg-type]
