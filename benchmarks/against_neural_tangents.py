"""The predictor and the exact tier against neural-tangents, in one run.

    python benchmarks/against_neural_tangents.py

Four tables. One configuration's kernel of two inputs, asked for singly. A thousand configurations of one depth, against
the strongest use of neural-tangents: compiled, and vectorised over the variances. A thousand configurations of mixed
depth from the first line of a fresh process to the last score. The exact spectrum of 256 images. The predictor's rows
judge each configuration as well, neural-tangents' rows give its kernel alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import ntk_prior as ntp
from ntk_prior import exact
from ntk_prior._types import Array
from ntk_prior.exact.nt_compat import neural_tangents
from ntk_prior.theory.jit import entry
from ntk_prior.theory.layers import Layers, layers
from ntk_prior.theory.recursion import Scratch, propagate, scratch
from ntk_prior.theory.recursion import kernel as predicted_kernel

CONSOLE = Console(width=110)
DEPTHS = (5, 20, 100)
COSINE = 0.3
IMAGE = (32, 32, 3)


def timed(call: Callable[[], Any], repeats: int = 5) -> tuple[float, float]:
    """Seconds of the first call, and the fewest of some later ones."""
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return times[0], min(times[1:])


def plain_fcn(weight_std: Any, bias_std: Any, depth: int) -> Callable[..., Any]:
    """neural-tangents' own kernel function of an Erf network, as its users write it."""
    stax = neural_tangents().stax
    hidden = [layer for _ in range(depth) for layer in (stax.Dense(1, weight_std, bias_std), stax.Erf())]
    kernel_fn: Callable[..., Any] = stax.serial(*hidden, stax.Dense(1, weight_std, bias_std))[2]
    return kernel_fn


def pooled_cnn(weight_std: float, bias_std: float, depth: int) -> Callable[..., Any]:
    """The same for a pooled convolutional network with circular windows of 3 x 3."""
    stax = neural_tangents().stax
    convolution = stax.Conv(1, (3, 3), padding="CIRCULAR", W_std=weight_std, b_std=bias_std)
    hidden = [layer for _ in range(depth) for layer in (convolution, stax.Erf())]
    kernel_fn: Callable[..., Any] = stax.serial(
        *hidden, stax.GlobalAvgPool(), stax.Dense(1, W_std=weight_std, b_std=bias_std)
    )[2]
    return kernel_fn


def two_inputs() -> jax.Array:
    """Two vectors of mean square 1 at the cosine ``COSINE``."""
    return jnp.sqrt(2.0) * jnp.array([[1.0, 0.0], [COSINE, np.sqrt(1 - COSINE**2)]])


def over_variances(depth: int) -> Callable[[Any, Any], Any]:
    """The kernel of two inputs, compiled once and vectorised over both variances."""
    x = two_inputs()

    def one(weight_variance: Any, bias_variance: Any) -> Any:
        return plain_fcn(jnp.sqrt(weight_variance), jnp.sqrt(bias_variance), depth)(x, None, "ntk")

    return jax.jit(jax.vmap(one))


@entry(lambda *_: np.inf)  # compiled at once
def predicted_kernels(
    erf: Layers, rows: Array, depth: int, cosines: Array, alone: Array, nodes: Scratch, out: Array
) -> None:
    """Entries of Theta of Erf networks for as many pairs of variances: the predictor's recursion and nothing else."""
    for i in range(rows.shape[1]):
        net = Layers(
            weight_variance=rows[0, i],
            bias_variance=rows[1, i],
            depth=depth,
            code=erf.code,
            slope=erf.slope,
            table=erf.table,
            keep_rate=1.0,
            branch=-1.0,
            layer_norm=False,
            spread_per_layer=0.0,
            first=1.0,
            readout=1.0,
            bias=rows[1, i],
        )
        out[0, i], out[1, i], out[2, i], _ = propagate(net, cosines, 1, alone, alone, nodes)
        out[3, i] = nodes.gaps[0]


def columns_of(n: int, depth: int | None, seed: int = 0) -> dict[str, np.ndarray]:
    """Configurations of one depth, or of any from 1 to 64."""
    rng = np.random.default_rng(seed)
    depths = rng.integers(1, 65, n) if depth is None else np.full(n, depth)
    return {"weight_variance": rng.uniform(0.5, 4, n), "bias_variance": rng.uniform(0, 0.5, n), "depth": depths}


