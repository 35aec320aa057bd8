"""Phase diagrams and spectra over depth: what they show is what the prior says and what the theory predicts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior.decision.draws import Drawn
from ntk_prior.plots import theme
from ntk_prior.plots.axes import AXES
from ntk_prior.plots.bidi import balanced
from ntk_prior.plots.markers import trials_figure
from ntk_prior.plots.over_depth import Asymptotes, asymptotes, over_depth
from ntk_prior.plots.phase_map import depth_scales, phase_map, theory_lines
from ntk_prior.plots.slices import slice_through
from ntk_prior.plots.training import training_in_words

TASK = ntp.Task.cifar10(10_000)
BUDGET = ntp.Budget(steps=3_000, width=512)
HERE = {"bias_variance": 0.05, "activation": "erf"}
LOG = ("log_diagonal", "log_off_diagonal", "log_lambda_max", "log_lambda_bulk", "log_kappa")


def trial(weight_variance: float, depth: int, **more: Any) -> ntp.PlottedTrial:
    return ntp.PlottedTrial({"weight_variance": weight_variance, "depth": depth, **HERE}, **more)


TRIALS = (
    trial(1.0, 4, verdict="feasible", score=0.9, drawn=Drawn.SCREENED, outcome=0.5, name="trial 0"),
    trial(3.0, 50, verdict="memorizes_only", score=0.1, drawn=Drawn.PLAIN, outcome=0.1, name="trial 1"),
    trial(0.6, 60, verdict="untrainable", score=0.01, launched=False),
    trial(0.7, 61, verdict="untrainable", score=0.02, launched=False),
    trial(1.5, 9, verdict="feasible", score=0.8, drawn=Drawn.SCREENED, name="trial 2"),
)


def markers(figure: Any, **look: Any) -> list[Any]:
    """Scatter traces with points, whose markers look so."""
    points = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers" and trace.x[0]]
    return [trace for trace in points if all(trace.marker[name] == value for name, value in look.items())]


def names(figure: Any) -> str:
    return "; ".join(trace.name for trace in figure.data if trace.name)


def test_the_map_says_what_the_prior_says() -> None:
    found = phase_map(AXES["weight_variance"], AXES["depth"], HERE, TASK, BUDGET)
    prior = ntp.NTKPrior(TASK, BUDGET)
    for i, j in ((3, 5), (30, 80), (45, 2)):
        one = prior({**HERE, "weight_variance": float(found.x[j]), "depth": int(found.y[i])})
        assert found.grid(found.table.score)[i, j] == pytest.approx(one.score, rel=1e-9)
        assert found.grid(found.table.verdict)[i, j] == one.verdict


@pytest.mark.parametrize(("activation", "critical"), [("erf", 1.3758), ("tanh", 1.7610), ("relu", 2.0)])
def test_the_order_to_chaos_line_is_where_it_is_known_to_be(activation: str, critical: float) -> None:
    fixed = {"bias_variance": {"relu": 0.0}.get(activation, 0.05), "activation": activation}
    figure = ntp.plot_phase_diagram(TASK, BUDGET, fixed=fixed)
    (line,) = [trace for trace in figure.data if trace.legendgroup == "solid" and trace.x[0] is not None]
    assert line.x == pytest.approx(critical, abs=1e-4)
    assert (min(line.y), max(line.y)) == pytest.approx(10 ** np.array(figure.layout.yaxis.range))


def lines_of(figure: Any) -> dict[str, Any]:
    """What is drawn as lines, by their dashes."""
    drawn = figure.select_traces({"mode": "lines"})
    return {trace.legendgroup: trace for trace in drawn if trace.x[0] is not None}


@pytest.mark.parametrize("width", [512, 128])
def test_the_lines_that_end_a_phase_run_between_the_cells_that_they_separate(width: int) -> None:
    found = phase_map(AXES["weight_variance"], AXES["depth"], HERE, TASK, ntp.Budget(steps=3_000, width=width))
    feasible = found.grid(found.table.verdict) == "feasible"
    lines = theory_lines(AXES["weight_variance"], AXES["depth"], HERE, TASK, found)
    for line, values in ((lines.trains, found.table.trainability), (lines.generalizes, found.table.generalization)):
        side = found.grid(values)
        points = line[np.isfinite(line).all(axis=1)]
        assert len(points) > 10
        for across, up in points:
            (left, right), (below, above) = (
                (np.searchsorted(at, place, side="right") - 1, np.searchsorted(at, place))
                for at, place in ((found.x, across), (found.y, up))
            )
            around = np.ix_([below, above], [left, right])
            assert side[around].min() < 0.3 <= side[around].max()
            assert not feasible[around].all()


def test_the_legend_says_what_the_lines_are_and_which_multiples_of_the_depth_scales_lie_on_them() -> None:
    found = phase_map(AXES["weight_variance"], AXES["depth"], HERE, TASK, BUDGET)
    here = (AXES["weight_variance"], AXES["depth"], HERE, TASK)
    scales = depth_scales(*here, theory_lines(*here, found))
    assert scales.trains is not None
    low, high = scales.trains
    assert 1.0 < low < high
    words = names(ntp.plot_phase_diagram(TASK, BUDGET, fixed={"bias_variance": 0.05}))
    assert f"trainability 0.3: L = {low:.2g} to {high:.2g} ξ<sub>1</sub>" in words
    assert "half" not in words


def test_more_steps_move_the_line_of_trainability_to_larger_depth() -> None:
    few, many = (
        np.nanmax(lines_of(ntp.plot_phase_diagram(TASK, ntp.Budget(steps, width=512)))["dash"].y[:5])
        for steps in (300, 30_000)
    )
    assert many > 1.3 * few


def test_residual_networks_have_no_phases_and_no_lines() -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, fixed={"residual_scale": 0.5})
    assert not list(figure.select_traces({"mode": "lines"}))


@pytest.mark.parametrize(
    ("budget", "fixed", "words"),
    [
        (BUDGET, {}, "3,000 steps of SGD, half the largest stable learning rate, full batch, width 512, ntk"),
        (
            ntp.Budget(500, 0.1, "momentum", 0.9, 32),
            {},
            "500 steps of SGD with momentum 0.9, learning rate 0.1, batches",
        ),
        (ntp.Budget(500, 1e-3, "adam", width=64), {}, "500 steps of Adam, learning rate 0.001, full batch, width 64"),
        (BUDGET, {"optimizer": "adam", "steps": 100, "learning_rate": 0.01}, "100 steps of Adam, learning rate 0.01"),
        (ntp.Budget(500, loss="cross_entropy"), {}, "infinite width, ntk parametrization, cross-entropy"),
    ],
)
def test_the_map_names_the_training_that_it_assumes(budget: ntp.Budget, fixed: dict[str, Any], words: str) -> None:
    figure = ntp.plot_phase_diagram(TASK, budget, fixed=fixed)
    assert f"Training assumed: {words}" in figure.layout.title.text or words in figure.layout.title.text


def test_what_an_axis_varies_is_not_named_as_assumed() -> None:
    assert (
        training_in_words(BUDGET, varying=("steps", "learning_rate", "width")) == "SGD, full batch, ntk parametrization"
    )
    figure = ntp.plot_phase_diagram(TASK, BUDGET, x="learning_rate", y="width", fixed={"depth": 8})
    assert "learning rate" not in figure.layout.title.text


def test_launched_trials_are_filled_refused_ones_hollow_and_audited_ones_ringed() -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, trials=TRIALS, outcome_name="accuracy")
    (hollow,) = markers(figure, symbol="circle-open", color=theme.BLACK)
    (ringed,) = markers(figure, symbol="circle-open", color=theme.VERMILION)
    by_verdict, by_outcome = markers(figure, symbol=None)
    assert list(hollow.x) == [0.6, 0.7]
    assert (list(ringed.x), list(ringed.y)) == ([3.0], [50.0])
    assert list(by_verdict.marker.color) == [theme.COLORS["feasible"]]
    assert list(by_outcome.marker.color) == [0.5, 0.1]
    assert "trial 1" in by_outcome.text[1]
    assert "accuracy 0.1" in by_outcome.text[1]


def test_trials_that_the_prior_had_no_say_in_are_told_apart_by_shape() -> None:
    trials = [
        trial(1.0, 4, verdict="feasible", score=0.9, drawn=Drawn.UNSEEN, outcome=0.5),
        trial(3.0, 50, verdict="memorizes_only", score=0.1, drawn=Drawn.UNSEEN, outcome=0.1),
        trial(1.2, 5, verdict="outside_theory", drawn=Drawn.UNJUDGED, outcome=0.4),
        trial(1.4, 6, outcome=0.3),
    ]
    figure = ntp.plot_phase_diagram(TASK, BUDGET, trials=trials, outcome_name="accuracy")
    (squares,) = markers(figure, symbol="square")
    (diamonds,) = markers(figure, symbol="diamond")
    (framed,) = markers(figure, symbol="square-open")
    (circles,) = markers(figure, symbol=None)
    assert (list(squares.x), list(diamonds.x), list(framed.x), list(circles.x)) == ([1.0, 3.0], [1.2], [3.0], [1.4])
    assert not markers(figure, symbol="circle-open")
    assert "audited" not in names(figure)
    for words in ("before the prior could be asked", "the prior silent", "judged afterwards: would have been refused"):
        assert words in names(figure)
    assert "launched: before the prior could be asked" in squares.text[0]


def test_no_launched_trial_is_hollow_whatever_is_known_of_it() -> None:
    known: list[dict[str, Any]] = [
        {},
        {"failed": True},
        {"verdict": "too_big", "score": 0.9, "drawn": Drawn.SCREENED},
        {"verdict": "outside_theory", "drawn": Drawn.UNJUDGED},
        {"verdict": "feasible", "score": 0.9, "drawn": Drawn.ENQUEUED},
    ]
    trials = [trial(0.8 + k / 5, 4 + k, **more) for k, more in enumerate(known)]
    for figure in (
        ntp.plot_phase_diagram(TASK, BUDGET, trials=trials),
        trials_figure(trials, AXES["weight_variance"], AXES["depth"], "accuracy", 0.3),
    ):
        drawn = markers(figure)
        assert sum(len(trace.x) for trace in drawn) == len(trials)
        for trace in drawn:
            colors = trace.marker.color if isinstance(trace.marker.color, tuple) else (trace.marker.color,)
            assert "open" not in str(trace.marker.symbol)
            assert "white" not in colors
        assert "refused" not in names(figure).replace("never refused", "")


def test_the_axes_hold_the_trials_unless_ranges_are_given() -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, trials=TRIALS)
    low, high = figure.layout.xaxis.range
    assert 0.5 < low <= 0.6
    assert 3.0 <= high < 3.2
    given = ntp.plot_phase_diagram(TASK, BUDGET, trials=TRIALS, ranges={"weight_variance": (0.5, 8.0)})
    assert tuple(given.layout.xaxis.range) == (0.5, 8.0)


def test_each_activation_and_pooling_has_a_panel_with_its_own_trials() -> None:
    fixed = {"activation": ["tanh", "erf"], "kind": "cnn", "pooling": [False, True]}
    figure = ntp.plot_phase_diagram(TASK, BUDGET, fixed=fixed, trials=TRIALS[2:4])
    assert sum(trace.type == "heatmap" for trace in figure.data) == 4
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["tanh, not pooled", "erf, not pooled", "tanh, pooled", "erf, pooled"]
    assert [trace.xaxis for trace in markers(figure, color=theme.BLACK)] == ["x2"]


def test_trials_that_have_no_place_are_counted() -> None:
    strangers = [ntp.PlottedTrial({"lr": 1.0}), trial(1.0, 3)]
    figure = ntp.plot_phase_diagram(TASK, BUDGET, trials=strangers)
    assert "1 of 2 trials" in figure.layout.title.text
    others = ntp.plot_phase_diagram(TASK, BUDGET, fixed={"activation": "tanh"}, trials=TRIALS)
    assert "5 of 5 trials" in others.layout.title.text
    assert "refused" not in names(others)


def test_any_two_numbers_may_be_the_axes_and_what_is_large_is_logarithmic() -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, x="learning_rate", y="width", fixed={"depth": 8})
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    assert "diverges" in names(figure)
    assert "L = 8" in figure.layout.title.text


def test_depth_is_logarithmic_unless_the_caller_says_otherwise() -> None:
    usual = ntp.plot_phase_diagram(TASK, BUDGET, trials=TRIALS)
    assert (usual.layout.xaxis.type, usual.layout.yaxis.type) == (None, "log")
    other = ntp.plot_phase_diagram(TASK, BUDGET, trials=TRIALS, log={"weight_variance": True, "depth": False})
    assert (other.layout.xaxis.type, other.layout.yaxis.type) == ("log", None)
    assert other.data[0].x[1] / other.data[0].x[0] == pytest.approx(other.data[0].x[-1] / other.data[0].x[-2])


def test_the_map_without_fixed_values_lies_in_the_middle_of_the_trials() -> None:
    configs = [{"bias_variance": b, "activation": a, "width": 64} for b, a in ((0.1, "tanh"), (0.2, "erf"), (9, "erf"))]
    found = slice_through([ntp.PlottedTrial(config) for config in configs], "weight_variance", "depth")
    assert found == {"bias_variance": 0.2, "activation": ["erf", "tanh"], "width": 64}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": "depth"}, "y: expected another parameter than x"),
        ({"x": "activation"}, "x: expected one of weight_variance"),
        ({"fixed": {"colour": 1}}, "fixed: expected names among .*received 'colour'"),
        ({"fixed": {"depth": 3}}, "fixed: expected parameters other than those of the axes"),
        ({"fixed": {"bias_variance": [0.1, 0.2]}}, "fixed: bias_variance: expected a value"),
        ({"fixed": {"activation": []}}, "fixed: activation: expected at least one value"),
        ({"ranges": {"width": (1, 2)}}, "ranges: expected names among weight_variance, depth"),
        ({"log": {"width": True}}, "log: expected names among weight_variance, depth"),
        ({"x": "bias_variance", "ranges": {"bias_variance": (0, 1)}, "log": {"bias_variance": True}}, "low > 0"),
        ({"ranges": {"depth": (9, 2)}}, "ranges: depth: expected \\(low, high\\)"),
        ({"fixed": {"bias_variance": -1}}, "bias_variance: expected a value in"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ntp.plot_phase_diagram(TASK, BUDGET, **options)


def test_outside_the_theory_the_whole_map_says_so() -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, fixed={"normalization": "batch"})
    assert "outside the theory" in names(figure)
    assert "feasible" not in names(figure)


def test_names_of_trials_are_text_not_markup() -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, trials=[TRIALS[0]._replace(name="<a href='x'>click</a>")])
    (points,) = markers(figure, symbol=None)
    assert "<a" not in points.text[0]
    assert "&lt;a" in points.text[0]


@pytest.mark.parametrize("name", ["\u202elive", "\u05e9\u05dc\u05d5\u05dd", "a\u2069\u202eb"])
def test_names_that_read_from_right_to_left_keep_their_direction_to_themselves(name: str) -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, trials=[TRIALS[0]._replace(name=name)], outcome_name=name)
    title = figure.layout.coloraxis.colorbar.title.text
    (points,) = markers(figure, symbol=None)
    for text in (title, points.text[0].removeprefix("<b>").partition("</b>")[0]):
        assert text == f"\u2068{balanced(name)}\u2069"
    assert theme.plain("plain") == "plain"


def test_a_name_s_marks_of_direction_end_where_it_ends() -> None:
    override, isolate, end, pop = "\u202e", "\u2067", "\u2069", "\u202c"
    assert balanced(f"a{override}b") == f"a{override}b{pop}"
    assert balanced(f"a{end}{pop}b") == "ab"
    assert balanced(f"{isolate}{override}b{end}c") == f"{isolate}{override}b{end}c"
    assert balanced(f"{isolate}{override}b") == f"{isolate}{override}b{pop}{end}"


CRITICAL = {"erf": (1.3758, 0.05), "relu": (2.0, 0.0)}


@pytest.mark.parametrize("activation", CRITICAL)
@pytest.mark.parametrize("pixels", [None, 8])
def test_on_the_critical_line_the_laws_meet_the_recursion(activation: str, pixels: int | None) -> None:
    variance, bias = CRITICAL[activation]
    kind = {} if pixels is None else {"kind": "cnn", "pooling": True}
    network = ntp.Architecture(variance, bias, 8, activation, **kind)  # type: ignore[arg-type]
    task = ntp.Task.equicorrelated(20, n_pixels=pixels or 1)
    found = over_depth(network, task, [300, 1000])
    laws = asymptotes(network, task, found)
    for name in LOG:
        assert getattr(found, name)[-1] == pytest.approx(getattr(laws, name)[-1], abs=0.03), name


def test_in_the_ordered_phase_kappa_grows_as_its_law_says() -> None:
    network, task = ntp.Architecture(1.0, 0.05, 8), ntp.Task.equicorrelated(20)
    found = over_depth(network, task, [40, 80, 160])
    laws = asymptotes(network, task, found)
    assert laws.log_kappa is not None
    assert laws.log_lambda_max is not None
    assert found.log_kappa - laws.log_kappa == pytest.approx(np.zeros(3), abs=0.1)
    assert found.log_lambda_max - laws.log_lambda_max == pytest.approx(np.zeros(3), abs=0.1)
    assert "log_kappa" in laws.anchored


def test_in_the_chaotic_phase_the_mean_predictor_dies_as_its_law_says() -> None:
    network = ntp.Architecture(2.5, 0.05, 8)
    found = over_depth(network, TASK, [24, 32, 40, 60])
    laws = asymptotes(network, TASK, found)
    assert laws.log_kappa is not None
    assert laws.log_mean_predictor is not None
    assert np.all(laws.log_kappa == 0)
    assert laws.log_mean_predictor[:3] == pytest.approx(np.log(found.mean_predictor[:3]), abs=0.15)


@pytest.mark.parametrize("more", [{"keep_rate": 0.9}, {"residual_scale": 0.5}, {"normalization": "layer"}])
def test_networks_that_the_laws_do_not_describe_have_none(more: dict[str, Any]) -> None:
    network = ntp.Architecture(1.5, 0.05, 8, **more)
    assert asymptotes(network, TASK, over_depth(network, TASK, [1, 2])) == Asymptotes()
    assert "law" not in names(ntp.plot_spectrum(network, TASK))


def test_the_spectrum_s_curves_pass_through_the_network_s_own() -> None:
    network = ntp.Architecture(1.5, 0.05, 16)
    figure = ntp.plot_spectrum(network, TASK)
    own = ntp.spectrum(network, TASK)
    for word, value in (
        ("λ<sub>max</sub>", own.lambda_max),
        ("median", own.lambda_bulk),
        ("κ", own.kappa),
        ("P,", own.mean_predictor),
    ):
        (curve,) = [trace for trace in figure.data if trace.name and trace.name.startswith(("largest, " + word, word))]
        assert np.interp(16, curve.x, curve.y) == pytest.approx(value, rel=0.05)


def test_a_network_outside_the_theory_has_no_spectrum() -> None:
    with pytest.raises(ValueError, match="batch normalization"):
        ntp.plot_spectrum(ntp.Architecture(1.5, 0.05, 16, normalization="batch"), TASK)


def test_without_plotly_only_the_call_fails_and_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "plotly.subplots", raising=False)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ImportError, match=r"pip install 'ntk-prior\[plot\]'"):
        ntp.plot_spectrum(ntp.Architecture(1.5, 0.05, 16), TASK)


def test_importing_the_package_loads_no_plotly() -> None:
    code = "import sys, ntk_prior; print('plotly' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    assert run.stdout.strip() == "False"
