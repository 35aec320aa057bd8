"""Finite-width neural tangent kernels: ours against neural-tangents' three implementations, in one run.

    python benchmarks/empirical_ntk.py

Prints seconds of the first call (with compilation) and of the fastest later one (ours with its checks of arguments),
how many times ours that is, and the largest difference between the kernels relative to the largest entry. An
implementation that the installed JAX is too new for says so in its row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ntk_prior.exact.finite_width import empirical
from ntk_prior.exact.nt_compat import neural_tangents

Array = NDArray[np.float64]

IMPLEMENTATIONS = ("JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS", "STRUCTURED_DERIVATIVES")
OUTPUTS = 10


class Mlp(nn.Module):
    """Three hidden layers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map vectors (n, features) to outputs (n, k)."""
        for _ in range(3):
            x = nn.relu(nn.Dense(256)(x))
        return nn.Dense(OUTPUTS)(x)


class Cnn(nn.Module):
    """Three convolutions, pooling, and a readout."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images (n, height, width, channels) to outputs (n, k)."""
        for strides in (1, 2, 2):
            x = nn.relu(nn.Conv(16, (3, 3), strides)(x))
        return nn.Dense(OUTPUTS)(x.mean(axis=(1, 2)))


MODELS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "MLP, 3 x 256": (Mlp(), (256,)),
    "CNN, 3 x 16, 8 x 8": (Cnn(), (8, 8, 3)),
}


def timed(call: Callable[[], Array], repeats: int) -> tuple[float, float, Array]:
    """Seconds of the first call, the fewest of later ones, and the kernel."""
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        kernel = call()
        times.append(time.perf_counter() - start)
    return times[0], min(times[1:]), kernel


def peer(model: nn.Module, params: Any, x: jax.Array, implementation: str) -> Callable[[], Array]:
    """A compiled kernel function of neural-tangents, told that samples do not influence each other."""
    nt = neural_tangents()
    kernel = nt.empirical_ntk_fn(
        lambda params, x: model.apply(params, x),
        trace_axes=(-1,),
        vmap_axes=0,
        implementation=nt.NtkImplementation[implementation],
    )
    compiled = jax.jit(lambda x, params: kernel(x, None, params))
    return lambda: np.asarray(compiled(x, params), dtype=np.float64)


def compare(table: Table, name: str, samples: int, repeats: int) -> None:
    """Add one block of rows."""
    model, shape = MODELS[name]
    x = jax.random.normal(jax.random.key(1), (samples, *shape))
    params = jax.jit(model.init)(jax.random.key(0), x)
    cold, ours, kernel = timed(lambda: empirical(model.apply, params, x).kernel, repeats)
    table.add_row(f"{name}, m = {samples}", "ntk-prior", f"{cold:.2f}", f"{ours:.3f}", "1.0", "")
    for implementation in IMPLEMENTATIONS:
        try:
            cold, warm, other = timed(peer(model, params, x, implementation), repeats)
        except (AttributeError, KeyError, NotImplementedError, TypeError) as error:
            table.add_row("", implementation, "", "", "", f"does not run: {type(error).__name__}")
            continue
        except jax.errors.JaxRuntimeError:
            table.add_row("", implementation, "", "", "", "out of memory")
            continue
        difference = np.abs(other - kernel).max() / kernel.max()
        table.add_row("", implementation, f"{cold:.2f}", f"{warm:.3f}", f"{warm / ours:.1f}", f"{difference:.0e}")
    table.add_section()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    table = Table(title=f"Neural tangent kernel, {OUTPUTS} outputs, JAX {jax.__version__}, {jax.default_backend()}")
    for heading in ("model", "implementation", "first call, s", "later, s", "times ours", "difference"):
        table.add_column(heading, justify="left" if heading in ("model", "implementation") else "right")
    for name in MODELS:
        for samples in options.samples:
            compare(table, name, samples, options.repeats)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
