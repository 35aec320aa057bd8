"""What numba makes of a function, kept on disk as long as no module of the package changes, where a disk takes it."""

from __future__ import annotations

import functools
import hashlib
import warnings
from importlib import resources
from types import FunctionType
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


def dispatcher(function: FunctionType, options: dict[str, Any]) -> Any:
    """``function`` ready to be compiled; ``options`` are those of ``numba.njit``."""
    compiled = njit(**options)(function)
    if options.get("inline") == "always":
        return compiled  # it is part of what calls it
    try:
        compiled._cache = _Cache(function)
    except (OSError, RuntimeError, ValueError) as error:
        _warn_once(str(error))
    return compiled


FOLDERS = ("theory", "verdict")
"""Where compiled functions are, and the constants that they contain."""


class _Cache(FunctionCache):
    """numba's cache on disk, which goes by all modules, and does without where a file cannot be read or written.

    numba asks about the file of a function alone, though what it has compiled contains what the function calls, and
    constants, from other files: after an update of those it would go on with the old ones, mixed with new ones. And
    numba raises what a damaged file, a full disk or a folder that may not be written any more make it raise.
    """

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file._source_stamp = _sources() or self._cache_file._source_stamp

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # unpickling what another program left there may raise anything
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            try:
                super().save_overload(sig, data)  # type: ignore[no-untyped-call]
            except OSError:
                raise
            except Exception:  # an index that cannot be read: begin a new one
                self.flush()  # type: ignore[no-untyped-call]
                super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except Exception as error:
            _warn_once(str(error))


@functools.cache
def _sources() -> str | None:
    """A digest of the package's modules; None where there are none, as in a frozen program."""
    try:
        folders = (resources.files("ntk_prior").joinpath(name) for name in FOLDERS)
        modules = [path for folder in folders for path in folder.iterdir() if path.name.endswith(".py")]
        contents = [path.read_bytes() for path in sorted(modules, key=str)]
    except OSError:
        return None
    return hashlib.sha256(b"".join(contents)).hexdigest() if contents else None


_warned = False


def _warn_once(why: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"compiled code is not kept, so each process compiles it again, which takes seconds ({why}); "
            "set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
