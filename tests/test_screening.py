"""The decision which draws are launched, without a tuner."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_priors import Judged, judged
from scipy.stats import mannwhitneyu

from ntk_prior.screening import (
    Choice,
    Draw,
    Drawn,
    Evidence,
    Record,
    Screen,
    Silence,
    judge,
    trust,
    withdrawal_notices,
    withdrawn_verdicts,
)


def prior(config: Any) -> Judged:
    return judged(config["score"])


def draws(*scores: float | None) -> Iterator[Draw[str]]:
    return (Draw({"score": score, "nth": n}, f"draw {n}") for n, score in enumerate(scores))


def choose(screen: Screen, own: Iterator[Draw[str]], uniform: Iterator[Draw[str]] | None = None) -> Choice[str]:
    return screen.choose(prior, 0, own, draws() if uniform is None else uniform)


def test_the_first_draw_that_reaches_the_threshold_is_launched() -> None:
    choice = choose(Screen(threshold=0.5), draws(0.1, 0.49, 0.5, 0.9))
    assert choice == ("draw 2", judged(0.5), Drawn.SCREENED, 2)


def test_a_silent_prior_refuses_nothing() -> None:
    choice = choose(Screen(threshold=1.0), draws(None, 1.0))
    assert (choice.origin, choice.drawn) == ("draw 0", Drawn.SCREENED)


@pytest.mark.parametrize("score", [math.nan, math.inf, None])
def test_a_score_that_is_no_number_counts_as_silence_and_is_never_recorded(score: float | None) -> None:
    choice = choose(Screen(threshold=1.0), draws(score))
    assert Record.of(choice.judgement, choice.drawn).score is None


def test_after_half_of_the_draws_the_rest_are_uniform() -> None:
    asked = []

    def counted(name: str) -> Iterator[Draw[str]]:
        for n in range(100):
            asked.append(name)
            yield Draw({"score": 0.1 + n / 1000, "from": name}, f"{name} {n}")

    choice = Screen(max_draws=16).choose(prior, 0, counted("own"), counted("uniform"))
    assert asked == ["own"] * 8 + ["uniform"] * 8
    assert choice.drawn is Drawn.BEST_OF_REFUSED
    assert choice.refused == 16


def test_a_uniform_draw_is_launched_if_it_reaches_the_threshold() -> None:
    choice = choose(Screen(max_draws=4), draws(0.0, 0.0, 1.0), draws(0.9))
    assert (choice.origin, choice.drawn) == ("draw 0", Drawn.UNIFORM)


def test_if_all_are_refused_the_best_scored_draw_is_launched() -> None:
    choice = choose(Screen(max_draws=6), draws(0.1, 0.29, 0.2), draws(0.0, 0.28, 0.1, 1.0))
    assert (choice.origin, choice.drawn, choice.refused) == ("draw 1", Drawn.BEST_OF_REFUSED, 6)


def test_a_tuner_that_repeats_itself_is_not_asked_again() -> None:
    same = (Draw({"score": 0.1}, "own") for _ in range(100))
    assert choose(Screen(max_draws=16), same, draws(0.9)).drawn is Drawn.UNIFORM
    assert len(list(same)) == 98


def test_a_bypassing_trial_takes_the_first_draw_whatever_its_score() -> None:
    choice = Screen().choose(prior, 0, draws(0.0, 1.0), draws(), bypass=True)
    assert choice == ("draw 0", judged(0.0), Drawn.PLAIN, 0)


def test_a_tuner_that_proposes_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at least one draw for trial 0, received none"):
        choose(Screen(), draws(), draws(1.0))


def test_a_prior_that_fails_is_silent_and_says_why() -> None:
    def fails(config: Any) -> Judged:
        raise ValueError("pooling: expected False")

    assert judge(fails, {}) == Silence("the prior failed: ValueError: pooling: expected False", failed=True)


def test_a_configuration_that_is_not_known_is_not_asked_about() -> None:
    def must_not_be_asked(config: Any) -> Judged:
        raise AssertionError

    assert judge(must_not_be_asked, None).score is None


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.0])
def test_the_share_epsilon_of_trials_is_audited(epsilon: float) -> None:
    screen = Screen(epsilon=epsilon, seed=7)
    share = np.mean([screen.audits(number) for number in range(4000)])
    assert share == pytest.approx(epsilon, abs=4 * math.sqrt(epsilon * (1 - epsilon) / 4000))


@given(seed=st.integers(0, 2**64), number=st.integers(0, 10**6), low=st.floats(0, 1), high=st.floats(0, 1))
def test_coins_depend_on_seed_and_number_alone_and_an_audit_on_no_evidence(
    seed: int, number: int, low: float, high: float
) -> None:
    screen, again = Screen(seed=seed), Screen(threshold=0.9, max_draws=3, seed=seed)
    assert screen.audits(number) == again.audits(number)
    assert screen.bypasses(number, 1.0) == screen.audits(number)
    low, high = sorted((low, high))
    assert screen.bypasses(number, low) >= screen.bypasses(number, high) >= screen.audits(number)


def test_a_prior_without_any_trust_is_always_bypassed() -> None:
    assert all(Screen(epsilon=0.0).bypasses(number, 0.0) for number in range(100))


def test_uniform_draws_of_different_trials_and_purposes_differ() -> None:
    screen = Screen(seed=3)
    first = [screen.uniform_generator(number).random() for number in range(50)]
    assert len(set(first)) == 50
    assert len({screen.tuner_seed(number, salt) for number in range(50) for salt in range(5)}) == 250


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("threshold", 1.5, ValueError),
        ("threshold", math.nan, ValueError),
        ("epsilon", -0.1, ValueError),
        ("epsilon", "0.1", TypeError),
        ("max_draws", 0, ValueError),
        ("max_draws", 2.5, ValueError),
        ("seed", -1, ValueError),
    ],
)
def test_wrong_settings_are_refused_by_name(field: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"{field}: expected .* received"):
        Screen(**{field: value})


def test_trust_is_whole_without_evidence_on_both_sides() -> None:
    assert trust([], []) == 1.0
    assert trust([False] * 5, range(5)) == 1.0
    assert trust([True] * 5, range(5)) == 1.0


def test_trust_is_whole_while_those_held_back_do_worse() -> None:
    assert trust([False] * 9 + [True], range(10)) == 1.0


@pytest.mark.parametrize(("held_back", "expected"), [(1, 0.8187), (2, 0.137), (3, 0.0285)])
def test_trust_where_all_held_back_beat_all_others(held_back: int, expected: float) -> None:
    n = 10 * held_back
    assert trust(np.arange(n) < held_back, np.arange(n)) == pytest.approx(expected, abs=1e-3)


@given(
    held_back=st.lists(st.booleans(), min_size=4, max_size=60).filter(lambda flags: 0 < sum(flags) < len(flags)),
    data=st.data(),
)
def test_trust_is_ten_times_the_p_value_of_mann_and_whitney(held_back: list[bool], data: st.DataObject) -> None:
    size = len(held_back)
    losses = np.array(data.draw(st.lists(st.integers(0, 20), min_size=size, max_size=size)), dtype=float)
    held = np.array(held_back)
    if len(set(losses)) == 1:
        assert trust(held, losses) == 1.0
        return
    p = mannwhitneyu(losses[held], losses[~held], alternative="less", method="asymptotic").pvalue
    assert trust(held, losses) == pytest.approx(min(1.0, 10 * p), abs=1e-12)


def test_a_prior_whose_refusals_are_no_better_than_chance_seldom_loses_trust() -> None:
    generator = np.random.default_rng(0)
    held_back = np.arange(40) < 8
    found = np.array([trust(held_back, generator.random(40)) for _ in range(2000)])
    for level in (0.5, 0.2, 0.1):
        assert np.mean(found < level) == pytest.approx(level / 10, abs=0.02)


def test_failed_trials_count_as_the_worst() -> None:
    losses = [math.inf] * 18 + [0.0, 1.0]
    assert trust([False] * 18 + [True] * 2, losses) < 0.05
    assert trust([True] * 18 + [False] * 2, losses) == 1.0


def test_several_objectives_count_by_their_mean_rank() -> None:
    one = np.arange(20.0)
    held_back = np.arange(20) < 2
    assert trust(held_back, np.column_stack([one, 1e6 * one])) == trust(held_back, one)
    assert trust(held_back, np.column_stack([one, -one])) == 1.0


def test_trust_ignores_the_scale_of_the_objective() -> None:
    losses = np.random.default_rng(1).normal(size=30)
    held_back = losses < np.sort(losses)[4]
    assert trust(held_back, losses) == trust(held_back, np.exp(losses) * 1e9)


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


def test_a_withdrawn_verdict_refuses_nothing() -> None:
    screen = Screen()
    assert screen.refuses(judged(0.1))
    assert not screen.refuses(judged(0.1), {"untrainable"})
    assert screen.refuses(judged(0.1), {"diverges"})
    choice = screen.choose(prior, 0, draws(0.1, 0.9), draws(), withdrawn={"untrainable"})
    assert (choice.judgement.score, choice.drawn, choice.refused) == (0.1, Drawn.SCREENED, 0)


def test_what_is_withdrawn_and_restored_is_said_once() -> None:
    told = withdrawal_notices(frozenset({"diverges"}), {"untrainable": "since so it is"})
    assert told == [
        "the verdict untrainable is withdrawn: since so it is",
        "the verdict diverges counts again, in view of later trials",
    ]
    assert withdrawal_notices(frozenset({"untrainable"}), {"untrainable": "since so it is"}) == []


def test_a_record_survives_json() -> None:
    for score, drawn in [(0.25, Drawn.PLAIN), (None, Drawn.SCREENED)]:
        record = Record.of(judged(score), drawn, gated=True)
        assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


@pytest.mark.parametrize("other", [None, 3, "text", {}, {"score": 1}, {"score": 0.5, "drawn": "elsewhere"}, [1]])
def test_attributes_that_are_no_record_are_left_alone(other: Any) -> None:
    assert Record.from_json(other) is None


def test_a_reason_of_any_length_fits_a_database() -> None:
    assert len(Record.of(Judged(0.1, reason="x" * 10_000), Drawn.PLAIN).reason) == 500


@pytest.mark.parametrize("scores", list(permutations([0.05, 0.1, 0.2, 0.29])))
def test_the_best_of_refused_draws_is_the_best_in_every_order(scores: tuple[float, ...]) -> None:
    choice = choose(Screen(max_draws=4), draws(*scores[:2]), draws(*scores[2:]))
    assert choice.judgement.score == 0.29
