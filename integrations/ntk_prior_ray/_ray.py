"""All that this package uses of Ray besides its public names, and a check that it is still where it was.

Ray may move or rename any of it in a release. Most of it would then be missed in silence: points that a user asked for
would be screened, say, or a search would end early. So ``warn_of_changes`` looks for each thing once a process, and
``warn_of_changes_in`` looks at a search algorithm when it is wrapped.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import ray
from ray.tune import ResultGrid
from ray.tune.search import ConcurrencyLimiter, Searcher, variant_generator

from ntk_prior.decision import Expectation, ExpectationsOf
from ntk_prior.runs import ray_folder

PLACEHOLDERS = ("__fn_ph", "__ref_ph")
"""First entries of the pairs by which a Tuner hides functions and objects from search algorithms."""

GENERATOR_STATES = "search_gen_state-{}.json"
"""Pickles, whatever their name says, of what is around the innermost search algorithm."""

HYPEROPT_DONE = 2
"""``hyperopt.JOB_STATE_DONE``."""

_STORAGE = ("experiment_driver_staging_path", "experiment_fs_path", "storage_filesystem")


def _generator_states() -> str:
    from ray.tune.search.search_generator import SearchGenerator

    return str(SearchGenerator.CKPT_FILE_TMPL)


def _experiment_states() -> str:
    from ray.tune.execution.tune_controller import TuneController

    return str(TuneController.CKPT_FILE_TMPL)


def _placeholders() -> tuple[str, ...]:
    from ray.tune.impl import placeholder

    return (placeholder._FunctionResolver.TOKEN, placeholder._RefResolver.TOKEN)


def _result_files() -> tuple[str, ...]:
    from ray.air import constants

    return (constants.EXPR_PARAM_FILE, constants.EXPR_RESULT_FILE, constants.EXPR_ERROR_FILE)


def _keeps_storage() -> bool:
    from ray.train._internal.storage import StorageContext
    from ray.tune.experiment import Trial

    kept = {*dir(StorageContext), *inspect.signature(StorageContext.__init__).parameters}
    return "storage" in inspect.signature(Trial.__init__).parameters and kept.issuperset(_STORAGE)


def _knows_objective() -> bool:
    from ray.tune.analysis import ExperimentAnalysis

    analysis: Any = SimpleNamespace(trials=[], default_metric="loss", default_mode="min")
    kept = inspect.signature(ExperimentAnalysis.__init__).parameters.keys() >= {"default_metric", "default_mode"}
    return kept and objective_of(ResultGrid(analysis)) == ("loss", "min")


class _Nothing(Searcher):
    """What a limiter can be put around."""


_EXPECTED = (
    Expectation(
        "parse_spec_vars in ray.tune.search.variant_generator",
        lambda: hasattr(variant_generator, "parse_spec_vars"),
        "search spaces cannot be read",
    ),
    Expectation(
        "the attributes _metric and _mode of ray.tune.search.Searcher",
        lambda: {"_metric", "_mode"} <= vars(Searcher(metric="loss", mode="min")).keys(),
        "the metric and mode that a Tuner gives do not reach the search algorithm",
    ),
    Expectation(
        "the attribute searcher of ray.tune.search.ConcurrencyLimiter",
        lambda: hasattr(ConcurrencyLimiter(_Nothing(metric="loss", mode="min"), 1), "searcher"),
        "limiters are not looked into, and a restored experiment loses the search algorithm's state",
    ),
    Expectation(
        f"the placeholders {PLACEHOLDERS[0]} and {PLACEHOLDERS[1]} in ray.tune.impl.placeholder",
        lambda: _placeholders() == PLACEHOLDERS,
        "the prior is asked about the Tuner's placeholders for functions and objects",
    ),
    Expectation(
        f"the storage of ray.tune.experiment.Trial, with {', '.join(_STORAGE)}",
        _keeps_storage,
        f"NTKPriorCallback cannot write {ray_folder.REJECTIONS}",
    ),
    Expectation(
        f"files {GENERATOR_STATES.format('*')} of ray.tune.search.search_generator.SearchGenerator",
        lambda: _generator_states() == GENERATOR_STATES,
        "NTKPriorSearch.restore does not find its state in an experiment's folder",
    ),
    Expectation(
        f"files {ray_folder.STATES.format('*')} of ray.tune.execution.tune_controller.TuneController",
        lambda: _experiment_states() == ray_folder.STATES,
        "reports and figures of an experiment's folder do not know its metric, nor which trials have ended",
    ),
    Expectation(
        f"a trial's files {ray_folder.PARAMS}, {ray_folder.RESULTS} and {ray_folder.ERROR} in ray.air.constants",
        lambda: _result_files() == (ray_folder.PARAMS, ray_folder.RESULTS, ray_folder.ERROR),
        "reports and figures of an experiment's folder do not find its trials",
    ),
    Expectation(
        "default_metric and default_mode in the attribute _experiment_analysis of ray.tune.ResultGrid",
        _knows_objective,
        "figures of results have to be given metric and mode",
    ),
)

_POINTS = "points_to_evaluate are screened as if nobody had asked for them"

_EXPECTED_OF: Mapping[str, Mapping[str, str]] = {
    "AxSearch": {"_points_to_evaluate": _POINTS},
    "BayesOptSearch": {
        "_points_to_evaluate": _POINTS,
        "_config_counter": "the search may end early",
        "_total_random_search_trials": "the search may wait for ever",
        "optimizer": "it does not learn from configurations that it did not propose",
    },
    "HEBOSearch": {"_points_to_evaluate": _POINTS, "_batch_filled": "the search may wait for ever"},
    "HyperOptSearch": {
        "_points_to_evaluate": _POINTS,
        "_get_hyperopt_trial": "it does not learn from refused proposals",
        "_setup_hyperopt": "it does not learn from refused proposals, since the place of _hpopt_trials is not known",
    },
    "NevergradSearch": {},
    "OptunaSearch": {
        "_points_to_evaluate": _POINTS,
        "_ot_trials": "it does not learn how infeasible refused proposals are",
        "_ot_study": "nested points_to_evaluate are ignored, and a second prior in the study is not noticed",
    },
    "TuneBOHB": {"_points_to_evaluate": _POINTS},
    "ZOOptSearch": {},
}
"""What is used of each of Ray's search algorithms, and what goes wrong without it."""

