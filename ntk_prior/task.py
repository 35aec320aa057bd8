"""What a prior needs to know of a learning task: a summary small enough to log, never the data."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntk_prior.architecture import require_integer, require_real
from ntk_prior.files import expecting, read_json
from ntk_prior.pixels import PixelNodes, pixel_nodes
from ntk_prior.sketch import (
    GROUPS,
    POWERS,
    Fits,
    Sketch,
    carried,
    free_fit,
    gauss_nodes,
    positive_fits,
    sketch,
    weights_on,
)

Array = NDArray[np.float64]

ViewName = Literal["fcn", "cnn", "cnn_pooled"]
FORMAT = "ntk-prior task 1"
NODES = 8

_WEIGHTS = ("across", "same_class", "other_class", "within")

_LARGEST_NUMBER = 1e12
"""No number of a summary is larger."""

_ROUNDED = 1e-6
"""What sums and bounds of a summary may miss: files hold nine digits."""


@dataclass(frozen=True, eq=False)
class View:
    """How one kind of network sees the data: which cosines enter its kernel, and with which spectra.

    For ``"fcn"`` the cosines are those of whole inputs; for ``"cnn"`` (flattened) those of equal pixels of two images;
    for ``"cnn_pooled"`` those of all pairs of pixels, within an image and across two. Pixel cosines are taken after one
    convolution window's average.

    Attributes:
        cosines: Quadrature nodes, shape (nodes,).
        across: Weights of the nodes over pairs of different inputs, shape (nodes,), summing to 1.
        same_class: The same over pairs of one class; other pairs follow from ``across`` and the class sizes.
        other_class: The same over pairs of two classes.
        within: Weights over pairs of different pixels of one image, summing to the share of such pairs; zeros except
            for ``"cnn_pooled"``.
        group: Consecutive nodes that further convolutions average with one another.
        spreads: Window variances (pixels^2) at which ``variances`` is given, increasing, shape (k,).
        variances: Positional variance inside a group left after that much averaging, shape (k,).
        sketch: Spectrum of the data and label energies, at ``n_train`` samples.
    """

    cosines: Array
    across: Array
    same_class: Array
    other_class: Array
    within: Array
    group: int
    spreads: Array
    variances: Array
    sketch: Sketch

    @cached_property
    def fits(self) -> Fits:
        """Ways to fit a polynomial to gaps at the nodes; a single one where nodes stand alone."""
        weights = np.maximum(self.across, 0.0) + np.maximum(self.within, 0.0)
        if self.group == 1:
            return free_fit(self.cosines, weights)
        return positive_fits(self.cosines, weights, self.group)


@dataclass(frozen=True, eq=False)
class Task:
    """Summary of a classification task.

    Attributes:
        n_train: Training samples.
        n_test: Test samples (0 if unknown).
        n_classes: Classes.
        n_features: Numbers per input.
        n_pixels: Pixels per image, or None for inputs without a grid.
        views: One ``View`` per kind of network that the data allow.
        chance: Accuracy of always answering the most frequent class; ``1 / n_classes`` where classes are equally
            frequent, which NaN stands for.
    """

    n_train: int
    n_test: int
    n_classes: int
    n_features: int
    n_pixels: int | None
    views: Mapping[ViewName, View] = field(repr=False)
    chance: float = math.nan

    def __post_init__(self) -> None:
        if math.isnan(self.chance):
            object.__setattr__(self, "chance", 1.0 / self.n_classes)

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
        """Summarise inputs and labels.

        Args:
            x: Inputs as they are fed to the network, shape (n, features), or images (n, height, width, channels).
                Each is scaled to |x|^2 / n_0 = 1; centring is left to the caller.
            y: Class labels, shape (n,).
            n_train: Training samples to describe; all of ``x`` by default. May exceed ``len(x)``.
            n_test: Test samples.
            max_samples: Largest subsample that is measured.
            seed: Of the subsample.
            groups: Eigenvalue groups to keep; more than the default only serve a later ``at``.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If shapes disagree, values are not finite, channels come first, or there are fewer than two
                samples or classes.
        """
        inputs, labels = _checked(x, y)
        n_train = require_integer("n_train", len(inputs) if n_train is None else n_train, 2, 10**7)
        n_test = require_integer("n_test", n_test, 0, 10**9)
        max_samples = require_integer("max_samples", max_samples, 2, 20_000)
        seed = require_integer("seed", seed, 0, 2**128)
        groups = require_integer("groups", groups, 1, 20_000)
        size = min(max_samples, len(inputs), n_train)
        frequencies = np.bincount(labels)
        chosen = np.random.default_rng(seed).permutation(len(inputs))[:size]
        inputs, labels = inputs[chosen], labels[chosen]
        views: dict[ViewName, View] = {"fcn": whole_inputs(inputs, labels, groups)}
        n_pixels = None
        if inputs.ndim == 4:
            n_pixels = int(np.prod(inputs.shape[1:3]))
            views |= {
                "cnn": _from_pixels(pixel_nodes(inputs, labels, groups, pooled=False)),
                "cnn_pooled": _from_pixels(pixel_nodes(inputs, labels, groups, pooled=True)),
            }
        chance = float(frequencies.max() / frequencies.sum())
        measured = cls(size, n_test, len(frequencies), inputs[0].size, n_pixels, views, chance)
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
        views = {name: replace(view, sketch=carried(view.sketch, n_train)) for name, view in self.views.items()}
        return replace(self, n_train=n_train, views=views)

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

        They are computed from the data by ``benchmarks/summarise_cifar10.py``.

        Args:
            n_train: Training samples that a trial uses.

        Raises:
            TypeError: If ``n_train`` is not a number.
            ValueError: If it is not between 2 and 50,000.
        """
        n_train = require_integer("n_train", n_train, 2, 50_000)
        text = resources.files("ntk_prior").joinpath("cifar10.json").read_text(encoding="utf-8")
        return cls.from_json(json.loads(text)).at(n_train)

    def save(self, path: str | Path) -> None:
        """Write the summary as JSON."""
        Path(path).write_text(json.dumps(self.to_json()) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Task:
        """Read a summary written by ``save``.

        Raises:
            ValueError: If the file is not such a summary.
        """
        with expecting(f"a task summary ({FORMAT!r})", path, "write it again with Task.save"):
            return cls.from_json(read_json(path))

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON-serialisable values."""
        return {"format": FORMAT, **{f.name: _plain(getattr(self, f.name)) for f in fields(self)}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Task:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: If the values are not those of a summary.
        """
        if values["format"] != FORMAT:
            raise ValueError(f"format: expected {FORMAT!r}, received {values['format']!r}")
        n_train = require_integer("n_train", values["n_train"], 2, 10**9)
        names = get_args(ViewName)
        if not isinstance(values["views"], Mapping) or not values["views"] or not values["views"].keys() <= set(names):
            raise ValueError(f"views: expected a mapping with some of {', '.join(names)}")
        views = {name: _view_from_json(view, n_train) for name, view in values["views"].items()}
        n_pixels = values["n_pixels"]
        return cls(
            n_train=n_train,
            n_test=require_integer("n_test", values["n_test"], 0, 10**9),
            n_classes=require_integer("n_classes", values["n_classes"], 2, 10**9),
            n_features=require_integer("n_features", values["n_features"], 1, 10**9),
            n_pixels=None if n_pixels is None else require_integer("n_pixels", n_pixels, 1, 10**9),
            views=views,
            # Summaries written before it was kept stand for equally frequent classes.
            chance=math.nan if values.get("chance") is None else require_real("chance", values["chance"], 0.0, 1.0),
        )


def _plain(value: Any) -> Any:
    """Arrays to lists (six significant digits), dataclasses and tuples of arrays to mappings."""
    if isinstance(value, np.ndarray):
        return [_plain(row) for row in value] if value.ndim > 1 else [float(f"{number:.9g}") for number in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Sketch):
        return {name: _plain(array) for name, array in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return value


def _view_from_json(values: Mapping[str, Any], n_train: int) -> View:
    def array(owner: Mapping[str, Any], name: str) -> Array:
        numbers = np.asarray(owner[name], dtype=np.float64)
        if not np.all(np.abs(numbers) <= _LARGEST_NUMBER):
            raise ValueError(f"{name}: expected finite numbers of at most {_LARGEST_NUMBER:g}")
        return numbers

    arrays = {f.name: array(values, f.name) for f in fields(View) if f.name not in ("group", "sketch")}
    summary = Sketch(**{name: array(values["sketch"], name) for name in Sketch._fields})
    view = View(**arrays, group=require_integer("group", values["group"], 1, 64), sketch=summary)
    nodes, groups = view.cosines.shape, summary.counts.shape
    agree = (
        len(nodes) == len(groups) == view.spreads.ndim == summary.uniform.ndim == 1
        and all(getattr(view, name).shape == nodes for name in _WEIGHTS)
        and summary.eigenvalues.shape == (len(POWERS), *groups)
        and summary.leading.shape == (len(POWERS), *summary.uniform.shape * 2)
        and summary.diagonals.shape == (len(POWERS),)
        and summary.energy.shape == groups
        and view.spreads.shape == view.variances.shape
        and nodes[0] % view.group == 0
    )
    if not agree:
        raise ValueError("views: expected arrays of matching shapes")
    _require_meaning(view, n_train)
    return view


def _require_meaning(view: View, n_train: int) -> None:
    """Check that a view's numbers can be what they stand for.

    Raises:
        ValueError: If some cannot.
    """
    summary, share = view.sketch, float(view.within.sum())
    sums = {name: float(getattr(view, name).sum()) for name in _WEIGHTS if name != "within"}
    checks = {
        "cosines: expected numbers in [-1, 1]": np.all(np.abs(view.cosines) <= 1.0 + _ROUNDED),
        "weights: expected sums of 1": all(abs(total - 1.0) <= _ROUNDED for total in sums.values()),
        "within: expected a sum in [0, 1]": -_ROUNDED <= share <= 1.0 + _ROUNDED,
        "spreads: expected increasing numbers": np.all(np.diff(view.spreads) > 0.0) and view.spreads.size > 0,
        "variances: expected no negative ones": np.all(view.variances >= 0.0),
        "energy: expected shares that sum to 1": np.all(summary.energy >= 0.0)
        and abs(float(summary.energy.sum()) - 1.0) <= _ROUNDED,
        f"counts: expected positive numbers that sum to n_train, {n_train}": np.all(summary.counts > 0.0)
        and abs(float(summary.counts.sum()) - n_train) <= _ROUNDED * n_train,
    }
    for words, fine in checks.items():
        if not fine:
            raise ValueError(words)


def _checked(x: ArrayLike, y: ArrayLike) -> tuple[Array, NDArray[Any]]:
    """Inputs scaled to |x|^2 / n_0 = 1 and labels as class indices."""
    inputs, labels = _numbers(x), np.asarray(y)
    if inputs.ndim not in (2, 4):
        channel = " (grey images? add the channel: x[..., None])" if inputs.ndim == 3 else ""
        raise ValueError(
            f"x: expected shape (n, features) or (n, height, width, channels), received {inputs.shape}{channel}"
        )
    if labels.shape != inputs.shape[:1]:
        hint = ""
        if labels.ndim == 2 and len(labels) == len(inputs):
            hint = " (one-hot? take y.argmax(axis=1))" if labels.shape[1] > 1 else " (take y.ravel())"
        raise ValueError(
            f"y: expected one label for each of the {len(inputs)} inputs, received shape {labels.shape}{hint}"
        )
    if len(inputs) < 2 or inputs.size == 0:
        raise ValueError(f"x: expected at least 2 inputs with at least 1 feature, received shape {inputs.shape}")
    if not np.all(np.isfinite(inputs)):
        raise ValueError("x: expected finite numbers, received NaN or infinity")
    _require_channels_last(inputs)
    try:
        classes, index = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"y: expected labels of one kind, numbers or strings, received a mixture ({error})") from error
    if len(classes) < 2:
        raise ValueError(f"y: expected at least 2 classes, received only {classes!r}")
    if labels.dtype.kind == "f" and not np.all(labels == np.round(labels)):
        raise ValueError("y: expected class labels, received fractional numbers (regression targets?)")
    norms = np.sqrt(np.mean(inputs.reshape(len(inputs), -1) ** 2, axis=1))
    if not np.all(norms > 0):
        raise ValueError(f"x: expected inputs other than zero, received {int(np.sum(norms == 0))} zero inputs")
    return inputs / norms.reshape(-1, *[1] * (inputs.ndim - 1)), index


def _numbers(x: ArrayLike) -> Array:
    try:
        given = np.asarray(x)
        if np.iscomplexobj(given):
            raise TypeError("these are complex")
        inputs = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"x: expected an array of real numbers, received something else ({error})") from error
    if given.dtype == np.uint8 and np.any(given > 1):
        warnings.warn(
            "x: received bytes, as images are stored: give the inputs as the network gets them (scaled, and centred if "
            "it gets them so), since how alike they are decides what it can learn",
            stacklevel=4,
        )
    return inputs


