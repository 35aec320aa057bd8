"""How far finished trials let a prior be believed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm, spearmanr

from ntk_prior.decision.notices import withdrawal_notices
from ntk_prior.decision.trust import Evidence, trust_in_ranking, trust_in_refusals, trust_in_view_of, withdrawn_verdicts


def test_trust_is_whole_without_evidence_on_both_sides() -> None:
    assert trust_in_refusals([], []) == 1.0
    assert trust_in_refusals([False] * 5, range(5)) == 1.0
    assert trust_in_refusals([True] * 5, range(5)) == 1.0


def test_trust_is_whole_while_those_held_back_do_worse() -> None:
    assert trust_in_refusals([False] * 9 + [True], range(10)) == 1.0


@pytest.mark.parametrize(("held_back", "expected"), [(1, 0.8187), (2, 0.137), (3, 0.0285)])
def test_trust_where_all_held_back_beat_all_others(held_back: int, expected: float) -> None:
    n = 10 * held_back
    assert trust_in_refusals(np.arange(n) < held_back, np.arange(n)) == pytest.approx(expected, abs=1e-3)


@given(
    held_back=st.lists(st.booleans(), min_size=4, max_size=60).filter(lambda flags: 0 < sum(flags) < len(flags)),
    data=st.data(),
)
def test_trust_is_ten_times_the_p_value_of_mann_and_whitney(held_back: list[bool], data: st.DataObject) -> None:
    size = len(held_back)
    losses = np.array(data.draw(st.lists(st.integers(0, 20), min_size=size, max_size=size)), dtype=float)
    held = np.array(held_back)
    if len(set(losses)) == 1:
        assert trust_in_refusals(held, losses) == 1.0
        return
    p = mannwhitneyu(losses[held], losses[~held], alternative="less", method="asymptotic").pvalue
    assert trust_in_refusals(held, losses) == pytest.approx(min(1.0, 10 * p), abs=1e-12)


def test_a_prior_whose_refusals_are_no_better_than_chance_seldom_loses_trust_in_refusals() -> None:
    generator = np.random.default_rng(0)
    held_back = np.arange(40) < 8
    found = np.array([trust_in_refusals(held_back, generator.random(40)) for _ in range(2000)])
    for level in (0.5, 0.2, 0.1):
        assert np.mean(found < level) == pytest.approx(level / 10, abs=0.02)


def test_failed_trials_count_as_the_worst() -> None:
    losses = [math.inf] * 18 + [0.0, 1.0]
    assert trust_in_refusals([False] * 18 + [True] * 2, losses) < 0.05
    assert trust_in_refusals([True] * 18 + [False] * 2, losses) == 1.0


def test_several_objectives_count_by_their_mean_rank() -> None:
    one = np.arange(20.0)
    held_back = np.arange(20) < 2
    assert trust_in_refusals(held_back, np.column_stack([one, 1e6 * one])) == trust_in_refusals(held_back, one)
    assert trust_in_refusals(held_back, np.column_stack([one, -one])) == 1.0


def test_trust_ignores_the_scale_of_the_objective() -> None:
    losses = np.random.default_rng(1).normal(size=30)
    held_back = losses < np.sort(losses)[4]
    assert trust_in_refusals(held_back, losses) == trust_in_refusals(held_back, np.exp(losses) * 1e9)


def test_the_order_of_scores_is_believed_while_it_is_right_or_says_nothing() -> None:
    assert trust_in_ranking([], []) == trust_in_ranking([0.5], [1.0]) == 1.0
    assert trust_in_ranking([0.1, 0.5, 0.9], [3.0, 2.0, 1.0]) == 1.0
    assert trust_in_ranking([0.5] * 9, np.arange(9.0)) == trust_in_ranking(np.arange(9.0), [0.5] * 9) == 1.0


@pytest.mark.parametrize(("n", "expected"), [(4, 0.416), (10, 0.0135)])
def test_trust_where_trials_finish_in_the_opposite_order(n: int, expected: float) -> None:
    assert trust_in_ranking(np.arange(n), np.arange(n)) == pytest.approx(expected, rel=0.01)


@given(data=st.data(), size=st.integers(2, 60))
def test_trust_in_the_order_is_ten_times_the_p_value_of_spearman(data: st.DataObject, size: int) -> None:
    scores, losses = (
        np.array(data.draw(st.lists(st.integers(0, 20), min_size=size, max_size=size)), dtype=float) for _ in "ab"
    )
    if np.ptp(scores) == 0 or np.ptp(losses) == 0:
        assert trust_in_ranking(scores, losses) == 1.0
        return
    p = norm.cdf(-spearmanr(scores, losses).statistic * math.sqrt(size - 1))
    assert trust_in_ranking(scores, losses) == pytest.approx(min(1.0, 10 * p), abs=1e-9)


def test_scores_without_meaning_seldom_lose_trust() -> None:
    generator = np.random.default_rng(0)
    found = np.array([trust_in_ranking(generator.random(40), generator.random(40)) for _ in range(2000)])
    for level in (0.5, 0.2, 0.1):
        assert np.mean(found < level) == pytest.approx(level / 10, abs=0.02)


def test_refusals_and_ranking_are_believed_on_their_own() -> None:
    refused_the_best = [Evidence(0.1, True, (0.0,)), *(Evidence(0.9, False, (1.0,)) for _ in range(30))]
    assert trust_in_view_of(refused_the_best, 0.3).refusals < 0.3
    wrong_order = [Evidence(0.5 + n / 100, False, (float(n),)) for n in range(6)]
    assert trust_in_view_of(wrong_order, 0.3) == (1.0, pytest.approx(0.13, rel=0.05))


def test_scores_and_expected_scores_are_two_orders() -> None:
    by_score = [Evidence(0.98, False, (1.0 + n / 100,)) for n in range(6)]
    by_expectation = [Evidence(0.9, False, (n / 100,), rank=0.6 - n / 100) for n in range(6)]
    assert trust_in_view_of([*by_score, *by_expectation], 0.3).ranking == 1.0
    wrong = [Evidence(0.9, False, (n / 100,), rank=0.6 + n / 100) for n in range(6)]
    assert trust_in_view_of([*by_score, *wrong], 0.3).ranking == pytest.approx(0.13, rel=0.05)


def test_an_order_that_is_wrong_beyond_doubt_costs_refusals_their_trust() -> None:
    wrong_order = [Evidence(n / 12, False, (float(n),)) for n in range(12)]
    assert trust_in_view_of(wrong_order, 0.0).refusals < 0.1


def test_an_order_that_is_wrong_among_good_networks_costs_refusals_nothing() -> None:
    wrong_order = [Evidence(0.96 + n / 1000, False, (float(n),)) for n in range(30)]
    assert trust_in_view_of(wrong_order, 0.3) == (1.0, pytest.approx(0.0, abs=1e-4))


def test_a_withdrawn_verdict_says_nothing_about_the_ranking_of_the_others() -> None:
    right = [Evidence(0.9 - n / 100, False, (10.0 + n,), "feasible") for n in range(20)]
    wrong = [Evidence(0.1, True, (float(n),), "untrainable") for n in range(8)]
    assert trust_in_view_of([*right, *wrong], 0.3).ranking == 1.0


def evidence(verdict: str, score: float, losses: range, *, plain: bool = True) -> list[Evidence]:
    return [Evidence(score, plain, (float(loss),), verdict) for loss in losses]


PASSED = evidence("feasible", 0.9, range(10, 30), plain=False)


def test_a_verdict_that_audits_contradict_is_withdrawn_and_others_are_not() -> None:
    found = withdrawn_verdicts(
        [*PASSED, *evidence("untrainable", 0.1, range(3)), *evidence("diverges", 0.0, range(50, 53))], 0.3
    )
    assert list(found) == ["untrainable"]
    assert found["untrainable"].startswith("after 26 finished trials, the 3 audited ones")
    assert "better than the 20" in found["untrainable"]


@pytest.mark.parametrize(
    "more",
    [
        evidence("untrainable", 0.1, range(1)),
        evidence("untrainable", 0.1, range(18, 22)),
        evidence("untrainable", 0.1, range(3), plain=False),
        evidence("untrainable", 0.8, range(3)),
    ],
    ids=["too few", "no better", "not audited", "not refused"],
)
def test_weaker_evidence_withdraws_nothing(more: list[Evidence]) -> None:
    assert withdrawn_verdicts([*PASSED, *more], 0.3) == {}


def test_what_is_withdrawn_and_restored_is_said_once() -> None:
    told = withdrawal_notices(frozenset({"diverges"}), {"untrainable": "since so it is"})
    assert told == [
        "the verdict untrainable is withdrawn: since so it is",
        "the verdict diverges counts again, in view of later trials",
    ]
    assert withdrawal_notices(frozenset({"untrainable"}), {"untrainable": "since so it is"}) == []


def test_the_order_is_judged_by_what_draws_competed_by() -> None:
    wrong_order = [Evidence(0.9, False, (float(n),), "feasible", n / 30) for n in range(30)]
    assert trust_in_view_of(wrong_order, 0.3).ranking < 0.01
    assert trust_in_view_of([one._replace(rank=None) for one in wrong_order], 0.3).ranking == 1.0
    # Which of two good networks is better says nothing about refusals.
    assert trust_in_view_of(wrong_order, 0.3).refusals == 1.0
