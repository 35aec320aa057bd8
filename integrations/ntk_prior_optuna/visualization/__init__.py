"""Pictures of a study that ran with the prior, as Optuna's own: a study in, a Plotly figure out (extra ``plot``).

The numbers behind them come from ``ntk_prior.plots`` and from ``plotted_trials`` here.
"""

from ntk_prior_optuna.run import plotted_trials
from ntk_prior_optuna.visualization.figures import plot_calibration, plot_feasibility, plot_savings, plot_trust

__all__ = ["plot_calibration", "plot_feasibility", "plot_savings", "plot_trust", "plotted_trials"]
