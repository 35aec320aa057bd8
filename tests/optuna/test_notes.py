"""What is written to the storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GridSampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import TrialState

from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_optuna._optuna import DraftStudy
from ntk_prior_optuna.history import REFUSED_KEPT, evidence_of, record_of, refused_before
from tests.support.optuna_studies import BASES, SPACE, notes, sphere, study_of
from tests.support.priors import Judged, by_hash, likes_large_x, likes_small_x, refuses_everything

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(params=BASES)
def base(request: pytest.FixtureRequest) -> BaseSampler:
    return BASES[request.param]()


class Spy:
    """Counts the writes to one storage."""

    def __init__(self, study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes: list[tuple[int, str]] = []
        for name in ("set_trial_user_attr", "set_trial_system_attr"):
            original = getattr(study._storage, name)

            def write(trial_id: int, key: str, value: Any, original: Any = original) -> None:
                self.writes.append((trial_id, key))
                original(trial_id, key, value)

            monkeypatch.setattr(study._storage, name, write)


def test_two_attributes_a_trial_and_nothing_of_discarded_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    base = TPESampler(n_startup_trials=0, multivariate=True, constant_liar=True)
    study = study_of(NTKPriorSampler(refuses_everything, base, search_space=SPACE, epsilon=0.0))
    study.optimize(sphere, n_trials=3)
    spy = Spy(study, monkeypatch)
    study.optimize(sphere, n_trials=5)
    for trial in study.trials[3:]:
        keys = [key for trial_id, key in spy.writes if trial_id == trial._trial_id]
        assert sorted(keys) == ["ntk_prior", "ntk_prior:refused", "tpe:relative_params:0"]


@pytest.mark.parametrize("prior", [by_hash, refuses_everything, likes_large_x])
def test_parallel_workers_read_the_point_that_is_really_launched(prior: Callable[..., Judged]) -> None:
    base = TPESampler(n_startup_trials=2, multivariate=True, constant_liar=True)
    study = study_of(NTKPriorSampler(prior, base, search_space=SPACE, threshold=0.5))
    study.optimize(sphere, n_trials=3)
    for _ in range(10):
        trial = study.ask(SPACE)
        running = study.trials[-1]
        assert running.state == TrialState.RUNNING
        assert json.loads(running.system_attrs["tpe:relative_params:0"]) == trial.params
        study.tell(trial, sphere(trial))


def test_a_long_point_is_published_in_parts() -> None:
    space: dict[str, BaseDistribution] = {f"x{n:03d}": FloatDistribution(-1, 1) for n in range(120)}
    base = TPESampler(n_startup_trials=1, multivariate=True, constant_liar=True)
    study = study_of(NTKPriorSampler(by_hash, base, search_space=space))
    study.tell(study.ask(space), 0.0)
    study.tell(study.ask(space), 0.0)
    trial = study.ask(space)
    attributes = study.trials[-1].system_attrs
    parts = [attributes[key] for key in sorted(attributes) if key.startswith("tpe:relative_params:")]
    assert len(parts) >= 2
    assert json.loads("".join(parts)) == trial.params


def test_cma_es_with_margin_never_learns_from_a_point_it_did_not_propose() -> None:
    base = CmaEsSampler(n_startup_trials=1, with_margin=True, popsize=4)
    study = study_of(NTKPriorSampler(likes_large_x, base, search_space=SPACE, epsilon=0.0, max_draws=4, seed=4))
    study.optimize(sphere, n_trials=60)
    drawn = {note["drawn"] for note in notes(study)}
    assert "uniform" in drawn
    for trial, note in zip(study.trials[1:], notes(study)[1:], strict=True):
        point = trial.system_attrs.get("x_for_tell")
        if note["drawn"] == "uniform":
            assert point is None
        if point is not None:
            assert [2 * value - 1 for value in point] == pytest.approx([trial.params["x"], trial.params["y"]])


def test_a_draft_reads_its_own_writes_and_passes_on_those_to_others() -> None:
    study = study_of(RandomSampler())
    first, second = study.ask(), study.ask()
    draft = DraftStudy(study, first)
    draft._storage.set_trial_system_attr(first._trial_id, "note", 1)
    draft._storage.set_trial_system_attr(second._trial_id, "note", 2)
    assert draft._storage.get_trial_system_attrs(first._trial_id) == {"note": 1}
    assert [trial.system_attrs for trial in study.trials] == [{}, {"note": 2}]
    assert draft.directions == study.directions


def test_the_attribute_has_score_verdict_and_reason_and_is_json_without_nan(base: BaseSampler) -> None:
    def prior(config: Mapping[str, Any]) -> Judged:
        return Judged(float("nan") if config.get("x", 0) > 0 else 0.8)

    study = study_of(NTKPriorSampler(prior, base, search_space=SPACE))
    study.optimize(sphere, n_trials=12)
    for trial, note in zip(study.trials, notes(study), strict=True):
        assert note.keys() >= {"score", "verdict", "reason"}
        assert note["score"] == (None if trial.params["x"] > 0 else 0.8)
        json.dumps(note, allow_nan=False)


def test_refused_draws_are_kept_with_the_trial_that_they_were_drawn_for() -> None:
    asked: list[dict[str, Any]] = []

    def prior(config: Mapping[str, Any]) -> Judged:
        asked.append(dict(config))
        return likes_small_x(config)

    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=0), search_space=SPACE, seed=0, candidates=1))
    study.optimize(sphere, n_trials=20)
    launched = [trial.params for trial in study.trials]
    kept = [draw for trial in study.trials for draw in refused_before(trial)]
    assert [draw.config for draw in kept] == [config for config in asked if config not in launched]
    assert {(draw.verdict, abs(draw.config["x"]) > 0.7) for draw in kept} == {("untrainable", True)}


def test_of_many_refused_draws_the_first_ones_are_kept() -> None:
    study = study_of(NTKPriorSampler(refuses_everything, search_space=SPACE, epsilon=0.0, max_draws=100, seed=0))
    study.optimize(sphere, n_trials=1)
    assert len(refused_before(study.trials[0])) == REFUSED_KEPT


def test_the_study_tells_its_samplers_settings(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(), threshold=0.4, epsilon=0.2, candidates=3, seed=7)
    study = study_of(sampler, storage=storage)
    study.optimize(sphere, n_trials=2)
    assert optuna.load_study(study_name=None, storage=storage).user_attrs["ntk_prior"] == {
        "base_sampler": "RandomSampler",
        "threshold": 0.4,
        "epsilon": 0.2,
        "max_draws": 32,
        "candidates": 3,
        "seed": 7,
    }


def test_the_settings_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(NTKPriorSampler(likes_small_x, RandomSampler(), seed=0))
    written: list[str] = []
    original = study._storage.set_study_user_attr
    monkeypatch.setattr(study._storage, "set_study_user_attr", lambda *of: (written.append(of[1]), original(*of)))
    study.optimize(sphere, n_trials=5)
    assert written == ["ntk_prior"]


def test_failed_trials_bear_the_attribute_too() -> None:
    def fails(trial: optuna.Trial) -> float:
        sphere(trial)
        raise RuntimeError("out of memory")

    study = study_of(NTKPriorSampler(likes_small_x, RandomSampler()))
    study.optimize(fails, n_trials=2, catch=RuntimeError)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2
    assert all(note["verdict"] in ("feasible", "untrainable") for note in notes(study))


# --------------------------------------------------------------------------------------------------------------------
# Audits, and trials that the prior had no say in


def test_trials_before_the_space_is_known_and_those_of_a_silent_prior_are_no_audits() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("model", ["network", "forest"]) == "network":
            trial.suggest_float("x", -1, 1)
        return 0.0

    sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=0), epsilon=0.2, seed=0)
    study = study_of(sampler)
    study.optimize(objective, n_trials=60)
    for trial, note in zip(study.trials, notes(study), strict=True):
        if trial.params["model"] == "forest":
            assert note["drawn"] == "unjudged"
        elif note["drawn"] == "plain":
            assert sampler.screen.audits(trial.number)
    assert {note["drawn"] for note in notes(study)} >= {"unseen", "unjudged", "plain", "screened"}


@pytest.mark.parametrize("outside", [True, False])
def test_a_trial_of_which_all_is_fixed_is_the_users(outside: bool) -> None:
    def sampler(base: BaseSampler) -> NTKPriorSampler:
        return NTKPriorSampler(likes_small_x, base, search_space=SPACE)

    fixed = {"x": 0.9, "y": 0.0}
    base = RandomSampler()
    chosen = PartialFixedSampler(fixed, sampler(base)) if outside else sampler(PartialFixedSampler(fixed, base))
    study = study_of(chosen)
    study.optimize(sphere, n_trials=5)
    assert [note["drawn"] for note in notes(study)] == ["enqueued"] * 5
    assert [evidence_of(trial, record_of(trial), study.directions) for trial in study.trials] == [None] * 5


def test_the_points_of_a_grid_are_unseen_and_they_are_evidence() -> None:
    grid = GridSampler({"x": [-0.9, 0.0, 0.9], "y": [0.0]}, seed=0)
    study = study_of(NTKPriorSampler(likes_small_x, grid))
    study.optimize(sphere, n_trials=3)
    assert [note["drawn"] for note in notes(study)] == ["unseen"] * 3
    evidence = [evidence_of(trial, record_of(trial), study.directions) for trial in study.trials]
    assert [one is not None and one.plain for one in evidence] == [True] * 3


# --------------------------------------------------------------------------------------------------------------------
# What every storage takes: MySQL and MariaDB no more than 65,535 bytes for an attribute

LONG = {
    "long values": {"p": "x" * 30_000},
    "values of many bytes": {"p": "\N{SNOWMAN}" * 500, "q": "\N{PILE OF POO}" * 400},
    "long names": {"n" * 500 + str(k): 0.5 for k in range(60)},
    "many parameters": {f"parameter_{k}": 1 / 3 for k in range(500)},
    "a single name beyond all limits": {"n" * 70_000: 1},
    "tuples": {"p": (1,) * 40_000},
}


@pytest.mark.filterwarnings("ignore:Choices for a cate")
@pytest.mark.parametrize("extra", LONG.values(), ids=LONG)
def test_no_attribute_exceeds_what_every_storage_takes(extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0

    def refuses_at_length(config: Mapping[str, Any]) -> Judged:
        return Judged(0.1, "untrainable" * 10_000, "why \N{SNOWMAN}" * 20_000)

    study = study_of(NTKPriorSampler(refuses_at_length, RandomSampler(seed=0), epsilon=0.0))
    for name in ("set_trial_user_attr", "set_trial_system_attr", "set_study_user_attr", "set_study_system_attr"):
        original = getattr(study._storage, name)

        def write(of: int, key: str, value: Any, original: Any = original) -> None:
            nonlocal longest
            longest = max(longest, len(json.dumps(value).encode()), len(json.dumps(value, ensure_ascii=False).encode()))
            original(of, key, value)

        monkeypatch.setattr(study._storage, name, write)

    def objective(trial: optuna.Trial) -> float:
        for name, value in extra.items():
            trial.suggest_categorical(name, [value, f"{value}."] if isinstance(value, str) else [value, 0.25])
        return trial.suggest_float("x", -1, 1)

    study.optimize(objective, n_trials=3)
    assert longest < 65_000
    kept = refused_before(study.trials[-1])
    assert 0 < len(kept) <= REFUSED_KEPT
    assert {(draw.score, draw.verdict[:11]) for draw in kept} == {(0.1, "untrainable")}
