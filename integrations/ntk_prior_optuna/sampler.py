"""The sampler: any other sampler's draws, but for those that the prior refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple, cast
from zlib import crc32

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from ntk_prior import DEFAULT_THRESHOLD
from ntk_prior.screening import (
    DEFAULT_CANDIDATES,
    DEFAULT_EPSILON,
    DEFAULT_MAX_DRAWS,
    Draw,
    Drawn,
    Prior,
    Record,
    RefusedDraw,
    Screen,
    judge,
    score_of,
)
from ntk_prior_optuna.history import ATTRIBUTE, REFUSED, REFUSED_KEPT, Histories, History
from ntk_prior_optuna.internals import (
    DraftStudy,
    enqueued_params,
    fixed_params,
    is_expensive,
    nested,
    publish,
    repeats_itself,
    reseed,
    warn_if_failed,
)
from ntk_prior_optuna.silence import warn_if_silent
from ntk_prior_optuna.space import JointSpace, Space, require_space, single_value, uniform_draw

EXPENSIVE_DRAWS = 3
"""Draws taken from a base sampler that needs a tenth of a second or more for each."""


class _Point(NamedTuple):
    """A candidate: its parameters, what the base sampler noted about it, and whether it is the base sampler's."""

    params: dict[str, Any]
    writes: Mapping[str, Any]
    own: bool


