"""Runs for the tests of the report: a small one, and one whose every name would run a script if it could."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.records import Record
from ntk_prior.report import Row, Run
from ntk_prior.runs.trial import RunTrial

PRIOR = NTKPrior(Task.cifar10(1_000), Budget(steps=500, width=256))
SCRIPT = "</script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 2'><b>bold</b>"


def row(
    number: int,
    params: dict[str, Any],
    score: float,
    verdict: str,
    *,
    drawn: Drawn | None = Drawn.SCREENED,
    launched: bool = True,
    outcome: float | None = None,
    reason: str = "a reason",
) -> Row:
    name = f"trial {number}" if launched else f"refused {number}"
    trial = RunTrial(params, verdict, score, drawn, launched, outcome, name, seconds=10.0 if launched else None)
    return Row(trial, params, "complete" if launched else "never launched", reason)


def small_run(n: int = 60, **known: Any) -> Run:
    """Networks of growing depth: shallow ones are launched, deep ones refused but for audits."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(n):
        params = {"weight_variance": float(rng.uniform(0.5, 4.0)), "bias_variance": 0.05, "depth": 1 + number}
        score = 1.0 - number / n
        verdict = "feasible" if score >= 0.3 else "untrainable"
        audit = number % 10 == 1 or number == n - 1
        launched = score >= 0.3 or audit
        drawn = None if not launched else Drawn.PLAIN if audit else Drawn.SCREENED
        outcome = 0.1 + 0.8 * score if launched else None
        reason = f"depth {params['depth']} is what binds"
        rows.append(row(number, params, score, verdict, drawn=drawn, launched=launched, outcome=outcome, reason=reason))
    return Run("a study", "a tuner", rows, "accuracy", True, evidence_of(rows), refused_in="this run", **known)


def hostile_run() -> Run:
    """Markup wherever a user or a storage can put text."""
    rows = [
        row(
            number,
            {SCRIPT: number, "weight_variance": number / 2, "depth": number, "choice": SCRIPT},
            0.1 * number,
            SCRIPT if number % 2 else "feasible",
            drawn=Drawn.PLAIN,
            outcome=0.1 * number,
            reason=SCRIPT,
        )._replace(state=SCRIPT)
        for number in range(1, 9)
    ]
    rows = [one._replace(trial=one.trial._replace(name=f"{SCRIPT} {k}")) for k, one in enumerate(rows)]
    facts = {SCRIPT: SCRIPT}
    return Run(SCRIPT, SCRIPT, rows, SCRIPT, True, evidence_of(rows), refused_in=SCRIPT, facts=facts)


def evidence_of(rows: list[Row]) -> list[Any]:
    """What launched trials say about the prior."""
    records = [
        (Record(one.trial.score, str(one.trial.verdict), "", one.trial.drawn), one.trial.outcome)
        for one in rows
        if one.trial.launched and one.trial.drawn is not None
    ]
    return [record.as_evidence((-(outcome or 0.0),)) for record, outcome in records]


def written(run: Run, folder: Path) -> str:
    """The page of a run, as a URL."""
    from ntk_prior.report import write_page

    path = folder / "report.html"
    write_page(run, path)
    return path.as_uri()


def content(html: str, name: str) -> Any:
    """The JSON of one of the page's blocks."""
    begin = html.index(f'id="{name}">') + len(f'id="{name}">')
    return json.loads(html[begin : html.index("</script>", begin)])
