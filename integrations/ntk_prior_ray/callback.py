"""What the prior said, in each trial's results, and the refused proposals in a file beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.tune import Callback
from ray.tune.search import Searcher

from ntk_prior import max_learning_rate
from ntk_prior.checks import shown
from ntk_prior.decision import ATTRIBUTE, Judgement, score_of
from ntk_prior.files import append_lines, expecting, parsed_json, write_file
from ntk_prior.runs.ray_folder import REJECTIONS
from ntk_prior_ray._ray import ExperimentFolder, unwrap
from ntk_prior_ray.search import NTKPriorSearch

LONGEST_ARRAY = 1_000
"""Numbers in an array up to which the file has them all."""

LARGEST = 2**28
"""Bytes of the largest such file that is gone on with."""


class NTKPriorCallback(Callback):
    """Adds score, verdict, kappa, phase and largest stable learning rate to every result of a trial.

    They become the columns ``ntk_prior/...`` of ``ResultGrid.get_dataframe()`` and, where they are numbers, curves in
    TensorBoard. ``ntk_prior/drawn`` says how the configuration came about: ``plain`` trials bypassed the prior, and it
    was silent about ``unjudged`` ones. Refused proposals are appended to ``ntk_rejections.jsonl`` in the experiment's
    folder, in words where JSON does not know a value.

    Args:
        search: The ``NTKPriorSearch``, or what is around it.

    Raises:
        TypeError: If there is no ``NTKPriorSearch`` in it.

    Example:
        A Tuner takes both, the callback as ``RunConfig(callbacks=[callback])``:

        >>> import ntk_prior as ntp
        >>> from ntk_prior_ray import NTKPriorCallback, NTKPriorSearch
        >>> prior = ntp.NTKPrior(ntp.Task.cifar10(1_000), ntp.Budget(steps=300, width=128))
        >>> search = NTKPriorSearch(prior, seed=0)
        >>> callback = NTKPriorCallback(search)
    """

    def __init__(self, search: Searcher) -> None:
        inside = [one for one in unwrap(search) if isinstance(one, NTKPriorSearch)]
        if not inside:
            raise TypeError(f"search: expected an NTKPriorSearch or a limiter around one, received {shown(search)}")
        self._search = inside[0]
        self._columns: dict[str, dict[str, Any]] = {}
        # What the search algorithm has refused before belongs to another experiment.
        self._next = max((one.refused_before + 1 for one in self._search.refusals()), default=0)
        self._begun = False

    def on_trial_result(
        self, iteration: int, trials: Sequence[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Add the columns to the result, in place."""
        if trial.trial_id not in self._columns:
            self._columns[trial.trial_id] = columns(
                self._search.judge(trial.config), self._search.drawn(trial.trial_id)
            )
        result[ATTRIBUTE] = dict(self._columns[trial.trial_id])

    def on_trial_complete(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """Forget the trial."""
        self._columns.pop(trial.trial_id, None)

    def on_step_end(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        """Append the proposals refused meanwhile to their file."""
        if trials:
            self._write(ExperimentFolder.of_trial(trials[0]))

    def on_experiment_end(self, trials: Sequence[Any], **info: Any) -> None:
        """Append the last ones."""
        self.on_step_end(0, trials)

    def _write(self, folder: ExperimentFolder) -> None:
        refusals = [one for one in self._search.refusals() if one.refused_before >= self._next]
        if not refusals:
            return
        path = folder.staged / REJECTIONS
        if not self._begun:
            # What is refused after the search algorithm's state was last stored is decided anew in a restored
            # experiment. Its folder is empty here, and its files replace the stored ones.
            write_file(path, b"".join(stored_before(refusals[0].refused_before, folder)))
            self._begun = True
        told = ({**one._asdict(), "reason": self._search.judge(one.config).reason} for one in refusals)
        append_lines(path, "".join(json.dumps(to_json(one), allow_nan=False) + "\n" for one in told))
        self._next = refusals[-1].refused_before + 1


def stored_before(first: int, folder: ExperimentFolder) -> list[bytes]:
    """Lines on refused proposals before that one, which an experiment's earlier sessions have stored.

    Raises:
        ValueError: If a line tells of nothing refused.
    """
    path = f"{folder.stored}/{REJECTIONS}"
    found = folder.filesystem.get_file_info(path)
    if found.type.name == "NotFound":
        return []
    with expecting("a refused proposal on each line, as a JSON object", path, "remove the lines that are none"):
        if not found.is_file:
            raise ValueError("it is no regular file")
        with folder.filesystem.open_input_stream(path) as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"expected at most {LARGEST} bytes, received more")
        # A driver that is killed may leave half a line, the last one.
        whole = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
        return [line for line in whole if parsed_json(line.decode("utf-8"))["refused_before"] < first]


def to_json(value: Any) -> Any:
    """A value as JSON knows it: NumPy's numbers as numbers, arrays and tuples as lists, all else in words, NaN too."""
    if isinstance(value, Mapping):
        return {str(name): to_json(inside) for name, inside in value.items()}
    if isinstance(value, np.ndarray) and value.size <= LONGEST_ARRAY:
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [to_json(inside) for inside in value]
    if isinstance(value, np.generic):
        value = float(value) if isinstance(value, np.floating) else value.item()
    known = value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
    return value if known else shown(value)


def columns(judgement: Judgement, drawn: str | None) -> dict[str, Any]:
    """What the prior says of a configuration, as flat values."""
    found: dict[str, Any] = {
        "score": score_of(judgement),
        "verdict": str(judgement.verdict),
        "drawn": drawn and str(drawn),
    }
    spectrum = getattr(judgement, "spectrum", None)
    if spectrum is None:
        return found
    feasibility: Any = judgement
    found["kappa"] = float(spectrum.kappa)
    if feasibility.architecture is not None:
        found["phase"] = str(spectrum.phase)
        # The kernel does not decide how large a step Adam may take.
        if not feasibility.budget.is_adaptive:
            found["max_learning_rate"] = max_learning_rate(
                feasibility.architecture, feasibility.task, feasibility.budget
            )
    return found
