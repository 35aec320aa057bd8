"""The threshold belongs to whoever judges: verdict, reason and suggestion never contradict it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, Feasibility, FinishedTrial, NTKPrior, Task, Verdict
from ntk_prior.verdict import laboratory
from ntk_prior.verdict.calibration import Calibration, shipped_calibration
from ntk_prior.verdict.estimates import estimate
from ntk_prior.verdict.laboratory import NetworkSize, features

TASK, BUDGET = Task.cifar10(1_000), Budget(300, width=128)
REFUSING = (Verdict.UNTRAINABLE, Verdict.DIVERGES, Verdict.MEMORIZES_ONLY)
thresholds = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 1.0])


def config(depth: int, **more: Any) -> dict[str, Any]:
    return {"weight_variance": 1.7, "bias_variance": 0.1, "depth": depth, **more}


@given(
    threshold=thresholds,
    depth=st.integers(1, 60),
    weight_variance=st.floats(0.5, 4.0),
    rate=st.sampled_from([None, 0.01, 1.0, 100.0]),
    optimizer=st.sampled_from(["sgd", "adam"]),
)
def test_the_verdict_refuses_exactly_what_scores_below_the_threshold(
    threshold: float, depth: int, weight_variance: float, rate: float | None, optimizer: str
) -> None:
    rate = 1e-6 if optimizer == "adam" else rate
    asked = config(depth, learning_rate=rate, optimizer=optimizer) | {"weight_variance": weight_variance}
    prior = NTKPrior(TASK, BUDGET, threshold=threshold)
    found = prior(asked)
    assert (found.verdict in REFUSING) == (found.score is not None and found.score < threshold)
    assert found.threshold == threshold
    table = prior.score_many([asked])
    columns = prior.score_many({name: [value] for name, value in asked.items()})
    assert list(columns.verdict) == list(table.verdict) == [found.verdict]
    assert columns.threshold == table.threshold == threshold
    assert columns.score.mask[0] == (found.score is None)


def test_reason_and_suggestion_speak_of_the_threshold_that_was_asked_for() -> None:
    strict, usual = NTKPrior(TASK, BUDGET, threshold=0.7), NTKPrior(TASK, BUDGET)
    score = usual(config(10)).score
    assert score is not None
    assert 0.3 < score < 0.7
    assert ">= 0.3 " in usual(config(10)).reason
    found = strict(config(10))
    assert found.verdict is Verdict.MEMORIZES_ONLY
    assert "< 0.7," in found.reason
    assert found.suggestion is not None
    name, _, value = found.suggestion.split(", or ")[0].split()
    assert strict({**config(10), name: int(value)}).verdict is Verdict.FEASIBLE
    assert NTKPrior(TASK, BUDGET, threshold=0.1)(config(17)).verdict is Verdict.FEASIBLE


@given(before=thresholds, after=thresholds, depth=st.integers(1, 60))
def test_a_verdict_can_be_given_another_threshold(before: float, after: float, depth: int) -> None:
    network = Architecture(1.7, 0.1, depth)
    old = ntp.feasibility(network, TASK, BUDGET, threshold=before)
    assert old.with_threshold(after) == ntp.feasibility(network, TASK, BUDGET, threshold=after)
    bare = Feasibility(old.trainability, old.generalization, old.verdict, network, TASK, BUDGET, threshold=before)
    again = bare.with_threshold(after)
    assert (again.verdict in REFUSING) == (old.score is not None and old.score < after)


def test_a_measured_spectrum_is_judged_with_the_threshold() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    x = rng.normal(size=(100, 20)) + 0.5 * y[:, None]
    task = Task.from_arrays(x, y)
    measured = ntp.measured_spectrum(x @ x.T + np.eye(100), y)
    score = ntp.feasibility_from_spectrum(measured, task, Budget(1_000)).score
    assert score is not None
    for threshold, refused in ((score - 0.01, False), (min(score + 0.01, 1.0), True)):
        found = ntp.feasibility_from_spectrum(measured, task, Budget(1_000), threshold=threshold)
        assert (found.verdict in REFUSING) is refused
        assert f"{threshold:g}" in found.reason


def test_a_prior_with_another_threshold_keeps_what_it_has_learnt_and_who_it_asks() -> None:
    def refine(architecture: Architecture, task: Task, budget: Budget) -> Feasibility:
        asked.append(architecture.depth)
        return ntp.feasibility(architecture, task, budget)

    asked: list[int] = []
    prior = NTKPrior(TASK, BUDGET, refine=refine, when="always")
    prior.fit([FinishedTrial(config(10), 0.9, 0.4)] * 10)
    asked.clear()
    strict = prior.with_threshold(0.7)
    assert (strict.threshold, prior.threshold) == (0.7, ntp.DEFAULT_THRESHOLD)
    assert strict.calibration is prior.calibration
    found = strict(config(10))
    assert asked == [10]
    assert found.verdict is Verdict.MEMORIZES_ONLY
    assert found.threshold == 0.7


def test_a_score_near_the_priors_own_threshold_is_uncertain() -> None:
    asked = []
    prior = NTKPrior(TASK, BUDGET, refine=lambda *said: asked.append(said), threshold=0.5)
    prior(config(10))
    assert len(asked) == 1
    prior.with_threshold(0.3)(config(10))
    assert len(asked) == 1


def test_a_saved_prior_keeps_its_threshold_and_an_older_file_has_the_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    NTKPrior(TASK, BUDGET, threshold=0.7).save(path)
    assert NTKPrior.load(path).threshold == 0.7
    content = json.loads(path.read_text())
    del content["threshold"]
    path.write_text(json.dumps(content))
    assert NTKPrior.load(path).threshold == ntp.DEFAULT_THRESHOLD
    path.write_text(json.dumps({**content, "threshold": 2}))
    with pytest.raises(ValueError, match="threshold"):
        NTKPrior.load(path)


@pytest.mark.parametrize(("threshold", "kind"), [(-0.1, ValueError), (1.1, ValueError), ("0.3", TypeError)])
def test_a_threshold_outside_the_unit_interval_is_refused(threshold: Any, kind: type[Exception]) -> None:
    for call in (
        lambda: NTKPrior(TASK, BUDGET, threshold=threshold),
        lambda: NTKPrior(TASK, BUDGET).with_threshold(threshold),
        lambda: ntp.feasibility(Architecture(1.7, 0.1, 3), TASK, BUDGET, threshold=threshold),
        lambda: ntp.plot_phase_diagram(TASK, BUDGET, threshold=threshold),
    ):
        with pytest.raises(kind, match=r"threshold: expected .* received"):
            call()


def test_the_map_is_coloured_and_titled_by_the_threshold() -> None:
    figure = ntp.plot_phase_diagram(TASK, BUDGET, threshold=0.7)
    assert "threshold 0.7" in figure.layout.title.text
    codes = np.floor(np.asarray(figure.data[0].z))
    score = np.asarray(figure.data[0].customdata)[..., 0]
    assert ((codes == 0) == (score >= 0.7)).mean() > 0.999
    assert any("0.7" in (trace.name or "") for trace in figure.data)


def test_a_calibration_of_the_former_format_is_still_read() -> None:
    """Format 1 differs from format 2 in the names of three features only."""
    content = json.loads(json.dumps(shipped_calibration().to_json()))
    names = ["learnt", "ranked", "carried", "carried_ranking", "generalization", "calm", "calm_in_windows", "stout"]
    former = {**content, "format": "ntk-prior calibration 1", "features": names}
    assert Calibration.from_json(former).to_json() == content
    for wrong in ({**former, "features": names[::-1]}, {**former, "format": content["format"]}):
        with pytest.raises(ValueError, match="format: expected"):
            Calibration.from_json(wrong)


def test_columns_of_features_follow_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Architecture(1.7, 0.1, 10)
    found, size = estimate(network, TASK, BUDGET), NetworkSize.for_network(network, BUDGET)
    before = features(found, size)
    monkeypatch.setattr(laboratory, "FEATURES", laboratory.FEATURES[::-1])
    np.testing.assert_array_equal(features(found, size), before[:, ::-1])
