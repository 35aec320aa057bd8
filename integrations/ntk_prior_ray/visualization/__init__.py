"""Pictures of an experiment that ran with the prior: results or a folder in, a Plotly figure out (extra ``plot``).

The numbers behind them come from ``ntk_prior.runs``.
"""

from ntk_prior_ray.visualization.figures import plot_calibration, plot_feasibility, plot_savings, plot_trust

__all__ = ["plot_calibration", "plot_feasibility", "plot_savings", "plot_trust"]
