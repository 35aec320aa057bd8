"""The prior as tuners use it: configurations in, feasibility out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ntk_prior.architecture import Architecture, require_choice, require_instance
from ntk_prior.budget import Budget
from ntk_prior.calibration import (
    FEATURES,
    Calibration,
    CalibrationReport,
    Shape,
    features,
    shipped_calibration,
)
from ntk_prior.feasibility import DEFAULT_THRESHOLD, Feasibility, feasibility, outside_theory
from ntk_prior.files import expecting, read_json, write_file
from ntk_prior.outcomes import FinishedTrial, outcome, require_finished
from ntk_prior.table import (
    ARCHITECTURE_FIELDS,
    BUDGET_FIELDS,
    REQUIRED,
    FeasibilityTable,
    require_spelling,
    score_columns,
    tabulated,
)
from ntk_prior.task import Task

Configuration = Mapping[str, Any]
ToArchitecture = Callable[[Configuration], "Architecture | Configuration | None"]
When = Literal["uncertain", "always"]
Refine = Callable[[Architecture, Task, Budget], Feasibility | None]

UNCERTAIN = 0.1
"""A score this close to the threshold is uncertain: about how far the predictor's differs from that of an exact
spectrum on real images."""

FORMAT = "ntk-prior prior 2"


class NTKPrior:
    """Feasibility of configurations on one task and budget.

    Args:
        task: Summary of the data.
        budget: What a trial may spend; a configuration's own entries (``learning_rate``, ``width`` ...) override it.
        to_architecture: For spaces that do not use the field names of ``Architecture`` and ``Budget``: maps a
            configuration to an ``Architecture``, or to a mapping of those field names. None, or a KeyError raised by
            it, means "not a network this theory knows": the verdict is ``outside_theory``, and its reason says which.
        refine: A slower judge, ``exact.Refinement`` or one's own ``(architecture, task, budget) -> Feasibility``, for
            example ``feasibility_from_spectrum`` of a model's empirical kernel. Where it returns None, the predictor's
            answer stands.
        when: When ``refine`` is asked: ``"uncertain"``, where the score is within ``UNCERTAIN`` of the threshold or the
            theory is silent of the architecture, or ``"always"``.
        calibration: Makes probabilities of what the theory says; the shipped one by default. ``fit`` moves it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``when`` is neither.
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
    ) -> None:
        require_instance("task", task, Task)
        require_instance("budget", budget, Budget)
        if calibration is not None:
            require_instance("calibration", calibration, Calibration)
        if to_architecture is not None and not callable(to_architecture):
            raise TypeError(f"to_architecture: expected a callable or None, received {to_architecture!r}")
        self.task = task
        self.budget = budget
        if refine is not None and not callable(refine):
            raise TypeError(
                f"refine: expected a callable such as ntk_prior.exact.Refinement(x, y), or None, received {refine!r}"
            )
        require_choice("when", when, get_args(When))
        self.to_architecture = to_architecture
        self.refine = refine
        self.when = when
        self._given = shipped_calibration() if calibration is None else calibration
        self.calibration = self._given

    def __repr__(self) -> str:
        named = {"to_architecture": self.to_architecture, "refine": self.refine}
        given = "".join(f", {name}={value!r}" for name, value in named.items() if value is not None)
        return f"{type(self).__name__}({self.task!r}, {self.budget!r}{given})"

    def __call__(self, config: Configuration) -> Feasibility:
        """Feasibility of one configuration.

        Args:
            config: Parameter names to values; names the theory does not know are ignored, misspelt ones are errors.

        Raises:
            TypeError: If ``config`` is no mapping, or a value has the wrong type.
            ValueError: If a value lies outside its range, or a name is almost that of a field.
        """
        if not isinstance(config, Mapping):
            raise TypeError(f"config: expected a mapping of parameter names to values, received {config!r}")
        understood = self._understood(config)
        if isinstance(understood, str):
            return outside_theory(understood, self.task, self.budget)
        return self._judged(*understood)

    def score_many(self, columns: Any) -> FeasibilityTable:
        """Feasibility of many configurations at once.

        Args:
            columns: A mapping of names to equally long columns, a pandas ``DataFrame``, or a sequence of
                configurations. NaN and None mean "not set".

        Raises:
            TypeError: If ``columns`` is none of these.
            ValueError: If columns differ in length, or a value lies outside its range (the row is named).
        """
        if not isinstance(columns, Mapping) and hasattr(columns, "to_dict") and hasattr(columns, "columns"):
            columns = {str(name): columns[name].to_numpy() for name in columns.columns}
        if isinstance(columns, Mapping) and self.to_architecture is None and self.refine is None:
            return score_columns(columns, self.task, self.budget, self.calibration)
        return tabulated([self(row) for row in _rows(columns)])

    def fit(self, trials: Iterable[FinishedTrial]) -> CalibrationReport:
        """Learn from finished trials how far the theory is to be believed here.

        Call it with all of them at any time; each call starts from the calibration that the prior was made with. A few
        trials move it little. ``ntk_prior_optuna.finished_trials`` and ``ntk_prior_ray.finished_trials`` read them from
        a study and from results.

        Args:
            trials: Those that the prior is silent about, trained with Adam, or without a known outcome are skipped.

        Returns:
            How well the prior has foretold them, before it learnt from them.

        Raises:
            TypeError: If ``trials`` holds anything but ``FinishedTrial``.
            ValueError: If an accuracy is not in [0, 1].
        """
        given = require_finished(trials)
        known = [one.test_accuracy for one in given if one.test_accuracy is not None and isfinite(one.test_accuracy)]
        best = max(known, default=None)
        rows, outcomes = [], []
        for one in given:
            became = outcome(self.task.n_classes, one.train_accuracy, one.test_accuracy, best, one.diverged)
            understood = self._understood(one.config)
            if became is None or isinstance(understood, str) or understood[1].optimizer == "adam":
                continue
            found = self._judged(*understood)
            if found.sides is not None:
                own = None if found.architecture is None else understood[0]
                rows.append(features(found.sides, Shape.of(own, understood[1]))[0])
                outcomes.append(became)
        seen = np.array(rows).reshape(-1, len(FEATURES))
        report = self.calibration.report(seen, outcomes, len(given) - len(outcomes))
        self.calibration = self._given.moved(seen, outcomes)
        return report

    def save(self, path: str | Path) -> None:
        """Write task, budget and calibration as JSON. ``to_architecture`` and ``refine`` are code and not written.

        Raises:
            OSError: If the file cannot be written; what it held is then still there.
        """
        content = {
            "format": FORMAT,
            "task": self.task.to_json(),
            "budget": asdict(self.budget),
            "calibration": self.calibration.to_json(),
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
                raise ValueError(f"format: expected {FORMAT!r}, received {content['format']!r}")
            task, budget = Task.from_json(content["task"]), Budget(**content["budget"])
            calibration = Calibration.from_json(content["calibration"])
        return cls(task, budget, to_architecture, refine=refine, when=when, calibration=calibration)

    def _judged(self, architecture: Architecture, budget: Budget) -> Feasibility:
        """The predictor's answer, or the slower judge's where it is asked and has one."""
        fast = feasibility(architecture, self.task, budget, self.calibration)
        uncertain = fast.score is None or abs(fast.score - DEFAULT_THRESHOLD) <= UNCERTAIN
        if self.refine is None or not (uncertain or self.when == "always"):
            return fast
        return self.refine(architecture, self.task, budget) or fast

    def _understood(self, config: Configuration) -> tuple[Architecture, Budget] | str:
        """The network and the training that a configuration stands for, or why it stands for none."""
        mapped = self._mapped(config)
        if isinstance(mapped, str):
            return mapped
        budget = self._budget({**_known(config, BUDGET_FIELDS), **_known(mapped, BUDGET_FIELDS)})
        if isinstance(mapped, Architecture):
            return mapped, budget
        require_spelling(tuple(mapped))
        missing = [name for name in REQUIRED if mapped.get(name) is None]
        if missing:
            return self._lacking(missing, [str(name) for name in mapped if mapped[name] is not None])
        return Architecture(**_known(mapped, ARCHITECTURE_FIELDS)), budget

    def _mapped(self, config: Configuration) -> Architecture | Configuration | str:
        """What ``to_architecture`` makes of a configuration, or why it makes nothing of it."""
        if self.to_architecture is None:
            return config
        try:
            mapped = self.to_architecture(config)
        except KeyError as error:
            return f"to_architecture does not know this configuration (KeyError: {error})"
        if mapped is None:
            return "to_architecture does not know this configuration (it returned None)"
        if not isinstance(mapped, Architecture | Mapping):
            raise TypeError(
                f"to_architecture: expected an Architecture, a mapping of field names, or None, received {mapped!r}"
            )
        return mapped

    def _lacking(self, missing: Sequence[str], given: Sequence[str]) -> str:
        """Why a configuration without some fields says too little."""
        what = f"lacks {', '.join(missing)}" + (f" and has {', '.join(given)}" if given else "")
        if self.to_architecture is not None:
            return f"what to_architecture returned {what}"
        return f"the configuration {what}; NTKPrior(..., to_architecture) maps other names"

    def _budget(self, own: dict[str, Any]) -> Budget:
        return replace(self.budget, **own) if own else self.budget


def _known(mapped: Architecture | Configuration, names: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(mapped, Architecture):
        return {}
    return {name: mapped[name] for name in names if name in mapped and mapped[name] is not None}


def _rows(columns: Any) -> Sequence[Configuration]:
    if isinstance(columns, Mapping):
        names = list(columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if isinstance(columns, Sequence) and all(isinstance(row, Mapping) for row in columns):
        return columns
    raise TypeError(
        "columns: expected a mapping of names to columns, a pandas DataFrame or a sequence of mappings, "
        f"received {type(columns).__name__}"
    )
