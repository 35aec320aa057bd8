"""Screening goes on where distributions change within a study, and where a storage changes their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ntk_prior_optuna import NTKPriorSampler
from tests.support.optuna_studies import notes, study_of
from tests.support.priors import Judged, judged, likes_small_x

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning", "ignore:Choices for a cate")

CHANGES_AT, N_TRIALS = 10, 40
BASES: list[Callable[[], BaseSampler]] = [lambda: RandomSampler(seed=0), lambda: TPESampler(seed=0)]


def changed(trial: Trial) -> bool:
    return trial.number >= CHANGES_AT


def ignored_range_widens(trial: Trial) -> None:
    trial.suggest_float("x", -1, 1)
    trial.suggest_int("top_k", 1, 20 if changed(trial) else 10)


def ignored_step_changes(trial: Trial) -> None:
    trial.suggest_float("x", -1, 1)
    trial.suggest_float("dropout", 0, 0.5, step=0.25 if changed(trial) else 0.1)


def needed_range_narrows(trial: Trial) -> None:
    trial.suggest_float("x", -0.9 if changed(trial) else -1, 1)


def needed_range_moves(trial: Trial) -> None:
    trial.suggest_float("x", *((0.4, 1.0) if changed(trial) else (-1.0, 0.4)))


def ignored_range_depends_on_a_needed_parameter(trial: Trial) -> None:
    trial.suggest_float("width", 0, 2 + trial.suggest_float("x", -1, 1))


def needed_range_depends_on_another_parameter(trial: Trial) -> None:
    scale = trial.suggest_float("scale", 0.8, 1.6)
    trial.suggest_float("x", -scale, scale)


def needed_range_depends_on_a_later_drawn_category(trial: Trial) -> None:
    optimizer = trial.suggest_categorical("optimizer", ["adam", "sgd"])
    trial.suggest_float("x", *((-1.0, 0.0) if optimizer == "adam" else (0.0, 1.0)))


def ignored_range_for_each_optimizer(trial: Trial) -> None:
    trial.suggest_float("x", -1, 1)
    optimizer = trial.suggest_categorical("optimizer", ["adam", "sgd"])
    trial.suggest_float("lr", *((1e-4, 1e-2) if optimizer == "adam" else (1e-2, 1.0)), log=True)


def parameter_is_renamed(trial: Trial) -> None:
    trial.suggest_float("new" if changed(trial) else "old", 0, 1)
    trial.suggest_float("x", -1, 1)


def range_becomes_a_single_value_and_back(trial: Trial) -> None:
    trial.suggest_int("layers", 3, 3 + trial.number % 2)
    trial.suggest_float("x", -1, 1)


OBJECTIVES = [
    ignored_range_widens,
    ignored_step_changes,
    needed_range_narrows,
    needed_range_moves,
    ignored_range_depends_on_a_needed_parameter,
    needed_range_depends_on_another_parameter,
    needed_range_depends_on_a_later_drawn_category,
    ignored_range_for_each_optimizer,
    parameter_is_renamed,
    range_becomes_a_single_value_and_back,
]


def returning_nothing_to_learn(suggest: Callable[[Trial], None]) -> Callable[[Trial], float]:
    def objective(trial: Trial) -> float:
        suggest(trial)
        return 0.0

    return objective


@pytest.mark.parametrize("base", BASES, ids=["random", "tpe"])
@pytest.mark.parametrize("suggest", OBJECTIVES)
def test_no_refused_configuration_is_launched_after_a_distribution_has_changed(
    suggest: Callable[[Trial], None], base: Callable[[], BaseSampler]
) -> None:
    study = study_of(NTKPriorSampler(likes_small_x, base(), epsilon=0.0, seed=0))
    study.optimize(returning_nothing_to_learn(suggest), n_trials=N_TRIALS)
    for trial, note in zip(study.trials[1:], notes(study)[1:], strict=True):
        assert abs(trial.params["x"]) <= 0.7
        assert note["drawn"] in ("screened", "uniform")
        assert note["score"] == 1 - abs(trial.params["x"])


@pytest.mark.parametrize("suggest", OBJECTIVES)
def test_nor_by_another_process_that_knows_the_storage_only(suggest: Callable[[Trial], None], tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="s", storage=storage)
    for n_trials in (CHANGES_AT + 5, 8, 8):
        sampler = NTKPriorSampler(likes_small_x, RandomSampler(), epsilon=0.0)
        study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
        study.optimize(returning_nothing_to_learn(suggest), n_trials=n_trials)
    assert {note["drawn"] for note in notes(study)[1:]} <= {"screened", "uniform"}
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials[1:])


@pytest.mark.parametrize("suggest", OBJECTIVES)
def test_audits_are_audits_before_and_after_a_change(suggest: Callable[[Trial], None]) -> None:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(), epsilon=0.2, seed=3)
    study = study_of(sampler)
    study.optimize(returning_nothing_to_learn(suggest), n_trials=N_TRIALS)
    audited = [number for number in range(1, N_TRIALS) if sampler.screen.audits(number)]
    assert [number for number, note in enumerate(notes(study)) if note["drawn"] == "plain"] == audited


def test_an_audited_trial_is_drawn_in_the_range_that_it_has_itself() -> None:
    """What the base sampler would draw alone is uniform in it, wherever the range of the trial before was."""

    def objective(trial: Trial) -> float:
        low = trial.suggest_categorical("low", [0, 10])
        return trial.suggest_float("x", low, low + 1 + 9 * (trial.number % 2))

    sampler = NTKPriorSampler(lambda config: judged(0.9), RandomSampler(seed=0), epsilon=1.0)
    study = study_of(sampler)
    study.optimize(objective, n_trials=400)
    wide = [trial.params["x"] - trial.params["low"] for trial in study.trials if trial.number % 2]
    assert sum(x > 1 for x in wide) == pytest.approx(0.9 * len(wide), abs=25)


def test_a_range_is_that_of_the_latest_trial_with_the_same_categorical_values() -> None:
    asked: list[Mapping[str, Any]] = []

    def prior(config: Mapping[str, Any]) -> Judged:
        asked.append(dict(config))
        return judged(0.1)

    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=0), epsilon=0.0))
    study.optimize(returning_nothing_to_learn(needed_range_depends_on_a_later_drawn_category), n_trials=30)
    asked.clear()
    study.ask().suggest_categorical("optimizer", ["adam", "sgd"])
    assert {config["optimizer"] for config in asked} == {"adam", "sgd"}
    assert all((config["x"] <= 0) == (config["optimizer"] == "adam") for config in asked)


def test_a_value_that_the_trial_s_own_range_does_not_hold_is_drawn_again_to_suit_the_others() -> None:
    def near_diagonal(config: Mapping[str, Any]) -> Judged:
        return judged(1.0 if abs(config["x"] - config["y"]) < 0.2 else 0.0)

    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", -1, 1)
        return trial.suggest_float("y", *((-1.0, 0.0) if x < 0 else (0.0, 1.0)))

    study = study_of(NTKPriorSampler(near_diagonal, RandomSampler(seed=0), epsilon=0.0, max_draws=64))
    study.optimize(objective, n_trials=40)
    assert all(abs(trial.params["x"] - trial.params["y"]) < 0.2 for trial in study.trials[1:])


def test_if_all_that_the_range_holds_is_refused_the_note_says_so() -> None:
    study = study_of(NTKPriorSampler(likes_small_x, RandomSampler(seed=0), epsilon=0.0))
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1), n_trials=3)
    study.optimize(lambda trial: trial.suggest_float("x", 0.8, 0.9), n_trials=3)
    assert [note["drawn"] for note in notes(study)[3:]] == ["best_of_refused"] * 3


def test_a_trial_launched_with_values_that_nobody_let_through_counts_as_unseen() -> None:
    """The objective decides by itself what it suggests: the value that was let through is of no use."""
    study = study_of(NTKPriorSampler(likes_small_x, RandomSampler(seed=0), epsilon=0.0))
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1), n_trials=3)
    trial = study.ask()
    trial.suggest_float("y", 0, 1)
    study.sampler.histories.of(study).plans.clear()  # as in another process that ends the trial
    trial.suggest_float("x", 0.8, 0.9)
    study.tell(trial, 0.0)
    assert notes(study)[-1]["drawn"] == "unseen"


def test_what_a_prior_needs_in_one_branch_only_may_be_unknown_in_the_others() -> None:
    def objective(trial: Trial) -> float:
        if trial.suggest_categorical("kind", ["fcn", "cnn"]) == "cnn":
            trial.suggest_float("filters", 0, 1 + trial.number)
        return abs(trial.suggest_float("x", -1, 1))

    def prior(config: Mapping[str, Any]) -> Judged:
        assert (config["kind"] == "cnn") == ("filters" in config)
        return likes_small_x(config)

    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=1), epsilon=0.0))
    study.optimize(objective, n_trials=40)
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials[3:])


def test_branches_are_told_apart_among_many_categories_that_do_not_matter() -> None:
    def objective(trial: Trial) -> float:
        for n in range(8):
            trial.suggest_categorical(f"c{n}", ["a", "b", "c"])
        return kind_and_pooling(trial)

    def kind_and_pooling(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", ["fcn", "cnn"])
        if kind == "cnn":
            trial.suggest_categorical("pooling", [False, True])
        return abs(trial.suggest_float(f"x_{kind}", -1, 1))

    def prior(config: Mapping[str, Any]) -> Judged:
        if ("pooling" in config) != (config["kind"] == "cnn"):
            raise ValueError("pooling: expected for networks with pixels only")
        return judged(1 - abs(config[f"x_{config['kind']}"]))

    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=1), epsilon=0.0, seed=0))
    study.optimize(objective, n_trials=80)
    launched = [abs(trial.params[f"x_{trial.params['kind']}"]) <= 0.7 for trial in study.trials[30:]]
    assert all(launched)
    assert {note["drawn"] for note in notes(study)[30:]} <= {"screened", "uniform"}


def test_a_space_of_failed_trials_is_a_space_too() -> None:
    def fails(trial: Trial) -> float:
        trial.suggest_float("x", -1, 1)
        raise RuntimeError("out of memory")

    study = study_of(NTKPriorSampler(likes_small_x, RandomSampler(seed=0), epsilon=0.0))
    study.optimize(fails, n_trials=30, catch=RuntimeError)
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials[1:])


# --------------------------------------------------------------------------------------------------------------------
# Values that come back from a storage in another form

WIDTHS: dict[str, list[Any]] = {
    "tuples": [(64, 64), (256, 256), (64, 256)],
    "lists": [[64, 64], [256, 256], [64, 256]],
    "nested": [((64, "relu"), None), ((256, "tanh"), 0.5)],
    "mixed": [None, "wide", (64, 64), 2.5, True],
}


@pytest.fixture(params=["memory", "sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    return None if request.param == "memory" else JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))


def with_widths(choices: list[Any]) -> Callable[[Trial], float]:
    def objective(trial: Trial) -> float:
        given = trial.suggest_categorical("widths", choices)
        assert any(given is choice for choice in choices)
        return 0.0 * trial.suggest_float("x", -1, 1)

    return objective


@pytest.mark.parametrize("choices", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("base", BASES, ids=["random", "tpe"])
def test_choices_of_any_form_are_screened_with_every_storage(
    choices: list[Any], base: Callable[[], BaseSampler], storage: Any
) -> None:
    table = {repr(choice): n for n, choice in enumerate(choices)}

    def prior(config: Mapping[str, Any]) -> Judged:
        # Knows values as the objective writes them, not as the storage does.
        return judged(1 - abs(config["x"]) if table[repr(config["widths"])] else 0.1)

    study = study_of(NTKPriorSampler(prior, base(), epsilon=0.0, max_draws=64, seed=0), storage=storage)
    study.optimize(with_widths(choices), n_trials=25)
    assert len(study.trials) == 25
    for trial, note in zip(study.trials[3:], notes(study)[3:], strict=True):
        assert note["score"] == pytest.approx(1 - abs(trial.params["x"]))
        assert note["drawn"] in ("screened", "uniform")


def test_declared_tuples_are_screened_from_the_first_trial_on(storage: Any) -> None:
    space: dict[str, BaseDistribution] = {
        "widths": CategoricalDistribution(WIDTHS["tuples"]),
        "x": FloatDistribution(-1, 1),
    }
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=0), epsilon=0.0, search_space=space)
    study = study_of(sampler, storage=storage)
    study.optimize(with_widths(WIDTHS["tuples"]), n_trials=15)
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials)


def test_branches_are_known_by_their_tuples(storage: Any) -> None:
    def objective(trial: Trial) -> float:
        if len(trial.suggest_categorical("widths", [(64,), (64, 64)])) == 2:
            trial.suggest_float("second", 0, 1)
        return abs(trial.suggest_float("x", -1, 1))

    def prior(config: Mapping[str, Any]) -> Judged:
        if (len(config["widths"]) == 2) != ("second" in config):
            return judged(None)
        return likes_small_x(config)

    study = study_of(NTKPriorSampler(prior, RandomSampler(seed=0), epsilon=0.0), storage=storage)
    study.optimize(objective, n_trials=30)
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials[6:])


def test_a_partially_fixed_tuple_stays_fixed(storage: Any) -> None:
    sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=0), epsilon=0.0)
    study = study_of(PartialFixedSampler({"widths": (256, 256)}, sampler), storage=storage)
    study.optimize(with_widths(WIDTHS["tuples"]), n_trials=10)
    assert all(tuple(trial.params["widths"]) == (256, 256) for trial in study.trials)
    assert all(abs(trial.params["x"]) <= 0.7 for trial in study.trials[2:])
