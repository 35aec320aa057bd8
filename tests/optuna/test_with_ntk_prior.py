"""The sampler and the gate with the real prior."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

import ntk_prior as ntp
from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from tests.support.optuna_studies import notes

SPACE: dict[str, BaseDistribution] = {
    "weight_variance": FloatDistribution(0.5, 4.0),
    "bias_variance": FloatDistribution(0.0, 0.5),
    "depth": IntDistribution(1, 64),
}


@pytest.fixture(scope="module")
def prior() -> ntp.NTKPrior:
    return ntp.NTKPrior(ntp.Task.cifar10(2_000), ntp.Budget(steps=2_000, width=256))


def objective(trial: optuna.Trial) -> float:
    """Stands for a training: the closer to criticality and the shallower, the better."""
    weight_variance = trial.suggest_float("weight_variance", 0.5, 4.0)
    bias_variance = trial.suggest_float("bias_variance", 0.0, 0.5)
    return abs(weight_variance - 1.7) + bias_variance + trial.suggest_int("depth", 1, 64) / 64


@pytest.mark.parametrize("base", [RandomSampler(), TPESampler(), NSGAIISampler(population_size=10)])
def test_refused_configurations_are_never_launched(prior: ntp.NTKPrior, base: optuna.samplers.BaseSampler) -> None:
    generator = np.random.default_rng(0)
    plain = [
        prior({"weight_variance": w, "bias_variance": b, "depth": d}).score
        for w, b, d in zip(
            generator.uniform(0.5, 4, 200), generator.uniform(0, 0.5, 200), generator.integers(1, 65, 200), strict=True
        )
    ]
    refused = np.mean([score < ntp.DEFAULT_THRESHOLD for score in plain if score is not None])
    assert 0.2 < refused < 0.98, "the space holds both kinds"

    launched = []

    def launch(trial: optuna.Trial) -> float:
        value = objective(trial)
        launched.append(dict(trial.params))
        return value

    study = optuna.create_study(sampler=NTKPriorSampler(prior, base, search_space=SPACE, epsilon=0.0, max_draws=64))
    study.optimize(launch, n_trials=30)
    assert len(launched) == 30
    for config, note in zip(launched, notes(study), strict=True):
        found = prior(config)
        assert found.score is not None
        assert found.score >= ntp.DEFAULT_THRESHOLD
        assert note["score"] == found.score
        assert note["verdict"] == "feasible"
        assert note["reason"] == found.reason
        json.dumps(note, allow_nan=False)


def test_the_gate_prunes_and_gives_the_prior_s_reason(prior: ntp.NTKPrior) -> None:
    study = optuna.create_study()
    trial = study.ask({"depth": IntDistribution(64, 64)})
    config = {"weight_variance": 0.6, "bias_variance": 0.05, "depth": trial.params["depth"]}
    with pytest.raises(optuna.TrialPruned, match=r"\(untrainable\): .*kappa"):
        prune_if_infeasible(trial, prior, config, epsilon=0.0)


@pytest.mark.parametrize("normalization", ["batch", "none"])
def test_what_lies_outside_the_theory_is_accepted(prior: ntp.NTKPrior, normalization: str) -> None:
    def launch(trial: optuna.Trial) -> float:
        trial.suggest_categorical("normalization", [normalization])
        value = objective(trial)
        assert prune_if_infeasible(trial, prior).verdict in ("feasible", "outside_theory")
        return value

    study = optuna.create_study(sampler=NTKPriorSampler(prior, RandomSampler(seed=0), search_space=SPACE, epsilon=0.0))
    study.optimize(launch, n_trials=15)
    completed = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if normalization == "batch":
        assert len(completed) == 15
        assert {note["verdict"] for note in notes(study)} == {"outside_theory"}
    else:
        assert {trial.user_attrs["ntk_prior"]["verdict"] for trial in completed} == {"feasible"}


def test_without_optuna_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['optuna'] = None\nimport ntk_prior_optuna"
    run = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1
    assert "ImportError: ntk_prior_optuna needs Optuna, which is not installed: pip install 'ntk-prior[optuna]'" in (
        run.stderr
    )
