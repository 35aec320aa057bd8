"""The prior in Optuna: a sampler that wraps any other, and a gate for what a sampler cannot see."""

try:
    import optuna as _optuna  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "optuna":
        raise
    raise ImportError(
        "ntk_prior_optuna needs Optuna, which is not installed: pip install 'ntk-prior[optuna]'"
    ) from error

from ntk_prior_optuna import visualization
from ntk_prior_optuna.finished import finished_trials
from ntk_prior_optuna.gate import prune_if_infeasible
from ntk_prior_optuna.hindsight import review
from ntk_prior_optuna.sampler import NTKPriorSampler

__all__ = ["NTKPriorSampler", "finished_trials", "prune_if_infeasible", "review", "visualization"]
