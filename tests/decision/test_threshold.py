"""Whoever refuses and whoever judges have one threshold: no verdict says otherwise than what becomes of a trial."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from ray import tune

import ntk_prior.decision
from ntk_prior import DEFAULT_THRESHOLD, Budget, NTKPrior, Task, Verdict
from ntk_prior.decision import ATTRIBUTE, Drawn, own_threshold, with_threshold
from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from ntk_prior_optuna.history import REFUSED
from ntk_prior_ray import FeasibleMutation, NTKPriorSearch
from tests.support.priors import likes_small_x

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

PRIOR = NTKPrior(Task.cifar10(1_000), Budget(300, width=128))
SPACE = {
    "weight_variance": FloatDistribution(1.2, 2.5),
    "bias_variance": FloatDistribution(0.0, 0.2),
    "depth": IntDistribution(1, 30),
}
THRESHOLDS = (0.1, 0.7)


def test_a_prior_is_rebuilt_with_the_threshold_it_is_to_judge_with() -> None:
    assert own_threshold(PRIOR) == own_threshold(likes_small_x) == DEFAULT_THRESHOLD
    assert own_threshold(PRIOR.with_threshold(0.7)) == own_threshold(with_threshold(PRIOR, 0.7)) == 0.7
    assert with_threshold(PRIOR, DEFAULT_THRESHOLD) is PRIOR
    assert with_threshold(likes_small_x, 0.7) is likes_small_x


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("own", [True, False])
def test_what_the_sampler_refuses_and_launches_agrees_with_the_verdicts(threshold: float, own: bool) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    random = optuna.samplers.RandomSampler(seed=0)
    options: dict[str, Any] = {"search_space": SPACE, "seed": 0, "max_draws": 64}
    if own:
        sampler = NTKPriorSampler(PRIOR.with_threshold(threshold), random, **options)
    else:
        sampler = NTKPriorSampler(PRIOR, random, threshold=threshold, **options)
    assert sampler.screen.threshold == threshold
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: 0.0 * suggested(trial)["depth"], n_trials=20)
    refused = [draw for trial in study.trials for draw in trial.system_attrs.get(REFUSED, [])]
    assert refused
    assert all(draw["verdict"] != Verdict.FEASIBLE and draw["score"] < threshold for draw in refused)
    notes = [trial.user_attrs[ATTRIBUTE] for trial in study.trials]
    screened = [note for note in notes if note["drawn"] in (Drawn.SCREENED, Drawn.UNIFORM)]
    assert screened
    assert all(note["verdict"] == Verdict.FEASIBLE and note["score"] >= threshold for note in screened)


def suggested(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_int("depth", 1, 30)
    trial.suggest_float("weight_variance", 1.2, 2.5)
    trial.suggest_float("bias_variance", 0.0, 0.2)
    return trial.params


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_what_the_gate_prunes_agrees_with_the_verdicts(threshold: float) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        suggested(trial)
        found = prune_if_infeasible(trial, PRIOR, threshold=threshold, epsilon=0.0)
        assert found.verdict == Verdict.FEASIBLE
        return 0.0

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=30)
    notes = [trial.user_attrs[ATTRIBUTE] for trial in study.trials]
    pruned = [note for note in notes if note["refused"]]
    assert pruned
    assert len(pruned) < len(notes)
    assert all(note["verdict"] != Verdict.FEASIBLE and f">= {threshold:g}" not in note["reason"] for note in pruned)


def test_the_gate_takes_the_priors_own_threshold_where_nobody_gives_one() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask(SPACE)
    with pytest.raises(optuna.TrialPruned, match="refused by the prior"):
        prune_if_infeasible(trial, PRIOR.with_threshold(1.0), epsilon=0.0)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_what_the_search_refuses_and_launches_agrees_with_the_verdicts(threshold: float) -> None:
    space = {
        "weight_variance": tune.uniform(1.2, 2.5),
        "bias_variance": tune.uniform(0.0, 0.2),
        "depth": tune.randint(1, 31),
    }
    search = NTKPriorSearch(PRIOR, space=space, metric="loss", mode="min", threshold=threshold, seed=0, max_draws=64)
    judge = PRIOR.with_threshold(threshold)
    for number in range(20):
        config = search.suggest(f"trial{number}")
        if search.drawn(f"trial{number}") in (Drawn.SCREENED, Drawn.UNIFORM):
            assert judge(config).verdict is Verdict.FEASIBLE
    refused = search.refusals()
    assert refused
    assert all(one.verdict != Verdict.FEASIBLE and one.score < threshold for one in refused)


def test_a_mutation_moves_to_what_the_priors_own_threshold_lets_through() -> None:
    config = {"weight_variance": 1.7, "bias_variance": 0.1, "depth": 12}
    assert FeasibleMutation(PRIOR, ["depth"])(config) is config
    strict = PRIOR.with_threshold(0.7)
    moved = FeasibleMutation(strict, ["depth"])(config)
    assert moved == FeasibleMutation(PRIOR, ["depth"], threshold=0.7)(config)
    assert strict(moved).verdict is Verdict.FEASIBLE


def test_every_name_of_the_facade_is_there() -> None:
    assert all(hasattr(ntk_prior.decision, name) for name in ntk_prior.decision.__all__)
