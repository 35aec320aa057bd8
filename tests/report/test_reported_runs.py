"""Runs from real storages of Optuna and real experiments of Ray Tune, and the command that reports them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from ray import tune
from typer.testing import CliRunner

from ntk_prior import NTKPrior
from ntk_prior.report import build_page, summarize
from ntk_prior.runs.calibration_check import MetricNames, check_calibration
from ntk_prior.runs.ray_folder import read_experiment
from ntk_prior_cli import main
from ntk_prior_cli.application import app
from ntk_prior_cli.optuna_source import run_of_study
from ntk_prior_cli.optuna_storage import load_study
from ntk_prior_optuna import NTKPriorSampler, prune_if_infeasible
from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch
from tests.support.optuna_studies import SPACE, sphere
from tests.support.priors import likes_small_x
from tests.support.ray_trainables import failing_above
from tests.support.reports import PRIOR, SCRIPT, content

optuna.logging.set_verbosity(optuna.logging.ERROR)


def accuracy(trial: optuna.Trial) -> float:
    network = {
        "weight_variance": trial.suggest_float("weight_variance", 0.5, 4.0),
        "bias_variance": trial.suggest_float("bias_variance", 0.0, 0.5),
        "depth": trial.suggest_int("depth", 1, 64),
    }
    reached = 0.1 + 0.8 * (PRIOR(network).score or 0.0)
    trial.set_user_attr("measured", {"test": reached, "train": reached, "lost": reached < 0.2})
    return reached


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite storage with a study that ran with the prior."""
    url = f"sqlite:///{tmp_path_factory.mktemp('storage') / 'study.db'}"
    space = {
        "weight_variance": FloatDistribution(0.5, 4.0),
        "bias_variance": FloatDistribution(0.0, 0.5),
        "depth": IntDistribution(1, 64),
    }
    sampler = NTKPriorSampler(PRIOR, optuna.samplers.RandomSampler(seed=0), search_space=space, seed=0, threshold=0.25)
    study = optuna.create_study(study_name=SCRIPT, storage=url, sampler=sampler, direction="maximize")
    study.set_metric_names(["accuracy"])
    study.set_user_attr(SCRIPT, SCRIPT)
    study.optimize(accuracy, n_trials=25)
    return url


class TestAnOptunaStudy:
    def test_rows_are_the_trials_with_what_the_prior_said(self, database: str) -> None:
        study = load_study(SCRIPT, database)
        run = run_of_study(study, None)
        assert (run.name, run.outcome_name, run.maximize) == (SCRIPT, "accuracy", True)
        for one, trial in zip(run.rows[:25], study.trials, strict=True):
            assert one.params == trial.params
            assert one.trial.outcome == trial.value
            assert one.trial.verdict == trial.user_attrs["ntk_prior"]["verdict"]
            assert one.reason == trial.user_attrs["ntk_prior"]["reason"]
        assert len(run.evidence) == 25
        assert run.log == {"weight_variance": False, "bias_variance": False, "depth": False}

    def test_draws_that_its_sampler_refused_are_rows_too(self, database: str) -> None:
        run = run_of_study(load_study(SCRIPT, database), None)
        refused = run.rows[25:]
        assert {one.trial.launched for one in refused} == {False}
        assert all(one.trial.score is not None and one.trial.score < 0.25 for one in refused)
        assert f"{len(refused)}</b><span>draws refused before launch, in the study" in build_page(run)

    def test_threshold_and_seed_are_those_of_the_sampler_that_ran_it(self, database: str) -> None:
        run = run_of_study(load_study(SCRIPT, database), None)
        assert run.threshold == 0.25
        assert {"Threshold": "0.25", "Seed": "0", "Base sampler": "RandomSampler"}.items() <= run.facts.items()

    def test_all_its_trials_were_screened_or_audited(self, database: str) -> None:
        run = run_of_study(load_study(SCRIPT, database), None)
        assert summarize(run).savings.screened + summarize(run).audited == 25

    def test_what_a_gate_stopped_was_refused(self) -> None:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

        def gated(trial: optuna.Trial) -> float:
            value = sphere(trial)
            prune_if_infeasible(trial, likes_small_x, epsilon=0.0)
            return value

        study.optimize(gated, n_trials=20)
        found = summarize(run_of_study(study, None))
        assert found.refused == sum(abs(trial.params["x"]) > 0.7 for trial in study.trials) > 0

    def test_its_names_are_text_on_the_page(self, database: str) -> None:
        html = build_page(run_of_study(load_study(SCRIPT, database), None))
        assert SCRIPT not in html
        assert "User attribute &lt;/script&gt;" in html

    def test_the_probabilities_are_compared_with_what_trials_measured(self, database: str) -> None:
        run = run_of_study(load_study(SCRIPT, database), None)
        names = MetricNames("measured/test", "measured/train", "measured/lost")
        before = PRIOR.calibration
        found = check_calibration(PRIOR, run.rows, names)
        assert found is not None
        assert found.used == 25
        assert found.trains.auroc > 0.8
        assert PRIOR.calibration is before
        assert "that it generalizes, if it trains" in build_page(replace(run, calibration=found))
        with pytest.raises(ValueError, match=r"--test-accuracy: expected the name of an accuracy.*'measured'"):
            check_calibration(PRIOR, run.rows, MetricNames("measured"))

    def test_one_of_several_objectives_counts(self) -> None:
        study = optuna.create_study(
            sampler=NTKPriorSampler(likes_small_x, search_space=SPACE, seed=0), directions=["minimize", "maximize"]
        )
        study.optimize(lambda trial: (sphere(trial), -sphere(trial)), n_trials=15)
        run = run_of_study(study, 1)
        assert run.maximize
        launched = [one.trial.outcome for one in run.rows if one.trial.launched]
        assert launched == [trial.values[1] for trial in study.trials]
        assert len(build_page(run)) > 1_000_000
        with pytest.raises(ValueError, match="--objective: expected a number from 0 to 1"):
            run_of_study(study, None)

    def test_a_journal_or_a_database_file_will_do(self, database: str, tmp_path: Path) -> None:
        assert len(load_study(SCRIPT, database.removeprefix("sqlite:///")).trials) == 25
        journal = tmp_path / "journal.log"
        optuna.create_study(study_name="a", storage=JournalStorage(JournalFileBackend(str(journal))))
        assert load_study("a", str(journal)).trials == []

    def test_a_password_does_not_reach_the_page(self) -> None:
        with pytest.raises(ValueError, match="--storage: expected the URL") as caught:
            load_study("a", "postgresql+psycopg2://me:secret@127.0.0.1:1/none")
        assert "secret" not in str(caught.value)


