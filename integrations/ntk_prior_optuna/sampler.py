"""The sampler: any other sampler's draws, but for those that the prior refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from ntk_prior.checks import shown
from ntk_prior.decision import (
    ATTRIBUTE,
    DEFAULT_CANDIDATES,
    DEFAULT_EPSILON,
    DEFAULT_MAX_DRAWS,
    Choice,
    Draw,
    Drawn,
    Judgement,
    Prior,
    Record,
    Screen,
    Silence,
    ask,
    own_threshold,
    score_of,
    with_threshold,
)
from ntk_prior_optuna._optuna import (
    fixed_params,
    id_of,
    is_given,
    nested,
    note_finished_trial,
    note_study,
    note_trial,
    publish,
    repeats_itself,
    reseed,
    set_system_attribute,
    study_note,
)
from ntk_prior_optuna._optuna_check import warn_of_changes
from ntk_prior_optuna.history import REFUSED, Histories, History, Plan, constraint_of, record_of, stored_refusals
from ntk_prior_optuna.notices import (
    warn_if_failed,
    warn_if_fallen_silent,
    warn_if_silent,
    warn_if_withdrawn,
    warn_of_unread,
)
from ntk_prior_optuna.proposals import Asked, OneParameter, Proposals, drawn_alone
from ntk_prior_optuna.space import JointSpace, Space, require_space

BYPASSED = (Drawn.PLAIN, Drawn.UNJUDGED, Drawn.UNSEEN)
"""Configurations that the prior had no say in."""

LONGEST_NAME = 500
"""Characters of a base sampler's name that are kept."""

T = TypeVar("T")


