"""Exact kernels of infinitely wide networks, in blocks that fit in memory, after an estimate of what they cost."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike

from ntk_prior._types import Array
from ntk_prior.architecture import Architecture
from ntk_prior.exact.nt_network import NODES, by_quadrature, network

MEMORY_LIMIT = 8 * 2**30
"""Bytes that a computation may need unless the caller allows more."""

SECONDS_LIMIT = 3600.0
"""Estimated seconds that a computation may take unless the caller allows more."""

BLOCK_MEMORY = 2**29
"""Bytes of one block's arrays, about: larger blocks gain nothing."""

COPIES = 16
"""Arrays as large as one kernel that a layer holds at a time, about."""

ENTRIES_PER_SECOND = 1e7
"""Kernel entries that one core carries through one layer in a second, about."""

COMPILING = 1.0
"""Seconds of compilation for each shape of block, about."""


class Kernels(NamedTuple):
    """Kernels of an infinitely wide network.

    Attributes:
        nngp: Covariance of its outputs at initialisation, shape (n1, n2).
        ntk: Neural tangent kernel, NTK parametrization, shape (n1, n2).
    """

    nngp: Array
    ntk: Array


class Cost(NamedTuple):
    """What a computation needs, estimated.

    Attributes:
        bytes: Peak memory.
        seconds: On this machine's cores; right within a factor of about three.
        block: Inputs along each side of a block.
    """

    bytes: int
    seconds: float
    block: int


def kernel(
    architecture: Architecture,
    x1: ArrayLike,
    x2: ArrayLike | None = None,
    *,
    memory_limit: int = MEMORY_LIMIT,
    seconds_limit: float = SECONDS_LIMIT,
) -> Kernels:
    """NNGP and NTK of an architecture at infinite width, in float64, by neural-tangents.

    Deep in chaos its rounding errors on the diagonal grow like chi_1^depth: of an Erf network with weight variance 4
    and bias variance 0.18 the kernel is wrong from depth 80 on, where the predictor still is right.

    Args:
        architecture: The network.
        x1: Inputs, shape (n1, features) or (n1, height, width, channels), each scaled here to |x|^2 / n_0 = 1.
        x2: Other inputs, shape (n2, ...); ``x1`` itself by default.
        memory_limit: Bytes that may be needed.
        seconds_limit: Seconds that it may take, estimated.

    Raises:
        ImportError: If neural-tangents cannot be used.
        ValueError: If inputs do not fit the architecture or each other, neural-tangents has no kernel for the
            architecture, or the estimate exceeds a limit; nothing has been computed then.

    Example:
        >>> import numpy as np
        >>> import ntk_prior as ntp
        >>> from ntk_prior import exact
        >>> x = np.random.default_rng(0).normal(size=(4, 6))
        >>> exact.kernel(ntp.Architecture(1.5, 0.1, 3), x).ntk.shape
        (4, 4)
    """
    first = normalised(x1, architecture.kind, "x1")
    second = None if x2 is None else normalised(x2, architecture.kind, "x2")
    if second is not None and second.shape[1:] != first.shape[1:]:
        raise ValueError(f"x2: expected inputs of shape {first.shape[1:]} like x1, received {second.shape[1:]}")
    needs = cost(architecture, first.shape, None if second is None else len(second))
    require_affordable(needs, architecture, first.shape, memory_limit, seconds_limit)
    kernel_fn = _compiled(architecture)
    shape = (len(first), len(first if second is None else second))
    found = Kernels(np.empty(shape), np.empty(shape))
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what neural-tangents assumes of sums and quadrature: it holds
        for rows, columns in _blocks(*shape, needs.block, symmetric=second is None):
            other = None if second is None and rows == columns else (first if second is None else second)[columns]
            block = kernel_fn(first[rows], other, get=("nngp", "ntk"))
            for whole, part in zip(found, block, strict=True):
                whole[rows, columns] = part
                if second is None:
                    whole[columns, rows] = np.asarray(part).T
    return found


@lru_cache(maxsize=64)
def _compiled(architecture: Architecture) -> Callable[..., Any]:
    return jax.jit(network(architecture)[2], static_argnames="get")


