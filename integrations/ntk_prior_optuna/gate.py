"""The gate: refuses a trial inside the objective, before its training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna

from ntk_prior.screening import Drawn, Judgement, Prior, Record, Screen, judge, score_of
from ntk_prior_optuna.history import ATTRIBUTE, History
from ntk_prior_optuna.internals import is_enqueued, warn_if_failed
from ntk_prior_optuna.sampler import found_in
from ntk_prior_optuna.silence import warn_if_silent


def prune_if_infeasible(
    trial: optuna.Trial | optuna.trial.FixedTrial,
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
    bypassed the prior there is not pruned here, and neither are enqueued trials, a ``FixedTrial``, and configurations
    that the prior is silent about. Without one it tosses the same coin and weighs the same evidence, so that the
    guarantees of ``NTKPriorSampler`` hold for it too.

    Args:
        trial: The running trial.
        prior: Judges the configuration.
        config: What is judged; None for ``trial.params``.
        threshold: Scores below are refused. None, here and below: as the study's ``NTKPriorSampler``, or its default.
        epsilon: Share of trials that are never pruned.
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
    """
    if not isinstance(trial, optuna.Trial | optuna.trial.FixedTrial):
        raise TypeError(f"trial: expected the optuna.Trial of the objective, received {trial!r}")
    if not callable(prior):
        raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {prior!r}")
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(f"config: expected a mapping of parameter names to values, or None, received {config!r}")
    if constraint and not hasattr(trial, "set_constraint"):
        raise RuntimeError(
            f"constraint: expected Optuna 5 or newer, which has Trial.set_constraint, received {optuna.__version__}: "
            "upgrade Optuna, or leave constraint=False"
        )
    judgement = judge(prior, trial.params if config is None else config)
    warn_if_failed(judgement, trial.number, set())
    if not isinstance(trial, optuna.Trial):
        return judgement
    warn_if_silent(trial.study, trial.number, judgement)
    screen = _screen(trial, threshold, epsilon, seed)
    noted = Record.from_json(trial.user_attrs.get(ATTRIBUTE))
    drawn = _drawn(trial, screen, noted)
    refused = drawn not in (Drawn.PLAIN, Drawn.ENQUEUED) and screen.refuses(judgement)
    if refused:
        refused = screen.refuses(judgement, _history(trial.study).withdrawn(screen.threshold))
    # At most two notes a trial: the sampler's, and then either a better one or the constraint.
    if noted is None or (not constraint and (refused or noted.score != score_of(judgement))):
        trial.set_user_attr(ATTRIBUTE, Record.of(judgement, drawn, gated=True, refused=refused).to_json())
    if constraint and ATTRIBUTE not in trial.constraints:
        score = score_of(judgement)
        excess = 0.0 if score is None else screen.threshold - score
        trial.set_constraint(ATTRIBUTE, excess if refused else min(excess, 0.0))
    if refused:
        raise optuna.TrialPruned(f"refused by the prior ({judgement.verdict}): {judgement.reason}")
    return judgement


def _screen(trial: optuna.Trial, threshold: float | None, epsilon: float | None, seed: int | None) -> Screen:
    sampler = found_in(trial.study.sampler)
    own = Screen() if sampler is None else sampler.screen
    given: dict[str, Any] = {"threshold": threshold, "epsilon": epsilon, "seed": seed}
    return replace(own, **{name: value for name, value in given.items() if value is not None})


def _drawn(trial: optuna.Trial, screen: Screen, noted: Record | None) -> Drawn:
    """How the configuration was drawn, by the sampler's note or, without one, by the coin."""
    if is_enqueued(trial):
        return Drawn.ENQUEUED
    if noted is not None:
        return noted.drawn
    trust = _history(trial.study).trust(screen.threshold)
    return Drawn.PLAIN if screen.bypasses(trial.number, trust) else Drawn.SCREENED


def _history(study: optuna.Study) -> History:
    history = History()
    history.update(study.get_trials(deepcopy=False), study.directions)
    return history