_EXPECTATIONS = ExpectationsOf("ntk_prior_ray", "Ray", ray.__version__)


def warn_of_changes() -> None:
    """Warn, once a process, of each thing in Ray that is not where it was."""
    for expected in _EXPECTED:
        _EXPECTATIONS.warn_unless(expected)


def warn_of_changes_in(base: Any) -> None:
    """Warn of what is missing in a search algorithm of Ray's, or of one that is not known.

    Args:
        base: The innermost search algorithm.
    """
    kinds = [kind for kind in type(base).__mro__ if kind.__module__.startswith("ray.tune.search.")]
    kind = kinds[0] if kinds else type(base)
    if not kinds or kind.__name__ == "Searcher":
        return
    _EXPECTATIONS.warn_unless(
        Expectation(
            f"one of {', '.join(_EXPECTED_OF)} as the name of {kind.__module__}.{kind.__name__}",
            lambda: kind.__name__ in _EXPECTED_OF,
            "its refused proposals are ended as those of a search algorithm without peculiarities",
        )
    )
    for name, otherwise in _EXPECTED_OF.get(kind.__name__, {}).items():
        where = f"the attribute {name} of {kind.__module__}.{kind.__name__}"
        _EXPECTATIONS.warn_unless(Expectation(where, lambda name=name: hasattr(base, name), otherwise))  # type: ignore[misc]


def domains_and_grids(space: dict[str, Any]) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """The domains of a search space that are drawn from, and its grids, each with the path that leads to it."""
    _, domains, grids = variant_generator.parse_spec_vars(space)
    return domains, grids


class ExperimentFolder(NamedTuple):
    """Where an experiment's files are.

    Attributes:
        staged: Folder of the driver's machine from which a Tuner copies files to ``stored``.
        stored: Folder in ``filesystem``.
        filesystem: A file system of PyArrow's.
    """

    staged: Path
    stored: str
    filesystem: Any

    @classmethod
    def of_trial(cls, trial: Any) -> ExperimentFolder:
        """That of a trial's experiment."""
        storage = trial.storage
        return cls(Path(storage.experiment_driver_staging_path), storage.experiment_fs_path, storage.storage_filesystem)


def latest_generator_state(folder: Path) -> Path | None:
    """The file in an experiment's folder with the latest state of what is around the innermost search algorithm."""
    return max(folder.glob(GENERATOR_STATES.format("*")), default=None)


def key_in_generator_state(name: str) -> str:
    """The key in that file of what a class of this name holds."""
    return f"name:{name}"


def objective_of(results: ResultGrid) -> tuple[str | None, str | None]:
    """The metric and mode that a Tuner was given; None for what is not known."""
    analysis = getattr(results, "_experiment_analysis", None)
    return getattr(analysis, "default_metric", None), getattr(analysis, "default_mode", None)


def points_of(base: Any) -> Any:
    """The points that a user asked for: a list, or how many are left where HyperOpt made trials of them."""
    return getattr(base, "_points_to_evaluate", None)


def replace_points(base: Any, points: list[dict[str, Any]]) -> None:
    """Have a search algorithm propose these points first."""
    base._points_to_evaluate = points


def is_optuna(base: Any) -> bool:
    """Whether it is an ``OptunaSearch``."""
    return hasattr(base, "_ot_study")


def optuna_study_of(base: Any) -> Any:
    """The study of an ``OptunaSearch``; None before it has one, and for other search algorithms."""
    return getattr(base, "_ot_study", None)


def optuna_trial_of(base: Any, trial_id: str) -> Any:
    """The Optuna trial of a proposal; None where that is not known."""
    return getattr(base, "_ot_trials", {}).get(trial_id)


def hyperopt_document_of(base: Any, trial_id: str) -> Any:
    """What HyperOpt keeps of a proposal; None where that is not known."""
    find = getattr(base, "_get_hyperopt_trial", None)
    return None if find is None else find(trial_id)


def set_hyperopt_failed(base: Any, document: Any) -> None:
    """Have HyperOpt see a proposal as done, but failed."""
    document.update(state=HYPEROPT_DONE, result={"status": "fail"})
    base._hpopt_trials.refresh()


def register_in_bayesopt(base: Any, parameters: dict[str, Any], value: float) -> None:
    """Tell the optimiser in a ``BayesOptSearch``, which maximises, of a result."""
    base.optimizer.register(parameters, value if base.mode == "max" else -value)


def counters_of(base: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Copies of those attributes that a search algorithm has."""
    found = {name: getattr(base, name) for name in names if hasattr(base, name)}
    return {name: value.copy() if isinstance(value, dict) else value for name, value in found.items()}


def put_back_counters(base: Any, counters: dict[str, Any]) -> None:
    """Undo what became of the attributes since they were copied."""
    vars(base).update(counters)


def unwrap(searcher: Searcher) -> Iterator[Searcher]:
    """A search algorithm, the one it wraps, and so on."""
    inner: Any = searcher
    while inner is not None:
        yield inner
        inner = getattr(inner, "searcher", None)
