"""Speed of the predictor against a plain vectorised NumPy recursion over the same nodes, in one run.

    python benchmarks/score_many.py

Prints configurations per second and their ratio, the cost of one call, the floor that the special functions set, the
time from import to the first score and to the first column of them, and the memory that ten million configurations
take.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ntk_prior import Budget, NTKPrior, Task

Array = NDArray[np.float64]
DEPTH = 64


def plain_recursion(weight_variance: Array, bias_variance: Array, depth: Array, cosines: Array) -> Array:
    """Theta of Erf networks at their own depth, all rows carried to depth 64: shape (rows, 1 + nodes)."""
    w, b = weight_variance[:, None], bias_variance[:, None]
    c = np.concatenate([[1.0], cosines])
    k = w * c + b
    theta = k.copy()
    result = np.empty_like(theta)
    for layer in range(1, DEPTH + 1):
        norm = 1 + 2 * k[:, :1]
        theta *= w * 4 / np.pi / np.sqrt(norm**2 - 4 * k**2)
        k = w * 2 / np.pi * np.arcsin(2 * k / norm) + b
        theta += k
        mine = depth == layer
        result[mine] = theta[mine]
    return result


def best(call: Callable[[], object], repeats: int) -> float:
    """Shortest time of several, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=10_000_000, help="rows of the memory measurement")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    n, rng, task = options.rows, np.random.default_rng(0), Task.cifar10(10_000)
    prior = NTKPrior(task, Budget(1000, width=512))
    columns = {
        "weight_variance": rng.uniform(0.5, 4, n),
        "bias_variance": rng.uniform(0, 0.5, n),
        "depth": rng.integers(1, DEPTH + 1, n),
        "learning_rate": 10 ** rng.uniform(-3, 1, n),
    }
    cosines = task.views["fcn"].cosines
    rows = [columns[name] for name in ("weight_variance", "bias_variance", "depth")]
    peer = n / best(lambda: plain_recursion(*rows, cosines), options.repeats)
    blocks = [tuple(row[start : start + 4096] for row in rows) for start in range(0, n, 4096)]
    blocked = n / best(lambda: [plain_recursion(*block, cosines) for block in blocks], options.repeats)
    table = Table(title=f"{n:,} configurations, depth 1 to {DEPTH}, {len(cosines)} nodes")
    for heading in ("what", "configurations/s", "ratio to NumPy"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row("NumPy recursion, erf, no scores", f"{peer:,.0f}", "1.0")
    table.add_row("  the same in blocks that fit the cache", f"{blocked:,.0f}", f"{blocked / peer:.1f}")
    for activation in ("erf", "relu", "tanh", "gelu"):
        named = {**columns, "activation": np.full(n, activation)}
        prior.score_many({name: column[:10] for name, column in named.items()})
        rate = n / best(lambda named=named: prior.score_many(named), options.repeats)
        table.add_row(f"score_many, {activation}", f"{rate:,.0f}", f"{rate / peer:.1f}")
    for depth in (DEPTH, 1000, 10_000):
        deep = {**columns, "depth": np.full(n, depth)}
        rate = n / best(lambda deep=deep: prior.score_many(deep), 2)
        table.add_row(f"score_many, erf, all of depth {depth:,}", f"{rate:,.0f}", f"{rate / peer:.1f}")
    usual = NTKPrior(
        task,
        Budget(1000, 1e-3, "adam", batch_size=128, width=512, parametrization="standard", loss="cross_entropy"),
    )
    shallow = {**columns, "depth": rng.integers(1, 9, n), "learning_rate": 10 ** rng.uniform(-5, 0, n)}
    usual.score_many({name: column[:10] for name, column in shallow.items()})
    rate = n / best(lambda: usual.score_many(shallow), 3)
    table.add_row("score_many, Adam in mini-batches", f"{rate:,.0f}", f"{rate / peer:.1f}")
    Console().print(table)
    one = {"weight_variance": 1.5, "bias_variance": 0.1, "depth": 32, "learning_rate": 0.1}
    calls = [best(lambda: prior(one), 1) for _ in range(1000)]
    practice = [best(lambda: usual({**one, "learning_rate": 1e-3, "depth": 4}), 1) for _ in range(1000)]
    angle = np.arcsin(rng.uniform(-1, 1, 1_000_000))
    floor = best(lambda: np.arcsin(np.sin(angle)), 3) / 2e6
    print(f"prior(config): {1e3 * float(np.median(calls)):.3f} ms median of {len(calls)} calls, ", end="")
    print(f"Adam in mini-batches {1e3 * float(np.median(practice)):.3f} ms")
    print(f"floor: one special function a node and layer, {1e9 * floor:.1f} ns each by NumPy: ", end="")
    print(f"{1 / (floor * len(cosines) * columns['depth'].mean()):,.0f} configurations/s on one core")
    one_score = min(float(_child(FIRST_SCORE)) for _ in range(3))
    first, later = cold_starts()
    print(f"import to first score: {one_score:.1f} s (interpreted)")
    print(f"import to first column: {first:.1f} s the first time on a machine (it compiles), then {later:.1f} s")
    print(f"{options.many:,} configurations: {memory(options.many):.2f} GB beyond the columns that come and go")


def cold_starts() -> tuple[float, float]:
    """Seconds from import to the first column of scores, without and with compiled code on disk."""
    with tempfile.TemporaryDirectory() as cache:
        first, *later = (float(_child(FIRST_COLUMN, NUMBA_CACHE_DIR=cache)) for _ in range(4))
    return first, min(later)


def memory(rows: int) -> float:
    """Peak memory in GB while ``rows`` configurations are scored, beyond that of the columns in and out."""
    return float(_child(MEMORY.format(rows=rows))) / 1e9


FIRST_SCORE = """
import time
start = time.perf_counter()
from ntk_prior import Budget, NTKPrior, Task
NTKPrior(Task.cifar10(10_000), Budget(1000))({"weight_variance": 1.5, "bias_variance": 0.1, "depth": 32})
print(time.perf_counter() - start)
"""

FIRST_COLUMN = """
import time
start = time.perf_counter()
import numpy as np
from ntk_prior import Budget, NTKPrior, Task
columns = {"weight_variance": np.linspace(0.5, 4, 5000), "bias_variance": np.full(5000, 0.1)}
columns["depth"] = np.full(5000, 32)
NTKPrior(Task.cifar10(10_000), Budget(1000)).score_many(columns)
print(time.perf_counter() - start)
"""

MEMORY = """
import resource
import numpy as np
from ntk_prior import Budget, NTKPrior, Task
prior = NTKPrior(Task.cifar10(10_000), Budget(1000))
columns = {{"weight_variance": np.linspace(0.5, 4, {rows}), "bias_variance": np.full({rows}, 0.1)}}
columns["depth"] = np.full({rows}, 4)
prior.score_many({{name: column[:10] for name, column in columns.items()}})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table = prior.score_many(columns)
spent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(1024 * spent - sum(getattr(column, "nbytes", 0) for column in table))
"""


def _child(code: str, **environment: str) -> str:
    run = [sys.executable, "-c", code]
    return subprocess.run(run, check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout


if __name__ == "__main__":
    main()
