"""What tests share: priors, studies, searches, data, and the processes that tests start."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command_of(worker: str, *arguments: object) -> list[str]:
    """The command, for ``ROOT``, that runs one of this package's workers, such as ``"optuna_worker"``."""
    return [sys.executable, "-m", f"{__name__}.{worker}", *map(str, arguments)]
