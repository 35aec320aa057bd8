"""Training of the networks that the prior judges, with optax."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import ArrayLike

from ntk_prior import Architecture, Budget, Task, max_learning_rate
from ntk_prior.checks import require_choice
from ntk_prior_flax.networks import Network

Report = Callable[[int, float, float], None]
"""Called with the step, the training loss and the test accuracy after every chunk of steps; may raise to stop."""

CHUNKS = 10
EVALUATED_TOGETHER = 1024
"""Examples whose activations are held at a time outside of gradients."""

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "rmsprop")
ADAM_RATE = 1e-3
RMS_DECAY = 0.99
"""Decay rate of RMSprop's average of squares, PyTorch's default."""

SCHEDULES: Mapping[str, Callable[[float, int], optax.ScalarOrSchedule]] = {
    "constant": lambda rate, steps: optax.constant_schedule(rate),  # noqa: ARG005
    "cosine": optax.cosine_decay_schedule,
    "linear": lambda rate, steps: optax.linear_schedule(rate, 0.0, steps),
}
"""Learning rate and number of steps behind the warm-up, to the rate of each of these steps."""

DIVERGED = 1e3
"""A loss this many times the initial one, or one that is not finite, counts as diverged."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training reached.

    Attributes:
        train_loss, test_loss: Final loss (mean over examples, of half the squared error or of the cross-entropy).
        train_accuracy, test_accuracy: Final shares of correct labels.
        best_test_accuracy: Best of the evaluations along the way.
        diverged: Whether training stopped because the loss exceeded the divergence limit or became non-finite.
        steps: Steps taken.
        learning_rate: The rate used.
        n_parameters: Trainable numbers.
        flops: Multiplications and additions spent on gradients, see ``training_flops``.
        seconds: Wall-clock time, compilation included.
    """

    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    best_test_accuracy: float
    diverged: bool
    steps: int
    learning_rate: float
    n_parameters: int
    flops: float
    seconds: float


def train(
    architecture: Architecture,
    budget: Budget,
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_test: ArrayLike,
    y_test: ArrayLike,
    *,
    task: Task | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> TrainingResult:
    """Train one network.

    Outputs are measured from those of the initial network, so that training starts at zero: the random function that a
    network of large variance computes before training is neither a signal nor a noise to unlearn.

    Args:
        architecture: The network.
        budget: Steps, rate, optimiser, width (required), loss. A missing rate becomes half the largest stable one,
            1 / lambda_max, which needs ``task``; 1e-3 for Adam and its like. Names that are unknown are refused.
        x_train, x_test: Inputs of mean square 1, shape (n, height, width, channels) or (n, features).
        y_train, y_test: Class indices.
        task: Summary of the training data.
        seed: Of the initial parameters, dropout and the order of mini-batches.
        report: Called after every tenth of the steps.

    Raises:
        ValueError: If the budget has no width, or no rate and no task, or names what is not known here.

    Example:
        >>> from ntk_prior import Architecture, Budget
        >>> from ntk_prior_flax import train
        >>> from sklearn.datasets import load_digits
        >>> x, y = load_digits(return_X_y=True)
        >>> x = x / x.std()
        >>> network, budget = Architecture(1.5, 0.05, 2), Budget(steps=50, learning_rate=1.0, width=64)
        >>> result = train(network, budget, x[:200], y[:200], x[200:400], y[200:400])
        >>> result.diverged, result.train_accuracy > 0.8
        (False, True)
    """
    require_choice("optimizer", budget.optimizer, OPTIMIZERS)
    require_choice("loss", budget.loss, ("mse", "cross_entropy"))
    require_choice("schedule", budget.schedule, tuple(SCHEDULES))
    budget = budget.in_steps(len(np.asarray(y_train)))
    if budget.width is None:
        raise ValueError("width: expected an integer to train with, received None")
    started = time.perf_counter()
    x, y, x_t, y_t = jnp.asarray(x_train), jnp.asarray(y_train), jnp.asarray(x_test), jnp.asarray(y_test)
    n_classes = int(max(y.max(), y_t.max())) + 1
    rate = learning_rate(architecture, budget, task)
    loop = _TrainingLoop(
        Network(architecture, budget.width, n_classes, budget.parametrization),
        optimizer_of(budget, rate),
        budget.loss,
        min(budget.batch_size or len(x), len(x)),
    )
    # Compiled here and not in a cache of the module, so that a long study does not hoard what each trial compiled.
    state, known, known_t, first_loss = jax.jit(loop.begin)(jax.random.key(seed), x, y, x_t, y_t)
    advance = jax.jit(loop.advance, donate_argnums=1)
    n_parameters = sum(leaf.size for leaf in jax.tree.leaves(state[0]))
    done, best, diverged = 0, 0.0, False
    while done < budget.n_steps and not diverged:
        steps = min(max(budget.n_steps // CHUNKS, 1), budget.n_steps - done)
        state, reached = advance(steps, state, known, known_t)
        done += steps
        train_loss, train_accuracy, test_loss, test_accuracy = (float(value) for value in reached)
        best = max(best, test_accuracy)
        diverged = not math.isfinite(train_loss) or train_loss > DIVERGED * max(float(first_loss), 1.0)
        if report is not None:
            report(done, train_loss, test_accuracy)
    return TrainingResult(
        train_loss=_finite(train_loss),
        test_loss=_finite(test_loss),
        train_accuracy=train_accuracy,
        test_accuracy=test_accuracy,
        best_test_accuracy=best,
        diverged=diverged,
        steps=done,
        learning_rate=rate,
        n_parameters=n_parameters,
        flops=training_flops(architecture, replace(budget, steps=done), x.shape[1:], n_classes, len(x)),
        seconds=time.perf_counter() - started,
    )


def learning_rate(architecture: Architecture, budget: Budget, task: Task | None) -> float:
    """The budget's rate, or the default one.

    Raises:
        ValueError: If there is neither a rate nor a task to derive one from.
    """
    if budget.learning_rate is not None:
        return budget.learning_rate
    if budget.is_adaptive:
        return ADAM_RATE
    if task is None:
        raise ValueError(
            "learning_rate: expected a number, or a task to derive half the largest stable one from, received None"
        )
    return max_learning_rate(architecture, task, budget) / 2


def optimizer_of(budget: Budget, rate: float) -> optax.GradientTransformation:
    """The budget's optimiser, with its schedule and weight decay; a budget of epochs is counted in steps before."""
    pace = _schedule_of(budget, rate)
    first, second = budget.betas
    if budget.optimizer == "adamw":
        return optax.adamw(pace, first, second, weight_decay=budget.weight_decay)
    if budget.optimizer == "adam":
        plain = optax.adam(pace, first, second)
    elif budget.optimizer == "rmsprop":
        plain = optax.rmsprop(pace, decay=RMS_DECAY, eps_in_sqrt=False)
    else:
        plain = optax.sgd(pace, momentum=budget.momentum or None)
    return optax.chain(optax.add_decayed_weights(budget.weight_decay), plain) if budget.weight_decay else plain


