"""What the prior of ntk-prior says of the trials of a study, as a picture."""

try:
    from ntk_prior_optuna.visualization import plot_feasibility
except ModuleNotFoundError as error:
    raise ImportError(
        f"visualization/plot_ntk_feasibility needs {error.name}, which is not installed: "
        "pip install 'ntk-prior[optuna,plot]'"
    ) from error

__all__ = ["plot_feasibility"]
