"""Names and values from elsewhere are words in what the command prints: they neither steer a terminal nor flood it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from ntk_prior_cli import main
from ntk_prior_cli.console import PlainConsole, strict_json

STEERING = "\x1b[2J\x07\r\n\x9b31m\u202e:smile:[bold]"
LONG = {"one word": "x" * 10_000, "many words": "a b " * 2_500, "escapes": "\x1b" * 10_000}
IN_DATABASES = 512
"""Characters of the longest name of a study in a database."""

NUMBERS = ["--weight-variance", "1", "--depth", "3"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in an empty folder; gives its exit code and what it printed on both streams."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ntk-prior", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), *capsys.readouterr()

    return run


MISTAKES: dict[str, Callable[[str], list[str]]] = {
    "a file": lambda given: ["preview", given],
    "a folder": lambda given: ["report", given],
    "a study": lambda given: ["report", f"another {given}", "--storage", "study.db"],
    "a study to tune": lambda given: ["tune", "--study", given[:IN_DATABASES], "--storage", "sqlite:///study.db"],
    "a storage": lambda given: ["tune", "--storage", given],
    "a place": lambda given: ["tune", "-o", f"{given}/report.json"],
    "a picture": lambda given: ["map", "-o", given],
    "a task": lambda given: ["score", *NUMBERS, "--task", given],
    "a parameter": lambda given: ["map", "--x", given],
    "a value": lambda given: ["map", "--fixed", given],
    "a range": lambda given: ["map", "--range", f"{given}=1"],
    "another engine's option": lambda given: ["tune", "--engine", "ray", "--storage", given],
    "a choice": lambda given: ["tune", "--engine", given],
    "a number": lambda given: ["tune", "--trials", given],
    "an option": lambda given: [f"--{given}"],
    "a subcommand": lambda given: [given],
    "one argument too many": lambda given: ["score", *NUMBERS, given],
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_an_error_steers_no_terminal_and_is_no_longer_for_a_longer_value(
    run: Run, mistake: Callable[[str], list[str]]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for given in (STEERING, *LONG.values()):
        optuna.create_study(study_name=given[:IN_DATABASES], storage="sqlite:///study.db")
        code, printed, told = run(*mistake(given))
        assert (code, printed) == (2, "")
        assert all(letter.isprintable() or letter == "\n" for letter in told)
        assert "\N{SMILING FACE WITH OPEN MOUTH}" not in told
        assert ":smile:[bold]" in told or given != STEERING or mistake is MISTAKES["a number"]
        assert len(told) < 1_500


def test_names_in_a_space_are_shown_as_they_are_in_tables_and_given_exactly_as_json(run: Run) -> None:
    space = {
        "weight_variance": {"type": "float", "low": 0.5, "high": 2.0},
        "bias_variance": 0.05,
        "depth": 3,
        STEERING: {"type": "categorical", "choices": ["\x1b[31mred", "[red]red", ":red_heart:", "\ud800"]},
    }
    Path("space.json").write_text(json.dumps(space))
    code, printed, told = run("preview", "space.json")
    assert code == 0
    assert all(letter.isprintable() or letter == "\n" for letter in printed + told)
    for name in (r"\x1b[31mred", "[red]red", ":red_heart:", r"\ud800", r"\x1b[2J"):
        assert name in printed
    assert r"does not look at \x1b[2J\x07\r\n\x9b31m\u202e:smile:[bold]" in told
    code, printed, _ = run("preview", "space.json", "--json")
    assert printed.isascii()
    assert list(json.loads(printed)["refused_by_parameter"]) == list(space)
    assert set(json.loads(printed)["refused_by_parameter"][STEERING]) == set(space[STEERING]["choices"])  # type: ignore[index]


def test_the_name_of_a_written_file_is_shown_on_one_line_and_given_exactly_as_json(run: Run) -> None:
    name = "\x1b[31m:smile:\nreport.html"
    _, printed, _ = run("map", "--width", "64", "-o", name)
    assert printed == "map: \\x1b[31m:smile:\\nreport.html\n"
    _, printed, _ = run("map", "--width", "64", "-o", name, "--json")
    assert json.loads(printed)["output"] == name


def test_json_has_null_where_python_has_infinity() -> None:
    assert strict_json('{"kappa": Infinity, "score": NaN, "low": [-Infinity]}') == json.dumps(
        {"kappa": None, "score": None, "low": [None]}, indent=2
    )


@pytest.mark.parametrize("content", ["x" * 10_000, "[" + "1, " * 3_000 + "1]", '"' + "a b " * 2_000 + '"'], ids=len)
def test_no_other_file_is_repeated_by_what_takes_it_for_its_own(run: Run, content: str) -> None:
    Path("other").write_text(content)
    for arguments in (["preview", "other"], ["map", "--prior", "other"], ["score", *NUMBERS, "--task", "other"]):
        code, _, told = run(*arguments)
        assert code == 2
        assert "other: expected a" in told
        assert len(told) < 700


def test_a_value_in_a_summary_is_cut_too(run: Run) -> None:
    for content in ({"format": LONG["many words"]}, {"format": "ntk-prior task 1", "n_train": LONG["escapes"]}):
        Path("task.json").write_text(json.dumps(content))
        code, _, told = run("score", *NUMBERS, "--task", "task.json")
        assert code == 2
        assert "write it again with Task.save" in told
        assert len(told) < 700


def test_what_nobody_foresaw_ends_with_code_1_and_a_traceback_that_steers_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LookupError(STEERING)

    monkeypatch.setattr(optuna, "get_all_study_names", fail)
    Path("study.db").touch()
    code, _, told = run("report", "mine", "--storage", "study.db")
    assert code == 1
    assert "Traceback (most recent call last)" in told
    assert r"LookupError: \x1b[2J\x07" in told
    assert all(letter.isprintable() or letter == "\n" for letter in told)


def test_a_terminal_gets_colours_of_ours_alone() -> None:
    code = "import sys; sys.argv = ['ntk-prior', '\\x1b[2J:smile:']; from ntk_prior_cli import main; main()"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 2
    assert r"\x1b[2J:smile:" in shown.stderr
    assert "\x1b[2J" not in shown.stderr
    console = PlainConsole(force_terminal=True, color_system="truecolor", width=80)
    with console.capture() as captured:
        console.print("\x1b]0;title\x07[red]:smile:[/red] 3")
    assert captured.get() == r"\x1b]0;title\x07[red]:smile:[/red] 3" + "\n"
