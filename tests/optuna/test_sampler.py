"""What the prior's sampler adds to a base sampler, and what it leaves alone."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import TrialState

from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_optuna._optuna import reseed
from tests.support.optuna_studies import BASES, SPACE, notes, study_of, valley
from tests.support.priors import (
    Judged,
    accepts_everything,
    is_silent,
    judged,
    likes_large_x,
    likes_small_x,
    refuses_everything,
)

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(params=BASES)
def base(request: pytest.FixtureRequest) -> BaseSampler:
    return BASES[request.param]()


class OwnSampler(BaseSampler):
    """A user's sampler: notes its calls, draws x from a list."""

    def __init__(self, xs: list[float]) -> None:
        self.xs = xs
        self.calls: list[str] = []

    def infer_relative_search_space(self, study: optuna.Study, trial: Any) -> dict[str, BaseDistribution]:
        self.calls.append("infer")
        return {"x": SPACE["x"]}

    def sample_relative(self, study: optuna.Study, trial: Any, search_space: Any) -> dict[str, Any]:
        self.calls.append("relative")
        return {"x": self.xs.pop(0)}

    def sample_independent(self, study: optuna.Study, trial: Any, name: str, distribution: Any) -> Any:
        self.calls.append("independent")
        return 0.5

    def before_trial(self, study: optuna.Study, trial: Any) -> None:
        self.calls.append("before")

    def after_trial(self, study: optuna.Study, trial: Any, state: TrialState, values: Any) -> None:
        self.calls.append("after")

    def reseed_rng(self) -> None:
        self.calls.append("reseed")


# --------------------------------------------------------------------------------------------------------------------
# Screening


def test_with_a_declared_space_no_refused_configuration_is_launched(base: BaseSampler) -> None:
    study = study_of(NTKPriorSampler(likes_small_x, base, search_space=SPACE, epsilon=0.0))
    study.optimize(valley, n_trials=25)
    assert len(study.trials) == 25
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials)
    assert all(note["score"] == 1 - abs(t.params["x"]) for note, t in zip(notes(study), study.trials, strict=True))


def test_define_by_run_screens_from_the_second_trial_on_and_so_during_start_up(base: BaseSampler) -> None:
    study = study_of(NTKPriorSampler(likes_small_x, base, epsilon=0.0))
    study.optimize(valley, n_trials=9)
    assert notes(study)[0]["drawn"] == "unseen"
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials[1:])
    assert all(note["drawn"] in ("screened", "uniform") for note in notes(study)[1:])


def test_what_the_base_draws_alone_is_judged_together_with_what_it_draws_independently() -> None:
    asked = []

    def prior(config: Mapping[str, Any]) -> Judged:
        asked.append(dict(config))
        return judged(1.0 if config["x"] > 0 and config["kind"] == "b" else 0.0)

    space = {"x": FloatDistribution(-1, 1), "kind": CategoricalDistribution(["a", "b"])}
    base = CmaEsSampler(n_startup_trials=1, warn_independent_sampling=False)
    study = study_of(NTKPriorSampler(prior, base, epsilon=0.0, search_space=space, max_draws=64))
    study.optimize(lambda t: t.suggest_float("x", -1, 1) + len(t.suggest_categorical("kind", ["a", "b"])), n_trials=15)
    assert all(trial.params["x"] > 0 and trial.params["kind"] == "b" for trial in study.trials)
    assert all(config.keys() == {"x", "kind"} for config in asked)


@pytest.mark.parametrize("name", [name for name in BASES if not name.startswith("cmaes")])
def test_several_objectives(name: str) -> None:
    sampler = NTKPriorSampler(likes_small_x, BASES[name](), search_space=SPACE, epsilon=0.0)
    study = study_of(sampler, directions=["minimize", "maximize"])
    study.optimize(lambda trial: (valley(trial), -abs(trial.params["x"])), n_trials=15)
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials)


