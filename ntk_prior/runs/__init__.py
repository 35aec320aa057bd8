"""What a prior did in a study or an experiment, in numbers: no pictures, no tuner. For authors of adapters.

An adapter turns what its tuner keeps of its trials into a ``Run``, in one pass: a ``Row`` for each trial and for each
refused proposal, and the ``Evidence`` of the finished ones. All numbers, figures and reports are functions of the run.

For example, three trials and a proposal that was refused before the last of them:

    >>> from ntk_prior.decision import Drawn
    >>> from ntk_prior.runs import NEVER_LAUNCHED, Row, Run, RunTrial, summarize
    >>> def row(depth, score, drawn, outcome):
    ...     verdict = "feasible" if score > 0.3 else "untrainable"
    ...     trial = RunTrial({"depth": depth}, verdict, score, drawn, outcome=outcome)
    ...     return Row(trial, trial.config, state="complete")
    >>> refused = RunTrial({"depth": 64}, "untrainable", 0.1, launched=False)
    >>> rows = [
    ...     row(3, 0.9, Drawn.SCREENED, outcome=0.8),
    ...     row(50, 0.1, Drawn.PLAIN, outcome=0.1),
    ...     row(5, 0.8, Drawn.SCREENED, outcome=0.7),
    ...     Row(refused, refused.config, state=NEVER_LAUNCHED),
    ... ]
    >>> summary = summarize(Run("my study", "My tuner", rows, outcome_name="accuracy", maximize=True))
    >>> summary.launched, summary.refused, summary.audited, summary.best.trial.outcome
    (3, 1, 1, 0.8)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntk_prior.runs.calibration_check import MetricNames, check_calibration
    from ntk_prior.runs.hindsight import Hindsight, in_hindsight
    from ntk_prior.runs.intervals import Interval
    from ntk_prior.runs.ray_folder import read_experiment
    from ntk_prior.runs.run import NEVER_LAUNCHED, UNFINISHED, Row, Run
    from ntk_prior.runs.savings import Savings, compute_savings
    from ntk_prior.runs.scored_outcomes import ScoredOutcomes, score_outcomes
    from ntk_prior.runs.summary import Notice, Summary, VerdictCount, summarize
    from ntk_prior.runs.trial import Fate, RunTrial
    from ntk_prior.runs.trust_series import TrustSeries, compute_trust_series

_HOMES = {
    "Fate": "trial",
    "Hindsight": "hindsight",
    "Interval": "intervals",
    "MetricNames": "calibration_check",
    "NEVER_LAUNCHED": "run",
    "Notice": "summary",
    "Row": "run",
    "Run": "run",
    "RunTrial": "trial",
    "Savings": "savings",
    "ScoredOutcomes": "scored_outcomes",
    "Summary": "summary",
    "TrustSeries": "trust_series",
    "UNFINISHED": "run",
    "VerdictCount": "summary",
    "check_calibration": "calibration_check",
    "compute_savings": "savings",
    "compute_trust_series": "trust_series",
    "in_hindsight": "hindsight",
    "read_experiment": "ray_folder",
    "score_outcomes": "scored_outcomes",
    "summarize": "summary",
}
"""The module of each name. Names are loaded when they are used: SciPy's statistics take seconds to import."""

__all__ = [
    "NEVER_LAUNCHED",
    "UNFINISHED",
    "Fate",
    "Hindsight",
    "Interval",
    "MetricNames",
    "Notice",
    "Row",
    "Run",
    "RunTrial",
    "Savings",
    "ScoredOutcomes",
    "Summary",
    "TrustSeries",
    "VerdictCount",
    "check_calibration",
    "compute_savings",
    "compute_trust_series",
    "in_hindsight",
    "read_experiment",
    "score_outcomes",
    "summarize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
