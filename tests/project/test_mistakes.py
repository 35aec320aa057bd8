"""What a new user gets wrong, and the words that say so before any work starts."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, FinishedTrial, NTKPrior, Task
from tests.support.small_prior import PLAIN, RNG, X, Y

IMAGES = RNG.normal(size=(40, 8, 8, 3))


class TestData:
    @pytest.mark.parametrize(
        ("x", "y", "message"),
        [
            (
                X,
                np.eye(4)[Y],
                r"y: expected one label for each of the 40 inputs, .*\(40, 4\) \(one-hot\? take y.argmax",
            ),
            (X, Y[:, None], r"y: .* received shape \(40, 1\) \(take y.ravel\(\)\)"),
            (IMAGES[..., 0], Y, r"x: expected shape .* received \(40, 8, 8\) \(grey images\? add the channel"),
            (np.moveaxis(IMAGES, 3, 1), Y, r"x: .* received \(40, 3, 8, 8\), which looks like \(n, channels, height"),
            (np.moveaxis(IMAGES[..., :1], 3, 1), Y, r"x: .* received \(40, 1, 8, 8\), which looks like"),
        ],
    )
    def test_wrong_shapes_come_with_a_remedy(self, x: Any, y: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Task.from_arrays(x, y)

    @pytest.mark.parametrize(
        ("x", "y", "message"),
        [
            ([["a", "b"]] * 40, Y, "x: expected an array of real numbers"),
            ([[1.0, 2.0], [1.0]], [0, 1], "x: expected an array of real numbers"),
            (X + 1j, Y, "x: expected an array of real numbers, .* complex"),
            (X, np.array([1, "a"] * 20, dtype=object), "y: expected labels of one kind"),
        ],
    )
    def test_wrong_kinds_name_the_argument(self, x: Any, y: Any, message: str) -> None:
        with pytest.raises(TypeError, match=message):
            Task.from_arrays(x, y)

    @pytest.mark.parametrize("argument", [{"seed": -1}, {"groups": 0}, {"seed": 1.5}])
    def test_whole_numbers_are_checked(self, argument: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(argument))}: expected an integer in"):
            Task.from_arrays(X, Y, **argument)

    def test_bytes_are_not_what_a_network_gets(self) -> None:
        with pytest.warns(UserWarning, match="x: received bytes, as images are stored: give the inputs as the network"):
            Task.from_arrays(RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), Y)

    def test_images_with_the_channels_last_and_any_labels_are_fine(self) -> None:
        for labels in (Y, Y.astype(float), np.array(list("abcd"))[Y]):
            assert Task.from_arrays(IMAGES, labels).n_classes == 4


class TestTypes:
    def test_arguments_in_the_wrong_order_are_named(self, task: Task) -> None:
        network, budget = Architecture(1.5, 0.05, 4), Budget(100)
        for call in (
            lambda: ntp.feasibility(task, network, budget),
            lambda: ntp.spectrum(task, network),
            lambda: ntp.max_learning_rate(task, network, budget),
        ):
            with pytest.raises(TypeError, match=r"architecture: expected ntk_prior.Architecture, received Task\("):
                call()
        with pytest.raises(TypeError, match=r"calibration: expected ntk_prior.Calibration, received 'prior.json'"):
            NTKPrior(task, budget, calibration="prior.json")
        with pytest.raises(TypeError, match=r"spectrum: expected ntk_prior.MeasuredSpectrum, received 3"):
            ntp.feasibility_from_spectrum(3, task, budget)

    def test_a_wrong_entry_of_a_long_column_is_shown_alone(self, prior: NTKPrior) -> None:
        columns = {name: [value] * 1000 for name, value in PLAIN.items()}
        with pytest.raises(TypeError, match=r"^depth: expected an integer, received 'many' \(row 999\)$"):
            prior.score_many({**columns, "depth": [3] * 999 + ["many"]})

    @pytest.mark.parametrize(
        ("trial", "error", "message"),
        [
            (
                FinishedTrial(PLAIN, test_accuracy=91.0),
                ValueError,
                r"trials\[1\].test_accuracy: expected a value in \[0, 1",
            ),
            (
                FinishedTrial(PLAIN, train_accuracy="0.9"),
                TypeError,
                r"trials\[1\].train_accuracy: expected a real number",
            ),
            (FinishedTrial(PLAIN, 0.9, 0.9, "no"), TypeError, r"trials\[1\].diverged: expected True or False"),
            (FinishedTrial(None, 0.9, 0.9), TypeError, "trials: expected an ntk_prior.FinishedTrial with its config"),
            ({"accuracy": 0.9}, TypeError, "trials: expected an ntk_prior.FinishedTrial with its config, received {"),
        ],
    )
    def test_outcomes_in_the_wrong_unit_teach_nothing(
        self, prior: NTKPrior, trial: Any, error: type[Exception], message: str
    ) -> None:
        before = prior.calibration
        with pytest.raises(error, match=message):
            prior.fit([FinishedTrial(PLAIN, 0.9, math.nan), trial])
        assert prior.calibration is before


def test_what_is_printed_fits_on_a_screen(prior: NTKPrior) -> None:
    assert repr(prior.task) == "Task(n_train=40, n_test=0, n_classes=4, n_features=6, n_pixels=None)"
    assert repr(prior).startswith("NTKPrior(Task(n_train=40")
    assert len(repr(prior(PLAIN))) < 800


def test_the_exact_tier_without_its_extra_names_it() -> None:
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "try:\n    from ntk_prior import exact\n"
        "except ImportError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    assert "ntk_prior.exact needs jax, which is not installed: pip install 'ntk-prior[exact]'" in run.stdout
