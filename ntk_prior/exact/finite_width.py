"""The finite-width neural tangent kernel of a JAX model, as it is initialised.

    Theta_ab = (1 / k) sum_o <d f_o(x_a) / d theta, d f_o(x_b) / d theta>

over the k outputs o: the trace over outputs divided by k. The model is a function of its parameters and a batch, so any
of Flax's will do:

    # flax.linen
    params = model.init(jax.random.key(0), x)["params"]
    empirical(lambda params, x: model.apply({"params": params}, x), params, x)

    # flax.linen, batch normalisation in training mode
    variables = model.init(jax.random.key(0), x)
    rest = {"batch_stats": variables["batch_stats"]}
    apply_fn = lambda params, x: model.apply({"params": params, **rest}, x, mutable=["batch_stats"])[0]
    empirical(apply_fn, variables["params"], x)

    # flax.nnx
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    empirical(lambda params, x: nnx.merge(graphdef, params, rest, copy=True)(x), params, x)

The copy lets batch normalisation in training mode update its statistics there and then.

Where an output depends on its own sample alone, gradients are taken sample by sample (see ``gradients``), in blocks
that keep to a limit of memory. JAX's configuration stays as it is. Source: Novak, Sohl-Dickstein and Schoenholz,
"Fast finite width neural tangent kernel", ICML 2022, arXiv 2206.08720 (Jacobian contraction, NTK-vector products,
structured derivatives).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from ntk_prior._types import Array
from ntk_prior.exact.gradients import ApplyFn, Feature, Params, contract, features, wide
from ntk_prior.exact.model import Model, checked, refuse, refuse_infinite

MEMORY_LIMIT = 2 * 2**30
"""Bytes that gradients and activations may take, unless told otherwise."""

WORK_LIMIT = 1e14
"""Floating-point operations that a call may take, unless told otherwise: some 20 minutes of a processor's core."""

_ADVICE = "fewer images, outputs or parameters, or top_eigenvalues, which holds neither gradients nor kernel"


class EmpiricalKernel(NamedTuple):
    """The kernel of one initialisation.

    Attributes:
        kernel: Theta, shape (m, m), symmetric.
        n_parameters: Numbers in the parameters.
        n_outputs: Outputs k that the kernel is a mean over.
        samples_coupled: Whether outputs depend on other samples of the batch (batch normalisation in training mode).
            The kernel is then that of the batch as given, at m times the cost.
    """

    kernel: Array
    n_parameters: int
    n_outputs: int
    samples_coupled: bool


class KernelOverSeeds(NamedTuple):
    """Mean and spread of the kernel over initialisations; standard deviations are those of a sample (n - 1).

    Attributes:
        kernel: Mean of Theta, shape (m, m).
        deviation: Standard deviation of Theta_ab relative to the mean's sqrt(Theta_aa Theta_bb), shape (m, m).
        lambda_max: Mean of the largest eigenvalue.
        lambda_max_deviation: Its standard deviation relative to its mean.
        n_seeds: Initialisations.
        n_parameters, n_outputs, samples_coupled: As in ``EmpiricalKernel``.
    """

    kernel: Array
    deviation: Array
    lambda_max: float
    lambda_max_deviation: float
    n_seeds: int
    n_parameters: int
    n_outputs: int
    samples_coupled: bool


class TopEigenvalues(NamedTuple):
    """What products with the kernel tell of it.

    Attributes:
        eigenvalues: The largest ones of Theta, descending, shape (count,).
        trace: Estimate of the trace of Theta.
        trace_error: Standard error of that estimate.
        n_parameters, n_outputs, samples_coupled: As in ``EmpiricalKernel``.
    """

    eigenvalues: Array
    trace: float
    trace_error: float
    n_parameters: int
    n_outputs: int
    samples_coupled: bool


