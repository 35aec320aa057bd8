"""What a prior needs to know of a learning task: a summary small enough to log, and without the data once saved."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ntk_prior._types import Array
from ntk_prior.checks import require_integer, require_real, shown
from ntk_prior.files import expecting, read_json, write_file
from ntk_prior.task.cosines import POWERS
from ntk_prior.task.hadamard import GROUPS, Sketch
from ntk_prior.task.inputs import doubts, readable, sampled
from ntk_prior.task.labels import class_labels
from ntk_prior.task.summary_json import FORMAT, chance_from_json, plain, views_from_json
from ntk_prior.task.view import View
from ntk_prior.task.views import Carried, Sample, ViewName, Views, ready


@dataclass(frozen=True, eq=False)
class Task:
    """Summary of a classification or regression task.

    A task made of arrays holds its subsample of them, as it was given, until all of ``views`` have been worked out; its
    copies and pickles hold it too, so that they give the same verdicts. What ``save`` writes never holds data.

    Attributes:
        n_train: Training samples.
        n_test: Test samples (0 if unknown).
        n_classes: Classes; 0 for a regression.
        n_features: Numbers per input.
        n_pixels: Pixels per image, or None for inputs without a grid.
        views: One ``View`` per kind of network that the data allow, worked out when it is first asked for.
        chance: Accuracy of always answering the most frequent class; ``1 / n_classes`` where classes are equally
            frequent, which NaN stands for. 0 for a regression: the R^2 of the mean.
        n_targets: Real numbers that a regression foretells of each input; 0 for classes.

    Example:
        >>> import numpy as np
        >>> import ntk_prior as ntp
        >>> x = np.random.default_rng(0).normal(size=(60, 5))
        >>> task = ntp.Task.from_arrays(x, x[:, 0] > 0)
        >>> task
        Task(n_train=60, n_test=0, n_classes=2, n_features=5, n_pixels=None)
        >>> task.at(10_000).n_train
        10000
    """

    n_train: int
    n_test: int
    n_classes: int
    n_features: int
    n_pixels: int | None
    views: Mapping[ViewName, View] = field(repr=False)
    chance: float = field(default=math.nan, repr=False)
    n_targets: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if math.isnan(self.chance):
            object.__setattr__(self, "chance", 1.0 / self.n_classes if self.n_classes else 0.0)

    @property
    def n_outputs(self) -> int:
        """Output units of a network: classes, or targets of a regression."""
        return self.n_classes or self.n_targets

    @property
    def target_variance(self) -> float:
        """Variance of what is learnt, summed over outputs; targets of a regression count as scaled to 1 each."""
        return 1.0 - 1.0 / self.n_classes if self.n_classes else float(self.n_targets)

    @classmethod
    def from_arrays(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        *,
        n_train: int | None = None,
        n_test: int = 0,
        max_samples: int = 1024,
        seed: int = 0,
        groups: int = GROUPS,
    ) -> Task:
        """Summarise inputs and labels of a classification task, or inputs and targets of a regression.

        Of arrays, memory maps, tensors and HDF5 data sets, a few rows are read at a time: each input is looked at, and
        nothing but the subsample is copied. It is measured when the first verdict asks for it; for convolutional
        networks, which takes many times as long, not before one is judged.

        Args:
            x: Inputs as they are fed to the network, shape (n, features), or images (n, height, width, channels).
                Each is scaled to |x|^2 / n_0 = 1; centring is left to the caller.
            y: Class labels, shape (n,), numbers or strings; or targets of a regression, shape (n,) or (n, targets).
                Numbers are targets where one of them is fractional, or where they would make more than 10 classes with
                fewer than 2 inputs each on average (3 unless the classes are 0, 1, 2 ... or 1, 2, 3 ...). More than 20
                classes are taken with a warning where they have fewer than 10 inputs each, have gaps, or are floats.
            n_train: Training samples to describe; all of ``x`` by default. May exceed ``len(x)``.
            n_test: Test samples.
            max_samples: Largest subsample that is measured.
            seed: Of the subsample.
            groups: Eigenvalue groups to keep; more than the default only serve a later ``at``.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If shapes disagree, values are not finite, labels are missing,
                channels come first, or there are fewer than two samples or classes.

        Warns:
            UserWarning: If inputs are bytes, channels seem to come first, labels may be targets, or inputs
                that the theory cannot tell apart have different labels, which bounds the accuracy of every network.
        """
        inputs = readable(x)
        labels = class_labels(y, inputs.shape[0])
        n_train = require_integer("n_train", inputs.shape[0] if n_train is None else n_train, 2, 10**7)
        n_test = require_integer("n_test", n_test, 0, 10**9)
        max_samples = require_integer("max_samples", max_samples, 2, 20_000)
        seed = require_integer("seed", seed, 0, 2**128)
        groups = require_integer("groups", groups, 1, 20_000)
        size = min(max_samples, inputs.shape[0], n_train)
        chosen = np.random.default_rng(seed).permutation(inputs.shape[0])[:size]
        targets = None if labels.targets is None else labels.targets[chosen]
        sample = Sample(sampled(inputs, chosen), labels.indices[chosen], groups, targets)
        classes = sample.labels if targets is None else None
        for doubt in (*labels.doubts, *inputs.doubts, *doubts(sample.inputs, classes)):
            warnings.warn(doubt, stacklevel=2)
        n_pixels = math.prod(inputs.shape[1:3]) if len(inputs.shape) == 4 else None
        n_classes, n_features = len(labels.frequencies), math.prod(inputs.shape[1:])
        n_targets = 0 if labels.targets is None else labels.targets.shape[1]
        measured = cls(size, n_test, n_classes, n_features, n_pixels, Views(sample), labels.chance, n_targets)
        return measured if n_train == size else measured.at(n_train)

    def at(self, n_train: int) -> Task:
        """The same task with another number of training samples.

        Args:
            n_train: Training samples; beyond the measured number the spectrum continues by its power law.

        Raises:
            TypeError: If ``n_train`` is not a number.
            ValueError: If it is not a whole number of at least 2.
        """
        n_train = require_integer("n_train", n_train, 2, 10**7)
        return replace(self, n_train=n_train, views=Views(Carried(self.views, n_train)))

    @classmethod
    def equicorrelated(
        cls, n_train: int, cosine: float = 0.0, *, n_classes: int = 10, n_pixels: int = 1, pixel_cosine: float = 0.0
    ) -> Task:
        """The theory's own task: every two inputs (and every two pixels of one image) are equally alike.

        Args:
            n_train: Training samples.
            cosine: <x, x'> / n_0 of any two inputs.
            n_classes: Classes; labels carry no structure.
            n_pixels: Pixels per image, for the convolutional views.
            pixel_cosine: Cosine of two different pixels of one image.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument lies outside its range.
        """
        n_train = require_integer("n_train", n_train, 2, 10**9)
        n_pixels = require_integer("n_pixels", n_pixels, 1, 10**9)
        cosine = require_real("cosine", cosine, -1.0, 1.0)
        pixel_cosine = require_real("pixel_cosine", pixel_cosine, -1.0, 1.0)
        cosines = np.array([cosine, pixel_cosine])
        powers = np.array(POWERS)[:, None]
        first, none = np.array([1.0, 0.0]), np.zeros(2)
        one = np.ones(1)

        def view(within: Array) -> View:
            same, moved = 1.0 - within.sum(), within.sum()
            spectrum = same + moved * pixel_cosine**powers - cosine**powers
            alike = (cosine**powers).reshape(-1, 1, 1)
            summary = Sketch(spectrum, np.array([float(n_train)]), one, spectrum[:, 0], one, alike)
            return View(cosines, first, first, first, within, 1, one, one, summary)

        pooled = view(np.array([0.0, 1.0 - 1.0 / n_pixels]))
        views: dict[ViewName, View] = {"fcn": view(none), "cnn": view(none), "cnn_pooled": pooled}
        return cls(n_train, 0, require_integer("n_classes", n_classes, 2, 10**6), n_pixels, n_pixels, views)

    @classmethod
    def cifar10(cls, n_train: int = 50_000) -> Task:
        """CIFAR-10, standardised per channel, from numbers shipped with the package.

        They are computed from the data by ``studies.calibration.summarize_cifar10``.

        Args:
            n_train: Training samples that a trial uses.

        Raises:
            TypeError: If ``n_train`` is not a number.
            ValueError: If it is not between 2 and 50,000.
        """
        n_train = require_integer("n_train", n_train, 2, 50_000)
        text = resources.files("ntk_prior.task").joinpath("cifar10.json").read_text(encoding="utf-8")
        return cls.from_json(json.loads(text)).at(n_train)

    def save(self, path: str | Path, views: Iterable[ViewName] | None = None) -> None:
        """Write the summary as JSON.

        Args:
            path: The file.
            views: Views to work out beforehand, see ``to_json``: ``["fcn", "cnn", "cnn_pooled"]`` for all of an image
                task, without which the loaded task may know nothing of convolutional networks.

        Raises:
            TypeError: If ``views`` is no collection of names.
            ValueError: If the task has no such view.
            OSError: If the file cannot be written; what it held is then still there.
        """
        write_file(path, json.dumps(self.to_json(views)) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Task:
        """Read a summary written by ``save``.

        Raises:
            ValueError: If the file is not such a summary.
        """
        with expecting(f"a task summary ({FORMAT!r})", path, "write it again with Task.save"):
            return cls.from_json(read_json(path))

    def to_json(self, views: Iterable[ViewName] | None = None) -> dict[str, Any]:
        """The summary as JSON-serialisable values.

        Its ``"views"`` are those that have been worked out, which each verdict does with the one it needs, and
        ``"fcn"``. A task that is made of it has no other ones.

        Args:
            views: Further ones to work out beforehand.

        Raises:
            TypeError: If ``views`` is no collection of names.
            ValueError: If the task has no such view.
        """
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {*ready(self.views), *self._named(() if views is None else views), "fcn"}
        values["views"] = {name: plain(self.views[name]) for name in self.views if name in kept}
        return {"format": FORMAT, **values}

    def _named(self, views: Iterable[ViewName]) -> tuple[ViewName, ...]:
        """Names of views that the task has."""
        names = ", ".join(self.views)
        if isinstance(views, str) or not isinstance(views, Iterable):
            raise TypeError(f"views: expected a list with some of {names}, received {shown(views)}")
        given = tuple(views)
        for name in given:
            if name not in tuple(self.views):
                raise ValueError(f"views: expected some of {names}, which this task has, received {shown(name)}")
        return given

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Task:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: If the values are not those of a summary.
        """
        if values["format"] != FORMAT:
            raise ValueError(f"format: expected {FORMAT!r}, received {shown(values['format'])}")
        n_train = require_integer("n_train", values["n_train"], 2, 10**9)
        n_targets = require_integer("n_targets", values.get("n_targets", 0), 0, 10**6)
        n_classes = require_integer("n_classes", values["n_classes"], 0 if n_targets else 2, 10**9)
        n_pixels = values["n_pixels"]
        return cls(
            n_train=n_train,
            n_test=require_integer("n_test", values["n_test"], 0, 10**9),
            n_classes=n_classes,
            n_features=require_integer("n_features", values["n_features"], 1, 10**9),
            n_pixels=None if n_pixels is None else require_integer("n_pixels", n_pixels, 1, 10**9),
            views=views_from_json(values["views"], n_train),
            chance=chance_from_json(values.get("chance"), n_classes),
            n_targets=n_targets,
        )
