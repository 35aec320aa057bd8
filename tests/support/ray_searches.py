"""Search algorithms, spaces and experiments, for the tests of the Ray adapter and the processes that they start."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.tune.search.bayesopt import BayesOptSearch
from ray.tune.search.hyperopt import HyperOptSearch
from ray.tune.search.optuna import OptunaSearch

from ntk_prior.decision.judgement import Prior
from ntk_prior_ray import NTKPriorSearch
from tests.support.ray_trainables import SPACE

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Scripted(Searcher):
    """A search algorithm of a user's own: proposes what it was given, and remembers what it was told."""

    def __init__(self, *proposals: Any) -> None:
        super().__init__()
        self.proposals = list(proposals)
        self.asked: list[str] = []
        self.ended: dict[str, Any] = {}
        self.reported: list[tuple[str, Any]] = []

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **_: Any) -> bool:
        self._metric, self._mode = metric, mode
        return True

    def suggest(self, trial_id: str) -> Any:
        self.asked.append(trial_id)
        return self.proposals.pop(0) if self.proposals else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: Any) -> None:
        self.reported.append((trial_id, result["loss"]))

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.ended[trial_id] = "error" if error else result and result["loss"]

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text(repr(self.proposals))

    def restore(self, checkpoint_path: str) -> None:
        self.proposals = literal_eval(Path(checkpoint_path).read_text())


SEARCHERS: dict[str, Callable[[], Searcher | None]] = {
    "uniform": lambda: None,
    "optuna": lambda: OptunaSearch(seed=0),
    "optuna-cmaes": lambda: OptunaSearch(sampler=optuna.samplers.CmaEsSampler(seed=0, warn_independent_sampling=False)),
    "hyperopt": lambda: HyperOptSearch(random_state_seed=0, n_initial_points=5),
    "bayesopt": lambda: BayesOptSearch(random_state=0, random_search_steps=4),
    "limited": lambda: ConcurrencyLimiter(OptunaSearch(seed=0), max_concurrent=4),
}


def search_over(
    prior: Prior, searcher: Searcher | None = None, *, space: dict[str, Any] = SPACE, **options: Any
) -> NTKPriorSearch:
    """A search that has met its Tuner; nothing is audited unless asked for."""
    search = NTKPriorSearch(prior, searcher, **{"epsilon": 0.0, "seed": 0, **options})
    assert search.set_search_properties("loss", "min", space)
    return search


def sphere(config: dict[str, Any]) -> float:
    """Best at x = y = 0."""
    return float(config["x"] ** 2 + config["y"] ** 2)


def finish(search: Searcher, trial_id: str, loss: Any) -> None:
    """Report one result and end the trial, as a Tuner does."""
    result = {"loss": loss, "training_iteration": 1}
    search.on_trial_result(trial_id, result)
    search.on_trial_complete(trial_id, result)


def tuned(
    search: Searcher,
    n: int,
    objective: Callable[[dict[str, Any]], float] = sphere,
    *,
    concurrent: int = 1,
    start: int = 0,
) -> list[dict[str, Any]]:
    """The configurations of ``n`` trials, ``concurrent`` of them running at a time."""
    configs: list[dict[str, Any]] = []
    running: list[tuple[str, dict[str, Any]]] = []
    while len(configs) < n or running:
        config = search.suggest(f"trial{start + len(configs)}") if len(configs) < n else None
        if isinstance(config, dict):
            running.append((f"trial{start + len(configs)}", config))
            configs.append(config)
        elif config == Searcher.FINISHED:
            n = len(configs)
        if len(running) == concurrent or not isinstance(config, dict):
            assert running or config == Searcher.FINISHED, "nothing runs and nothing was proposed: a deadlock"
            if running:
                trial_id, done = running.pop(0)
                finish(search, trial_id, objective(done))
    return configs
