"""What tuning did, whichever engine ran: as JSON, on the screen and as a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from ntk_prior import Budget
from ntk_prior.datasets import Images
from ntk_prior.decision import RefusedDraw
from ntk_prior.files import write_file
from ntk_prior.runs import MetricNames
from ntk_prior_cli.console import errors, output, strict_json
from ntk_prior_cli.page import write_page
from ntk_prior_cli.tuning.options import TuneOptions
from ntk_prior_cli.tuning.training import Result, count_flops, read_configuration

if TYPE_CHECKING:
    from ntk_prior.runs import Run


OUTCOME_NAME = "best test accuracy"
"""What trials are compared by."""

MEASURED = MetricNames("result/test_accuracy", "result/train_accuracy", "result/diverged")
"""Where the results of trainings are, in a trial's user attributes or metrics."""


class TrainedTrial(NamedTuple):
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
class TuningResult:
    """What an engine did.

    Attributes:
        launched: The trials.
        refused: What the prior refused.
        refused_in: Where these refusals are from, in words.
        seconds: That this run took.
    """

    launched: Sequence[TrainedTrial]
    refused: Sequence[RefusedDraw]
    refused_in: str
    seconds: float


def write_results(
    options: TuneOptions, result: TuningResult, budget: Budget, images: Images, run: Callable[[], Run]
) -> None:
    """Write the JSON and the page, and print what they say.

    Args:
        options: The options.
        result: What the engine did.
        budget: Of each training.
        images: The data.
        run: Makes what the page shows; called only where the page can be written.
    """
    report = build_report(options, result, budget, images)
    text = strict_json(json.dumps(report))
    write_file(options.output, text + "\n")
    if options.as_json:
        output.print_json(text)
    else:
        _print(report, options.output)
    try:
        write_page(run(), options.report)
    except ImportError as error:
        errors.print(f"no page with pictures: {error}", soft_wrap=True)
        return
    if not options.as_json:
        output.print(f"page: {options.report}")


def describe_run(options: TuneOptions, images: Images) -> dict[str, object]:
    """Describe a run: its seed, data, networks, budget and sampler."""
    return {
        "Seed": options.seed,
        "Data": f"{images.name}, {len(images.x_train)} images for training, {len(images.x_test)} for tests",
        "Networks": f"{options.kind}, width {options.width}, {options.parametrization} parametrization",
        "Budget of each trial": f"{options.steps} steps of {options.optimizer}",
        "Sampler": options.base if options.prior else f"{options.base}, without the prior",
    }


def build_report(options: TuneOptions, result: TuningResult, budget: Budget, images: Images) -> dict[str, Any]:
    """Build the report of a run from values that JSON holds.

    Args:
        options: The options.
        result: What the engine did.
        budget: Of each training.
        images: The data.
    """
    trainings = [trial.result for trial in result.launched]
    best = max(result.launched, key=lambda trial: trial.result["best_test_accuracy"], default=None)
    saved = (count_flops(*read_configuration(dict(one.config), options, budget), images) for one in result.refused)
    return {
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()},
        "data": images.name,
        "launched": len(trainings),
        "stopped_early": sum(training["steps"] < options.steps and not training["diverged"] for training in trainings),
        "refused": dict(Counter(one.verdict for one in result.refused)),
        "best_test_accuracy": best.result["best_test_accuracy"] if best else None,
        "best_params": best.params if best else None,
        "launched_hopeless": sum(is_hopeless(training, images.chance) for training in trainings),
        "launched_flops": sum(training["flops"] for training in trainings),
        "refused_flops": sum(saved),
        "refused_flops_are": "6 per weight application, for the steps of the budget, of every draw refused in "
        + result.refused_in,
        "training_seconds": sum(training["seconds"] for training in trainings),
        "seconds": result.seconds,
        "trials": [trial._asdict() for trial in result.launched],
    }


def is_hopeless(training: Mapping[str, Any], chance: float) -> bool:
    """Whether a launched trial was not worth it: it diverged, or hardly did better on test images than chance.

    That is by less than 5 points, or half of what can be done better.
    """
    return bool(training["diverged"] or training["best_test_accuracy"] < chance + min(0.05, (1.0 - chance) / 2.0))


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
