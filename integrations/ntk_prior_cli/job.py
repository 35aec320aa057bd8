"""The main job: a study of trainings, with the prior before the launch and a report at the end.

What the engines share is here, with Optuna's own; Ray Tune's is in ``ray_job``.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ntk_prior import Architecture, Budget, Feasibility, NTKPrior, Task
from ntk_prior.data import Images, download_cifar10, load_cifar10, load_digits, prepared
from ntk_prior_cli.console import INTERRUPTED, errors, momentum_of, output
from ntk_prior_cli.console import Optimizer as OptimizerName
from ntk_prior_flax import Report, train, training_flops
from ntk_prior_optuna import NTKPriorSampler

RESULT = "result"
"""User attribute of a trial with what its training reached."""


@dataclass(frozen=True)
class Job:
    """The options of ``ntk-prior tune``."""

    data: str
    data_dir: Path | None
    download: bool
    kind: Literal["fcn", "cnn"]
    base: str
    trials: int
    prior: bool
    steps: int
    width: int
    n_train: int
    side: int | None
    optimizer: Literal["sgd", "momentum", "adam"]
    parametrization: Literal["ntk", "standard"]
    batch_size: int | None
    storage: str | None
    study: str
    resume: bool
    seed: int
    output: Path


class Launched(NamedTuple):
    """A trial whose training finished, whatever ran it.

    Attributes:
        number: Its number.
        params: Its configuration.
        result: What its training reached, a ``TrainingResult`` as a dictionary.
        prior: What the prior said of it, or None without a prior.
    """

    number: int
    params: dict[str, Any]
    result: dict[str, Any]
    prior: dict[str, Any] | None


@dataclass
class Ledger:
    """The prior, keeping what it was asked: a configuration that was judged and not launched was refused."""

    prior: NTKPrior
    judged: list[tuple[dict[str, Any], Feasibility]] = field(default_factory=list)

    def __call__(self, config: Mapping[str, Any]) -> Feasibility:
        """Judge a configuration and remember it."""
        found = self.prior(config)
        self.judged.append((dict(config), found))
        return found

    def refused(self, launched: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
        """Judged configurations that never became a trial's parameters, with their verdicts."""
        taken = {json.dumps(params, sort_keys=True) for params in launched}
        entries = [entry for entry in self.judged if json.dumps(entry[0], sort_keys=True) not in taken]
        return [(params, found.verdict.value) for params, found in entries]


def search_space(kind: str) -> dict[str, BaseDistribution]:
    """What is tuned; pooling only for convolutional networks."""
    space: dict[str, BaseDistribution] = {
        "weight_variance": FloatDistribution(0.5, 4.0, log=True),
        "bias_variance": FloatDistribution(0.0, 0.5),
        "depth": IntDistribution(1, 64, log=True),
        "activation": CategoricalDistribution(["erf", "tanh", "relu", "gelu"]),
        "learning_rate": FloatDistribution(1e-3, 10.0, log=True),
    }
    if kind == "cnn":
        space["pooling"] = CategoricalDistribution([False, True])
    return space


def base_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler that proposes."""
    if name == "qmc":
        return optuna.samplers.QMCSampler(seed=seed, warn_asynchronous_seeding=False, warn_independent_sampling=False)
    kinds: dict[str, Any] = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
        "gp": optuna.samplers.GPSampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "nsgaii": optuna.samplers.NSGAIISampler,
    }
    sampler: optuna.samplers.BaseSampler = kinds[name](seed=seed)
    return sampler


def load(job: Job) -> Images:
    """The job's data, prepared for training."""
    if job.data == "digits":
        images = load_digits()
    else:
        directory = download_cifar10(job.data_dir or Path("data")) if job.download else job.data_dir
        images = load_cifar10(directory)
    return prepared(images, n_train=job.n_train, n_test=min(1000, len(images.x_test)), side=job.side)


def prepared_prior(job: Job, images: Images) -> NTKPrior:
    """The prior for the job's data; its budget is that of each training."""
    # A fully connected network sees no pixels, and a summary without them takes a tenth of the time.
    x = images.x_train if job.kind == "cnn" else images.x_train.reshape(len(images.x_train), -1)
    task = Task.from_arrays(x, images.y_train, n_test=len(images.y_test))
    budget = Budget(
        job.steps,
        optimizer=job.optimizer,
        momentum=momentum_of(OptimizerName(job.optimizer)),
        batch_size=job.batch_size,
        width=job.width,
        parametrization=job.parametrization,
    )
    return NTKPrior(task, budget, to_architecture=lambda config: {**config, "kind": job.kind})


def trained(
    params: Mapping[str, Any], job: Job, prior: NTKPrior, images: Images, seed: int, report: Report | None = None
) -> dict[str, Any]:
    """Train one configuration; what it reached, a ``TrainingResult`` as a dictionary."""
    architecture, spent = specification(params, job, prior.budget)
    data = (images.x_train, images.y_train, images.x_test, images.y_test)
    return asdict(train(architecture, spent, *data, task=prior.task, seed=seed, report=report))


