"""Further draws of TPE for the same trial, in a fraction of the time of the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler

Candidates = Mapping[str, NDArray[Any]]


class _Drawn(NamedTuple):
    """One draw of TPE, be it of one parameter or of several.

    Attributes:
        space: What was drawn.
        candidates: Shape (n,) for each parameter; the best of them is TPE's draw.
        gains: Shape (n,). What TPE compares them by; more is better.
        more: Draws as many candidates again as it is told to, with their gains.
    """

    space: Mapping[str, BaseDistribution]
    candidates: Candidates
    gains: NDArray[np.float64]
    more: Callable[[int], tuple[Candidates, NDArray[np.float64]]]


class RunnersUp:
    """A TPE sampler that remembers the candidates of its draws.

    For each draw TPE fits densities to all trials, draws candidates (24 by default), and proposes the best one. Fitting
    takes nearly all of the time. So the next draws for the same trial are the next best candidates of the same fit.

    Attributes:
        sampler: Draws as the given sampler does, with the same random numbers.
    """

    def __init__(self, base: TPESampler) -> None:
        self._base = base
        self._space: Mapping[str, BaseDistribution] = {}
        self._drawn: list[_Drawn] = []
        spied: Any = copy(base)
        spied._sample = self._sample
        spied._compute_acquisition_func = self._gains
        self.sampler: BaseSampler = spied

    def further(self, competing: int) -> Iterator[dict[str, Any]]:
        """Further draws of all parameters that have been drawn; none if TPE has not fitted anything yet.

        Parameters that were drawn together come in the order of their gains. Where there are several such sets, each
        takes its best candidate in half of the draws, the second best in half of the others, and so on.

        Args:
            competing: So many draws are to compete. For each there are as many candidates as for a draw of TPE.
        """
        ranked = [list(_ranked(drawn, competing)) for drawn in self._drawn]
        if len(ranked) == 1:
            yield from ranked[0]
            return
        generator = self._base._rng.rng
        while ranked:
            ranks = np.minimum(generator.geometric(0.5, len(ranked)), [len(one) for one in ranked]) - 1
            yield {name: value for one, rank in zip(ranked, ranks, strict=True) for name, value in one[rank].items()}

    def _sample(self, study: Any, trial: Any, search_space: Any) -> Any:
        self._space = search_space
        return TPESampler._sample(self.sampler, study, trial, search_space)  # type: ignore[arg-type]

    def _gains(self, candidates: Any, below: Any, above: Any) -> Any:
        def gains(of: Any) -> Any:
            return self._base._compute_acquisition_func(of, below, above)

        def more(count: int) -> tuple[Candidates, Any]:
            drawn = below.sample(self._base._rng.rng, count)
            return drawn, gains(drawn)

        found = gains(candidates)
        self._drawn.append(_Drawn(self._space, candidates, found, more))
        return found


def _ranked(drawn: _Drawn, competing: int) -> Sequence[dict[str, Any]]:
    """All candidates but for the best one of the first, which is TPE's own draw; the best first."""
    own = int(np.argmax(drawn.gains))
    candidates, gains = drawn.candidates, drawn.gains.copy()
    if competing > 1:
        others, their_gains = drawn.more((competing - 1) * len(gains))
        candidates = {name: np.concatenate([values, others[name]]) for name, values in candidates.items()}
        gains = np.concatenate([gains, their_gains])
    order = [n for n in np.argsort(-gains, kind="stable") if n != own]
    names = drawn.space.items()
    return [
        {name: distribution.to_external_repr(candidates[name][n].item()) for name, distribution in names}
        for n in order[: max(competing, 1) + len(drawn.gains)]
    ]
