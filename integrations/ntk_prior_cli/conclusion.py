"""What a run did: as JSON, and on the screen. Engines hand in the same rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from ntk_prior import Budget
from ntk_prior.data import Images
from ntk_prior.files import write_file
from ntk_prior.screening import RefusedDraw
from ntk_prior_cli.console import errors, output, strict_json
from ntk_prior_cli.job import Job
from ntk_prior_cli.report import written
from ntk_prior_cli.training import Result, flops, specification

if TYPE_CHECKING:
    from ntk_prior_report import Run

OUTCOME = "best test accuracy"
"""What trials are compared by."""

MEASURES = ("result/test_accuracy", "result/train_accuracy", "result/diverged")
"""Where the results of trainings are, in a trial's user attributes or metrics."""


class Launched(NamedTuple):
    """A trial whose training ended without an error.

    Attributes:
        number: Its number.
        params: Its configuration.
        result: What its training reached.
        prior: What the prior said of it, or None without a prior.
    """

    number: int
    params: dict[str, Any]
    result: Result
    prior: dict[str, Any] | None


@dataclass(frozen=True)
class Outcome:
    """What an engine did.

    Attributes:
        launched: The trials.
        refused: What the prior refused.
        refused_in: Where these refusals are from, in words.
        seconds: That this run took.
    """

    launched: Sequence[Launched]
    refused: Sequence[RefusedDraw]
    refused_in: str
    seconds: float


def conclude(job: Job, outcome: Outcome, budget: Budget, images: Images, run: Callable[[], Run]) -> None:
    """Write the reports and print what they say.

    Args:
        job: The options.
        outcome: What the engine did.
        budget: Of each training.
        images: The data.
        run: Makes what the page shows; called only where the page can be written.
    """
    report = reported(job, outcome, budget, images)
    text = strict_json(json.dumps(report))
    write_file(job.output, text + "\n")
    if job.as_json:
        output.print_json(text)
    else:
        _print(report, job.output)
    try:
        written(run(), job.report)
    except ImportError as error:
        errors.print(f"no page with pictures: {error}", soft_wrap=True)
        return
    if not job.as_json:
        output.print(f"page: {job.report}")


def facts(job: Job, images: Images) -> dict[str, object]:
    """What else is worth knowing of a run, such as its seed."""
    return {
        "Seed": job.seed,
        "Data": f"{images.name}, {len(images.x_train)} images for training, {len(images.x_test)} for tests",
        "Networks": f"{job.kind}, width {job.width}, {job.parametrization} parametrization",
        "Budget of each trial": f"{job.steps} steps of {job.optimizer}",
        "Sampler": job.base if job.prior else f"{job.base}, without the prior",
    }


def reported(job: Job, outcome: Outcome, budget: Budget, images: Images) -> dict[str, Any]:
    """What the run did, as JSON-serialisable values.

    Args:
        job: The options.
        outcome: What the engine did.
        budget: Of each training.
        images: The data.
    """
    results = [trial.result for trial in outcome.launched]
    best = max(outcome.launched, key=lambda trial: trial.result["best_test_accuracy"], default=None)
    saved = (flops(*specification(dict(one.config), job, budget), images) for one in outcome.refused)
    return {
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(job).items()},
        "data": images.name,
        "launched": len(results),
        "stopped_early": sum(result["steps"] < job.steps and not result["diverged"] for result in results),
        "refused": dict(Counter(one.verdict for one in outcome.refused)),
        "best_test_accuracy": best.result["best_test_accuracy"] if best else None,
        "best_params": best.params if best else None,
        "launched_hopeless": sum(hopeless(result, images.chance) for result in results),
        "launched_flops": sum(result["flops"] for result in results),
        "refused_flops": sum(saved),
        "refused_flops_are": "6 per weight application, for the steps of the budget, of every draw refused in "
        + outcome.refused_in,
        "training_seconds": sum(result["seconds"] for result in results),
        "seconds": outcome.seconds,
        "trials": [trial._asdict() for trial in outcome.launched],
    }


def hopeless(result: Mapping[str, Any], chance: float) -> bool:
    """Whether a launched trial was not worth it: it diverged, or hardly did better on test images than chance.

    That is by less than 5 points, or half of what can be done better.
    """
    return bool(result["diverged"] or result["best_test_accuracy"] < chance + min(0.05, (1.0 - chance) / 2.0))


def _print(report: Mapping[str, Any], path: Path) -> None:
    table = Table(show_header=False, title=f"{report['data']}, {report['options']['base']} sampler")
    table.add_column()
    table.add_column(justify="right")
    table.add_row("launched", str(report["launched"]))
    table.add_row("  of these diverged or at chance", str(report["launched_hopeless"]))
    if report["stopped_early"]:
        table.add_row("  of these stopped early by ASHA", str(report["stopped_early"]))
    if report["options"]["prior"]:
        table.add_row("refused before launch", str(sum(report["refused"].values())))
        for verdict, count in sorted(report["refused"].items()):
            table.add_row(f"  {verdict}", str(count))
    if report["best_test_accuracy"] is not None:
        table.add_row("best test accuracy", f"{report['best_test_accuracy']:.3f}")
    table.add_row("training compute spent", f"{report['launched_flops']:.2g} FLOP")
    if report["options"]["prior"]:
        table.add_row("compute of the refused, estimated*", f"{report['refused_flops']:.2g} FLOP")
    table.add_row("training time", f"{report['training_seconds']:.0f} s")
    output.print(table)
    if report["options"]["prior"]:
        output.print(f"* {report['refused_flops_are']}")
    output.print(f"report: {path}")
