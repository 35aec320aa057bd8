"""A study's trials as figures take them, and what else a study knows of its prior."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior.checks import shown
from ntk_prior.decision import ATTRIBUTE, Drawn, Evidence, Prior, Record, ask
from ntk_prior.plots.axes import Axis
from ntk_prior.plots.slices import map_axes
from ntk_prior.runs.trial import RunTrial, in_fields
from ntk_prior_optuna.history import evidence_of, refused_before, was_refused
from ntk_prior_optuna.sampler import found_in

Target = Callable[[FrozenTrial], float]


class Goal(NamedTuple):
    """What a study's trials are compared by.

    Attributes:
        of: The value of a complete trial.
        maximize: Whether larger ones are better.
        name: What it is called.
    """

    of: Target
    maximize: bool
    name: str


def goal(study: optuna.Study, target: Target | None, target_name: str) -> Goal:
    """What trials are compared by, in the way of Optuna's own figures.

    A target is compared in the direction of the objective that it returns; in that of the first one if it returns
    none of them.

    Raises:
        TypeError: If ``target`` is not callable.
        ValueError: If there are several objectives and no target.
    """
    if target is None:
        if len(study.directions) > 1:
            raise ValueError(
                "target: expected a function of a trial, such as lambda trial: trial.values[0], since the study has "
                f"{len(study.directions)} objectives, received None"
            )
        return Goal(_value, study.directions[0] == StudyDirection.MAXIMIZE, target_name)
    if not callable(target):
        raise TypeError(f"target: expected a function of a trial, received {shown(target)}")
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    same = (k for k in range(len(study.directions)) if all(target(trial) == trial.values[k] for trial in complete))
    return Goal(target, study.directions[next(same, 0)] == StudyDirection.MAXIMIZE, target_name)


def _value(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def plotted_trials(
    study: optuna.Study, *, target: Target | None = None, prior: NTKPrior | None = None
) -> list[RunTrial]:
    """The trials of a study that have parameters, by number, and then the draws that were refused before them.

    Args:
        study: The study.
        target: The outcome of a complete trial; None for the objective's value.
        prior: Translates parameters by its ``to_architecture``, and judges afterwards the trials of which the study
            has no note; None where parameters carry the theory's names, and to leave such trials unjudged.

    Raises:
        TypeError, ValueError: As for ``goal``.
    """
    outcome = goal(study, target, "").of
    trials = study.get_trials(deepcopy=False)
    launched = [plotted_trial(trial, outcome, prior) for trial in trials if trial.params]
    refused = [one for trial in trials for one in plotted_refusals(trial, prior)]
    return [*launched, *refused]


def plotted_refusals(trial: FrozenTrial, prior: NTKPrior | None = None) -> list[RunTrial]:
    """The draws that were refused before a trial, as far as they are kept."""
    return [
        RunTrial(
            in_fields(dict(draw.config), prior),
            verdict=draw.verdict,
            score=draw.score,
            launched=False,
            name=f"refused {k} before trial {trial.number}",
        )
        for k, draw in enumerate(refused_before(trial), 1)
    ]


def plotted_trial(trial: FrozenTrial, outcome: Target, prior: NTKPrior | None = None) -> RunTrial:
    """One trial, with its outcome if it is complete; ``prior`` as for ``plotted_trials``."""
    trial = with_record(trial, prior)
    record = Record.from_json(trial.user_attrs.get(ATTRIBUTE))
    refused = record is not None and was_refused(trial, record)
    complete = trial.state == TrialState.COMPLETE
    return RunTrial(
        in_fields(trial.params, prior),
        verdict=None if record is None else record.verdict,
        score=None if record is None else record.score,
        drawn=None if record is None else record.drawn,
        launched=not refused,
        outcome=float(outcome(trial)) if complete else None,
        name=f"trial {trial.number}",
        failed=not refused and trial.state in (TrialState.FAIL, TrialState.PRUNED),
        seconds=None if refused or trial.duration is None else trial.duration.total_seconds(),
        gated=record is not None and (record.gated or refused),
    )


def with_record(trial: FrozenTrial, prior: Prior | None) -> FrozenTrial:
    """The trial itself; one of which the study has no note, with what a prior says of it now."""
    if prior is None or not trial.params or Record.from_json(trial.user_attrs.get(ATTRIBUTE)) is not None:
        return trial
    noted = copy(trial)
    record = Record.from_judgement(ask(prior, trial.params), Drawn.UNSEEN)
    noted.user_attrs = {**trial.user_attrs, ATTRIBUTE: record.to_json()}
    return noted


def has_records(study: optuna.Study) -> bool:
    """Whether the prior has said something of any trial."""
    trials = study.get_trials(deepcopy=False)
    return any(Record.from_json(trial.user_attrs.get(ATTRIBUTE)) is not None for trial in trials)


def evidence(study: optuna.Study, compared: Goal | None = None, prior: Prior | None = None) -> list[Evidence]:
    """What each finished trial says about the prior, in their order.

    Args:
        study: The study.
        compared: By what the trials are compared; None for all objectives, as the sampler does.
        prior: Judges afterwards the trials of which the study has no note; None to leave them out.
    """
    found = []
    for trial in study.get_trials(deepcopy=False):
        one = evidence_of(with_record(trial, prior), study.directions) if trial.state.is_finished() else None
        if one is not None and compared is not None and trial.state == TrialState.COMPLETE:
            one = one._replace(losses=((-1.0 if compared.maximize else 1.0) * float(compared.of(trial)),))
        elif one is not None and compared is not None:
            one = one._replace(losses=(math.inf,))
        if one is not None:
            found.append(one)
    return found


def threshold_of(study: optuna.Study) -> float:
    """The threshold of the study's ``NTKPriorSampler``, of the one that ran it, or the usual one."""
    own = found_in(study.sampler)
    if own is not None:
        return own.screen.threshold
    noted = settings_of(study).get("threshold")
    return float(noted) if isinstance(noted, float | int) else DEFAULT_THRESHOLD


