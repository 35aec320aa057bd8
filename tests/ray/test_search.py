"""What NTKPriorSearch launches, and what it tells the search algorithm inside."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Repeater, Searcher
from ray.tune.search.optuna import OptunaSearch

from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.screen import Screen
from ntk_prior_ray import NTKPriorSearch
from ntk_prior_ray.callback import columns
from tests.support.priors import (
    Judged,
    accepts_everything,
    is_silent,
    judged,
    likes_small_x,
    refuses_everything,
)
from tests.support.ray_searches import Scripted, finish, search_over, tuned
from tests.support.ray_trainables import SPACE

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
        assert search._ledger.running["a"].record.score == max(refusal.score for refusal in refused)
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
