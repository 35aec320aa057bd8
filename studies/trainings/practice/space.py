"""Which trainings the table "practice" holds: what people tune, drawn from a seed, in groups of one program each."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from studies.trainings.practice.data import CLASSES, IMAGES, TARGETS
from studies.trainings.space import log_uniform, rounded

SEED = 16
CONFIGURATIONS = 7_500
PER_GROUP = 6
REPEATED = 5
"""Every fifth configuration is trained from two initialisations."""

LARGEST_COST = 4e10
"""Multiplications and additions that a training may take; longer ones are shortened."""

FEWEST_STEPS = 300
"""Batches are made smaller until so many steps are within ``LARGEST_COST``."""

SETS = (*IMAGES, *CLASSES, *TARGETS)
SET_SHARES = {"cifar10_8": 6, "cifar10_16": 4, "digits": 5, "friedman": 1.4, "diabetes": 1.4, "breast_cancer": 1.4}
"""How often each set is drawn, the others 2."""

SIZES = {
    "cifar10_8": (1000, 2000, 4000, 8000),
    "cifar10_16": (1000, 2000, 4000, 8000),
    "digits": (500, 1000, 1437),
    "breast_cancer": (427,),
    "diabetes": (332,),
    "friedman": (500, 1000, 2000),
}
"""Training samples of each set; of the others 1,000, 2,000 or 4,000."""

FEATURES = {
    "cifar10_8": 192,
    "cifar10_16": 768,
    "digits": 64,
    "breast_cancer": 30,
    "satimage": 36,
    "letter": 16,
    "magic": 10,
    "texture": 40,
    "spambase": 57,
    "diabetes": 10,
    "friedman": 10,
    "satimage_band": 35,
    "magic_alpha": 9,
    "texture_angle": 39,
}
ACTIVATIONS = ("relu", "gelu", "tanh", "silu", "leaky_relu", "elu")
ACTIVATION_SHARES = (0.32, 0.16, 0.18, 0.12, 0.1, 0.12)
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "rmsprop")
OPTIMIZER_SHARES = (0.18, 0.2, 0.32, 0.18, 0.12)
INITIALIZATIONS = ("torch", "keras", "he", "xavier", "lecun", "sklearn", "free")
INITIALIZATION_SHARES = (0.28, 0.1, 0.14, 0.07, 0.09, 0.07, 0.25)
RATES = {"sgd": (1e-4, 10.0), "momentum": (1e-4, 10.0)}
USUAL_RATES = {"sgd": (3e-3, 1.0), "momentum": (1e-3, 0.3)}
ADAPTIVE_RATES, USUAL_ADAPTIVE_RATES = (1e-5, 1.0), (1e-4, 5e-2)


@dataclass(frozen=True)
class Shape:
    """What a compiled program is specialised to.

    Attributes:
        dataset, n_train: What is learnt.
        kind, pooling, normalization, residual_scale, activation, depth, width: As in ``Architecture``.
        loss, optimizer, batch_size: As in ``Budget``.
        keep_rate: As in ``Architecture``.
    """

    dataset: str
    n_train: int
    kind: str
    pooling: bool
    normalization: str
    residual_scale: float | None
    activation: str
    depth: int
    width: int
    loss: str
    optimizer: str
    batch_size: int
    keep_rate: float


@dataclass(frozen=True)
class Configuration:
    """What distinguishes the rows of a shape; ``id`` is a digest of everything but split and seeds."""

    id: str
    split: str
    initialization: str
    weight_variance: float
    bias_variance: float
    learning_rate: float
    weight_decay: float
    schedule: str
    warmup_steps: int
    steps: int
    seeds: tuple[int, ...]

    def row_id(self, seed: int) -> str:
        """What the table calls the training from one seed."""
        return f"{self.id}-{seed}"


@dataclass(frozen=True)
class Group:
    """Configurations of one shape."""

    shape: Shape
    configurations: tuple[Configuration, ...]

    @property
    def row_ids(self) -> list[str]:
        """Of all trainings of the group, in order."""
        return [one.row_id(seed) for one in self.configurations for seed in one.seeds]


def groups(configurations: int = CONFIGURATIONS) -> list[Group]:
    """All groups; those done at any time are a fair sample of all."""
    rng = np.random.default_rng(SEED)
    found = []
    for first in range(0, configurations, PER_GROUP):
        shape = _shape(rng)
        numbers = range(first, min(first + PER_GROUP, configurations))
        found.append(Group(shape, tuple(_configuration(shape, number, rng) for number in numbers)))
    return found


def _shape(rng: np.random.Generator) -> Shape:
    shares = np.array([SET_SHARES.get(name, 2.0) for name in SETS])
    dataset = str(rng.choice(SETS, p=shares / shares.sum()))
    n_train = int(rng.choice(SIZES.get(dataset, (1000, 2000, 4000))))
    kind, pooling, normalization, residual = _kind(dataset, rng)
    deepest, widths = (8, (8, 32)) if kind == "cnn" else (40, (32, 512))
    depth = min(int(math.exp(rng.random() ** 1.25 * math.log(deepest + 1))), deepest)
    width = round(log_uniform(rng, *widths))
    if kind != "cnn":
        width = max(min(width, int(math.sqrt(2**19 / max(depth - 1, 1)))), widths[0])
    loss = "mse" if dataset in TARGETS or rng.random() < 0.25 else "cross_entropy"
    shape = Shape(
        dataset,
        n_train,
        kind,
        pooling,
        normalization,
        residual,
        activation=str(rng.choice(ACTIVATIONS, p=ACTIVATION_SHARES)),
        depth=depth,
        width=width,
        loss=loss,
        optimizer=str(rng.choice(OPTIMIZERS, p=OPTIMIZER_SHARES)),
        batch_size=min(2 ** int(rng.integers(4, 10)), n_train // 2),
        keep_rate=rounded(1.0 - rng.uniform(0.05, 0.5)) if kind != "cnn" and rng.random() < 0.3 else 1.0,
    )
    while shape.batch_size > 16 and cost_of_step(shape) * FEWEST_STEPS > LARGEST_COST:
        shape = replace(shape, batch_size=shape.batch_size // 2)
    return shape


def _kind(dataset: str, rng: np.random.Generator) -> tuple[str, bool, str, float | None]:
    """Kind, pooling, normalization and residual scale."""
    draw = rng.random()
    small = dataset in ("cifar10_8", "digits")
    if small and draw < 0.55:
        return "cnn", bool(draw < 0.3), "none", None
    normalization = "layer" if rng.random() < 0.15 else "none"
    residual = float(rng.choice([1.0, 0.5, 0.1])) if rng.random() < 0.2 else None
    return "fcn", False, normalization, residual


def cost_of_step(shape: Shape) -> float:
    """Multiplications and additions on weights in one step."""
    n, inputs = shape.width, FEATURES[shape.dataset]
    if shape.kind == "cnn":
        channels = 3 if shape.dataset == "cifar10_8" else 1
        per_sample = 64 * 9 * n * (channels + (shape.depth - 1) * n) + (n if shape.pooling else 64 * n) * 10
        return 6.0 * shape.batch_size * per_sample * 4  # joined rows of pixels are a third full, and slower
    return 6.0 * shape.batch_size * (inputs * n + (shape.depth - 1) * n * n + 10 * n)


def _configuration(shape: Shape, number: int, rng: np.random.Generator) -> Configuration:
    name = str(rng.choice(INITIALIZATIONS, p=INITIALIZATION_SHARES))
    free = (rounded(log_uniform(rng, 0.3, 4.0)), 0.0 if rng.random() < 0.4 else rounded(0.5 * rng.random() ** 2))
    weight, bias = hidden_variances(name, shape.width, free)
    wide, usual = (
        (RATES[shape.optimizer], USUAL_RATES[shape.optimizer])
        if shape.optimizer in RATES
        else (ADAPTIVE_RATES, USUAL_ADAPTIVE_RATES)
    )
    rate = rounded(log_uniform(rng, *(usual if rng.random() < 0.5 else wide)))
    decay = 0.0 if rng.random() < 0.4 else rounded(log_uniform(rng, 1e-6, 1e-1))
    most = int(LARGEST_COST / cost_of_step(shape))
    steps = max(min(round(log_uniform(rng, 100, 3000)), most), 100)
    schedule = str(rng.choice(["constant", "cosine", "linear"], p=[0.6, 0.25, 0.15]))
    warmup = int(steps * rng.uniform(0.02, 0.2)) if rng.random() < 0.25 else 0
    split = "fit" if rng.random() < 0.6 else "held_out"
    seeds = (2 * number, 2 * number + 1) if number % REPEATED == 0 else (2 * number,)
    described: dict[str, Any] = {
        **asdict(shape),
        "initialization": name,
        "weight_variance": weight,
        "bias_variance": bias,
        "learning_rate": rate,
        "weight_decay": decay,
        "schedule": schedule,
        "warmup_steps": warmup,
        "steps": steps,
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:10]
    return Configuration(digest, split, name, weight, bias, rate, decay, schedule, warmup, steps, seeds)


def hidden_variances(name: str, width: int, free: tuple[float, float]) -> tuple[float, float]:
    """sigma_w^2 and sigma_b^2 of the hidden layers behind the first."""
    fixed = {
        "torch": (1 / 3, 1 / (3 * width)),
        "keras": (1.0, 0.0),
        "xavier": (1.0, 0.0),
        "he": (2.0, 0.0),
        "lecun": (1.0, 0.0),
        "sklearn": (1.0, 1 / width),
    }
    weight, bias = fixed.get(name, free)
    return rounded(weight), rounded(bias)
