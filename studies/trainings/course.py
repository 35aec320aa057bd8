"""One row of the table: a network is trained by full-batch gradient descent, observed along the way, and described."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from studies.trainings.network import Basis, Model, Params, Scales

DIVERGED = 1e3
"""A loss beyond this is divergence, as in ``ntk_prior_flax.train``: it starts below 1/2, at that of zero outputs."""

GRADIENT_BATCH = 64
KERNEL_BATCH = 32
"""Training images that the gradient norm and the condition number of the NTK are computed on."""


class Variables(NamedTuple):
    """What distinguishes the rows of one compiled program."""

    seed: Any
    weight_variance: Any
    bias_variance: Any
    learning_rate: Any

    @property
    def scales(self) -> Scales:
        """sigma_w and sigma_b."""
        return Scales(jnp.sqrt(self.weight_variance), jnp.sqrt(self.bias_variance))


class Labelled(NamedTuple):
    """Inputs and class indices of both sets."""

    inputs: Basis
    y: jax.Array
    y_test: jax.Array


class Start(NamedTuple):
    """The initial network: all parameters, those trained, and its outputs on both sets."""

    initial: Params
    params: Params
    outputs: jax.Array
    outputs_test: jax.Array


class State(NamedTuple):
    """A training under way; ``diverged`` is the number of steps after which the loss left its bound, or -1."""

    params: Params
    step: Any
    diverged: Any


class Seen(NamedTuple):
    """One evaluation."""

    train_loss: Any
    train_accuracy: Any
    correlation: Any
    test_loss: Any
    test_accuracy: Any


def centred(y: jax.Array, n_classes: int) -> jax.Array:
    """One-hot labels less their mean over classes."""
    return jax.nn.one_hot(y, n_classes) - 1.0 / n_classes


def loss_of(learnt: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over examples of half the squared distance."""
    return 0.5 * jnp.mean(jnp.sum((learnt - targets) ** 2, axis=-1))


@dataclass(frozen=True)
class Course:
    """The functions that are compiled once for all rows of a shape."""

    model: Model

    def begin(self, row: Variables, data: Labelled) -> Start:
        """The initial network."""
        initial = self.model.init(jax.random.key(row.seed), data.inputs)
        params = self.model.reduced(initial, data.inputs)
        outputs = self.model.outputs(params, row.scales, data.inputs.x)
        return Start(initial, params, outputs, self.model.test_outputs(params, initial, row.scales, data.inputs))

    def advance(self, until: Any, state: State, start: Start, row: Variables, data: Labelled) -> State:
        """Gradient descent up to a step, or to divergence."""
        targets = centred(data.y, self.model.n_classes)

        def objective(params: Params) -> jax.Array:
            return loss_of(self.model.outputs(params, row.scales, data.inputs.x) - start.outputs, targets)

        def step(state: State) -> State:
            loss, slope = jax.value_and_grad(objective)(state.params)
            fine = loss <= DIVERGED  # False for NaN
            rate = jnp.where(fine, row.learning_rate, 0.0)
            params = jax.tree.map(lambda p, g: p - rate * g, state.params, slope)
            return State(params, state.step + fine, jnp.where(fine, -1, state.step))

        return jax.lax.while_loop(lambda s: (s.step < until) & (s.diverged < 0), step, state)

    def evaluate(self, state: State, start: Start, row: Variables, data: Labelled) -> Seen:
        """Losses, accuracies, and the cosine between outputs and centred labels."""
        k = self.model.n_classes
        learnt = self.model.outputs(state.params, row.scales, data.inputs.x) - start.outputs
        carried = self.model.test_outputs(state.params, start.initial, row.scales, data.inputs) - start.outputs_test
        targets = centred(data.y, k)
        # Scaled first, so that the norm of a large output does not overflow.
        unit = learnt / jnp.maximum(jnp.max(jnp.abs(learnt)), 1e-30)
        cosine = jnp.sum(unit * targets) / jnp.maximum(jnp.linalg.norm(unit) * jnp.linalg.norm(targets), 1e-30)
        return Seen(
            loss_of(learnt, targets),
            jnp.mean(jnp.argmax(learnt, axis=-1) == data.y),
            cosine,
            loss_of(carried, centred(data.y_test, k)),
            jnp.mean(jnp.argmax(carried, axis=-1) == data.y_test),
        )

    def gradient_norm(self, start: Start, row: Variables, data: Labelled) -> jax.Array:
        """Norm of the loss's gradient at initialisation, on the first images."""
        x, targets = data.inputs.x[:GRADIENT_BATCH], centred(data.y[:GRADIENT_BATCH], self.model.n_classes)

        def objective(params: Params) -> jax.Array:
            return loss_of(self.model.outputs(params, row.scales, x) - start.outputs[:GRADIENT_BATCH], targets)

        leaves = jax.tree.leaves(jax.grad(objective)(start.params))
        return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in leaves))

    def kernel(self, start: Start, row: Variables, data: Labelled) -> jax.Array:
        """Empirical NTK of the sum of all outputs on the first images, shape (batch, batch)."""

        def total(params: Params, x: jax.Array) -> jax.Array:
            return jnp.sum(self.model.outputs(params, row.scales, x[None]))

        slopes = jax.vmap(jax.grad(total), (None, 0))(start.params, data.inputs.x[:KERNEL_BATCH])
        flat = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(slopes)]
        return sum(leaf @ leaf.T for leaf in flat)


