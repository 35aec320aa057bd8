"""How each kind of network sees the data, worked out when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.task.cosines import POWERS, gauss_nodes, weights_on
from ntk_prior.task.hadamard import extrapolate, one_hot, sketch
from ntk_prior.task.images import pixel_view
from ntk_prior.task.inputs import normalised
from ntk_prior.task.view import View

ViewName = Literal["fcn", "cnn", "cnn_pooled"]
NAMES: tuple[ViewName, ...] = get_args(ViewName)
NODES = 8


class Source(Protocol):
    """Where views come from."""

    @property
    def names(self) -> tuple[ViewName, ...]:
        """The views there are."""

    def ready(self) -> tuple[ViewName, ...]:
        """Those that cost next to nothing."""

    def view(self, name: ViewName) -> View:
        """Work one out."""


class Views(Mapping[ViewName, View]):
    """Views by name; each is worked out when it is first asked for, once, whichever thread asks.

    What they are worked out from is let go when all of them are there. Copies and pickles hold the views that have been
    worked out and, where some are missing, what the others come from.
    """

    def __init__(self, source: Source) -> None:
        self._source: Source | None = source
        self._built: dict[ViewName, View] = {}
        self._locks = {name: Lock() for name in source.names}

    def __getitem__(self, name: ViewName) -> View:
        if name not in self._built:
            with self._locks[name]:
                # The source is there as long as any view is missing.
                if name not in self._built and self._source is not None:
                    self._built[name] = self._source.view(name)
                    if len(self._built) == len(self._locks):
                        self._source = None
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._locks

    def __iter__(self) -> Iterator[ViewName]:
        return iter(self._locks)

    def __len__(self) -> int:
        return len(self._locks)

    # By identity, as views are: to compare contents would be to work them all out.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self)}; worked out: {', '.join(self._built) or 'none'})"

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self._source, "built": dict(self._built), "names": tuple(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._source, self._built = state["source"], state["built"]
        self._locks = {name: Lock() for name in state["names"]}

    def ready(self) -> tuple[ViewName, ...]:
        """Those that have been worked out, or follow at once from some that have."""
        near = () if self._source is None else self._source.ready()
        return tuple(name for name in self if name in self._built or name in near)


def ready(views: Mapping[ViewName, View]) -> tuple[ViewName, ...]:
    """Names of the views that need no more work."""
    return views.ready() if isinstance(views, Views) else tuple(views)


@dataclass(frozen=True, eq=False)
class Sample:
    """A subsample of the data, as it was given, and the source of the views measured on it.

    Attributes:
        inputs: Shape (n, features) or (n, height, width, channels).
        labels: Class indices, shape (n,).
        groups: Eigenvalue groups to keep.
        targets: Those of a regression, shape (n, targets); None for classes.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    groups: int
    targets: Array | None = None

    @property
    def names(self) -> tuple[ViewName, ...]:
        """Convolutional networks need a grid."""
        return NAMES if self.inputs.ndim == 4 else ("fcn",)

    def ready(self) -> tuple[ViewName, ...]:
        """None: each is to be measured."""
        return ()

    def view(self, name: ViewName) -> View:
        """Measure one."""
        inputs = normalised(self.inputs)
        targets = one_hot(self.labels) if self.targets is None else self.targets
        if name == "fcn":
            return whole_inputs(inputs, self.labels, targets, self.groups)
        return pixel_view(inputs, self.labels, targets, self.groups, pooled=name == "cnn_pooled")


@dataclass(frozen=True, eq=False)
class Carried:
    """Views of the same data with another number of training samples.

    Attributes:
        views: What was measured.
        n_train: Training samples.
    """

    views: Mapping[ViewName, View]
    n_train: int

    @property
    def names(self) -> tuple[ViewName, ...]:
        """The same."""
        return tuple(self.views)

    def ready(self) -> tuple[ViewName, ...]:
        """Those that were measured."""
        return ready(self.views)

    def view(self, name: ViewName) -> View:
        """Carry one to the number of samples, measuring it first if need be."""
        view = self.views[name]
        return replace(view, sketch=extrapolate(view.sketch, self.n_train))


def whole_inputs(inputs: Array, labels: NDArray[Any], targets: Array, groups: int) -> View:
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
    powers = np.empty((len(POWERS), *cosines.shape))
    np.cumprod(np.broadcast_to(cosines, powers.shape), axis=0, out=powers)
    summary = sketch(powers, targets, groups)
    return View(nodes, weights, on(samples[alike]), on(samples[~alike]), none, 1, one, one, summary)


def view_name(architecture: Architecture) -> ViewName:
    """Which of a task's views an architecture sees."""
    if architecture.kind == "fcn":
        return "fcn"
    return "cnn_pooled" if architecture.pooling else "cnn"
