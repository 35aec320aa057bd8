"""The report's numbers and records, from real storages of Optuna and real experiments of Ray Tune."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from ray import tune
from typer.testing import CliRunner

import ntk_prior.report
from ntk_prior import NTKPrior
from ntk_prior.decision.draws import Drawn
from ntk_prior.report import build_page, summarize
from ntk_prior.report.table import MOST_REFUSED, table
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
from tests.support.reports import PRIOR, SCRIPT, evidence_of, hostile_run, row, small_run

optuna.logging.set_verbosity(optuna.logging.ERROR)


def content(html: str, name: str) -> Any:
    """The JSON of one of the page's blocks."""
    begin = html.index(f'id="{name}">') + len(f'id="{name}">')
    return json.loads(html[begin : html.index("</script>", begin)])


class TestNumbers:
    def test_every_configuration_is_counted_once(self) -> None:
        found = summarize(small_run())
        assert found.launched + found.refused == 60
        assert found.audited == 7
        assert [(one.verdict, one.refused, one.launched, one.audited) for one in found.verdicts] == [
            ("untrainable", 15, 2, 2),
            ("feasible", 0, 43, 5),
        ]
        assert found.best is not None
        assert found.best.trial.name == "trial 0"

    def test_the_example_of_a_verdict_is_a_refused_one_where_there_is_one(self) -> None:
        untrainable, feasible = summarize(small_run()).verdicts
        assert untrainable.example is not None
        assert feasible.example is not None
        assert not untrainable.example.trial.launched
        assert feasible.example.trial.launched

    def test_audits_that_would_have_been_refused_are_listed_the_best_first(self) -> None:
        found = summarize(small_run())
        assert [one.trial.name for one in found.held_back] == ["trial 51", "trial 59"]
        assert summarize(replace(small_run(), maximize=False)).held_back[0].trial.name == "trial 59"

    def test_a_verdict_that_audits_contradict_is_withdrawn_and_the_log_says_when(self) -> None:
        rows = [
            row(k, {}, *((0.1, "untrainable") if k % 2 else (0.9, "feasible")), drawn=Drawn.PLAIN, outcome=float(k % 2))
            for k in range(40)
        ]
        evidence = small_run().evidence[0]._replace(plain=True)
        said = [evidence._replace(score=0.1 if k % 2 else 0.9, losses=(-float(k % 2),),
                                  verdict="untrainable" if k % 2 else "feasible") for k in range(40)]  # fmt: skip
        run = replace(small_run(), rows=rows, evidence=said)
        found = summarize(run)
        assert found.trust.refusals < 0.5
        assert found.notices[0].words.startswith("the verdict untrainable is withdrawn")
        assert 2 < found.notices[0].after < 40
        assert "finished trials, the verdict untrainable is withdrawn" in build_page(run)

    def test_numbers_that_are_not_known_are_null_in_json(self) -> None:
        found = summarize(replace(small_run(), rows=[], evidence=())).to_json()
        assert json.loads(json.dumps(found, allow_nan=False))["score_against_outcome"]["auroc"] is None

    def test_refused_draws_beyond_a_limit_are_counted_but_not_listed(self) -> None:
        rows = [row(k, {"x": k}, 0.1, "diverges", launched=False) for k in range(MOST_REFUSED + 7)]
        run = replace(small_run(), rows=[row(0, {"x": 0}, 0.9, "feasible"), *rows], evidence=())
        found = table(run)
        assert found["left_out"] == 7
        assert [cells[0] for cells in found["rows"][:2]] == ["trial 0", "refused 7"]
        assert summarize(run).refused == MOST_REFUSED + 7

    @pytest.mark.parametrize(
        ("value", "cell"),
        [(math.inf, "inf"), (math.nan, "nan"), (2**60, str(2**60)), (True, "True"), ([1, 2], "[1, 2]"), (None, None)],
    )
    def test_what_json_has_no_number_for_is_text(self, value: Any, cell: Any) -> None:
        run = replace(small_run(), rows=[row(0, {"odd": value}, 0.5, "feasible")])
        (cells,) = json.loads(json.dumps(table(run), allow_nan=False))["rows"]
        assert cells[6] == cell


