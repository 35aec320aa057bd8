"""A prior that is never consulted must not go unnoticed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna import Trial
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior_optuna import NTKPriorSampler, finished_trials, prune_if_infeasible
from tests.support.optuna_studies import sphere
from tests.support.priors import is_silent, likes_small_x

WARNING = "The prior had nothing to say about any of the first 5 trials, so it refuses nothing: "


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    monkeypatch.setattr(logging.getLogger("optuna"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="optuna"):
        yield caplog


def own_names(trial: Trial) -> float:
    return trial.suggest_float("init_gain", 0.5, 2.0) + trial.suggest_int("layers", 1, 64)


def test_a_search_space_with_other_names_is_told_of_once_and_why(log: pytest.LogCaptureFixture) -> None:
    prior = NTKPrior(Task.cifar10(500), Budget(100))
    optuna.create_study(sampler=NTKPriorSampler(prior, RandomSampler())).optimize(own_names, n_trials=12)
    assert log.text.count(WARNING) == 1
    assert "lacks weight_variance, bias_variance, depth and has init_gain, layers" in log.text


def test_so_is_a_gate_that_never_hears_of_a_network(log: pytest.LogCaptureFixture) -> None:
    def gated(trial: Trial) -> float:
        x = trial.suggest_float("x", -1, 1)
        prune_if_infeasible(trial, is_silent)
        return x

    optuna.create_study(sampler=RandomSampler()).optimize(gated, n_trials=12)
    assert log.text.count(WARNING) == 1


def test_a_prior_that_has_spoken_once_may_be_silent(log: pytest.LogCaptureFixture) -> None:
    def speaks_at_first(config: Any) -> Any:
        return likes_small_x(config) if config["x"] == 0.25 else is_silent(config)

    study = optuna.create_study(sampler=NTKPriorSampler(speaks_at_first, RandomSampler()))
    study.enqueue_trial({"x": 0.25, "y": 0.0})
    study.optimize(sphere, n_trials=12)
    assert WARNING not in log.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, is_silent), "trial: expected the optuna.Trial of the objective, received None"),
        ((FixedTrial({}), None), "prior: expected a callable such as ntk_prior.NTKPrior, received None"),
        (
            (FixedTrial({}), is_silent, 3),
            "config: expected a mapping of parameter names to values, or None, received 3",
        ),
    ],
)
def test_the_gate_refuses_arguments_of_the_wrong_type(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        prune_if_infeasible(*arguments)


def test_an_attribute_that_no_trial_has_is_an_error() -> None:
    def objective(trial: Trial) -> float:
        trial.set_user_attr("train_acc", 0.5)
        return trial.suggest_float("x", 0, 1)

    study = optuna.create_study(direction="maximize", sampler=RandomSampler())
    study.optimize(objective, n_trials=2)
    assert [one.train_accuracy for one in finished_trials(study, train_accuracy="train_acc")] == [0.5, 0.5]
    with pytest.raises(
        ValueError, match="train_accuracy: expected a user attribute of the study's trials, such as tra"
    ):
        finished_trials(study, train_accuracy="train_accuracy")


def of_error(trial: Trial) -> float:
    """Minimizes an error."""
    trial.set_user_attr("accuracy", 1 - trial.suggest_float("error", 0, 1))
    return trial.params["error"]


def test_what_a_study_minimizes_is_never_read_as_an_accuracy() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    with pytest.raises(ValueError, match="test_accuracy: expected the name of a user attribute, since the study mini"):
        finished_trials(study)
    study.optimize(of_error, n_trials=3)
    for options in ({}, {"train_accuracy": "accuracy"}):
        with pytest.raises(ValueError, match=r"test_accuracy: .* minimizes its objective, .*test_accuracy='test_"):
            finished_trials(study, **options)
    found = finished_trials(study, test_accuracy="accuracy")
    assert [one.test_accuracy for one in found] == [1 - trial.value for trial in study.trials]


@pytest.mark.parametrize("given", [np.float32(0.5), np.float64(0.5), 1, 0])
def test_accuracies_may_be_numbers_of_any_kind(given: Any) -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler())
    study.add_trial(optuna.create_trial(value=0.5, user_attrs={"accuracy": given, "diverged": np.bool_(False)}))
    (found,) = finished_trials(study, test_accuracy="accuracy", diverged="diverged")
    assert (found.test_accuracy, found.diverged) == (float(given), False)


@pytest.mark.parametrize("given", [True, np.bool_(True), "0.5", [0.5], 50])
def test_what_is_no_accuracy_is_not_taken_for_one(given: Any) -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler())
    study.add_trial(optuna.create_trial(value=0.5, user_attrs={"accuracy": given}))
    with pytest.raises(ValueError, match=r"trial 0: expected an accuracy in \[0, 1\] as the user attribute 'accuracy'"):
        finished_trials(study, test_accuracy="accuracy")


def test_a_divergence_is_said_by_true_or_false() -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler())
    study.add_trial(optuna.create_trial(value=0.5, user_attrs={"diverged": "False"}))
    with pytest.raises(ValueError, match="trial 0: expected True or False as the user attribute 'diverged', received"):
        finished_trials(study, diverged="diverged")


# --------------------------------------------------------------------------------------------------------------------
# Errors of the prior, told of once for each kind


def fails_with_values(config: Any) -> Any:
    if config["x"] > 0:
        raise ValueError(f"x: expected a negative number, received {config['x']}")
    raise KeyError(round(config["y"], 3))


@pytest.mark.parametrize("gated", [False, True], ids=["sampler", "gate"])
def test_each_kind_of_error_is_told_of_once_however_its_text_differs(
    log: pytest.LogCaptureFixture, gated: bool
) -> None:
    def objective(trial: Trial) -> float:
        value = sphere(trial)
        if gated:
            prune_if_infeasible(trial, fails_with_values)
        return value

    base = RandomSampler(seed=0)
    sampler = base if gated else NTKPriorSampler(fails_with_values, base)
    optuna.create_study(sampler=sampler).optimize(objective, n_trials=20)
    told = [record.message for record in log.records if "was not judged" in record.message]
    assert len(told) == 2
    assert any("ValueError: x: expected a negative number, received 0." in message for message in told)
    assert any("KeyError" in message for message in told)


def test_sampler_and_gate_do_not_both_tell(log: pytest.LogCaptureFixture) -> None:
    def objective(trial: Trial) -> float:
        value = sphere(trial)
        prune_if_infeasible(trial, fails_with_values)
        return value

    optuna.create_study(sampler=NTKPriorSampler(fails_with_values)).optimize(objective, n_trials=20)
    assert log.text.count("was not judged") == 2


# --------------------------------------------------------------------------------------------------------------------
# A prior that spoke and then fell silent


@pytest.mark.parametrize("gated", [False, True], ids=["sampler", "gate"])
def test_where_screening_has_to_stop_the_log_says_so_once(
    log: pytest.LogCaptureFixture, tmp_path: Path, gated: bool
) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_float("x" if trial.number < 10 else "gain", -1, 1)
        if gated:
            prune_if_infeasible(trial, likes_small_x, epsilon=1.0)
        return 0.0

    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="s", storage=storage)
    for _ in range(3):
        base = RandomSampler()
        sampler = base if gated else NTKPriorSampler(likes_small_x, base)
        optuna.load_study(study_name="s", storage=storage, sampler=sampler).optimize(objective, n_trials=25)
    words = "The prior had nothing to say about the latest 20 trials, though it did about earlier ones, so it refuses"
    assert log.text.count(words) == 1
    assert "nothing known" in log.text
    assert WARNING not in log.text


# --------------------------------------------------------------------------------------------------------------------
# Parameters that the prior does not look at


class LooksAtX:
    """A prior that says which parameters it does not look at."""

    def __call__(self, config: Any) -> Any:
        return likes_small_x(config)

    def unread(self, config: Any) -> tuple[str, ...]:
        return tuple(name for name in config if name != "x")


def with_rate(trial: Trial) -> float:
    return trial.suggest_float("x", -1, 1) + trial.suggest_float("lr", 1e-4, 1, log=True)


UNREAD = "The prior looks at x and not at lr: "


def test_parameters_that_the_prior_does_not_look_at_are_named_once_in_a_study(
    log: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="s", storage=storage)
    for _ in range(3):
        study = optuna.load_study(study_name="s", storage=storage, sampler=NTKPriorSampler(LooksAtX()))
        study.optimize(with_rate, n_trials=5)
    assert log.text.count(UNREAD) == 1
    assert "to_architecture maps other names" in log.text


def test_so_they_are_where_the_first_trials_came_without_the_prior_or_through_a_gate(
    log: pytest.LogCaptureFixture,
) -> None:
    def gated(trial: Trial) -> float:
        value = with_rate(trial)
        prune_if_infeasible(trial, LooksAtX(), epsilon=1.0)
        return value

    study = optuna.create_study(sampler=RandomSampler())
    study.optimize(with_rate, n_trials=5)
    study.sampler = NTKPriorSampler(LooksAtX())
    study.optimize(gated, n_trials=5)
    assert log.text.count(UNREAD) == 1


def test_nothing_is_said_of_a_prior_that_looks_at_all_or_at_nothing(log: pytest.LogCaptureFixture) -> None:
    for objective in (sphere, own_names):
        for prior in (likes_small_x, LooksAtX() if objective is own_names else likes_small_x):
            optuna.create_study(sampler=NTKPriorSampler(prior)).optimize(objective, n_trials=4)
    assert "looks at" not in log.text


def test_each_study_is_told_of_its_own(log: pytest.LogCaptureFixture) -> None:
    sampler = NTKPriorSampler(LooksAtX())
    for _ in range(2):
        optuna.create_study(sampler=sampler).optimize(with_rate, n_trials=3)
    assert log.text.count(UNREAD) == 2
