"""How loops over layers, nodes and configurations run: interpreted while they are few, compiled once they are many.

Compiling takes seconds, once a machine, and even loading what is compiled takes longer than hundreds of verdicts of the
interpreter. Both run the same sources, and agree up to rounding.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from threading import RLock, local
from types import FunctionType
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

# Without numba's run time ("_nrt") nothing can be allocated, so callers pass scratch arrays; in return no thread counts
# references, which would cost more than a whole configuration's layers.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
_EXACT = {"contract", "nsz"}
"""Fused multiply-adds are allowed; reassociation, which would undo the care about cancellation, is not."""
_SUMMING = {*_EXACT, "reassoc", "nnan"}
"""Where many terms are added up and their order does not matter, sums become vector instructions."""

_INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True}

_SMALL = 20_000
"""Work that an entry point leaves to the interpreter in all, in layers: about what loading compiled code takes."""

PER_CONFIGURATION = 20
"""What a configuration takes beyond its layers, in layers."""

PER_CALL = 250
"""What one more call with one more configuration counts: a tuner makes thousands of them, an explanation a few."""

_options: dict[Callable[..., Any], dict[str, Any]] = {}
"""How each function is compiled; see ``entry``, ``inner`` and ``inlined``."""

_building = RLock()
_interpreting = local()
"""Whether this thread is inside an interpreted entry point: what it calls is then part of that one's work."""


class Entry(Generic[P, R]):
    """A function that Python calls, and that compiled code may call too.

    Args:
        function: What it does, in Python that numba compiles.
        work: How much a call with the same arguments means, in layers of a network.
    """

    def __init__(self, function: Callable[P, R], work: Callable[..., float]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self._work, self._left = work, float(_SMALL)
        self._compiled: Callable[P, R] | None = None

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """What the function returns: interpreted while all calls together are little work, compiled from then on."""
        if getattr(_interpreting, "now", False):
            return self.function(*arguments, **named)
        if self._compiled is None:
            self._left -= self._work(*arguments, **named)
            if self._left >= 0.0:
                try:
                    return self.interpreted(*arguments, **named)
                except (ArithmeticError, ValueError):
                    # Compiled code goes on with inf or nan, as C does, where Python's math raises; its word counts.
                    pass
            with _building:
                self._compiled = _dispatcher(self.function)
        return self._compiled(*arguments, **named)

    def interpreted(self, *arguments: P.args, **named: P.kwargs) -> R:
        """The same without compiled code, with what it calls."""
        _interpreting.now = True
        try:
            with np.errstate(all="ignore"):
                return self.function(*arguments, **named)
        finally:
            _interpreting.now = False


@functools.cache
def _dispatcher(function: Callable[..., Any]) -> Any:
    """The function for numba, with each function of ours that it calls made ready likewise."""
    from ntk_prior.theory.machine_code import dispatcher  # numba takes half a second to import

    assert isinstance(function, FunctionType), "only functions are decorated"
    scope = dict(function.__globals__)
    for name in {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}:
        called = scope.get(name)
        called = called.function if isinstance(called, Entry) else called
        if isinstance(called, FunctionType) and called in _options:
            scope[name] = _dispatcher(called)
    return dispatcher(FunctionType(function.__code__, scope, function.__name__), _options[function])


def _register(function: F, **options: Any) -> F:
    """Note how a function is compiled; it stays as it is."""
    assert isinstance(function, FunctionType), "only functions are decorated"
    _options[function] = options
    return function


def entry(work: Callable[..., float]) -> Callable[[Callable[P, R]], Entry[P, R]]:
    """For functions that Python calls.

    Args:
        work: How much a call with the same arguments means, in layers of a network.
    """
    return lambda function: Entry(_register(function, fastmath=_EXACT, **_OPTIONS), work)


def entry_summing(work: Callable[..., float]) -> Callable[[Callable[P, R]], Entry[P, R]]:
    """As ``entry``, where terms may be added in any order."""
    return lambda function: Entry(_register(function, fastmath=_SUMMING, **_OPTIONS), work)


def inlined(function: F) -> F:
    """For formulas inside a loop over nodes or groups, which then becomes vector instructions."""
    return _register(function, inline="always")


def inner(function: F) -> F:
    """For functions that only compiled code calls.

    Compiling the way in from Python would take as long as the function.
    """
    return _register(function, fastmath=_EXACT, **_INNER)


def inner_piece(function: F) -> F:
    """As ``inner``, for a piece of one caller's loop: it is compiled as if it stood there.

    To pass a dozen arrays to a function takes as long as a layer.
    """
    return _register(function, fastmath=_EXACT, forceinline=True, **_INNER)


def inner_summing(function: F) -> F:
    """As ``inner``, where terms may be added in any order."""
    return _register(function, fastmath=_SUMMING, **_INNER)


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
