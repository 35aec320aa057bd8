"""What refused proposals leave behind in each search algorithm: nothing open, nothing that was never measured."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean
from typing import Any

import optuna
import pytest
from ray import tune
from ray.tune.search import Searcher
from ray.tune.search.bayesopt import BayesOptSearch
from ray.tune.search.hyperopt import HyperOptSearch
from ray.tune.search.optuna import OptunaSearch

from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.trust import Trust
from ntk_prior_ray import NTKPriorSearch
from ntk_prior_ray import proposals as proposals_module
from tests.support.priors import Judged, judged, likes_small_x, refuses_everything
from tests.support.ray_searches import Scripted, finish, search_over, sphere, tuned
from tests.support.ray_trainables import SPACE


def states(inner: OptunaSearch) -> Counter[str]:
    return Counter(trial.state.name for trial in inner._ot_study.trials)


class TestOptuna:
    def test_no_trial_is_left_open_and_every_value_was_measured(self) -> None:
        inner = OptunaSearch(seed=0)
        search = search_over(likes_small_x, inner)
        configs = tuned(search, 40, concurrent=3)
        refused = search.refusals()
        assert len(refused) > 5
        # Spare proposals are failed trials, which no sampler of Optuna's looks at.
        spare = sum(search.screen.competing(number, Trust(1.0, 1.0)) - 1 for number in range(40))
        assert states(inner) == {"COMPLETE": 40, "PRUNED": len(refused), "FAIL": spare}
        assert [trial.value for trial in inner._ot_study.trials if trial.values] == [sphere(one) for one in configs]

    def test_a_refused_proposal_violates_a_constraint_by_what_its_score_misses(self) -> None:
        inner = OptunaSearch(seed=0)
        search = search_over(likes_small_x, inner)
        tuned(search, 20)
        pruned = [trial for trial in inner._ot_study.trials if trial.state.name == "PRUNED"]
        assert pruned
        assert [trial.params for trial in pruned] == [refusal.config for refusal in search.refusals()]
        for trial in pruned:
            assert trial.constraints["ntk_prior"] == pytest.approx(0.3 - (1 - abs(trial.params["x"])))
        assert inner._ot_study.best_trial.constraints == {}

    def test_an_optuna_without_constraints_prunes_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The class says that it has none, and so does the one it is derived from.
        monkeypatch.delattr(optuna.Trial, "set_constraint")
        monkeypatch.delattr(optuna.trial.BaseTrial, "set_constraint")
        inner = OptunaSearch(seed=0)
        tuned(search_over(likes_small_x, inner, candidates=1), 20)
        assert set(states(inner)) == {"COMPLETE", "PRUNED"}
        assert all(trial.constraints == {} for trial in inner._ot_study.trials)

    def test_tpe_learns_from_them_where_feasible_networks_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def band(config: Any) -> Judged:
            distance = max(abs(config["x"] - 0.4) / 0.1, abs(config["y"] + 0.4) / 0.4)
            return judged(min(1.0, 0.3 / max(distance, 1e-9)))

        def refused() -> int:
            search = search_over(band, OptunaSearch(seed=0))
            tuned(search, 40)
            return len(search.refusals())

        taught = refused()
        monkeypatch.setattr(proposals_module, "REFUSALS_TAUGHT", 0)
        assert taught < refused() / 2

    def test_after_two_hundred_they_teach_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proposals_module, "REFUSALS_TAUGHT", 10)
        inner = OptunaSearch(seed=0)
        tuned(search_over(refuses_everything, inner), 3)
        # The sixteen proposals of each trial were handed back; what was launched came as an evaluated point.
        assert states(inner) == {"PRUNED": 10, "FAIL": 38, "COMPLETE": 3}

    def test_a_metric_that_is_no_number_leaves_no_trial_open(self) -> None:
        inner = OptunaSearch(seed=0)
        search = search_over(likes_small_x, inner, candidates=1)
        for number, loss in enumerate((math.nan, 1.0)):
            search.suggest(str(number))
            finish(search, str(number), loss)
        search.suggest("failing")
        search.on_trial_complete("failing", error=True)
        assert "RUNNING" not in states(inner)
        assert states(inner)["COMPLETE"] == 1
        assert states(inner)["FAIL"] == 1

    def test_a_uniform_draw_reaches_the_study_with_its_result(self) -> None:
        inner = OptunaSearch(sampler=optuna.samplers.PartialFixedSampler({"x": 0.9}, optuna.samplers.RandomSampler(0)))
        search = search_over(likes_small_x, inner)
        (config,) = tuned(search, 1)
        assert abs(config["x"]) <= 0.7
        complete = [trial for trial in inner._ot_study.trials if trial.state.name == "COMPLETE"]
        assert [(trial.params, trial.value) for trial in complete] == [(config, sphere(config))]

    def test_several_objectives(self) -> None:
        inner = OptunaSearch(seed=0)
        objectives = {"metric": ["a", "b"], "mode": ["min", "max"]}
        search = NTKPriorSearch(likes_small_x, inner, **objectives, space=SPACE, seed=0, candidates=1)
        for number in range(10):
            search.suggest(str(number))
            search.on_trial_complete(str(number), {"a": 1.0, "b": 2.0})
        assert set(states(inner)) == {"COMPLETE", "PRUNED"}


def test_of_several_proposals_the_best_scored_is_launched_where_spare_ones_do_no_harm() -> None:
    def best_of(searcher: Any, **options: Any) -> float:
        launched = tuned(search_over(likes_small_x, searcher, **options), 40)
        return fmean(abs(config["x"]) for config in launched)

    assert best_of(None) < best_of(OptunaSearch(seed=0)) < best_of(None, candidates=1)


class TestHyperOpt:
    def test_refused_proposals_end_as_failed_and_none_stays_new(self) -> None:
        import hyperopt

        inner = HyperOptSearch(random_state_seed=0, n_initial_points=5)
        search = search_over(likes_small_x, inner)
        tuned(search, 15)
        refused = len(search.refusals())
        assert 0 < refused < 15
        assert {trial["state"] for trial in inner._hpopt_trials.trials} == {hyperopt.JOB_STATE_DONE}
        assert Counter(inner._hpopt_trials.statuses()) == {"ok": 15, "fail": refused}
        assert not inner._live_trial_mapping

    def test_those_that_teach_nothing_end_as_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import hyperopt

        monkeypatch.setattr(proposals_module, "REFUSALS_TAUGHT", 0)
        inner = HyperOptSearch(random_state_seed=0, n_initial_points=5)
        tuned(search_over(likes_small_x, inner), 15)
        states = Counter(trial["state"] for trial in inner._hpopt_trials._dynamic_trials)
        assert set(states) == {hyperopt.JOB_STATE_DONE, hyperopt.JOB_STATE_ERROR}

    def test_points_to_evaluate_are_not_vetoed(self) -> None:
        points = [{"x": 0.95, "y": 0.1}, {"x": -0.9, "y": 0.2}]
        search = search_over(likes_small_x, HyperOptSearch(points_to_evaluate=points))
        assert [search.suggest("a"), search.suggest("b")] == points
        assert abs(search.suggest("c")["x"]) <= 0.7

    def test_nor_are_those_of_one_that_came_with_a_space(self) -> None:
        import hyperopt

        space = {"x": hyperopt.hp.uniform("x", -1, 1)}
        inner = HyperOptSearch(space, metric="loss", mode="min", points_to_evaluate=[{"x": 0.95}])
        search = NTKPriorSearch(likes_small_x, inner, epsilon=0.0, seed=0)
        assert search.suggest("a") == {"x": 0.95}
        assert search.drawn("a") is Drawn.ENQUEUED


class TestBayesOpt:
    def test_refused_proposals_do_not_use_up_its_random_phase(self) -> None:
        inner = BayesOptSearch(random_state=0, random_search_steps=4)
        search = search_over(likes_small_x, inner)
        configs = tuned(search, 8, concurrent=4)
        assert len(configs) == 8
        assert all(abs(config["x"]) <= 0.7 for config in configs)
        assert not inner._live_trial_mapping

    def test_it_learns_what_was_measured_and_nothing_else(self) -> None:
        inner = BayesOptSearch(random_state=0, random_search_steps=4)
        configs = tuned(search_over(likes_small_x, inner), 12)
        measured = {(round(one["params"]["x"], 9), round(one["target"], 9)) for one in inner.optimizer.res}
        assert measured == {(round(config["x"], 9), round(-sphere(config), 9)) for config in configs}

    def test_a_proposal_refused_again_and_again_does_not_end_the_experiment(self) -> None:
        def likes_the_corner_least(config: Any) -> Judged:
            return judged(0.0 if abs(config["x"]) > 0.99 else 1.0)

        inner = BayesOptSearch(random_state=0, random_search_steps=2, patience=2)
        search = search_over(likes_the_corner_least, inner)
        # Best at the refused edge: the model proposes it every time.
        configs = tuned(search, 12, lambda config: -config["x"])
        assert len(configs) == 12


class Ax(Scripted):
    """Ends trials as Ray's AxSearch does: it abandons those whose metric is no number, and keeps all without one."""

    def __init__(self, *proposals: Any) -> None:
        super().__init__(*proposals)
        self.abandoned: list[str] = []

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        if result and math.isnan(result[self.metric]):
            self.abandoned.append(trial_id)


