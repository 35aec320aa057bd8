"""The command: what it prints, what it writes, and that nothing finished is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.datasets import load_digits
from ntk_prior_cli import main
from ntk_prior_cli.application import app
from ntk_prior_cli.tuning.optuna_engine import optimize
from ntk_prior_cli.tuning.results import TrainedTrial, TuningResult, build_report
from tests.support.writers import options_writing

pytest_plugins = ["tests.support.browser"]

RESULT = {"diverged": False, "steps": 1, "flops": 1.0, "seconds": 1.0}
SMALL = ["--trials", "3", "--steps", "20", "--width", "16", "--n-train", "64"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_score_says_verdict_reason_and_fix() -> None:
    values = json.loads(run("score", "--weight-variance", "0.8", "--depth", "64", "--width", "256", "--json"))
    assert values["verdict"] == "untrainable"
    assert values["phase"] == "ordered"
    assert "depth 64 >" in values["reason"]
    assert "depth <=" in values["suggestion"]
    assert "untrainable" in run("score", "--weight-variance", "0.8", "--depth", "64", "--width", "256")


def test_score_uses_a_task_summary_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    Task.equicorrelated(50, 0.1).save(path)
    values = json.loads(run("score", "--weight-variance", "1.2", "--depth", "5", "--task", str(path), "--json"))
    assert values["kappa"] > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "--weight-variance", "-1", "--depth", "3"], "--weight-variance: expected a value in"),
        (["score", "--weight-variance", "1", "--depth", "0"], "--depth: expected an integer in"),
        (["score", "--weight-variance", "1", "--depth", "3", "--steps", "0"], "--steps: expected an integer in"),
        (["map", "--x", "colour"], "--x: expected one of weight_variance"),
        (["map", "--fixed", "depth=3"], "--fixed: expected parameters other than those of the axes"),
        (["map", "--fixed", "activation"], "--fixed: expected NAME=VALUE"),
        (["map", "--range", "depth=1"], "--range: expected NAME=LOW:HIGH, such as depth=1:32, received 'depth=1'"),
        (["map", "--log", "depth=1"], "--log: expected NAME=true or NAME=false, such as depth=false"),
        (["map", "--log", "width=true"], "--log: expected names among weight_variance, depth"),
        (["map", "-o", "map.txt"], "--output: expected a name that ends with .html, .png"),
        (["map", "--prior", "prior.json", "--width", "3"], "--width: expected none with --prior"),
        (["preview", "space.yaml", "--plot", "space"], "--plot: expected a name that ends with .html"),
        (["preview", "no-such-file.yaml"], "no-such-file.yaml"),
        (["tune", "--data", "cifar10", "--data-dir", "no-such-folder"], "no-such-folder: expected data_batch_1.bin"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what_was_expected(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ntk-prior", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("library", "arguments", "extra"),
    [
        ("optuna", ["report", "study", "--storage", "study.db"], "optuna"),
        ("plotly", ["map"], "plot"),
    ],
)
def test_a_missing_library_names_the_extra(
    library: str,
    arguments: list[str],
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name in [library, *(name for name in sys.modules if name.partition(".")[0] == library)]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("ntk_prior_cli.optuna_source", "ntk_prior_cli.optuna_storage"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ntk-prior", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert f"pip install 'ntk-prior[{extra}]'" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("library", ["rich", "typer", "yaml"])
def test_without_its_extra_the_command_names_it_in_one_line_and_ends_with_code_1(library: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from ntk_prior_cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"needs {library}, which is not installed: pip install 'ntk-prior[cli]'" in done.stderr


def test_preview_tells_the_refused_share_of_each_range(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(
        "weight_variance: {type: float, low: 0.5, high: 4.0}\nbias_variance: 0.05\n"
        "depth: {type: int, low: 1, high: 64, log: true}\nactivation: {type: categorical, choices: [erf, relu, mish]}\n"
    )
    report = json.loads(run("preview", space, "--width", "128", "--json"))
    assert sum(report["verdicts"].values()) == pytest.approx(1.0)
    assert report["verdicts"]["outside_theory"] == pytest.approx(1 / 3, abs=0.03)
    depths = list(report["refused_by_parameter"]["depth"].values())
    assert depths[-1] > depths[0]
    assert report["refused_by_parameter"]["activation"]["mish"] == 0.0


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "{weight_variance: 0.6, bias_variance: 0.05, depth: {type: int, low: 55, high: 64}}",
            "would be refused: the space hardly",
        ),
        ("{weight_variance: 1.4, bias_variance: 0.05, depth: {type: int, low: 2, high: 4}}", "little to do"),
    ],
)
def test_preview_warns_of_hopeless_and_of_harmless_spaces(tmp_path: Path, text: str, warning: str) -> None:
    space = tmp_path / "space.json"
    space.write_text(text)
    assert warning in run("preview", space, "--width", "512").replace("\n", " ")


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "depth: {type: int, low: 5, high: 1}", "depth: {type: string}", "a: {b"]
)
def test_preview_refuses_what_is_no_search_space(tmp_path: Path, text: str) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(text)
    with pytest.raises(ValueError, match=r"space\.yaml"):
        run("preview", space)


def test_preview_draws_a_picture_of_the_space(tmp_path: Path) -> None:
    space, picture = tmp_path / "space.yaml", tmp_path / "space.html"
    space.write_text(
        "weight_variance: {type: float, low: 0.7, high: 3.0}\ndepth: {type: int, low: 2, high: 9}\n"
        "bias_variance: 0.05\nactivation: {type: categorical, choices: [erf, relu]}\n"
    )
    assert str(picture) in run("preview", space, "--width", "128", "--plot", picture)
    html = picture.read_text()
    assert '"range":[0.7,3.0]' in html
    assert '"range":[1.5,9.5]' in html
    assert '"text":"erf"' in html
    assert '"text":"relu"' in html
    space.write_text(space.read_text().replace("}", ", log: true}", 2))
    run("preview", space, "--width", "128", "--plot", picture)
    assert picture.read_text().count('"type":"log"') == 4  # both axes of both panels
    space.write_text("weight_variance: {type: float, low: 0.7, high: 3.0}\nbias_variance: 0.05\ndepth: 3\n")
    with pytest.raises(ValueError, match=r"--plot: expected a space with two numeric ranges.*received weight_variance"):
        run("preview", space, "--plot", picture)


def test_map_draws_what_its_options_say(tmp_path: Path) -> None:
    picture = tmp_path / "map.html"
    options = ["--width", "64", "--fixed", "activation=[erf, relu]", "--range", "depth=1:20", "--log", "depth=false"]
    options += ["-o", picture]
    found = json.loads(run("map", *options, "--json"))
    assert found["output"] == str(picture)
    assert sum(found["verdicts"].values()) == pytest.approx(1.0)
    assert set(found["verdicts"]) >= {"feasible", "untrainable"}
    html = picture.read_text()
    assert '"range":[0.5,20.5]' in html
    assert "http" not in html.partition("plotly.js v")[0]


def test_map_takes_a_saved_prior(tmp_path: Path) -> None:
    prior, picture = tmp_path / "prior.json", tmp_path / "map.html"
    NTKPrior(Task.equicorrelated(50, 0.1), Budget(steps=10, width=64)).save(prior)
    few = json.loads(run("map", "--prior", prior, "-o", picture, "--json"))["verdicts"]["feasible"]
    many = json.loads(run("map", "--width", "64", "-o", picture, "--json"))["verdicts"]["feasible"]
    assert few < many


def test_pictures_are_drawn_by_a_browser(tmp_path: Path, chromium: object) -> None:
    for name, start in (("map.png", b"\x89PNG"), ("map.svg", b"<svg")):
        run("map", "--width", "64", "-o", tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)


def test_without_a_browser_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("choreographer.browsers.chromium.Chromium.find_browser", lambda **_: None)
    with pytest.raises(ValueError, match=r"--output: expected Chrome or Chromium.*install one.*write an \.html file"):
        run("map", "--width", "64", "-o", tmp_path / "map.png")


@pytest.mark.parametrize("command", ["score", "map", "preview", "tune", "report"])
def test_every_command_shows_an_example_and_prints_json(command: str) -> None:
    help_text = run(command, "--help")
    assert f"\n  ntk-prior {command} " in help_text
    assert "--json" in help_text


def test_help_tells_the_exit_codes_and_the_shell_completes(tmp_path: Path) -> None:
    assert "Exit codes: 0 done, 1 nothing was launched" in " ".join(run("--help").split())
    command = [sys.executable, "-c", "from ntk_prior_cli.application import app; app(prog_name='ntk-prior')"]
    asked = {"_NTK_PRIOR_COMPLETE": "complete_bash", "COMP_WORDS": "ntk-prior rep", "COMP_CWORD": "1"}
    shell = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert shell.stdout.split() == ["report"]


@pytest.mark.usefixtures("compiled_quickly")
def test_tune_launches_trains_and_reports(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    printed = run("tune", *SMALL, "--seed", "3", "--output", report)
    assert "refused before launch" in printed
    found = json.loads(report.read_text())
    page = (tmp_path / "report.html").read_text()
    assert f"page: {tmp_path / 'report.html'}" in printed
    for verdict, count in found["refused"].items():
        assert f"{count} {verdict}" in page.partition("</header>")[0]
    assert "<dt>Seed</dt><dd>3</dd>" in page
    assert '"type":"heatmap"' in page
    assert found["launched"] == len(found["trials"]) == 3
    assert found["best_test_accuracy"] == max(trial["result"]["best_test_accuracy"] for trial in found["trials"])
    assert found["launched_flops"] > 0
    assert all(trial["prior"]["verdict"] for trial in found["trials"])


@pytest.mark.usefixtures("compiled_quickly")
def test_tune_without_the_prior_refuses_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    page = tmp_path / "elsewhere.html"
    options = ["--base", "random", "--no-prior", "--output", report, "--report", page, "--json"]
    found = json.loads(CliRunner().invoke(app, list(map(str, ["tune", *SMALL, *options]))).stdout)
    assert found == json.loads(report.read_text())
    assert "The prior was not asked about any configuration of this run." in page.read_text()
    assert found["refused"] == {}
    assert [trial["prior"] for trial in found["trials"]] == [None] * 3


@pytest.mark.usefixtures("compiled_quickly")
def test_tune_stopped_by_ctrl_c_keeps_what_is_done_and_resumes(tmp_path: Path) -> None:
    report, storage = tmp_path / "report.json", f"sqlite:///{tmp_path / 'study.db'}"
    options = [*SMALL, "--storage", storage, "--output", str(report)]
    command = [sys.executable, "-c", "from ntk_prior_cli import main; main()", "tune", *options, "--trials", "200"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        deadline = time.monotonic() + 240
        while completed(storage) < 1 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
    stopped = json.loads(report.read_text())
    assert stopped["launched"] == completed(storage) >= 1
    more = stopped["launched"] + 1
    run("tune", *options, "--resume", "--trials", more)
    resumed = json.loads(report.read_text())
    assert resumed["launched"] == more
    assert {trial["number"] for trial in stopped["trials"]} < {trial["number"] for trial in resumed["trials"]}


class InterruptedInItsDestructor:
    """Python drops the KeyboardInterrupt of a Ctrl-C that comes while it runs a destructor."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_whose_exception_is_lost_stops_after_the_running_trial() -> None:
    study = optuna.create_study()

    def objective(trial: optuna.Trial) -> float:
        if trial.number == 1:
            InterruptedInItsDestructor()
        return trial.suggest_float("x", 0.0, 1.0)

    assert not optimize(study, objective, 10)
    assert [trial.state for trial in study.trials] == [optuna.trial.TrialState.COMPLETE] * 2


