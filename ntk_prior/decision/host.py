"""What an adapter uses of its tuner besides public names, and a check that it is still where it was.

A tuner may move or rename such things in any release, and most of them would then be missed in silence. So an adapter
lists what it expects, and ``ExpectationsOf`` looks for each thing once a process and warns of what is missing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple


class Expectation(NamedTuple):
    """Something of a tuner's that is relied on.

    Attributes:
        what: It, and where it is expected.
        holds: Whether it is there; what it raises counts as no.
        otherwise: What goes wrong if it is not.
    """

    what: str
    holds: Callable[[], bool]
    otherwise: str


class ExpectationsOf:
    """What one adapter expects of its tuner.

    Args:
        adapter: The adapter's name.
        tuner: The tuner's name.
        version: Of the tuner that is installed.
    """

    def __init__(self, adapter: str, tuner: str, version: str) -> None:
        self._adapter = adapter
        self._tuner = tuner
        self._version = version
        self._checked: set[str] = set()

    def warn_unless(self, expected: Expectation) -> None:
        """Warn, once a process, if something is not where it was."""
        if expected.what in self._checked:
            return
        self._checked.add(expected.what)
        try:
            holds = expected.holds()
        except (AttributeError, ImportError, KeyError, TypeError, ValueError):
            holds = False
        if not holds:
            warnings.warn(
                f"{self._adapter} expected {expected.what}, which {self._tuner} {self._version} does not have: "
                f"{expected.otherwise}. Use a release of ntk-prior that is tested with this {self._tuner}, or an older "
                f"{self._tuner}",
                RuntimeWarning,
                stacklevel=4,
            )