def empirical(
    apply_fn: ApplyFn,
    params: Params,
    x: ArrayLike,
    *,
    memory_limit: float = MEMORY_LIMIT,
    work_limit: float = WORK_LIMIT,
) -> EmpiricalKernel:
    """The neural tangent kernel of a model at given parameters; the module's docstring has the formula.

    Whether samples influence each other is found out by comparing the last output of the batch with that of its sample
    alone. A function defined once is compiled once for every shape, a lambda at every call.

    Args:
        apply_fn: Maps parameters and a batch, shape (m, ...), to real outputs, shape (m, k). It is compiled, so it
            must not change anything outside.
        params: Tree of floating-point arrays: all that is trained and nothing else (no batch statistics).
        x: Inputs, shape (m, ...); their type is the model's business, tokens are welcome.
        memory_limit: Bytes that gradients and activations may take; blocks of samples and outputs keep to it.
        work_limit: Floating-point operations that may be spent.

    Returns:
        The kernel in float64, computed in the precision of the parameters.

    Raises:
        ValueError: Before the work begins, if ``params`` or ``x`` are empty, parameters or outputs are not real
            floating-point numbers, outputs are not of shape (m, k) or not finite, or an estimate is above a limit.

    Example:
        >>> import jax.numpy as jnp
        >>> from ntk_prior import exact
        >>> x = jnp.arange(6.0).reshape(3, 2)
        >>> found = exact.empirical(lambda params, x: x @ params, jnp.ones((2, 1)), x)
        >>> found.n_parameters, bool(jnp.allclose(found.kernel, x @ x.T))
        (2, True)
    """
    model = checked(apply_fn, params, x)
    plan = _plan(model, memory_limit, work_limit)
    return EmpiricalKernel(_gram(model, plan), model.n_parameters, model.n_outputs, model.coupled)


def over_seeds(
    apply_fn: ApplyFn,
    initialisations: Iterable[Params],
    x: ArrayLike,
    *,
    memory_limit: float = MEMORY_LIMIT,
    work_limit: float = WORK_LIMIT,
) -> KernelOverSeeds:
    """Mean kernel of several initialisations and how far finite width lets them differ.

    One initialisation is held at a time if a generator makes them:

        over_seeds(apply_fn, (model.init(jax.random.key(seed), x)["params"] for seed in range(8)), x)

    Args:
        apply_fn, x, memory_limit: As for ``empirical``.
        initialisations: At least two trees of parameters.
        work_limit: Floating-point operations that may be spent on one initialisation.

    Raises:
        ValueError: As ``empirical``, and if there are fewer than two initialisations.

    Example:
        >>> import jax
        >>> from ntk_prior import exact
        >>> x = jax.random.normal(jax.random.key(0), (4, 3))
        >>> seeds = (jax.random.normal(jax.random.key(seed), (3, 2)) for seed in range(1, 6))
        >>> exact.over_seeds(lambda params, x: jax.numpy.tanh(x @ params), seeds, x).n_seeds
        5
    """
    inputs, limits = jnp.asarray(x), {"memory_limit": memory_limit, "work_limit": work_limit}
    found = [empirical(apply_fn, params, inputs, **limits) for params in initialisations]
    if len(found) < 2:
        raise ValueError(f"initialisations: expected at least 2 to tell a spread, received {len(found)}")
    kernels = np.stack([one.kernel for one in found])
    mean, deviation = kernels.mean(axis=0), kernels.std(axis=0, ddof=1)
    scale = np.sqrt(np.diagonal(mean))
    largest = np.linalg.eigvalsh(kernels)[:, -1]
    relative = float(largest.std(ddof=1) / largest.mean())
    return KernelOverSeeds(
        mean, deviation / np.outer(scale, scale), float(largest.mean()), relative, len(found), *found[0][1:]
    )