def ray_experiment(folder: Path) -> Path:
    search = NTKPriorSearch(likes_small_x, epsilon=0.3, seed=0)
    tune.Tuner(
        failing_above,
        param_space={"x": tune.uniform(-1, 1), "y": tune.uniform(-1, 1)},
        tune_config=tune.TuneConfig(search_alg=search, metric="loss", mode="min", num_samples=8, reuse_actors=True),
        run_config=tune.RunConfig(
            name="experiment", storage_path=str(folder), verbose=0, callbacks=[NTKPriorCallback(search)]
        ),
    ).fit()
    return folder / "experiment"


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("local_ray")
def test_a_ray_experiment_is_read_from_its_folder(tmp_path: Path) -> None:
    folder = ray_experiment(tmp_path)
    # Pickles of an experiment from elsewhere would run what they like: the report does without them.
    for pickle in folder.rglob("*.pkl"):
        pickle.write_bytes(b"not a pickle")
    run = read_experiment(folder, None, "min")
    launched = [one for one in run.rows if one.trial.launched]
    refused = [one for one in run.rows if not one.trial.launched]
    assert len(launched) == 8
    assert len(refused) == len((folder / "ntk_rejections.jsonl").read_text().splitlines()) > 0
    assert all(abs(one.params["x"]) > 0.7 and one.reason for one in refused)
    for one in launched:
        x, y = one.params["x"], one.params["y"]
        assert one.trial.failed == (y > 0.5)
        if not one.trial.failed:
            assert one.trial.outcome == x**2 + y**2 + 1 / 3
            assert one.trial.score == pytest.approx(1 - abs(x))
    assert run.outcome_name == "loss"
    assert len(run.evidence) == sum(not one.trial.failed for one in launched)
    assert {one.state for one in launched} == {"error", "terminated"}
    assert content(build_page(run), "trials-data")["columns"][4]["label"] == "loss"

    with pytest.raises(ValueError, match=r"metric: expected the name of a metric.*loss.*received 'accuracy'"):
        read_experiment(folder, "accuracy", "max")
    with pytest.raises(ValueError, match="mode: expected"):
        read_experiment(folder, None, "up")
    with pytest.raises(ValueError, match=r"folder: expected the folder.*take one of the folders inside: experiment"):
        read_experiment(folder.parent, None, "min")
    with (folder / "ntk_rejections.jsonl").open("a") as file:
        file.write('{"half": ')
    assert len(read_experiment(folder, None, "min").rows) == len(run.rows)
    (folder / "ntk_rejections.jsonl").write_text('{"config": 3, "score": 1, "verdict": "x"}\n')
    with pytest.raises(ValueError, match=r"ntk_rejections\.jsonl: expected a refused proposal on each line"):
        read_experiment(folder, None, "min")


