"""The prior as tuners use it: configurations in, feasibility out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import require_choice, require_instance, require_real, shown
from ntk_prior.configuration import Configuration, naming_row
from ntk_prior.files import expecting, read_json, write_file
from ntk_prior.interpretation import Interpreter, ToArchitecture, Unclear
from ntk_prior.task.task import Task
from ntk_prior.task.views import ViewName
from ntk_prior.theory.layers import encode_one
from ntk_prior.verdict.batch import FeasibilityTable, entries_of, length_of, score_columns, tabulate
from ntk_prior.verdict.calibration import Calibration, CalibrationReport, Lessons, shipped_calibration
from ntk_prior.verdict.feasibility import DEFAULT_THRESHOLD, Feasibility, feasibility, outside_theory
from ntk_prior.verdict.laboratory import FEATURES, NetworkSize, features
from ntk_prior.verdict.outcomes import FinishedTrial, Outcome, outcome, outcome_in_practice, require_finished
from ntk_prior.verdict.practice import FEATURES as PRACTICE_FEATURES
from ntk_prior.verdict.practice import MIN_SUPPORT, features_of_rows, is_covered

When = Literal["uncertain", "always"]
Refine = Callable[[Architecture, Task, Budget], Feasibility | None]

UNCERTAIN = 0.1
"""A score this close to the threshold is uncertain: about how far the predictor's differs from that of an exact
spectrum on real images."""

FORMAT = "ntk-prior prior 2"


class _Lesson(NamedTuple):
    """What one finished trial teaches: its features, what became of it, and which models it teaches."""

    seen: NDArray[np.float64]
    became: Outcome
    in_practice: bool = False


class _Lessons:
    """Lessons for models that see ``size`` features."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lessons: list[_Lesson] = []

    def add(self, lesson: _Lesson) -> None:
        self._lessons.append(lesson)

    @property
    def together(self) -> Lessons:
        seen = np.array([lesson.seen for lesson in self._lessons]).reshape(-1, self._size)
        return Lessons(seen, [lesson.became for lesson in self._lessons])


