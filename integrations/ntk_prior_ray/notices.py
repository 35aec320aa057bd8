"""Warnings, each given once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ntk_prior.evidence import withdrawal_notices
from ntk_prior.screening import Judgement, Silence, score_of

PATIENCE = 16
"""Configurations about all of which the prior must be silent before that is worth a warning."""

_logger = logging.getLogger(__name__)


class Notices:
    """What the user has been told so far."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._silent = 0
        self._withdrawn: frozenset[str] = frozenset()

    def withdrawn(self, verdicts: Mapping[str, str]) -> None:
        """Warn where finished trials have withdrawn a verdict, or restored one.

        Args:
            verdicts: The withdrawn ones with the reasons.
        """
        for notice in withdrawal_notices(self._withdrawn, verdicts):
            _logger.warning("NTKPriorSearch: %s", notice)
        self._withdrawn = frozenset(verdicts)

    def tell(self, about: str, message: str) -> None:
        """Warn, unless there was a warning about this before."""
        if about not in self._told:
            self._told.add(about)
            _logger.warning("NTKPriorSearch: %s", message)

    def heard(self, judgement: Judgement, hint: str) -> None:
        """Warn of a prior that fails, or that has nothing to say from the start.

        Args:
            judgement: What it said of one configuration.
            hint: What the user may do about silence.
        """
        if isinstance(judgement, Silence) and judgement.failed:
            self.tell("failure", f"a configuration was not judged: {judgement.reason}")
            return
        if score_of(judgement) is not None:
            self._told.add("silence")
            return
        self._silent += 1
        if self._silent == PATIENCE:
            self.tell("silence", f"the prior refuses nothing in this search space: {judgement.reason}{hint}")


def exhaustion(judgement: Judgement, config: Mapping[str, Any], refused: int) -> str:
    """Why no feasible configuration was found, by the best-scored one, and what would make that one feasible."""
    suggestion = getattr(judgement, "suggestion", None)
    fix = f"; it would be feasible with {suggestion}, so widen the search space there" if suggestion else ""
    return (
        f"the prior refused all {refused} configurations drawn for a trial. The best-scored one, {dict(config)}, is "
        f"{judgement.verdict} ({judgement.reason}){fix}"
    )
