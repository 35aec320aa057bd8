"""A Ray Tune experiment, as the report takes it: its folder's JSON files alone, never its pickles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ntk_prior import NTKPrior, PlottedTrial
from ntk_prior.evidence import Evidence
from ntk_prior.files import expecting, parsed_json, read_json
from ntk_prior.screening import Drawn, Record, judge
from ntk_prior_cli.json_lines import LARGEST, REJECTIONS, is_number, json_objects, refused_proposals
from ntk_prior_cli.measures import entry
from ntk_prior_report import Row, Run

RECORD = "ntk_prior"
"""The results' entry with what the prior said."""


class _Trial(NamedTuple):
    """What is known of a trial.

    Attributes:
        name: Its id, or its folder's name.
        config: Its configuration.
        result: Its last result; empty for none.
        state: What became of it, in words.
    """

    name: str
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    state: str

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self.state == "error"

    @property
    def finished(self) -> bool:
        """Whether it ended."""
        return self.state in ("error", "terminated")

    @property
    def ended(self) -> float:
        """When the last result came; infinity for none."""
        return _number(self.result.get("timestamp"), math.inf)

    @property
    def began(self) -> float:
        """When it started."""
        return self.ended - _number(self.result.get("time_total_s"), 0.0)


def run_of_experiment(
    folder: Path, metric: str | None, mode: str | None, prior: NTKPrior | None = None, **known: Any
) -> Run:
    """An experiment as the report takes it.

    Args:
        folder: That of the experiment, with one folder for each trial.
        metric: What trials are compared by; None for what the experiment says itself.
        mode: ``"min"`` or ``"max"``.
        prior: Says why it let configurations through, which is not in the results.
        **known: Other fields of ``Run``.

    Raises:
        ValueError: If there is no such experiment or metric.
    """
    state = _state(folder)
    trials = sorted(_trials(folder, state), key=lambda trial: trial.began)
    if mode is None:
        raise ValueError(
            "--mode: expected min or max for the folder of a Ray Tune experiment, received None: say whether smaller "
            "or larger values of the metric are better"
        )
    name = _metric(trials, metric, state.metric)
    rows = [_launched(trial, name, prior) for trial in trials]
    refused = [_refused(one) for one in refused_proposals(folder)]
    finished = sorted((trial.ended, k) for k, trial in enumerate(trials) if trial.finished)
    evidence = [_evidence(rows[k].trial, maximize=mode == "max") for _, k in finished]
    return Run(
        folder.resolve().name,
        "Ray Tune",
        [*rows, *refused],
        **{
            "outcome_name": name,
            "maximize": mode == "max",
            "evidence": [one for one in evidence if one is not None],
            "refused_in": REJECTIONS if (folder / REJECTIONS).exists() else None,
            "prior": prior,
            **known,
        },
    )


class _State(NamedTuple):
    """What the experiment's own state tells: id and status of each trial by its folder, and the metric."""

    trials: Mapping[str, tuple[str, str]]
    metric: object


def _state(folder: Path) -> _State:
    paths = sorted(folder.glob("experiment_state-*.json"))
    if not paths:
        return _State({}, None)
    with expecting("the state of a Ray Tune experiment", paths[-1], "take it from a copy, or remove it"):
        content = read_json(paths[-1], LARGEST)
        trials = [parsed_json(state) for state, _ in content["trial_data"]]
        known = {str(one["relative_logdir"]): (str(one["trial_id"]), str(one["status"]).lower()) for one in trials}
        return _State(known, content["runner_data"].get("_metric"))


def _trials(folder: Path, state: _State) -> list[_Trial]:
    paths = sorted(folder.glob("*/params.json"))
    if not paths:
        inside = sorted(path.parent.name for path in folder.glob("*/experiment_state-*.json"))
        advice = f"take one of the folders inside: {', '.join(inside)}" if inside else "see that trials have begun"
        raise ValueError(
            f"STUDY: expected the folder of a Ray Tune experiment, with a folder for each trial, received "
            f"{str(folder)!r}: {advice}, or give --storage for a study of Optuna's"
        )
    return [_trial(path, *state.trials.get(path.parent.name, (path.parent.name, "not finished"))) for path in paths]


def _trial(path: Path, name: str, status: str) -> _Trial:
    with expecting("a trial's parameters as a JSON object", path, "remove the trial's folder"):
        config = read_json(path)
    results = path.with_name("result.json")
    last: Mapping[str, Any] = {}
    if results.exists():
        with expecting("a result on each line, as a JSON object", results, "remove the trial's folder"):
            found = json_objects(results)
            last = found[-1] if found else {}
    if path.with_name("error.txt").exists():
        status = "error"
    elif last.get("done"):
        status = "terminated"
    return _Trial(name, config, last, status)


def _metric(trials: list[_Trial], metric: str | None, usual: object) -> str:
    name = metric or usual
    if isinstance(name, str) and (not trials or any(entry(trial.result, name) is not None for trial in trials)):
        return name
    names = sorted({key for trial in trials for key, value in trial.result.items() if is_number(value)})
    raise ValueError(
        f"--metric: expected the name of a metric in the results, such as {', '.join(names) or 'accuracy'}, received "
        f"{name!r}: say which one trials are compared by"
    )


def _launched(trial: _Trial, metric: str, prior: NTKPrior | None) -> Row:
    said = trial.result.get(RECORD)
    said = said if isinstance(said, Mapping) else {}
    value = entry(trial.result, metric)
    drawn, score, seconds = said.get("drawn"), said.get("score"), trial.result.get("time_total_s")
    plotted = PlottedTrial(
        trial.config,
        verdict=None if said.get("verdict") is None else str(said["verdict"]),
        score=float(score) if is_number(score) else None,
        drawn=Drawn(drawn) if drawn in list(Drawn) else None,
        outcome=float(value) if is_number(value) and not trial.failed else None,
        name=f"trial {trial.name}",
        failed=trial.failed,
        seconds=float(seconds) if is_number(seconds) else None,
    )
    reason = "" if prior is None or plotted.verdict is None else judge(prior, trial.config).reason
    return Row(plotted, trial.config, state=trial.state, reason=reason, measured=trial.result)


def _refused(one: Mapping[str, Any]) -> Row:
    name = f"refused {one.get('refused_before', '')}".strip()
    plotted = PlottedTrial(
        one["config"], verdict=str(one["verdict"]), score=float(one["score"]), launched=False, name=name
    )
    return Row(plotted, one["config"], state="never launched", reason=str(one.get("reason", "")))


def _evidence(trial: PlottedTrial, *, maximize: bool) -> Evidence | None:
    if trial.drawn is None or trial.verdict is None:
        return None
    value = math.nan if trial.outcome is None else trial.outcome
    loss = (-value if maximize else value) if math.isfinite(value) else math.inf
    return Record(trial.score, trial.verdict, "", trial.drawn).as_evidence((loss,))


def _number(value: Any, otherwise: float) -> float:
    return float(value) if is_number(value) else otherwise
