"""What is peculiar to each of Ray Tune's search algorithms: how it takes back a proposal, and learns of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ray.tune.search import Searcher

from ntk_prior.decision import ATTRIBUTE, DEFAULT_CANDIDATES
from ntk_prior_ray import _ray
from ntk_prior_ray.space import Config


class UnlaunchedProposal(NamedTuple):
    """A proposal without a result.

    Attributes:
        searcher: The search algorithm that was asked, perhaps a limiter around ``base``.
        base: The search algorithm that proposed.
        trial_id: The id that it proposed for.
        excess: By how much the score misses the threshold; None where it was not refused.
        inform_model: Whether the search algorithm's model is to learn that the proposal was bad.
    """

    searcher: Searcher
    base: Any
    trial_id: str
    excess: float | None
    inform_model: bool


def _end_without_result(proposal: UnlaunchedProposal) -> None:
    proposal.searcher.on_trial_complete(proposal.trial_id)


def _end_with_error(proposal: UnlaunchedProposal) -> None:
    proposal.searcher.on_trial_complete(proposal.trial_id, error=True)


def _end_in_optuna(proposal: UnlaunchedProposal) -> None:
    """Prune it without a value, and from Optuna 5 on with a graded constraint, by which TPE learns what is feasible.

    A proposal that is to teach nothing becomes a failed trial, which every sampler ignores.
    """
    if not proposal.inform_model:
        _end_with_error(proposal)
        return
    trial = _ray.optuna_trial_of(proposal.base, proposal.trial_id)
    if proposal.excess is not None and trial is not None and hasattr(trial, "set_constraint"):
        trial.set_constraint(ATTRIBUTE, proposal.excess)
    _end_without_result(proposal)


def _end_in_hyperopt(proposal: UnlaunchedProposal) -> None:
    """End it as an error, since a trial without a result stays new for ever; then, to teach, as done but failed.

    TPE there ignores errors, and ranks what has failed last.
    """
    document = _ray.hyperopt_document_of(proposal.base, proposal.trial_id) if proposal.inform_model else None
    _end_with_error(proposal)
    if document is not None:
        _ray.set_hyperopt_failed(proposal.base, document)


def _end_in_ax(proposal: UnlaunchedProposal) -> None:
    """Ax keeps a trial without a result running; one whose metric is not a number it abandons."""
    proposal.searcher.on_trial_complete(proposal.trial_id, {proposal.base.metric: math.nan})


def _add_evaluated_point(base: Any, parameters: Config, value: float, **how: Any) -> None:
    base.add_evaluated_point(parameters, value, **how)


def _register(base: Any, parameters: Config, value: float, **_: Any) -> None:
    """BayesOptSearch takes no evaluated point, the optimiser inside does."""
    _ray.register_in_bayesopt(base, parameters, value)


class SearcherQuirks(NamedTuple):
    """What is peculiar to one search algorithm.

    Attributes:
        end: Ends a proposal without a result.
        counters: Attributes that count proposals, to be put back to what they were before a refused one.
        add_point: Teaches a result of a configuration that was not proposed, by its flat names.
        candidates: Proposals that may compete for one trial. Those of an Optuna or HyperOpt study stay in it as trials
            that its sampler ignores; what spare proposals do to other search algorithms is not known.
    """

    end: Callable[[UnlaunchedProposal], None] = _end_without_result
    counters: tuple[str, ...] = ()
    add_point: Callable[..., None] = _add_evaluated_point
    candidates: int = 1


_QUIRKS = {
    "UniformSearch": SearcherQuirks(candidates=DEFAULT_CANDIDATES),
    "OptunaSearch": SearcherQuirks(_end_in_optuna, candidates=4),
    "HyperOptSearch": SearcherQuirks(_end_in_hyperopt, candidates=4),
    "AxSearch": SearcherQuirks(_end_in_ax),
    # It ends after proposing one point too often, and waits for all of its random points to finish.
    "BayesOptSearch": SearcherQuirks(counters=("_config_counter", "_total_random_search_trials"), add_point=_register),
    # It waits for all of a full batch to finish.
    "HEBOSearch": SearcherQuirks(counters=("_batch_filled",)),
}


def find_quirks(searcher: Searcher) -> SearcherQuirks:
    """What is peculiar to a search algorithm, by the name of its class or of one that this is derived from."""
    names = [kind.__name__ for kind in type(searcher).__mro__]
    return next((_QUIRKS[name] for name in names if name in _QUIRKS), SearcherQuirks())
