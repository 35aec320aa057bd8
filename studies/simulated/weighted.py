"""Expected improvement of a Gaussian process, with or without a prior: acquisition times prior ^ (beta / n).

The weighting is that of piBO (Hvarfner et al., arXiv 2204.11051): the prior decides early on and fades as trials
finish. The first trials are drawn from the prior too. Its density is the prior's score, floored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm

from ntk_prior import NTKPrior
from studies.simulated.landscape import Columns, Space, draws, rows
from studies.simulated.surrogate import Array, matern

STARTUP = 10
CANDIDATES = 400
BETA = 10.0
FLOOR = 1e-3
_LENGTHS = (0.3, 0.6, 1.2)
_NOISES = (1e-3, 1e-2, 1e-1)


class ImprovementSampler(BaseSampler):
    """Launches the candidate of the highest (weighted) expected improvement.

    Args:
        space: Names and distributions; studies ask for exactly these.
        prior: Its score weights the improvement; None for none.
        seed: Of all random numbers.
    """

    def __init__(self, space: Space, prior: NTKPrior | None, seed: int) -> None:
        self._space = space
        self._prior = prior
        self._rng = np.random.default_rng(seed)

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """The whole space, from the first trial on."""
        return dict(self._space)

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
        search_space: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The best of random candidates, among them some close to the best trials."""
        finished = [one for one in study.get_trials(deepcopy=False) if one.state == TrialState.COMPLETE]
        n = len(finished)
        columns = draws(self._space, CANDIDATES, self._rng)
        if n < STARTUP:
            weight = self._weight(columns)
            chosen = int(self._rng.choice(CANDIDATES, p=weight / weight.sum()))
            return rows(columns)[chosen]
        values = np.array([one.value for one in finished])
        top = [finished[i].params for i in np.argsort(-values)[:5]]
        near = [self._near(params, CANDIDATES // 10) for params in top]
        columns = {name: np.concatenate([column, *(one[name] for one in near)]) for name, column in columns.items()}
        known = {name: np.array([one.params[name] for one in finished]) for name in self._space}
        improvement = expected_improvement(self._encoded(known), values, self._encoded(columns))
        return rows(columns)[int(np.argmax(improvement + BETA / n * np.log(self._weight(columns))))]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never asked for."""
        raise NotImplementedError(f"{param_name} is not in the space")

    def _weight(self, columns: Columns) -> Array:
        if self._prior is None:
            return np.ones(len(columns["depth"]))
        return np.maximum(np.ma.getdata(self._prior.score_many(columns).score), FLOOR)

    def _near(self, params: Mapping[str, Any], n: int) -> Columns:
        """A configuration with one or two of its values drawn again."""
        fresh = draws(self._space, n, self._rng)
        changed = self._rng.random((n, len(fresh))) < 1.5 / len(fresh)
        return {
            name: np.where(changed[:, i], fresh[name], np.full(n, params[name])) for i, name in enumerate(self._space)
        }

    def _encoded(self, columns: Columns) -> Array:
        return np.column_stack([part for name, values in columns.items() for part in _unit(self._space[name], values)])


def expected_improvement(known: Array, values: Array, candidates: Array) -> Array:
    """Logarithm of the expected improvement of a Gaussian process whose length and noise are the likeliest of a few."""
    scale = float(np.std(values)) or 1.0
    y = (values - values.mean()) / scale
    fits = []
    for length in _LENGTHS:
        base = matern(known / length, known / length)
        for noise in _NOISES:
            factor = cho_factor(base + noise * np.eye(len(y)), lower=True)
            weights = cho_solve(factor, y)
            n, variance = len(y), float(y @ weights) / len(y)
            fits.append(
                (0.5 * n * np.log(variance) + np.log(np.diag(factor[0])).sum(), length, factor, weights, variance)
            )
    _, length, factor, weights, variance = min(fits, key=lambda fit: fit[0])
    across = matern(candidates / length, known / length)
    mean = across @ weights
    left = 1.0 - np.sum(across * cho_solve(factor, across.T).T, axis=1)
    deviation = np.sqrt(variance * np.maximum(left, 1e-9))
    incumbent = float(np.max(matern(known / length, known / length) @ weights))
    z = (mean - incumbent) / deviation
    return np.log(np.maximum(deviation * (z * norm.cdf(z) + norm.pdf(z)), 1e-300))


def _unit(distribution: BaseDistribution, values: Any) -> list[Array]:
    """Coordinates in [0, 1] of a column; one for each choice of a categorical one."""
    if isinstance(distribution, CategoricalDistribution):
        return [0.5 * (np.asarray(values) == choice) for choice in distribution.choices]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    values = np.asarray(values, np.float64)
    return [np.log(values / low) / np.log(high / low) if distribution.log else (values - low) / (high - low)]
