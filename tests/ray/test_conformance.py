"""What Ray Tune expects of a search algorithm, held against NTKPriorSearch around each of those it can wrap."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest
from ray import cloudpickle, tune
from ray.tune.search import ConcurrencyLimiter, Searcher, SearchGenerator
from ray.tune.search.optuna import OptunaSearch

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior_ray import NTKPriorSearch
from tests.support.priors import Judged, is_silent, judged, likes_small_x
from tests.support.ray_searches import SEARCHERS, finish, search_over, tuned
from tests.support.ray_trainables import SPACE

pytestmark = pytest.mark.filterwarnings("ignore:.*not unique:UserWarning")

every_searcher = pytest.mark.parametrize("make", SEARCHERS.values(), ids=SEARCHERS)


@every_searcher
@pytest.mark.parametrize("concurrent", [1, 4])
def test_trials_run_one_or_several_at_a_time(make: Callable[[], Searcher | None], concurrent: int) -> None:
    configs = tuned(search_over(likes_small_x, make()), 12, concurrent=concurrent)
    assert len(configs) == 12
    assert all(set(config) == {"x", "y"} and abs(config["x"]) <= 0.7 for config in configs)


@every_searcher
@pytest.mark.parametrize("concurrent", [1, 4])
def test_a_limiter_around_it(make: Callable[[], Searcher | None], concurrent: int) -> None:
    limiter = ConcurrencyLimiter(search_over(likes_small_x, make()), max_concurrent=concurrent)
    assert len(tuned(limiter, 10, concurrent=concurrent)) == 10


@every_searcher
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "text"])
def test_invalid_values_do_not_stop_the_search(make: Callable[[], Searcher | None], value: Any) -> None:
    search = search_over(likes_small_x, make())
    for number in range(8):
        assert isinstance(search.suggest(str(number)), dict)
        result = {"loss": value if number % 2 else 0.5, "training_iteration": 1}
        search.on_trial_result(str(number), result)
        search.on_trial_complete(str(number), result)
    assert isinstance(search.suggest("next"), dict)


@every_searcher
def test_a_missing_metric_a_failure_and_a_trial_without_result_do_not_stop_the_search(
    make: Callable[[], Searcher | None],
) -> None:
    search = search_over(likes_small_x, make())
    for number in range(9):
        assert isinstance(search.suggest(str(number)), dict)
        match number % 3:
            case 0:
                search.on_trial_result(str(number), {"other": 1})
                search.on_trial_complete(str(number), {"other": 1})
            case 1:
                search.on_trial_complete(str(number), error=True)
            case 2:
                search.on_trial_complete(str(number))
    finish(search, "8", 1.0)


@every_searcher
def test_a_saved_search_goes_on_as_if_it_had_not_stopped(make: Callable[[], Searcher | None], tmp_path: Path) -> None:
    search = search_over(likes_small_x, make(), epsilon=0.2, seed=3)
    tuned(search, 8)
    search.suggest("running")
    search.save(str(tmp_path / "state"))
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]
    restored = search_over(likes_small_x, make(), epsilon=0.2, seed=99)
    restored.restore(str(tmp_path / "state"))
    assert restored._ledger == search._ledger
    for one in (search, restored):
        finish(one, "running", 0.1)
    # More suggestions after than before; the models of HyperOpt and BayesOpt draw alike, since their state is saved.
    assert tuned(search, 12, start=8) == tuned(restored, 12, start=8)


@every_searcher
def test_a_tuners_folder_restores_it_too(make: Callable[[], Searcher | None], tmp_path: Path) -> None:
    search = search_over(likes_small_x, make())
    tuned(search, 8)
    SearchGenerator(search).save_to_dir(str(tmp_path), "session")
    restored = search_over(likes_small_x, make(), seed=99)
    restored.restore_from_dir(str(tmp_path))
    assert tuned(search, 5, start=8) == tuned(restored, 5, start=8)


def test_the_folder_of_another_experiment_is_no_state_of_ours(tmp_path: Path) -> None:
    inner = OptunaSearch(SPACE, metric="loss", mode="min")
    SearchGenerator(inner).save_to_dir(str(tmp_path), "session")
    with pytest.raises(ValueError, match="expected a file saved by NTKPriorSearch"):
        search_over(likes_small_x, OptunaSearch()).restore_from_dir(str(tmp_path))


@every_searcher
def test_a_warm_start_continues_the_count(make: Callable[[], Searcher | None]) -> None:
    search = search_over(likes_small_x, make())
    for number in range(5):
        search.add_evaluated_point({"x": number / 10, "y": 0.0}, number / 10)
    assert len(search._ledger.evidence) == 5
    assert len(tuned(search, 6)) == 6


@pytest.mark.parametrize("name", ["uniform", "optuna", "hyperopt"])
def test_nested_and_categorical_spaces(name: str) -> None:
    def judge(config: Any) -> Judged:
        return judged(0.1 if config["net"]["kind"] == "bad" else 0.9)

    space = {
        "net": {"kind": tune.choice(["good", "fair", "bad"]), "depth": tune.randint(1, 5)},
        "rate": tune.loguniform(1e-3, 1),
        "steps": 10,
    }
    configs = tuned(search_over(judge, SEARCHERS[name](), space=space), 20, lambda config: config["rate"])
    assert {config["net"]["kind"] for config in configs} == {"good", "fair"}


def test_a_conditional_space_defined_by_run() -> None:
    def space(trial: Any) -> None:
        if trial.suggest_categorical("kind", ["fcn", "cnn"]) == "cnn":
            trial.suggest_float("x", -1, 1)

    inner = OptunaSearch(space, metric="loss", mode="min", seed=0)
    search = NTKPriorSearch(likes_small_x, inner, epsilon=0.0, seed=0)
    configs = tuned(search, 30, lambda config: 1.0)
    assert {config["kind"] for config in configs} == {"fcn", "cnn"}
    assert all(abs(config.get("x", 0)) <= 0.7 for config in configs)


def test_constants_of_the_tuner_around_a_space_of_the_search_algorithms_own() -> None:
    seen = []

    def remembers(config: Any) -> Judged:
        seen.append(config)
        return judged(1.0)

    inner = OptunaSearch({"x": SPACE["x"]}, metric="loss", mode="min")
    search = NTKPriorSearch(remembers, inner, seed=0)
    assert not search.set_search_properties(None, None, {"steps": 5})
    search.suggest("a")
    assert set(seen[-1]) == {"x", "steps"}


@every_searcher
def test_results_that_are_jax_arrays_leave_no_jax_in_what_is_saved(
    make: Callable[[], Searcher | None], tmp_path: Path
) -> None:
    search = search_over(likes_small_x, make())
    for number in range(3):
        search.suggest(str(number))
        result = {"loss": jnp.float32(0.5), "training_iteration": 1}
        search.on_trial_result(str(number), result)
        search.on_trial_complete(str(number), result)
    assert b"jaxlib" not in cloudpickle.dumps(search.get_state())
    search.save(str(tmp_path / "state"))


def test_the_driver_that_unpickles_it_imports_no_jax(tmp_path: Path) -> None:
    prior = NTKPrior(Task.equicorrelated(50, 0.1), Budget(steps=100, width=64))
    path = tmp_path / "search.pkl"
    path.write_bytes(
        cloudpickle.dumps(NTKPriorSearch(prior, metric="loss", mode="min", space={"depth": tune.randint(1, 9)}))
    )
    code = f"""
import pickle, sys
search = pickle.load(open({str(path)!r}, "rb"))
assert search.suggest("a")["depth"] < 9
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_search_with_a_silent_prior_changes_nothing() -> None:
    alone, wrapped = OptunaSearch(seed=1), OptunaSearch(seed=1)
    alone.set_search_properties("loss", "min", SPACE)
    search = search_over(is_silent, wrapped, epsilon=0.1)
    assert tuned(search, 20) == tuned(alone, 20)
