"""``ntk-prior report``: what the prior did in a study or an experiment, as one page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior.runs import MetricNames, check_calibration
from ntk_prior_cli.console import output
from ntk_prior_cli.options import AsJson, BetterMode, Metric, Objective, Storage, Study, require_place
from ntk_prior_cli.page import load_run, print_note, write_page

if TYPE_CHECKING:
    from ntk_prior.runs import Summary


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
    if prior is None:
        given = {"--test-accuracy": test_accuracy, "--train-accuracy": train_accuracy, "--diverged": diverged}
        for option, value in given.items():
            if value is not None:
                raise ValueError(f"{option}: expected --prior beside it, received {value!r} alone: add --prior FILE")
    known = None if prior is None else NTKPrior.load(prior)
    run = load_run(study, storage, objective, metric, mode, known)
    if threshold is not None:
        run = replace(run, threshold=threshold)
    if known is not None:
        names = MetricNames(test_accuracy, train_accuracy, diverged)
        run = replace(run, prior=known, calibration=check_calibration(known, run.rows, names))
        if run.calibration is not None and not run.calibration.used:
            print_note(
                "probabilities are not compared with the trials: the prior has none for any trial with such an accuracy"
            )
    found = write_page(run, output_path)
    if as_json:
        output.print_json(json.dumps({"output": str(output_path), **found.to_json()}))
    else:
        _print(found, output_path)


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