class AxSearch(Ax):
    pass


def test_ax_abandons_what_was_refused() -> None:
    inner = AxSearch({"x": 0.9, "y": 0}, {"x": 0.1, "y": 0})
    search = search_over(likes_small_x, inner)
    search.suggest("a")
    assert inner.abandoned == inner.asked[:1]


class HEBOSearch(Searcher):
    """Proposes in batches and waits for a whole one, as Ray's HEBOSearch does."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch, self.live, self._batch_filled, self.n = batch, set[str](), False, 0

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **_: Any) -> bool:
        self._metric, self._mode = metric, mode
        return True

    def suggest(self, trial_id: str) -> Any:
        if not self.live:
            self._batch_filled = False
        if self._batch_filled:
            return None
        self.live.add(trial_id)
        self._batch_filled = len(self.live) >= self.batch
        self.n += 1
        return {"x": 0.9 if self.n % 2 else 0.1, "y": self.n / 1000}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.live.remove(trial_id)


def test_hebo_does_not_wait_for_a_batch_that_was_refused() -> None:
    search = search_over(likes_small_x, HEBOSearch(2))
    assert search.suggest("a") == {"x": 0.1, "y": 0.002}
    assert search.suggest("b") == {"x": 0.1, "y": 0.004}
    assert search.suggest("c") is None


def test_a_search_algorithm_derived_from_one_of_rays_is_treated_alike() -> None:
    class Own(OptunaSearch):
        pass

    inner = Own(seed=0)
    tuned(search_over(likes_small_x, inner), 20)
    assert set(states(inner)) == {"COMPLETE", "PRUNED", "FAIL"}


def test_nested_and_categorical_spaces_reach_the_study_by_flat_names() -> None:
    space = {"net": {"x": tune.uniform(-1, 1), "kind": tune.choice(["a", "b"])}, "constant": 1}
    inner = OptunaSearch(sampler=optuna.samplers.PartialFixedSampler({"net/x": 0.9}, optuna.samplers.RandomSampler(0)))
    search = search_over(lambda config: likes_small_x(config["net"]), inner, space=space)
    (config,) = tuned(search, 1, lambda config: config["net"]["x"])
    complete = [trial for trial in inner._ot_study.trials if trial.state.name == "COMPLETE"]
    assert [trial.params for trial in complete] == [{"net/x": config["net"]["x"], "net/kind": config["net"]["kind"]}]
