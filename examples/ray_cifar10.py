"""Tune a Flax network on CIFAR-10 with Ray Tune; the prior refuses hopeless configurations before they are launched.

    python examples/ray_cifar10.py --data-dir DIR        (or NTK_PRIOR_DATA=DIR; digits without either)
    python examples/ray_cifar10.py --address auto --gpus-per-trial 0.5 --storage-path /mnt/shared/results

Needs pip install 'ntk-prior[ray,optuna,train]'. ASHA stops trials that fall behind. A trial whose node is lost starts
again. Only the workers import JAX; the driver and the prior never use a GPU.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from ntk_prior import Architecture, Budget, NTKPrior, Task
from ntk_prior.datasets import Images, load_cifar10, load_digits, prepare
from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch


def trainable(config: dict[str, Any], images: Images, budget: dict[str, Any]) -> None:
    """Train one network, reporting ten times; each report keeps the result so far as its checkpoint."""
    # Trials that share a GPU must not each reserve most of it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    from ntk_prior_flax import train

    names = ("weight_variance", "bias_variance", "depth", "activation")
    architecture = Architecture(**{name: config[name] for name in names})

    def report(step: int, train_loss: float, test_accuracy: float) -> None:
        finite = train_loss if math.isfinite(train_loss) else 1e9
        metrics = {"step": step, "train_loss": finite, "test_accuracy": test_accuracy}
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "result.json").write_text(json.dumps({**metrics, "config": config}))
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))

    data = (images.x_train, images.y_train, images.x_test, images.y_test)
    train(architecture, Budget(learning_rate=config["learning_rate"], **budget), *data, report=report)


def main(args: argparse.Namespace) -> None:
    """Run the experiment and print its trials."""
    images = prepare(load_cifar10(args.data_dir) if args.data_dir else load_digits(), n_train=args.n_train)
    flat = images.x_train.reshape(len(images.x_train), -1)
    task = Task.from_arrays(flat, images.y_train, n_test=len(images.y_test))
    budget = {"steps": args.steps, "width": args.width}
    search = NTKPriorSearch(NTKPrior(task, Budget(**budget)), OptunaSearch(seed=args.seed), seed=args.seed)

    ray.init(args.address, log_to_driver=False, logging_level="ERROR")
    gpus = args.gpus_per_trial
    if gpus is None:
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
    # The images go to the object store once, and not along with every trial.
    placed = tune.with_parameters(trainable, images=images, budget=budget)
    tuner = tune.Tuner(
        tune.with_resources(placed, {"cpu": 1, "gpu": gpus}),
        param_space={
            "weight_variance": tune.loguniform(0.5, 4.0),
            "bias_variance": tune.uniform(0.0, 0.5),
            "depth": tune.lograndint(1, 65),
            "activation": tune.choice(["erf", "tanh", "relu"]),
            "learning_rate": tune.loguniform(1e-3, 10.0),
        },
        tune_config=tune.TuneConfig(
            metric="test_accuracy",
            mode="max",
            num_samples=args.trials,
            search_alg=search,
            scheduler=ASHAScheduler(max_t=10, grace_period=2),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="ntk-prior",
            storage_path=str(Path(args.storage_path).absolute()),
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=[NTKPriorCallback(search)],
            verbose=0,
        ),
    )
    results = tuner.fit()
    for number, result in enumerate(results):
        metrics = result.metrics
        print(f"trial {number}: accuracy {metrics['test_accuracy']:.3f}, {metrics['ntk_prior']['verdict']}", end=", ")
        print(f"{metrics['training_iteration']} of 10 reports, {result.config}")
    best = results.get_best_result().metrics["test_accuracy"]
    print(f"best test accuracy on {images.name}: {best:.3f}, {gpus} GPUs for each trial")
    print(f"results and refused draws: {results.experiment_path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default=os.environ.get("NTK_PRIOR_DATA"))
    parser.add_argument("--n-train", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--address", default="local", help="auto or HOST:PORT for a running cluster")
    parser.add_argument("--gpus-per-trial", type=float, help="default: 1 where the cluster has GPUs")
    parser.add_argument("--storage-path", default="ntk-prior-ray", help="shared by all nodes of a cluster")
    main(parser.parse_args())