def test_a_prior_that_refuses_everything_gets_its_draws_and_no_more(base: BaseSampler) -> None:
    asked = []

    def prior(config: Mapping[str, Any]) -> Judged:
        asked.append(dict(config))
        return refuses_everything(config)

    study = study_of(NTKPriorSampler(prior, base, search_space=SPACE, epsilon=0.0, max_draws=6))
    trial = study.ask(SPACE)
    assert len(asked) <= 6
    best = max(asked, key=lambda config: refuses_everything(config).score or 0.0)
    assert trial.params == best
    assert trial.user_attrs["ntk_prior"]["drawn"] == "best_of_refused"


def test_half_of_the_draws_are_the_base_samplers_and_the_others_uniform() -> None:
    base = OwnSampler([n / 1000 for n in range(100)])
    study = study_of(NTKPriorSampler(likes_large_x, base, epsilon=0.0, max_draws=200, seed=5))
    trial = study.ask({"x": SPACE["x"]})
    assert base.calls.count("relative") == 100
    assert abs(trial.params["x"]) >= 0.7
    assert trial.user_attrs["ntk_prior"]["drawn"] == "uniform"


def test_an_expensive_base_sampler_draws_three_times_at_most() -> None:
    class Gaussian(GPSampler):
        """The real one needs torch, which is nothing the cap depends on."""

        def __init__(self) -> None:
            self.draws = 0

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
            return {"x": SPACE["x"]}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            self.draws += 1
            return {"x": self.draws / 100}

        def before_trial(self, study: Any, trial: Any) -> None: ...

    base = Gaussian()
    study = study_of(NTKPriorSampler(likes_large_x, base, epsilon=0.0, max_draws=64))
    trial = study.ask({"x": SPACE["x"]})
    assert base.draws == 3
    assert trial.user_attrs["ntk_prior"]["drawn"] == "uniform"


def test_a_base_sampler_that_repeats_its_draw_is_not_asked_forever() -> None:
    base = OwnSampler([0.1] * 100)
    study = study_of(NTKPriorSampler(likes_large_x, base, epsilon=0.0, max_draws=64))
    assert abs(study.ask({"x": SPACE["x"]}).params["x"]) >= 0.7
    assert base.calls.count("relative") == 2


@pytest.mark.parametrize("n_jobs", [2])
def test_threads(n_jobs: int) -> None:
    study = study_of(NTKPriorSampler(likes_small_x, TPESampler(), search_space=SPACE, epsilon=0.0))
    study.optimize(valley, n_trials=40, n_jobs=n_jobs)
    assert [trial.number for trial in study.trials] == list(range(40))
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials)
    assert len({trial.params["x"] for trial in study.trials}) == 40


def test_ask_and_tell_with_several_trials_open() -> None:
    study = study_of(NTKPriorSampler(likes_small_x, search_space=SPACE, epsilon=0.0))
    for _ in range(5):
        trials = [study.ask() for _ in range(4)]
        for trial in reversed(trials):
            study.tell(trial, valley(trial))
    assert len(study.trials) == 20
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials)


def test_hyperband() -> None:
    def objective(trial: optuna.Trial) -> float:
        value = valley(trial)
        for step in range(9):
            trial.report(value / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = study_of(NTKPriorSampler(likes_small_x, TPESampler(), epsilon=0.0, search_space=SPACE), pruner=pruner)
    study.optimize(objective, n_trials=40)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials)


# --------------------------------------------------------------------------------------------------------------------
# What is never refused


@pytest.mark.parametrize("name", ["random", "tpe", "tpe-univariate", "cmaes"])
def test_a_silent_prior_changes_nothing(name: str) -> None:
    def seeded() -> BaseSampler:
        base = BASES[name]()
        reseed(base, 11)
        return base

    alone, wrapped = study_of(seeded()), study_of(NTKPriorSampler(is_silent, seeded()))
    alone.optimize(valley, n_trials=30)
    wrapped.optimize(valley, n_trials=30)
    assert [trial.params for trial in wrapped.trials] == [trial.params for trial in alone.trials]
    assert all(note["score"] is None and note["verdict"] == "outside_theory" for note in notes(wrapped))


