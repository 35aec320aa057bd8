"""The decision which draws are launched, without a tuner."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntk_prior.decision.draws import Choice, Draw, Drawn, Scored
from ntk_prior.decision.judgement import Silence, ask
from ntk_prior.decision.records import Record, RefusedDraw
from ntk_prior.decision.screen import FADES_AFTER, PROBATION, Screen
from ntk_prior.decision.trust import Trust
from tests.support.priors import Judged, judged

BELIEVED = Trust(1.0, 1.0)


def prior(config: Any) -> Judged:
    return judged(config["score"])


def draws(*scores: float | None) -> Iterator[Draw[str]]:
    return (Draw({"score": score, "nth": n}, f"draw {n}") for n, score in enumerate(scores))


def choose(screen: Screen, own: Iterator[Draw[str]], uniform: Iterator[Draw[str]] | None = None) -> Choice[str]:
    return screen.choose(
        prior, 0, own, draws() if uniform is None else uniform, competing=screen.competing(0, BELIEVED)
    )


def test_of_the_draws_that_reach_the_threshold_the_best_scored_is_launched() -> None:
    choice = choose(Screen(threshold=0.5, candidates=3), draws(0.1, 0.49, 0.5, 0.9, 0.4, 0.6, 1.0))
    assert choice[:3] == ("draw 3", judged(0.9), Drawn.SCREENED)
    assert [one.score for one in choice.refused] == [0.1, 0.49, 0.4]


def test_with_one_candidate_the_first_draw_that_reaches_the_threshold_is_launched() -> None:
    choice = choose(Screen(threshold=0.5, candidates=1), draws(0.1, 0.49, 0.5, 0.9))
    assert choice[:3] == ("draw 2", judged(0.5), Drawn.SCREENED)
    assert [one.draw.origin for one in choice.refused] == ["draw 0", "draw 1"]


@dataclass(frozen=True)
class Expecting(Judged):
    expected_score: float | None = None
    score_error: float | None = None


def test_draws_that_are_let_through_compete_by_the_expected_score_where_there_is_one() -> None:
    answers = [
        Expecting(0.9, expected_score=0.3),
        Expecting(0.6, expected_score=0.8),
        Expecting(0.1, expected_score=1.0),
    ]
    screen = Screen(threshold=0.5, candidates=2)
    found = screen.choose(lambda config: answers[config["nth"]], 0, draws(0.0, 0.0, 0.0), draws(), competing=2)
    assert found.origin == "draw 1"
    record = Record.from_judgement(found.judgement, found.drawn)
    assert (record.score, record.rank) == (0.6, 0.8)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(("error", "launched"), [(None, "draw 2"), (0.05, "draw 2"), (0.3, "draw 1"), (2.0, "draw 0")])
def test_of_draws_that_are_expected_to_be_equally_good_the_tuners_first_is_launched(
    error: float | None, launched: str
) -> None:
    answers = [Expecting(0.9, expected_score=x, score_error=error) for x in (0.3, 0.7, 0.8)]
    found = Screen().choose(lambda config: answers[config["nth"]], 0, draws(0.0, 0.0, 0.0), draws(), competing=3)
    assert found.origin == launched


@pytest.mark.parametrize(("first", "launched"), [(0, "draw 1"), (1, "draw 2")])
def test_expected_scores_do_not_compete_with_probabilities(first: int, launched: str) -> None:
    answers = [
        [Expecting(0.9, expected_score=0.4), Expecting(0.9, expected_score=0.5), Judged(0.98)],
        [Judged(0.9), Expecting(0.9, expected_score=0.95), Judged(0.98)],
    ][first]
    found = Screen().choose(lambda config: answers[config["nth"]], 0, draws(0.0, 0.0, 0.0), draws(), competing=3)
    assert found.origin == launched


def test_of_refused_draws_the_best_scored_is_launched_whatever_is_expected() -> None:
    answers = [Expecting(0.2, expected_score=0.1), Expecting(0.1, expected_score=0.9)]
    found = Screen(max_draws=2).choose(lambda config: answers[config["nth"]], 0, draws(0.0, 0.0), draws(), competing=2)
    assert found.origin == "draw 0"


def test_uniform_draws_do_not_compete_with_the_tuners() -> None:
    assert choose(Screen(max_draws=4), draws(0.1, 0.5), draws(0.9)).origin == "draw 1"
    assert choose(Screen(max_draws=6), draws(0.1, 0.1, 0.1), draws(0.5, 0.9, 0.6)).judgement.score == 0.9


def test_what_the_prior_is_silent_about_takes_no_place_of_a_scored_draw() -> None:
    assert choose(Screen(), draws(None, 0.9)).judgement.score is None
    assert choose(Screen(), draws(0.1, None, 0.9)).judgement.score == 0.9
    assert choose(Screen(), draws(0.4, None, 0.9)).judgement.score == 0.9


def test_what_the_prior_is_silent_about_is_launched_rather_than_what_it_refuses() -> None:
    choice = choose(Screen(max_draws=6), draws(0.1, None, 0.2), draws(0.1, None, 0.2))
    assert (choice.origin, choice.drawn, len(choice.refused)) == ("draw 1", Drawn.UNJUDGED, 4)


@pytest.mark.parametrize("refused", [0.2, 0.8])
def test_what_the_prior_is_silent_about_keeps_the_share_that_the_tuner_gives_it(refused: float) -> None:
    def draws_of(number: int) -> Iterator[Draw[str]]:
        random = np.random.default_rng(number)
        while True:
            scored = 0.1 if random.random() < refused else 0.9
            yield Draw({"score": None if random.random() < 0.5 else scored}, "")

    choices = [choose(Screen(seed=number), draws_of(number), draws_of(-number % 2**32)) for number in range(400)]
    silent = sum(choice.judgement.score is None for choice in choices)
    assert abs(silent - 200) < 3.5 * 10  # standard deviations of a binomial distribution


def test_fewer_draws_compete_as_the_tuner_learns() -> None:
    screen = Screen(candidates=16)
    assert [screen.competing(number, BELIEVED) for number in (0, FADES_AFTER, 2 * FADES_AFTER, 10**6)] == [16, 16, 5, 1]
    assert {Screen(candidates=1).competing(number, BELIEVED) for number in range(1000)} == {1}


def test_the_first_trials_are_audited_more_often_unless_nobody_wants_audits() -> None:
    assert [number for number in range(PROBATION) if Screen(epsilon=1e-9).audits(number)] == [1, 4, 7, 10]
    assert not any(Screen(epsilon=0.0).audits(number) for number in range(PROBATION))


def test_a_silent_prior_refuses_nothing() -> None:
    choice = choose(Screen(threshold=1.0), draws(None, 1.0))
    assert (choice.origin, choice.drawn) == ("draw 0", Drawn.UNJUDGED)


def test_an_audit_is_a_draw_that_the_prior_could_have_screened() -> None:
    def drawn(config: Any) -> Drawn:
        return Screen().choose(prior, 0, [Draw(config, "")], draws(), bypass=True).drawn

    assert drawn({"score": 0.1}) is Drawn.PLAIN
    assert drawn({"score": None}) is Drawn.UNJUDGED
    assert drawn(None) is Drawn.UNSEEN


def test_of_draws_that_are_not_known_the_first_one_is_launched_unseen() -> None:
    unknown: list[Draw[str]] = [Draw(None, "first"), Draw(None, "second")]
    assert choose(Screen(), iter(unknown))[::2] == ("first", Drawn.UNSEEN)


def test_a_silent_uniform_draw_is_not_called_the_tuners() -> None:
    assert choose(Screen(max_draws=2), draws(0.1), draws(None)).drawn is Drawn.UNIFORM


@pytest.mark.parametrize("score", [math.nan, math.inf, None])
def test_a_score_that_is_no_number_counts_as_silence_and_is_never_recorded(score: float | None) -> None:
    choice = choose(Screen(threshold=1.0), draws(score))
    assert Record.from_judgement(choice.judgement, choice.drawn).score is None


def test_after_half_of_the_draws_the_rest_are_uniform() -> None:
    asked = []

    def counted(name: str) -> Iterator[Draw[str]]:
        for n in range(100):
            asked.append(name)
            yield Draw({"score": 0.1 + n / 1000, "from": name}, f"{name} {n}")

    choice = Screen(max_draws=16).choose(prior, 0, counted("own"), counted("uniform"))
    assert asked == ["own"] * 8 + ["uniform"] * 8
    assert choice.drawn is Drawn.BEST_OF_REFUSED
    assert len(choice.refused) == 16


def test_a_uniform_draw_is_launched_if_it_reaches_the_threshold() -> None:
    choice = choose(Screen(max_draws=4), draws(0.0, 0.0, 1.0), draws(0.9))
    assert (choice.origin, choice.drawn) == ("draw 0", Drawn.UNIFORM)


def test_if_all_are_refused_the_best_scored_draw_is_launched() -> None:
    choice = choose(Screen(max_draws=6), draws(0.1, 0.29, 0.2), draws(0.0, 0.28, 0.1, 1.0))
    assert (choice.origin, choice.drawn, len(choice.refused)) == ("draw 1", Drawn.BEST_OF_REFUSED, 6)


def test_a_tuner_that_repeats_itself_is_not_asked_again() -> None:
    same = (Draw({"score": 0.1}, "own") for _ in range(100))
    assert choose(Screen(max_draws=16), same, draws(0.9)).drawn is Drawn.UNIFORM
    assert len(list(same)) == 98


def test_a_bypassing_trial_takes_the_first_draw_whatever_its_score() -> None:
    choice = Screen().choose(prior, 0, draws(0.0, 1.0), draws(), bypass=True)
    assert choice == ("draw 0", judged(0.0), Drawn.PLAIN, ())


def test_a_tuner_that_proposes_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at least one draw for trial 0, received none"):
        choose(Screen(), draws(), draws(1.0))


def test_a_prior_that_fails_is_silent_and_says_why() -> None:
    def fails(config: Any) -> Judged:
        raise ValueError("pooling: expected False")

    assert ask(fails, {}) == Silence("the prior failed: ValueError: pooling: expected False", failed=True)


def test_a_configuration_that_is_not_known_is_not_asked_about() -> None:
    def must_not_be_asked(config: Any) -> Judged:
        raise AssertionError

    assert ask(must_not_be_asked, None).score is None


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.0])
def test_the_share_epsilon_of_trials_is_audited(epsilon: float) -> None:
    screen = Screen(epsilon=epsilon, seed=7)
    share = np.mean([screen.audits(number) for number in range(PROBATION, 4000 + PROBATION)])
    assert share == pytest.approx(epsilon, abs=4 * math.sqrt(epsilon * (1 - epsilon) / 4000))


@given(seed=st.integers(0, 2**64), number=st.integers(0, 10**6), low=st.floats(0, 1), high=st.floats(0, 1))
def test_coins_depend_on_seed_and_number_alone_and_an_audit_on_no_evidence(
    seed: int, number: int, low: float, high: float
) -> None:
    screen, again = Screen(seed=seed), Screen(threshold=0.9, max_draws=3, candidates=2, seed=seed)
    assert screen.audits(number) == again.audits(number)
    assert screen.bypasses(number, BELIEVED) == screen.audits(number)
    less, more = (Trust(trust, trust) for trust in sorted((low, high)))
    assert screen.bypasses(number, less) >= screen.bypasses(number, more) >= screen.audits(number)
    assert screen.competing(number, less) <= screen.competing(number, more) <= screen.competing(number, BELIEVED)


def test_a_prior_without_any_trust_is_always_bypassed() -> None:
    assert all(Screen(epsilon=0.0).bypasses(number, Trust(0.0, 1.0)) for number in range(100))


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
        ("candidates", 0, ValueError),
        ("seed", -1, ValueError),
    ],
)
def test_wrong_settings_are_refused_by_name(field: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"{field}: expected .* received"):
        Screen(**{field: value})


def test_a_withdrawn_verdict_refuses_nothing() -> None:
    screen = Screen()
    assert screen.refuses(judged(0.1))
    assert not screen.refuses(judged(0.1), {"untrainable"})
    assert screen.refuses(judged(0.1), {"diverges"})
    choice = screen.choose(prior, 0, draws(0.1, 0.9), draws(), withdrawn={"untrainable"})
    assert (choice.judgement.score, choice.drawn, len(choice.refused)) == (0.1, Drawn.SCREENED, 0)


def test_a_record_survives_json() -> None:
    for score, drawn in [(0.25, Drawn.PLAIN), (None, Drawn.SCREENED)]:
        record = Record.from_judgement(judged(score), drawn, gated=True)
        assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


def test_a_refused_draw_is_kept_as_json_whatever_its_parameters() -> None:
    odd = {"depth": np.int64(3), "rate": np.float64(0.1), "nan": math.nan, "layer": (1, 2), "bias": None}
    kept = RefusedDraw.from_scored(Scored(0.1, Draw(odd, ""), judged(0.1), Drawn.BEST_OF_REFUSED))
    plain = {"depth": 3, "rate": 0.1, "nan": "nan", "layer": "(1, 2)", "bias": None}
    assert kept == RefusedDraw(plain, "untrainable", 0.1, "score 0.100")
    assert RefusedDraw(**json.loads(json.dumps(kept._asdict(), allow_nan=False))) == kept


def test_no_reason_is_worded_for_draws_that_are_not_launched() -> None:
    class Judgement:
        score, verdict = 0.1, "untrainable"

        @property
        def reason(self) -> str:
            raise AssertionError("takes ten times as long as to judge")

    kept = RefusedDraw.from_scored(Scored(0.1, Draw({}, ""), Judgement(), Drawn.BEST_OF_REFUSED))
    assert kept == RefusedDraw({}, "untrainable", 0.1)


UNHASHABLE = {"score": 0.5, "verdict": [1], "reason": "", "drawn": "plain"}


@pytest.mark.parametrize(
    "other", [None, 3, "text", {}, {"score": 1}, {"score": 0.5, "drawn": "elsewhere"}, [1], UNHASHABLE]
)
def test_attributes_that_are_no_record_are_left_alone(other: Any) -> None:
    assert Record.from_json(other) is None


def test_a_reason_of_any_length_fits_a_database() -> None:
    assert len(Record.from_judgement(Judged(0.1, reason="x" * 10_000), Drawn.PLAIN).reason) == 500


@pytest.mark.parametrize("scores", list(permutations([0.05, 0.1, 0.2, 0.29])))
def test_the_best_of_refused_draws_is_the_best_in_every_order(scores: tuple[float, ...]) -> None:
    choice = choose(Screen(max_draws=4), draws(*scores[:2]), draws(*scores[2:]))
    assert choice.judgement.score == 0.29
