"""How loops over layers, nodes and configurations are compiled: once per machine, without the interpreter's lock.

Fused multiply-adds are allowed; reassociation, which would undo the care about cancellation, is not.
"""

from __future__ import annotations

from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz"},
    "no_cfunc_wrapper": True,
}

entry = njit(**_OPTIONS)
"""For functions that Python calls."""

inner = njit(**_OPTIONS, no_cpython_wrapper=True)
"""For functions that only compiled code calls: compiling the way in from Python would take as long as the function."""
