"""The empirical kernel is the Gram matrix of the model's Jacobian, whatever the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ntk_prior.exact.finite_width import empirical, over_seeds, top_eigenvalues

Array = NDArray[np.float64]


class Case(NamedTuple):
    apply_fn: Callable[[Any, jax.Array], jax.Array]
    params: Any
    x: jax.Array


class Mlp(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(3)(nn.tanh(nn.Dense(16)(nn.relu(nn.Dense(16)(x)))))


class NnxMlp(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(5, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.last = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.last(nnx.relu(self.norm(self.first(x))))


class Cnn(nn.Module):
    """Strides, dilation, groups, batch normalisation and weights used twice."""

    training: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.Conv(8, (3, 3), strides=2, use_bias=False)(x)
        h = nn.relu(nn.BatchNorm(use_running_average=not self.training)(h))
        h = nn.Conv(8, (3, 2), kernel_dilation=2, padding="VALID", feature_group_count=4)(h)
        h = nn.relu(nn.Conv(8, (2, 1), kernel_dilation=2, padding="CIRCULAR")(h))
        twice = nn.Conv(8, (1, 1))
        return nn.Dense(3)(jnp.mean(nn.relu(twice(nn.relu(twice(h)))), axis=(1, 2)))


class Attention(nn.Module):
    """One block of a transformer over tokens, with tied embeddings, rematerialised."""

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        embed = nn.Embed(7, 8)
        h = embed(tokens)
        h = h + nn.remat(nn.MultiHeadDotProductAttention)(num_heads=2)(nn.LayerNorm()(h))
        h = h + nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.LayerNorm()(h))))
        return embed.attend(h.mean(axis=1))


class Halves(nn.Module):
    """Weights in single precision, used in half."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.relu(nn.Dense(32, dtype=jnp.bfloat16)(x[:, None, :].repeat(3, axis=1)))
        return nn.Dense(3, dtype=jnp.bfloat16)(h.mean(axis=1))


class Transposed(nn.Module):
    """Weights that enter transposed, on the left, scaled, and not at all."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.normal(0.5)
        h = jnp.tanh(x @ self.param("transposed", init, (6, 5)).T)
        h = jnp.tanh(self.param("left", init, (4, 6)) @ h.T).T
        self.param("unused", init, (3, 3))
        return h @ (0.5 * self.param("scaled", init, (4, 2)))


class ZeroReadout(nn.Module):
    """Batch normalisation in training mode that outputs do not show, since the readout starts at zero."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.relu(nn.BatchNorm(use_running_average=False)(nn.Dense(8)(x)))
        return nn.Dense(2, kernel_init=nn.initializers.zeros)(h)


