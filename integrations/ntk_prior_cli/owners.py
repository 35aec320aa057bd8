"""Which process runs a trial: a trial whose process was killed stays "running" in a storage until somebody looks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

ATTRIBUTE = "ntk_prior_tune:owner"
"""System attribute of a trial with the process that runs it."""

_PROCESSES = Path("/proc")


class Owner(NamedTuple):
    """A process, told apart from all others that are and have been.

    Attributes:
        machine: A start of a machine and, for containers, the part of its processes that sees itself alone.
        number: The process's number there, which is given again once it has ended.
        since: When it began.
    """

    machine: str
    number: int
    since: str


def this_process() -> Owner | None:
    """This process; None where the system does not tell what makes it another than all others, which Linux does."""
    since, machine = _since(os.getpid()), _machine()
    return None if since is None or machine is None else Owner(machine, os.getpid(), since)


def has_ended(owner: Any) -> bool:
    """Whether a trial's process has ended; False where this machine cannot know.

    Args:
        owner: What a storage holds as the trial's ``ATTRIBUTE``.
    """
    try:
        machine, number, since = owner
        if machine != _machine():
            return False
        # Of others' processes a system may hide everything but that they are.
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, TypeError, ValueError):
        return False
    found = _since(number)
    return found is not None and found != since


def _machine() -> str | None:
    try:
        start = (_PROCESSES / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {(_PROCESSES / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _since(number: int) -> str | None:
    """When a process began, in ticks of its machine's clock; "ended" for what its parent has not yet taken note of."""
    try:
        # The name, in brackets, may hold anything.
        state, *fields = (_PROCESSES / f"{number}/stat").read_text(errors="replace").rpartition(") ")[2].split()
    except (OSError, ValueError):
        return None
    return "ended" if state in "ZX" else fields[18]
