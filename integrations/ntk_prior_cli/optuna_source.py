"""An Optuna study, as the report takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from ntk_prior.decision import ATTRIBUTE, Record
from ntk_prior.report import Row, Run
from ntk_prior.runs.trial import RunTrial
from ntk_prior_cli.optuna_storage import NOTES
from ntk_prior_optuna.history import refused_before
from ntk_prior_optuna.run import evidence, logarithmic, plotted_refusals, plotted_trial, settings_of, threshold_of

_LONGEST = 500


def run_of_study(study: optuna.Study, objective: int | None, **known: Any) -> Run:
    """A study as the report takes it.

    Args:
        study: The study.
        objective: Which of its objectives counts, from 0; None if it has one.
        **known: Other fields of ``Run``.

    Raises:
        ValueError: If there is no such objective, or several and none is given.
    """
    chosen = _objective(study, objective)
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.params]
    launched = [_row(trial, plotted_trial(trial, lambda one: float(one.values[chosen]))) for trial in trials]
    refused = [
        Row(one, draw.config, state="never launched", reason=draw.reason)
        for trial in trials
        for one, draw in zip(plotted_refusals(trial), refused_before(trial), strict=True)
    ]
    names = study.metric_names or ["objective value"] * len(study.directions)
    return Run(
        study.study_name,
        f"Optuna {optuna.__version__}",
        [*launched, *refused],
        **{
            "outcome_name": names[chosen],
            "maximize": study.directions[chosen] == StudyDirection.MAXIMIZE,
            "evidence": evidence(study),
            "threshold": threshold_of(study),
            "refused_in": "the study" if settings_of(study) else None,
            "log": logarithmic(study),
            **known,
            "facts": {**_facts(study, trials), **known.get("facts", {})},
        },
    )


def _objective(study: optuna.Study, objective: int | None) -> int:
    count = len(study.directions)
    if objective is None and count == 1:
        return 0
    if objective is None or not 0 <= objective < count:
        raise ValueError(
            f"--objective: expected a number from 0 to {count - 1}, since the study has {count} objectives, received "
            f"{objective}: say which one trials are compared by"
        )
    return objective


def _row(trial: FrozenTrial, plotted: RunTrial) -> Row:
    record = Record.from_json(trial.user_attrs.get(ATTRIBUTE))
    return Row(
        plotted,
        trial.params,
        state=trial.state.name.lower() if plotted.launched else "stopped before training",
        reason="" if record is None else str(record.reason),
        measured=trial.user_attrs,
    )


def _facts(study: optuna.Study, trials: list[FrozenTrial]) -> dict[str, str]:
    """When the study ran, and what its users noted about it."""
    begun = [trial.datetime_start for trial in trials if trial.datetime_start is not None]
    ended = [trial.datetime_complete for trial in trials if trial.datetime_complete is not None]
    ran = f"{min(begun):%Y-%m-%d %H:%M} to {max(ended):%Y-%m-%d %H:%M}" if begun and ended else ""
    own = study.user_attrs.get(NOTES)
    own = {str(name): _text(value) for name, value in own.items()} if isinstance(own, Mapping) else {}
    told = {name: value for name, value in study.user_attrs.items() if name not in (NOTES, ATTRIBUTE)}
    noted = {f"User attribute {name}": _text(value) for name, value in told.items()}
    settings = {_named(name): _text(value) for name, value in settings_of(study).items() if value is not None}
    return {**({"Trials ran": ran} if ran else {}), **settings, **own, **noted}


def _named(setting: str) -> str:
    return setting.replace("_", " ").capitalize()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
