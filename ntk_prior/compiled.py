"""How loops over layers, nodes and configurations are compiled: once per machine, without the interpreter's lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
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

_MODULES = sorted(Path(__file__).parent.glob("*.py"))
_SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in _MODULES)).hexdigest()


def _compiling(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As ``njit``, with a cache on disk that holds while no module of the package changes.

    numba asks about the file of a function alone, though what it has compiled contains what the function calls, and
    constants, from other files: after an update of those it would go on with the old ones, mixed with new ones.
    """
    compiler = njit(**options)

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = compiler(function)
        # numba has no setting for this; without such a cache (a folder that may not be written) there is no such file.
        index = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if index is not None:
            index._source_stamp = _SOURCES
        return dispatcher

    return compiled


entry = _compiling(fastmath=_EXACT, **_OPTIONS)
entry_summing = _compiling(fastmath=_SUMMING, **_OPTIONS)
"""For functions that Python calls."""

_INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True}
inlined = njit(inline="always")
"""For formulas inside a loop over nodes or groups, which then becomes vector instructions."""

inner = _compiling(fastmath=_EXACT, **_INNER)
inner_summing = _compiling(fastmath=_SUMMING, **_INNER)
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