class NTKPriorSampler(BaseSampler):
    """Wraps a sampler so that configurations the prior refuses are drawn again before they are launched.

    A trial's parameters are drawn together: the base sampler draws those of its relative search space, its independent
    sampler the others of the space declared here or seen in finished trials. The base sampler draws until the prior has
    let ``candidates`` of its draws through, and the best-scored of them is launched, so that the prior multiplies the
    base sampler's density; fewer and fewer draws compete after twenty trials, when the base sampler has learnt more
    than the prior knows. Where the prior refuses all of half of ``max_draws``, the draws are uniform over the space; if
    those are refused too, the best-scored one is launched. Without ``search_space`` the space of the first trials is
    unknown, and they are the base sampler's. Configurations that the prior is silent about (``outside_theory``,
    parameters missing) are never refused, nor are enqueued trials, and they keep the share of trials that the base
    sampler gives them: a refused draw is made again until the prior knows the new one. In a conditional space a draw is
    judged by the parameters that finished trials with its categorical values used. ``GridSampler`` and
    ``BruteForceSampler`` are left as they are, since they must visit each point: use ``prune_if_infeasible`` with them.

    What a wrong prior can cost:

    1. Whatever the prior says, each trial is audited with probability ``epsilon``, by a coin that depends on ``seed``
       and ``trial.number`` alone, and so is every third of the first twelve. An audited trial is the base sampler's own
       draw, so among N trials at least Binomial(N, epsilon) are exactly those that the base sampler proposes.
    2. Any other trial is screened with a probability that is the trust in refusals, and is the base sampler's own draw
       otherwise; draws compete with a probability that is the trust in the ranking. Both are ten times the one-sided
       p-value with which the last 400 finished trials speak against the prior; failed and pruned ones rank last. The
       ranking is tested by Spearman's correlation of scores and objectives (``ntk_prior.evidence.trust_in_ranking``):
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
    system attribute ``ntk_prior:refused`` the first 32 draws that were refused before it, and the study's user
    attribute ``ntk_prior`` these settings. At most three attributes are written for a trial, the base sampler's own not
    counted, and nothing is kept outside the storage.

    Args:
        prior: Maps a configuration to its feasibility: an ``ntk_prior.NTKPrior``.
        base_sampler: The sampler that draws; None for ``TPESampler()``.
        search_space: Names and distributions that trials will use, for screening from the first trial on, and in
            spaces whose ranges change from trial to trial. Then draws are judged by the parameters named here.
        threshold: Draws that score lower are refused.
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
    """

    def __init__(
        self,
        prior: Prior,
        base_sampler: BaseSampler | None = None,
        *,
        search_space: Space | None = None,
        threshold: float = DEFAULT_THRESHOLD,
        epsilon: float = DEFAULT_EPSILON,
        max_draws: int = DEFAULT_MAX_DRAWS,
        candidates: int = DEFAULT_CANDIDATES,
        seed: int | None = None,
    ) -> None:
        if not callable(prior):
            raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {prior!r}")
        if base_sampler is not None and not isinstance(base_sampler, BaseSampler):
            raise TypeError(f"base_sampler: expected an Optuna sampler or None, received {base_sampler!r}")
        if base_sampler is not None and found_in(base_sampler) is not None:
            raise ValueError(f"base_sampler: expected a sampler without a prior of its own, received {base_sampler}")
        self._prior = prior
        self._base_sampler = TPESampler() if base_sampler is None else base_sampler
        self._declared = None if search_space is None else require_space(search_space)
        self._seeded = seed is not None
        coins = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self.screen = Screen(threshold, epsilon, max_draws, coins, candidates)
        self._gate_only = repeats_itself(self._base_sampler)
        self._histories = Histories()
        self._told: set[str] = set()

    def __str__(self) -> str:
        return f"{type(self).__name__}({self._base_sampler})"

    def reseed_rng(self) -> None:
        """Reseed the base sampler; the random numbers drawn here depend on ``(seed, trial.number)`` alone."""
        self._base_sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Leave it to the base sampler."""
        self._base_sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The base sampler's relative space, united with the declared one and that of the finished trials."""
        inferred = self._base_sampler.infer_relative_search_space(study, trial)
        if self._gate_only:
            return inferred
        known = {**self._histories.of(study).space, **(self._declared or {}), **inferred}
        joint = {name: known[name] for name in sorted(known) if name in inferred or not known[name].single()}
        return JointSpace(joint, inferred)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The draw that the prior lets through and scores best; note what it said."""
        if self._gate_only:
            return self._base_sampler.sample_relative(study, trial, search_space)
        if self._seeded:
            reseed(self._base_sampler, self.screen.tuner_seed(trial.number))
        history = self._histories.of(study)
        self._note_settings(study, history)
        fixed = {**fixed_params(self, trial), **fixed_params(study.sampler, trial)}
        proposals = _Proposals(self, study, trial, search_space, history, fixed)
        # Where nothing is left to draw, drawing again changes nothing.
        decided = all(name in fixed for name in search_space)
        trust = history.trust(self.screen.threshold)
        choice = self.screen.choose(
            self._prior,
            trial.number,
            proposals.of_base(),
            proposals.uniform(),
            bypass=decided or self.screen.bypasses(trial.number, trust),
            competing=self.screen.competing(trial.number, trust),
            withdrawn=history.withdrawn(self.screen.threshold),
        )
        params, writes, own = choice.origin
        publish(study, trial, writes, params, own=own)
        drawn = Drawn.ENQUEUED if enqueued_params(trial) else choice.drawn
        record = Record.of(choice.judgement, drawn)
        if record.score is not None:
            study._storage.set_trial_user_attr(trial._trial_id, ATTRIBUTE, record.to_json())
            # The running trial reads its own copy, as after Trial.set_user_attr.
            trial.user_attrs[ATTRIBUTE] = record.to_json()
        if choice.refused:
            kept = [RefusedDraw.of(one)._asdict() for one in choice.refused[:REFUSED_KEPT]]
            study._storage.set_trial_system_attr(trial._trial_id, REFUSED, kept)
        return params

    def _note_settings(self, study: Study, history: History) -> None:
        """Keep in the study what a report should say of its sampler, unless this process knows that it is there."""
        settings = {"base_sampler": str(self._base_sampler), **vars(self.screen)}
        if not self._seeded:
            settings["seed"] = None
        # By the storage, since the study may be a pruner's stand-in that has no attributes.
        if history.settings is None:
            history.settings = study._storage.get_study_user_attrs(study._study_id).get(ATTRIBUTE)
        if history.settings != settings:
            study._storage.set_study_user_attr(study._study_id, ATTRIBUTE, settings)
            history.settings = settings

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Leave it to the base sampler: a single parameter is nothing the prior could judge."""
        if self._seeded and not self._gate_only:
            reseed(self._base_sampler, self.screen.tuner_seed(trial.number, crc32(param_name.encode())))
        return self._base_sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Leave it to the base sampler, then correct the note by the parameters that the trial has really used."""
        self._base_sampler.after_trial(study, trial, state, values)
        noted = Record.from_json(trial.user_attrs.get(ATTRIBUTE))
        gated = (noted is not None and noted.gated) or f"constraints:{ATTRIBUTE}" in trial.system_attrs
        if gated or not trial.params:
            return
        drawn = Drawn.PLAIN if noted is None else noted.drawn
        if enqueued_params(trial):
            drawn = Drawn.ENQUEUED
        judgement = judge(self._prior, trial.params)
        warn_if_failed(judgement, trial.number, self._told)
        warn_if_silent(study, trial.number, judgement)
        if noted is None or noted.drawn is not drawn or noted.score != score_of(judgement):
            record = Record.of(judgement, drawn)
            study._storage.set_trial_user_attr(trial._trial_id, ATTRIBUTE, record.to_json())


def found_in(sampler: BaseSampler) -> NTKPriorSampler | None:
    """The ``NTKPriorSampler`` that a sampler is or wraps; None where there is none."""
    return next((one for one in nested(sampler) if isinstance(one, NTKPriorSampler)), None)


class _Proposals:
    """The candidates for one trial."""

    def __init__(
        self,
        sampler: NTKPriorSampler,
        study: Study,
        trial: FrozenTrial,
        space: dict[str, BaseDistribution],
        history: History,
        fixed: Mapping[str, Any],
    ) -> None:
        self._sampler = sampler
        self._study = study
        self._trial = trial
        self._space = space
        self._history = history
        self._fixed = fixed
        known = {**history.space, **(sampler._declared or {})}
        self._constants = {name: single_value(dist) for name, dist in known.items() if dist.single()}
        self._writes: Mapping[str, Any] = {}

    def of_base(self) -> Iterator[Draw[_Point]]:
        """The base sampler's draws, completed by its independent sampler."""
        base, trial = self._sampler._base_sampler, self._trial
        inferred = self._space.of_base() if isinstance(self._space, JointSpace) else self._space
        for _ in range(EXPENSIVE_DRAWS) if is_expensive(base) else repeat(None):
            draft = DraftStudy(self._study, trial._trial_id)
            seen = cast("Study", draft)
            params = dict(base.sample_relative(seen, trial, inferred))
            for name, distribution in self._space.items():
                if name not in params:
                    params[name] = base.sample_independent(seen, trial, name, distribution)
            self._writes = draft.writes
            yield self._draw(params, own=True)

    def uniform(self) -> Iterator[Draw[_Point]]:
        """Uniform draws over the whole space."""
        generator = self._sampler.screen.uniform_generator(self._trial.number)
        while True:
            yield self._draw(uniform_draw(self._space, generator), own=False)

    def _draw(self, params: dict[str, Any], *, own: bool) -> Draw[_Point]:
        params.update({name: value for name, value in self._fixed.items() if name in params})
        return Draw(self._config(params), _Point(params, self._writes, own))

    def _config(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """The configuration that a trial with these parameters would run, as far as it can be told."""
        config = {**self._constants, **params, **self._fixed}
        used = self._history.branch(config)
        if used is not None:
            if self._sampler._declared is None and not used <= config.keys():
                return None
            config = {name: value for name, value in config.items() if name in used}
        return config or None
