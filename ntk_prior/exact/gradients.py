"""Gradients of a model's outputs with respect to its parameters, kept as products where they are products.

A weight matrix that meets one row of activations a sample is never differentiated: its gradient is the outer product
of activation and cotangent, and an inner product of two such is the product of two small ones. Gradients of other
matrices and of convolutions are contracted from activations and cotangents, those of whatever else by JAX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from itertools import chain
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

Params = Any
ApplyFn = Callable[[Params, jax.Array], jax.Array]

HIGHEST = lax.Precision.HIGHEST


class Feature(NamedTuple):
    """Gradients with respect to one array of parameters, as a product.

    The inner product of two gradients, summed over outputs, is that of ``left`` times that of ``right``.

    Attributes:
        left: Shape (samples, p).
        right: Shape (samples, outputs, q).
    """

    left: jax.Array
    right: jax.Array


@jax.jit
def contract(one: list[Feature], other: list[Feature]) -> jax.Array:
    """Inner products of gradients summed over outputs, shape (samples, samples)."""

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        a, b = (wide(rows).reshape(len(rows), -1) for rows in (a, b))
        return jnp.matmul(a, b.T, precision=HIGHEST)

    return reduce(
        jnp.add, (product(a.left, b.left) * product(a.right, b.right) for a, b in zip(one, other, strict=True))
    )


@partial(jax.jit, static_argnums=(0, 1))
def features(
    apply_fn: ApplyFn, coupled: bool, params: Params, x: jax.Array, samples: jax.Array, outputs: jax.Array
) -> list[Feature]:
    """Gradients of the given outputs for the given samples; indices beyond the last may fill up a block."""
    if coupled:
        return _coupled_features(apply_fn, params, x, samples, outputs)
    leaves = jax.tree.leaves(params)
    nested = jax.make_jaxpr(apply_fn)(params, x[:1])
    flat = jax.make_jaxpr(lambda *args: _evaluate(nested, args, {})[0])(*leaves, x[:1])
    taps = _taps(flat.jaxpr, len(leaves))
    chosen = jnp.take(x, samples, axis=0, mode="clip")
    return jax.vmap(lambda one: _sample_features(flat, taps, leaves, one[None], outputs))(chosen)


def _coupled_features(
    apply_fn: ApplyFn, params: Params, x: jax.Array, samples: jax.Array, outputs: jax.Array
) -> list[Feature]:
    """Whole gradients, each by a pass over the batch; one after the other, since each is a batch's work."""
    values, pull = jax.vjp(lambda params: apply_fn(params, x), params)

    def gradient(index: tuple[jax.Array, jax.Array]) -> list[jax.Array]:
        return jax.tree.leaves(pull(jnp.zeros_like(values).at[index].set(1, mode="drop")))

    b, c = len(samples), len(outputs)
    rows = lax.map(gradient, (jnp.repeat(samples, c), jnp.tile(outputs, b)))
    return [Feature(jnp.ones((b, 1), row.dtype), row.reshape(b, c, -1)) for row in rows]


