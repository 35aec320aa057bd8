"""Further draws of TPE for the same trial, in a fraction of the time of the first one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler

from ntk_prior_optuna._optuna import generator_of, watch_candidates

MOST_RANKS = 200
"""Combinations of ranks that are tried for one trial."""

Candidates = Mapping[str, NDArray[Any]]


class _Drawn(NamedTuple):
    """One draw of TPE, be it of one parameter or of several.

    Attributes:
        space: What was drawn.
        candidates: Shape (n,) for each parameter; the best of them is TPE's draw.
        gains: Shape (n,). What TPE compares them by; more is better.
    """

    space: Mapping[str, BaseDistribution]
    candidates: Candidates
    gains: NDArray[np.float64]


class RunnersUp:
    """A TPE sampler that remembers the candidates of its draws.

    For each draw TPE fits densities to all trials, draws candidates (24 by default), and proposes the best one. Fitting
    takes nearly all of the time. So the next draws for the same trial are the next best candidates of the same fit.

    Attributes:
        sampler: Draws as the given sampler does, with the same random numbers.
    """

    def __init__(self, base: TPESampler) -> None:
        self._base = base
        self._drawn: list[_Drawn] = []
        self.sampler: BaseSampler = watch_candidates(base, lambda *told: self._drawn.append(_Drawn(*told)))

    def further(self) -> Iterator[dict[str, Any]]:
        """Further draws of all parameters that have been drawn; none if TPE has not fitted anything yet.

        Parameters that were drawn together come in the order of their gains. Where there are several such sets, each
        takes its best candidate in half of the draws, the second best in half of the others, and so on.
        """
        ranked = [_ranked(drawn) for drawn in self._drawn]
        known = [_joined(ranked, [0] * len(ranked))]
        for ranks in self._ranks([len(one) for one in ranked]):
            draw = _joined(ranked, ranks)
            if draw not in known:
                known.append(draw)
                yield draw

    def _ranks(self, sizes: Sequence[int]) -> Iterator[Sequence[int]]:
        """Which candidate each set takes in one further draw after another."""
        if len(sizes) == 1:
            yield from ([rank] for rank in range(1, sizes[0]))
        elif sizes:
            generator = generator_of(self._base)
            for _ in range(MOST_RANKS):
                yield [int(rank) - 1 for rank in np.minimum(generator.geometric(0.5, len(sizes)), sizes)]


def _joined(ranked: Sequence[Sequence[dict[str, Any]]], ranks: Sequence[int]) -> dict[str, Any]:
    """The candidates of these ranks together."""
    return {name: value for one, rank in zip(ranked, ranks, strict=True) for name, value in one[rank].items()}


def _ranked(drawn: _Drawn) -> Sequence[dict[str, Any]]:
    """The candidates, the best first; of few whole numbers or choices many are the same, and stand once."""
    ranked: list[dict[str, Any]] = []
    for n in np.argsort(-drawn.gains, kind="stable"):
        candidate = {
            name: distribution.to_external_repr(drawn.candidates[name][n].item())
            for name, distribution in drawn.space.items()
        }
        if candidate not in ranked:
            ranked.append(candidate)
    return ranked
