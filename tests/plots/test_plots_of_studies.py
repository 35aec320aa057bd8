"""The numbers behind the pictures of a run, by known answers, and that the pictures show them."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.trust import Evidence
from ntk_prior.plots.axes import AXES, axis_of
from ntk_prior.plots.markers import has_place, trials_figure
from ntk_prior.plots.run_map import map_of_run
from ntk_prior.plots.savings import savings_figure
from ntk_prior.plots.scored_outcomes import scored_outcomes_figure
from ntk_prior.plots.slices import map_axes
from ntk_prior.plots.trust import trust_figure
from ntk_prior.runs.intervals import share
from ntk_prior.runs.savings import compute_savings
from ntk_prior.runs.scored_outcomes import halfway, score_outcomes
from ntk_prior.runs.trial import Fate, in_fields
from ntk_prior.runs.trust_series import POINTS, compute_trust_series

CONFIG = {"weight_variance": 1.0, "depth": 4}


def trial(score: float | None, outcome: float | None = None, **more: Any) -> ntp.PlottedTrial:
    return ntp.PlottedTrial(CONFIG, "feasible", score, **{"drawn": Drawn.SCREENED, "outcome": outcome, **more})


def test_the_interval_of_a_share_is_jeffreys() -> None:
    # Brown, Cai and DasGupta (2001), table 5: n = 10.
    assert share(0, 10) == pytest.approx((0.0, 0.0, 0.217), abs=1e-3)
    assert share(3, 10) == pytest.approx((0.3, 0.093, 0.606), abs=1e-3)
    assert share(10, 10) == pytest.approx((1.0, 0.783, 1.0), abs=1e-3)
    assert share(0, 0)[1:] == (0.0, 1.0)


def test_good_is_halfway_from_the_worst_to_the_best_whatever_the_direction() -> None:
    assert halfway(np.array([0.1, 0.2, 0.5, math.nan])) == pytest.approx(0.3)
    assert halfway(np.array([0.1, 0.2, 0.5]), maximize=False) == pytest.approx(0.3)
    assert math.isnan(halfway(np.array([])))


def test_losses_that_left_every_bound_do_not_make_everything_else_good() -> None:
    losses = np.array([*np.linspace(0.2, 2.2, 20), 1e9])
    assert halfway(losses, maximize=False) == pytest.approx(1.2)


def test_scores_are_compared_with_how_often_they_came_true() -> None:
    trials = [trial(0.1, 0.1)] * 3 + [trial(0.1, 0.9)] + [trial(0.9, 0.9)] * 3 + [trial(0.9, failed=True)]
    trials += [trial(None, 0.9), trial(0.5), trial(0.2, launched=False)]
    found = score_outcomes(trials)
    assert found.good_from == pytest.approx(0.5)
    assert found.reliability.curve == pytest.approx(np.array([[0.1, 0.25, 4], [0.9, 0.75, 4]]))
    assert found.reliability.auroc == pytest.approx((9 + 1.5 + 1.5) / 16)
    assert found.intervals == (share(1, 4), share(3, 4))


def test_for_a_loss_good_is_small() -> None:
    found = score_outcomes([trial(0.9, 0.1), trial(0.1, 3.0)], maximize=False, good_from=1.0)
    assert found.good.tolist() == [True, False]


def test_the_picture_of_scores_rings_audits_and_puts_failures_at_the_worst() -> None:
    found = score_outcomes([trial(0.9, 0.8), trial(0.1, 0.2, drawn=Drawn.PLAIN), trial(0.4, failed=True)])
    figure = scored_outcomes_figure(found, "accuracy")
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["audited: bypassed the prior"].x) == [0.1]
    assert (list(traces["failed or pruned"].x), list(traces["failed or pruned"].y)) == ([0.4], [0.2])
    assert figure.layout.yaxis.title.text == "accuracy"


def audits(held_back: int, passed: int, outcome: float = 0.1, seconds: float = 60.0) -> list[ntp.PlottedTrial]:
    more = {"drawn": Drawn.PLAIN, "seconds": seconds}
    return [trial(0.1, outcome, **more)] * held_back + [trial(0.9, 0.9, **more)] * passed


def test_savings_are_the_audits_share_of_what_the_prior_had_a_say_in() -> None:
    found = compute_savings([*audits(5, 15), *[trial(0.9, 0.8, seconds=120.0)] * 80])
    assert (found.launched, found.screened, found.audited, found.held_back) == (100, 80, 20, 5)
    assert found.avoided == pytest.approx(share(5, 20).times(80))
    assert found.seconds == pytest.approx(20 * 60 + 80 * 120)
    assert found.seconds_avoided.value == pytest.approx(20 * 60)
    assert found.lost.value == 0.0
    assert found.lost.high == pytest.approx(20 * share(0, 5).high)


def test_audits_that_were_good_say_what_refusing_has_cost() -> None:
    found = compute_savings([*audits(4, 16, outcome=0.9), *audits(4, 16), *[trial(0.9, 0.1)] * 50], good_from=0.5)
    assert found.lost.value == pytest.approx(0.5 * found.avoided.value)


def test_trials_launched_for_want_of_a_better_draw_saved_nothing() -> None:
    found = compute_savings([*audits(10, 0), *[trial(0.1, 0.1, drawn=Drawn.BEST_OF_REFUSED)] * 30])
    assert found.avoided.value == 0.0


def test_trials_that_a_gate_stopped_count_as_they_are_and_draws_made_again_do_not() -> None:
    stopped = [trial(0.1, launched=False, gated=True)] * 7
    again = [trial(0.1, launched=False)] * 100
    passed = [trial(0.9, 0.8, gated=True)] * 5
    assert compute_savings(stopped + again + passed).avoided == (7, 7, 7)


def test_trials_drawn_before_the_prior_could_be_asked_say_as_much_as_audits_and_are_counted_apart() -> None:
    unseen = [one._replace(drawn=Drawn.UNSEEN) for one in audits(3, 1)]
    silent = [trial(None, 0.5, drawn=Drawn.UNJUDGED)] * 4
    found = compute_savings([*audits(2, 4), *unseen, *silent, *[trial(0.9, 0.8)] * 20])
    assert (found.audited, found.unseen, found.held_back) == (6, 4, 5)
    assert found.avoided == pytest.approx(share(5, 10).times(20))
    title = savings_figure(found).layout.title.text
    assert "5 of 6 audited trials and 4 launched before the prior could be asked would have been refused" in title


@pytest.mark.parametrize(
    ("more", "fate"),
    [
        ({}, Fate.UNASKED),
        ({"verdict": "feasible", "score": 0.9, "drawn": Drawn.SCREENED}, Fate.LAUNCHED),
        ({"verdict": "feasible", "score": 0.9, "drawn": Drawn.UNIFORM}, Fate.LAUNCHED),
        ({"verdict": "untrainable", "score": 0.1, "drawn": Drawn.PLAIN}, Fate.AUDITED),
        ({"verdict": "untrainable", "score": 0.1, "drawn": Drawn.UNSEEN}, Fate.UNSEEN),
        ({"verdict": "outside_theory", "drawn": Drawn.UNJUDGED}, Fate.UNJUDGED),
        ({"verdict": "outside_theory", "drawn": Drawn.SCREENED}, Fate.UNJUDGED),
        ({"verdict": "outside_theory", "drawn": Drawn.PLAIN}, Fate.UNJUDGED),
        ({"verdict": "outside_theory", "drawn": Drawn.ENQUEUED}, Fate.GIVEN),
        ({"verdict": "untrainable", "score": 0.1, "drawn": Drawn.BEST_OF_REFUSED}, Fate.NOTHING_BETTER),
        ({"verdict": "untrainable", "score": 0.1, "launched": False}, Fate.REFUSED),
    ],
)
def test_audits_unjudged_trials_and_trials_before_the_space_is_known_are_three_things(
    more: dict[str, Any], fate: Fate
) -> None:
    found = ntp.PlottedTrial(CONFIG, **more)
    assert found.fate is fate
    assert found.audited == (fate is Fate.AUDITED)
    assert found.held_back(0.3) == (fate in (Fate.AUDITED, Fate.UNSEEN))


def test_scores_of_trials_before_the_prior_could_be_asked_are_squares_not_rings() -> None:
    found = score_outcomes([trial(0.9, 0.8), trial(0.1, 0.2, drawn=Drawn.UNSEEN)])
    traces = {trace.name: trace for trace in scored_outcomes_figure(found, "accuracy").data}
    square = traces["finished trial, launched before the prior could be asked"]
    assert (list(square.x), square.marker.symbol) == ([0.1], "square")
    assert "audited: bypassed the prior" not in traces


def test_trials_that_nobody_judged_have_the_colours_of_their_outcomes_and_the_title_says_so() -> None:
    trials = [ntp.PlottedTrial({**CONFIG, "depth": depth}, outcome=depth / 10) for depth in (2, 5)]
    figure = trials_figure(trials, AXES["weight_variance"], axis_of("depth", [2, 5]), "accuracy", 0.3)
    (points,) = [trace for trace in figure.data if trace.x[0] is not None]
    assert list(points.marker.color) == [0.2, 0.5]
    assert "the prior was not asked" in figure.layout.title.text
    assert "What the prior said" not in figure.layout.title.text


def test_without_an_audit_nothing_is_claimed() -> None:
    found = compute_savings([trial(0.9, 0.8, seconds=1.0)] * 5)
    assert math.isnan(found.avoided.value)
    assert "not known yet" in " ".join(a.text for a in savings_figure(found).layout.annotations)


def test_the_picture_of_savings_is_in_trials_where_nobody_measured_time() -> None:
    timed, untimed = (
        savings_figure(compute_savings([*audits(5, 15, seconds=seconds), *[trial(0.9, 0.8, seconds=seconds)] * 80]))
        for seconds in (7_200.0, None)
    )
    assert timed.layout.xaxis.title.text == "compute (days)"
    assert timed.data[0].x[0] == pytest.approx(100 / 12)
    assert untimed.layout.xaxis.title.text == "trials"
    assert untimed.data[1].x[0] == pytest.approx(20)
    assert untimed.data[1].error_x.array[0] > 0


def evidence(score: float, loss: float, *, plain: bool = False, verdict: str = "feasible") -> Evidence:
    return Evidence(score, plain, (loss,), verdict)


def test_trust_falls_while_audits_beat_what_was_let_through_and_the_verdict_is_withdrawn() -> None:
    said = [evidence(0.1, 0.0, plain=True, verdict="untrainable"), *[evidence(0.9, 1.0)] * 4] * 6
    found = compute_trust_series(said)
    assert found.finished[0] == 0
    assert found.finished[-1] == len(said)
    assert found.refusals[0] == 1.0
    assert found.refusals[-1] < 0.05
    assert set(found.withdrawn) == {"untrainable"}
    assert not found.withdrawn["untrainable"][0]
    assert found.withdrawn["untrainable"][-1]
    figure = trust_figure(found)
    assert figure.data[-1].y[-1] == "untrainable"
    assert figure.data[-1].y[0] is None


def test_a_right_prior_keeps_trust_and_every_verdict() -> None:
    found = compute_trust_series([evidence(0.1, 1.0, plain=True, verdict="untrainable"), *[evidence(0.9, 0.0)] * 4] * 6)
    assert found.refusals.tolist() == [1.0] * len(found.finished)
    assert found.withdrawn == {}


def test_a_study_of_5000_trials_is_summed_up_in_seconds() -> None:
    rng = np.random.default_rng(0)
    scores, losses = rng.uniform(size=(2, 5000))
    said = [evidence(float(s), float(x), plain=s < 0.5) for s, x in zip(scores, losses, strict=True)]
    trials = [trial(one.score, one.losses[0], drawn=Drawn.PLAIN if one.plain else Drawn.SCREENED) for one in said]
    started = time.process_time()
    found = compute_trust_series(said)
    score_outcomes(trials)
    compute_savings(trials)
    assert time.process_time() - started < 3.0
    assert len(found.finished) <= POINTS + 1


def test_trials_without_a_map_have_the_colours_of_their_verdicts() -> None:
    trials = [trial(0.9, 0.8), trial(0.1, launched=False), ntp.PlottedTrial({"units": 3})]
    figure = trials_figure(trials, AXES["weight_variance"], axis_of("depth", [4]), "accuracy", 0.3)
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["feasible", "refused", "launched, by verdict"]
    assert "1 of 3 trials lack" in figure.layout.title.text


def test_a_parameter_that_the_theory_does_not_know_has_an_axis_too() -> None:
    found = axis_of("<lr>", [1e-3, 1e-1], log=True)
    assert found.log
    assert found.title == "&lt;lr&gt;"
    assert found.low < 1e-3 < 1e-1 < found.high


def test_a_map_shows_parameters_that_vary_and_that_the_theory_knows() -> None:
    trials = [
        ntp.PlottedTrial({"gain": g, "depth": d, "weight_variance": 2.0, "pooling": d > 2})
        for g, d in ((1.0, 1), (2.0, 4))
    ]
    axes = map_axes(trials, {"weight_variance": True})
    assert axes is not None
    assert [axis.name for axis in axes] == ["depth", "gain"]
    chosen = map_axes(trials, {"weight_variance": True}, ["weight_variance", "gain"])
    assert chosen is not None
    assert [axis.name for axis in chosen] == ["weight_variance", "gain"]
    assert map_axes(trials[:1], {}) is None


def test_axes_are_spaced_as_the_space_is_and_otherwise_as_usual() -> None:
    trials = [ntp.PlottedTrial({"weight_variance": w, "depth": d}) for w, d in ((0.6, 2), (3.0, 50))]
    for log, expected in (({}, [False, True]), ({"weight_variance": True, "depth": False}, [True, False])):
        axes = map_axes(trials, log)
        assert axes is not None
        assert [axis.log for axis in axes] == expected


def test_whole_numbers_have_their_cells_around_them() -> None:
    logarithmic = axis_of("depth", [1, 64])
    assert logarithmic.ends == pytest.approx((math.sqrt(1 / 2), math.sqrt(64 * 65)))
    assert axis_of("depth", [1, 64], log=False).ends == (0.5, 64.5)
    assert {1.0, 2.0, 3.0, 64.0} <= {*logarithmic.values()}


def test_zero_has_no_place_on_a_logarithmic_axis() -> None:
    none, some = (ntp.PlottedTrial({"bias_variance": b, "depth": 3}) for b in (0.0, 0.1))
    for log, places in ((True, [False, True]), (False, [True, True])):
        across = AXES["bias_variance"].spaced(log)
        assert across.values().min() >= 0
        assert [has_place(one, across, AXES["depth"]) for one in (none, some)] == places


TASK = ntp.Task.equicorrelated(20)
VECTORS = ntp.Task.from_arrays(np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3)


@pytest.mark.parametrize(
    ("prior", "config", "words"),
    [
        (ntp.NTKPrior(TASK, ntp.Budget(10)), {"layers": 3, "width": 2}, "cannot read .* lacks .* no to_architecture"),
        (ntp.NTKPrior(TASK, ntp.Budget(10), lambda config: None), {"layers": 3}, "cannot read .*it returned None"),
        (ntp.NTKPrior(TASK, ntp.Budget(10)), {"activaton": "erf"}, "cannot read .* expected activation"),
        (ntp.NTKPrior(VECTORS, ntp.Budget(10)), {"kind": "cnn"}, "nothing to say .* no image structure"),
        (ntp.NTKPrior(TASK, ntp.Budget(10, parametrization="mup")), {}, "nothing to say .* muP"),
        (ntp.NTKPrior(TASK, ntp.Budget(10)), {"normalization": "batch"}, "nothing to say .* batch normalization"),
    ],
)
def test_where_the_prior_has_no_map_the_trials_are_shown_and_the_picture_says_why(
    prior: ntp.NTKPrior, config: dict[str, Any], words: str
) -> None:
    network = {} if "layers" in config else {"bias_variance": 0.1}
    names = ("gain", "units") if "layers" in config else ("weight_variance", "depth")
    trials = [
        ntp.PlottedTrial({**network, **config, **dict(zip(names, values, strict=True))}, outcome=0.5)
        for values in ((1.0, 2), (2.0, 7))
    ]
    axes = map_axes(trials, {})
    assert axes is not None
    found = map_of_run(prior, trials, *axes, "accuracy")
    assert found.lacks_map is not None
    assert re.search(words, found.lacks_map)
    assert "heatmap" not in {trace.type for trace in found.figure.data}
    assert "no map: " in found.figure.layout.title.text


def test_a_value_that_the_theory_does_not_take_costs_the_map_only() -> None:
    trials = [
        ntp.PlottedTrial({"weight_variance": w, "bias_variance": 0.1, "depth": d, "batch_size": b}, outcome=0.1)
        for w, d, b in ((1.0, 2, 4), (2.0, 7, -1), (2.5, 9, -1))
    ]
    axes = map_axes(trials, {})
    assert axes is not None
    found = map_of_run(ntp.NTKPrior(TASK, ntp.Budget(10)), trials, *axes, "accuracy")
    assert found.lacks_map is not None
    assert "batch_size: expected" in found.lacks_map


@pytest.mark.parametrize("found", [ntp.Architecture(1.5, 0.1, 7), {"depth": 7}, None, 3, KeyError("layers")])
def test_parameters_are_shown_by_the_names_of_the_theory_next_to_their_own(found: Any) -> None:
    def translated(config: Any) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    prior = ntp.NTKPrior(ntp.Task.equicorrelated(20), ntp.Budget(10), translated)
    shown = in_fields({"layers": 7, "width": 2}, prior)
    assert shown["layers"] == 7
    assert "width" not in shown  # a multiplier, say
    assert shown.get("depth") == (7 if isinstance(found, ntp.Architecture | dict) else None)
    assert in_fields({"layers": 7}, None) == {"layers": 7}