def mixed_run() -> Any:
    """Each way in which a trial can come about, with its own number of trials."""
    kinds: list[tuple[int, Drawn | None, float | None, str | None]] = [
        (1, Drawn.PLAIN, 0.1, "untrainable"),
        (2, Drawn.UNSEEN, 0.2, "untrainable"),
        (3, Drawn.UNJUDGED, None, "outside_theory"),
        (4, None, None, None),
        (5, Drawn.SCREENED, 0.9, "feasible"),
    ]
    rows = []
    for count, drawn, score, verdict in kinds:
        for _ in range(count):
            number = len(rows)
            one = row(number, {"depth": number + 1, "gain": number / 10}, 0.5, "feasible", drawn=drawn, outcome=0.5)
            rows.append(one._replace(trial=one.trial._replace(score=score, verdict=verdict)))
    return replace(small_run(), rows=rows, evidence=small_run().evidence[:1])


class TestTrialsThatThePriorHadNoSayIn:
    def test_audits_unjudged_trials_and_those_before_the_prior_could_be_asked_are_counted_apart(self) -> None:
        found = summarize(mixed_run())
        assert (found.audited, found.unseen, found.unjudged, found.unasked) == (1, 2, 3, 4)
        assert len(found.held_back) == 3
        told = found.to_json()
        assert (told["audited"], told["before_the_prior_could_be_asked"]) == (1, 2)
        assert (told["not_judged"], told["not_asked"]) == (3, 4)
        assert (told["audited_would_be_refused"], told["others_would_be_refused"]) == (1, 2)

    def test_the_page_tells_them_apart_in_words_pictures_and_table(self) -> None:
        html = build_page(mixed_run())
        assert (
            "trials launched, 1 of them as audits, 2 before the prior could be asked, 3 of which the prior had nothing "
            "to say, 4 without a note of the prior&#39;s"
        ) in html
        fates = [cells[1] for cells in content(html, "trials-data")["rows"]]
        assert {fate: fates.count(fate) for fate in fates} == {
            "launched: audit": 1,
            "launched: before the prior could be asked": 2,
            "launched: the prior was silent": 3,
            "launched: the prior was not asked": 4,
            "launched": 5,
        }
        for fate in set(fates):
            assert f"<dt>{fate}</dt>" in html
        symbols = [trace["marker"].get("symbol") for trace in content(html, "map-plot-figure")["data"]]
        assert {"square", "diamond", "square-open", "circle-open"} <= {one for one in symbols if isinstance(one, str)}

    def test_a_run_without_any_note_shows_nothing_hollow_and_says_nothing_of_refusals(self) -> None:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(sphere, n_trials=10)
        html = build_page(run_of_study(study, None))
        for trace in content(html, "map-plot-figure")["data"]:
            assert "open" not in str(trace["marker"].get("symbol"))
            assert trace["marker"].get("color") != "white"
        assert "hollow" not in html.partition("plotly.js v")[0]
        assert {cells[1] for cells in content(html, "trials-data")["rows"]} == {"launched: the prior was not asked"}


class TestTrustInWords:
    def test_the_words_say_how_many_of_those_that_it_would_refuse_came_out_good_and_how_many_others_failed(
        self,
    ) -> None:
        rows = [row(k, {"depth": k}, 0.9, "feasible", outcome=0.5 + k / 100) for k in range(20)]
        rows += [row(20 + k, {"depth": k}, 0.9, "feasible") for k in range(11)]
        rows = [one if k < 20 else one._replace(trial=one.trial._replace(failed=True)) for k, one in enumerate(rows)]
        rows.append(row(31, {"depth": 40}, 0.1, "untrainable", drawn=Drawn.PLAIN, outcome=0.6))
        run = replace(small_run(), rows=rows, evidence=evidence_of(rows))
        html = build_page(run)
        assert "1 of 1 launched trials that it would refuse came out good" in html
        assert "11 of 31 that it let through failed or were pruned" in html
        assert "nothing speaks against" not in html

    def test_a_prior_that_was_never_contradicted_because_never_tried_is_called_untested(self) -> None:
        rows = [row(k, {"depth": k}, 0.9, "feasible", outcome=0.5) for k in range(5)]
        html = build_page(replace(small_run(), rows=rows, evidence=evidence_of(rows)))
        assert "untested, since no trial that it would refuse was launched" in html

    def test_an_order_of_scores_that_is_wrong_is_not_passed_over(self) -> None:
        rows = [row(k, {"depth": k}, 0.4 + k / 50, "feasible", outcome=-k / 50) for k in range(20)]
        run = replace(small_run(), rows=rows, evidence=evidence_of(rows))
        assert "trust in the order of its scores is 0.0" in build_page(run)


