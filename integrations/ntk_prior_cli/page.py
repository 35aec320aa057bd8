"""What ``report``, ``review`` and ``tune`` share: a run that options name, and the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ntk_prior import NTKPrior
from ntk_prior.runs import read_experiment
from ntk_prior_cli.console import errors
from ntk_prior_cli.options import Mode

if TYPE_CHECKING:
    from ntk_prior.runs import Run, Summary


def write_page(run: Run, path: Path) -> Summary:
    """Write the page of a run and say what it lacks; returns its numbers.

    Raises:
        ImportError: If the extra is not installed.
        OSError: If the file cannot be written.
    """
    from ntk_prior import report

    summary = report.summarize(run)
    lacks_map = report.write_page(run, path, summary)
    if lacks_map is not None:
        print_note(f"the page has no map below the trials: {lacks_map}")
    return summary


def print_note(words: str) -> None:
    """Print a note beside the numbers."""
    errors.print(f"note: {words}", soft_wrap=True)


def load_run(
    study: str,
    storage: str | None,
    objective: int | None,
    metric: str | None,
    mode: Mode | None,
    prior: NTKPrior | None,
) -> Run:
    """Load the study or experiment that options name.

    Args:
        study, storage, objective, metric, mode: The options of ``report`` and ``review``.
        prior: Says why it let configurations through, where the source does not.

    Raises:
        ValueError: If there is none, or an option does not fit it.
    """
    if storage is None:
        if objective is not None:
            raise ValueError(f"--objective: expected none without --storage, received {objective}: use --metric")
        if not Path(study).is_dir():
            raise ValueError(
                f"STUDY: expected the folder of a Ray Tune experiment, received {study!r}, which is no folder: give "
                "--storage for a study of Optuna's"
            )
        if mode is None:
            raise ValueError(
                "--mode: expected min or max for the folder of a Ray Tune experiment, received None: say whether "
                "smaller or larger values of the metric are better"
            )
        return read_experiment(Path(study), metric, mode.value, prior)
    for option, value in {"--metric": metric, "--mode": mode}.items():
        if value is not None:
            raise ValueError(
                f"{option}: expected none with --storage, received {str(value)!r}: the study knows its objectives"
            )
    from ntk_prior_cli.optuna_source import run_of_study  # this needs Optuna
    from ntk_prior_cli.optuna_storage import hide_password, load_study

    return run_of_study(load_study(study, storage), objective, facts={"Storage": hide_password(storage)})
