"""Priors with known judgements, for the tests of the decision and of the tuners' adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

THRESHOLD = 0.3


@dataclass(frozen=True)
class Judged:
    score: float | None
    verdict: str = "feasible"
    reason: str = "a reason"


def judged(score: float | None) -> Judged:
    if score is None:
        return Judged(None, "outside_theory", "nothing known")
    return Judged(score, "feasible" if score >= THRESHOLD else "untrainable", f"score {score:.3f}")


def by_hash(config: Mapping[str, Any]) -> Judged:
    """A deterministic score of any configuration whatsoever, uniform in [0, 1]."""
    return judged(crc32(repr(sorted(config.items())).encode()) / 2**32)


def refuses_everything(config: Mapping[str, Any]) -> Judged:
    return judged(0.25 * by_hash(config).score)  # type: ignore[operator]


def accepts_everything(config: Mapping[str, Any]) -> Judged:
    return judged(0.9)


def is_silent(config: Mapping[str, Any]) -> Judged:
    return judged(None)


def likes_small_x(config: Mapping[str, Any]) -> Judged:
    """Score 1 - |x|: accepts |x| <= 0.7. Silent without x."""
    return judged(1 - abs(config["x"]) if "x" in config else None)


def likes_large_x(config: Mapping[str, Any]) -> Judged:
    """Accepts |x| >= 0.7 only."""
    return judged(0.1 if abs(config["x"]) < 0.7 else 0.9)