class NTKPriorSampler(BaseSampler):
    """Wraps a sampler so that configurations the prior refuses are drawn again before they are launched.

    A trial's parameters are drawn together: the base sampler draws those of its relative search space, its independent
    sampler the others of the space declared here or seen in finished trials. The base sampler draws until the prior has
    let ``candidates`` of its draws through, and the best-scored of them is launched, so that the prior multiplies the
    base sampler's density; fewer and fewer draws compete after twenty trials, when the base sampler has learnt more
    than the prior knows. Where the prior refuses all of half of ``max_draws``, the draws are uniform over the space; if
    those are refused too, the best-scored one is launched. Without ``search_space`` the space of the first trials is
    unknown, and they are the base sampler's. Configurations that the prior is silent about (``outside_theory``,
    parameters missing) are never refused, nor are enqueued trials and those that repeat a failed one, and they keep the
    share of trials that the base sampler gives them: a refused draw is made again until the prior knows the new one.
    ``GridSampler`` and ``BruteForceSampler`` are left as they are, since they must visit each point: use
    ``prune_if_infeasible`` with them.

    The space may change from trial to trial. In a conditional space a draw is judged by the parameters that finished
    trials with its categorical values used. A parameter whose range has changed is drawn from the latest one, of a
    trial with the same categorical values if there is one; where the trial then suggests a range that does not hold the
    value, it is drawn again within that range, and judged together with the other values of the trial. Screening stops
    only where the prior has no more to say of what trials use; the log then says so, once. It also names, once in a
    study, the parameters that the prior does not look at.

    The first draw is always the base sampler's own, and so is every audited trial. To make further ones cheap, those of
    ``RandomSampler``, and of ``TPESampler`` in its start-up, are drawn here, from the same distribution; later
    ``TPESampler``, which proposes the best of 24 candidates, is not asked again: its next best candidates follow.

    What a wrong prior can cost:

    1. Whatever the prior says, each trial is audited with probability ``epsilon``, by a coin that depends on ``seed``
       and ``trial.number`` alone, and so is every third of the first twelve. An audited trial is the base sampler's own
       draw, so among N trials at least Binomial(N, epsilon) are exactly those that the base sampler proposes.
    2. Any other trial is screened with a probability that is the trust in refusals, and is the base sampler's own draw
       otherwise; draws compete with a probability that is the trust in the ranking. Both are ten times the one-sided
       p-value with which the last 400 finished trials speak against the prior; failed and pruned ones rank last. The
       ranking is tested by Spearman's correlation of scores and objectives (``trust_in_ranking``):
       where they come in exactly the opposite order, trust is 0.42 after 4 trials and 0.013 after 10. Refusals are
       tested by Mann and Whitney (``trust_in_refusals``): trials that the prior would have held back, but that bypassed
       it, against all others; where the former beat the latter, trust is 0.82 after 1 of 10 trials, 0.14 after 2 of 20
       and 0.03 after 3 of 30. A ranking that is wrong at p < 0.01 costs refusals their trust as well. The trials that
       then bypass the prior can restore it.
    3. A single verdict that these trials contradict, by Mann's and Whitney's test at p < 0.05, is withdrawn: it counts
       no more until later trials restore it. The log says when and why.
    4. A prior whose refusals or scores say nothing keeps trust in them above t with probability of about 1 - t / 10 at
       any one time.

    Each trial's user attribute ``ntk_prior`` holds score, verdict, reason and how the configuration was drawn, its
    system attribute ``ntk_prior:refused`` the first 32 draws that were refused before it, without the reasons of an
    ``NTKPrior`` (wording them takes longer than asking it again), and the study's user attribute ``ntk_prior`` these
    settings. ``drawn`` tells three kinds of trials apart that the prior had no say in: ``plain`` is an audit, or the
    prior has lost trust; ``unseen`` could not be asked about before the trial ran, because its parameters were not
    known or were others than those drawn; and of ``unjudged`` the prior had nothing to say. The first two are evidence
    about the prior. Trials of which the user has fixed all values are ``enqueued``, and points of a grid without a gate
    ``unseen``. At most three attributes are written for a trial, the base sampler's own not counted, of 60,000 bytes at
    most, and nothing that outlives a trial is kept outside the storage.

    Args:
        prior: Maps a configuration to its feasibility: an ``ntk_prior.NTKPrior``.
        base_sampler: The sampler that draws; None for ``TPESampler()``.
        search_space: Names and distributions that trials will use, for screening from the first trial on.
        threshold: Draws that score lower are refused, and the prior judges with this threshold (``NTKPrior``'s
            ``with_threshold``). None for the prior's own, which is 0.3 unless it was made with another.
        epsilon: Share of trials that bypass the prior; 0 for none.
        max_draws: Draws judged for one trial at most. Of the base sampler's, at most half as many; 3 of a
            ``GPSampler``, whose draws are expensive.
        candidates: Draws let through of which the best-scored one is launched. 1 launches the first of them: the base
            sampler's distribution without what the prior refuses.
        seed: Makes the coins, the uniform draws and the random numbers of Optuna's own base samplers functions of
            ``(seed, trial.number)``: restarts and other processes continue the same study instead of repeating its
            start. None: the coins get a random seed here and now, which a pickle carries along, and the base sampler
            keeps its own random numbers.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number lies outside its range.

    Example:
        >>> import ntk_prior as ntp
        >>> import optuna
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))

        >>> from ntk_prior_optuna import NTKPriorSampler
        >>> sampler = NTKPriorSampler(prior, optuna.samplers.TPESampler(), seed=0)
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> def objective(trial):
        ...     weight_variance = trial.suggest_float("weight_variance", 0.5, 4.0)
        ...     trial.suggest_float("bias_variance", 0.0, 0.1)
        ...     return -abs(weight_variance - 1.7) - trial.suggest_int("depth", 1, 64) / 64
        >>> study.optimize(objective, n_trials=12)
        >>> study.trials[0].user_attrs["ntk_prior"]["drawn"]  # its space was not known yet
        'unseen'
    """

    def __init__(
        self,
        prior: Prior,
        base_sampler: BaseSampler | None = None,
        *,
        search_space: Space | None = None,
        threshold: float | None = None,
        epsilon: float = DEFAULT_EPSILON,
        max_draws: int = DEFAULT_MAX_DRAWS,
        candidates: int = DEFAULT_CANDIDATES,
        seed: int | None = None,
    ) -> None:
        if not callable(prior):
            raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {shown(prior)}")
        if base_sampler is not None and not isinstance(base_sampler, BaseSampler):
            raise TypeError(f"base_sampler: expected an Optuna sampler or None, received {shown(base_sampler)}")
        if base_sampler is not None and found_in(base_sampler) is not None:
            raise ValueError(f"base_sampler: expected a sampler without a prior of its own, received {base_sampler}")
        warn_of_changes()
        limit = own_threshold(prior) if threshold is None else threshold
        self.prior = with_threshold(prior, limit)
        self._base_sampler = TPESampler() if base_sampler is None else base_sampler
        self._declared = None if search_space is None else require_space(search_space)
        self._seeded = seed is not None
        coins = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self.screen = Screen(limit, epsilon, max_draws, coins, candidates)
        self._gate_only = repeats_itself(self._base_sampler)
        self.histories = Histories()

    def __str__(self) -> str:
        return f"{type(self).__name__}({self._base_sampler})"

    def reseed_rng(self) -> None:
        """Reseed the base sampler; the random numbers drawn here depend on ``(seed, trial.number)`` alone."""
        self._base_sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Leave it to the base sampler; a trial that was created with values or notes was given by the user."""
        self._base_sampler.before_trial(study, trial)
        copied = record_of(trial) is not None
        if copied or trial.params:
            record = Record.from_judgement(ask(self.prior, trial.params or None), Drawn.ENQUEUED)
            note_trial(study, trial, ATTRIBUTE, record.to_json())
        if REFUSED in trial.system_attrs:
            set_system_attribute(study, trial, REFUSED, [])

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The base sampler's relative space, united with the declared one and that of the finished trials."""
        inferred = self._base_sampler.infer_relative_search_space(study, trial)
        if self._gate_only:
            return inferred
        history = self.histories.of(study)
        known = {**(self._declared or {}), **history.branches.latest, **inferred}
        drawn = (name for name in known if name in inferred or self._is_drawn(name, known[name], history))
        joint = {name: self._as_given(name, known[name], history) for name in sorted(drawn)}
        return JointSpace({name: one for name, one in joint.items() if one is not None}, inferred)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The draw that the prior lets through and scores best; note what it said."""
        if self._gate_only:
            return self._base_sampler.sample_relative(study, trial, search_space)
        if self._seeded:
            reseed(self._base_sampler, self.screen.tuner_seed(trial.number))
        history = self.histories.of(study)
        self._note_settings(study, history)
        fixed = {**fixed_params(self, trial), **fixed_params(study.sampler, trial)}
        asked = Asked(self._base_sampler, self.screen, study, trial, history)
        proposals = Proposals(asked, search_space, self._declared or {}, fixed)
        # Where nothing is left to draw, drawing again changes nothing: the user has given all of it.
        decided = proposals.is_known and all(name in fixed for name in search_space)
        choice = self._chosen(trial, history, proposals.of_base(), proposals.uniform(), bypass=decided)
        point = choice.origin
        params = point.as_drawn if choice.drawn in BYPASSED else point.params
        publish(study, trial, point.writes, params, own=point.own)
        noted = record_of(trial)
        given = decided or is_given(trial) or (noted is not None and noted.drawn is Drawn.ENQUEUED)
        history.plan(id_of(trial), Plan(point.config, choice.drawn, is_noted=True))
        record = Record.from_judgement(choice.judgement, Drawn.ENQUEUED if given else choice.drawn)
        if record.score is not None:
            note_trial(study, trial, ATTRIBUTE, record.to_json())
        if choice.refused:
            set_system_attribute(study, trial, REFUSED, stored_refusals(choice.refused))
        return params

    def _chosen(
        self,
        trial: FrozenTrial,
        history: History,
        proposals: Iterator[Draw[T]],
        uniform: Iterator[Draw[T]],
        *,
        bypass: bool = False,
    ) -> Choice[T]:
        trust = history.trust(self.screen.threshold)
        warn_if_withdrawn(history, self.screen.threshold)
        return self.screen.choose(
            self.prior,
            trial.number,
            proposals,
            uniform,
            bypass=bypass or self.screen.bypasses(trial.number, trust),
            competing=self.screen.competing(trial.number, trust),
            withdrawn=history.withdrawn(self.screen.threshold),
        )

    def _is_drawn(self, name: str, distribution: BaseDistribution, history: History) -> bool:
        return name in history.branches.varying or not distribution.single()

    def _as_given(self, name: str, distribution: BaseDistribution, history: History) -> BaseDistribution | None:
        """A distribution as the objective gives it, which is what Optuna compares it with."""
        declared = (self._declared or {}).get(name)
        return history.distribution(name, distribution) or declared

    def _note_settings(self, study: Study, history: History) -> None:
        """Keep in the study what a report should say of its sampler, unless this process knows that it is there."""
        settings = {"base_sampler": str(self._base_sampler)[:LONGEST_NAME], **vars(self.screen)}
        if not self._seeded:
            settings["seed"] = None
        if history.settings is None:
            history.settings = study_note(study, ATTRIBUTE)
        if history.settings != settings:
            note_study(study, ATTRIBUTE, settings)
            history.settings = settings

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Leave it to the base sampler, unless the prior was asked about another value, which the range does not hold.

        Then the parameter is drawn again in its range, until the prior lets it through together with all others.
        """
        if self._gate_only:
            return self._base_sampler.sample_independent(study, trial, param_name, param_distribution)
        if self._seeded:
            reseed(self._base_sampler, self.screen.tuner_seed(trial.number, crc32(param_name.encode())))
        history = self.histories.as_it_is(study)
        if isinstance(param_distribution, CategoricalDistribution):
            history.given[param_name] = param_distribution
        plan = history.plans.get(id_of(trial))
        if plan is None or plan.drawn in BYPASSED or param_name not in plan.config:
            stored = history.branches.latest.get(param_name, param_distribution)
            return drawn_alone(self._base_sampler, study, trial, param_name, stored, param_distribution)
        asked = Asked(self._base_sampler, self.screen, study, trial, history)
        single = OneParameter(asked, {**plan.config, **trial.params}, param_name, param_distribution)
        choice = self._chosen(trial, history, single.of_base(), single.uniform())
        drawn = choice.drawn if choice.drawn in (Drawn.UNIFORM, Drawn.BEST_OF_REFUSED) else plan.drawn
        history.plan(id_of(trial), Plan({**plan.config, param_name: choice.origin}, drawn, is_noted=False))
        return choice.origin

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Leave it to the base sampler, then correct the note by the parameters that the trial has really used."""
        self._base_sampler.after_trial(study, trial, state, values)
        history = self.histories.as_it_is(study)
        plan = history.plans.pop(id_of(trial), None)
        if not trial.params:
            return
        params = history.params(trial)
        noted = record_of(trial)
        as_planned = plan is not None and plan.is_noted and plan.config == params
        if as_planned and noted is not None and noted.score is not None:
            # The prior was asked about this configuration when it was drawn, and the note has its answer.
            warn_of_unread(study, history.told, self.prior, params, noted.score)
            return
        judgement = ask(self.prior, params)
        warn_of_unread(study, history.told, self.prior, params, score_of(judgement))
        if (noted is not None and noted.gated) or constraint_of(trial) is not None:
            return
        warn_if_failed(judgement, trial.number, history.told)
        warn_if_silent(study, trial.number, judgement)
        warn_if_fallen_silent(study, history, judgement)
        drawn = self._drawn(trial, noted, plan, judgement)
        if noted is None or noted.drawn is not drawn or noted.score != score_of(judgement):
            record = Record.from_judgement(judgement, drawn)
            note_finished_trial(study, trial, ATTRIBUTE, record.to_json())

    def _drawn(self, trial: FrozenTrial, noted: Record | None, plan: Plan | None, judgement: Judgement) -> Drawn:
        """How the configuration of a trial that has ended came about."""
        drawn = Drawn.UNSEEN if noted is None else noted.drawn
        if is_given(trial) or drawn is Drawn.ENQUEUED:
            return Drawn.ENQUEUED
        if plan is not None and drawn is Drawn.SCREENED:
            drawn = plan.drawn
        if score_of(judgement) is None:
            return Drawn.UNJUDGED if drawn in BYPASSED else drawn
        if drawn is Drawn.UNJUDGED:
            return Drawn.UNSEEN
        if noted is not None and drawn in (Drawn.SCREENED, Drawn.UNIFORM):
            # The values that were launched are not those that were let through: nobody had a say in them.
            before = Silence("", score=noted.score, verdict=noted.verdict)
            if self.screen.refuses(judgement) and not self.screen.refuses(before):
                return Drawn.UNSEEN
        return drawn


def found_in(sampler: BaseSampler) -> NTKPriorSampler | None:
    """The ``NTKPriorSampler`` that a sampler is or wraps; None where there is none."""
    return next((inner for inner in nested(sampler) if isinstance(inner, NTKPriorSampler)), None)