def _sample_features(
    program: core.ClosedJaxpr, taps: dict[int, core.JaxprEqn], leaves: list[jax.Array], x: jax.Array, outputs: jax.Array
) -> list[Feature]:
    """Gradients of one sample's outputs; the leading axis of ``Feature`` is left to vmap."""

    def values(whole: dict[int, jax.Array], added: list[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        args = [*(whole.get(index, leaf) for index, leaf in enumerate(leaves)), x]
        shifts = {eqn.outvars[0]: shift for eqn, shift in zip(taps.values(), added, strict=True)}
        (result,), env = _evaluate(program, args, shifts)
        return result[0], [env[var] for eqn in taps.values() for var in eqn.invars[:1] if isinstance(var, core.Var)]

    whole = {index: leaf for index, leaf in enumerate(leaves) if index not in taps}
    zeros = [jnp.zeros(shaped(eqn.outvars[0]).shape, shaped(eqn.outvars[0]).dtype) for eqn in taps.values()]
    result, pull, incoming = jax.vjp(values, whole, zeros, has_aux=True)
    gradients, cotangents = jax.vmap(pull)(jax.nn.one_hot(outputs, len(result), dtype=result.dtype))
    one = jnp.ones(1, result.dtype)
    features = [Feature(one, gradient.reshape(len(outputs), -1)) for gradient in gradients.values()]
    for eqn, activation, cotangent in zip(taps.values(), incoming, cotangents, strict=True):
        a, b = _SIDES[eqn.primitive.name](eqn, activation, cotangent)
        if len(a) == 1:
            features.append(Feature(a[0], b[:, 0]))
        else:
            gradient = jnp.einsum("tp,ctq->cpq", wide(a), wide(b), precision=HIGHEST)
            features.append(Feature(one, gradient.reshape(len(outputs), -1)))
    return features


def _taps(program: core.Jaxpr, n_leaves: int) -> dict[int, core.JaxprEqn]:
    """Where a parameter's only use is as the weights of a matrix product or a convolution: index to equation."""
    users: dict[core.Var, list[core.JaxprEqn]] = {}
    for eqn in program.eqns:
        for atom in eqn.invars:
            if isinstance(atom, core.Var):
                users.setdefault(atom, []).append(eqn)
    taps = {}
    for index, var in enumerate(program.invars[:n_leaves]):
        while len(users.get(var, [])) == 1 and var not in program.outvars:
            eqn = users[var][0]
            if eqn.primitive.name not in _REARRANGEMENTS:
                if _is_tap(eqn, var):
                    taps[index] = eqn
                break
            var = eqn.outvars[0]
    return taps


def _is_tap(eqn: core.JaxprEqn, weights: core.Var) -> bool:
    """Whether ``eqn`` multiplies activations by ``weights`` plainly: no batches of weights, no groups."""
    if eqn.primitive.name not in _SIDES or eqn.invars[1] is not weights or isinstance(eqn.invars[0], core.Literal):
        return False
    if eqn.primitive.name == "dot_general":
        return not eqn.params["dimension_numbers"][1][0]
    return bool(eqn.params["feature_group_count"] == eqn.params["batch_group_count"] == 1)


def _dense_sides(eqn: core.JaxprEqn, activation: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Activations (t, p) and cotangents (outputs, t, q) whose product over t is the weights' gradient."""
    axes = eqn.params["dimension_numbers"][0][0]
    rows = jnp.moveaxis(activation, axes, range(-len(axes), 0))
    rows = rows.reshape(-1, math.prod(activation.shape[axis] for axis in axes))
    return rows, cotangent.reshape(len(cotangent), len(rows), -1)


def _conv_sides(eqn: core.JaxprEqn, activation: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As ``_dense_sides``; JAX's own gradient of a convolution for each sample is several times slower."""
    settings = eqn.params
    numbers = settings["dimension_numbers"]
    window = [shaped(eqn.invars[1]).shape[axis] for axis in numbers.rhs_spec[2:]]
    names = ("window_strides", "padding", "lhs_dilation", "rhs_dilation", "dimension_numbers")
    patches = lax.conv_general_dilated_patches(activation, window, **{name: settings[name] for name in names})
    channel = numbers.out_spec[1]
    rows = jnp.moveaxis(patches, channel, -1)
    rows = rows.reshape(-1, rows.shape[-1])
    return rows, jnp.moveaxis(cotangent, channel + 1, -1).reshape(len(cotangent), len(rows), -1)


_REARRANGEMENTS = ("convert_element_type", "copy", "reshape", "squeeze", "transpose")
"""Primitives that keep inner products of gradients with respect to their operand."""

_SIDES = {"dot_general": _dense_sides, "conv_general_dilated": _conv_sides}


def _evaluate(
    program: core.ClosedJaxpr, args: Sequence[Any], shifts: Mapping[core.Var, jax.Array]
) -> tuple[list[Any], dict[core.Var, Any]]:
    """Run a program with nested calls opened and ``shifts`` added to its variables: results, and all variables."""
    jaxpr = program.jaxpr
    env = dict(zip(chain(jaxpr.constvars, jaxpr.invars), chain(program.consts, args), strict=True))

    def read(atom: core.Var | core.Literal) -> Any:
        return atom.val if isinstance(atom, core.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("jit", "pjit"):  # its name by version of JAX
            found, _ = _evaluate(eqn.params["jaxpr"], [read(atom) for atom in eqn.invars], {})
        else:
            # JAX evaluates it, since how a primitive is bound differs between versions.
            used = list(dict.fromkeys(atom for atom in eqn.invars if isinstance(atom, core.Var)))
            single = jaxpr.replace(constvars=[], invars=used, outvars=eqn.outvars, eqns=[eqn])
            found = jax.core.eval_jaxpr(single, (), *(env[var] for var in used))
        env.update(
            (var, value + shifts[var] if var in shifts else value)
            for var, value in zip(eqn.outvars, found, strict=True)
        )
    return [read(atom) for atom in jaxpr.outvars], env


def shaped(var: core.Var | core.Literal) -> Any:
    """Shape and type of a variable, which JAX declares for arrays only."""
    return var.aval


def wide(array: jax.Array) -> jax.Array:
    """At least single precision, in which sums over many parameters keep their digits."""
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))