class TestThePage:
    def test_names_that_read_from_right_to_left_are_isolated_from_the_words_around_them(self) -> None:
        name = "\u202elive"
        rows = [row(k, {name: k, "depth": k, "choice": name}, 0.1 * k, name, drawn=Drawn.PLAIN, outcome=0.1 * k)
                for k in range(1, 6)]  # fmt: skip
        rows = [one._replace(trial=one.trial._replace(name=name), state=name, reason=name) for one in rows]
        run = replace(
            small_run(), name=name, rows=rows, outcome_name=name, evidence=evidence_of(rows), facts={name: name}
        )
        html = build_page(run)
        body, _, blocks = html.partition('<script type="application/json"')
        for text in re.split(r"<bdi>[^<]*</bdi>|\u2068[^\u2069]*\u2069", body):
            assert "\u202e" not in text
        cells = content(f'<script type="application/json"{blocks}', "trials-data")
        assert cells["rows"][0][0] == f"{name}\u202c"
        for figure in ("map", "calibration"):
            for text in re.findall(
                r"[^\"]*\u202e[^\"]*", json.dumps(content(html, f"{figure}-plot-figure"), ensure_ascii=False)
            ):
                assert "\u202e" not in re.sub("\u2068[^\u2069]*\u2069", "", text)

    def test_it_holds_all_that_it_needs(self) -> None:
        html = build_page(small_run(prior=PRIOR))
        assert "plotly.js v" in html
        assert len(content(html, "trials-data")["rows"]) == 60
        assert {trace["type"] for trace in content(html, "map-plot-figure")["data"]} >= {"heatmap", "scatter"}
        for outside in ('src="http', "src='http", 'href="http', "@import"):
            assert outside not in html.partition("plotly.js v")[0]

    def test_markup_is_escaped_wherever_it_comes_from(self) -> None:
        html = build_page(hostile_run())
        assert SCRIPT not in html
        assert "<img src=x" not in html
        assert SCRIPT in content(html, "trials-data")["columns"][4]["label"]
        assert content(html, "trials-data")["rows"][0][5] == SCRIPT
        texts = json.dumps(content(html, "calibration-plot-figure")["layout"])
        assert "<b>" not in texts
        assert "&lt;b&gt;" in texts

    def test_half_a_character_does_not_keep_the_page_from_being_written(self, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        ntk_prior.report.write_page(replace(small_run(), name="half \ud800"), path)
        assert "half ?" in path.read_text(encoding="utf-8")

    def test_a_run_without_a_prior_says_so(self) -> None:
        launched = [one for one in small_run().rows if one.trial.launched]
        rows = [one._replace(trial=one.trial._replace(verdict=None, score=None, drawn=None)) for one in launched]
        html = build_page(replace(small_run(), rows=rows, evidence=(), refused_in=None))
        assert "The prior was not asked about any configuration of this run." in html
        assert "No finished trial has a score of the prior yet." in html

    def test_a_missing_library_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "jinja2", None)
        monkeypatch.delitem(sys.modules, "ntk_prior.report.html_page")
        monkeypatch.delitem(sys.modules, "ntk_prior.report")
        with pytest.raises(ImportError, match=r"jinja2.*pip install 'ntk-prior\[report\]'"):
            __import__("ntk_prior.report")


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

    def test_all_its_trials_were_steered_or_audited(self, database: str) -> None:
        run = run_of_study(load_study(SCRIPT, database), None)
        assert summarize(run).savings.steered + summarize(run).audited == 25

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
        assert "that it generalizes, if it trains" in build_page(replace(run, foretold=found))
        with pytest.raises(ValueError, match=r"test_accuracy='measured' in trial 0: expected an accuracy in \[0, 1\]"):
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
