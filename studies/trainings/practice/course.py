"""One row of the table "practice": a network is trained as its users train it, and observed along the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ntk_prior import Architecture
from ntk_prior.verdict.schedule import RMS_DECAY
from ntk_prior_flax import Network
from studies.trainings.course import condition_number
from studies.trainings.network import Model
from studies.trainings.network import Shape as NetworkShape
from studies.trainings.practice.data import Data
from studies.trainings.practice.space import Configuration, Shape

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
FIRST_STEPS = 10
"""A training is evaluated after so many steps, and after these shares of all: six times."""

GRADIENT_BATCH, KERNEL_BATCH = 64, 32
"""Training samples that proxies of the initial network are computed on."""

MOST_EVALUATED = 2_000
"""Training samples that are evaluated at the most."""

BETAS, MOMENTUM, EPSILON = (0.9, 0.999), 0.9, 1e-8
SCHEDULES = ("constant", "cosine", "linear")

UNIFORM = ("torch", "keras", "sklearn")
"""Initializations that draw uniformly; the others draw normally."""

AVERAGED = ("keras", "xavier", "sklearn")
"""Those whose variances are relative to the mean of fan-in and fan-out; the others' are to fan-in."""

WEIGHT_GAINS = {"torch": 1 / 3, "he": 2.0}
BIAS_GAINS = {"torch": 1 / 3, "sklearn": 1.0}


class Initial(NamedTuple):
    """An initialization: variances are ``weight_gain / fan`` and ``bias + bias_gain / fan``."""

    uniform: Any
    averaged: Any
    weight_gain: Any
    bias_gain: Any
    bias: Any


class Variables(NamedTuple):
    """What distinguishes the rows of one compiled program."""

    seed: Any
    initial: Initial
    learning_rate: Any
    weight_decay: Any
    schedule: Any
    warmup_steps: Any
    steps: Any


class Labelled(NamedTuple):
    """Training and test samples."""

    x: jax.Array
    y: jax.Array
    x_test: jax.Array
    y_test: jax.Array


class State(NamedTuple):
    """A training under way; it is over when ``loss``, that of the last batch, is not finite."""

    params: Any
    memory: Any
    step: Any
    loss: Any


class Seen(NamedTuple):
    """One evaluation; scores are accuracies, or shares of the variance (R^2)."""

    train_loss: Any
    train_score: Any
    test_score: Any


class Proxies(NamedTuple):
    """What is measured of the initial network: the gradient's norm, synflow, and the kernel of a small batch."""

    gradient_norm: Any
    synflow: Any
    kernel: Any


