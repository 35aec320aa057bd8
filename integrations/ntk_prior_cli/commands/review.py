"""``ntk-prior review``: what the prior would have refused of a study that ran without it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior.runs import UNFINISHED, Hindsight, in_hindsight
from ntk_prior_cli.console import output
from ntk_prior_cli.options import AsJson, BetterMode, Metric, Objective, Storage, Study, require_place
from ntk_prior_cli.page import load_run, write_page

if TYPE_CHECKING:
    from ntk_prior.runs import Run


def review(
    study: Study,
    prior: Annotated[Path, typer.Option(help="The prior, written by NTKPrior.save: judges the trials.")],
    storage: Storage = None,
    output_path: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("ntk-prior-review.html"),
    objective: Objective = None,
    metric: Metric = None,
    mode: BetterMode = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help=f"Below which scores would have been refused. Default: what the study says, or {DEFAULT_THRESHOLD}.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What the prior would have refused of a study that ran without it, and whether that would have been right.

    For example:

    ntk-prior review my-study --storage sqlite:///study.db --prior prior.json -o review.html

    ntk-prior review ~/ray_results/my-experiment --metric accuracy --mode max --prior prior.json

    The page is that of 'ntk-prior report', with each trial that was launched judged in hindsight. A study that ran
    with the prior may be reviewed too, such as with another one. A saved prior has no to_architecture: studies with
    names of their own are reviewed in Python, with ntk_prior_optuna.review or ntk_prior_ray.review. --json prints the
    numbers.
    """
    require_place("--output", output_path)
    known = NTKPrior.load(prior)
    run = judge_afterwards(load_run(study, storage, objective, metric, mode, known), known, threshold)
    write_page(run, output_path)
    if as_json:
        assert run.review is not None, "it has just been reviewed"
        output.print_json(json.dumps({"output": str(output_path), **run.review.to_json()}))
        return
    for line in str(run.review).splitlines():
        output.print(line)
    output.print(f"review: {output_path}")


def judge_afterwards(run: Run, prior: NTKPrior, threshold: float | None) -> Run:
    """Judge, in hindsight, the launched trials of a run that have ended.

    Args:
        run: The run.
        prior: The prior.
        threshold: Lower scores would have been refused; None for the run's own.
    """
    ended = replace(run, rows=[row for row in run.rows if row.trial.launched and row.state not in UNFINISHED])
    found = Hindsight.from_trials(
        [row.trial._replace(config=row.params) for row in ended.rows],
        prior,
        outcome_name=run.outcome_name,
        maximize=run.maximize,
        threshold=run.threshold if threshold is None else threshold,
        log=run.log,
    )
    return in_hindsight(ended, found)
