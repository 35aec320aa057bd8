"""``ntk-prior report``: what the prior did in a study or an experiment, as one page."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior_cli.console import errors, output
from ntk_prior_cli.options import AsJson, require_place

if TYPE_CHECKING:
    from ntk_prior_report import Run, Summary


class Mode(StrEnum):
    """Which values of a metric are better."""

    MIN = "min"
    MAX = "max"


Study = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study in --storage, or folder of a Ray Tune experiment.")
]
Storage = Annotated[
    str | None, typer.Option(help="Optuna storage: a URL such as sqlite:///study.db, or the file of a database.")
]
Objective = Annotated[int | None, typer.Option(min=0, help="Of a study with several: the one that counts, from 0.")]
Metric = Annotated[
    str | None, typer.Option(help="Of Ray's results: what trials are compared by. Default: that of the experiment.")
]
BetterMode = Annotated[Mode | None, typer.Option(help="Of Ray's results: which values of the metric are better.")]


def report(
    study: Study,
    storage: Storage = None,
    output_path: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("ntk-prior-report.html"),
    prior: Annotated[
        Path | None, typer.Option(help="The prior, written by NTKPrior.save: draws the map below the trials.")
    ] = None,
    objective: Objective = None,
    metric: Metric = None,
    mode: BetterMode = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help=f"Below which scores were refused. Default: what the study says, or {DEFAULT_THRESHOLD}.",
        ),
    ] = None,
    test_accuracy: Annotated[
        str | None, typer.Option(help="With --prior: user attribute or metric that holds it, for the calibration.")
    ] = None,
    train_accuracy: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    diverged: Annotated[str | None, typer.Option(help="Likewise: whether the training diverged.")] = None,
    as_json: AsJson = False,
) -> None:
    """What was refused and why, and whether the prior was right, as one HTML page that needs no network.

    For example:

    ntk-prior report my-study --storage sqlite:///study.db -o report.html

    ntk-prior report ~/ray_results/my-experiment --metric accuracy --mode max

    With --prior prior.json the page also shows what the prior says of the networks around the trials; names of metrics
    may have slashes, such as result/test_accuracy. --json prints the page's numbers.
    """
    require_place("--output", output_path)
    from ntk_prior_cli.measures import Measures, foretold  # the report has an extra of its own

    if prior is None:
        given = {"--test-accuracy": test_accuracy, "--train-accuracy": train_accuracy, "--diverged": diverged}
        for option, value in given.items():
            if value is not None:
                raise ValueError(f"{option}: expected --prior beside it, received {value!r} alone: add --prior FILE")
    known = None if prior is None else NTKPrior.load(prior)
    run = run_from(study, storage, objective, metric, mode, known)
    if threshold is not None:
        run = replace(run, threshold=threshold)
    if known is not None:
        names = Measures(test_accuracy, train_accuracy, diverged)
        run = replace(run, prior=known, foretold=foretold(known, run.rows, names))
        if run.foretold is not None and not run.foretold.used:
            note(
                "probabilities are not compared with the trials: the prior has none for any trial with such an accuracy"
            )
    found = written(run, output_path)
    if as_json:
        output.print_json(json.dumps({"output": str(output_path), **found.to_json()}))
    else:
        _print(found, output_path)


def written(run: Run, path: Path) -> Summary:
    """Write the page of a run and say what it lacks; returns its numbers.

    Raises:
        ImportError: If the extra is not installed.
        OSError: If the file cannot be written.
    """
    from ntk_prior_report import summarised, write

    found = summarised(run)
    lacks_map = write(run, path, found)
    if lacks_map is not None:
        note(f"the page has no map below the trials: {lacks_map}")
    return found


def note(words: str) -> None:
    """Say something beside the numbers."""
    errors.print(f"note: {words}", soft_wrap=True)


def run_from(
    study: str,
    storage: str | None,
    objective: int | None,
    metric: str | None,
    mode: Mode | None,
    prior: NTKPrior | None,
) -> Run:
    """The study or experiment that options name.

    Args:
        study, storage, objective, metric, mode: As for ``report``.
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
        from ntk_prior_cli.ray_source import run_of_experiment

        return run_of_experiment(Path(study), metric, None if mode is None else mode.value, prior)
    for option, value in {"--metric": metric, "--mode": mode}.items():
        if value is not None:
            raise ValueError(
                f"{option}: expected none with --storage, received {str(value)!r}: the study knows its objectives"
            )
    from ntk_prior_cli.optuna_source import load_study, run_of_study  # this needs Optuna
    from ntk_prior_cli.optuna_storage import without_password

    return run_of_study(load_study(study, storage), objective, facts={"Storage": without_password(storage)})


def _print(found: Summary, path: Path) -> None:
    without_say = {
        "audits": found.audited,
        "before the prior could be asked": found.unseen,
        "of which it had nothing to say": found.unjudged,
        "without a note of the prior's": found.unasked,
    }
    told = ", ".join(f"{count} {words}" for words, count in without_say.items() if count or words == "audits")
    line = f"launched {found.launched}, of these {told}; refused draws on record {found.refused}"
    output.print(line)
    for one in found.verdicts:
        counts = f"refused {one.refused}, launched {one.launched}"
        output.print(f"  {one.verdict or 'not asked'}: {counts}")
    output.print(f"report: {path}")
