"""What the prior did, on the study's page of optuna-dashboard (extra ``dashboard``)."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

try:
    from optuna_dashboard import get_note, save_note, save_plotly_graph_object
except ModuleNotFoundError as error:
    if error.name != "optuna_dashboard":
        raise
    raise ImportError(
        "ntk_prior_optuna.dashboard needs optuna-dashboard, which is not installed: pip install 'ntk-prior[dashboard]'"
    ) from error

import optuna
from optuna.trial import FrozenTrial

from ntk_prior import NTKPrior
from ntk_prior.checks import require_integer, shown
from ntk_prior.decision import EVIDENCE_WINDOW, Evidence, trust_in_view_of, withdrawn_verdicts
from ntk_prior.plots import theme
from ntk_prior.plots.bidi import isolated
from ntk_prior.plots.savings import unscreened_in_words
from ntk_prior.runs import Fate, Run, compute_savings
from ntk_prior_optuna.run import Target, goal, prior_of, read_run
from ntk_prior_optuna.visualization.figures import calibration_of, feasibility_of, savings_of, trust_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEADING = "## What the prior did"
"""Begins the part of the study's note that is written here; what users wrote above it stays."""

TILE = 450
"""Height of a tile on the page, in pixels."""

LINE = 90
"""Characters of a subtitle that a tile holds side by side where it is 500 pixels wide."""

LONG = 300
"""Points that are described one by one at most."""

_logger = optuna.logging.get_logger("optuna.ntk_prior")


class DashboardCallback:
    """Puts figures and a note about the prior on the study's page of optuna-dashboard while the study runs.

        study.optimize(objective, n_trials=100, callbacks=[DashboardCallback(every=10)])

    The page then shows ``plot_feasibility``, ``plot_calibration``, ``plot_savings`` and ``plot_trust``, and below what
    the user wrote in the study's note how many trials had which verdict. With several workers each gives the callback,
    and one of them writes. A figure that cannot be drawn is left out with a warning in the log, since a study must not
    end for a picture.

    Args:
        every: Trials from one writing to the next. Each writes all figures to the storage: more for large studies.
        target: What trials are compared by, as for the figures; needed for several objectives.
        target_name: What that is.
        prior: Draws the map; None for that of the study's ``NTKPriorSampler``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``every`` is less than 1.
    """

    def __init__(
        self,
        every: int = 10,
        *,
        target: Target | None = None,
        target_name: str = "Objective Value",
        prior: NTKPrior | None = None,
    ) -> None:
        if target is not None and not callable(target):
            raise TypeError(f"target: expected a function of a trial or None, received {shown(target)}")
        self.every = require_integer("every", every, 1, 10**9)
        self._target = target
        self._target_name = target_name
        self._prior = prior

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Write after every so many trials.

        Raises:
            ValueError: If there are several objectives and no target.
        """
        if self._target is None:
            goal(study, None, self._target_name)
        if (trial.number + 1) % self.every == 0:
            self.save(study)

    def save(self, study: optuna.Study) -> None:
        """Write now, such as after the last trial.

        Args:
            study: The study; its storage keeps figures and note.
        """
        compared = goal(study, self._target, self._target_name)
        run = read_run(study, compared)
        if not run.was_judged:
            return
        figures: dict[str, Callable[[], go.Figure]] = {
            "feasibility": lambda: feasibility_of(read_run(study, compared, self._prior or prior_of(study))),
            "calibration": lambda: calibration_of(run),
            "savings": lambda: savings_of(run),
            "trust": lambda: trust_of(run, None if self._target is None else self._target_name),
        }
        for name, figure in figures.items():
            try:
                save_plotly_graph_object(study, as_tile(figure()), graph_object_id=f"ntk-prior-{name}")
            except Exception as error:
                _logger.warning(f"optuna-dashboard lacks the figure {name}: {type(error).__name__}: {error}")
        own, _, _ = get_note(study).partition(HEADING)
        # The sampler trusts by all objectives, whatever the figures compare.
        evidence = run.evidence if self._target is None else read_run(study, None).evidence
        save_note(study, f"{own}{note(run, evidence)}")


def as_tile(figure: go.Figure) -> go.Figure:
    """A figure that fits the page's tiles, and that says under the mouse only what costs little.

    The storage keeps figures in small pieces, of which there would be several times as many else.
    """
    figure.update_layout(height=TILE, font_size=11, legend_font_size=10, margin_b=40)
    theme.wrap_title(figure, LINE)
    figure.update_xaxes(title_font_size=11)
    figure.update_yaxes(title_font_size=11)
    figure.update_traces(customdata=None, text=None, hovertemplate=None, hoverinfo="skip", selector={"type": "heatmap"})
    figure.for_each_trace(lambda trace: trace.update(text=None, hoverinfo="x+y"), selector=_is_long)
    return figure


def _is_long(trace: Any) -> bool:
    return trace.type == "scatter" and isinstance(trace.text, tuple) and len(trace.text) > LONG


def note(run: Run, evidence: Sequence[Evidence]) -> str:
    """What the prior did, in Markdown.

    Args:
        run: The study's.
        evidence: What the sampler has heard of its prior.
    """
    trials = run.trials
    savings = compute_savings(trials, threshold=run.threshold, maximize=run.maximize)
    launched = Counter(trial.verdict or "not asked" for trial in trials if trial.launched)
    stopped = Counter(trial.verdict or "not asked" for trial in trials if not trial.launched)
    fates = Counter(trial.fate for trial in trials)
    others = "".join(
        f"- {fates[fate]} launched trials {words}.\n"
        for fate, words in (
            (Fate.UNSEEN, "were drawn before the prior could be asked, and judged afterwards"),
            (Fate.UNJUDGED, "were such that the prior had nothing to say of them"),
            (Fate.UNASKED, "have no note of the prior's"),
        )
        if fates[fate]
    )
    rows = "".join(
        f"| {_plain(verdict)} | {launched[verdict]} | {stopped[verdict]} |\n"
        for verdict in sorted(launched.keys() | stopped.keys())
    )
    recent = evidence[-EVIDENCE_WINDOW:]
    trust = trust_in_view_of(recent, run.threshold)
    gone = "".join(
        f"- **{_plain(verdict)} is withdrawn**: {why}.\n"
        for verdict, why in withdrawn_verdicts(recent, run.threshold).items()
    )
    return (
        f"{HEADING}\n\n"
        f"| verdict | launched | stopped by a gate |\n|---|---|---|\n{rows}\n"
        f"- {savings.audited} launched trials were audited: they bypassed the prior.\n{others}"
        f"- The prior would have refused {savings.held_back} of {unscreened_in_words(savings)}.\n"
        f"- Launches avoided, estimated from these: {savings.avoided}; of these wrongly: {savings.lost}.\n"
        f"- Trust in refusals {trust.refusals:.2f}, in the order of scores {trust.ranking:.2f} "
        f"(1: trials contradict the prior no more than chance would).\n{gone}"
    )


def _plain(text: str) -> str:
    """Text without markup, on one line of a table."""
    return html.escape(isolated(" ".join(text.split()))).replace("|", "&#124;").replace("_", "\\_")
