"""Which trainings the tables hold: drawn from a seed, in groups of equal shape that one compiled program serves."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from studies.trainings.network import Shape

ACTIVATIONS = ("erf", "tanh", "relu", "gelu")
WEIGHT_VARIANCES = (0.5, 4.0)
BIAS_VARIANCES = (0.0, 0.5)
CRITICAL = {
    "erf": (
        0.8524334506708671,
        1.042797323575262,
        1.2072350611587697,
        1.353169831231472,
        1.489758280825338,
        1.6205663821232372,
        1.7475786684078405,
        1.871686727912354,
        1.9937729049620203,
        2.114280910567275,
        2.2335109588670923,
    ),
    "tanh": (
        1.086769632216956,
        1.3318885674228418,
        1.5443289620720877,
        1.731924558414485,
        1.906643032584846,
        2.0731141558817865,
        2.2338911676558633,
        2.3904573057238423,
        2.543682315038043,
        2.694351765695609,
        2.8429417468407983,
    ),
    "relu": (1.999397820087469,) * 11,
    "gelu": (
        2.2323414993569184,
        2.2317076710352954,
        2.12770646496507,
        2.125355952092724,
        2.1203951933383274,
        2.0271271584604578,
        2.020426968227336,
        1.996888631448516,
        1.977680933822706,
        1.972466697803618,
        1.972412783585209,
    ),
}
"""Weight variances at which networks become chaotic, at the bias variances of ``critical_weight_variance``: those that
the trainings were drawn around. Each training is named after its digits, which must not follow the predictor's."""
RELATIVE_RATES = (1e-3, 8.0)
USUAL_RATES = (0.1, 2.0)
REPEATED = 5
"""Every fifth configuration is trained from two initialisations."""


@dataclass(frozen=True)
class Family:
    """One kind of network and the data that it is trained on.

    Attributes:
        kind, pooling: As in ``Architecture``.
        configurations: How many to draw.
        widths, shares: Units or channels, and how often each is drawn.
        max_depth: Depths are log-uniform from 1 to this.
        largest: Bound on depth times width^2; a wider network becomes the widest of ``widths`` within it.
        n_train: Training images.
        side: Height and width of the images, or None for those of the data.
        per_group: Configurations that share a shape.
    """

    kind: str
    pooling: bool
    configurations: int
    widths: tuple[int, ...]
    shares: tuple[float, ...]
    max_depth: int
    largest: int
    n_train: int
    side: int | None
    per_group: int = 10


@dataclass(frozen=True)
class Space:
    """All trainings on one data set; ``evaluations`` are the steps at which a training is evaluated, then it ends."""

    dataset: str
    families: tuple[Family, ...]
    n_test: int
    evaluations: tuple[int, ...] = (10, 30, 100, 300)
    seed: int = 0


@dataclass(frozen=True)
class Configuration:
    """One configuration and the seeds of its trainings; ``id`` is a digest of everything but split and seeds."""

    id: str
    split: str
    weight_variance: float
    bias_variance: float
    relative_rate: float
    seeds: tuple[int, ...]

    def row_id(self, seed: int) -> str:
        """What the table calls the training from one seed."""
        return f"{self.id}-{seed}"


@dataclass(frozen=True)
class Group:
    """Configurations of one shape."""

    family: Family
    shape: Shape
    configurations: tuple[Configuration, ...]

    @property
    def row_ids(self) -> list[str]:
        """Of all trainings of the group, in order."""
        return [one.row_id(seed) for one in self.configurations for seed in one.seeds]


def cifar10() -> Space:
    """1,200 configurations on CIFAR-10."""
    channels, shares = (8, 16, 32), (0.75, 0.2, 0.05)
    return Space(
        "cifar10",
        (
            Family("fcn", False, 780, (64, 128, 256, 512), (0.62, 0.22, 0.1, 0.06), 64, 2**21, 512, None),
            Family("cnn", False, 210, channels, shares, 16, 2**11, 256, 8),
            Family("cnn", True, 210, channels, shares, 16, 2**11, 256, 8),
        ),
        n_test=1000,
    )


def digits() -> Space:
    """300 configurations on scikit-learn's digits."""
    channels, shares = (8, 16), (0.8, 0.2)
    return Space(
        "digits",
        (
            Family("fcn", False, 240, (64, 128, 256, 512), (0.62, 0.22, 0.1, 0.06), 64, 2**21, 512, None),
            Family("cnn", False, 30, channels, shares, 16, 2**11, 256, None, per_group=5),
            Family("cnn", True, 30, channels, shares, 16, 2**11, 256, None, per_group=5),
        ),
        n_test=360,
    )