def _schedule_of(budget: Budget, rate: float) -> optax.ScalarOrSchedule:
    """The learning rate of each step."""
    if budget.schedule == "constant" and not budget.warmup_steps:
        return rate
    behind = SCHEDULES[budget.schedule](rate, max(budget.n_steps - budget.warmup_steps, 1))
    if not budget.warmup_steps:
        return behind
    growing = optax.linear_schedule(rate / (budget.warmup_steps + 1), rate, budget.warmup_steps)
    return optax.join_schedules([growing, behind], [budget.warmup_steps])


def training_flops(
    architecture: Architecture, budget: Budget, shape: tuple[int, ...], n_classes: int, n_train: int
) -> float:
    """Floating-point operations of a training: 6 per weight application (forward, and twice that backward).

    Args:
        architecture: The network.
        budget: Steps, batch size and width (required).
        shape: Of one input.
        n_classes: Outputs.
        n_train: Training samples.

    Example:
        >>> from ntk_prior import Architecture, Budget
        >>> from ntk_prior_flax import training_flops
        >>> training_flops(Architecture(1.5, 0.05, 3), Budget(steps=100, width=128), (64,), n_classes=10, n_train=512)
        12976128000.0
    """
    width = budget.width or 0
    features = math.prod(shape)
    if architecture.kind == "fcn":
        per_example = features * width + (architecture.depth - 1) * width**2 + width * n_classes
    else:
        pixels, window = features // shape[-1], architecture.kernel_size**2
        per_example = pixels * window * width * (shape[-1] + (architecture.depth - 1) * width)
        per_example += width * n_classes * (1 if architecture.pooling else pixels)
    return 6.0 * per_example * budget.in_steps(n_train).n_steps * min(budget.batch_size or n_train, n_train)