def run(job: Job) -> int:
    """Run the job as an Optuna study; returns the exit code."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    images = load(job)
    prior = prepared_prior(job, images)
    ledger = Ledger(prior)
    space = search_space(job.kind)
    base = base_sampler(job.base, job.seed)
    sampler = NTKPriorSampler(ledger, base, search_space=space, seed=job.seed) if job.prior else base
    study = optuna.create_study(
        study_name=job.study, storage=job.storage, sampler=sampler, direction="maximize", load_if_exists=job.resume
    )

    def objective(trial: Trial) -> float:
        params = {name: suggested(trial, name, distribution) for name, distribution in space.items()}
        result = trained(params, job, prior, images, job.seed + trial.number)
        trial.set_user_attr(RESULT, result)
        return float(result["best_test_accuracy"])

    started = time.perf_counter()
    remaining = max(job.trials - len(launched_trials(study)), 0)
    interrupted = not _optimise(study, objective, remaining)
    refused = ledger.refused([trial.params for trial in study.get_trials(deepcopy=False)]) if job.prior else []
    launched = [
        Launched(trial.number, trial.params, trial.user_attrs[RESULT], trial.user_attrs.get("ntk_prior"))
        for trial in launched_trials(study)
    ]
    concluded(reported(job, launched, refused, prior.budget, images, time.perf_counter() - started), job.output)
    if interrupted:
        return INTERRUPTED
    return 0 if launched else 1


def concluded(report: Mapping[str, Any], path: Path) -> None:
    """Write the report and print it."""
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _print(report, path)


def suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    """The trial's value of one parameter, by Optuna's public calls."""
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    raise TypeError(f"{name}: expected an Optuna distribution, received {distribution!r}")


def specification(params: Mapping[str, Any], job: Job, budget: Budget) -> tuple[Architecture, Budget]:
    """Architecture and budget of one configuration."""
    architecture = Architecture(
        params["weight_variance"],
        params["bias_variance"],
        params["depth"],
        params["activation"],
        job.kind,
        pooling=bool(params.get("pooling", False)),
    )
    return architecture, Budget(**{**asdict(budget), "learning_rate": params["learning_rate"]})


def launched_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Trials whose training finished."""
    return [t for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if RESULT in t.user_attrs]


def _optimise(study: optuna.Study, objective: Any, trials: int) -> bool:
    """Run the study under a progress bar; False if Ctrl-C stopped it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors) as progress:
        bar = progress.add_task("launching", total=trials)

        def advance(study: optuna.Study, _: FrozenTrial) -> None:
            best = max((t.values[0] for t in launched_trials(study)), default=0.0)
            progress.update(bar, advance=1, description=f"best test accuracy {best:.3f}")

        try:
            study.optimize(objective, n_trials=trials, callbacks=[advance])
        except KeyboardInterrupt:
            errors.print("stopped: everything finished so far is kept")
            return False
    return True


def reported(
    job: Job,
    launched: Sequence[Launched],
    refused: Sequence[tuple[Mapping[str, Any], str]],
    budget: Budget,
    images: Images,
    seconds: float,
) -> dict[str, Any]:
    """What the run did, as JSON-serialisable values.

    Args:
        job: The options.
        launched: The finished trials.
        refused: Configurations that the prior refused, with its verdicts.
        budget: Of each training.
        images: The data.
        seconds: That the run took.
    """
    results = [trial.result for trial in launched]
    chance = 1.0 / images.n_classes
    best = max(launched, key=lambda trial: trial.result["best_test_accuracy"], default=None)
    saved = 0.0
    for params, _ in refused:
        architecture, spent = specification(params, job, budget)
        saved += training_flops(architecture, spent, images.x_train.shape[1:], images.n_classes, len(images.x_train))
    return {
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(job).items()},
        "data": images.name,
        "launched": len(launched),
        "refused": dict(Counter(verdict for _, verdict in refused)),
        "best_test_accuracy": best.result["best_test_accuracy"] if best else None,
        "best_params": best.params if best else None,
        "launched_hopeless": sum(hopeless(result, chance) for result in results),
        "launched_flops": sum(result["flops"] for result in results),
        "refused_flops": saved,
        "refused_flops_are": "6 per weight application, for the steps of the budget, of every draw refused in this run",
        "training_seconds": sum(result["seconds"] for result in results),
        "seconds": seconds,
        "trials": [trial._asdict() for trial in launched],
    }


def hopeless(result: Mapping[str, Any], chance: float) -> bool:
    """Whether a launched trial was not worth it: it diverged, or stayed within 5 points of chance on test images."""
    return bool(result["diverged"] or result["best_test_accuracy"] < chance + 0.05)


def _print(report: Mapping[str, Any], path: Path) -> None:
    table = Table(show_header=False, title=f"{report['data']}, {report['options']['base']} sampler")
    table.add_column()
    table.add_column(justify="right")
    table.add_row("launched", str(report["launched"]))
    table.add_row("  of these diverged or at chance", str(report["launched_hopeless"]))
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
