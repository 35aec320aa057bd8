"""The gate: refuses a trial inside the objective, before its training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna

from ntk_prior.checks import shown
from ntk_prior.decision import (
    ATTRIBUTE,
    Drawn,
    Judgement,
    Prior,
    Record,
    Screen,
    ask,
    own_threshold,
    score_of,
    with_threshold,
)
from ntk_prior_optuna._optuna import frozen, is_given, trials_for_objective
from ntk_prior_optuna._optuna_check import warn_of_changes
from ntk_prior_optuna.history import Histories, History, record_of
from ntk_prior_optuna.notices import warn_if_failed, warn_if_fallen_silent, warn_if_silent, warn_if_withdrawn
from ntk_prior_optuna.sampler import BYPASSED, found_in

_WITHOUT_SAMPLER = Histories()
"""The studies whose samplers know nothing of the prior."""


def prune_if_infeasible(
    trial: optuna.trial.BaseTrial,
    prior: Prior,
    config: Mapping[str, Any] | None = None,
    *,
    threshold: float | None = None,
    epsilon: float | None = None,
    seed: int | None = None,
    constraint: bool = False,
) -> Judgement:
    """Prune a trial that the prior refuses, for what a sampler cannot see.

    Call it in the objective after the last ``suggest``, before training. It serves configurations that only the
    objective knows (derived from the parameters, or of a space that no sampler can infer), and samplers that cannot
    draw again (``GridSampler``). With an ``NTKPriorSampler`` it decides as the sampler has decided: a trial that
    bypassed the prior there (``drawn`` is ``plain``) is not pruned here. Where the sampler could not ask the prior, or
    the prior was silent about the parameters (``unseen``, ``unjudged``), the gate asks about the whole configuration:
    by the same coin and the same evidence the trial is audited, or pruned if the prior refuses it; so it does without
    an ``NTKPriorSampler``, and the guarantees of that one hold here too. Never pruned are trials that the user gave
    (enqueued, or retried after a failure), configurations that the prior is silent about, and trials that no study
    runs: a ``FixedTrial``, a ``FrozenTrial`` such as ``study.best_trial``, or a wrapper of a trial such as
    ``TorchDistributedTrial``, where one process must not stop alone.

    Args:
        trial: The trial of the objective.
        prior: Judges the configuration.
        config: What is judged; None for ``trial.params``.
        threshold: Lower scores are refused, and the prior judges with this threshold. If None (also for ``epsilon`` and
            ``seed``), the value of the study's ``NTKPriorSampler`` is used, or the prior's own if there is none.
        epsilon: Share of trials that are never pruned; 0.1 where there is no ``NTKPriorSampler``.
        seed: Seed of the coin; 0 where there is no ``NTKPriorSampler``.
        constraint: Also set the constraint ``ntk_prior`` (Optuna 5), so that samplers that know constraints keep
            away: threshold - score of a pruned trial, graded, and at most 0 for one that goes on, so that a wrong
            prior never hides the best trial.

    Returns:
        What the prior says, where the trial goes on.

    Raises:
        TypeError: If an argument has the wrong type.
        optuna.TrialPruned: If the prior refuses, with its reason.
        RuntimeError: If ``constraint`` is asked for and Optuna has no ``Trial.set_constraint``.

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))

        >>> from ntk_prior_optuna import prune_if_infeasible
        >>> def objective(trial):
        ...     layers = 2 * trial.suggest_int("blocks", 1, 40)
        ...     prune_if_infeasible(trial, prior, {"weight_variance": 1.7, "bias_variance": 0.1, "depth": layers})
        ...     return 1 / layers  # the training
        >>> study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        >>> study.optimize(objective, n_trials=10)
        >>> min(trial.params["blocks"] for trial in study.trials if trial.state.name == "PRUNED") > 5
        True
    """
    if not _is_trial(trial):
        raise TypeError(f"trial: expected the optuna.Trial of the objective, received {shown(trial)}")
    if not callable(prior):
        raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {shown(prior)}")
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(f"config: expected a mapping of parameter names to values, or None, received {shown(config)}")
    if not isinstance(trial, optuna.Trial):
        limit = own_threshold(prior) if threshold is None else threshold
        judgement = ask(with_threshold(prior, limit), trial.params if config is None else config)
        warn_if_failed(judgement, trial.number, set())
        return judgement
    if constraint and not hasattr(trial, "set_constraint"):
        raise RuntimeError(
            f"constraint: expected Optuna 5 or newer, which has Trial.set_constraint, received {optuna.__version__}: "
            "upgrade Optuna, or leave constraint=False"
        )
    warn_of_changes()
    screen = _screen(trial, prior, threshold, epsilon, seed)
    judgement = ask(with_threshold(prior, screen.threshold), trial.params if config is None else config)
    history = _history(trial.study)
    warn_if_failed(judgement, trial.number, history.told)
    warn_if_silent(trial.study, trial.number, judgement)
    warn_if_fallen_silent(trial.study, history, judgement)
    noted = record_of(trial)
    drawn = _drawn(trial, screen, noted, judgement, history)
    refused = drawn not in (*BYPASSED, Drawn.ENQUEUED) and screen.refuses(judgement)
    if refused:
        warn_if_withdrawn(history, screen.threshold)
        refused = screen.refuses(judgement, history.withdrawn(screen.threshold))
    # At most two notes a trial: the sampler's, and then either a better one or the constraint.
    changed = noted is None or noted.drawn is not drawn or noted.score != score_of(judgement)
    if noted is None or (not constraint and (refused or changed)):
        trial.set_user_attr(ATTRIBUTE, Record.from_judgement(judgement, drawn, gated=True, refused=refused).to_json())
    if constraint and ATTRIBUTE not in trial.constraints:
        score = score_of(judgement)
        excess = 0.0 if score is None else screen.threshold - score
        trial.set_constraint(ATTRIBUTE, excess if refused else min(excess, 0.0))
    if refused:
        raise optuna.TrialPruned(f"refused by the prior ({judgement.verdict}): {judgement.reason}")
    return judgement


def _is_trial(trial: Any) -> bool:
    """Whether this is one of Optuna's trials, or a wrapper of one with its public names."""
    number, params = getattr(trial, "number", None), getattr(trial, "params", None)
    return isinstance(trial, optuna.trial.BaseTrial) or (isinstance(number, int) and isinstance(params, Mapping))