@dataclass(frozen=True)
class Course:
    """The functions that are compiled once for all rows of a shape."""

    shape: Shape
    n_classes: int

    @property
    def n_outputs(self) -> int:
        """One for each class, or the target alone."""
        return self.n_classes or 1

    @cached_property
    def network(self) -> Network:
        """The network; its variances have no effect, since it is initialised here."""
        shape = self.shape
        architecture = Architecture(
            1.0,
            1.0,
            shape.depth,
            jax.nn.elu if shape.activation == "elu" else shape.activation,
            shape.kind,
            shape.pooling,
            keep_rate=shape.keep_rate,
            residual_scale=shape.residual_scale,
            normalization=shape.normalization,
        )
        return Network(architecture, shape.width, self.n_outputs, "standard")

    def outputs(self, params: Any, x: Any, key: Any = None) -> Any:
        """Outputs, shape (n, n_outputs); with units dropped where a key is given."""
        if self.shape.kind != "cnn":
            drops = {} if key is None else {"rngs": {"dropout": key}}
            return self.network.apply({"params": params}, x, training=key is not None, **drops)
        shape = self.shape
        model = _Convolutional(NetworkShape("cnn", shape.pooling, shape.activation, shape.depth, shape.width), self)
        return model._convolved(jax.tree_util.tree_map_with_path(_undone, params), x)

    def loss_of(self, outputs: Any, y: Any) -> Any:
        """Mean over examples, as in ``Budget``."""
        if self.shape.loss == "cross_entropy":
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, y))
        targets = jax.nn.one_hot(y, self.n_classes) if self.n_classes else y[:, None]
        return jnp.mean(jnp.sum(optax.l2_loss(outputs, targets), axis=-1))

    def begin(self, row: Variables, data: Labelled) -> State:
        """The initial network."""
        key = jax.random.key(row.seed)
        shapes = jax.eval_shape(self.network.init, key, data.x[:1])["params"]
        params = {}
        for number, (name, layer) in enumerate(sorted(shapes.items())):
            inner = layer["affine"] if name == "hidden" else layer
            drawn = _drawn(inner["kernel"].shape, inner["bias"].shape, row.initial, jax.random.fold_in(key, number))
            params[name] = {"affine": drawn} if name == "hidden" else drawn
        return State(params, self.optimizer(0.0).init(params), jnp.int32(0), jnp.float32(0.0))

    def optimizer(self, weight_decay: Any) -> optax.GradientTransformation:
        """Directions of the steps; AdamW alone decays weights beside the gradient."""
        decay = optax.add_decayed_weights(weight_decay)
        name = self.shape.optimizer
        if name == "adamw":
            return optax.chain(optax.scale_by_adam(*BETAS, EPSILON), decay)
        direction = {
            "sgd": optax.identity(),
            "momentum": optax.trace(MOMENTUM),
            "adam": optax.scale_by_adam(*BETAS, EPSILON),
            "rmsprop": optax.scale_by_rms(RMS_DECAY, EPSILON, eps_in_sqrt=False),
        }[name]
        return optax.chain(decay, direction)

    def advance(self, until: Any, state: State, row: Variables, data: Labelled) -> State:
        """Steps up to a number of them, or until the loss is not finite."""
        optimizer = self.optimizer(row.weight_decay)
        key = jax.random.fold_in(jax.random.key(row.seed), 99)
        drops = self.shape.keep_rate < 1.0

        def step(state: State) -> State:
            order, dropped = jax.random.split(jax.random.fold_in(key, state.step))
            chosen = jax.random.randint(order, (self.shape.batch_size,), 0, len(data.x))

            def objective(params: Any) -> Any:
                return self.loss_of(self.outputs(params, data.x[chosen], dropped if drops else None), data.y[chosen])

            loss, slope = jax.value_and_grad(objective)(state.params)
            change, memory = optimizer.update(slope, state.memory, state.params)
            rate = row.learning_rate * multiplier(state.step, row)
            params = jax.tree.map(lambda p, c: p - rate * c, state.params, change)
            return State(params, memory, state.step + 1, loss)

        return jax.lax.while_loop(lambda s: (s.step < until) & jnp.isfinite(s.loss), step, state)

    def evaluate(self, state: State, data: Labelled) -> Seen:
        """Loss and scores."""
        outputs = self.outputs(state.params, data.x[:MOST_EVALUATED])
        unseen = self.outputs(state.params, data.x_test)
        y = data.y[:MOST_EVALUATED]
        return Seen(self.loss_of(outputs, y), self._score(outputs, y), self._score(unseen, data.y_test))

    def _score(self, outputs: Any, y: Any) -> Any:
        if self.n_classes:
            return jnp.mean(jnp.argmax(outputs, axis=-1) == y)
        return 1.0 - jnp.mean((outputs[:, 0] - y) ** 2) / jnp.var(y)

    def proxies(self, state: State, data: Labelled) -> Proxies:
        """Of the initial network."""
        x, y = data.x[:GRADIENT_BATCH], data.y[:GRADIENT_BATCH]
        leaves = jax.tree.leaves(jax.grad(lambda params: self.loss_of(self.outputs(params, x), y))(state.params))
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in leaves))

        def flow(params: Any) -> Any:
            return jnp.sum(self.outputs(params, jnp.ones_like(data.x[:1])))

        positive = jax.tree.map(jnp.abs, state.params)
        flows = jax.tree.map(lambda p, g: jnp.sum(p * g), positive, jax.grad(flow)(positive))

        def total(params: Any, one: Any) -> Any:
            return jnp.sum(self.outputs(params, one[None]))

        slopes = jax.vmap(jax.grad(total), (None, 0))(state.params, data.x[:KERNEL_BATCH])
        flat = [leaf.reshape(KERNEL_BATCH, -1) for leaf in jax.tree.leaves(slopes)]
        return Proxies(norm, sum(jax.tree.leaves(flows)), sum(leaf @ leaf.T for leaf in flat))


@dataclass(frozen=True)
class _Convolutional(Model):
    """The fast convolutional network, with a course's activation."""

    @property
    def network(self) -> Network:
        return self.n_classes.network  # type: ignore[attr-defined, no-any-return]


def _undone(path: Any, leaf: Any) -> Any:
    """Parameters of the standard parametrization as ``Model`` takes them, which divides by the root of fan-in."""
    if path[-1].key != "kernel":
        return leaf
    hidden = any(getattr(entry, "key", None) == "hidden" for entry in path)
    return leaf * math.sqrt(math.prod(leaf.shape[int(hidden) : -1]))


def _drawn(kernel: tuple[int, ...], bias: tuple[int, ...], initial: Initial, key: Any) -> dict[str, Any]:
    """Initial weights and biases of one affine map, or of a stack of them."""
    stacked = len(bias) - 1
    fan_in, window = math.prod(kernel[stacked:-1]), math.prod(kernel[stacked:-2])
    fan = jnp.where(initial.averaged, (fan_in + window * kernel[-1]) / 2, fan_in)

    def unit(key: Any, shape: tuple[int, ...]) -> Any:
        flat = jax.random.uniform(key, shape, minval=-math.sqrt(3.0), maxval=math.sqrt(3.0))
        return jnp.where(initial.uniform, flat, jax.random.normal(key, shape))

    keys = jax.random.split(key)
    return {
        "kernel": jnp.sqrt(initial.weight_gain / fan) * unit(keys[0], kernel),
        "bias": jnp.sqrt(initial.bias + initial.bias_gain / fan) * unit(keys[1], bias),
    }


