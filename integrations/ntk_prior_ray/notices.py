"""Warnings, each given once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ntk_prior.decision import Judgement, Prior, Silence, score_of, unread_notice, withdrawal_notices
from ntk_prior_ray.space import Config, flatten

SILENT_DRAWS_BEFORE_WARNING = 16
"""The first configurations: where the prior is silent about half of them, that is worth a warning."""

_logger = logging.getLogger(__name__)


class Notices:
    """What the user has been told so far: of each kind, one message."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._heard = 0
        self._silent: list[Judgement] = []
        self._looked = False
        self._withdrawn: frozenset[str] = frozenset()

    def warn_of_withdrawn(self, verdicts: Mapping[str, str]) -> None:
        """Warn where finished trials have withdrawn a verdict, or restored one.

        Args:
            verdicts: The withdrawn ones with the reasons.
        """
        for notice in withdrawal_notices(self._withdrawn, verdicts):
            _logger.warning("NTKPriorSearch: %s", notice)
        self._withdrawn = frozenset(verdicts)

    def warn_once(self, about: str, message: str) -> None:
        """Warn, unless there was a warning about this before."""
        if about not in self._told:
            self._told.add(about)
            _logger.warning("NTKPriorSearch: %s", message)

    def watch_silence(self, judgement: Judgement, hint: str) -> None:
        """Warn of a prior that fails, or that has nothing to say about most of the first configurations.

        Args:
            judgement: What it said of one configuration.
            hint: What the user may do about silence.
        """
        if isinstance(judgement, Silence) and judgement.failed:
            self.warn_once("failure", f"a configuration was not judged: {judgement.reason}")
            return
        if self._heard == SILENT_DRAWS_BEFORE_WARNING:
            return
        self._heard += 1
        if score_of(judgement) is None:
            self._silent.append(judgement)
        if self._heard < SILENT_DRAWS_BEFORE_WARNING:
            return
        # A reason takes longer to word than a configuration to judge.
        if len(self._silent) == SILENT_DRAWS_BEFORE_WARNING:
            self.warn_once("silence", f"the prior refuses nothing in this search space: {judgement.reason}{hint}")
        elif 2 * len(self._silent) >= SILENT_DRAWS_BEFORE_WARNING:
            self.warn_once(
                "silence",
                f"the prior has nothing to say about {len(self._silent)} of the first {SILENT_DRAWS_BEFORE_WARNING} "
                f"configurations, and refuses none like these. Of one of them: {self._silent[-1].reason}{hint}",
            )
        self._silent.clear()

    def warn_of_unread(self, prior: Prior, judged: Iterable[tuple[Config, Judgement]]) -> None:
        """Warn of names that the prior does not read, by the first configurations that it has something to say about.

        Args:
            prior: Asked by its method ``unread``; one without is taken to read everything.
            judged: Configurations, as the prior sees them, with what it said.
        """
        if self._looked:
            return
        configs = [config for config, judgement in judged if score_of(judgement) is not None]
        self._looked = bool(configs)
        names = dict.fromkeys(name for config in configs for name in flatten(config))
        unread = dict.fromkeys(name for config in configs for name in _unread(prior, config))
        if unread:
            read = (name for name in names if name not in unread)
            self.warn_once("unread", f"the prior {unread_notice(read, unread)}")


def _unread(prior: Prior, config: Config) -> list[str]:
    """The flat names in a configuration that the prior does not read."""
    unread: Any = getattr(prior, "unread", None)
    if unread is None:
        return []
    given = [str(name) for name in unread(config)]
    # A dictionary that is not read stands for all that is in it.
    return [name for name in flatten(config) if any(name == one or name.startswith(f"{one}/") for one in given)]


def describe_exhaustion(judgement: Judgement, config: Mapping[str, Any], refused: int) -> str:
    """Why no feasible configuration was found, by the best-scored one, and what would make that one feasible."""
    suggestion = getattr(judgement, "suggestion", None)
    fix = f"; it would be feasible with {suggestion}, so widen the search space there" if suggestion else ""
    return (
        f"the prior refused all {refused} configurations drawn for a trial. The best-scored one, {dict(config)}, is "
        f"{judgement.verdict} ({judgement.reason}){fix}"
    )