def cost(architecture: Architecture, shape: tuple[int, ...], n2: int | None = None) -> Cost:
    """What ``kernel`` needs for inputs of a shape, estimated before anything is computed.

    Args:
        architecture: The network.
        shape: Of ``x1``, (n1, features) or (n1, height, width, channels).
        n2: Number of other inputs, or None for ``x1`` itself.

    Example:
        >>> import ntk_prior as ntp
        >>> from ntk_prior import exact
        >>> pooled = ntp.Architecture(1.5, 0.1, 8, kind="cnn", pooling=True)
        >>> f"{exact.cost(pooled, (64, 16, 16, 3)).bytes / 1e9:.1f} GB"
        '0.5 GB'
    """
    n1, other = shape[0], shape[0] if n2 is None else n2
    pixels = math.prod(shape[1:3]) if architecture.kind == "cnn" else 1
    # A pooled network needs every pair of pixels of two images, a flattened one equal pixels only.
    entries = pixels**2 if architecture.pooling else pixels
    nodes = NODES**2 if by_quadrature(architecture) else 1
    # Quadrature holds its nodes three times; a node costs a fraction of a closed form.
    copies, work = (COPIES, 1.0) if nodes == 1 else (3 * nodes, nodes / 8)
    block = min(max(math.isqrt(BLOCK_MEMORY // (8 * copies * entries)), 1), max(n1, other))
    blocks = list(_blocks(n1, other, block, symmetric=n2 is None))
    pairs = sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in blocks)
    rate = ENTRIES_PER_SECOND * (os.cpu_count() or 1)
    seconds = pairs * entries * work * architecture.depth / rate + COMPILING * min(len(blocks), 4)
    stored = 8 * (2 * n1 * other + math.prod(shape[1:]) * (n1 + other))
    held = min(block, n1) * min(block, other)
    return Cost(stored + 8 * copies * entries * held, seconds, block)


def require_affordable(
    needs: Cost, architecture: Architecture, shape: tuple[int, ...], memory_limit: int, seconds_limit: float
) -> None:
    """Refuse what would exceed a limit, and say what to reduce.

    Raises:
        ValueError: If it would.
    """
    advice = f"take fewer than {shape[0]} inputs"
    if architecture.kind == "cnn":
        advice += f", or images smaller than {shape[1]} x {shape[2]} (pooled networks: 16 times less at half the side)"
    if needs.bytes > memory_limit:
        raise ValueError(
            f"memory_limit: expected at least {needs.bytes / 2**30:.2g} GiB, received {memory_limit / 2**30:.2g} GiB: "
            f"{advice}, or raise it"
        )
    if needs.seconds > seconds_limit:
        raise ValueError(
            f"seconds_limit: expected at least {needs.seconds:.0f} s, received {seconds_limit:.0f} s: "
            f"{advice}, or raise it"
        )


def normalised(x: ArrayLike, kind: str, name: str) -> Array:
    """Inputs scaled to |x|^2 / n_0 = 1, flat for fully connected networks.

    Raises:
        ValueError: If they are no inputs of such a network, not finite, or zero.
    """
    inputs = np.asarray(x, dtype=np.float64)
    if kind == "cnn" and inputs.ndim != 4:
        raise ValueError(f"{name}: expected shape (n, height, width, channels) for kind='cnn', received {inputs.shape}")
    if inputs.ndim not in (2, 4) or inputs.size == 0:
        raise ValueError(
            f"{name}: expected shape (n, features) or (n, height, width, channels), received {inputs.shape}"
        )
    if not np.all(np.isfinite(inputs)):
        raise ValueError(f"{name}: expected finite numbers, received NaN or infinity")
    flat = inputs.reshape(len(inputs), -1)
    norms = np.sqrt(np.mean(flat**2, axis=1, keepdims=True))
    if not np.all(norms > 0):
        raise ValueError(f"{name}: expected inputs other than zero, received {int(np.sum(norms == 0))} zero inputs")
    scaled = flat / norms
    return np.asarray(scaled.reshape(inputs.shape)) if kind == "cnn" else scaled


def _blocks(n1: int, n2: int, size: int, *, symmetric: bool) -> Iterator[tuple[Any, Any]]:
    """Pairs of slices that cover a matrix; of a symmetric one its upper half."""
    for start in range(0, n1, size):
        for other in range(start if symmetric else 0, n2, size):
            yield slice(start, min(start + size, n1)), slice(other, min(other + size, n2))