def single(table: Table, image_depths: list[int]) -> None:
    """One configuration, two inputs."""
    x, cosine = two_inputs(), np.array([COSINE])
    for depth in DEPTHS:
        architecture = ntp.Architecture(1.5, 0.1, depth)
        _, ours = timed(lambda architecture=architecture: predicted_kernel(architecture, cosine), 200)
        add(table, f"FCN, depth {depth}", "the predictor", None, ours, ours)
        function = plain_fcn(1.5**0.5, 0.1**0.5, depth)
        compiled = jax.jit(function, static_argnums=2)
        add(table, "", "kernel_fn", *timed(lambda function=function: function(x, None, "ntk"), 3), ours)
        add(table, "", "jit(kernel_fn)", *timed(lambda compiled=compiled: compiled(x, None, "ntk"), 50), ours)
        table.add_section()
    task, images = ntp.Task.cifar10(), jax.random.normal(jax.random.key(0), (2, *IMAGE))
    budget = ntp.Budget(1000)
    for depth in image_depths:
        architecture = ntp.Architecture(1.5, 0.1, depth, kind="cnn", pooling=True)
        _, ours = timed(lambda architecture=architecture: ntp.feasibility(architecture, task, budget), 200)
        add(table, f"pooled CNN, depth {depth}", "the predictor", None, ours, ours)
        columns = {**columns_of(1000, depth), "kind": np.full(1000, "cnn"), "pooling": np.full(1000, True)}
        prior = ntp.NTKPrior(task, budget)
        _, many = timed(lambda columns=columns, prior=prior: prior.score_many(columns), 3)
        add(table, "", "the predictor, one of 1,000", None, many / 1000, many / 1000)
        compiled = jax.jit(pooled_cnn(1.5**0.5, 0.1**0.5, depth), static_argnums=2)
        cold, warm = timed(lambda compiled=compiled: compiled(images, None, "ntk"), 1)
        add(table, "", "jit(kernel_fn)", cold, warm, many / 1000)
        table.add_section()


def many(table: Table, n: int) -> None:
    """Many configurations of one depth, two inputs: per configuration."""
    prior = ntp.NTKPrior(ntp.Task.equicorrelated(2, COSINE, n_classes=2), ntp.Budget(1000))
    erf, cosine, alone = layers(ntp.Architecture(1.0, 0.0, 1)), np.array([COSINE]), np.ones(1)
    nodes, out = scratch(1), np.empty((4, n))
    for depth in DEPTHS:
        columns = columns_of(n, depth)
        rows = np.array([columns["weight_variance"], columns["bias_variance"]])
        _, ours = (
            seconds / n
            for seconds in timed(lambda r=rows, d=depth: predicted_kernels(erf, r, d, cosine, alone, nodes, out), 20)
        )
        add(table, f"FCN, depth {depth}", "the predictor's recursion", None, ours, ours)
        _, scored = (seconds / n for seconds in timed(lambda columns=columns: prior.score_many(columns), 20))
        add(table, "", "score_many: verdicts", None, scored, ours)
        variances = jnp.asarray(columns["weight_variance"]), jnp.asarray(columns["bias_variance"])
        compiled = over_variances(depth)
        with jax.enable_x64(False):
            cold, warm = (seconds / n for seconds in timed(lambda compiled=compiled, v=variances: compiled(*v), 20))
        add(table, "", "jit(vmap(kernel_fn)), float32", cold, warm, ours)
        with jax.enable_x64(True):
            doubles = tuple(jnp.asarray(np.asarray(v), jnp.float64) for v in variances)
            compiled = over_variances(depth)
            cold, warm = (seconds / n for seconds in timed(lambda compiled=compiled, v=doubles: compiled(*v), 20))
        add(table, "", "jit(vmap(kernel_fn)), float64", cold, warm, ours)
        table.add_section()


MIXED = """
import sys, time
sys.path.insert(0, {folder!r})
start = time.perf_counter()
from against_neural_tangents import {function} as score
imported = time.perf_counter()
score({n})
print(imported - start, time.perf_counter() - imported)
"""