def test_trials_run_where_the_prior_lacks_parameters() -> None:
    study = study_of(NTKPriorSampler(likes_small_x, RandomSampler(), epsilon=0.0))
    study.optimize(lambda trial: trial.suggest_float("other", 0, 1), n_trials=10)
    assert [note["drawn"] for note in notes(study)] == ["unjudged"] * 10


def test_enqueued_trials_are_never_refused() -> None:
    study = study_of(NTKPriorSampler(likes_small_x, search_space=SPACE, epsilon=0.0))
    study.enqueue_trial({"x": 1.0, "y": 0.25})
    study.enqueue_trial({"x": -0.9})
    study.optimize(valley, n_trials=5)
    assert study.trials[0].params == {"x": 1.0, "y": 0.25}
    assert study.trials[1].params["x"] == -0.9
    assert [note["drawn"] for note in notes(study)] == ["enqueued"] * 2 + ["screened"] * 3
    assert notes(study)[0]["score"] == 0.0


def test_what_an_enqueued_trial_leaves_open_is_drawn_to_suit_it() -> None:
    def near_diagonal(config: Mapping[str, Any]) -> Judged:
        return judged(1.0 if abs(config["x"] - config["y"]) < 0.2 else 0.0)

    study = study_of(NTKPriorSampler(near_diagonal, RandomSampler(), search_space=SPACE, epsilon=0.0, max_draws=200))
    for x in (-0.8, -0.3, 0.1, 0.6, 0.8):
        study.enqueue_trial({"x": x})
    study.optimize(valley, n_trials=5)
    assert [trial.params["x"] for trial in study.trials] == [-0.8, -0.3, 0.1, 0.6, 0.8]
    assert all(abs(trial.params["x"] - trial.params["y"]) < 0.2 for trial in study.trials)


def test_audited_trials_are_the_base_samplers_own_first_draws() -> None:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(), search_space=SPACE, epsilon=0.3, seed=2)
    study = study_of(sampler)
    study.optimize(valley, n_trials=100)
    plain = [note["drawn"] == "plain" for note in notes(study)]
    assert plain == [sampler.screen.audits(number) for number in range(100)]
    assert any(note["score"] < 0.3 for note in notes(study))
    assert all(note["score"] >= 0.3 for note, audited in zip(notes(study), plain, strict=True) if not audited)


@pytest.mark.parametrize("n_steps", [3])
def test_a_grid_is_searched_completely(n_steps: int) -> None:
    grid = {"x": [-1.0, 0.0, 1.0], "y": [-1.0, 0.0, 1.0]}
    study = study_of(NTKPriorSampler(likes_small_x, GridSampler(grid, seed=0), epsilon=0.0, search_space=SPACE, seed=1))
    study.optimize(valley, n_trials=20)
    points = sorted((trial.params["x"], trial.params["y"]) for trial in study.trials)
    assert points == [(x, y) for x in grid["x"] for y in grid["y"]]


def test_a_brute_force_search_is_complete_also_inside_another_sampler() -> None:
    inner = PartialFixedSampler({"other": 0.0}, BruteForceSampler())
    study = study_of(NTKPriorSampler(likes_small_x, inner, epsilon=0.0))
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1, step=0.5) ** 2, n_trials=50)
    assert sorted(trial.params["x"] for trial in study.trials) == [-1.0, -0.5, 0.0, 0.5, 1.0]


# --------------------------------------------------------------------------------------------------------------------
# Being a good wrapper


def test_every_call_reaches_the_base_sampler() -> None:
    base = OwnSampler([0.9, 0.1])
    study = study_of(NTKPriorSampler(likes_small_x, base, epsilon=0.0, candidates=1))
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) + trial.suggest_float("z", 0, 1), n_trials=1)
    study.sampler.reseed_rng()
    assert base.calls == ["before", "infer", "relative", "relative", "independent", "after", "reseed"]
    assert study.trials[0].params == {"x": 0.1, "z": 0.5}