def _loss(outputs: jax.Array, y: jax.Array, loss: str) -> jax.Array:
    """Mean over examples: half the squared distance to centred one-hot labels, or cross-entropy."""
    if loss == "cross_entropy":
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, y))
    k = outputs.shape[-1]
    return jnp.mean(jnp.sum(optax.l2_loss(outputs, jax.nn.one_hot(y, k) - 1.0 / k), axis=-1))


class _Known(NamedTuple):
    """Inputs, labels, and what the initial network makes of the inputs."""

    x: jax.Array
    y: jax.Array
    start: jax.Array


@dataclass(frozen=True)
class _TrainingLoop:
    """What stays the same during one training."""

    network: Network
    optimizer: Any
    loss: str
    batch: int

    def begin(self, key: Any, x: jax.Array, y: jax.Array, x_t: jax.Array, y_t: jax.Array) -> Any:
        """Initial parameters and states, both data sets, and the loss before training."""
        init_key, order_key = jax.random.split(key)
        params = self.network.init(init_key, x[:1])["params"]
        known, known_t = (_Known(a, b, self._outputs(params, a)) for a, b in ((x, y), (x_t, y_t)))
        first_loss = _loss(jnp.zeros_like(known.start), y, self.loss)
        return (params, self.optimizer.init(params), order_key), known, known_t, first_loss

    def advance(self, steps: Any, state: Any, known: _Known, known_t: _Known) -> Any:
        """``steps`` optimiser steps as one compiled loop, then loss and accuracy on both data sets."""
        state = jax.lax.fori_loop(0, steps, lambda _, before: self._step(before, known), state)
        return state, (*self._evaluate(state[0], known), *self._evaluate(state[0], known_t))

    def _step(self, state: Any, known: _Known) -> Any:
        params, opt_state, key = state
        key, order, dropout = jax.random.split(key, 3)
        x, y, start = known
        if self.batch < len(x):
            rows = jax.random.choice(order, len(x), (self.batch,), replace=False)
            x, y, start = x[rows], y[rows], start[rows]

        def objective(p: Any) -> jax.Array:
            outputs: Any = self.network.apply({"params": p}, x, training=True, rngs={"dropout": dropout})
            return _loss(outputs - start, y, self.loss)

        updates, opt_state = self.optimizer.update(jax.grad(objective)(params), opt_state, params)
        return optax.apply_updates(params, updates), opt_state, key

    def _evaluate(self, params: Any, known: _Known) -> tuple[jax.Array, jax.Array]:
        learnt = self._outputs(params, known.x) - known.start
        return _loss(learnt, known.y, self.loss), jnp.mean(jnp.argmax(learnt, axis=-1) == known.y)

    def _outputs(self, params: Any, x: jax.Array) -> jax.Array:
        """Outputs without dropout, in blocks: activations of a whole data set may not fit into memory."""

        def apply(inputs: jax.Array) -> jax.Array:
            outputs: Any = self.network.apply({"params": params}, inputs)
            return jnp.asarray(outputs)

        if len(x) <= EVALUATED_TOGETHER:
            return apply(x)
        return jnp.asarray(jax.lax.map(lambda one: apply(one[None])[0], x, batch_size=EVALUATED_TOGETHER))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else float(np.finfo(np.float32).max)
