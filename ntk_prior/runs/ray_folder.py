"""A Run from the folder of a Ray Tune experiment: from its JSON files alone, never its pickles, and without Ray."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from ntk_prior.checks import require_choice, shown
from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.judgement import ask
from ntk_prior.decision.records import ATTRIBUTE, Record
from ntk_prior.decision.trust import Evidence
from ntk_prior.files import expecting, parsed_json, read_bytes, read_json
from ntk_prior.prior import NTKPrior
from ntk_prior.runs.calibration_check import look_up
from ntk_prior.runs.run import NEVER_LAUNCHED, Row, Run
from ntk_prior.runs.trial import RunTrial

REJECTIONS = "ntk_rejections.jsonl"
"""Where ``NTKPriorCallback`` writes refused proposals, in the experiment's folder, one JSON object a line."""

STATES = "experiment_state-{}.json"
"""Ray's files in the experiment's folder: what it knows of its trials, by the time when it began or was restored."""

PARAMS, RESULTS, ERROR = "params.json", "result.json", "error.txt"
"""Ray's files in a trial's folder: its configuration, a result on each line, and how it failed."""

LARGEST = 2**28
"""Bytes of the largest file of an experiment that is read."""


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


def read_experiment(folder: Path, metric: str | None, mode: str, prior: NTKPrior | None = None, **known: Any) -> Run:
    """Read an experiment.

    Args:
        folder: That of the experiment, with one folder for each trial.
        metric: What trials are compared by, with slashes for a nested one; None for what the experiment says itself.
        mode: ``"min"`` or ``"max"``.
        prior: Says why it let configurations through, which is not in the results.
        **known: Other fields of ``Run``.

    Raises:
        ValueError: If there is no such experiment or metric, or ``mode`` is neither.
    """
    require_choice("mode", mode, ("min", "max"))
    state = _read_state(folder)
    trials = sorted(_read_trials(folder, state), key=lambda trial: trial.began)
    name = _find_metric(trials, metric, state.metric)
    rows = [_launched_row(trial, name, prior) for trial in trials]
    refused = [_refused_row(one) for one in read_refused_proposals(folder)]
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


def read_refused_proposals(folder: Path) -> list[dict[str, Any]]:
    """Refused proposals of a Ray Tune experiment, in their order.

    Raises:
        ValueError: If the file holds anything else.
    """
    path = folder / REJECTIONS
    if not path.exists():
        return []
    with expecting("a refused proposal on each line, as a JSON object", path, "remove the lines that are none"):
        found = read_json_lines(path)
        for one in found:
            if not isinstance(one["config"], dict) or not is_number(one["score"]):
                raise TypeError(f"a line holds {shown(one)}")
        return found


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file's lines; half a line at its end is passed over, since it may just be written."""
    *lines, end = read_bytes(path, LARGEST).split(b"\n")
    found = [parsed_json(line.decode("utf-8")) for line in lines if line.strip()]
    if end.strip():
        with suppress(json.JSONDecodeError, UnicodeDecodeError):
            found.append(parsed_json(end.decode("utf-8")))
    if not all(isinstance(one, dict) for one in found):
        raise TypeError("a line holds something else")
    return found


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value can be compared."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


class _State(NamedTuple):
    """What the experiment's own state tells: id and status of each trial by its folder, and the metric."""

    trials: Mapping[str, tuple[str, str]]
    metric: object


def _read_state(folder: Path) -> _State:
    paths = sorted(folder.glob(STATES.format("*")))
    if not paths:
        return _State({}, None)
    with expecting("the state of a Ray Tune experiment", paths[-1], "take it from a copy, or remove it"):
        content = read_json(paths[-1], LARGEST)
        trials = [parsed_json(state) for state, _ in content["trial_data"]]
        known = {str(one["relative_logdir"]): (str(one["trial_id"]), str(one["status"]).lower()) for one in trials}
        return _State(known, content["runner_data"].get("_metric"))


def _read_trials(folder: Path, state: _State) -> list[_Trial]:
    paths = sorted(folder.glob(f"*/{PARAMS}"))
    if not paths:
        inside = sorted(path.parent.name for path in folder.glob(f"*/{STATES.format('*')}"))
        advice = f"take one of the folders inside: {', '.join(inside)}" if inside else "see that trials have begun"
        raise ValueError(
            f"folder: expected the folder of a Ray Tune experiment, with a folder for each trial, received "
            f"{str(folder)!r}: {advice}"
        )
    return [
        _read_trial(path, *state.trials.get(path.parent.name, (path.parent.name, "not finished"))) for path in paths
    ]


def _read_trial(path: Path, name: str, status: str) -> _Trial:
    with expecting("a trial's parameters as a JSON object", path, "remove the trial's folder"):
        config = read_json(path)
    results = path.with_name(RESULTS)
    last: Mapping[str, Any] = {}
    if results.exists():
        with expecting("a result on each line, as a JSON object", results, "remove the trial's folder"):
            found = read_json_lines(results)
            last = found[-1] if found else {}
    if path.with_name(ERROR).exists():
        status = "error"
    elif last.get("done"):
        status = "terminated"
    return _Trial(name, config, last, status)


def _find_metric(trials: list[_Trial], metric: str | None, usual: object) -> str:
    name = metric or usual
    if isinstance(name, str) and (not trials or any(look_up(trial.result, name) is not None for trial in trials)):
        return name
    names = sorted({key for trial in trials for key, value in trial.result.items() if is_number(value)})
    raise ValueError(
        f"metric: expected the name of a metric in the results, such as {', '.join(names) or 'accuracy'}, received "
        f"{name!r}: say which one trials are compared by"
    )


def _launched_row(trial: _Trial, metric: str, prior: NTKPrior | None) -> Row:
    said = trial.result.get(ATTRIBUTE)
    said = said if isinstance(said, Mapping) else {}
    value = look_up(trial.result, metric)
    drawn, score, seconds = said.get("drawn"), said.get("score"), trial.result.get("time_total_s")
    plotted = RunTrial(
        trial.config,
        verdict=None if said.get("verdict") is None else str(said["verdict"]),
        score=float(score) if is_number(score) else None,
        drawn=Drawn(drawn) if drawn in list(Drawn) else None,
        outcome=float(value) if is_number(value) and not trial.failed else None,
        name=f"trial {trial.name}",
        failed=trial.failed,
        seconds=float(seconds) if is_number(seconds) else None,
    )
    reason = "" if prior is None or plotted.verdict is None else ask(prior, trial.config).reason
    return Row(plotted, trial.config, state=trial.state, reason=reason, measured=trial.result)


def _refused_row(one: Mapping[str, Any]) -> Row:
    name = f"refused {one.get('refused_before', '')}".strip()
    plotted = RunTrial(one["config"], verdict=str(one["verdict"]), score=float(one["score"]), launched=False, name=name)
    return Row(plotted, one["config"], state=NEVER_LAUNCHED, reason=str(one.get("reason", "")))


def _evidence(trial: RunTrial, *, maximize: bool) -> Evidence | None:
    if trial.drawn is None or trial.verdict is None:
        return None
    value = math.nan if trial.outcome is None else trial.outcome
    loss = (-value if maximize else value) if math.isfinite(value) else math.inf
    return Record(trial.score, trial.verdict, "", trial.drawn).as_evidence((loss,))


def _number(value: Any, otherwise: float) -> float:
    return float(value) if is_number(value) else otherwise
