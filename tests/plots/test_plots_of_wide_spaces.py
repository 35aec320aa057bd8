"""Figures of spaces that a user has chosen freely."""

from __future__ import annotations

import pytest

from ntk_prior import Budget, Task, plot_phase_diagram
from ntk_prior.decision.draws import Drawn
from ntk_prior.plots.axes import AXES
from ntk_prior.runs.trial import RunTrial


@pytest.mark.parametrize(
    ("name", "values"),
    [("weight_variance", (0.09, 9.0)), ("keep_rate", (0.1, 1.0)), ("momentum", (0.0, 0.99)), ("slope", (0.0, 1.0))],
)
def test_a_map_over_the_whole_range_of_a_field_stays_inside_it(name: str, values: tuple[float, float]) -> None:
    fixed = {"weight_variance": 1.5, "bias_variance": 0.05, "activation": "leaky_relu"}
    trials = [RunTrial({**fixed, name: value, "depth": 3 + k}) for k, value in enumerate(values)]
    budget = Budget(100, optimizer="momentum", width=64)
    figure = plot_phase_diagram(Task.cifar10(100), budget, name, "depth", trials=trials)
    assert figure.data
    shown = AXES[name].over(values)
    assert shown.low <= values[0] < values[1] <= shown.high


def test_a_trial_that_the_prior_is_silent_about_is_no_audit() -> None:
    assert RunTrial({}, score=0.1, drawn=Drawn.PLAIN).audited
    assert not RunTrial({}, drawn=Drawn.PLAIN).audited
