"""The sampler of ntk-prior, which keeps hopeless neural networks from being launched."""

try:
    from ntk_prior import Budget, NTKPrior, Task
    from ntk_prior_optuna import NTKPriorSampler
except ModuleNotFoundError as error:
    raise ImportError(
        f"samplers/ntk_prior needs {error.name}, which is not installed: pip install 'ntk-prior[optuna]'"
    ) from error

__all__ = ["Budget", "NTKPrior", "NTKPriorSampler", "Task"]
