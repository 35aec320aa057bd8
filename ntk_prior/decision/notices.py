"""What users are told once: of parameters that a prior does not read, and of verdicts that are withdrawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from ntk_prior.checks import named


def unread_notice(read: Iterable[str], unread: Iterable[str]) -> str:
    """What to tell the user of parameters that a prior does not look at, after "the prior"."""
    return (
        f"looks at {named(*read) or 'nothing'} and not at {named(*unread)}: whatever those are, its judgement is the "
        "same (to_architecture maps other names)"
    )


def withdrawal_notices(before: Set[str], now: Mapping[str, str]) -> list[str]:
    """What to tell the user where the withdrawn verdicts have changed.

    Args:
        before: Those that the user knows of.
        now: Those of today, with the reasons.
    """
    gone = [f"the verdict {verdict} is withdrawn: {now[verdict]}" for verdict in sorted(now.keys() - before)]
    back = [f"the verdict {verdict} counts again, in view of later trials" for verdict in sorted(before - now.keys())]
    return gone + back
