"""Hindsight: what a prior would have refused of runs without it, whether that was right, and where it is shown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from ray import tune
from typer.testing import CliRunner

import ntk_prior as ntp
import ntk_prior_ray
from ntk_prior.decision.draws import Drawn
from ntk_prior.plots.review import Review
from ntk_prior.report import build_page, summarize
from ntk_prior.runs.ray_folder import read_experiment
from ntk_prior_cli.application import app
from ntk_prior_cli.commands.review import judge_afterwards
from ntk_prior_cli.optuna_source import run_of_study
from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible, review
from ntk_prior_optuna.visualization import matplotlib as in_matplotlib
from ntk_prior_optuna.visualization import plot_calibration, plot_feasibility, plot_trust
from tests.support.optuna_studies import SPACE, sphere
from tests.support.priors import Judged, likes_small_x
from tests.support.ray_trainables import failing_above
from tests.support.reports import PRIOR, SCRIPT

optuna.logging.set_verbosity(optuna.logging.ERROR)


def accuracy(trial: optuna.Trial) -> float:
    network = {
        "weight_variance": trial.suggest_float("weight_variance", 0.5, 4.0),
        "bias_variance": trial.suggest_float("bias_variance", 0.0, 0.5),
        "depth": trial.suggest_int("depth", 1, 64, log=True),
    }
    return 0.1 + 0.8 * (PRIOR(network).score or 0.0)


@pytest.fixture(scope="module")
def without_us(tmp_path_factory: pytest.TempPathFactory) -> optuna.Study:
    """A finished study in a database that has never heard of the prior."""
    storage = f"sqlite:///{tmp_path_factory.mktemp('storage') / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="plain", direction="maximize", sampler=RandomSampler(0))
    study.optimize(accuracy, n_trials=40)
    return study


def spheres(n: int = 40, **options: Any) -> optuna.Study:
    study = optuna.create_study(sampler=RandomSampler(seed=0), **options)
    study.optimize(sphere, n_trials=n)
    return study


def hates_small_x(config: Mapping[str, Any]) -> Judged:
    return Judged(0.1, "untrainable") if abs(config["x"]) < 0.7 else Judged(0.9)


def silent(config: Mapping[str, Any]) -> Judged:
    return Judged(None, "outside_theory")


class TestTheNumbers:
    def test_each_trial_has_the_prior_s_verdict_of_today(self, without_us: optuna.Study) -> None:
        found = review(without_us, PRIOR)
        assert len(found.trials) == 40
        for shown, trial in zip(found.trials, without_us.trials, strict=True):
            said = PRIOR(trial.params)
            assert (shown.verdict, shown.score, shown.outcome) == (said.verdict, said.score, trial.value)
            assert shown.drawn is Drawn.UNSEEN
            assert not shown.audited
        refused = [trial for trial in without_us.trials if (PRIOR(trial.params).score or 1.0) < 0.3]
        assert [one.name for one in found.refused] == [f"trial {trial.number}" for trial in refused]
        assert sum(found.refused_by_verdict.values()) == len(refused) > 0

    def test_a_right_prior_refuses_the_worse_half_and_keeps_the_best(self) -> None:
        study = spheres()
        found = review(study, likes_small_x)
        losses = sorted(trial.values[0] for trial in study.trials)
        refused = [trial for trial in study.trials if abs(trial.params["x"]) > 0.7]
        assert found.in_worse_half == sum(trial.values[0] > losses[20] - 1e-9 for trial in refused)
        assert found.in_best_tenth == sum(trial.values[0] <= losses[3] for trial in refused) == 0
        assert found.best is not None
        assert found.best.outcome == losses[0]
        assert found.best_refused is not None
        assert found.best_refused.outcome == min(trial.values[0] for trial in refused)
        assert found.trust == (1.0, 1.0)
        assert found.withdrawn == {}

    def test_a_wrong_prior_is_found_out(self) -> None:
        found = review(spheres(), hates_small_x)
        assert found.in_best_tenth == 4
        assert found.trust.refusals < 0.1
        assert set(found.withdrawn) == {"untrainable"}
        assert "4 did as well as the best tenth of all trials: wrongly refused" in str(found)
        assert "contradicted: untrainable" in str(found)

    def test_trials_that_failed_or_were_pruned_are_the_worst_and_never_the_best(self) -> None:
        study = optuna.create_study(sampler=RandomSampler(seed=0))

        def fails(trial: optuna.Trial) -> float:
            value = sphere(trial)
            if trial.number:
                raise optuna.TrialPruned
            return value

        study.optimize(fails, n_trials=20)
        found = review(study, lambda config: Judged(0.1, "untrainable"))
        assert (len(found.refused), found.in_worse_half, found.in_best_tenth) == (20, 19, 1)
        assert "19 failed or were pruned" in str(found)

    def test_what_the_prior_is_silent_about_would_have_been_launched(self) -> None:
        found = review(spheres(5), silent)
        assert found.refused == ()
        assert found.silent.trials == 5
        assert found.evidence == ()
        assert found.share_of_time == 0.0
        assert "of these the prior is silent about 5, mostly because" in str(found)

    def test_a_prior_that_fails_does_not_end_the_review(self) -> None:
        found = review(spheres(3), lambda config: config["none"])
        assert found.silent == (3, "the prior failed: KeyError: 'none'")

    def test_the_most_frequent_reason_for_silence_is_told(self) -> None:
        study = optuna.create_study(sampler=RandomSampler(seed=0))
        study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 1.0), n_trials=4)
        found = review(study, PRIOR)
        assert found.silent.trials == 4
        assert found.silent.reason.startswith("the configuration lacks weight_variance, bias_variance, depth")

    def test_the_share_of_time_is_that_of_the_refused_and_unknown_without_any(self) -> None:
        trials = [ntp.PlottedTrial({"x": x}, outcome=abs(x), seconds=10.0 + 80.0 * abs(x)) for x in (0.0, 1.0, 0.5)]
        known = Review.from_trials(trials, likes_small_x, outcome_name="loss", maximize=False)
        assert known.share_of_time == pytest.approx(90.0 / 150.0)
        untimed = [trial._replace(seconds=None) for trial in trials]
        assert Review.from_trials(untimed, likes_small_x, outcome_name="loss", maximize=False).share_of_time is None

    def test_of_a_study_that_ran_with_a_prior_what_was_said_then_does_not_count(self) -> None:
        sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=0), search_space=SPACE, seed=0, threshold=0.25)
        study = optuna.create_study(sampler=sampler)
        study.optimize(sphere, n_trials=15)
        found = review(study, hates_small_x)
        assert len(found.trials) == 15
        assert {one.verdict for one in found.trials} <= {"untrainable", "feasible"}
        assert len(found.refused) == sum(abs(trial.params["x"]) < 0.7 for trial in study.trials) > 5
        assert found.threshold == 0.25
        assert review(study, hates_small_x, threshold=0.05).refused == ()

    def test_trials_that_a_gate_stopped_never_ran_and_are_left_out(self) -> None:
        study = optuna.create_study(sampler=RandomSampler(seed=0))

        def gated(trial: optuna.Trial) -> float:
            value = sphere(trial)
            prune_if_infeasible(trial, likes_small_x, epsilon=0.0)
            return value

        study.optimize(gated, n_trials=20)
        assert len(review(study, silent).trials) == sum(abs(trial.params["x"]) <= 0.7 for trial in study.trials) < 20

    def test_several_objectives_need_a_target(self) -> None:
        study = optuna.create_study(directions=["minimize", "maximize"], sampler=RandomSampler(seed=0))
        study.optimize(lambda trial: (sphere(trial), -sphere(trial)), n_trials=10)
        with pytest.raises(ValueError, match="target: expected a function of a trial"):
            review(study, likes_small_x)
        found = review(study, likes_small_x, target=lambda trial: trial.values[1], target_name="second")
        assert found.maximize
        assert "second, larger is better" in str(found)

    def test_a_study_without_trials_has_a_review_too(self) -> None:
        found = review(optuna.create_study(), PRIOR)
        assert str(found) == "0 trials, judged in hindsight (Objective Value, smaller is better)"
        assert json.loads(json.dumps(found.to_json(), allow_nan=False))["best"] is None
        assert "judged" in build_page(judge_afterwards(run_of_study(optuna.create_study(), None), PRIOR, None))

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            (("study", likes_small_x), TypeError, "study: expected an optuna.Study, received 'study'"),
            ((optuna.create_study(), "prior"), TypeError, "prior: expected a callable such as ntk_prior.NTKPrior"),
        ],
    )
    def test_wrong_arguments_are_named(self, arguments: Any, error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            review(*arguments)
        with pytest.raises(ValueError, match="threshold: expected"):
            review(optuna.create_study(), likes_small_x, threshold=2.0)

    def test_all_of_it_is_printed(self, without_us: optuna.Study) -> None:
        found = review(without_us, PRIOR, target_name="accuracy")
        refused = len(found.refused)
        told = str(found)
        assert told.startswith("40 trials, judged in hindsight (accuracy, larger is better)\n")
        assert f"  would have been refused: {refused} ({refused / 40:.0%}): " in told
        assert f"  {found.in_worse_half} of {refused} did worse than the median trial" in told
        assert "the best trial of all 0." in told
        assert "% of the time" in told
        assert "Trust that these trials leave (1 is whole): in refusals 1.00" in told


class TestThePictures:
    @pytest.mark.parametrize("plot", [plot_feasibility, in_matplotlib.plot_feasibility])
    def test_the_map_of_a_study_without_us_takes_the_prior(
        self, plot: Callable[..., Any], without_us: optuna.Study
    ) -> None:
        assert plot(without_us, PRIOR) is not None

    def test_it_frames_what_would_have_been_refused(self, without_us: optuna.Study) -> None:
        refused = len(review(without_us, PRIOR).refused)
        for figure in (plot_feasibility(without_us, PRIOR), review(without_us, PRIOR).plot_feasibility()):
            assert "heatmap" in {trace.type for trace in figure.data}
            frames = [
                trace for trace in figure.data if trace.type == "scatter" and trace.marker.symbol == "square-open"
            ]
            assert max(len(trace.x) for trace in frames) == refused > 0

    def test_scores_and_trust_are_those_of_the_review(self, without_us: optuna.Study) -> None:
        found = review(without_us, PRIOR)
        for figure in (plot_calibration(without_us, PRIOR), found.plot_calibration()):
            drawn = {trace.name: trace for trace in figure.data}
            points = drawn["finished trial, launched before the prior could be asked"]
            assert list(points.x) == [trial.score for trial in found.trials]
            assert list(points.y) == [trial.outcome for trial in found.trials]
        for figure in (plot_trust(without_us, PRIOR), found.plot_trust()):
            assert figure.data[0].y[-1] == found.trust.refusals
            assert figure.data[1].y[-1] == found.trust.ranking

    def test_what_a_study_noted_stays_in_its_own_pictures(self) -> None:
        sampler = NTKPriorSampler(likes_small_x, RandomSampler(seed=0), search_space=SPACE, seed=0)
        study = optuna.create_study(sampler=sampler)
        study.optimize(sphere, n_trials=10)
        noted = [trial.user_attrs["ntk_prior"]["score"] for trial in study.trials]
        figure = plot_calibration(study, PRIOR)
        assert list(figure.data[0].x) == noted

    def test_names_of_one_s_own_are_reviewed_by_the_mapping(self) -> None:
        def mapped(config: Mapping[str, Any]) -> dict[str, Any]:
            return {"weight_variance": config["gain"] ** 2, "bias_variance": 0.05, "depth": config["layers"]}

        study = optuna.create_study(sampler=RandomSampler(seed=0))
        study.optimize(lambda t: t.suggest_float("gain", 0.8, 1.9) * t.suggest_int("layers", 1, 60), n_trials=15)
        found = review(study, ntp.NTKPrior(PRIOR.task, PRIOR.budget, mapped))
        assert found.silent.trials == 0
        assert "heatmap" in {trace.type for trace in found.plot_feasibility().data}

    def test_where_there_is_nothing_to_draw_the_error_says_why(self) -> None:
        study = optuna.create_study(sampler=RandomSampler(seed=0))
        study.optimize(lambda trial: len(trial.suggest_categorical("kind", ["a", "bb"])), n_trials=3)
        found = review(study, PRIOR)
        with pytest.raises(ValueError, match="expected trials with two numeric parameters"):
            found.plot_feasibility()
        with pytest.raises(ValueError, match="received none: the configuration lacks weight_variance"):
            found.plot_calibration()


class TestThePage:
    def test_its_words_say_that_it_is_hindsight(self, without_us: optuna.Study) -> None:
        run = judge_afterwards(run_of_study(without_us, None), PRIOR, None)
        html = build_page(run).partition('<script type="application/json" id="trials-data">')[0]
        found = review(without_us, PRIOR)
        assert "what would have been refused, and why" in html
        assert f"{found.in_worse_half} did worse than the median trial" in html
        assert "launched: audit" not in html
        assert "Refused before launch" not in html
        for words in ("would have been refused", "would have been launched"):
            assert f"<dt>{words}</dt>" in html
        assert summarize(run).trust == found.trust
        assert len(summarize(run).held_back) == len(found.refused)

    def test_names_are_text_there_too(self) -> None:
        study = optuna.create_study(study_name=SCRIPT, sampler=RandomSampler(seed=0))
        study.optimize(lambda t: t.suggest_float(SCRIPT, 0, 1) + t.suggest_float("depth", 1, 9), n_trials=4)
        assert SCRIPT not in build_page(judge_afterwards(run_of_study(study, None), PRIOR, None))

    def test_the_command_writes_it_and_prints_the_review(self, without_us: optuna.Study, tmp_path: Path) -> None:
        prior, path = tmp_path / "prior.json", tmp_path / "review.html"
        ntp.NTKPrior(PRIOR.task, PRIOR.budget).save(prior)
        arguments = ["review", "plain", "--storage", str(url_of(without_us)), "--prior", str(prior), "-o", str(path)]
        printed = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert printed.exit_code == 0
        found = review(without_us, PRIOR)
        assert f"would have been refused: {len(found.refused)} (" in printed.stdout
        assert "what would have been refused, and why" in path.read_text()
        numbers = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
        assert numbers["would_be_refused"] == found.refused_by_verdict
        assert numbers["output"] == str(path)

    def test_a_trial_that_still_runs_is_left_out_there_as_in_python(self, tmp_path: Path) -> None:
        prior, path = tmp_path / "prior.json", tmp_path / "review.html"
        ntp.NTKPrior(PRIOR.task, PRIOR.budget).save(prior)
        study = optuna.create_study(
            storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="one", direction="maximize"
        )
        study.optimize(accuracy, n_trials=8)
        study.ask(study.trials[0].distributions)
        found = review(study, PRIOR)
        assert len(found.trials) == 8
        arguments = ["review", "one", "--storage", str(url_of(study)), "--prior", str(prior), "-o", str(path)]
        printed = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout.splitlines()
        assert printed[1:-1] == str(found).splitlines()[1:]  # the first line names the objective
        numbers = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
        assert numbers["trials"] == 8

    def test_it_needs_the_prior(self, without_us: optuna.Study) -> None:
        result = CliRunner().invoke(app, ["review", "plain", "--storage", str(url_of(without_us))])
        assert result.exit_code == 2
        assert "--prior" in result.output


def url_of(study: optuna.Study) -> Any:
    return study._storage._backend.url  # type: ignore[attr-defined]


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("local_ray")
def test_an_experiment_of_ray_s_without_us_is_reviewed_from_its_results_and_its_folder(tmp_path: Path) -> None:
    results = tune.Tuner(
        failing_above,
        param_space={"x": tune.grid_search([-0.9, -0.2, 0.1, 0.8]), "y": tune.grid_search([0.0, 0.9])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", reuse_actors=True),
        run_config=tune.RunConfig(name="experiment", storage_path=str(tmp_path), verbose=0),
    ).fit()
    found = ntk_prior_ray.review(results, likes_small_x, metric="loss", mode="min")
    assert isinstance(found, Review)
    assert len(found.trials) == 8
    assert len(found.refused) == 4
    assert sum(trial.failed for trial in found.trials) == 4
    assert {trial.config["x"] for trial in found.refused} == {-0.9, 0.8}
    assert found.best is not None
    assert found.best.config == {"x": 0.1, "y": 0.0}
    assert all(trial.failed or math.isclose(trial.score or 0, 1 - abs(trial.config["x"])) for trial in found.trials)

    run = judge_afterwards(read_experiment(tmp_path / "experiment", "loss", "min"), PRIOR, None)
    assert run.review is not None
    assert run.review.silent.trials == 8
    assert "what would have been refused, and why" in build_page(run)

    with pytest.raises(
        ValueError, match=r"metric: expected a metric of the results, such as .*loss.*received 'accuracy'"
    ):
        ntk_prior_ray.review(results, likes_small_x, metric="accuracy", mode="max")
    with pytest.raises(ValueError, match="mode: expected one of min, max"):
        ntk_prior_ray.review(results, likes_small_x, metric="loss", mode="up")
    with pytest.raises(TypeError, match=r"results: expected what Tuner\.fit"):
        ntk_prior_ray.review([], likes_small_x, metric="loss", mode="min")  # type: ignore[arg-type]