class Program(NamedTuple):
    """``Course``, compiled."""

    begin: Callable[..., Start]
    advance: Callable[..., State]
    evaluate: Callable[..., Seen]
    gradient_norm: Callable[..., jax.Array]
    kernel: Callable[..., jax.Array]


def compiled(model: Model, data: Labelled) -> Program:
    """All functions of a shape, compiled ahead so that rows are timed without."""
    course = Course(model)
    row = variables(0, 1.0, 0.0, 1.0)
    begin = jax.jit(course.begin).lower(row, data).compile()
    start = jax.eval_shape(course.begin, row, data)
    state = fresh(start.params)
    known = (start, row, data)
    return Program(
        begin,
        jax.jit(course.advance).lower(jnp.int32(1), state, *known).compile(),
        jax.jit(course.evaluate).lower(state, *known).compile(),
        jax.jit(course.gradient_norm).lower(*known).compile(),
        jax.jit(course.kernel).lower(*known).compile(),
    )


def variables(seed: int, weight_variance: float, bias_variance: float, learning_rate: float) -> Variables:
    """A row's variables in the types that the program is compiled for."""
    numbers = (jnp.float32(value) for value in (weight_variance, bias_variance, learning_rate))
    return Variables(jnp.int32(seed), *numbers)


def fresh(params: Params) -> State:
    """A training at its start."""
    return State(params, jnp.int32(0), jnp.int32(-1))


class Outcome(NamedTuple):
    """A finished training.

    Attributes:
        seen: Evaluations by step; ends early at divergence.
        steps: Steps taken.
        diverged: Steps after which the loss left its bound, or None.
        n_parameters: Trainable numbers.
        gradient_norm, condition_number: Zero-cost proxies of the initial network.
        seconds, gradient_seconds, condition_seconds: CPU time of training, and of either proxy.
    """

    seen: dict[int, Seen]
    steps: int
    diverged: int | None
    n_parameters: int
    gradient_norm: float
    condition_number: float
    seconds: float
    gradient_seconds: float
    condition_seconds: float


def run(program: Program, row: Variables, data: Labelled, evaluations: tuple[int, ...]) -> Outcome:
    """Train one row.

    Args:
        program: Compiled for the row's shape.
        row: Its variables.
        data: Both sets.
        evaluations: Steps to evaluate at, increasing; training ends with the last.
    """
    began = time.process_time()
    start = jax.block_until_ready(program.begin(row, data))
    initialised = time.process_time()
    norm = float(program.gradient_norm(start, row, data))
    normed = time.process_time()
    condition = condition_number(np.asarray(program.kernel(start, row, data), np.float64))
    conditioned = time.process_time()
    state, seen = fresh(start.params), {}
    for until in evaluations:
        state = program.advance(jnp.int32(until), state, start, row, data)
        seen[until] = Seen(*(float(value) for value in program.evaluate(state, start, row, data)))
        if int(state.diverged) >= 0:
            break
    if not seen[until].train_loss <= DIVERGED:
        state = state._replace(diverged=state.step)
    ended = time.process_time()
    return Outcome(
        seen,
        int(state.step),
        int(state.diverged) if int(state.diverged) >= 0 else None,
        sum(leaf.size for leaf in jax.tree.leaves(start.initial)),
        norm,
        condition,
        ended - conditioned + initialised - began,
        normed - initialised,
        conditioned - normed,
    )


def condition_number(kernel: np.ndarray) -> float:
    """Largest over smallest eigenvalue of a float32 kernel; at most 1 / eps, where rounding hides the smallest."""
    if not np.all(np.isfinite(kernel)):
        return float("nan")
    eigenvalues = np.linalg.eigvalsh(kernel)
    top = float(eigenvalues[-1])
    floor = top * float(np.finfo(np.float32).eps)
    return top / max(float(eigenvalues[0]), floor) if top > 0.0 else float("nan")
