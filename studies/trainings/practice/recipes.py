"""Recipes of textbooks and tutorials, each really trained: none that trains may be refused.

    python -m studies.trainings.practice.recipes --data-dir DIR

Numbers are those of the sources; the data are what ships here. Where a source trains longer than its data set here has
samples for, steps are cut to 1,000. Fully connected networks stand for the source's where it has other layers, with
the same optimiser, rate, batch, activation and depth. Twelve more are CIFAR-10 at 16 x 16, 4,000 images, batches of
128, 600 steps, without initial biases: from good to hopeless. Rows are appended as they are done; a second run goes on.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from studies.trainings.practice.course import compiled, evaluations, run, variables
from studies.trainings.practice.space import Configuration, Shape, hidden_variances
from studies.trainings.practice.train import material

TABLE = Path(__file__).parents[1] / "recipes.csv"
COMMON = 600


class Recipe(NamedTuple):
    """How one source trains.

    Attributes:
        source: Its name.
        dataset, n_train: What it is trained on here.
        depth, width, activation, initialization, optimizer, learning_rate, batch_size, steps: As in ``Shape`` and
            ``Configuration``.
        own: What else it sets.
    """

    source: str
    dataset: str
    n_train: int
    depth: int
    width: int
    activation: str
    initialization: str
    optimizer: str
    learning_rate: float
    batch_size: int
    steps: int
    own: dict[str, Any] = {}  # noqa: RUF012


RECIPES = (
    Recipe("PyTorch quickstart, tenfold rate", "digits", 1437, 2, 512, "relu", "torch", "sgd", 1e-2, 64, 1000),
    Recipe("PyTorch MNIST example", "digits", 1437, 2, 128, "relu", "torch", "adam", 1e-3, 64, 300),
    Recipe("PyTorch CIFAR-10 tutorial", "cifar10_8", 4000, 2, 120, "relu", "torch", "momentum", 1e-3, 16, 1000),
    Recipe("PyTorch transfer learning", "cifar10_8", 2000, 1, 128, "relu", "torch", "momentum", 1e-3, 16, 1000),
    Recipe("PyTorch learning by examples", "friedman", 1000, 1, 100, "relu", "torch", "rmsprop", 1e-3, 64, 1000),
    Recipe("PyTorch Lightning, first steps", "digits", 1437, 2, 128, "relu", "torch", "adam", 1e-3, 32, 500),
    Recipe("Keras, training with built-in methods", "digits", 1437, 2, 64, "relu", "keras", "rmsprop", 1e-3, 64, 300),
    Recipe("TensorFlow quickstart", "digits", 1437, 1, 128, "relu", "keras", "adam", 1e-3, 32, 225, {"keep_rate": 0.8}),
    Recipe("Keras, simple MNIST", "digits", 1437, 2, 512, "relu", "keras", "rmsprop", 1e-3, 128, 220,
           {"keep_rate": 0.8}),
    Recipe("Keras, Reuters", "letter", 4000, 1, 512, "relu", "keras", "adam", 1e-3, 32, 600, {"keep_rate": 0.5}),
    Recipe("TensorFlow, fuel efficiency", "diabetes", 332, 2, 64, "relu", "keras", "adam", 1e-3, 32, 1000,
           {"loss": "mse"}),
    Recipe("Keras, house prices", "friedman", 500, 2, 64, "relu", "keras", "rmsprop", 1e-3, 16, 1000, {"loss": "mse"}),
    Recipe("Keras, structured data", "spambase", 2000, 1, 32, "relu", "keras", "adam", 1e-3, 32, 600,
           {"keep_rate": 0.5}),
    Recipe("Keras, imbalanced classes", "magic", 4000, 3, 256, "relu", "keras", "adam", 1e-2, 256, 480,
           {"keep_rate": 0.7}),
    Recipe("Flax, MNIST", "digits", 1437, 2, 256, "relu", "lecun", "momentum", 1e-1, 128, 110),
    Recipe("Flax NNX, MNIST", "digits", 1437, 2, 256, "relu", "lecun", "adamw", 5e-3, 32, 450),
    Recipe("JAX, training a simple network", "digits", 1437, 2, 512, "silu", "lecun", "sgd", 1e-1, 128, 300),
    Recipe("Haiku, MNIST", "digits", 1437, 2, 300, "relu", "lecun", "adam", 1e-3, 512, 500),
    Recipe("scikit-learn, MLPClassifier", "satimage", 4000, 1, 100, "relu", "sklearn", "adam", 1e-3, 200, 1000,
           {"weight_decay": 5e-7}),
    Recipe("scikit-learn, MLPRegressor", "satimage_band", 2000, 1, 100, "relu", "sklearn", "adam", 1e-3, 200, 1000,
           {"loss": "mse"}),
    Recipe("scikit-learn, MLP on MNIST", "digits", 1437, 1, 40, "relu", "sklearn", "momentum", 2e-1, 200, 64),
    Recipe("Optuna, simple PyTorch example", "digits", 1437, 2, 64, "relu", "torch", "adam", 1e-3, 128, 300,
           {"keep_rate": 0.7}),
    Recipe("Optuna, Keras example", "digits", 1437, 2, 100, "relu", "keras", "rmsprop", 1e-3, 128, 300),
    Recipe("Ray Tune, MNIST", "digits", 1437, 1, 192, "relu", "torch", "momentum", 1e-2, 64, 300),
    Recipe("Ray Tune, CIFAR-10", "cifar10_8", 4000, 2, 128, "relu", "torch", "momentum", 1e-2, 16, 1000),
    Recipe("Dive into Deep Learning, MLP", "digits", 1437, 1, 256, "relu", "xavier", "sgd", 1e-1, 256, 300),
    Recipe("Dive into Deep Learning, dropout", "digits", 1437, 2, 256, "relu", "xavier", "sgd", 5e-1, 256, 300,
           {"keep_rate": 0.65}),
    Recipe("He et al., residual networks", "cifar10_8", 4000, 4, 128, "relu", "he", "momentum", 1e-1, 128, 600,
           {"residual_scale": 0.5, "normalization": "layer", "weight_decay": 1e-4, "schedule": "cosine"}),
    Recipe("Transformers' feed-forward blocks", "texture", 4000, 6, 128, "gelu", "xavier", "adamw", 3e-4, 64, 1000,
           {"residual_scale": 1.0, "normalization": "layer", "weight_decay": 1e-2, "schedule": "cosine",
            "warmup_steps": 100}),
    Recipe("fastai, tabular learner", "magic", 4000, 2, 200, "relu", "torch", "adamw", 1e-3, 64, 600,
           {"weight_decay": 1e-2, "schedule": "cosine", "warmup_steps": 150}),
)  # fmt: skip


def _common(name: str, optimizer: str, rate: float, activation: str, variance: float, depth: int, width: int) -> Recipe:
    own = {"weight_variance": variance}
    return Recipe(name, "cifar10_16", 4000, depth, width, activation, "free", optimizer, rate, 128, COMMON, own)


TWELVE = (
    _common("twelve, 1", "sgd", 1e-1, "relu", 2.0, 2, 512),
    _common("twelve, 2", "sgd", 1e-1, "relu", 2.0, 5, 512),
    _common("twelve, 3", "sgd", 1e-1, "relu", 2.0, 8, 256),
    _common("twelve, 4", "momentum", 1e-2, "relu", 2.0, 3, 512),
    _common("twelve, 5", "momentum", 1e-1, "relu", 2.0, 3, 512),
    _common("twelve, 6", "sgd", 1e-1, "tanh", 1.0, 3, 256),
    _common("twelve, 7", "sgd", 3e-2, "gelu", 2.0, 3, 512),
    _common("twelve, 8", "adam", 1e-3, "relu", 2.0, 3, 512),
    _common("twelve, 9", "adam", 1e-2, "relu", 2.0, 3, 512),
    _common("twelve, 10", "adam", 1e-3, "relu", 2.0, 16, 256),
    _common("twelve, 11", "adam", 1e-3, "tanh", 1.0, 40, 128),
    _common("twelve, 12", "adam", 3e-2, "relu", 2.0, 6, 256),
)


def shape_of(recipe: Recipe) -> Shape:
    """What its program is compiled for."""
    own = recipe.own
    return Shape(
        recipe.dataset,
        recipe.n_train,
        "fcn",
        False,
        own.get("normalization", "none"),
        own.get("residual_scale"),
        recipe.activation,
        recipe.depth,
        recipe.width,
        own.get("loss", "mse" if recipe.dataset == "friedman" else "cross_entropy"),
        recipe.optimizer,
        recipe.batch_size,
        own.get("keep_rate", 1.0),
    )


def configuration_of(recipe: Recipe) -> Configuration:
    """The rest of it."""
    own = recipe.own
    free = (own.get("weight_variance", 1.0), 0.0)
    return Configuration(
        recipe.source,
        "held_out",
        recipe.initialization,
        *hidden_variances(recipe.initialization, recipe.width, free),
        recipe.learning_rate,
        own.get("weight_decay", 0.0),
        own.get("schedule", "constant"),
        own.get("warmup_steps", 0),
        recipe.steps,
        (0,),
    )


def row_of(recipe: Recipe, data_dir: Path | None) -> dict[str, Any]:
    """Train one, and describe what became of it."""
    shape, one = shape_of(recipe), configuration_of(recipe)
    data, ready = material(shape.dataset, shape.n_train, data_dir)
    row = variables(one, 0)
    outcome = run(compiled(shape, data.n_classes, ready, row), row, ready, one.steps)
    last = outcome.seen.get(evaluations(one.steps)[-1])
    tests = [seen.test_score for seen in outcome.seen.values()]
    described = {"source": recipe.source, **asdict(shape)}
    described |= {name: value for name, value in asdict(one).items() if name not in ("id", "split", "seeds")}
    return described | {
        "train_score": "" if last is None else f"{last.train_score:.4f}",
        "best_test_score": f"{max(tests):.4f}" if tests else "",
    }


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10; default: $NTK_PRIOR_DATA")
    options = parser.parse_args()
    done = set()
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            done = {row["source"] for row in csv.DictReader(file)}
    for recipe in (*RECIPES, *TWELVE):
        if recipe.source in done:
            continue
        row = row_of(recipe, options.data_dir)
        begun = TABLE.exists()
        with TABLE.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if not begun:
                writer.writeheader()
            writer.writerow(row)
        print(recipe.source, row["train_score"], row["best_test_score"], flush=True)


if __name__ == "__main__":
    main()