def test_a_pickled_sampler_goes_on_as_the_original_would() -> None:
    sampler = NTKPriorSampler(likes_small_x, TPESampler(n_startup_trials=3), epsilon=0.3)
    study = study_of(sampler)
    study.optimize(valley, n_trials=8)
    copy = pickle.loads(pickle.dumps(study))
    assert copy.sampler.screen == sampler.screen
    study.optimize(valley, n_trials=8)
    copy.optimize(valley, n_trials=8)
    assert [trial.params for trial in copy.trials] == [trial.params for trial in study.trials]
    assert notes(copy) == notes(study)


def test_one_sampler_may_serve_several_studies() -> None:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(), epsilon=0.0)
    first, second = study_of(sampler), study_of(sampler)
    first.optimize(valley, n_trials=3)
    second.optimize(lambda trial: trial.suggest_float("other", 0, 1), n_trials=3)
    first.optimize(valley, n_trials=3)
    assert all(trial.params.keys() == {"other"} for trial in second.trials)
    assert all(abs(trial.params["x"]) <= 0.7 for trial in first.trials[1:])


@pytest.mark.parametrize("name", ["random", "tpe", "cmaes", "nsga2"])
def test_with_a_seed_a_study_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    def sampler() -> NTKPriorSampler:
        return NTKPriorSampler(likes_small_x, BASES[name](), seed=8)

    whole, parts = study_of(sampler()), study_of(sampler())
    whole.optimize(valley, n_trials=24)
    for _ in range(4):
        parts.sampler = sampler()
        parts.optimize(valley, n_trials=6)
    assert [trial.params for trial in parts.trials] == [trial.params for trial in whole.trials]


def test_different_seeds_and_no_seed_give_different_studies() -> None:
    found = set()
    for seed in (1, 2, None, None):
        study = study_of(NTKPriorSampler(likes_small_x, seed=seed))
        study.optimize(valley, n_trials=1)
        found.add(study.trials[0].params["x"])
    assert len(found) == 4


def test_a_failing_prior_is_reported_and_stops_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(config: Mapping[str, Any]) -> Judged:
        raise ZeroDivisionError("in to_architecture")

    monkeypatch.setattr(logging.getLogger("optuna"), "propagate", True)
    study = study_of(NTKPriorSampler(fails, RandomSampler()))
    with caplog.at_level(logging.WARNING, logger="optuna"):
        study.optimize(valley, n_trials=3)
    words = " was not judged: the prior failed: ZeroDivisionError: in to_architecture"
    assert f"Trial 0{words}" in caplog.text
    assert f"Trial 1{words}" not in caplog.text
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3


def test_without_a_base_sampler_it_is_tpe() -> None:
    assert str(NTKPriorSampler(accepts_everything)) == "NTKPriorSampler(TPESampler)"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"prior": 3}, TypeError, "prior: expected a callable"),
        ({"base_sampler": "tpe"}, TypeError, "base_sampler: expected an Optuna sampler or None, received 'tpe'"),
        (
            {"base_sampler": NTKPriorSampler(is_silent)},
            ValueError,
            "base_sampler: expected a sampler without a prior of its own, received NTKPriorSampler",
        ),
        ({"search_space": [1]}, TypeError, r"search_space: expected a mapping .* received \[1\]"),
        ({"search_space": {"x": (0, 1)}}, TypeError, r"search_space: .* received \(0, 1\) for 'x'"),
        ({"threshold": 2}, ValueError, r"threshold: expected a value in \[0, 1\], received 2"),
        ({"epsilon": None}, TypeError, "epsilon: expected a real number, received None"),
        ({"max_draws": 0}, ValueError, "max_draws: expected an integer"),
        ({"seed": -1}, ValueError, "seed: expected an integer"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        NTKPriorSampler(**{"prior": accepts_everything, **arguments})
