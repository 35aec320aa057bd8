"""How each of Ray Tune's search algorithms takes back a proposal that is not launched.

A refused proposal must neither stay open (an open trial counts as running), nor teach the search algorithm's model
something that was never measured. What does both differs from one search algorithm to the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ray import cloudpickle
from ray.tune.search import BasicVariantGenerator, Repeater, Searcher

from ntk_prior.architecture import shown
from ntk_prior.screening import DEFAULT_CANDIDATES, Screen
from ntk_prior_ray.space import Config, Space, flattened

CONSTRAINT = "ntk_prior"
"""Name of the constraint that a refused proposal violates in an Optuna study."""

_HYPEROPT_DONE = 2
"""``hyperopt.JOB_STATE_DONE``."""


class Returned(NamedTuple):
    """A proposal without a result.

    Attributes:
        searcher: The search algorithm that was asked, perhaps a limiter around ``base``.
        base: The search algorithm that proposed.
        trial_id: The id that it proposed for.
        excess: By how much the score misses the threshold; None where it was not refused.
        teaches: Whether the model is to learn that the proposal was bad.
    """

    searcher: Searcher
    base: Any
    trial_id: str
    excess: float | None
    teaches: bool


def _without_result(back: Returned) -> None:
    back.searcher.on_trial_complete(back.trial_id)


def _as_error(back: Returned) -> None:
    back.searcher.on_trial_complete(back.trial_id, error=True)


def _to_optuna(back: Returned) -> None:
    """Pruned without a value, and from Optuna 5 on with a graded constraint, by which TPE learns what is feasible.

    A proposal that is to teach nothing becomes a failed trial, which every sampler ignores.
    """
    if not back.teaches:
        _as_error(back)
        return
    trial = getattr(back.base, "_ot_trials", {}).get(back.trial_id)
    if back.excess is not None and trial is not None and hasattr(trial, "set_constraint"):
        trial.set_constraint(CONSTRAINT, back.excess)
    _without_result(back)


def _to_hyperopt(back: Returned) -> None:
    """Ended as an error, since a trial without a result stays new for ever; then, to teach, as done but failed.

    TPE there ignores errors, and ranks what has failed last.
    """
    find = getattr(back.base, "_get_hyperopt_trial", None)
    document = find(back.trial_id) if find is not None and back.teaches else None
    _as_error(back)
    if document is not None:
        document.update(state=_HYPEROPT_DONE, result={"status": "fail"})
        back.base._hpopt_trials.refresh()


def _to_ax(back: Returned) -> None:
    """Ax keeps a trial without a result running; one whose metric is not a number it abandons."""
    back.searcher.on_trial_complete(back.trial_id, {back.base.metric: math.nan})


def _add_evaluated_point(base: Any, parameters: Config, value: float, **how: Any) -> None:
    base.add_evaluated_point(parameters, value, **how)


def _register(base: Any, parameters: Config, value: float, **_: Any) -> None:
    """BayesOptSearch takes no evaluated point, the optimiser inside does."""
    base.optimizer.register(parameters, value if base.mode == "max" else -value)


class Protocol(NamedTuple):
    """What is peculiar to one search algorithm.

    Attributes:
        close: Ends a proposal without a result.
        counters: Attributes that count proposals, to be put back to what they were before a refused one.
        tell: Teaches a result of a configuration that was not proposed, by its flat names.
        candidates: Proposals that may compete for one trial. Those of an Optuna or HyperOpt study stay in it as trials
            that its sampler ignores; what spare proposals do to other search algorithms is not known.
    """

    close: Callable[[Returned], None] = _without_result
    counters: tuple[str, ...] = ()
    tell: Callable[..., None] = _add_evaluated_point
    candidates: int = 1


_PROTOCOLS = {
    "UniformSearch": Protocol(candidates=DEFAULT_CANDIDATES),
    "OptunaSearch": Protocol(_to_optuna, candidates=4),
    "HyperOptSearch": Protocol(_to_hyperopt, candidates=4),
    "AxSearch": Protocol(_to_ax),
    # It ends after proposing one point too often, and waits for all of its random points to finish.
    "BayesOptSearch": Protocol(counters=("_config_counter", "_total_random_search_trials"), tell=_register),
    # It waits for all of a full batch to finish.
    "HEBOSearch": Protocol(counters=("_batch_filled",)),
}


class Inner:
    """A wrapped search algorithm.

    Args:
        searcher: The search algorithm, perhaps in a ``ConcurrencyLimiter``.
    """

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher
        *_, base = unwrapped(searcher)
        self._base: Any = base
        kinds = [kind.__name__ for kind in type(base).__mro__]
        self._protocol = next((_PROTOCOLS[kind] for kind in kinds if kind in _PROTOCOLS), Protocol())
        self._before: Config = {}
        self._points_ahead = 0

    @property
    def name(self) -> str:
        """The class that proposes."""
        return type(self._base).__name__

    @property
    def candidates(self) -> int:
        """Proposals that may compete for one trial."""
        return self._protocol.candidates

    def suggest(self, trial_id: str) -> Any:
        """Ask for a proposal: a dictionary, None or ``Searcher.FINISHED``."""
        counters = {name: getattr(self._base, name) for name in self._protocol.counters if hasattr(self._base, name)}
        self._before = {name: value.copy() if isinstance(value, dict) else value for name, value in counters.items()}
        # HyperOptSearch only counts the points once it has made trials of them.
        points = getattr(self._base, "_points_to_evaluate", None)
        self._points_ahead = points if isinstance(points, int) else 0
        return self.searcher.suggest(trial_id)

    @property
    def proposed_a_point(self) -> bool:
        """Whether the proposal made last is known to be one that the user asked for."""
        return self._points_ahead > 0

    def hand_back(self, trial_id: str, excess: float | None, *, teaches: bool) -> None:
        """End the proposal made last, see ``Returned``."""
        self._protocol.close(Returned(self.searcher, self._base, trial_id, excess, teaches))
        vars(self._base).update(self._before)

    def close(self, trial_id: str) -> None:
        """End a trial that has no result."""
        self._protocol.close(Returned(self.searcher, self._base, trial_id, None, teaches=True))

    def tell(self, parameters: Config, value: float, **how: Any) -> None:
        """Teach a result of a configuration that was not proposed, as ``Searcher.add_evaluated_point`` does.

        Raises:
            NotImplementedError: If the search algorithm takes none.
        """
        self._protocol.tell(self._base, parameters, value, **how)

    def notify(self, event: str, trial_id: str | None) -> None:
        """Call a method that only some search algorithms have, for a trial that it proposed."""
        if trial_id is not None and hasattr(self.searcher, event):
            getattr(self.searcher, event)(trial_id)

    def points(self) -> list[Config]:
        """Configurations that the user asked for, by flat names, which is how Optuna has to get them.

        Raises:
            ValueError: If an Optuna study already holds some that it will ignore.
        """
        points = getattr(self._base, "_points_to_evaluate", None)
        if not isinstance(points, list | tuple):
            return []
        flat = [flattened(point) for point in points]
        if hasattr(self._base, "_ot_study") and flat != list(points):
            if self._base._ot_study is not None:
                names = sorted({name for point in flat for name in point if "/" in name})
                raise ValueError(
                    f"points_to_evaluate: expected flat names such as {names[0]!r}, received nested dictionaries, "
                    "which OptunaSearch ignores"
                )
            self._base._points_to_evaluate = [dict(point) for point in flat]
        return flat


def unwrapped(searcher: Searcher) -> Iterator[Searcher]:
    """A search algorithm, the one it wraps, and so on."""
    inner: Any = searcher
    while inner is not None:
        yield inner
        inner = getattr(inner, "searcher", None)


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
    if any(isinstance(inner, Repeater) for inner in unwrapped(searcher)):
        raise ValueError("searcher: expected what proposes, received a Repeater: put it around NTKPriorSearch")
    for inner in (*unwrapped(searcher), *_samplers(searcher)):
        if isinstance(getattr(inner, "screen", None), Screen):
            raise ValueError(
                f"searcher: expected a search algorithm without a prior of its own, received {type(inner).__name__} "
                "inside: two priors would each refuse what the other has let through, so take one away"
            )
    return searcher


def _samplers(searcher: Searcher) -> Iterator[Any]:
    """The Optuna samplers in a search algorithm, and those that they wrap."""
    *_, base = unwrapped(searcher)
    waiting: list[Any] = [base, getattr(base, "_ot_study", None)]
    seen = set[int]()
    while waiting:
        around = waiting.pop()
        for one in vars(around).values() if hasattr(around, "__dict__") else ():
            if hasattr(one, "sample_relative") and id(one) not in seen:
                seen.add(id(one))
                waiting.append(one)
                yield one


class UniformSearch(Searcher):
    """Independent draws from the search space by Ray Tune's own samplers.

    Args:
        seed: Seed of the draws.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._space: Space | None = None
        self._generator = np.random.default_rng(seed)

    def set_search_properties(self, metric: str | None, mode: str | None, config: Config, **_: Any) -> bool:
        """Take the search space, unless there is one."""
        if self._space is not None:
            return False
        self._metric, self._mode, self._space = metric, mode, Space(config)
        return True

    def suggest(self, trial_id: str) -> Config:  # noqa: ARG002
        """One draw."""
        if self._space is None:
            raise RuntimeError(
                "NTKPriorSearch has no search space: pass param_space to the Tuner, or space to NTKPriorSearch"
            )
        return self._space.drawn_part(self._space.draw(self._generator))

    def on_trial_complete(self, trial_id: str, result: Config | None = None, error: bool = False) -> None:
        """Nothing is learnt from results."""

    def add_evaluated_point(self, *_: Any, **__: Any) -> None:
        """Nothing is learnt from results."""

    def save(self, checkpoint_path: str) -> None:
        """Write the space, and where the random numbers stand."""
        Path(checkpoint_path).write_bytes(cloudpickle.dumps(vars(self)))  # type: ignore[no-untyped-call]

    def restore(self, checkpoint_path: str) -> None:
        """Go on with the random numbers."""
        vars(self).update(cloudpickle.loads(Path(checkpoint_path).read_bytes()))