class Scanned(nn.Module):
    """Layers in one scan: their weights have no single use."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        class Layer(nn.Module):
            @nn.compact
            def __call__(self, h: jax.Array, _: None) -> tuple[jax.Array, None]:
                return nn.tanh(nn.Dense(8)(h)), None

        layers = nn.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return nn.Dense(2)(layers()(nn.Dense(8)(x), None)[0])


def normal(*shape: int, seed: int = 1) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def linen_case(model: nn.Module, x: jax.Array, seed: int = 0) -> Case:
    variables = jax.jit(model.init)(jax.random.key(seed), x)
    rest = {name: value for name, value in variables.items() if name != "params"}

    def apply_fn(params: Any, x: jax.Array) -> jax.Array:
        return model.apply({"params": params, **rest}, x, mutable=list(rest))[0]

    return Case(apply_fn, variables["params"], x)


def nnx_case(training: bool) -> Case:
    model = NnxMlp(nnx.Rngs(0))
    model.train() if training else model.eval()
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    return Case(lambda params, x: nnx.merge(graphdef, params, rest, copy=True)(x), params, normal(6, 5))


MODELS: dict[str, Callable[[], Case]] = {
    "linen MLP": lambda: linen_case(Mlp(), normal(7, 5)),
    "nnx MLP": lambda: nnx_case(training=False),
    "CNN": lambda: linen_case(Cnn(training=False), normal(4, 12, 12, 3)),
    "attention": lambda: linen_case(Attention(), jax.random.randint(jax.random.key(1), (4, 5), 0, 7)),
    "scan": lambda: linen_case(Scanned(), normal(4, 5)),
    "transposed": lambda: linen_case(Transposed(), normal(4, 5)),
    "zero readout, coupled": lambda: linen_case(ZeroReadout(), normal(4, 5)),
    "nnx MLP, coupled": lambda: nnx_case(training=True),
    "CNN, coupled": lambda: linen_case(Cnn(training=True), normal(3, 12, 12, 3)),
}
SMALL = ("linen MLP", "CNN", "nnx MLP, coupled")
"""One of each way that gradients are taken: outer products, contractions, whole batches."""


@cache
def case_of(name: str) -> Case:
    return MODELS[name]()


def explicit(case: Case) -> Array:
    """The formula, from the whole Jacobian."""
    jacobian = jax.jit(jax.jacrev(case.apply_fn))(case.params, case.x)
    rows = np.concatenate([np.reshape(leaf, (*leaf.shape[:2], -1)) for leaf in jax.tree.leaves(jacobian)], axis=2)
    rows = rows.astype(np.float64)
    return np.einsum("aop,bop->ab", rows, rows) / rows.shape[1]


def affine(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    return x @ params["w"] + params["b"]


def affine_params(inputs: int = 3, outputs: int = 2) -> dict[str, jax.Array]:
    return {"w": jnp.ones((inputs, outputs)), "b": jnp.zeros(outputs)}


def test_kernel_of_an_affine_model_is_the_gram_matrix_plus_one() -> None:
    x = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])
    found = empirical(affine, affine_params(), x)
    np.testing.assert_allclose(found.kernel, x @ x.T + 1, rtol=1e-6)
    assert found[1:] == (8, 2, False)


@pytest.mark.parametrize("name", MODELS)
def test_kernel_is_the_gram_matrix_of_the_jacobian(name: str) -> None:
    case = case_of(name)
    found, expected = empirical(*case), explicit(case)
    np.testing.assert_allclose(found.kernel, expected, rtol=1e-4, atol=1e-5 * expected.max())
    np.testing.assert_array_equal(found.kernel, found.kernel.T)
    assert found.kernel.dtype == np.float64
    assert found.samples_coupled == ("coupled" in name)
    assert found.n_parameters == sum(leaf.size for leaf in jax.tree.leaves(case.params))
    assert found.n_outputs == jax.eval_shape(*case).shape[1]


def test_half_precision_is_kept_in_the_model_and_not_in_sums() -> None:
    case = linen_case(Halves(), normal(4, 64))
    expected = explicit(case)
    np.testing.assert_allclose(empirical(*case).kernel, expected, atol=2e-2 * expected.max())
    x = normal(5, 64).astype(jnp.bfloat16)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), affine_params(64))
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(empirical(affine, params, x).kernel, exact @ exact.T + 1, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_lanczos_and_hutchinson_agree_with_the_kernel(name: str) -> None:
    case = case_of(name)
    kernel = empirical(*case).kernel
    found = top_eigenvalues(*case, 2, probes=64)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(kernel)[:-3:-1], rtol=1e-3)
    assert abs(found.trace - np.trace(kernel)) < 4 * found.trace_error < np.trace(kernel)
    assert found.samples_coupled == ("coupled" in name)


def refused_at(call: Callable[[float], Any]) -> float:
    """The memory that a task says it takes, in bytes."""
    with pytest.raises(ValueError, match=r"memory_limit: expected at most 1 bytes, received .*: raise") as refusal:
        call(1.0)
    return float(str(refusal.value).split("about ")[1].split(":")[0])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("room", [1.1, 4.0])
def test_blocks_of_samples_and_outputs_give_the_same_kernel(name: str, room: float) -> None:
    case = case_of(name)
    smallest = refused_at(lambda limit: empirical(*case, memory_limit=limit))
    whole = empirical(*case).kernel
    blocks = empirical(*case, memory_limit=room * smallest).kernel
    np.testing.assert_allclose(blocks, whole, atol=1e-5 * whole.max())


@pytest.mark.parametrize("name", ["linen MLP", "nnx MLP, coupled"])
def test_batches_give_the_same_eigenvalues(name: str) -> None:
    case = case_of(name)
    smallest = refused_at(lambda limit: top_eigenvalues(*case, memory_limit=limit))
    whole, batches = (top_eigenvalues(*case, memory_limit=limit) for limit in (1e9, 1.01 * smallest))
    np.testing.assert_allclose(batches.eigenvalues, whole.eigenvalues, rtol=1e-4)
    assert batches.trace == pytest.approx(whole.trace, rel=1e-5)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("function", [empirical, top_eigenvalues])
def test_too_much_work_is_refused(name: str, function: Callable[..., Any]) -> None:
    with pytest.raises(
        ValueError, match=r"work_limit: expected at most 1e\+03 floating-point operations, .* fewer images"
    ):
        function(*case_of(name), work_limit=1e3)


def test_work_estimate_counts_products_convolutions_and_loops() -> None:
    """A scan of 3 layers of 8 x 8 between one of 5 x 8 and one of 8 x 2, on 4 samples, once forward."""
    case = case_of("scan")
    with pytest.raises(ValueError, match="work_limit") as refusal:
        empirical(*case, work_limit=1.0)
    said = float(str(refusal.value).split("about ")[1].split(":")[0])
    forward = 2 * 4 * (5 * 8 + 3 * 8 * 8 + 8 * 2)
    assert 3 * 2 * forward < said < 10 * 2 * forward


def test_seeds_give_the_mean_and_a_spread_that_width_removes() -> None:
    x = normal(6, 5)
    spreads = []
    for width in (8, 1024):
        model = nn.Sequential([nn.Dense(width), nn.relu, nn.Dense(3)])
        init = jax.jit(model.init)
        draws = [init(jax.random.key(seed), x) for seed in range(6)]
        found = over_seeds(model.apply, iter(draws), x)
        kernels = np.stack([empirical(model.apply, params, x).kernel for params in draws])
        scale = np.sqrt(np.diagonal(kernels.mean(axis=0)))
        largest = np.linalg.eigvalsh(kernels)[:, -1]
        np.testing.assert_allclose(found.kernel, kernels.mean(axis=0))
        np.testing.assert_allclose(found.deviation * np.outer(scale, scale), kernels.std(axis=0, ddof=1))
        assert found.lambda_max == pytest.approx(largest.mean())
        assert found.lambda_max_deviation == pytest.approx(largest.std(ddof=1) / largest.mean())
        assert found.n_seeds == 6
        spreads.append((np.diagonal(found.deviation).mean(), found.lambda_max_deviation))
    assert all(wide < narrow / 2 for narrow, wide in zip(*spreads, strict=True))


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 2**31 - 1))
@settings(max_examples=20)
def test_positive_semidefinite_and_quadratic_in_the_scale_of_outputs(scale: float, seed: int) -> None:
    x, params = normal(6, 5, seed=seed), case_of("linen MLP").params
    one, other = (jnp.concatenate([x, jnp.full((6, 1), factor)], axis=1) for factor in (1.0, scale))
    kernel, scaled = (empirical(scaled_mlp, params, inputs).kernel for inputs in (one, other))
    np.testing.assert_allclose(scaled, scale**2 * kernel, atol=1e-5 * scale**2 * kernel.max())
    assert np.linalg.eigvalsh(kernel)[0] > -1e-5 * kernel.max()


def scaled_mlp(params: Any, x: jax.Array) -> jax.Array:
    """The last input multiplies the outputs, so that all examples share what is compiled."""
    return x[:, -1:] * Mlp().apply({"params": params}, x[:, :-1])


def test_a_kernel_of_zeros() -> None:
    case = Case(lambda params, x: 0 * affine(params, x), affine_params(), jnp.ones((4, 3)))
    np.testing.assert_array_equal(empirical(*case).kernel, np.zeros((4, 4)))
    found = top_eigenvalues(*case, 2)
    np.testing.assert_array_equal(found.eigenvalues, [0, 0])
    assert found.trace == found.trace_error == 0


def test_global_configuration_is_untouched_and_a_second_call_compiles_nothing() -> None:
    before = dict(jax.config.values)
    traced = []

    def counted(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        traced.append(x.shape)
        return affine(params, x)

    empirical(counted, affine_params(), np.ones((3, 3)))
    seen = len(traced)
    empirical(counted, affine_params(), np.zeros((3, 3)))
    assert len(traced) == seen
    assert dict(jax.config.values) == before


ONES = np.ones((2, 3))
BAD: dict[str, tuple[str, Callable[..., Any], Any, Any]] = {
    "no samples": ("x: expected at least one sample", affine, affine_params(), np.ones((0, 3))),
    "a number": (r"x: expected .* received shape \(\)", affine, affine_params(), 1.0),
    "no parameters": ("params: .* without any parameter", lambda p, x: x, {}, ONES),
    "complex": ("params: .* received complex64: leave", affine, {"w": jnp.ones((3, 2), complex), "b": 0.0}, ONES),
    "integers": ("params: .* received int32: leave", affine, {**affine_params(), "step": jnp.array(1)}, ONES),
    "state": ("received no single array: let apply_fn", lambda p, x: (affine(p, x), p), affine_params(), ONES),
    "no axis": (r"shape \(2, k\), received \(2,\)", lambda p, x: affine(p, x)[:, 0], affine_params(), ONES),
    "fewer rows": (r"shape \(2, k\), received \(1, 2\)", lambda p, x: affine(p, x)[:1], affine_params(), ONES),
    "classes": ("outputs, received int32", lambda p, x: affine(p, x).astype(int), affine_params(), ONES),
    "complex outputs": ("outputs, received complex64", lambda p, x: affine(p, x) * 1j, affine_params(), ONES),
    "not finite": ("infinity for sample 1", affine, affine_params(), np.array([[0, 0, 0], [0, np.nan, 0]])),
    "no slope": ("finite gradients", lambda p, x: jnp.sqrt(p["b"]) + x[:, :2], affine_params(), ONES),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("function", [empirical, top_eigenvalues])
def test_bad_input_is_refused(name: str, function: Callable[..., Any]) -> None:
    message, apply_fn, params, x = BAD[name]
    with pytest.raises(ValueError, match=message):
        function(apply_fn, params, x)


def test_bad_counts_are_refused() -> None:
    arguments = affine, affine_params(), np.ones((3, 3))
    with pytest.raises(ValueError, match=r"count: expected 1 to 2 .*received 3"):
        top_eigenvalues(*arguments, 3)
    with pytest.raises(ValueError, match=r"probes: expected at least 2.*received 1"):
        top_eigenvalues(*arguments, 1, probes=1)
    with pytest.raises(ValueError, match=r"initialisations: expected at least 2.*received 1"):
        over_seeds(affine, [affine_params()], np.ones((3, 3)))
