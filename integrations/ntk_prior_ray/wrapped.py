"""A wrapped search algorithm: how it is asked for proposals, and told what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ray.tune.search import BasicVariantGenerator, Repeater, Searcher

from ntk_prior.checks import shown
from ntk_prior.decision import Screen
from ntk_prior_ray import _ray
from ntk_prior_ray._ray import unwrap
from ntk_prior_ray.quirks import UnlaunchedProposal, find_quirks
from ntk_prior_ray.space import Config, flatten


class WrappedSearcher:
    """A wrapped search algorithm.

    Args:
        searcher: The search algorithm, perhaps in a ``ConcurrencyLimiter``.
    """

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher
        *_, base = unwrap(searcher)
        _ray.warn_of_changes_in(base)
        self._base: Any = base
        self._quirks = find_quirks(base)
        self._before: Config = {}
        self._points_ahead = 0

    @property
    def name(self) -> str:
        """The class that proposes."""
        return type(self._base).__name__

    @property
    def candidates(self) -> int:
        """Proposals that may compete for one trial."""
        return self._quirks.candidates

    def suggest(self, trial_id: str) -> Any:
        """Ask for a proposal: a dictionary, None or ``Searcher.FINISHED``."""
        self._before = _ray.counters_of(self._base, self._quirks.counters)
        # HyperOptSearch only counts the points once it has made trials of them.
        points = _ray.points_of(self._base)
        self._points_ahead = points if isinstance(points, int) else 0
        return self.searcher.suggest(trial_id)

    @property
    def proposed_a_point(self) -> bool:
        """Whether the proposal made last is known to be one that the user asked for."""
        return self._points_ahead > 0

    def discard(self, trial_id: str, excess: float | None, *, inform_model: bool) -> None:
        """End the proposal made last, see ``UnlaunchedProposal``."""
        self._quirks.end(UnlaunchedProposal(self.searcher, self._base, trial_id, excess, inform_model))
        _ray.put_back_counters(self._base, self._before)

    def end_without_result(self, trial_id: str) -> None:
        """End a trial that has no result."""
        self._quirks.end(UnlaunchedProposal(self.searcher, self._base, trial_id, None, inform_model=True))

    def add_point(self, parameters: Config, value: float, **how: Any) -> None:
        """Teach a result of a configuration that was not proposed, as ``Searcher.add_evaluated_point`` does.

        Raises:
            NotImplementedError: If the search algorithm takes none.
        """
        self._quirks.add_point(self._base, parameters, value, **how)

    def notify(self, event: str, trial_id: str | None) -> None:
        """Call a method that only some search algorithms have, for a trial that it proposed."""
        if trial_id is not None and hasattr(self.searcher, event):
            getattr(self.searcher, event)(trial_id)

    def points(self) -> list[Config]:
        """Configurations that the user asked for, by flat names, which is how Optuna has to get them.

        Raises:
            ValueError: If an Optuna study already holds some that it will ignore.
        """
        points = _ray.points_of(self._base)
        if not isinstance(points, list | tuple):
            return []
        flat = [flatten(point) for point in points]
        if _ray.is_optuna(self._base) and flat != list(points):
            if _ray.optuna_study_of(self._base) is not None:
                names = sorted({name for point in flat for name in point if "/" in name})
                raise ValueError(
                    f"points_to_evaluate: expected flat names such as {names[0]!r}, received nested dictionaries, "
                    "which OptunaSearch ignores"
                )
            _ray.replace_points(self._base, [dict(point) for point in flat])
        return flat


def require_searcher(searcher: Any) -> Searcher:
    """Return a search algorithm that can be wrapped, or raise an error that says what to do.

    Raises:
        TypeError: If it is no ``ray.tune.search.Searcher``.
        ValueError: If it must be around an ``NTKPriorSearch`` instead of inside, or has a prior of its own.
    """
    if isinstance(searcher, BasicVariantGenerator):
        raise TypeError("searcher: expected a Searcher, received BasicVariantGenerator: for random draws pass None")
    if not isinstance(searcher, Searcher):
        raise TypeError(f"searcher: expected a ray.tune.search.Searcher or None, received {shown(searcher)}")
    if any(isinstance(inner, Repeater) for inner in unwrap(searcher)):
        raise ValueError("searcher: expected what proposes, received a Repeater: put it around NTKPriorSearch")
    for inner in (*unwrap(searcher), *_samplers(searcher)):
        if isinstance(getattr(inner, "screen", None), Screen):
            raise ValueError(
                f"searcher: expected a search algorithm without a prior of its own, received {type(inner).__name__} "
                "inside: two priors would each refuse what the other has let through, so take one away"
            )
    return searcher


def _samplers(searcher: Searcher) -> Iterator[Any]:
    """The Optuna samplers in a search algorithm, and those that they wrap."""
    *_, base = unwrap(searcher)
    waiting: list[Any] = [base, _ray.optuna_study_of(base)]
    seen = set[int]()
    while waiting:
        around = waiting.pop()
        for one in vars(around).values() if hasattr(around, "__dict__") else ():
            if hasattr(one, "sample_relative") and id(one) not in seen:
                seen.add(id(one))
                waiting.append(one)
                yield one
