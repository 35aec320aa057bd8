"""The data that a job trains on, and the prior for them."""

from __future__ import annotations

from pathlib import Path

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.data import Images, download_cifar10, load_cifar10, load_digits, prepared
from ntk_prior_cli.job import Job
from ntk_prior_cli.options import Optimizer, momentum_of


def load(job: Job) -> Images:
    """The job's data, prepared for training."""
    if job.data == "digits":
        images = load_digits()
    else:
        directory = download_cifar10(job.data_dir or Path("data")) if job.download else job.data_dir
        images = load_cifar10(directory)
    return prepared(images, n_train=job.n_train, n_test=min(1000, len(images.x_test)), side=job.side)


def prepared_prior(job: Job, images: Images) -> NTKPrior:
    """The prior for the job's data, with the budget of each of its trainings."""
    # A fully connected network sees no pixels, and a summary without them takes a tenth of the time.
    x = images.x_train if job.kind == "cnn" else images.x_train.reshape(len(images.x_train), -1)
    task = Task.from_arrays(x, images.y_train, n_test=len(images.y_test))
    budget = Budget(
        job.steps,
        optimizer=job.optimizer,
        momentum=momentum_of(Optimizer(job.optimizer)),
        batch_size=job.batch_size,
        width=job.width,
        parametrization=job.parametrization,
    )
    # The prior travels to Ray's workers, and with it only what this refers to.
    kind = job.kind
    return NTKPrior(task, budget, to_architecture=lambda config: {**config, "kind": kind})
