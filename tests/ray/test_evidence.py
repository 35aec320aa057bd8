"""What NTKPriorSearch learns about the prior from finished trials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from ray import cloudpickle, tune
from ray.tune.search.optuna import OptunaSearch

from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.trust import trust_in_view_of, withdrawn_verdicts
from ntk_prior_ray import NTKPriorSearch
from tests.support.priors import Judged, accepts_everything, is_silent, likes_large_x, likes_small_x
from tests.support.ray_searches import Scripted, finish, search_over, tuned
from tests.support.ray_trainables import SPACE

BAD, GOOD = {"x": 0.9, "y": 0.0}, {"x": 0.1, "y": 0.0}


class TestEvidence:
    def test_a_prior_that_is_wrong_about_every_trial_loses_trust(self) -> None:
        search = search_over(likes_large_x, epsilon=0.2, seed=1)
        configs = tuned(search, 150)
        assert search.trust.refusals < 0.05
        assert abs(configs[0]["x"]) >= 0.7
        assert np.mean([abs(config["x"]) < 0.7 for config in configs[-50:]]) > 0.5

    def test_a_prior_that_is_right_keeps_trust(self) -> None:
        search = search_over(likes_small_x, epsilon=0.2)
        tuned(search, 100)
        assert search.trust.refusals == 1.0

    def test_a_verdict_that_audits_contradict_is_withdrawn_alone(self, caplog: pytest.LogCaptureFixture) -> None:
        def is_half_right(config: dict[str, Any]) -> Judged:
            if abs(config["x"]) > 0.7:
                return Judged(0.1, "untrainable")
            return Judged(0.2, "memorizes_only") if abs(config["y"]) < 0.4 else Judged(0.9)

        search = search_over(is_half_right, epsilon=0.2)
        configs = tuned(search, 120)
        assert "the verdict memorizes_only is withdrawn: after " in caplog.text
        assert "untrainable" not in caplog.text
        assert any(abs(config["y"]) < 0.4 for config in configs[80:])

    @pytest.mark.parametrize("loss", [math.nan, None, "diverged", pytest.param(10**400, id="huge")])
    def test_a_trial_whose_metric_is_no_number_ranks_last(self, loss: Any) -> None:
        search = search_over(accepts_everything)
        search.suggest("a")
        search.on_trial_complete("a", {"loss": loss})
        search.suggest("b")
        search.on_trial_complete("b", {"other": 1.0})
        search.suggest("c")
        search.on_trial_complete("c", error=True)
        assert [one.losses for one in search._ledger.evidence] == [(math.inf,)] * 3

    def test_the_direction_of_the_metric_counts(self) -> None:
        search = NTKPriorSearch(accepts_everything, seed=0)
        search.set_search_properties("accuracy", "max", SPACE)
        search.suggest("a")
        search.on_trial_complete("a", {"accuracy": 0.75})
        assert [one.losses for one in search._ledger.evidence] == [(-0.75,)]

    def test_a_trial_that_a_scheduler_ends_while_it_is_paused_counts_by_its_last_result(self) -> None:
        search = search_over(accepts_everything)
        search.suggest("a")
        search.on_trial_result("a", {"loss": 3.0, "training_iteration": 1})
        search.on_trial_complete("a")
        assert [one.losses for one in search._ledger.evidence] == [(3.0,)]

    def test_a_trial_that_never_ran_says_nothing(self) -> None:
        search = search_over(accepts_everything)
        search.suggest("a")
        search.on_trial_complete("a")
        assert search._ledger.evidence == []

    @pytest.mark.parametrize("inner", [None, OptunaSearch(seed=0)])
    def test_a_trial_that_failed_and_is_resumed_counts_by_what_becomes_of_it(self, inner: Any) -> None:
        search = search_over(accepts_everything, inner)
        for trial_id in ("a", "b"):
            search.suggest(trial_id)
            search.on_trial_complete(trial_id, error=True)
        assert [one.losses for one in search._ledger.evidence] == [(math.inf,)] * 2
        # A restored Tuner runs a trial again without asking for its configuration.
        search.set_state(search.get_state())
        assert search.drawn("a") is Drawn.SCREENED
        finish(search, "a", 0.5)
        assert sorted(one.losses for one in search._ledger.evidence) == [(0.5,), (math.inf,)]
        search.on_trial_complete("b", error=True)
        assert sorted(one.losses for one in search._ledger.evidence) == [(0.5,), (math.inf,)]
        finish(search, "b", 0.25)
        assert sorted(one.losses for one in search._ledger.evidence) == [(0.25,), (0.5,)]
        finish(search, "a", 0.75)
        assert sorted(one.losses for one in search._ledger.evidence) == [(0.25,), (0.5,)]
        if isinstance(inner, OptunaSearch):
            complete = [trial.value for trial in inner._ot_study.trials if trial.state.name == "COMPLETE"]
            assert complete == [0.5, 0.25]

    def test_one_that_is_started_anew_is_known_by_its_configuration(self) -> None:
        space = {"x": tune.uniform(-1, 1), "net": {"y": tune.uniform(-1, 1)}, "constant": 3}
        search = search_over(accepts_everything, space=space)
        config = search.suggest("a")
        search.on_trial_complete("a", error=True)
        for x, evidence in ((0.0, math.inf), (config["x"], 0.5)):
            result = {"loss": 0.5, "config/x": x, "config/net/y": config["net"]["y"], "config/constant": 3}
            search.on_trial_result("b", result)
            search.on_trial_complete("b", result)
            assert [one.losses for one in search._ledger.evidence] == [(evidence,)]

    def test_the_latest_four_hundred_failures_are_kept(self) -> None:
        search = search_over(accepts_everything, candidates=1)
        for number in range(410):
            search.suggest(str(number))
            search.on_trial_complete(str(number), error=True)
        assert list(search._ledger.failed) == [str(number) for number in range(10, 410)]

    def test_a_state_stored_without_failures_is_taken(self) -> None:
        search = search_over(accepts_everything)
        search.suggest("a")
        state = search.get_state()
        del vars(state["ledger"])["failed"]
        restored = search_over(accepts_everything)
        restored.set_state(cloudpickle.loads(cloudpickle.dumps(state)))
        restored.on_trial_complete("a", error=True)
        finish(restored, "a", 0.5)
        assert [one.losses for one in restored._ledger.evidence] == [(0.5,)]

    def test_trust_is_that_of_all_evidence_whenever_it_is_asked_for(self) -> None:
        search = search_over(likes_large_x, epsilon=1.0)
        asked = []
        for number in range(40):
            search.suggest(str(number))
            finish(search, str(number), abs(float(number) - 20))
            asked.append((search.trust, search._ledger.withdrawn(0.3)))
            evidence = search._ledger.evidence
            assert asked[-1] == (trust_in_view_of(evidence, 0.3), withdrawn_verdicts(evidence, 0.3))
            assert search._ledger.withdrawn(0.95) == withdrawn_verdicts(evidence, 0.95)

    def test_several_objectives_are_all_weighed(self) -> None:
        search = NTKPriorSearch(accepts_everything, OptunaSearch(), metric=["loss", "accuracy"], mode=["min", "max"])
        search.set_search_properties(None, None, SPACE)
        search.suggest("a")
        search.on_trial_complete("a", {"loss": 1.0, "accuracy": 0.5})
        assert [one.losses for one in search._ledger.evidence] == [(1.0, -0.5)]


class TestEvaluatedPoints:
    def test_they_reach_the_search_algorithm_and_the_evidence(self) -> None:
        inner = OptunaSearch(seed=0)
        search = search_over(likes_small_x, inner, space={**SPACE, "constant": 3})
        search.add_evaluated_point({**BAD, "constant": 3}, 0.5)
        assert [(trial.params, trial.value) for trial in inner._ot_study.trials] == [(BAD, 0.5)]
        assert [(one.plain, one.losses) for one in search._ledger.evidence] == [(True, (0.5,))]

    def test_a_failed_one_ranks_last(self) -> None:
        search = search_over(likes_small_x)
        search.add_evaluated_point(GOOD, 0.5, error=True)
        assert [one.losses for one in search._ledger.evidence] == [(math.inf,)]

    def test_a_search_algorithm_that_takes_none_leaves_the_evidence(self, caplog: pytest.LogCaptureFixture) -> None:
        search = search_over(likes_small_x, Scripted())
        search.add_evaluated_point(GOOD, 0.5)
        search.add_evaluated_point(BAD, 0.5)
        assert len(search._ledger.evidence) == 2
        assert caplog.text.count("Scripted cannot learn") == 1

    def test_they_are_no_audits_and_say_nothing_where_the_prior_is_silent(self) -> None:
        search = search_over(is_silent)
        search.add_evaluated_point(GOOD, 0.5)
        assert search._ledger.evidence == []
        assert search._ledger.number == 0

    def test_one_that_the_search_algorithm_cannot_take_is_told_of_and_ends_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def space(trial: Any) -> None:
            trial.suggest_float("x", 0.8, 1.0)

        inner = OptunaSearch(space, metric="loss", mode="min", seed=0)
        search = NTKPriorSearch(likes_small_x, inner, epsilon=0.0, seed=0)
        # All are refused, so the best is launched after it was handed back.
        assert len(tuned(search, 3, lambda config: config["x"])) == 3
        assert (
            caplog.text.count("OptunaSearch cannot learn from configurations that it did not propose: Define-by") == 1
        )
