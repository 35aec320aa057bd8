"""Whole experiments on a real local Ray: what is launched, what the results say, and what survives a killed driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining
from ray.tune.search import ConcurrencyLimiter, Repeater, Searcher
from ray.tune.search.optuna import OptunaSearch

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior_ray import FeasibleMutation, NTKPriorCallback, NTKPriorSearch, finished_trials
from tests.support import ROOT, command_of
from tests.support.priors import likes_small_x, refuses_everything
from tests.support.ray_searches import search_over
from tests.support.ray_trainables import SPACE, accurate, checkpointed, improving, mended

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]


def experiment(
    folder: Path,
    search: Searcher | None,
    *,
    run: Any = improving,
    callbacks: tuple[Any, ...] = (),
    space: Any = SPACE,
    **options: Any,
) -> tune.Tuner:
    settings = {"metric": "loss", "mode": "min", "num_samples": 6, "reuse_actors": True, **options}
    return tune.Tuner(
        run,
        param_space=space,
        tune_config=tune.TuneConfig(search_alg=search, **settings),
        run_config=tune.RunConfig(name="experiment", storage_path=str(folder), verbose=0, callbacks=list(callbacks)),
    )


@pytest.mark.usefixtures("local_ray")
class TestLocally:
    def test_one_object_in_the_tuner_keeps_refused_configurations_from_being_launched(self, tmp_path: Path) -> None:
        search = NTKPriorSearch(likes_small_x, epsilon=0.0, seed=0)
        results = experiment(tmp_path, search, callbacks=(NTKPriorCallback(search),)).fit()
        assert len(results) == 6
        assert results.num_errors == 0
        assert all(abs(result.config["x"]) <= 0.7 for result in results)
        frame = results.get_dataframe()
        assert set(frame["ntk_prior/verdict"]) == {"feasible"}
        assert frame["ntk_prior/score"].tolist() == [1 - abs(x) for x in frame["config/x"]]
        assert set(frame["ntk_prior/drawn"]) == {"screened"}
        lines = (tmp_path / "experiment" / "ntk_rejections.jsonl").read_text().splitlines()
        refused = [json.loads(line) for line in lines]
        assert refused
        assert all(abs(one["config"]["x"]) > 0.7 and one["reason"] for one in refused)
        assert {one["trial_id"] for one in refused} <= {result.metrics["trial_id"] for result in results}

    def test_results_teach_the_prior(self, tmp_path: Path) -> None:
        prior = NTKPrior(Task.cifar10(1_000), Budget(steps=500, width=256))
        space = {"weight_variance": tune.uniform(1.2, 2.0), "bias_variance": 0.05, "depth": tune.randint(2, 9)}
        settings = {"run": accurate, "space": space, "metric": "eval/accuracy", "mode": "max"}
        results = experiment(tmp_path, NTKPriorSearch(prior, seed=0), **settings).fit()
        found = finished_trials(results, test_accuracy="eval/accuracy", train_accuracy="accuracy")
        assert [one.test_accuracy for one in found] == [1 / one.config["depth"] for one in found]
        report = prior.fit(found)
        assert report.used == prior.calibration.trials == 6
        assert report.trains.share == sum(one.config["depth"] < 4 for one in found) / 6
        with pytest.raises(ValueError, match=r"timestamp: expected an accuracy in \[0, 1\], received"):
            finished_trials(results, test_accuracy="timestamp")

    def test_the_spectrum_is_in_the_results_and_in_tensorboard(self, tmp_path: Path) -> None:
        prior = NTKPrior(Task.cifar10(1_000), Budget(steps=500, width=256))
        space = {"x": 0.0, "y": 0.0, "weight_variance": tune.uniform(1.2, 2.0), "bias_variance": 0.05, "depth": 4}
        search = NTKPriorSearch(prior, OptunaSearch(seed=0), seed=0)
        callbacks = (NTKPriorCallback(search),)
        results = experiment(tmp_path, search, callbacks=callbacks, space=space, num_samples=2).fit()
        frame = results.get_dataframe()
        assert (frame["ntk_prior/kappa"] > 1).all()
        assert (frame["ntk_prior/max_learning_rate"] > 0).all()
        assert set(frame["ntk_prior/phase"]) <= {"ordered", "critical", "chaotic"}
        events = next((tmp_path / "experiment").glob("*/events.out.tfevents.*")).read_bytes()
        assert b"ray/tune/ntk_prior/kappa" in events
        assert not list((tmp_path / "experiment").glob("*kappa*"))

    def test_limiter_repeater_and_scheduler_around_it(self, tmp_path: Path) -> None:
        search = NTKPriorSearch(likes_small_x, OptunaSearch(seed=0), epsilon=0.0, seed=0)
        limiter = ConcurrencyLimiter(Repeater(search, repeat=2), max_concurrent=2)
        results = experiment(tmp_path, limiter, scheduler=ASHAScheduler(grace_period=1, max_t=3)).fit()
        assert results.num_errors == 0
        assert len({result.config["x"] for result in results}) == 3
        assert all(trial.state.is_finished() for trial in search.searcher._ot_study.trials)

    def test_max_concurrent_trials_of_the_tuner(self, tmp_path: Path) -> None:
        search = NTKPriorSearch(likes_small_x, epsilon=0.0, seed=0)
        assert len(experiment(tmp_path, search, max_concurrent_trials=1).fit()) == 6

    def test_an_infeasible_space_ends_the_experiment_if_asked_to(self, tmp_path: Path) -> None:
        started = time.monotonic()
        search = NTKPriorSearch(refuses_everything, epsilon=0.0, seed=0, on_exhausted="finish")
        assert len(experiment(tmp_path, search).fit()) == 0
        assert time.monotonic() - started < 60

    def test_population_based_training_is_guarded(self, tmp_path: Path) -> None:
        # Ray takes no search algorithm beside it. All start with a feasible x, and every mutation leaves the feasible
        # ones; the guard halves it.
        scheduler = PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=2,
            synch=True,
            quantile_fraction=0.5,
            resample_probability=1.0,
            hyperparam_mutations={"net": {"x": tune.uniform(0.8, 1.0)}},
            custom_explore_fn=FeasibleMutation(lambda config: likes_small_x(config["net"]), ["net/x"]),
        )
        space = {"net": {"x": tune.uniform(0.6, 0.7), "width": 64}}
        results = experiment(tmp_path, None, run=checkpointed, space=space, scheduler=scheduler, num_samples=2).fit()
        assert results.num_errors == 0
        found = [result.config["net"]["x"] for result in results]
        assert any(0.4 <= x <= 0.5 for x in found), found
        assert all(x <= 0.7 for x in found), found
        assert {result.config["net"]["width"] for result in results} == {64}

    @pytest.mark.parametrize("again", ["resume_errored", "restart_errored"])
    def test_what_becomes_of_a_trial_that_failed_and_runs_again_takes_the_place_of_the_failure(
        self, again: str, tmp_path: Path
    ) -> None:
        space = {**SPACE, "mended": str(tmp_path / "mended")}
        search = NTKPriorSearch(likes_small_x, OptunaSearch(seed=0), epsilon=0.0, seed=0)
        callbacks = (NTKPriorCallback(search),)
        first = experiment(tmp_path, search, run=mended, space=space, callbacks=callbacks, num_samples=3).fit()
        assert 0 < first.num_errors < 3
        (tmp_path / "mended").touch()
        results = tune.Tuner.restore(str(tmp_path / "experiment"), mended, **{again: True}).fit()
        assert results.num_errors == 0
        assert set(results.get_dataframe()["ntk_prior/drawn"]) == {"screened"}
        restored = search_over(likes_small_x, OptunaSearch())
        restored.restore_from_dir(str(tmp_path / "experiment"))
        found = sorted(one.losses[0] for one in restored._ledger.evidence)
        assert found == sorted(result.metrics["loss"] for result in results)
        complete = [one for one in restored.searcher._ot_study.trials if one.state.name == "COMPLETE"]
        assert sorted(one.value for one in complete) == found

    def test_grid_search_is_refused_before_anything_starts(self, tmp_path: Path) -> None:
        space = {"x": tune.grid_search([0.1, 0.2]), "y": 0.0}
        with pytest.raises(ValueError, match=r"tune\.grid_search for x"):
            experiment(tmp_path, NTKPriorSearch(likes_small_x), space=space).fit()

    def test_a_function_of_the_space_is_evaluated_by_the_tuner(self, tmp_path: Path) -> None:
        space = {"x": tune.uniform(-1, 1), "y": tune.sample_from(lambda config: config["x"] / 2)}
        results = experiment(tmp_path, NTKPriorSearch(likes_small_x, epsilon=0.0, seed=0), space=space).fit()
        assert all(abs(result.config["x"]) <= 0.7 for result in results)
        assert all(result.config["y"] == result.config["x"] / 2 for result in results)


def test_a_killed_driver_is_restored_without_losing_or_repeating_a_trial(tmp_path: Path) -> None:
    """The worker process appends each configuration that a trial starts with to a file."""
    command = command_of("ray_worker", tmp_path)
    starts = tmp_path / "starts.jsonl"
    with subprocess.Popen([*command, "fit"], cwd=ROOT, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while (not starts.exists() or len(starts.read_text().splitlines()) < 4) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
    subprocess.run([*command, "restore"], cwd=ROOT, check=True, timeout=180)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert len(rows) == len({row["trial_id"] for row in rows}) == 10
    assert len({row["x"] for row in rows}) == 10
    assert all(row["iterations"] == 4 for row in rows)
    assert all(abs(row["x"]) <= 0.7 for row in rows)
    # Uniform draws do not depend on results, so an experiment that is not killed launches the same.
    uninterrupted = search_over(likes_small_x)
    expected = [uninterrupted.suggest(str(number))["x"] for number in range(10)]
    assert sorted(row["x"] for row in rows) == sorted(expected)
    lines = (tmp_path / "experiment" / "ntk_rejections.jsonl").read_text().splitlines()
    refused = {json.loads(line)["config"]["x"] for line in lines}
    assert refused == {refusal.config["x"] for refusal in uninterrupted.refusals()} != set()


def test_a_cluster_that_loses_a_node_finishes_every_trial_and_starts_no_worker_for_refused_ones(tmp_path: Path) -> None:
    """Three nodes on this machine; the trials write down which node they start on, and one node is removed."""
    subprocess.run(command_of("ray_cluster", tmp_path), cwd=ROOT, check=True, timeout=200)
    told = json.loads((tmp_path / "told.json").read_text())
    starts = [json.loads(line) for line in (tmp_path / "starts.jsonl").read_text().splitlines()]
    assert told["removed"] in {start["node"] for start in starts}
    assert told["statuses"] == ["TERMINATED"] * 6
    assert told["iterations"] == [4] * 6
    launched = {start["trial_id"] for start in starts}
    assert launched == set(told["launched"])
    assert len(launched) == 6
    # A trial of the lost node starts again; nothing else does.
    again = [start for start in starts if start["again"]]
    assert 1 <= len(again) == len(starts) - 6
    assert all(abs(start["x"]) <= 0.7 for start in starts)
    assert told["refused"] > 0
