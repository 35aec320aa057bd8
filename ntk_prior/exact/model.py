"""A model whose arguments are sound, and what it costs to run and to differentiate."""

from __future__ import annotations

import math
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from numpy.typing import ArrayLike

from ntk_prior._types import Array
from ntk_prior.exact.gradients import ApplyFn, Params, shaped


class Model(NamedTuple):
    """A model whose arguments are sound, and what one pass over the batch takes.

    ``activations`` counts intermediate numbers and ``forward_work`` floating-point operations, both of the whole batch.
    """

    apply_fn: ApplyFn
    params: Params
    x: jax.Array
    n_outputs: int
    n_parameters: int
    coupled: bool
    activations: float
    forward_work: float

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return max(int(leaf.dtype.itemsize) for leaf in jax.tree.leaves(self.params))


def checked(apply_fn: ApplyFn, params: Params, x: ArrayLike) -> Model:
    """The model, after all checks of arguments."""
    x, params = jnp.asarray(x), jax.tree.map(jnp.asarray, params)
    leaves = jax.tree.leaves(params)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"x: expected at least one sample, shape (m, ...), received shape {x.shape}")
    if sum(leaf.size for leaf in leaves) == 0:
        raise ValueError("params: expected a tree of floating-point arrays, received one without any parameter")
    wrong = sorted({str(leaf.dtype) for leaf in leaves if not jnp.issubdtype(leaf.dtype, jnp.floating)})
    if wrong:
        advice = "leave in params what is trained and let apply_fn hold the rest"
        raise ValueError(f"params: expected real floating-point arrays, received {', '.join(wrong)}: {advice}")
    traced = _forward.trace(apply_fn, params, x)
    out: Any = traced.out_info
    shape = getattr(out, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != len(x) or shape[1] == 0:
        received = "no single array" if shape is None else shape
        advice = "let apply_fn return one row of outputs a sample"
        raise ValueError(f"apply_fn: expected outputs of shape ({len(x)}, k), received {received}: {advice}")
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"apply_fn: expected real floating-point outputs, received {out.dtype}")
    finite, dependence = _probe(apply_fn, params, x)
    if not np.all(finite):
        received = f"NaN or infinity for sample {np.argmin(finite)}"
        raise ValueError(f"apply_fn: expected finite outputs, received {received}: check inputs and initialisation")
    # Rounding differs between batch sizes. NaN counts as coupled, which is right for every model but takes longer.
    coupled = not float(dependence) <= float(np.sqrt(np.spacing(np.ones((), out.dtype))))
    n_parameters = sum(leaf.size for leaf in leaves)
    return Model(apply_fn, params, x, shape[1], n_parameters, coupled, *program_cost(traced.jaxpr.jaxpr))


@partial(jax.jit, static_argnums=0)
def _forward(apply_fn: ApplyFn, params: Params, x: jax.Array) -> jax.Array:
    return apply_fn(params, x)


@partial(jax.jit, static_argnums=0)
def _probe(apply_fn: ApplyFn, params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which samples' outputs are finite, and how far the last one's depend on the company it is in.

    The dependence is relative to the largest output. Parameters are moved a little for it, lest a readout that is
    initialised to zero hide it.
    """
    moved = jax.tree.map(lambda leaf: leaf + 0.01 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params)
    moved = jax.tree.map(lambda leaf, original: leaf.astype(original.dtype), moved, params)
    with jax.default_matmul_precision("highest"):  # short formats of accelerators would look like a dependence
        together, alone = apply_fn(moved, x), apply_fn(moved, x[-1:])
    dependence = jnp.max(jnp.abs(together[-1] - alone[0])) / jnp.max(jnp.abs(together))
    return jnp.all(jnp.isfinite(apply_fn(params, x)), axis=1), dependence


def program_cost(jaxpr: core.Jaxpr) -> tuple[float, float]:
    """Numbers that a program computes, and floating-point operations that it takes."""
    numbers = work = 0.0
    for eqn in jaxpr.eqns:
        size = float(sum(shaped(var).size for var in eqn.outvars))
        values = chain.from_iterable(v if isinstance(v, (tuple, list)) else (v,) for v in eqn.params.values())
        programs = [getattr(value, "jaxpr", value) for value in values]
        inner = [program_cost(program) for program in programs if hasattr(program, "eqns")]
        length = float(eqn.params.get("length", 1))
        numbers += size + length * sum(cost[0] for cost in inner)
        work += length * sum(cost[1] for cost in inner) if inner else size * _terms(eqn)
    return numbers, work


def _terms(eqn: core.JaxprEqn) -> float:
    """Floating-point operations for each number that comes out."""
    shapes = [shaped(var).shape for var in eqn.invars]
    if eqn.primitive.name == "dot_general":
        return 2.0 * float(math.prod(shapes[0][axis] for axis in eqn.params["dimension_numbers"][0][0]))
    if eqn.primitive.name == "conv_general_dilated":
        return 2.0 * float(math.prod(shapes[1]) / shapes[1][eqn.params["dimension_numbers"].rhs_spec[0]])
    return 1.0


def refuse(limit: str, unit: str, received: float, allowed: float, advice: str) -> None:
    """Raise if an estimate is above its limit."""
    if received > allowed:
        raise ValueError(
            f"{limit}: expected at most {allowed:.3g} {unit}, received a task of about {received:.3g}: "
            f"raise {limit}, or take {advice}"
        )


def refuse_infinite(products: Array) -> None:
    """Raise if an inner product of gradients is not finite."""
    if not np.all(np.isfinite(products)):
        advice = "look for roots and norms at 0, or initialise at a smaller scale"
        raise ValueError(f"params: expected finite gradients of the outputs, received NaN or infinity: {advice}")
