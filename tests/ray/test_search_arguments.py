"""What NTKPriorSearch is given: spaces, objectives and its other arguments."""

from __future__ import annotations

import math
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from ray import tune
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Repeater
from ray.tune.search.optuna import OptunaSearch

from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.records import same
from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_ray import NTKPriorSearch
from tests.support.priors import Judged, accepts_everything, is_silent, judged, likes_small_x
from tests.support.ray_searches import Scripted, search_over, tuned
from tests.support.ray_trainables import SPACE


class TestSpaces:
    def test_constants_of_the_tuner_are_part_of_what_is_judged(self) -> None:
        seen: list[Any] = []

        def remembers(config: Any) -> Judged:
            seen.append(config)
            return judged(1.0)

        search = search_over(remembers, space={"net": {"depth": 3, "x": tune.uniform(0, 1)}, "steps": 7})
        assert set(search.suggest("a")) == {"net"}
        assert seen[-1]["steps"] == 7
        assert seen[-1]["net"]["depth"] == 3

    @pytest.mark.parametrize("inner", [None, OptunaSearch(seed=0)])
    def test_a_space_given_to_the_search_waits_for_the_objective_and_keeps_its_constants(self, inner: Any) -> None:
        space = {"net": {"x": tune.uniform(-1, 1), "depth": 3}, "twice": tune.sample_from(lambda c: 2 * c["net"]["x"])}
        search = NTKPriorSearch(lambda config: likes_small_x(config["net"]), inner, space=space, epsilon=0, seed=0)
        search.set_search_properties("loss", "min", {"batch": 8})
        for number in range(20):
            config = search.suggest(str(number))
            assert abs(config["net"]["x"]) <= 0.7
            assert config["net"]["depth"] == 3
            assert config["twice"] == 2 * config["net"]["x"]

    def test_a_space_of_its_own_and_one_from_the_tuner_is_the_tuners_error(self) -> None:
        search = NTKPriorSearch(likes_small_x, space=SPACE, metric="loss", mode="min")
        assert not search.set_search_properties("loss", "min", SPACE)

    def test_every_domain_of_ray_can_be_drawn(self) -> None:
        space = {
            "choice": tune.choice(["a", "b"]),
            "loguniform": tune.loguniform(1e-3, 1),
            "quniform": tune.quniform(0, 1, 0.25),
            "qloguniform": tune.qloguniform(0.5, 8, 0.5),
            "randint": tune.randint(1, 4),
            "qrandint": tune.qrandint(2, 8, 2),
            "lograndint": tune.lograndint(1, 100),
            "randn": tune.randn(0, 1),
            "in a list": [1, tune.uniform(2, 3)],
            "of the others": tune.sample_from(lambda config: config["randint"] + 1),
            "constant": "kept",
        }
        search = NTKPriorSearch(accepts_everything, space=space, metric="loss", mode="min", seed=3)
        draws = [search.suggest(str(number)) for number in range(60)]
        assert {draw["choice"] for draw in draws} == {"a", "b"}
        assert {draw["quniform"] for draw in draws} == {0, 0.25, 0.5, 0.75, 1}
        assert {draw["randint"] for draw in draws} == {1, 2, 3}
        assert {draw["qrandint"] for draw in draws} == {2, 4, 6, 8}
        assert all(draw["of the others"] == draw["randint"] + 1 for draw in draws)
        assert all(draw["in a list"][0] == 1 and 2 <= draw["in a list"][1] <= 3 for draw in draws)
        assert all(draw["constant"] == "kept" for draw in draws)
        assert len({draw["loguniform"] for draw in draws}) == 60

    def test_what_the_tuner_hides_is_not_judged_and_the_user_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        hidden = {"x": ("__fn_ph", "12345678"), "y": tune.uniform(-1, 1)}
        search = search_over(likes_small_x, space=hidden)
        search.suggest("a")
        assert "refuses nothing in this search space" in caplog.text
        assert "hides x (functions or objects)" in caplog.text

    def test_a_space_that_the_prior_cannot_map_is_warned_of_once_before_anything_starts(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        search = search_over(is_silent)
        assert caplog.text.count("refuses nothing in this search space: nothing known") == 1
        tuned(search, 30)
        assert len(caplog.records) == 1

    def test_a_prior_that_fails_is_warned_of_once(self, caplog: pytest.LogCaptureFixture) -> None:
        def fails(config: Any) -> Judged:
            raise ValueError("pooling: expected False")

        tuned(search_over(fails), 5)
        assert [record.message.count("ValueError: pooling: expected False") for record in caplog.records] == [1]

    def test_grid_search_is_refused_with_what_to_do(self) -> None:
        search = NTKPriorSearch(likes_small_x)
        with pytest.raises(ValueError, match=r"tune\.grid_search for x: .* Use tune\.choice"):
            search.set_search_properties("loss", "min", {"x": tune.grid_search([1, 2])})


class ReadsX:
    """A prior that says which names it does not read; silent without x."""

    def __init__(self, *unread: str) -> None:
        self.names = unread

    def __call__(self, config: Any) -> Judged:
        return likes_small_x(config)

    def unread(self, config: Any) -> tuple[str, ...]:
        return self.names


class TestWhatTheUserIsTold:
    @pytest.mark.parametrize("unread", [("net/rate", "net/decay", "seed"), ("net", "seed")])
    def test_names_that_the_prior_does_not_look_at_are_told_once_and_flat_before_anything_starts(
        self, unread: tuple[str, ...], caplog: pytest.LogCaptureFixture
    ) -> None:
        space = {"x": tune.uniform(-1, 1), "net": {"rate": tune.uniform(0, 1), "decay": 0.1}, "seed": 7}
        search = search_over(ReadsX(*unread), space=space)
        told = (
            "the prior looks at x and not at net/decay, net/rate, seed: whatever those are, its judgement is the same"
        )
        assert [told in record.message for record in caplog.records] == [True]
        tuned(search, 5, lambda config: config["x"])
        assert len(caplog.records) == 1

    def test_in_a_space_that_is_not_known_they_are_told_of_the_first_trial(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def space(trial: Any) -> None:
            trial.suggest_float("x", -0.1, 0.1)
            trial.suggest_float("rate", 0, 1)

        inner = OptunaSearch(space, metric="loss", mode="min", seed=0)
        tuned(NTKPriorSearch(ReadsX("rate"), inner, epsilon=0.0, seed=0), 5, lambda config: config["x"])
        assert [record.message.count("looks at x and not at rate") for record in caplog.records] == [1]

    @pytest.mark.parametrize("prior", [ReadsX(), likes_small_x])
    def test_where_it_looks_at_all_nothing_is_told(self, prior: Any, caplog: pytest.LogCaptureFixture) -> None:
        tuned(search_over(prior), 3)
        assert not caplog.records

    def test_nothing_is_told_of_names_where_it_is_silent_anyway(self, caplog: pytest.LogCaptureFixture) -> None:
        search_over(ReadsX("y"), space={"y": tune.uniform(-1, 1)})
        assert [record.message.count("refuses nothing in this search space") for record in caplog.records] == [1]

    def test_silence_about_half_of_the_first_configurations_is_told_once_with_a_reason(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def knows_sgd(config: Any) -> Judged:
            return judged(0.9) if config["optimizer"] == "sgd" else Judged(None, "outside_theory", "Adam: bounds only")

        space = {"x": tune.uniform(-1, 1), "optimizer": tune.choice(["sgd", "adam", "adam", "adam"])}
        search = search_over(knows_sgd, space=space)
        (record,) = caplog.records
        assert re.search(r"nothing to say about 1[0-5] of the first 16 configurations", record.message)
        assert record.message.endswith("refuses none like these. Of one of them: Adam: bounds only")
        tuned(search, 20, lambda config: config["x"])
        assert len(caplog.records) == 1

    def test_silence_about_a_few_is_not_told(self, caplog: pytest.LogCaptureFixture) -> None:
        space = {"x": tune.uniform(-1, 1), "kind": tune.choice(["fcn"] * 9 + ["other"])}
        search_over(lambda config: judged(0.9 if config["kind"] == "fcn" else None), space=space)
        assert not caplog.records


class TestOddValues:
    @pytest.mark.parametrize(
        "values",
        [
            [np.array([64, 32]), np.array([64, 32, 16])],
            [pd.DataFrame({"units": [64]}), pd.Series([64, 32])],
            [(np.array([64, 32]), 1), (np.array([8]), 2)],
            [[np.array([1.0, 2.0])], [np.array([3.0, 4.0])]],
            [math.nan, np.float64("nan")],
            [jnp.ones(3), jnp.zeros(3)],
        ],
    )
    def test_choices_may_be_anything_that_python_cannot_compare(self, values: list[Any]) -> None:
        space = {"x": tune.uniform(-1, 1), "layers": tune.choice(values)}
        search = NTKPriorSearch(likes_small_x, space=space, metric="loss", mode="min", epsilon=0.0, seed=0)
        found = tuned(search, 12, lambda config: config["x"])
        assert all(abs(config["x"]) <= 0.7 for config in found)
        assert {id(config["layers"]) for config in found} == {id(value) for value in values}

    def test_a_proposal_with_arrays_that_repeats_itself_gives_way_to_uniform_draws(self) -> None:
        proposals = [{"x": 0.9, "layers": np.array([64, 32])} for _ in range(8)]
        inner = Scripted(*proposals)
        search = search_over(likes_small_x, inner, space={"x": tune.uniform(-1, 1), "layers": None})
        assert abs(search.suggest("a")["x"]) <= 0.7
        assert len(inner.asked) == 2

    def test_a_point_to_evaluate_with_an_array_or_a_tuple_is_known_again(self) -> None:
        points = [{"x": 0.9, "layers": (8, np.array([4, 2]))}, {"x": 0.9, "layers": (8, np.array([1, 2]))}]
        inner = Scripted({"x": 0.9, "layers": [8, np.array([1, 2])]}, {"x": 0.9, "layers": [8, np.array([4, 2])]})
        inner._points_to_evaluate = points
        search = search_over(likes_small_x, inner)
        for trial_id in ("a", "b"):
            assert search.suggest(trial_id)["x"] == 0.9
            assert search.drawn(trial_id) is Drawn.ENQUEUED


class Unequal:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


ONE = Unequal()


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": {"c": (1, 2)}}, {"b": {"c": [1, 2]}, "a": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": None}, {"b": None}, False),
        (math.nan, np.float64("nan"), True),
        (np.array([1, 1]), np.array([1]), False),
        (np.array([1, 1]), 1, False),
        (np.array([]), np.array([1.0]), False),
        (np.array([1, 2]), [1, 2], True),
        (np.array([1, 2]), np.array([1, 3]), False),
        (pd.Series([1, 2]), pd.Series([1, 2]), True),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), False),
        (jnp.ones(2), jnp.ones(2), True),
        (ONE, ONE, True),
        (ONE, Unequal(), False),
        ({"a": ONE}, {"a": Unequal()}, False),
        ("ab", ["a", "b"], False),
        (None, {}, False),
    ],
)
def test_configurations_are_compared_whatever_their_values_are(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


class TestObjective:
    def test_metric_and_mode_are_those_of_the_search_algorithm_inside(self) -> None:
        search = NTKPriorSearch(likes_small_x, ConcurrencyLimiter(OptunaSearch(metric="loss", mode="min"), 2))
        assert (search.metric, search.mode) == ("loss", "min")

    def test_metric_and_mode_of_the_tuner_are_seen_from_around(self) -> None:
        search = NTKPriorSearch(likes_small_x)
        repeater = Repeater(search)
        assert search.metric is None
        repeater.set_search_properties("loss", "min", SPACE)
        assert repeater.searcher.metric == "loss"

    def test_without_any_the_first_suggestion_says_what_is_missing(self) -> None:
        with pytest.raises(RuntimeError, match="pass both to TuneConfig"):
            NTKPriorSearch(likes_small_x, space=SPACE).suggest("a")

    def test_without_a_space_too(self) -> None:
        with pytest.raises(RuntimeError, match="no search space: pass param_space"):
            NTKPriorSearch(likes_small_x, metric="loss", mode="min").suggest("a")

    @pytest.mark.parametrize(
        ("objective", "kind", "message"),
        [
            ({"metric": "loss", "mode": "smallest"}, ValueError, "mode: expected one of min, max, received 'smallest'"),
            ({"metric": 3, "mode": "min"}, TypeError, "metric: expected a string or a list of strings, received 3"),
            ({"metric": ["a", "b"], "mode": "min"}, TypeError, "expected one mode for each metric"),
            ({"metric": ["a", "b"], "mode": ["min"]}, TypeError, "expected one mode for each metric"),
        ],
    )
    def test_wrong_ones_are_refused(self, objective: dict[str, Any], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            NTKPriorSearch(likes_small_x, **objective)
        with pytest.raises(kind, match=message):
            NTKPriorSearch(likes_small_x).set_search_properties(config=SPACE, **objective)

    def test_contradictions_are_refused(self) -> None:
        with pytest.raises(ValueError, match="metric: expected 'loss', which the search algorithm has, received 'acc'"):
            NTKPriorSearch(likes_small_x, OptunaSearch(metric="loss", mode="min"), metric="acc", mode="max")


class OwnSearch(OptunaSearch):
    pass


class OwnSampler(RandomSampler):
    def __init__(self, inside: BaseSampler) -> None:
        super().__init__()
        self.inside = inside


SAMPLER = NTKPriorSampler(likes_small_x)
WITH_A_PRIOR = [
    NTKPriorSearch(likes_small_x),
    ConcurrencyLimiter(NTKPriorSearch(likes_small_x, OptunaSearch()), 2),
    OptunaSearch(sampler=SAMPLER),
    OptunaSearch({"x": FloatDistribution(-1, 1)}, metric="loss", mode="min", sampler=SAMPLER),
    OptunaSearch(sampler=PartialFixedSampler({"x": 0}, SAMPLER)),
    OptunaSearch(sampler=OwnSampler(SAMPLER)),
    OwnSearch(sampler=SAMPLER),
    ConcurrencyLimiter(OwnSearch(sampler=SAMPLER), 2),
]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"prior": 3}, TypeError, "prior: expected a callable"),
        ({"searcher": "optuna"}, TypeError, "searcher: expected a ray.tune.search.Searcher or None, received 'optuna'"),
        ({"searcher": BasicVariantGenerator()}, TypeError, "for random draws pass None"),
        ({"searcher": Repeater(OptunaSearch())}, ValueError, "put it around NTKPriorSearch"),
        *[({"searcher": one}, ValueError, "expected a search algorithm without a prior") for one in WITH_A_PRIOR],
        ({"space": [1]}, TypeError, "space: expected a dictionary"),
        ({"threshold": 2}, ValueError, "threshold: expected"),
        ({"epsilon": "a"}, TypeError, "epsilon: expected"),
        ({"max_draws": 0}, ValueError, "max_draws: expected"),
        ({"seed": -1}, ValueError, "seed: expected"),
        ({"on_exhausted": "stop"}, ValueError, "on_exhausted: expected one of propose, finish, error, received 'stop'"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        NTKPriorSearch(**{"prior": likes_small_x, **arguments})