def mixed_by_the_predictor(n: int) -> None:
    """Judge configurations of mixed depth."""
    prior = ntp.NTKPrior(ntp.Task.equicorrelated(2, COSINE, n_classes=2), ntp.Budget(1000))
    prior.score_many(columns_of(n, None))


def mixed_by_neural_tangents(n: int) -> None:
    """Kernels of configurations of mixed depth, those of one depth together."""
    columns = columns_of(n, None)
    for depth in np.unique(columns["depth"]):
        mine = columns["depth"] == depth
        jax.block_until_ready(
            over_variances(int(depth))(columns["weight_variance"][mine], columns["bias_variance"][mine])
        )


def end_to_end(table: Table, n: int) -> None:
    """Mixed depths in fresh processes; the predictor's first one on a machine compiles."""
    with tempfile.TemporaryDirectory() as cache:
        first, later = (fresh("mixed_by_the_predictor", n, NUMBA_CACHE_DIR=cache) for _ in range(2))
    peer = fresh("mixed_by_neural_tangents", n)
    table.add_row("the predictor, first time on a machine", f"{first:.2f}", f"{peer / first:.1f}")
    table.add_row("the predictor, from then on", f"{later:.3f}", f"{peer / later:.1f}")
    table.add_row("jit(vmap(kernel_fn)), depth by depth", f"{peer:.1f}", "1.0")


def fresh(function: str, n: int, **environment: str) -> float:
    """Seconds that a function takes in a new process, without the imports."""
    code = MIXED.format(folder=str(Path(__file__).resolve().parent), function=function, n=n)
    run = [sys.executable, "-c", code]
    out = subprocess.run(run, check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout
    return float(out.split()[1])


def exact_spectrum(table: Table, depth: int = 20) -> None:
    """Kernel and spectrum of 256 inputs of 3,072 numbers."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(256, 3072)), np.arange(256) % 10
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    architecture = ntp.Architecture(1.5, 0.1, depth)
    cold, ours = timed(lambda: exact.spectrum(architecture, x, y).lambda_max)
    add(table, "exact.spectrum, float64", "kernel, eigenvalues, labels", cold, ours, ours)
    add(table, "exact.kernel, float64", "kernel", *timed(lambda: exact.kernel(architecture, x).ntk), ours)
    for name, on in (("float64", True), ("float32", False)):
        with jax.enable_x64(on):
            inputs = jnp.asarray(x)
            function = plain_fcn(1.5**0.5, 0.1**0.5, depth)
            compiled = jax.jit(function, static_argnums=2)
            peer = timed(lambda function=function, inputs=inputs: function(inputs, None, "ntk"))
            add(table, f"kernel_fn, {name}", "kernel", *peer, ours)
            peer = timed(lambda compiled=compiled, inputs=inputs: compiled(inputs, None, "ntk"))
            add(table, f"jit(kernel_fn), {name}", "kernel", *peer, ours)


def add(table: Table, what: str, how: str, cold: float | None, warm: float, ours: float) -> None:
    """One row; times in milliseconds."""
    first = "" if cold is None else f"{1e3 * cold:,.3g}"
    table.add_row(what, how, first, f"{1e3 * warm:,.3g}", f"{warm / ours:,.3g}")


def table_of(title: str, *headings: str) -> Table:
    """A table whose numbers stand to the right."""
    table = Table(title=title, title_justify="left")
    numbers = ("first call, ms", "later, ms", "times ours", "s", "times faster")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=1000)
    parser.add_argument("--image-depths", type=int, nargs="*", default=[5, 20])
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # what neural-tangents assumes of sums: it holds
    versions = f"JAX {jax.__version__}, neural-tangents {neural_tangents().__version__}, {os.cpu_count()} cores"
    columns = ("network", "by", "first call, ms", "later, ms", "times ours")
    table = table_of(f"Two inputs, one configuration at a time ({versions})", *columns)
    single(table, options.image_depths)
    CONSOLE.print(table)
    n = options.configurations
    table = table_of(f"Two inputs, {n:,} configurations together, for each of them", *columns)
    many(table, n)
    CONSOLE.print(table)
    table = table_of(f"{n:,} FCN configurations of depth 1 to 64, compilation included", "by", "s", "times faster")
    end_to_end(table, n)
    CONSOLE.print(table)
    table = table_of("256 inputs, FCN of depth 20", *columns)
    exact_spectrum(table)
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