def settings_of(study: optuna.Study) -> Mapping[str, Any]:
    """What the study keeps of its ``NTKPriorSampler``; empty if it had none."""
    noted = study.user_attrs.get(ATTRIBUTE)
    return noted if isinstance(noted, Mapping) else {}


def prior_of(study: optuna.Study) -> NTKPrior | None:
    """The prior of the study's ``NTKPriorSampler``; None where it has none, or one of another kind."""
    own = found_in(study.sampler)
    return own.prior if own is not None and isinstance(own.prior, NTKPrior) else None


def logarithmic(study: optuna.Study) -> dict[str, bool]:
    """The numeric parameters of a study, and whether its search space is logarithmic in them."""
    return {
        name: bool(distribution.log)
        for trial in study.get_trials(deepcopy=False)
        for name, distribution in trial.distributions.items()
        if isinstance(distribution, FloatDistribution | IntDistribution)
    }


class StudyMap(NamedTuple):
    """What a map of a study shows.

    Attributes:
        trials: Its trials.
        x, y: Two of their parameters.
        prior: Says what is below them; None where it is not at hand.
        compared: What gives trials their colour.
    """

    trials: Sequence[RunTrial]
    x: Axis
    y: Axis
    prior: NTKPrior | None
    compared: Goal


def study_map(
    study: optuna.Study, target: Target | None, target_name: str, prior: NTKPrior | None, params: Sequence[str] | None
) -> StudyMap | str:
    """What a map of a study shows, or why it shows nothing.

    Args:
        study, target, target_name, prior, params: As for ``plot_feasibility``.

    Raises:
        TypeError, ValueError: As for ``goal`` and ``map_axes``.
    """
    compared = goal(study, target, target_name)
    used = prior or prior_of(study)
    if used is None and not has_records(study):
        return f"{NO_RECORDS} {HINDSIGHT}"
    trials = plotted_trials(study, target=target, prior=used)
    axes = map_axes(trials, logarithmic(study), params)
    return NO_AXES if axes is None else StudyMap(trials, *axes, used, compared)


_logger = optuna.logging.get_logger("optuna.ntk_prior")

NO_RECORDS = "No trial of this study was judged by the prior: run it with NTKPriorSampler or prune_if_infeasible."
HINDSIGHT = "Give the prior as well to see what it says in hindsight."
NO_SCORES = "No finished trial of this study has a score of the prior."
NO_AXES = "A map needs two numeric parameters, which this study does not have."


def no_scores(prior: object) -> str:
    """What is said where no finished trial has a score: how to get some, where no prior was given."""
    return NO_SCORES if prior is not None else f"{NO_SCORES} {HINDSIGHT}"


def warn(words: str) -> None:
    """Say it in the log too, as Optuna's own figures do."""
    _logger.warning(words)
