"""How loops over layers, nodes and configurations are compiled: once per machine, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any

from numba import njit

# Without numba's run time ("_nrt") nothing can be allocated, so callers pass scratch arrays; in return no thread counts
# references, which would cost more than a whole configuration's layers.
_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
_EXACT = {"contract", "nsz"}
"""Fused multiply-adds are allowed; reassociation, which would undo the care about cancellation, is not."""
_SUMMING = {*_EXACT, "reassoc", "nnan"}
"""Where many terms are added up and their order does not matter, sums become vector instructions."""

entry = njit(fastmath=_EXACT, **_OPTIONS)
entry_summing = njit(fastmath=_SUMMING, **_OPTIONS)
"""For functions that Python calls."""

_INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True}
inlined = njit(inline="always")
"""For formulas inside a loop over nodes or groups, which then becomes vector instructions."""

inner = njit(fastmath=_EXACT, **_INNER)
inner_summing = njit(fastmath=_SUMMING, **_INNER)
"""For functions that only compiled code calls: compiling the way in from Python would take as long as the function."""

_CHUNK = 4096
"""Rows that a thread takes at a time."""


def on_all_cores(work: Callable[[slice], None], n: int) -> None:
    """Call compiled ``work`` for parts of ``n`` rows that cover them, on all cores if there are several."""
    spans = [slice(start, start + _CHUNK) for start in range(0, n, _CHUNK)]
    if len(spans) < 2:
        for span in spans:
            work(span)
    else:
        with ThreadPoolExecutor(cpu_count()) as pool:
            list(pool.map(work, spans))