SPACES = {"cifar10": cifar10, "digits": digits}


def resized(
    space: Space,
    *,
    configurations: int | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    evaluations: Sequence[int] | None = None,
    max_width: int | None = None,
    max_depth: int | None = None,
) -> Space:
    """The same space at another size; None leaves a size as it is.

    Args:
        space: The space.
        configurations: In total; each family keeps its share, and at least one.
        n_train, n_test: Images.
        evaluations: Steps.
        max_width, max_depth: Bounds.
    """
    total = sum(family.configurations for family in space.families)

    def changed(family: Family) -> Family:
        count = family.configurations
        if configurations is not None:
            count = max(round(count * configurations / total), 1)
        pairs = [
            (width if max_width is None else min(width, max_width), share)
            for width, share in zip(family.widths, family.shares, strict=True)
        ]
        return replace(
            family,
            configurations=count,
            widths=tuple(width for width, _ in pairs),
            max_depth=family.max_depth if max_depth is None else min(family.max_depth, max_depth),
            n_train=family.n_train if n_train is None else n_train,
        )

    return replace(
        space,
        families=tuple(changed(family) for family in space.families),
        n_test=space.n_test if n_test is None else n_test,
        evaluations=space.evaluations if evaluations is None else tuple(sorted(set(evaluations))),
    )


def groups(space: Space) -> list[Group]:
    """All groups in a random order, so that the trainings done at any time are a fair sample of all."""
    rng = np.random.default_rng(space.seed)
    found: list[Group] = []
    first_seed = 0
    for family in space.families:
        left = family.configurations
        offset, number = rng.random(), 0
        order = list(ACTIVATIONS)
        while left > 0:
            if number % len(order) == 0:
                rng.shuffle(order)
            # Multiples of the golden ratio cover the depths evenly however many groups there are.
            quantile = (offset + number * (math.sqrt(5) - 1) / 2) % 1.0
            shape = _shape(family, order[number % len(order)], quantile, rng)
            size = min(family.per_group, left)
            drawn = [_configuration(space, family, shape, first_seed + 2 * i, rng) for i in range(size)]
            found.append(Group(family, shape, tuple(drawn)))
            first_seed += 2 * size
            left -= size
            number += 1
    return [found[i] for i in rng.permutation(len(found))]


def _shape(family: Family, activation: str, quantile: float, rng: np.random.Generator) -> Shape:
    depth = min(int(math.exp(quantile * math.log(family.max_depth + 1))), family.max_depth)
    fitting = [width for width in family.widths if depth * width**2 <= family.largest]
    width = int(rng.choice(family.widths, p=family.shares))
    return Shape(family.kind, family.pooling, activation, depth, min(width, max(fitting, default=min(family.widths))))


def _configuration(space: Space, family: Family, shape: Shape, seed: int, rng: np.random.Generator) -> Configuration:
    """One draw: a quarter without biases; half of the weight variances around the critical line."""
    bias = 0.0 if rng.random() < 0.25 else rounded(BIAS_VARIANCES[1] * rng.random() ** 2)
    near, anywhere = rng.random() < 0.5, log_uniform(rng, *WEIGHT_VARIANCES)
    spread = math.exp(0.15 * rng.standard_normal())
    weight = critical_weight_variance(shape.activation, bias) * spread if near else anywhere
    weight = rounded(min(max(weight, WEIGHT_VARIANCES[0]), WEIGHT_VARIANCES[1]))
    # A third of the log-uniform draws are usual rates already: together about half.
    rate = rounded(log_uniform(rng, *(USUAL_RATES if rng.random() < 0.25 else RELATIVE_RATES)))
    split = "fit" if rng.random() < 0.6 else "held_out"
    seeds = (seed, seed + 1) if (seed // 2) % REPEATED == 0 else (seed,)
    described = {
        "dataset": space.dataset,
        **asdict(shape),
        "weight_variance": weight,
        "bias_variance": bias,
        "relative_rate": rate,
        "n_train": family.n_train,
        "side": family.side,
        "steps": space.evaluations,
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:10]
    return Configuration(digest, split, weight, bias, rate, seeds)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def rounded(number: float) -> float:
    """To the six digits that the table keeps, so that its numbers are those trained with."""
    return float(f"{number:.6g}")


def critical_weight_variance(activation: str, bias_variance: float) -> float:
    """About where chi_1 first reaches 1 as the weight variance grows, interpolated over the bias variance."""
    # Denser towards zero, where the line is steep for odd activations.
    biases = BIAS_VARIANCES[1] * np.linspace(0.0, 1.0, 11) ** 2
    return float(np.interp(bias_variance, biases, CRITICAL[activation]))
