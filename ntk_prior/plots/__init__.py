"""Pictures of what the prior says, in Plotly (extra ``plot``), and what they are drawn from.

The numbers behind each figure come from functions that need no Plotly: ``phase_map``, ``over_depth``.
"""

from ntk_prior.plots.phase_diagram import plot_phase_diagram
from ntk_prior.plots.spectrum_figure import plot_spectrum

__all__ = ["plot_phase_diagram", "plot_spectrum"]
