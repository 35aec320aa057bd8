"""Figures of an experiment, from its folder alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune import ResultGrid

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.runs.ray_folder import REJECTIONS
from ntk_prior_ray.visualization import matplotlib, plot_calibration, plot_feasibility, plot_savings, plot_trust
from ntk_prior_ray.visualization.messages import NO_AXES, NO_RECORDS, NO_SCORES

PRIOR = NTKPrior(Task.equicorrelated(50, 0.1), Budget(steps=100, width=64))
PLOTS: list[Callable[..., Any]] = [plot_feasibility, plot_calibration, plot_savings, plot_trust]


def write_trial(folder: Path, number: int, result: dict[str, Any]) -> None:
    place = folder / f"trial_{number}"
    place.mkdir(parents=True)
    config = {"weight_variance": 1.5 + number / 10, "bias_variance": 0.05, "depth": 2 + number}
    (place / "params.json").write_text(json.dumps(config))
    whole = {"training_iteration": 1, "done": True, "timestamp": 100 + number, "time_total_s": 2.0, **result}
    (place / "result.json").write_text(json.dumps(whole) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve trials, every third one an audit, of which the prior would have refused some, and two refused draws."""
    found = tmp_path / "experiment"
    for number in range(12):
        said = {
            "score": 0.1 if number % 6 == 0 else 0.8,
            "verdict": "untrainable" if number % 6 == 0 else "feasible",
            "drawn": "screened" if number % 3 else "plain",
        }
        write_trial(found, number, {"eval": {"accuracy": said["score"] - number / 100}, "ntk_prior": said})
    refused = {"config": {"weight_variance": 1.0, "bias_variance": 0.05, "depth": 60}, "verdict": "untrainable"}
    lines = [json.dumps({**refused, "score": 0.1, "refused_before": k}) + "\n" for k in range(2)]
    (found / REJECTIONS).write_text("".join(lines))
    return found


def grid(folder: Path, **known: Any) -> ResultGrid:
    analysis: Any = SimpleNamespace(trials=[], experiment_path=str(folder), **known)
    return ResultGrid(analysis)


@pytest.mark.parametrize("plot", PLOTS)
def test_results_and_their_folder_have_the_same_figure(plot: Callable[..., Any], folder: Path) -> None:
    of_folder = plot(str(folder), metric="eval/accuracy", mode="max")
    known = {"default_metric": "eval/accuracy", "default_mode": "max"}
    assert plot(grid(folder, **known)).to_json() == of_folder.to_json()
    assert len(of_folder.data) > 0


def test_the_map_has_all_trials_and_refused_draws(folder: Path) -> None:
    bare = plot_feasibility(folder, metric="eval/accuracy", mode="max")
    names = [words for trace in bare.data for words in trace.text or ()]
    assert len(names) == 14
    assert sum("refused 0" in words or "refused 1" in words for words in names) == 2
    mapped = plot_feasibility(folder, PRIOR, metric="eval/accuracy", mode="max", params=["depth", "weight_variance"])
    assert any(trace.type == "heatmap" for trace in mapped.data)
    with pytest.raises(ValueError, match="params: expected two of"):
        plot_feasibility(folder, metric="eval/accuracy", mode="max", params=["depth", "width"])


def test_the_threshold_is_the_one_given(folder: Path) -> None:
    plots = [plot_calibration(folder, metric="eval/accuracy", mode="max", threshold=one) for one in (0.3, 0.9)]
    assert plots[0].to_json() != plots[1].to_json()
    with pytest.raises(ValueError, match="threshold: expected"):
        plot_calibration(folder, metric="eval/accuracy", mode="max", threshold=2.0)


@pytest.mark.parametrize("plot", PLOTS)
def test_an_experiment_without_the_prior_says_so(
    plot: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        write_trial(tmp_path, number, {"loss": 1.0})
    figure = plot(tmp_path, metric="loss", mode="min")
    assert "No trial of this experiment was judged by the prior" in figure.layout.annotations[0].text
    assert NO_RECORDS in caplog.text


def test_what_lacks_scores_or_axes_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_trial(tmp_path, 0, {"loss": math.e, "ntk_prior": {"score": None, "verdict": "outside_theory", "drawn": None}})
    plot_calibration(tmp_path, metric="loss", mode="min")
    assert NO_SCORES in caplog.text
    plot_feasibility(tmp_path, metric="loss", mode="min")
    assert NO_AXES in caplog.text


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"results": 3}, TypeError, "results: expected what Tuner.fit"),
        ({"results": "nowhere"}, ValueError, "results: expected an experiment in a folder of this machine"),
        ({"mode": None}, ValueError, "mode: expected 'min' or 'max', which the folder"),
        ({"mode": "up"}, ValueError, "mode: expected"),
        ({"metric": "loss"}, ValueError, "metric: expected the name of a metric"),
    ],
)
def test_mistakes_are_told_of(given: dict[str, Any], error: type[Exception], words: str, folder: Path) -> None:
    with pytest.raises(error, match=words):
        plot_trust(**{"results": folder, "metric": "eval/accuracy", "mode": "max", **given})


class TestMatplotlib:
    def test_the_map_shows_the_points_that_the_plotly_figure_shows(self, folder: Path) -> None:
        known: dict[str, Any] = {"metric": "eval/accuracy", "mode": "max", "params": ["depth", "weight_variance"]}
        axes: Any = matplotlib.plot_feasibility(folder, PRIOR, **known)
        drawn = {
            tuple(point) for collection in axes.collections[1:] for point in collection.get_offsets().data.tolist()
        }
        shown = {
            (x, y)
            for trace in plot_feasibility(folder, PRIOR, **known).data
            if trace.type == "scatter" and trace.text
            for x, y in zip(trace.x, trace.y, strict=True)
        }
        assert len(shown) == 13  # the refused draws are at one place
        assert drawn == shown
        assert axes.get_xlabel().startswith("depth")

    def test_scores_are_drawn_against_outcomes(self, folder: Path) -> None:
        above, below = matplotlib.plot_calibration(folder, metric="eval/accuracy", mode="max")
        points = sum(len(collection.get_offsets()) for collection in above.collections if collection.get_label())
        assert points == 12 + 4  # four of them are audits, with a ring
        assert above.get_ylabel() == "eval/accuracy"
        assert below.lines

    def test_what_is_missing_is_said_in_place_of_a_figure(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_trial(tmp_path / "plain", 0, {"loss": 1.0})
        axes: Any = matplotlib.plot_feasibility(tmp_path / "plain", metric="loss", mode="min")
        (message,) = axes.texts
        assert message.get_text().startswith(NO_RECORDS)
        matplotlib.plot_feasibility(tmp_path / "plain", PRIOR, metric="loss", mode="min")
        matplotlib.plot_calibration(tmp_path / "plain", metric="loss", mode="min")
        assert [record.getMessage().partition(" Give")[0] for record in caplog.records] == [
            NO_RECORDS,
            NO_AXES,
            NO_RECORDS,
        ]


def test_without_a_threshold_the_prior_s_own_counts(folder: Path) -> None:
    stern = PRIOR.with_threshold(0.9)
    figures = [
        plot_feasibility(folder, prior, metric="eval/accuracy", mode="max", threshold=threshold).to_json()
        for prior, threshold in ((stern, None), (PRIOR, 0.9), (PRIOR, None))
    ]
    assert figures[0] == figures[1] != figures[2]
