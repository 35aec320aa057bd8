"""The prior in Ray Tune: a search algorithm that wraps any other, its notes in the results, and a guard for PBT."""

try:
    import ray.tune as _tune  # noqa: F401
except ImportError as error:
    raise ImportError(f"ntk_prior_ray needs {error.name}: pip install 'ntk-prior[ray]'") from error

from ntk_prior_ray.callback import NTKPriorCallback
from ntk_prior_ray.finished import finished_trials
from ntk_prior_ray.hindsight import review
from ntk_prior_ray.mutation import FeasibleMutation
from ntk_prior_ray.search import NTKPriorSearch

__all__ = ["FeasibleMutation", "NTKPriorCallback", "NTKPriorSearch", "finished_trials", "review"]
