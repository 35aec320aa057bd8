"""The notebook that newcomers open: its script runs, and what is committed is that script, executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

from tests.support.notebooks import assert_cells_are_those_of, assert_still_pictures, outputs_without_errors, printed_by

SCRIPT = Path(__file__).parents[2] / "examples" / "quickstart.py"
NOTEBOOK = SCRIPT.with_suffix(".ipynb")
SMALL = ["--trials", "3", "--n-train", "100", "--steps", "20", "--width", "16"]


@pytest.mark.usefixtures("compiled_quickly")
def test_the_script_tunes_twice_and_shows_what_was_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), *SMALL, "--output", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"phase_diagram.html", "feasibility.html", "calibration.html"}
    rows = {line[:14].strip(): line[14:].split() for line in finished.stdout.splitlines() if line.startswith("with")}
    assert rows.keys() == {"without prior", "with prior"}
    assert [row[0] for row in rows.values()] == ["3", "3"]
    assert finished.stdout.count("accuracy 0.") == 3


def test_the_notebook_has_the_cells_of_the_script() -> None:
    assert_cells_are_those_of(jupytext.read(SCRIPT), NOTEBOOK)


def test_the_notebook_was_executed_and_shows_still_pictures() -> None:
    outputs = outputs_without_errors(NOTEBOOK)
    pictures = [output.data for output in outputs if output.output_type == "display_data"]
    assert [list(picture) for picture in pictures] == [["image/png"]] * 3
    assert_still_pictures([picture["image/png"] for picture in pictures])
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "/work" not in text
    assert len(text) < 500_000


def test_the_notebook_shows_that_the_prior_avoids_launches_in_vain() -> None:
    printed = printed_by(outputs_without_errors(NOTEBOOK))
    rows = {line[:14].strip(): line[14:].split() for line in printed.splitlines() if line.startswith("with")}
    assert int(rows["with prior"][1]) < int(rows["without prior"][1])