def test_an_interrupt_without_a_signal_stops_too() -> None:
    study = optuna.create_study()

    def objective(trial: optuna.Trial) -> float:
        raise KeyboardInterrupt

    assert not optimize(study, objective, 10)
    assert len(study.trials) == 1


def completed(storage: str) -> int:
    try:
        study = optuna.load_study(study_name="ntk-prior", storage=storage)
    except KeyError:
        return 0
    return len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))


def test_a_trial_that_answers_the_most_frequent_class_alone_is_at_chance(tmp_path: Path) -> None:
    digits = load_digits()
    shares = {0.1: 200, 0.9: 200, 0.98: 200}
    for share, n in shares.items():
        y = (np.arange(n) >= share * n).astype(np.int64) if share > 0.5 else np.arange(n) % 10
        images = replace(digits, x_test=digits.x_test[:n], y_test=y)
        assert images.chance == pytest.approx(share)
        trials = [
            TrainedTrial(number, {}, {**RESULT, "best_test_accuracy": accuracy}, None)
            for number, accuracy in enumerate((share, share + 0.005, 1.0))
        ]
        found = build_report(
            options_writing(tmp_path / "report.json"), TuningResult(trials, [], "", 0.0), Budget(1), images
        )
        assert found["launched_hopeless"] == 2, share
