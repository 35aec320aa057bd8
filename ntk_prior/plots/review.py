"""A prior in hindsight, with its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ntk_prior.plots.run_map import map_of_run
from ntk_prior.plots.scored_outcomes import scored_outcomes_figure
from ntk_prior.plots.slices import map_axes
from ntk_prior.plots.trust import trust_figure
from ntk_prior.runs.hindsight import Hindsight
from ntk_prior.runs.scored_outcomes import score_outcomes
from ntk_prior.runs.trust_series import compute_trust_series

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Review(Hindsight):
    """What a prior says of finished trials in hindsight, next to what became of them.

    ``print(review)`` says it in words.
    """

    def plot_feasibility(self, params: Sequence[str] | None = None) -> go.Figure:
        """The trials over two parameters, above what the prior says there; those that it would have refused framed.

        Args:
            params: The two parameters, horizontal and vertical; None for those that the theory knows best.

        Raises:
            ImportError: If Plotly is not installed.
            ValueError: If ``params`` are not two numeric parameters, or there are no two.
        """
        axes = map_axes(self.trials, self.log, params)
        if axes is None:
            raise ValueError("params: expected trials with two numeric parameters, received fewer: there is no map")
        return map_of_run(self.prior, self.trials, *axes, self.outcome_name, self.threshold).figure

    def plot_calibration(self, good_from: float | None = None) -> go.Figure:
        """Scores in hindsight against outcomes, and how often a score came true.

        Args:
            good_from: The outcome from which a trial counts as good; None for halfway from the worst to the best.

        Raises:
            ImportError: If Plotly is not installed.
            ValueError: If no trial has both a score and an outcome.
        """
        found = score_outcomes(self.trials, maximize=self.maximize, good_from=good_from)
        if not found.trials:
            raise ValueError(f"trials: expected one that the prior has a score of, received none: {self.silent.reason}")
        return scored_outcomes_figure(found, self.outcome_name, self.threshold)

    def plot_trust(self) -> go.Figure:
        """How far the prior would have been believed as trials finished.

        Raises:
            ImportError: If Plotly is not installed.
        """
        return trust_figure(compute_trust_series(self.evidence, self.threshold))