def _require_channels_last(inputs: Array) -> None:
    """Refuse images that would be read as one or three pixels high."""
    if inputs.ndim == 4 and inputs.shape[1] in (1, 3) and inputs.shape[2] == inputs.shape[3] > 4:
        raise ValueError(
            f"x: expected images of shape (n, height, width, channels), received {inputs.shape}, which looks like "
            "(n, channels, height, width): give np.transpose(x, (0, 2, 3, 1))"
        )


def _from_pixels(nodes: PixelNodes) -> View:
    return View(**{field.name: getattr(nodes, field.name) for field in fields(nodes)})


def whole_inputs(inputs: Array, labels: NDArray[Any], groups: int) -> View:
    """The ``"fcn"`` view of normalised inputs."""
    flat = inputs.reshape(len(inputs), -1)
    cosines = np.clip(flat @ flat.T / flat.shape[1], -1.0, 1.0)
    pairs = np.triu_indices(len(flat), 1)
    alike = labels[pairs[0]] == labels[pairs[1]]
    samples = cosines[pairs]
    nodes, weights, polynomials = gauss_nodes(samples, NODES)

    def on(part: Array) -> Array:
        return weights_on(nodes, weights, polynomials, part, samples) if part.size else weights

    none, one = np.zeros_like(nodes), np.ones(1)
    summary = sketch(np.stack([cosines**k for k in POWERS]), labels, groups)
    return View(nodes, weights, on(samples[alike]), on(samples[~alike]), none, 1, one, one, summary)