def multiplier(step: Any, row: Variables) -> Any:
    """What a schedule makes of the learning rate at a step, counted from 0."""
    left = 1.0 - (step - row.warmup_steps) / jnp.maximum(row.steps - row.warmup_steps, 1)
    decayed = jnp.stack([1.0, 0.5 - 0.5 * jnp.cos(jnp.pi * left), left])[row.schedule]
    return jnp.where(step < row.warmup_steps, (step + 1.0) / (row.warmup_steps + 1.0), decayed)


def variables(one: Configuration, seed: int) -> Variables:
    """A row's variables in the types that the program is compiled for."""
    name = one.initialization
    initial = Initial(
        jnp.bool_(name in UNIFORM),
        jnp.bool_(name in AVERAGED),
        jnp.float32(one.weight_variance if name == "free" else WEIGHT_GAINS.get(name, 1.0)),
        jnp.float32(BIAS_GAINS.get(name, 0.0)),
        jnp.float32(one.bias_variance if name == "free" else 0.0),
    )
    return Variables(
        jnp.int32(seed),
        initial,
        jnp.float32(one.learning_rate),
        jnp.float32(one.weight_decay),
        jnp.int32(SCHEDULES.index(one.schedule)),
        jnp.int32(one.warmup_steps),
        jnp.int32(one.steps),
    )


def labelled(data: Data) -> Labelled:
    """Data as compiled programs take it."""
    y_type = jnp.int32 if data.n_classes else jnp.float32
    inputs = (jnp.asarray(part, jnp.float32) for part in (data.x, data.x_test))
    x, x_test = inputs
    return Labelled(x, jnp.asarray(data.y, y_type), x_test, jnp.asarray(data.y_test, y_type))


class Program(NamedTuple):
    """``Course``, compiled."""

    begin: Callable[..., State]
    advance: Callable[..., State]
    evaluate: Callable[..., Seen]
    proxies: Callable[..., Proxies]


def compiled(shape: Shape, n_classes: int, data: Labelled, example: Variables) -> Program:
    """All functions of a shape, compiled ahead so that rows are timed without."""
    course = Course(shape, n_classes)
    state = jax.eval_shape(course.begin, example, data)
    return Program(
        jax.jit(course.begin).lower(example, data).compile(),
        jax.jit(course.advance).lower(jnp.int32(1), state, example, data).compile(),
        jax.jit(course.evaluate).lower(state, data).compile(),
        jax.jit(course.proxies).lower(state, data).compile(),
    )


class Outcome(NamedTuple):
    """A finished training.

    Attributes:
        start: The initial network's evaluation.
        seen: Evaluations by step; ends early where the loss is not finite any more.
        steps: Steps taken.
        diverged: Whether it ended so.
        n_parameters: Trainable numbers.
        gradient_norm, synflow, condition_number, kernel_trace: Zero-cost proxies of the initial network.
        seconds, first_seconds, proxy_seconds: CPU time of all of it, of its first steps, and of the proxies.
    """

    start: Seen
    seen: dict[int, Seen]
    steps: int
    diverged: bool
    n_parameters: int
    gradient_norm: float
    synflow: float
    condition_number: float
    kernel_trace: float
    seconds: float
    first_seconds: float
    proxy_seconds: float


def evaluations(steps: int) -> tuple[int, ...]:
    """The steps that a training is evaluated after."""
    return (FIRST_STEPS, *(max(round(share * steps), FIRST_STEPS + 1) for share in SHARES))


def run(program: Program, row: Variables, data: Labelled, steps: int) -> Outcome:
    """Train one row."""
    state = jax.block_until_ready(program.begin(row, data))
    n_parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    began = time.process_time()
    proxies = program.proxies(state, data)
    kernel = np.asarray(proxies.kernel, np.float64)
    condition = condition_number(kernel)
    measured = time.process_time()
    start = _floats(program.evaluate(state, data))
    seen: dict[int, Seen] = {}
    first = measured
    for until in evaluations(steps):
        state = program.advance(jnp.int32(until), state, row, data)
        found = _floats(program.evaluate(state, data))
        if not (math.isfinite(float(state.loss)) and math.isfinite(found.train_loss)):
            break
        seen[until] = found
        first = time.process_time() if until == FIRST_STEPS else first
    ended = time.process_time()
    return Outcome(
        start,
        seen,
        int(state.step),
        steps not in seen,
        n_parameters,
        float(proxies.gradient_norm),
        float(proxies.synflow),
        condition,
        float(np.trace(kernel)) / len(kernel),
        ended - measured,
        first - measured,
        measured - began,
    )


def _floats(seen: Seen) -> Seen:
    return Seen(*(float(value) for value in seen))
