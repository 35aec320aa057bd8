"""The search algorithm: any other one's proposals, but for those that the prior refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from ray.tune.search import Searcher

from ntk_prior.checks import require_choice, shown
from ntk_prior.decision import (
    DEFAULT_EPSILON,
    DEFAULT_MAX_DRAWS,
    Choice,
    Drawn,
    Judgement,
    Prior,
    Screen,
    Trust,
    ask,
    own_threshold,
    with_threshold,
)
from ntk_prior_ray._ray import unwrap, warn_of_changes
from ntk_prior_ray.checkpoint import read, write
from ntk_prior_ray.ledger import Ledger, RefusedProposal, RunningTrial, record_of
from ntk_prior_ray.notices import SILENT_DRAWS_BEFORE_WARNING, Notices, describe_exhaustion
from ntk_prior_ray.objective import read_metrics, require_objective, to_losses, worst_losses
from ntk_prior_ray.proposals import Proposal, Proposals
from ntk_prior_ray.space import Config, Space, TrialSpace
from ntk_prior_ray.uniform import UniformSearch
from ntk_prior_ray.wrapped import WrappedSearcher, require_searcher

OnExhausted = Literal["propose", "finish", "error"]

SEARCHED_BEFORE_GIVING_UP = 1_000
"""Uniform draws judged before a space counts as infeasible and the experiment ends."""


class NTKPriorSearch(Searcher):
    """Wraps a search algorithm so that configurations the prior refuses are proposed again before they are launched.

    The search algorithm proposes until the prior has let ``candidates`` of its proposals through, and the best-scored
    of them is launched; after twenty trials fewer and fewer compete. All others are discarded in the search
    algorithm. Where the prior refuses all of half of ``max_draws``, the draws are uniform over the space, by Ray Tune's
    own samplers; if those are refused too, ``on_exhausted`` says what happens. Configurations that the prior is silent
    about (``outside_theory``, parameters missing) are never refused, nor are ``points_to_evaluate``, and keep the share
    of trials that the search algorithm gives them. Limiters and repeaters go around it:
    ``ConcurrencyLimiter(NTKPriorSearch(...), 4)``, ``Repeater(NTKPriorSearch(...), 3)``.

    What a wrong prior can cost is bounded exactly as for ``ntk_prior_optuna.NTKPriorSampler``: a share ``epsilon`` of
    the trials, and every third of the first twelve, is the wrapped search algorithm's own first proposal whatever the
    prior says, and the others are screened, and compete, with probability ``trust``, ten times the one-sided p-value
    (see ``trust_in_view_of``) with which the last 400 finished trials speak against the prior. A single verdict that
    they contradict (p < 0.05) is withdrawn: it counts no more until later trials restore it, and the log says so.
    Trials that fail, or whose metric is not finite, rank last; one that failed and that a restored Tuner runs again
    (``resume_errored``, ``restart_errored``) counts, and is told to the wrapped search algorithm, by what becomes of it
    then.

    Refused proposals leave no open trial in the wrapped search algorithm. The first 200 of them teach Optuna
    (pruned, with a graded constraint from Optuna 5 on) and HyperOpt (done, but failed) what is infeasible; later ones
    become trials that both ignore. Results of configurations that it did not propose reach it as
    ``add_evaluated_point``, where it knows that.

    The Tuner hides ``tune.sample_from`` and values that are no numbers, strings or booleans from every search
    algorithm. Give the space to ``NTKPriorSearch(space=...)`` if the prior is to see them.

    Args:
        prior: Maps a configuration to its feasibility: an ``ntk_prior.NTKPrior``.
        searcher: The search algorithm that proposes; None for independent uniform draws.
        space: Search space with Ray Tune's domains, in place of the Tuner's ``param_space``; its constants become part
            of each configuration. A search algorithm with a space of its own keeps that, and uses this one for the
            uniform draws.
        metric: Name of the objective in the results, or several; None for the Tuner's or the search algorithm's.
        mode: ``"min"`` or ``"max"``, one for each metric.
        threshold: Proposals that score lower are refused, and the prior judges with this threshold (``NTKPrior``'s
            ``with_threshold``). None for the prior's own, which is 0.3 unless it was made with another.
        epsilon: Share of trials that bypass the prior; 0 for none.
        max_draws: Proposals judged for one trial at most; of the wrapped search algorithm's, half as many.
        candidates: Proposals let through of which the best-scored one is launched; 1 launches the first of them. None
            for 16 uniform draws, 4 of Optuna's or HyperOpt's, which keep each as a trial, and 1 of any other search
            algorithm.
        seed: Seed of the coins and of the uniform draws; None for a random one.
        on_exhausted: When every draw for a trial was refused: ``"propose"`` the best-scored one, or, after a thousand
            more uniform draws that are refused too, ``"finish"`` the experiment or raise an ``"error"``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value lies outside its range, metrics contradict one another, or ``searcher`` has a prior of
            its own: an ``NTKPriorSearch``, or an ``OptunaSearch`` with an ``NTKPriorSampler``.

    Example:
        A Tuner takes it as ``TuneConfig(search_alg=search)``, and asks it for configurations:

        >>> import ntk_prior as ntp
        >>> from ray import tune
        >>> from ntk_prior_ray import NTKPriorSearch
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> space = {
        ...     "weight_variance": tune.uniform(0.5, 4.0),
        ...     "bias_variance": 0.05,
        ...     "depth": tune.randint(1, 64),
        ... }
        >>> search = NTKPriorSearch(prior, space=space, metric="accuracy", mode="max", seed=0)
        >>> config = search.suggest("trial")
        >>> print(prior(config).verdict)
        feasible
        >>> any(prior(refusal.config).verdict == "feasible" for refusal in search.refusals())
        False
    """

    def __init__(
        self,
        prior: Prior,
        searcher: Searcher | None = None,
        *,
        space: Mapping[str, Any] | None = None,
        metric: str | list[str] | None = None,
        mode: str | list[str] | None = None,
        threshold: float | None = None,
        epsilon: float = DEFAULT_EPSILON,
        max_draws: int = DEFAULT_MAX_DRAWS,
        candidates: int | None = None,
        seed: int | None = None,
        on_exhausted: OnExhausted = "propose",
    ) -> None:
        warn_of_changes()
        if not callable(prior):
            raise TypeError(f"prior: expected a callable such as ntk_prior.NTKPrior, received {shown(prior)}")
        coins = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        limit = own_threshold(prior) if threshold is None else threshold
        screen = Screen(limit, epsilon, max_draws, coins)
        self._on_exhausted = require_choice("on_exhausted", on_exhausted, get_args(OnExhausted))
        self._prior = with_threshold(prior, limit)
        # Ray looks for the search algorithms inside by this very name.
        self.searcher = UniformSearch(coins) if searcher is None else require_searcher(searcher)
        self._wrapped = WrappedSearcher(self.searcher)
        self.screen = replace(screen, candidates=self._wrapped.candidates if candidates is None else candidates)
        super().__init__()
        self._agree(metric, mode)
        self._trial_space = TrialSpace(space)
        self._space_passed_on = False
        self._ledger = Ledger(points=self._wrapped.points())
        self._notices = Notices()

    @property
    def metric(self) -> Any:
        """Name of the objective, or several; the wrapped search algorithm's if none was given."""
        return self._metric or _first(one.metric for one in unwrap(self.searcher))

    @property
    def mode(self) -> Any:
        """``"min"`` or ``"max"``, one for each metric."""
        return self._mode or _first(one.mode for one in unwrap(self.searcher))

    @property
    def trust(self) -> Trust:
        """How far the prior is still believed, see ``ntk_prior.decision.trust.trust_in_view_of``."""
        return self._ledger.trust(self.screen.threshold)

    def set_search_properties(self, metric: Any, mode: Any, config: Config, **spec: Any) -> bool:
        """Take what the Tuner knows: the objective, and the search space unless there is one.

        Raises:
            TypeError: If metric or mode has the wrong type.
            ValueError: If they contradict the search algorithm's, or the space contains ``tune.grid_search``.
        """
        self._agree(metric, mode)
        given = Space(config)
        if self._trial_space.declared is not None:
            self._trial_space.set_tuner_space(given)
            self._pass_on_space()
            return given.is_constant
        taken = self.searcher.set_search_properties(self.metric, self.mode, config, **spec)
        self._trial_space.set_tuner_space(given, draws=taken)
        self._probe()
        return taken

    def suggest(self, trial_id: str) -> Any:
        """The proposal that the prior lets through and scores best.

        Returns:
            The configuration; None to be asked again later; ``Searcher.FINISHED`` if there will be no other one.

        Raises:
            RuntimeError: If the space or the objective is missing, or ``on_exhausted`` is ``"error"`` and no feasible
                configuration was found.
        """
        self._require_ready()
        first = self._wrapped.suggest(trial_id)
        if first == Searcher.FINISHED or (first is None and (self._ledger.running or not self._trial_space.can_draw)):
            return first
        # While nothing runs, nothing will ever change what a search algorithm waits for.
        proposals = self._proposals()
        choice = proposals.choose_uniform() if first is None else proposals.choose(trial_id, first)
        if choice is not None and choice.drawn is Drawn.BEST_OF_REFUSED:
            choice = self._choose_exhausted(choice)
        return Searcher.FINISHED if choice is None else self._launch(trial_id, choice)

    def on_trial_result(self, trial_id: str, result: Config) -> None:
        """Pass on a result of a running trial."""
        trial = self._ledger.find_running(trial_id, result)
        values = read_metrics(result, self.metric)
        if trial is None or values is None:
            return
        self._ledger.running[trial_id] = trial._replace(losses=to_losses(values, self.mode))
        if trial.inner_id is not None:
            self.searcher.on_trial_result(trial.inner_id, {**result, **values})

    def on_trial_complete(self, trial_id: str, result: Config | None = None, error: bool = False) -> None:
        """Weigh the finished trial as evidence about the prior, and pass it on."""
        trial = self._ledger.end(trial_id, result)
        if trial is None:
            return
        values = None if error else read_metrics(result, self.metric)
        # Schedulers end a paused trial without a result.
        lost = worst_losses(self.metric) if error or result else trial.losses
        lost = lost if values is None else to_losses(values, self.mode)
        if lost is not None:
            self._ledger.add_evidence(trial.record, lost, trial.failed)
        if error:
            self._ledger.fail(trial_id, trial, worst_losses(self.metric))
        if trial.inner_id is None:
            if values is not None and len(values) == 1 and trial.point is not None:
                self._teach(trial.point, *values.values())
        elif error:
            self.searcher.on_trial_complete(trial.inner_id, error=True)
        elif values is None:
            self._wrapped.end_without_result(trial.inner_id)
        else:
            self.searcher.on_trial_complete(trial.inner_id, result={**(result or {}), **values})

    def add_evaluated_point(
        self,
        parameters: Config,
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Take a trial that was launched elsewhere, as evidence about the prior and for the wrapped search algorithm.

        Args:
            parameters: Its whole configuration.
            value: Its metric.
            error: Whether it failed.
            pruned: Whether it was stopped early.
            intermediate_values: Its metric at earlier steps.
        """
        self._require_ready()
        values = None if error or pruned else read_metrics({self.metric: value}, self.metric)
        # It was drawn without us: no audit, but what it became speaks for or against the prior likewise.
        record = record_of(self.judge(parameters), Drawn.UNSEEN)
        self._ledger.add_evidence(record, worst_losses(self.metric) if values is None else to_losses(values, self.mode))
        how = {"error": error, "pruned": pruned, "intermediate_values": intermediate_values}
        self._teach(self._trial_space.flat_point(parameters), value, **how)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Tell the wrapped search algorithm; the limiter still has to count, since it does not see every trial."""
        self.searcher.set_max_concurrency(max_concurrent)
        return False

    def on_pause(self, trial_id: str) -> None:
        """Pass on that a trial was paused, for BOHB."""
        self._wrapped.notify("on_pause", self._ledger.inner_id(trial_id))

    def on_unpause(self, trial_id: str) -> None:
        """Pass on that a trial goes on, for BOHB."""
        self._wrapped.notify("on_unpause", self._ledger.inner_id(trial_id))

    def judge(self, config: Config) -> Judgement:
        """What the prior says of a trial's configuration."""
        return ask(self._prior, self._trial_space.visible(config))

    def drawn(self, trial_id: str) -> Drawn | None:
        """How a running trial's configuration came about."""
        trial = self._ledger.known(trial_id)
        return None if trial is None else trial.record.drawn

    def refusals(self) -> list[RefusedProposal]:
        """The latest refused proposals, five thousand at most."""
        return list(self._ledger.refusals)

    def get_state(self) -> dict[str, Any]:
        """All that decisions depend on, but for the wrapped search algorithm, which Ray keeps beside it."""
        return {
            "seed": self.screen.seed,
            "objective": (self._metric, self._mode),
            # A restored Tuner does not give the space again.
            "space": self._trial_space,
            "space_passed_on": self._space_passed_on,
            "ledger": deepcopy(self._ledger),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where ``get_state`` was called."""
        self.screen = replace(self.screen, seed=state["seed"])
        self._metric, self._mode = state["objective"]
        self._trial_space = state["space"]
        self._space_passed_on = state["space_passed_on"]
        self._ledger = deepcopy(state["ledger"])

    def save(self, checkpoint_path: str) -> None:
        """Write the state, the wrapped search algorithm's included, to a file."""
        write(Path(checkpoint_path), self.get_state(), self.searcher)

    def restore(self, checkpoint_path: str) -> None:
        """Go on from a file that ``save`` wrote, or from the ``searcher-state-*.pkl`` in an experiment's folder.

        Raises:
            ValueError: If there is no state of an ``NTKPriorSearch`` in or beside the file.
        """
        self.set_state(read(Path(checkpoint_path), self.searcher, type(self).__name__))

    def _agree(self, metric: Any, mode: Any) -> None:
        """Take the objective, if it is one and agrees with what is known."""
        require_objective(metric, mode)
        for name, told, known in (("metric", metric, self.metric), ("mode", mode, self.mode)):
            if told is not None and known is not None and told != known:
                raise ValueError(f"{name}: expected {known!r}, which the search algorithm has, received {shown(told)}")
        self._metric, self._mode = metric or self._metric, mode or self._mode

    def _require_ready(self) -> None:
        if self.metric is None or self.mode is None:
            raise RuntimeError(
                f"NTKPriorSearch has metric {self.metric!r} and mode {self.mode!r}: pass both to TuneConfig along with "
                "a param_space, or to NTKPriorSearch"
            )
        self._pass_on_space()

    def _pass_on_space(self) -> None:
        """Give the wrapped search algorithm the space declared here, once the objective is known."""
        own = self._trial_space.declared
        if own is not None and not self._space_passed_on and self.metric and self.mode:
            self.searcher.set_search_properties(self.metric, self.mode, own.searchable)
            self._space_passed_on = True
            self._probe()

    def _probe(self) -> None:
        """Warn before anything starts of what the prior says nothing about, and of names that it does not read."""
        draws = islice(
            self._trial_space.uniform_draws(np.random.default_rng(self.screen.seed)), SILENT_DRAWS_BEFORE_WARNING
        )
        configs = [self._trial_space.visible(config) for config in draws]
        judged = [(config, ask(self._prior, config)) for config in configs]
        for _, judgement in judged:
            self._notices.watch_silence(judgement, self._trial_space.hint)
        self._notices.warn_of_unread(self._prior, judged)

    def _proposals(self) -> Proposals:
        """Those for one trial."""
        return Proposals(
            self._prior, self.screen, self._wrapped, self._trial_space, self._ledger, self._notices, self.trust
        )

    def _launch(self, trial_id: str, choice: Choice[Proposal]) -> Config:
        config, inner_id = choice.origin
        record = record_of(choice.judgement, choice.drawn)
        self._ledger.launch(trial_id, RunningTrial(record, inner_id, self._trial_space.flat_point(config)))
        self._notices.watch_silence(choice.judgement, self._trial_space.hint)
        self._notices.warn_of_unread(self._prior, [(self._trial_space.visible(config), choice.judgement)])
        return config

    def _choose_exhausted(self, choice: Choice[Proposal]) -> Choice[Proposal] | None:
        """What to launch after all draws for a trial were refused; None to end the experiment."""
        if self._on_exhausted != "propose":
            choice = self._proposals().choose_uniform(SEARCHED_BEFORE_GIVING_UP) or choice
            if choice.drawn is not Drawn.BEST_OF_REFUSED:
                return choice
        message = describe_exhaustion(choice.judgement, choice.origin.config, len(choice.refused))
        if self._on_exhausted == "error":
            raise RuntimeError(message)
        goes_on = self._on_exhausted == "propose"
        self._notices.warn_once(
            "exhaustion", f"{message}. {'It is launched all the same' if goes_on else 'The search ends'}"
        )
        return choice if goes_on else None

    def _teach(self, point: Config, value: float, **how: Any) -> None:
        try:
            self._wrapped.add_point(point, value, **how)
        except (NotImplementedError, TypeError, ValueError) as error:
            why = f": {error}" if str(error) else ""
            self._notices.warn_once(
                "teach", f"{self._wrapped.name} cannot learn from configurations that it did not propose{why}"
            )


def _first(values: Iterator[Any]) -> Any:
    return next((value for value in values if value is not None), None)
