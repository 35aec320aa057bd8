"""All that the package writes over what was there, and a process that is stopped in the middle of it."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.datasets import load_digits
from ntk_prior.report import Run, write_page
from ntk_prior_cli.picture_file import write_figure
from ntk_prior_cli.tuning.options import TuneOptions
from ntk_prior_cli.tuning.results import TuningResult, write_results


def options_writing(path: Path) -> TuneOptions:
    """Options of ``ntk-prior tune`` with their JSON report at the path."""
    return TuneOptions(
        data="digits",
        data_dir=None,
        download=False,
        kind="fcn",
        base="random",
        trials=1,
        prior=False,
        steps=1,
        width=1,
        n_train=2,
        side=None,
        optimizer="sgd",
        parametrization="ntk",
        batch_size=None,
        storage=None,
        study="mine",
        resume=False,
        seed=0,
        output=path,
        report=path.with_suffix(".html"),
    )


def write_json_report(path: Path) -> None:
    def no_page() -> Run:
        raise ImportError("this writes the JSON alone")

    write_results(options_writing(path), TuningResult([], [], "the study", 0.0), Budget(1), load_digits(), no_page)


WRITERS: dict[str, Callable[[Path], None]] = {
    "task": lambda path: Task.equicorrelated(50, 0.1).save(path),
    "prior": lambda path: NTKPrior(Task.equicorrelated(50, 0.1), Budget(steps=10)).save(path),
    "page": lambda path: write_page(Run("mine", "Optuna", [], "accuracy", True), path),
    "report": write_json_report,
    "picture": lambda path: write_figure("--output", go.Figure(), path.with_suffix(".html")),
}


def suffix(kind: str) -> str:
    return ".html" if kind in ("page", "picture") else ".json"


def main(kind: str, path: str, room: str, killed: str) -> None:
    """Write to the path where files may have so many bytes at most: what is more fails, or kills the process."""
    warm = Path(path).with_name(f"warm{suffix(kind)}")
    WRITERS[kind](warm)
    warm.unlink()
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if killed == "killed" else signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        WRITERS[kind](Path(path))
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