class TestTheCommand:
    def test_it_writes_the_page_and_prints_its_numbers(self, database: str, tmp_path: Path) -> None:
        prior = tmp_path / "prior.json"
        NTKPrior(PRIOR.task, PRIOR.budget).save(prior)
        path = tmp_path / "page.html"
        options = ["--storage", database, "-o", str(path), "--prior", str(prior), "--test-accuracy", "measured/test"]
        result = CliRunner().invoke(app, ["report", SCRIPT, *options, "--json"], catch_exceptions=False)
        assert result.exit_code == 0
        found = json.loads(result.stdout)
        assert found["launched"] == 25
        assert found["output"] == str(path)
        html = path.read_text()
        assert "heatmap" in {trace["type"] for trace in content(html, "map-plot-figure")["data"]}
        assert "that it trains" in html

    @pytest.mark.parametrize(
        ("space", "words"),
        [
            ({"gain": (0.8, 1.9), "layers": (1, 30), "width": (1, 4)}, "to_architecture"),
            ({"weight_variances": (1.0, 2.0), "layers": (1, 30)}, "weight_variances: expected weight_variance"),
            ({"only": (0.0, 1.0)}, "no two numeric parameters"),
        ],
    )
    def test_a_study_with_names_of_its_own_has_a_page_without_the_map_that_says_why(
        self, space: dict[str, tuple[float, float]], words: str, tmp_path: Path
    ) -> None:
        url = f"sqlite:///{tmp_path / 'own.db'}"
        study = optuna.create_study(study_name="own", storage=url, direction="maximize")

        def objective(trial: optuna.Trial) -> float:
            for name, (low, high) in space.items():
                is_whole = isinstance(low, int)
                trial.suggest_int(name, int(low), int(high)) if is_whole else trial.suggest_float(name, low, high)
            trial.set_user_attr("test", 0.5)
            return 0.5

        study.optimize(objective, n_trials=6)
        prior, path = tmp_path / "prior.json", tmp_path / "page.html"
        PRIOR.save(prior)
        options = ["--storage", url, "--prior", str(prior), "-o", str(path), "--test-accuracy", "test"]
        result = CliRunner().invoke(app, ["report", "own", *options], catch_exceptions=False)
        assert result.exit_code == 0
        assert "note: the page has no map below the trials: " in result.stderr
        assert words in result.stderr
        assert "note: probabilities are not compared with the trials" in result.stderr
        html = path.read_text()
        assert "There is no map below the trials" in html
        assert words in html
        assert '"heatmap"' not in html.partition("plotly.js v")[0]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nothing"], "STUDY: expected the folder of a Ray Tune experiment, received 'nothing'"),
            (
                ["s", "--storage", "sqlite:///no-such.db"],
                "--storage: expected the URL of an Optuna storage that exists",
            ),
            (["s", "--storage", "no-such.db"], "--storage: expected the URL of an Optuna storage that exists"),
            (["s", "--storage", "DATABASE"], "received 's': give one of these, or another --storage"),
            (["s", "--storage", "DATABASE", "--mode", "max"], "--mode: expected none with --storage"),
            (["s", "--storage", "DATABASE", "--prior", "TRUNCATED"], "prior.json: expected a saved prior"),
            (["s", "--storage", "DATABASE", "--test-accuracy", "a"], "--test-accuracy: expected --prior beside it"),
            ([".", "--objective", "1"], "--objective: expected none without --storage"),
            ([".", "--mode", "max"], "folder: expected the folder of a Ray Tune experiment, with a folder for each"),
        ],
    )
    def test_bad_input_ends_with_code_2_and_names_the_option(
        self,
        arguments: list[str],
        message: str,
        database: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        truncated = tmp_path / "prior.json"
        PRIOR.save(truncated)
        truncated.write_bytes(truncated.read_bytes()[:1000])
        given = {"DATABASE": database, "TRUNCATED": str(truncated)}
        monkeypatch.setattr(sys, "argv", ["ntk-prior", "report", *(given.get(one, one) for one in arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
        assert not list(tmp_path.glob("*.db")) + list(tmp_path.glob("*.html"))