class NTKPrior:
    """Feasibility of configurations on one task and budget.

    Example:
        >>> import ntk_prior as ntp
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> found = prior({"weight_variance": 1.7, "bias_variance": 0.1, "depth": 64})
        >>> found.verdict, found.suggestion
        (<Verdict.MEMORIZES_ONLY: 'memorizes_only'>, 'depth <= 16, or width >= 1302')
        >>> prior.score_many({"weight_variance": [1.7, 1.7], "bias_variance": [0.1, 0.1], "depth": [3, 64]}).verdict
        array(['feasible', 'memorizes_only'], dtype='<U14')

    Args:
        task: Summary of the data.
        budget: What a trial may spend; a configuration's own entries (``learning_rate``, ``width`` ...) override it.
        to_architecture: For spaces that do not use the field names of ``Architecture`` and ``Budget``: maps a
            configuration to a mapping of those field names, or to an ``Architecture``, which is judged by ``budget`` as
            it stands. Nothing but what it returns counts: a parameter that it does not pass on changes no verdict, even
            if its name is that of a field. None, or a KeyError raised by it, means "not a network this theory knows":
            the verdict is ``outside_theory``, and its reason says which.
        refine: A slower judge, ``exact.Refinement`` or one's own ``(architecture, task, budget) -> Feasibility``, for
            example ``feasibility_from_spectrum`` of a model's empirical kernel. Where it returns None, the predictor's
            answer stands.
        when: When ``refine`` is asked: ``"uncertain"``, where the score is within ``UNCERTAIN`` of the threshold or the
            theory is silent of the architecture, or ``"always"``.
        calibration: Makes probabilities of what the theory says; the shipped one by default. ``fit`` shifts it.
        threshold: The verdict is ``feasible`` only if both probabilities reach this; so tuners refuse lower scores.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``when`` is neither, or ``threshold`` lies outside [0, 1].
    """

    def __init__(
        self,
        task: Task,
        budget: Budget,
        to_architecture: ToArchitecture | None = None,
        *,
        refine: Refine | None = None,
        when: When = "uncertain",
        calibration: Calibration | None = None,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> None:
        require_instance("task", task, Task)
        require_instance("budget", budget, Budget)
        if calibration is not None:
            require_instance("calibration", calibration, Calibration)
        if to_architecture is not None and not callable(to_architecture):
            raise TypeError(f"to_architecture: expected a callable or None, received {shown(to_architecture)}")
        self.task = task
        self.budget = budget
        if refine is not None and not callable(refine):
            raise TypeError(
                "refine: expected a callable such as ntk_prior.exact.Refinement(x, y), or None, "
                f"received {shown(refine)}"
            )
        require_choice("when", when, get_args(When))
        self.to_architecture = to_architecture
        self.refine = refine
        self.when = when
        self.threshold = require_real("threshold", threshold, 0.0, 1.0)
        self._given = shipped_calibration() if calibration is None else calibration
        self.calibration = self._given

    def __repr__(self) -> str:
        named: dict[str, Any] = {"to_architecture": self.to_architecture, "refine": self.refine}
        if self.threshold != DEFAULT_THRESHOLD:
            named["threshold"] = self.threshold
        given = "".join(f", {name}={value!r}" for name, value in named.items() if value is not None)
        return f"{type(self).__name__}({self.task!r}, {self.budget!r}{given})"

    def __call__(self, config: Configuration) -> Feasibility:
        """Feasibility of one configuration.

        Args:
            config: Parameter names to values. None and NaN mean "not set". Names that are no fields are ignored (see
                ``unread``), misspelt ones are errors.

        Raises:
            TypeError: If ``config`` is no mapping, or a value has the wrong type.
            ValueError: If a value lies outside its range, or a name is almost that of a field.
        """
        _require_mapping(config)
        understood = self._interpreter.interpret(config)
        if isinstance(understood, Unclear):
            return outside_theory(understood.reason, self.task, self.budget, threshold=self.threshold)
        return self._judge(*understood)

    def with_threshold(self, threshold: float) -> Self:
        """A copy of this prior that judges with another threshold, and has learnt what this one has.

        The two are independent from then on: ``fit`` of one leaves the other as it is.

        Args:
            threshold: What both probabilities must reach.

        Raises:
            TypeError: If it is no number.
            ValueError: If it lies outside [0, 1].
        """
        other = copy(self)
        other.threshold = require_real("threshold", threshold, 0.0, 1.0)
        return other

    def unread(self, config: Configuration) -> tuple[str, ...]:
        """The parameters of a configuration that the prior does not look at, so that they change no verdict.

        Without ``to_architecture`` these are the names that are no fields of ``Architecture`` or ``Budget``; with it,
        those that this function does not read, and the names that it returns and that are neither fields nor the
        configuration's. A function that goes through all of a configuration reads all of it, but for what it merely
        copies into what it returns. Where it makes nothing of the configuration, or fails, nothing is said.

        Args:
            config: As for calling the prior.

        Returns:
            Their names in the configuration's order, those inside nested dictionaries like ``"net/lr"``.

        Raises:
            TypeError: If ``config`` is no mapping.
        """
        _require_mapping(config)
        return self._interpreter.unread(config)

    def score_many(self, columns: Any) -> FeasibilityTable:
        """Feasibility of many configurations at once.

        Args:
            columns: A mapping of names to equally long columns, a pandas ``DataFrame``, or a sequence of
                configurations.

        Raises:
            TypeError: If ``columns`` is none of these, or a value has the wrong type.
            ValueError: If columns differ in length, or as for calling the prior. The row is named.
        """
        if not isinstance(columns, Mapping) and hasattr(columns, "to_dict") and hasattr(columns, "columns"):
            columns = {str(name): columns[name].to_numpy() for name in columns.columns}
        if isinstance(columns, Mapping) and self.to_architecture is None and self.refine is None:
            return score_columns(columns, self.task, self.budget, self.calibration, self.threshold)
        judgements = [naming_row(number, self, row) for number, row in enumerate(_rows(columns))]
        return tabulate(judgements, self.threshold)

    def fit(self, trials: Iterable[FinishedTrial]) -> CalibrationReport:
        """Shift the probabilities by your own finished trials. The more you pass, the larger the shift.

        30 trials count as much as the shipped calibration. Call it with all of them at any time; each call starts from
        the calibration that the prior was made with. ``ntk_prior_optuna.finished_trials`` and
        ``ntk_prior_ray.finished_trials`` read them from a study and from results.

        Args:
            trials: Those that the prior is silent about, or without a known outcome, are skipped.

        Returns:
            How well the prior predicted them, before it learnt from them, and why trials were skipped.

        Raises:
            TypeError: If ``trials`` holds anything but ``FinishedTrial``.
            ValueError: If an accuracy is not in [0, 1].
        """
        finished = require_finished(trials)
        accuracies = (trial.test_accuracy for trial in finished)
        best = max((value for value in accuracies if value is not None and isfinite(value)), default=None)
        theory, practice = _Lessons(len(FEATURES)), _Lessons(len(PRACTICE_FEATURES))
        skipped: Counter[str] = Counter()
        for trial in finished:
            lesson = self._lesson(trial, best)
            if isinstance(lesson, str):
                skipped[lesson] += 1
            else:
                (practice if lesson.in_practice else theory).add(lesson)
        known = theory.together, practice.together
        report = self.calibration.report(*known, skipped.total())
        self.calibration = self._given.adjust(*known)
        return report._replace(reasons=dict(skipped.most_common()))

    def _lesson(self, trial: FinishedTrial, best_accuracy: float | None) -> _Lesson | str:
        """What a finished trial teaches, or the kind of reason for which it teaches nothing."""
        understood = self._interpreter.interpret(trial.config)
        if isinstance(understood, Unclear):
            return understood.kind
        architecture, budget = understood
        budget = budget.in_steps(self.task.n_train)
        practice = is_covered(budget, self.task.n_train)
        if budget.is_adaptive and not practice:
            return f"trained with {budget.optimizer}, whose estimates are bounds"
        judgement = self._judge(architecture, budget)
        if judgement.estimates is None:
            return f"outside the theory: {judgement.reason.partition(';')[0]}"
        if practice and not (judgement.support or 0.0) >= MIN_SUPPORT:
            return "unlike the trainings that the probabilities rest on"
        became = (outcome_in_practice if practice else outcome)(
            self.task.chance, trial.train_accuracy, trial.test_accuracy, best_accuracy, trial.diverged
        )
        if became is None:
            return "no outcome known: accuracies are missing, or too low a test accuracy stands alone"
        if practice:
            rows, table = encode_one(architecture, budget)
            return _Lesson(features_of_rows(judgement.estimates, rows, table, self.task)[0], became, in_practice=True)
        network = None if judgement.architecture is None else architecture
        return _Lesson(features(judgement.estimates, NetworkSize.for_network(network, budget))[0], became)

    def save(self, path: str | Path, views: Iterable[ViewName] | None = None) -> None:
        """Write task, budget, calibration and threshold as JSON. ``to_architecture`` and ``refine`` are not written.

        Args:
            path: The file.
            views: Of the task, to be worked out beforehand, see ``Task.save``: without them, the file knows the kinds
                of networks that the prior has been asked about.

        Raises:
            OSError: If the file cannot be written; what it held is then still there.
        """
        content = {
            "format": FORMAT,
            "task": self.task.to_json(views),
            "budget": asdict(self.budget),
            "calibration": self.calibration.to_json(),
            "threshold": self.threshold,
        }
        write_file(path, json.dumps(content) + "\n")

    @classmethod
    def load(
        cls,
        path: str | Path,
        to_architecture: ToArchitecture | None = None,
        *,
        refine: Refine | None = None,
        when: When = "uncertain",
    ) -> NTKPrior:
        """Read a prior written by ``save``.

        Raises:
            ValueError: If the file is not such a prior.
        """
        with expecting(f"a saved prior ({FORMAT!r})", path, "write it again with NTKPrior.save"):
            content = read_json(path)
            if content["format"] != FORMAT:
                raise ValueError(f"format: expected {FORMAT!r}, received {shown(content['format'])}")
            task, budget = Task.from_json(content["task"]), Budget(**content["budget"])
            calibration = Calibration.from_json(content["calibration"])
            threshold = require_real("threshold", content.get("threshold", DEFAULT_THRESHOLD), 0.0, 1.0)
        return cls(
            task, budget, to_architecture, refine=refine, when=when, calibration=calibration, threshold=threshold
        )

    @property
    def _interpreter(self) -> Interpreter:
        return Interpreter(self.budget, self.to_architecture)

    def _judge(self, architecture: Architecture, budget: Budget) -> Feasibility:
        """The predictor's answer, or the slower judge's where it is asked and has one."""
        fast = feasibility(architecture, self.task, budget, self.calibration, threshold=self.threshold)
        uncertain = fast.score is None or abs(fast.score - self.threshold) <= UNCERTAIN
        # No spectrum tells what a training does that the theory does not know.
        # Trainings of practice were judged by the predictor's numbers alone.
        fixed = (
            self.refine is None or budget.unknown or is_covered(budget.in_steps(self.task.n_train), self.task.n_train)
        )
        if fixed or not (uncertain or self.when == "always"):
            return fast
        assert self.refine is not None, "without it the predictor's answer is fixed"
        slow = self.refine(architecture, self.task, budget)
        return fast if slow is None else slow.with_threshold(self.threshold)


def _require_mapping(config: Any) -> None:
    if not isinstance(config, Mapping):
        raise TypeError(f"config: expected a mapping of parameter names to values, received {shown(config)}")


def _rows(columns: Any) -> Sequence[Configuration]:
    if isinstance(columns, Mapping):
        length_of({name: entries_of(column) for name, column in columns.items()})
        kept = [column if isinstance(column, list | tuple) else entries_of(column) for column in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*kept, strict=True)]
    if isinstance(columns, Sequence) and all(isinstance(row, Mapping) for row in columns):
        return columns
    raise TypeError(
        "columns: expected a mapping of names to columns, a pandas DataFrame or a sequence of mappings, "
        f"received {type(columns).__name__}"
    )
