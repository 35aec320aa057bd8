"""A study as figures, reports and reviews take it: one pass over its trials makes a ``Run``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ntk_prior import DEFAULT_THRESHOLD, NTKPrior
from ntk_prior.checks import shown
from ntk_prior.decision import ATTRIBUTE, Drawn, Evidence, Record, ask
from ntk_prior.runs import NEVER_LAUNCHED, Row, Run, RunTrial
from ntk_prior_optuna.history import evidence_of, record_of, refused_before, was_refused
from ntk_prior_optuna.sampler import found_in

Target = Callable[[FrozenTrial], float]


class Goal(NamedTuple):
    """What a study's trials are compared by.

    Attributes:
        of: The value of a complete trial.
        maximize: Whether larger ones are better.
        name: What it is called.
        is_target: Whether the user has given it, so that evidence about the prior goes by it as well, and not by all
            objectives, as the sampler's does.
    """

    of: Target
    maximize: bool
    name: str
    is_target: bool = False


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
    return Goal(target, study.directions[next(same, 0)] == StudyDirection.MAXIMIZE, target_name, is_target=True)


def objective_goal(study: optuna.Study, objective: int, name: str | None = None) -> Goal:
    """What trials are compared by where one of a study's objectives is chosen.

    Args:
        study: The study.
        objective: Its number, from 0.
        name: What it is called; None for what the study calls it.
    """
    names = study.metric_names or ["objective value"] * len(study.directions)
    maximize = study.directions[objective] == StudyDirection.MAXIMIZE
    return Goal(lambda trial: float(trial.values[objective]), maximize, name or names[objective])


def _value(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def read_run(
    study: optuna.Study,
    compared: Goal | None,
    prior: NTKPrior | None = None,
    *,
    hindsight: bool = True,
    facts: Mapping[str, object] | None = None,
) -> Run:
    """Read a study, each trial once.

    Args:
        study: The study.
        compared: What its trials are compared by; None to leave their outcomes out.
        prior: Draws maps and translates parameters by its ``to_architecture``; None where it is not at hand.
        hindsight: Whether the prior judges the trials of which the study has no note.
        facts: What else is known of the run.

    Returns:
        The trials that have parameters, by number, then the draws that were refused before them.
    """
    launched: list[Row] = []
    refused: list[Row] = []
    evidence: list[Evidence] = []
    log: dict[str, bool] = {}
    judge = prior if hindsight else None
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        record = _record(trial, judge)
        if trial.params:
            launched.append(_row(trial, record, compared))
        refused += _refused_rows(trial)
        fresh = _evidence(trial, record, study.directions, compared)
        if fresh is not None:
            evidence.append(fresh)
        log.update(_logarithmic(trial))
    return Run(
        study.study_name,
        f"Optuna {optuna.__version__}",
        [*launched, *refused],
        outcome_name="" if compared is None else compared.name,
        maximize=compared is not None and compared.maximize,
        evidence=evidence,
        threshold=threshold_of(study),
        refused_in="the study" if settings_of(study) else None,
        prior=prior,
        facts={**_times(trials), **(facts or {})},
        log=log,
    )


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
        TypeError: If ``target`` is not callable.
        ValueError: If there are several objectives and no target.

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> from ntk_prior_optuna import NTKPriorSampler
        >>> from ntk_prior_optuna.visualization import plotted_trials
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> study = optuna.create_study(direction="maximize", sampler=NTKPriorSampler(prior, seed=0))
        >>> def objective(trial):
        ...     trial.suggest_float("weight_variance", 1.0, 2.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return 1 / trial.suggest_int("depth", 1, 64)
        >>> study.optimize(objective, n_trials=12)
        >>> [trial.name for trial in plotted_trials(study)][:2]
        ['trial 0', 'trial 1']
    """
    return read_run(study, goal(study, target, ""), prior).trials


def _record(trial: FrozenTrial, judge: NTKPrior | None) -> Record | None:
    """What was noted with a trial; else what a prior says of it now; None without either."""
    record = record_of(trial)
    if record is not None or judge is None or not trial.params:
        return record
    return Record.from_judgement(ask(judge, trial.params), Drawn.UNSEEN)


def _row(trial: FrozenTrial, record: Record | None, compared: Goal | None) -> Row:
    """One trial, with its outcome if it is complete."""
    refused = record is not None and was_refused(trial, record)
    complete = trial.state == TrialState.COMPLETE
    shown_trial = RunTrial(
        trial.params,
        verdict=None if record is None else record.verdict,
        score=None if record is None else record.score,
        drawn=None if record is None else record.drawn,
        launched=not refused,
        outcome=float(compared.of(trial)) if complete and compared is not None else None,
        name=f"trial {trial.number}",
        failed=not refused and trial.state in (TrialState.FAIL, TrialState.PRUNED),
        seconds=None if refused or trial.duration is None else trial.duration.total_seconds(),
        gated=record is not None and (record.gated or refused),
    )
    return Row(
        shown_trial,
        trial.params,
        state="stopped before training" if refused else trial.state.name.lower(),
        reason="" if record is None else str(record.reason),
        measured=trial.user_attrs,
    )


def _refused_rows(trial: FrozenTrial) -> list[Row]:
    """The draws that were refused before a trial, as far as they are kept."""
    return [
        Row(
            RunTrial(
                draw.config,
                verdict=draw.verdict,
                score=draw.score,
                launched=False,
                name=f"refused {k} before trial {trial.number}",
            ),
            draw.config,
            state=NEVER_LAUNCHED,
            reason=draw.reason,
        )
        for k, draw in enumerate(refused_before(trial), 1)
    ]


def _evidence(
    trial: FrozenTrial, record: Record | None, directions: Sequence[StudyDirection], compared: Goal | None
) -> Evidence | None:
    """What a trial says about the prior; None where nothing."""
    fresh = evidence_of(trial, record, directions) if trial.state.is_finished() else None
    if fresh is None or compared is None or not compared.is_target:
        return fresh
    if trial.state != TrialState.COMPLETE:
        return fresh._replace(losses=(math.inf,))
    return fresh._replace(losses=((-1.0 if compared.maximize else 1.0) * float(compared.of(trial)),))


def _times(trials: Sequence[FrozenTrial]) -> dict[str, str]:
    """When the trials that have parameters ran, as a fact of the run; empty where nobody noted it."""
    ran = [trial for trial in trials if trial.params]
    begun = [trial.datetime_start for trial in ran if trial.datetime_start is not None]
    ended = [trial.datetime_complete for trial in ran if trial.datetime_complete is not None]
    if not begun or not ended:
        return {}
    return {"Trials ran": f"{min(begun):%Y-%m-%d %H:%M} to {max(ended):%Y-%m-%d %H:%M}"}


def _logarithmic(trial: FrozenTrial) -> dict[str, bool]:
    """The numeric parameters of a trial, and whether its search space is logarithmic in them."""
    return {
        name: bool(distribution.log)
        for name, distribution in trial.distributions.items()
        if isinstance(distribution, FloatDistribution | IntDistribution)
    }


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