def top_eigenvalues(
    apply_fn: ApplyFn,
    params: Params,
    x: ArrayLike,
    count: int = 1,
    *,
    probes: int = 16,
    tolerance: float = 1e-4,
    seed: int = 0,
    memory_limit: float = MEMORY_LIMIT,
    work_limit: float = WORK_LIMIT,
) -> TopEigenvalues:
    """Largest eigenvalues (Lanczos) and trace (Hutchinson) of the kernel from products J (J^T v) alone.

    A product costs k forward and backward passes over the data and holds two sets of parameters and the activations of
    as many samples as ``memory_limit`` has room for.

    Args:
        apply_fn, params, x, memory_limit: As for ``empirical``.
        count: Eigenvalues wanted, at least 1 and fewer than samples.
        probes: Random signs for the trace, at least 2; the standard error falls with their root.
        tolerance: Relative accuracy of the eigenvalues; the precision of the parameters is its floor.
        seed: Of the first Lanczos vector and the probes.
        work_limit: Floating-point operations that 20 products (or 2 ``count``, if more) and the probes may take.

    Raises:
        ValueError: As ``empirical``, and if ``count`` or ``probes`` are out of range.
        scipy.sparse.linalg.ArpackNoConvergence: If the tolerance is not reached.

    Example:
        >>> import jax.numpy as jnp
        >>> from ntk_prior import exact
        >>> x = jnp.diag(jnp.array([3.0, 2.0, 1.0]))
        >>> exact.top_eigenvalues(lambda params, x: x @ params, jnp.ones((3, 1)), x, count=2).eigenvalues.round(3)
        array([9., 4.])
    """
    model = checked(apply_fn, params, x)
    m, k = len(model.x), model.n_outputs
    if not 1 <= count < m:
        raise ValueError(f"count: expected 1 to {m - 1} (fewer than the {m} samples), received {count}")
    if probes < 2:
        raise ValueError(f"probes: expected at least 2 to tell an error, received {probes}")
    work = model.forward_work * (5 * k * max(20, 2 * count) + 3 * probes)
    refuse("work_limit", "floating-point operations", work, work_limit, "fewer images, outputs, eigenvalues or probes")
    together = _samples_together(model, memory_limit)
    batches = [slice(start, start + together) for start in range(0, m, together)]

    def pulled(cotangent: Array) -> Params:
        """J^T v, shaped like the parameters."""
        parts = (_pull(apply_fn, model.params, model.x[batch], jnp.asarray(cotangent[batch])) for batch in batches)
        return reduce(_add, parts)

    def product(vector: Array) -> Array:
        """Theta v, one output after the other."""
        result = np.zeros(m)
        for output in range(k):
            tangent = pulled(np.outer(vector, np.arange(k) == output))
            for batch in batches:
                result[batch] += np.asarray(_push(apply_fn, model.params, model.x[batch], tangent))[:, output]
        return result / k

    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], (probes, m, k))
    traces = np.array([float(_squared_norm(pulled(sign))) for sign in signs]) / k
    refuse_infinite(traces)
    trace, error = float(traces.mean()), float(traces.std(ddof=1)) / math.sqrt(probes)
    if not traces.any():  # Lanczos cannot start on the zero operator
        return TopEigenvalues(np.zeros(count), trace, error, model.n_parameters, k, model.coupled)
    start = rng.standard_normal(m)
    operator = LinearOperator((m, m), matvec=product, dtype=np.float64)
    eigenvalues = eigsh(operator, count, which="LA", v0=start, tol=tolerance, return_eigenvectors=False)
    found = np.sort(eigenvalues)[::-1]
    return TopEigenvalues(found, trace, error, model.n_parameters, k, model.coupled)


@partial(jax.jit, static_argnums=0)
def _pull(apply_fn: ApplyFn, params: Params, x: jax.Array, cotangent: jax.Array) -> Params:
    """J^T v for cotangents v, shape (m, k)."""
    outputs, pull = jax.vjp(lambda params: apply_fn(params, x), params)
    return pull(cotangent.astype(outputs.dtype))[0]


