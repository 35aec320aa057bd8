"""The figures of Optuna studies: what they read from the storage, and Optuna's conventions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import optuna
import pytest
from matplotlib import pyplot as plt
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

import ntk_prior as ntp
from ntk_prior.runs.savings import compute_savings
from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from ntk_prior_optuna.history import refused_before
from ntk_prior_optuna.visualization import matplotlib as in_matplotlib
from ntk_prior_optuna.visualization import (
    plot_calibration,
    plot_feasibility,
    plot_savings,
    plot_trust,
    plotted_trials,
)
from tests.support.optuna_studies import SPACE, sphere
from tests.support.priors import likes_small_x

matplotlib.use("agg")

PLOTS = [plot_feasibility, plot_calibration, plot_savings, plot_trust]
NETWORKS: dict[str, BaseDistribution] = {
    "weight_variance": FloatDistribution(0.5, 4.0),
    "depth": IntDistribution(1, 64),
}
PRIOR = ntp.NTKPrior(ntp.Task.cifar10(1000), ntp.Budget(steps=1000, width=256))


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def accuracy(trial: optuna.Trial) -> float:
    network = {
        "weight_variance": trial.suggest_float("weight_variance", 0.5, 4.0),
        "depth": trial.suggest_int("depth", 1, 64),
    }
    score = PRIOR({**network, "bias_variance": 0.05}).score
    assert score is not None
    if score < 0.01:
        raise optuna.TrialPruned
    return 0.1 + 0.5 * score


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    """Networks under the theory's names, but for one parameter that the prior's own mapping fills in."""
    prior = ntp.NTKPrior(PRIOR.task, PRIOR.budget, lambda config: {**config, "bias_variance": 0.05})
    sampler = NTKPriorSampler(prior, RandomSampler(seed=0), search_space=NETWORKS, seed=0, epsilon=0.3)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(accuracy, n_trials=40)
    return study


def of_sphere(**options: Any) -> optuna.Study:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(), search_space=SPACE, seed=0)
    study = optuna.create_study(sampler=sampler, **options)
    study.optimize(sphere if "directions" not in options else lambda t: (sphere(t), -sphere(t)), n_trials=20)
    return study


@pytest.mark.parametrize("plot", PLOTS)
def test_every_figure_has_titled_axes_and_data(plot: Callable[..., Any], study: optuna.Study) -> None:
    figure = plot(study, target_name="test accuracy")
    assert len(figure.data) > 0
    assert [axis.title.text for axis in figure.select_xaxes() if axis.title.text]
    assert figure.layout.title.text


def test_the_map_below_the_trials_is_the_sampler_s_prior(study: optuna.Study) -> None:
    figure = plot_feasibility(study, target_name="test accuracy")
    assert [trace.type for trace in figure.data if trace.type == "heatmap"] == ["heatmap"]
    assert "σ<sub>b</sub>² = 0.05" in figure.layout.title.text
    assert figure.layout.xaxis.title.text == "weight variance, σ<sub>w</sub>²"
    assert figure.layout.coloraxis.colorbar.title.text == "test accuracy"
    refused = sum(len(refused_before(trial)) for trial in study.trials)
    hollow = [trace for trace in figure.data if trace.type == "scatter" and trace.marker.symbol == "circle-open"]
    assert max(len(trace.x) for trace in hollow) == refused > 0


@pytest.mark.parametrize("log", [False, True])
def test_the_map_follows_the_search_space(log: bool) -> None:
    study = optuna.create_study(sampler=NTKPriorSampler(PRIOR, RandomSampler(seed=0), seed=0))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("weight_variance", 0.5, 4.0, log=log)
        trial.suggest_float("bias_variance", 0.05, 0.1)
        return float(trial.suggest_int("depth", 1, 64, log=log))

    study.optimize(objective, n_trials=8)
    spacing = "log" if log else None
    figure = plot_feasibility(study)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == (spacing, spacing)
    ax: Any = in_matplotlib.plot_feasibility(study)
    assert (ax.get_xscale(), ax.get_yscale()) == (("log", "log") if log else ("linear", "linear"))
    (legend,) = ax.figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert sum(" = " in words for words in named) == len({line.get_linestyle() for line in ax.lines})
    if log:
        assert [label.get_text() for label in ax.get_yticklabels()] == list(figure.layout.yaxis.ticktext)


def test_a_study_that_is_loaded_without_its_sampler_shows_verdicts_and_takes_a_prior(study: optuna.Study) -> None:
    loaded = optuna.create_study(direction="maximize")
    loaded.add_trials(study.trials)
    assert "heatmap" not in {trace.type for trace in plot_feasibility(loaded).data}
    given = plot_feasibility(loaded, prior=study.sampler.prior)  # type: ignore[attr-defined]
    assert "heatmap" in {trace.type for trace in given.data}


def test_the_records_are_those_of_the_storage(study: optuna.Study) -> None:
    trials = plotted_trials(study, target=lambda trial: 100 * trial.values[0])
    launched = [one for one in trials if one.launched]
    assert len(launched) == len(study.trials)
    for shown, kept in zip(launched, study.trials, strict=True):
        note: Mapping[str, Any] = kept.user_attrs["ntk_prior"]
        assert (shown.score, shown.verdict, shown.drawn) == (note["score"], note["verdict"], note["drawn"])
        assert shown.failed == (kept.state == optuna.trial.TrialState.PRUNED)
        assert shown.outcome == (None if shown.failed else 100 * kept.values[0])
        assert shown.seconds is not None
    refused = [one for one in trials if not one.launched]
    drawn = [draw for trial in study.trials for draw in refused_before(trial)]
    assert [(one.score, one.verdict) for one in refused] == [(draw.score, draw.verdict) for draw in drawn]


def test_trials_that_a_gate_stopped_are_refused_not_failed() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))

    def gated(trial: optuna.Trial) -> float:
        value = sphere(trial)
        prune_if_infeasible(trial, likes_small_x, epsilon=0.0)
        return value

    study.optimize(gated, n_trials=30)
    trials = plotted_trials(study)
    refused = [trial for trial in trials if not trial.launched]
    assert len(refused) == sum(abs(trial.params["x"]) > 0.7 for trial in study.trials) > 0
    assert not any(trial.failed for trial in trials)
    assert compute_savings(trials).avoided.value == len(refused)


@pytest.mark.parametrize("as_architecture", [True, False])
def test_a_space_with_its_own_names_is_mapped_by_the_prior_s_translation(as_architecture: bool) -> None:
    def translated(config: Mapping[str, Any]) -> Any:
        fields = {"weight_variance": config["gain"] ** 2, "bias_variance": 0.05, "depth": config["layers"]}
        return ntp.Architecture(**fields) if as_architecture else fields

    prior = ntp.NTKPrior(PRIOR.task, PRIOR.budget, translated)
    study = optuna.create_study(sampler=NTKPriorSampler(prior, RandomSampler(seed=0), seed=0))
    study.optimize(lambda t: t.suggest_float("gain", 0.8, 1.9) * t.suggest_int("layers", 1, 30), n_trials=15)
    figure = plot_feasibility(study)
    assert figure.layout.xaxis.title.text.startswith("weight variance")
    assert figure.layout.yaxis.title.text.startswith("depth")
    assert {trace.type for trace in figure.data} >= {"heatmap", "scatter"}


def test_custom_parameters_may_be_the_axes() -> None:
    figure = plot_feasibility(of_sphere(), params=["y", "x"])
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("y", "x")
    with pytest.raises(ValueError, match="params: expected two of x, y, received"):
        plot_feasibility(of_sphere(), params=["x", "colour"])


@pytest.mark.parametrize("plot", [*PLOTS, in_matplotlib.plot_feasibility, in_matplotlib.plot_calibration])
def test_a_study_without_a_prior_gives_an_empty_figure_and_a_warning(
    plot: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    study = optuna.create_study()
    study.optimize(sphere, n_trials=3)
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with caplog.at_level(logging.WARNING):
            figure = plot(study)
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    assert "of this study" in caplog.text
    if plot in PLOTS:
        assert not figure.data
        assert "of this study" in figure.layout.annotations[0].text


@pytest.mark.parametrize("plot", PLOTS[:3])
def test_several_objectives_need_a_target(plot: Callable[..., Any]) -> None:
    study = of_sphere(directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match=r"target: expected a function of a trial.*2 objectives"):
        plot(study)
    assert plot(study, target=lambda trial: trial.values[1], target_name="second").data


def test_trust_counts_all_objectives_as_the_sampler_does() -> None:
    study = of_sphere(directions=["minimize", "maximize"])
    figure = plot_trust(study)
    history = study.sampler.histories.of(study)  # type: ignore[attr-defined]
    assert figure.data[0].y[-1] == history.trust(0.3).refusals
    assert figure.data[1].y[-1] == history.trust(0.3).ranking


def test_a_target_is_compared_in_the_direction_of_the_objective_that_it_is() -> None:
    study = of_sphere(directions=["minimize", "maximize"])
    lowest, highest = (
        plot_calibration(study, target=lambda trial, k=k: trial.values[k])
        for k in (0, 1)  # type: ignore[misc]
    )
    lines = [next(t for t in figure.data if t.name == "good from here on").y[0] for figure in (lowest, highest)]
    assert lines[0] == pytest.approx(-lines[1])
    assert lowest.layout.title.text == highest.layout.title.text


def test_a_target_that_is_none_is_an_error() -> None:
    with pytest.raises(TypeError, match="target: expected a function"):
        plot_savings(of_sphere(), target="accuracy")  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_papers_get_vector_graphics(suffix: str, study: optuna.Study, tmp_path: Path) -> None:
    for plot in (in_matplotlib.plot_feasibility, in_matplotlib.plot_calibration):
        axes: Any = np.ravel(plot(study, target_name="test accuracy"))[0]
        axes.figure.savefig(tmp_path / f"figure.{suffix}")
        assert (tmp_path / f"figure.{suffix}").stat().st_size > 5_000


def test_matplotlib_shows_the_same_points(study: optuna.Study) -> None:
    above, below = in_matplotlib.plot_calibration(study)
    figure = plot_calibration(study)
    drawn = np.concatenate([points.get_offsets() for points in above.collections[:2]])
    traced = np.concatenate([np.column_stack([t.x, t.y]) for t in figure.data[:2]])
    assert drawn.tolist() == traced.tolist()
    assert below.get_ylabel() == "share of good trials"
    ax: Any = in_matplotlib.plot_feasibility(study)
    assert ax.get_xlabel() == "weight variance, σ$_{w}$²"
