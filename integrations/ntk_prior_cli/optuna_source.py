"""An Optuna study, as the report takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna

from ntk_prior import NTKPrior
from ntk_prior.decision import ATTRIBUTE
from ntk_prior.runs import Run
from ntk_prior_cli.optuna_storage import NOTES
from ntk_prior_optuna.run import objective_goal, read_run, settings_of

_LONGEST = 500


def run_of_study(
    study: optuna.Study,
    objective: int | None,
    *,
    prior: NTKPrior | None = None,
    outcome_name: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> Run:
    """A study as the report takes it.

    Args:
        study: The study.
        objective: Which of its objectives counts, from 0; None if it has one.
        prior: Draws the map, if it is at hand.
        outcome_name: What trials reach; None for what the study calls it.
        facts: What else is known of the run.

    Raises:
        ValueError: If there is no such objective, or several and none is given.
    """
    compared = objective_goal(study, _objective(study, objective), outcome_name)
    return read_run(study, compared, prior, hindsight=False, facts={**_facts(study), **(facts or {})})


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


def _facts(study: optuna.Study) -> dict[str, str]:
    """What a study's users noted about it."""
    notes = study.user_attrs.get(NOTES)
    notes = {str(name): _text(value) for name, value in notes.items()} if isinstance(notes, Mapping) else {}
    others = {name: value for name, value in study.user_attrs.items() if name not in (NOTES, ATTRIBUTE)}
    others = {f"User attribute {name}": _text(value) for name, value in others.items()}
    settings = {_named(name): _text(value) for name, value in settings_of(study).items() if value is not None}
    return {**settings, **notes, **others}


def _named(setting: str) -> str:
    return setting.replace("_", " ").capitalize()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
