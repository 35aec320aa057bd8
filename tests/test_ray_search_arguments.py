"""What NTKPriorSearch is given: spaces, objectives and its other arguments."""

from __future__ import annotations

from typing import Any

import pytest
from known_priors import Judged, accepts_everything, is_silent, judged, likes_small_x
from ray import tune
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Repeater
from ray.tune.search.optuna import OptunaSearch
from ray_support import search_over, tuned
from ray_trainables import SPACE

from ntk_prior_ray import NTKPriorSearch


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


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"prior": 3}, TypeError, "prior: expected a callable"),
        ({"searcher": "optuna"}, TypeError, "searcher: expected a ray.tune.search.Searcher or None, received 'optuna'"),
        ({"searcher": BasicVariantGenerator()}, TypeError, "for random draws pass None"),
        ({"searcher": Repeater(OptunaSearch())}, ValueError, "put it around NTKPriorSearch"),
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
