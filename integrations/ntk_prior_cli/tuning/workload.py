"""What a run starts from: its data, the prior for them, and the sampler that proposes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.datasets import Images, download_cifar10, load_cifar10, load_digits, prepare
from ntk_prior_cli.options import Optimizer, momentum_of
from ntk_prior_cli.tuning.options import TuneOptions

if TYPE_CHECKING:
    import optuna


def load_images(options: TuneOptions) -> Images:
    """Load the data, prepared for training."""
    if options.data == "digits":
        images = load_digits()
    else:
        directory = download_cifar10(options.data_dir or Path("data")) if options.download else options.data_dir
        images = load_cifar10(directory)
    return prepare(images, n_train=options.n_train, n_test=min(1000, len(images.x_test)), side=options.side)


def prepare_prior(options: TuneOptions, images: Images) -> NTKPrior:
    """Make the prior for the data, with the budget of each training."""
    # A fully connected network sees no pixels, and a summary without them takes a tenth of the time.
    x = images.x_train if options.kind == "cnn" else images.x_train.reshape(len(images.x_train), -1)
    task = Task.from_arrays(x, images.y_train, n_test=len(images.y_test))
    budget = Budget(
        options.steps,
        optimizer=options.optimizer,
        momentum=momentum_of(Optimizer(options.optimizer)),
        batch_size=options.batch_size,
        width=options.width,
        parametrization=options.parametrization,
    )
    # The prior travels to Ray's workers, and with it only what this refers to.
    kind = options.kind
    return NTKPrior(task, budget, to_architecture=lambda config: {**config, "kind": kind})


def make_base_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Make the sampler of Optuna's that proposes, for either engine."""
    from optuna import samplers  # Ray's random draws need no Optuna

    if name == "qmc":
        return samplers.QMCSampler(seed=seed, warn_asynchronous_seeding=False, warn_independent_sampling=False)
    kinds: dict[str, Any] = {
        "tpe": samplers.TPESampler,
        "random": samplers.RandomSampler,
        "gp": samplers.GPSampler,
        "cmaes": samplers.CmaEsSampler,
        "nsgaii": samplers.NSGAIISampler,
    }
    sampler: samplers.BaseSampler = kinds[name](seed=seed)
    return sampler
