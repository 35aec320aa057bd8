"""What is used of Ray besides its public names: it is there, and each thing that is not is told of once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray.air import constants
from ray.train._internal.storage import StorageContext
from ray.tune import ResultGrid
from ray.tune.execution.tune_controller import TuneController
from ray.tune.impl import placeholder
from ray.tune.search import ConcurrencyLimiter, Searcher, search_generator, variant_generator
from ray.tune.search.bayesopt import BayesOptSearch
from ray.tune.search.hyperopt import HyperOptSearch
from ray.tune.search.optuna import OptunaSearch

from ntk_prior_ray import NTKPriorSearch, _ray
from tests.support.priors import likes_small_x
from tests.support.ray_searches import SEARCHERS


@pytest.fixture(autouse=True)
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has looked for nothing yet."""
    monkeypatch.setattr(_ray._EXPECTATIONS, "_checked", set())


class WithoutMetric(Searcher):
    """As Ray's, but for where it keeps the metric."""

    def __init__(self, metric: Any = None, mode: Any = None) -> None:
        super().__init__(metric, mode)
        del self._metric


class WithoutSearcher(ConcurrencyLimiter):
    """As Ray's, but for where it keeps what it limits."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        del self.searcher


class WithoutAnalysis(ResultGrid):
    """As Ray's, but for where it keeps what it was made of."""

    def __init__(self, analysis: Any) -> None:
        super().__init__(analysis)
        del self._experiment_analysis


Change = Callable[[pytest.MonkeyPatch], None]
CHANGES: dict[str, tuple[str, Change]] = {
    "parse_spec_vars": (
        "search spaces cannot be read",
        lambda patch: patch.delattr(variant_generator, "parse_spec_vars"),
    ),
    "_metric and _mode": ("do not reach the search", lambda patch: patch.setattr(_ray, "Searcher", WithoutMetric)),
    "the attribute searcher": (
        "limiters are not looked into",
        lambda patch: patch.setattr(_ray, "ConcurrencyLimiter", WithoutSearcher),
    ),
    "__fn_ph and __ref_ph": (
        "asked about the Tuner's placeholders",
        lambda patch: patch.setattr(placeholder._FunctionResolver, "TOKEN", "__function"),
    ),
    "the placeholders __fn_ph": ("placeholders", lambda patch: patch.delattr(placeholder, "_RefResolver")),
    "the storage of ray.tune.experiment.Trial": (
        "cannot write ntk_rejections.jsonl",
        lambda patch: patch.delattr(StorageContext, "experiment_fs_path"),
    ),
    "search_gen_state-": (
        "does not find its state",
        lambda patch: patch.setattr(search_generator.SearchGenerator, "CKPT_FILE_TMPL", "search-{}.json"),
    ),
    "experiment_state-": (
        "do not know its metric",
        lambda patch: patch.setattr(TuneController, "CKPT_FILE_TMPL", "experiment-{}.json"),
    ),
    "params.json, result.json and error.txt": (
        "do not find its trials",
        lambda patch: patch.setattr(constants, "EXPR_RESULT_FILE", "results.json"),
    ),
    "_experiment_analysis": (
        "have to be given metric and mode",
        lambda patch: patch.setattr(_ray, "ResultGrid", WithoutAnalysis),
    ),
}


@pytest.mark.parametrize(("told", "change"), CHANGES.values(), ids=CHANGES.keys())
def test_what_is_not_where_it_was_is_told_of_once(
    told: str, change: Change, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    change(monkeypatch)
    with pytest.warns(RuntimeWarning) as caught:
        NTKPriorSearch(likes_small_x)
    NTKPriorSearch(likes_small_x)
    (message,) = [str(one.message) for one in caught]
    assert request.node.callspec.id in message
    assert told in message
    assert f"which Ray {ray.__version__} does not have" in message


ATTRIBUTES: dict[str, tuple[Callable[[], Any], str]] = {
    "OptunaSearch._points_to_evaluate": (OptunaSearch, "screened as if nobody had asked for them"),
    "OptunaSearch._ot_trials": (OptunaSearch, "how infeasible refused proposals are"),
    "OptunaSearch._ot_study": (OptunaSearch, "a second prior in the study is not noticed"),
    "HyperOptSearch._points_to_evaluate": (HyperOptSearch, "screened as if nobody had asked for them"),
    "BayesOptSearch._config_counter": (BayesOptSearch, "may end early"),
    "BayesOptSearch._total_random_search_trials": (BayesOptSearch, "may wait for ever"),
    "BayesOptSearch.optimizer": (BayesOptSearch, "does not learn from configurations that it did not propose"),
}


@pytest.mark.parametrize("place", ATTRIBUTES)
def test_what_a_search_algorithm_lacks_is_told_of_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, told = ATTRIBUTES[place]
    name = place.partition(".")[2]

    def lacking() -> Any:
        searcher = make()
        delattr(searcher, name)
        monkeypatch.delattr(type(searcher), name, raising=False)
        return searcher

    first, second = lacking(), lacking()
    with pytest.warns(RuntimeWarning) as caught:
        NTKPriorSearch(likes_small_x, first)
    NTKPriorSearch(likes_small_x, second)
    (message,) = [str(one.message) for one in caught]
    assert f"the attribute {name} of " in message
    assert told in message


def test_a_method_that_hyperopt_lacks_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(HyperOptSearch, "_get_hyperopt_trial")
    with pytest.warns(RuntimeWarning, match="_get_hyperopt_trial of .* does not learn from refused proposals"):
        NTKPriorSearch(likes_small_x, HyperOptSearch())


def test_a_search_algorithm_of_rays_that_is_not_known_is_told_of() -> None:
    renamed = type("OptunaSearcher", (Searcher,), {"__module__": "ray.tune.search.optuna.optuna_search"})
    with pytest.warns(RuntimeWarning, match=r"optuna_search\.OptunaSearcher, which Ray .* without peculiarities"):
        NTKPriorSearch(likes_small_x, renamed())


@pytest.mark.parametrize("make", SEARCHERS.values(), ids=SEARCHERS.keys())
def test_nothing_is_told_of_the_ray_that_is_installed(make: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NTKPriorSearch(likes_small_x, make())