@partial(jax.jit, static_argnums=0)
def _push(apply_fn: ApplyFn, params: Params, x: jax.Array, tangent: Params) -> jax.Array:
    """J u for a tangent u shaped like the parameters."""
    change: jax.Array = jax.jvp(lambda params: apply_fn(params, x), (params,), (tangent,))[1]
    return change


@jax.jit
def _squared_norm(tangent: Params) -> jax.Array:
    return reduce(jnp.add, (jnp.sum(wide(leaf) ** 2) for leaf in jax.tree.leaves(tangent)))


@jax.jit
def _add(one: Params, other: Params) -> Params:
    return jax.tree.map(jnp.add, one, other)


class _Plan(NamedTuple):
    """Samples in a block and outputs in a pass whose gradients are held at a time."""

    samples: int
    outputs: int


def _plan(model: Model, memory_limit: float, work_limit: float) -> _Plan:
    """Fewest blocks that keep to the limits.

    Outputs are split before samples: gradients of a block of samples are taken anew for every other block.
    """
    m, k = len(model.x), model.n_outputs
    one = jnp.arange(1)
    traced = features.trace(model.apply_fn, model.coupled, model.params, model.x, one, one).out_info
    held = sum(math.prod(feature.right.shape) for feature in traced)
    fixed = model.n_parameters + (2 * model.activations if model.coupled else 0)
    row = 2 * held + (0 if model.coupled else model.activations / m)
    rows = int((memory_limit / model.itemsize - fixed) // row)
    if rows < 1:
        refuse("memory_limit", "bytes", model.itemsize * (fixed + row), memory_limit, _ADVICE)
    plan = _Plan(m, _even(k, rows // m)) if rows >= m else _Plan(_even(m, rows), 1)
    passes = (math.ceil(m / plan.samples) + 1) / 2
    gradients = 3 * k * passes * model.forward_work * (m if model.coupled else 1)
    refuse("work_limit", "floating-point operations", gradients + 2.0 * m * m * k * held, work_limit, _ADVICE)
    return plan


def _even(total: int, most: int) -> int:
    """Size of the fewest equal parts of ``total`` that hold at most ``most`` each."""
    return math.ceil(total / math.ceil(total / most))


def _samples_together(model: Model, memory_limit: float) -> int:
    """Samples that pass forward and backward at a time: as many as fit, all of them if they influence each other."""
    m = len(model.x)
    fixed, sample = 4 * model.n_parameters, 2 * max(model.activations, 1.0) / m
    fit = int((memory_limit / model.itemsize - fixed) // sample)
    least = m if model.coupled else 1
    if fit < least:
        advice = "fewer images or parameters" if model.coupled else "fewer parameters"
        refuse("memory_limit", "bytes", model.itemsize * (fixed + least * sample), memory_limit, advice)
    return min(fit, m)


def _gram(model: Model, plan: _Plan) -> Array:
    """The kernel, block by block; those above the diagonal alone are computed."""
    m = len(model.x)
    kernel = np.zeros((m, m))
    starts = range(0, m, plan.samples)
    for first_output in range(0, model.n_outputs, plan.outputs):
        outputs = np.arange(first_output, first_output + plan.outputs)

        def taken(start: int, outputs: NDArray[np.int64] = outputs) -> list[Feature]:
            samples = np.arange(start, start + plan.samples)
            found: list[Feature] = features(model.apply_fn, model.coupled, model.params, model.x, samples, outputs)
            return found

        for above in starts:
            left = taken(above)
            for below in range(above, m, plan.samples):
                block = np.asarray(contract(left, left if below == above else taken(below)), dtype=np.float64)
                kernel[above : above + plan.samples, below : below + plan.samples] += block[: m - above, : m - below]
    kernel = (np.triu(kernel) + np.triu(kernel, 1).T) / model.n_outputs
    refuse_infinite(kernel)
    return kernel
