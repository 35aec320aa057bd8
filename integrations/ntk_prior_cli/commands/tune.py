"""``ntk-prior tune``: tune a real network on real images, hopeless configurations refused before they are launched."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ntk_prior.checks import shown
from ntk_prior_cli.options import (
    AsJson,
    Kind,
    Optimizer,
    OptimizerName,
    Parametrization,
    ParametrizationName,
    require_place,
)


class Data(StrEnum):
    """Data sets."""

    DIGITS = "digits"
    CIFAR10 = "cifar10"


class Engine(StrEnum):
    """Tuners."""

    OPTUNA = "optuna"
    RAY = "ray"


class Base(StrEnum):
    """Base samplers."""

    TPE = "tpe"
    RANDOM = "random"
    GP = "gp"
    CMAES = "cmaes"
    NSGAII = "nsgaii"
    QMC = "qmc"


def tune(
    data: Annotated[Data, typer.Option(help="digits ships with scikit-learn and needs no network.")] = Data.DIGITS,
    data_dir: Annotated[Path | None, typer.Option(help="CIFAR-10's folder; default: $NTK_PRIOR_DATA.")] = None,
    download: Annotated[bool, typer.Option(help="Fetch CIFAR-10 into --data-dir if it is not there.")] = False,
    kind: Annotated[Kind, typer.Option(help="Fully connected or convolutional.")] = Kind.FCN,
    base: Annotated[Base, typer.Option(help="Optuna sampler that proposes.")] = Base.TPE,
    trials: Annotated[int, typer.Option(min=1, help="Configurations to launch.")] = 16,
    prior: Annotated[bool, typer.Option(help="--no-prior: launch whatever the base sampler proposes.")] = True,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each trial.")] = 200,
    width: Annotated[int, typer.Option(min=1, help="Units or channels per layer.")] = 128,
    n_train: Annotated[int, typer.Option(min=2, help="Training images, balanced over the classes.")] = 512,
    side: Annotated[int | None, typer.Option(help="Average images down to this side.")] = None,
    optimizer: OptimizerName = Optimizer.SGD,
    parametrization: ParametrizationName = Parametrization.NTK,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Default: the full batch.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage: a URL, or the file of one; default: in memory.")
    ] = None,
    study: Annotated[str, typer.Option(help="Name of the study in the storage, or of Ray's experiment.")] = "ntk-prior",
    resume: Annotated[
        bool,
        typer.Option(
            help="Go on with the study of that name up to --trials in all (with Ray: as many as it had); trials that "
            "a killed run has left running count as failed."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the search and of the trainings.")] = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON report.")] = Path("ntk-prior-report.json"),
    report: Annotated[
        Path | None, typer.Option(help="Report as a page, as by 'ntk-prior report'; default: .html beside --output.")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Tuner that launches the trials.")] = Engine.OPTUNA,
    address: Annotated[str | None, typer.Option(help="Ray cluster, such as auto; default: a local one.")] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="With Ray; fractions allowed. Default: 1 where the cluster has GPUs.")
    ] = None,
    storage_path: Annotated[
        Path | None, typer.Option(help="Folder of Ray's results, shared by all nodes; default: ntk-prior-ray.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tune weight variance, bias variance, depth, activation, pooling and learning rate of a Flax network.

    For example:

    ntk-prior tune

    ntk-prior tune --data cifar10 --data-dir DIR --base random --trials 50 --storage sqlite:///study.db

    ntk-prior tune --engine ray --address auto --gpus-per-trial 0.5 --trials 200

    At the end it writes what it did as JSON (--output), and as a page with tables and pictures (--report). With Ray,
    ASHA stops trials that fall behind, and --resume finishes an interrupted run: with the number of trials,
    sampler and prior that it was started with, and on the data and for the steps that are given now.
    """
    given = dict(locals())
    # Only this command needs the extras; the others must work without them.
    from ntk_prior_cli.tuning.engines import run
    from ntk_prior_cli.tuning.options import TuneOptions

    require_place("--output", output)
    page = output.with_suffix(".html") if report is None else report
    require_place("--report", page)
    if page.resolve() == output.resolve():
        raise ValueError(f"--output: expected another file than the page's, received {shown(str(output))} for both")
    # The parameters of this command are the fields of TuneOptions, by the same names.
    plain: dict[str, Any] = {
        name: value.value if isinstance(value, StrEnum) else value for name, value in given.items()
    }
    code = run(TuneOptions(**plain | {"report": page}))
    if code:
        raise typer.Exit(code)
