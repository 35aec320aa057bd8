"""What NTKPriorSearch launches, and what it tells the search algorithm inside."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from known_priors import (
    Judged,
    accepts_everything,
    is_silent,
    judged,
    likes_large_x,
    likes_small_x,
    refuses_everything,
)
from ray import cloudpickle, tune
from ray.tune.search import ConcurrencyLimiter, Repeater, Searcher
from ray.tune.search.optuna import OptunaSearch
from ray_support import Scripted, finish, search_over, tuned
from ray_trainables import SPACE

from ntk_prior.evidence import trust_in_view_of, withdrawn_verdicts
from ntk_prior.screening import Drawn, Screen
from ntk_prior_ray import NTKPriorSearch
from ntk_prior_ray.callback import columns

BAD, GOOD = {"x": 0.9, "y": 0.0}, {"x": 0.1, "y": 0.0}


def test_refused_proposals_are_never_launched() -> None:
    assert all(abs(config["x"]) <= 0.7 for config in tuned(search_over(likes_small_x), 50))


def test_a_share_epsilon_of_trials_is_the_search_algorithms_own_whatever_the_prior_says() -> None:
    search = search_over(likes_small_x, epsilon=0.3, seed=5)
    audited = []
    for number in range(60):
        search.suggest(f"trial{number}")
        audited.append(search.drawn(f"trial{number}") is Drawn.PLAIN)
    screen = Screen(epsilon=0.3, seed=5)
    assert audited == [screen.audits(number) for number in range(60)]
    assert 0 < sum(audited) < 60


def test_a_second_proposal_is_asked_for_under_a_fresh_id_and_the_refused_one_is_handed_back() -> None:
    inner = Scripted(BAD, BAD | {"y": 0.5}, GOOD)
    search = search_over(likes_small_x, inner)
    assert search.suggest("a") == GOOD
    assert len(set(inner.asked)) == 3
    assert inner.ended == {inner.asked[0]: None, inner.asked[1]: None}


def test_results_reach_the_search_algorithm_under_the_id_that_it_knows() -> None:
    inner = Scripted(BAD, GOOD)
    search = search_over(likes_small_x, inner)
    search.suggest("a")
    finish(search, "a", 0.25)
    assert inner.reported == [(inner.asked[1], 0.25)]
    assert inner.ended == {inner.asked[0]: None, inner.asked[1]: 0.25}


def test_a_search_algorithm_that_repeats_itself_gives_way_to_uniform_draws_and_keeps_nothing_open() -> None:
    inner = Scripted(*[BAD] * 10)
    search = search_over(likes_small_x, inner)
    assert abs(search.suggest("a")["x"]) <= 0.7
    assert search.drawn("a") is Drawn.UNIFORM
    assert set(inner.ended) == set(inner.asked)
    assert len(inner.asked) == 2


def test_a_uniform_configuration_is_no_result_of_what_the_search_algorithm_proposed() -> None:
    inner = Scripted(BAD, BAD)
    search = search_over(likes_small_x, inner)
    search.suggest("a")
    finish(search, "a", 0.5)
    assert set(inner.ended.values()) == {None}
    assert inner.reported == []


def test_a_silent_prior_passes_everything_through() -> None:
    proposals = [{"x": x, "y": 0.0} for x in (0.9, -0.9, 0.1)]
    search = search_over(is_silent, Scripted(*proposals))
    assert [search.suggest(str(n)) for n in range(3)] == proposals
    assert search.suggest("last") == Searcher.FINISHED


def test_the_search_algorithms_end_is_the_experiments_end() -> None:
    assert search_over(accepts_everything, Scripted()).suggest("a") == Searcher.FINISHED


def test_none_means_later_while_a_trial_runs() -> None:
    search = search_over(accepts_everything, Scripted(GOOD, None, GOOD))
    search.suggest("a")
    assert search.suggest("b") is None
    assert search.suggest("c") == GOOD


def test_none_with_nothing_running_becomes_a_uniform_draw_so_that_the_tuner_does_not_stall() -> None:
    search = search_over(likes_small_x, Scripted(None))
    assert abs(search.suggest("a")["x"]) <= 0.7
    assert search.drawn("a") is Drawn.UNIFORM


def test_none_of_a_search_algorithm_with_a_space_of_its_own_is_passed_on() -> None:
    search = NTKPriorSearch(likes_small_x, Scripted(None), metric="loss", mode="min")
    assert search.suggest("a") is None


class TestExhaustion:
    def test_the_best_scored_draw_is_launched_by_default_and_the_user_is_told_why(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        search = search_over(refuses_everything)
        assert set(search.suggest("a")) == {"x", "y"}
        assert search.drawn("a") is Drawn.BEST_OF_REFUSED
        refused = search.refusals()
        assert len(refused) == 32
        assert search._ledger.live["a"].record.score == max(refusal.score for refusal in refused)
        search.suggest("b")
        assert [record.message.count("refused all 32") for record in caplog.records] == [1]

    def test_the_experiment_finishes_if_asked_to(self, caplog: pytest.LogCaptureFixture) -> None:
        assert search_over(refuses_everything, on_exhausted="finish").suggest("a") == Searcher.FINISHED
        assert "refused all 1000" in caplog.text

    def test_an_error_is_raised_if_asked_for_that_names_the_parameter_that_would_mend_it(self) -> None:
        class Named(Judged):
            suggestion = "depth <= 13"

        search = search_over(lambda config: Named(0.1, "untrainable", "depth 40 > 13"), on_exhausted="error")
        with pytest.raises(RuntimeError, match=r"untrainable .depth 40 > 13.*feasible with depth <= 13"):
            search.suggest("a")

    @pytest.mark.parametrize("on_exhausted", ["finish", "error"])
    def test_bad_luck_is_no_exhaustion(self, on_exhausted: Any) -> None:
        def likes_one_percent(config: Any) -> Judged:
            return judged(1.0 if 0 < config["x"] < 0.02 else 0.0)

        search = search_over(likes_one_percent, on_exhausted=on_exhausted)
        assert all(0 < config["x"] < 0.02 for config in tuned(search, 20))

    def test_what_was_handed_back_and_then_launched_all_the_same_is_told_as_an_evaluated_point(self) -> None:
        inner = OptunaSearch(seed=0)
        search = search_over(refuses_everything, inner)
        config = search.suggest("a")
        finish(search, "a", 0.5)
        (evaluated,) = [trial for trial in inner._ot_study.trials if trial.state.name == "COMPLETE"]
        assert (evaluated.params, evaluated.value) == (config, 0.5)


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


class TestSilentConfigurations:
    @pytest.mark.parametrize("epsilon", [0.0, 1.0])
    @pytest.mark.parametrize("inner", [None, OptunaSearch(seed=0)])
    def test_what_the_prior_is_silent_about_is_unjudged_whether_or_not_it_would_be_audited(
        self, epsilon: float, inner: Any
    ) -> None:
        search = search_over(is_silent, deepcopy(inner), epsilon=epsilon)
        tuned(search, 3)
        search.suggest("a")
        assert search.drawn("a") is Drawn.UNJUDGED
        assert columns(search.judge({"x": 0.0}), search.drawn("a"))["drawn"] == "unjudged"
        assert search._ledger.evidence == []

    def test_what_it_knows_is_still_audited_beside_it(self) -> None:
        space = {**SPACE, "kind": tune.choice(["known", "other"])}
        search = search_over(lambda config: judged(0.9 if config["kind"] == "known" else None), space=space, epsilon=1)
        for number in range(20):
            config = search.suggest(str(number))
            known = config["kind"] == "known"
            assert search.drawn(str(number)) is (Drawn.PLAIN if known else Drawn.UNJUDGED)
            finish(search, str(number), 0.5)
        assert {one.plain for one in search._ledger.evidence} == {True}
        assert 0 < len(search._ledger.evidence) < 20

    def test_points_that_the_user_asked_for_are_the_users_whatever_the_prior_says(self) -> None:
        search = search_over(is_silent, OptunaSearch(points_to_evaluate=[dict(GOOD)]))
        search.suggest("a")
        assert search.drawn("a") is Drawn.ENQUEUED


POINTS = ({"net": {"x": 0.95}, "y": 0.5}, {"net": {"x": -0.9}, "y": 0.25})
NESTED = {"net": {"x": tune.uniform(-1, 1)}, "y": tune.uniform(-1, 1)}


def likes_small_nested(config: Any) -> Judged:
    return likes_small_x(config["net"])


class TestPointsToEvaluate:
    def test_are_never_vetoed_and_come_first_though_nested(self) -> None:
        inner = OptunaSearch(seed=0, points_to_evaluate=[dict(point) for point in POINTS])
        search = search_over(likes_small_nested, inner, space=NESTED)
        assert [search.suggest("a"), search.suggest("b")] == list(POINTS)
        assert search.drawn("a") is Drawn.ENQUEUED
        assert abs(search.suggest("c")["net"]["x"]) <= 0.7

    def test_are_no_evidence_about_the_prior(self) -> None:
        search = search_over(likes_small_nested, OptunaSearch(points_to_evaluate=[dict(POINTS[0])]), space=NESTED)
        search.suggest("a")
        search.on_trial_complete("a", {"loss": 0.0})
        assert search._ledger.evidence == []

    def test_nested_ones_that_a_study_already_ignores_are_an_error(self) -> None:
        import optuna

        space = {"net/x": optuna.distributions.FloatDistribution(-1, 1)}
        inner = OptunaSearch(space, points_to_evaluate=[{"net": {"x": 0.9}}], metric="loss", mode="min")
        with pytest.raises(ValueError, match="expected flat names such as 'net/x'"):
            NTKPriorSearch(likes_small_x, inner)


class TestAroundIt:
    def test_a_limiter_sees_every_trial(self) -> None:
        limiter = ConcurrencyLimiter(search_over(likes_small_x, OptunaSearch(seed=0)), max_concurrent=2)
        assert limiter.suggest("a")
        assert limiter.suggest("b")
        assert limiter.suggest("c") is None
        finish(limiter, "a", 0.0)
        assert limiter.suggest("d")

    def test_a_repeater_repeats_what_was_accepted_and_tells_the_mean(self) -> None:
        inner = OptunaSearch(seed=0)
        repeater = Repeater(NTKPriorSearch(likes_small_x, inner, epsilon=0, seed=0), repeat=3)
        assert repeater.set_search_properties("loss", "min", SPACE)
        configs = [repeater.suggest(str(number)) for number in range(3)]
        assert len({config["x"] for config in configs}) == 1
        assert abs(configs[0]["x"]) <= 0.7
        for number in range(3):
            repeater.on_trial_complete(str(number), {"loss": float(number)})
        assert [trial.value for trial in inner._ot_study.trials if trial.state.name == "COMPLETE"] == [1.0]

    def test_a_repeater_whose_trials_all_fail_closes_the_trial(self) -> None:
        inner = OptunaSearch(seed=0)
        repeater = Repeater(search_over(accepts_everything, inner, candidates=1), repeat=1)
        repeater.suggest("a")
        with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
            repeater.on_trial_complete("a", None)
        assert [trial.state.name for trial in inner._ot_study.trials] == ["PRUNED"]

    def test_a_limiter_inside_frees_the_place_of_a_refused_proposal(self) -> None:
        search = search_over(likes_small_x, ConcurrencyLimiter(OptunaSearch(seed=1), max_concurrent=1))
        assert all(abs(config["x"]) <= 0.7 for config in tuned(search, 20))


def test_trials_that_it_did_not_launch_are_ignored() -> None:
    inner = Scripted()
    search = search_over(likes_small_x, inner)
    finish(search, "unknown", 0.5)
    assert inner.ended == {}
    assert search._ledger.evidence == []


def test_the_latest_refusals_are_kept_and_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntk_prior_ray.ledger.REFUSALS_KEPT", 20)
    search = search_over(refuses_everything)
    for number in range(3):
        search.suggest(str(number))
    refusals = search.refusals()
    assert len(refusals) == 20
    assert refusals[-1].trial_id == "2"
    assert {"x", "y"} == set(refusals[-1].config)
    assert [refusal.refused_before for refusal in refusals] == list(range(76, 96))
