"""From verdicts to decisions: which of a tuner's proposals are launched. For authors of adapters; it knows no tuner.

An adapter, in ten lines:

1. Take a ``prior``, any callable from a configuration to a ``Judgement``; ``with_threshold`` makes its verdicts agree
   with the ``Screen``, which holds all settings and the random numbers, and keeps no state.
2. For each trial, hand the tuner's proposals to ``Screen.choose`` as an iterator of ``Draw``s, and uniform draws over
   the same space as another; it takes from them what it needs. Launch ``Choice.origin``.
3. Keep a ``Record`` of the choice with the trial, by ``Record.to_json``, where the tuner keeps its results.
4. Make ``Evidence`` of the records of the latest ``EVIDENCE_WINDOW`` finished trials, by ``Record.as_evidence``;
   ``trust_in_view_of`` and ``withdrawn_verdicts`` say what it means for the next trial: ``Screen.bypasses``,
   ``Screen.competing``, and ``withdrawn``.
5. Tell users once what the functions of ``decision.notices`` put into words.

For example, random search over the depth of a network, whose loss is least at a depth of 5:

    >>> import numpy as np
    >>> import ntk_prior as ntp
    >>> from ntk_prior.decision import Draw, Record, Screen, own_threshold, trust_in_view_of, withdrawn_verdicts
    >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
    >>> screen = Screen(threshold=own_threshold(prior), seed=0)
    >>> def proposals(number, purpose):
    ...     random = np.random.default_rng([number, purpose])
    ...     while True:
    ...         config = {"weight_variance": 1.7, "bias_variance": 0.1, "depth": int(random.integers(1, 64))}
    ...         yield Draw(config, origin=config)
    >>> finished = []
    >>> for number in range(20):
    ...     withdrawn = withdrawn_verdicts(finished, screen.threshold)
    ...     trust = trust_in_view_of(finished, screen.threshold, withdrawn)
    ...     choice = screen.choose(
    ...         prior,
    ...         number,
    ...         proposals(number, 0),
    ...         proposals(number, 1),
    ...         bypass=screen.bypasses(number, trust),
    ...         competing=screen.competing(number, trust),
    ...         withdrawn=withdrawn,
    ...     )
    ...     loss = abs(choice.origin["depth"] - 5)
    ...     evidence = Record.from_judgement(choice.judgement, choice.drawn).as_evidence((loss,))
    ...     if evidence is not None:
    ...         finished.append(evidence)
    >>> launched = [trial for trial in finished if not trial.plain]
    >>> len(launched), {trial.verdict for trial in launched}
    (15, {'feasible'})
"""

from ntk_prior.configuration import Configuration
from ntk_prior.decision.draws import Choice, Draw, Drawn, Scored
from ntk_prior.decision.host import Expectation, ExpectationsOf
from ntk_prior.decision.judgement import (
    Judgement,
    Prior,
    PriorWithThreshold,
    Silence,
    ask,
    own_threshold,
    score_of,
    with_threshold,
)
from ntk_prior.decision.notices import unread_notice, withdrawal_notices
from ntk_prior.decision.records import ATTRIBUTE, Record, RefusedDraw, same
from ntk_prior.decision.screen import DEFAULT_CANDIDATES, DEFAULT_EPSILON, DEFAULT_MAX_DRAWS, Screen
from ntk_prior.decision.trust import (
    EVIDENCE_WINDOW,
    Evidence,
    Trust,
    trust_in_ranking,
    trust_in_refusals,
    trust_in_view_of,
    withdrawn_verdicts,
)
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD

__all__ = [
    "ATTRIBUTE",
    "DEFAULT_CANDIDATES",
    "DEFAULT_EPSILON",
    "DEFAULT_MAX_DRAWS",
    "DEFAULT_THRESHOLD",
    "EVIDENCE_WINDOW",
    "Choice",
    "Configuration",
    "Draw",
    "Drawn",
    "Evidence",
    "Expectation",
    "ExpectationsOf",
    "Judgement",
    "Prior",
    "PriorWithThreshold",
    "Record",
    "RefusedDraw",
    "Scored",
    "Screen",
    "Silence",
    "Trust",
    "ask",
    "own_threshold",
    "same",
    "score_of",
    "trust_in_ranking",
    "trust_in_refusals",
    "trust_in_view_of",
    "unread_notice",
    "with_threshold",
    "withdrawal_notices",
    "withdrawn_verdicts",
]