def _screen(
    trial: optuna.Trial, prior: Prior, threshold: float | None, epsilon: float | None, seed: int | None
) -> Screen:
    sampler = found_in(trial.study.sampler)
    own = Screen(own_threshold(prior)) if sampler is None else sampler.screen
    given: dict[str, Any] = {"threshold": threshold, "epsilon": epsilon, "seed": seed}
    return replace(own, **{name: value for name, value in given.items() if value is not None})


def _drawn(trial: optuna.Trial, screen: Screen, noted: Record | None, judgement: Judgement, history: History) -> Drawn:
    """How the configuration was drawn, by the sampler's note or, where the prior had no say, by the coin."""
    if is_given(frozen(trial)):
        return Drawn.ENQUEUED
    if noted is not None and noted.drawn not in (Drawn.UNSEEN, Drawn.UNJUDGED):
        return noted.drawn
    if score_of(judgement) is None:
        return Drawn.UNJUDGED
    bypasses = screen.bypasses(trial.number, history.trust(screen.threshold))
    return Drawn.PLAIN if bypasses else Drawn.SCREENED


def _history(study: optuna.Study) -> History:
    """The history of a study, the same that its sampler has."""
    sampler = found_in(study.sampler)
    histories = _WITHOUT_SAMPLER if sampler is None else sampler.histories
    return histories.of(study, trials_for_objective(study))
