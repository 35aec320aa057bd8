"""A task's summary: worked out view by view, the same for every thread, copy and file, finite for any small data."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, NTKPrior, Task, Verdict
from ntk_prior.datasets import load_digits, prepare
from ntk_prior.task.view import View
from ntk_prior.task.views import ready

BUDGET = Budget(steps=300, width=128)
FCN = Architecture(1.5, 0.1, 4)
CNN = Architecture(1.5, 0.1, 4, kind="cnn")
POOLED = Architecture(1.5, 0.1, 4, kind="cnn", pooling=True)


SMALL = prepare(load_digits(), n_train=24, side=4)
IMAGES = SMALL.x_train.astype(np.float32)


def digits(**settings: Any) -> Task:
    return Task.from_arrays(IMAGES, SMALL.y_train, **settings)


def score(task: Task, network: Architecture) -> float | None:
    return ntp.feasibility(network, task, BUDGET).score


class TestViews:
    def test_a_verdict_works_out_the_view_of_its_own_network_and_no_other(self) -> None:
        task = digits()
        assert ready(task.views) == ()
        for network, known in (
            (FCN, ("fcn",)),
            (POOLED, ("fcn", "cnn_pooled")),
            (CNN, ("fcn", "cnn", "cnn_pooled")),
        ):
            assert score(task, network) is not None
            assert ready(task.views) == known

    def test_what_views_there_are_is_known_without_any_work(self) -> None:
        task = digits()
        assert list(task.views) == list(task.views.keys()) == ["fcn", "cnn", "cnn_pooled"]
        assert len(task.views) == 3
        assert "cnn" in task.views
        assert "transformer" not in task.views
        assert repr(task.views) == "Views(fcn, cnn, cnn_pooled; worked out: none)"
        assert task.views != digits().views
        assert ready(task.views) == ()
        with pytest.raises(KeyError):
            task.views["transformer"]  # type: ignore[index]

    def test_another_number_of_samples_is_another_task_that_works_out_what_it_is_asked_for(self) -> None:
        task = digits()
        larger = task.at(10_000)
        assert ready(larger.views) == ready(task.views) == ()
        assert larger.views["fcn"].sketch.counts.sum() == 10_000
        assert ready(larger.views) == ready(task.views) == ("fcn",)
        assert larger.views["fcn"].cosines is task.views["fcn"].cosines

    def test_all_threads_get_the_same_view(self) -> None:
        task = digits()
        with ThreadPoolExecutor(8) as pool:
            views = list(pool.map(lambda k: task.views[("fcn", "cnn")[k % 2]], range(32)))  # type: ignore[index]
        assert len({id(view) for view in views}) == 2

    def test_threads_that_judge_at_once_give_the_verdicts_of_one(self) -> None:
        columns = {"weight_variance": [1.2, 1.5, 2.0], "bias_variance": [0.1] * 3, "depth": [3, 9, 27]}
        alone = NTKPrior(digits(), BUDGET).score_many(columns).score
        prior = NTKPrior(digits(), BUDGET)
        with ThreadPoolExecutor(4) as pool:
            for together in pool.map(lambda _: prior.score_many(columns).score, range(8)):
                assert together.tolist() == alone.tolist()

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))])
    @pytest.mark.parametrize("asked", [(), ("fcn",), ("fcn", "cnn", "cnn_pooled")])
    @pytest.mark.parametrize("n_train", [24, 500])
    def test_copies_and_pickles_give_the_same_verdicts(self, copied: Any, asked: tuple[Any, ...], n_train: int) -> None:
        task = digits(n_train=n_train)
        for name in asked:
            assert task.views[name] is not None
        again = copied(task)
        assert ready(again.views) == ready(task.views)
        for network in (FCN, CNN, POOLED):
            assert score(again, network) == score(task, network)

    def test_the_sample_is_let_go_once_all_views_are_there(self) -> None:
        image = IMAGES[7].tobytes()
        for task in (digits(), digits().at(500), digits(n_train=500)):
            assert image in pickle.dumps(task)
            for name in task.views:
                assert task.views[name] is not None
            assert image not in pickle.dumps(task)


class TestFiles:
    def test_a_file_holds_the_views_that_were_asked_for_and_says_which(self, tmp_path: Path) -> None:
        task, path = digits(), tmp_path / "task.json"
        for network, held in ((None, ["fcn"]), (POOLED, ["fcn", "cnn_pooled"])):
            if network is not None:
                score(task, network)
            task.save(path)
            assert list(json.loads(path.read_text())["views"]) == list(Task.load(path).views) == held
        task.save(path, views=["cnn"])
        assert list(Task.load(path).views) == ["fcn", "cnn", "cnn_pooled"]
        for network in (FCN, CNN, POOLED):
            assert score(Task.load(path), network) == pytest.approx(score(task, network), abs=1e-6)

    def test_a_loaded_task_says_that_a_view_was_not_saved_and_what_to_do(self, tmp_path: Path) -> None:
        task, path = digits(), tmp_path / "task.json"
        task.save(path)
        found = ntp.feasibility(CNN, Task.load(path), BUDGET)
        assert found.verdict is Verdict.OUTSIDE_THEORY
        assert found.reason == (
            "the saved summary holds the view fcn only: build the view cnn before saving, with task.views['cnn'] or "
            "task.save(path, views=['fcn', 'cnn'])"
        )
        task.save(path, views=["fcn", "cnn"])
        assert ntp.feasibility(CNN, Task.load(path), BUDGET).verdict is not Verdict.OUTSIDE_THEORY
        with pytest.raises(
            ValueError, match=r"the saved summary holds the views fcn, cnn only: build the view cnn_pooled"
        ):
            ntp.spectrum(POOLED, Task.load(path))

    def test_inputs_without_a_grid_have_no_view_to_save(self, tmp_path: Path) -> None:
        flat = Task.from_arrays(IMAGES.reshape(24, -1), SMALL.y_train)
        for task in (flat, Task.from_json(flat.to_json())):
            assert ntp.feasibility(CNN, task, BUDGET).reason == (
                "the task summary has no image structure, which kind='cnn' needs"
            )
        with pytest.raises(ValueError, match=r"views: expected some of fcn, which this task has, received 'cnn'"):
            flat.save(tmp_path / "task.json", views=["cnn"])
        assert not (tmp_path / "task.json").exists()

    @pytest.mark.parametrize("views", ["cnn", 3])
    def test_names_of_views_come_in_a_list(self, views: Any) -> None:
        with pytest.raises(TypeError, match="views: expected a list with some of fcn, cnn, cnn_pooled, received"):
            digits().to_json(views)

    def test_a_saved_prior_judges_what_it_has_judged_before(self, tmp_path: Path) -> None:
        prior, path = NTKPrior(digits().at(500), BUDGET), tmp_path / "prior.json"
        config = {"weight_variance": 1.5, "bias_variance": 0.1, "depth": 4, "kind": "cnn"}
        before = prior(config).score
        prior.save(path)
        assert NTKPrior.load(path)(config).score == pytest.approx(before, abs=1e-6)
        assert NTKPrior.load(path)({**config, "kind": "fcn"}).score is not None
        assert (
            "the saved summary holds the views fcn, cnn only" in NTKPrior.load(path)({**config, "pooling": True}).reason
        )

    def test_a_task_of_more_samples_saves_what_was_worked_out_for_the_first(self) -> None:
        task = digits()
        score(task, CNN)
        assert list(task.at(500).to_json()["views"]) == ["fcn", "cnn"]

    @pytest.mark.parametrize("field", ["format", "views"])
    def test_what_a_file_holds_instead_is_not_repeated_whole(self, field: str) -> None:
        values = {**digits().to_json(), field: "\x1b[31m" + "a" * 10_000}
        with pytest.raises(ValueError, match=f"{field}: expected") as caught:
            Task.from_json(values)
        assert len(str(caught.value)) < 400


@pytest.fixture(scope="module")
def task() -> Task:
    x = np.random.default_rng(0).normal(size=(1_000, 5))
    return Task.from_arrays(x, np.repeat([0, 1, 2], [900, 95, 5]), max_samples=40)


@pytest.fixture(scope="module")
def view() -> View:
    images = load_digits()
    return Task.from_arrays(images.x_train.reshape(1437, -1), images.y_train).views["fcn"]


class TestChance:
    """Chance is the share of the largest class: what always answering it achieves."""

    def test_it_and_the_classes_are_those_of_all_labels_whatever_the_sample_holds(self, task: Task) -> None:
        assert task.chance == pytest.approx(0.9)
        assert task.n_classes == 3

    def test_it_stays_with_the_task(self, task: Task) -> None:
        for other in (task.at(50), task.at(10**6), Task.from_json(json.loads(json.dumps(task.to_json())))):
            assert other.chance == pytest.approx(0.9)

    def test_classes_that_are_equally_frequent_have_their_number_for_it(self) -> None:
        assert Task.cifar10(500).chance == pytest.approx(0.1)
        assert Task.equicorrelated(10, n_classes=4).chance == pytest.approx(0.25)
        assert Task.from_arrays(np.eye(4), [0, 1, 2, 3]).chance == pytest.approx(0.25)

    def test_a_file_from_before_it_was_kept_stands_for_equally_frequent_classes(self, task: Task) -> None:
        values = task.to_json()
        del values["chance"]
        assert Task.from_json(values).chance == pytest.approx(1 / 3)
        assert Task.from_json({**values, "chance": None}).chance == pytest.approx(1 / 3)

    @pytest.mark.parametrize("chance", [0.0, 0.3, 1.0, 1.5, -1.0, float("nan"), "0.9", True])
    def test_a_file_with_a_share_that_no_largest_class_has_is_refused(self, task: Task, chance: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="chance: expected"):
            Task.from_json({**task.to_json(), "chance": chance})


class TestNumbers:
    """The shipped calibration rests on these numbers: how they are worked out must not change them."""

    def test_the_cosines_of_the_digits(self, view: View) -> None:
        nodes = [0.306707233, 0.41103863, 0.511239526, 0.61019872, 0.706072513, 0.79890407, 0.892107847, 0.956349082]
        assert view.cosines == pytest.approx(nodes, abs=1e-8)
        assert view.across[2:5] == pytest.approx([0.0865940008, 0.282819129, 0.371598802], abs=1e-8)
        assert view.same_class[2:5] == pytest.approx([0.0112183226, 0.056929253, 0.146707769], abs=1e-8)

    def test_the_spectra_of_the_digits(self, view: View) -> None:
        assert view.sketch.eigenvalues[0, :3] == pytest.approx([67.0784552, 64.0738649, 50.8576174], rel=1e-8)
        assert view.sketch.eigenvalues[4, :3] == pytest.approx([87.1297437, 86.0018382, 61.3218854], rel=1e-8)
        assert view.sketch.energy[:3] == pytest.approx([0.0844623822, 0.079772867, 0.0545876053], rel=1e-8)
        assert abs(view.sketch.uniform[:2]) == pytest.approx([0.992601017, 0.121133695], abs=1e-8)
        assert view.sketch.leading[0, 0, 0] == pytest.approx(0.686423302, rel=1e-8)
        assert view.sketch.leading[4, 0, 0] == pytest.approx(0.196283704, rel=1e-8)


def finite(task: Task, network: Architecture) -> bool:
    """Whether all numbers that come of a task are."""
    found, verdict = ntp.spectrum(network, task), ntp.feasibility(network, task, BUDGET)
    numbers = [found.lambda_max, found.lambda_bulk, found.kappa, found.mean_predictor, found.max_rate_of_summed_loss]
    return verdict.score is not None and bool(
        np.all(np.isfinite([*numbers, *found.eigenvalues, *found.counts, verdict.score]))
    )


class TestSmallData:
    def test_two_inputs_foretell_any_number(self) -> None:
        x, y = np.random.default_rng(0).normal(size=(2, 4)), [0, 1]
        for task in (
            Task.from_arrays(x, y, n_train=10, max_samples=2),
            Task.from_arrays(x, y, n_train=10).at(50),
            Task.from_arrays(x, y, n_train=10, max_samples=2).at(50),
            Task.from_arrays(np.repeat(x, 20, axis=0), np.repeat(y, 20), max_samples=2),
        ):
            assert finite(task, FCN)

    @pytest.mark.parametrize("n", [2, 3, 4, 5])
    @pytest.mark.parametrize("shape", [(1,), (3,), (1, 1, 1), (2, 3, 1), (1, 5, 4)])
    def test_so_do_equal_inputs_and_single_features_and_pixels(self, n: int, shape: tuple[int, ...]) -> None:
        y = np.arange(n) % 2
        for x in (np.ones((n, *shape)), np.random.default_rng(n).normal(size=(n, *shape))):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "x: of", UserWarning)
                task = Task.from_arrays(x, y)
            for network in (FCN, CNN, POOLED) if len(shape) == 3 else (FCN,):
                assert all(finite(other, network) for other in (task, task.at(2), task.at(1_000)))

    def test_a_window_may_be_wider_than_the_image(self) -> None:
        task = Task.from_arrays(np.random.default_rng(0).normal(size=(6, 2, 3, 1)), np.arange(6) % 2)
        assert finite(task, Architecture(1.5, 0.1, 4, kind="cnn", kernel_size=99, pooling=True))

    @pytest.mark.parametrize("settings", [{"max_samples": 3}, {"n_train": 3}, {"n_train": 3, "max_samples": 2}])
    def test_classes_may_outnumber_what_is_measured(self, settings: dict[str, int]) -> None:
        task = Task.from_arrays(np.random.default_rng(0).normal(size=(100, 4)), np.arange(100) % 10, **settings)
        assert task.n_classes == 10
        assert finite(task, FCN)

    @given(
        st.data(),
        st.integers(2, 6),
        st.sampled_from([(1,), (2,), (3,), (1, 1, 1), (2, 2, 1), (1, 3, 2), (3, 2, 1)]),
        st.integers(2, 60),
        st.integers(2, 6),
        st.sampled_from([2, 3, 10, 50, 10**5]),
    )
    def test_any_few_inputs_give_finite_numbers_or_a_reason(
        self, data: Any, n: int, shape: tuple[int, ...], n_train: int, max_samples: int, other: int
    ) -> None:
        numbers = st.floats(-1.0, 1.0) | st.sampled_from([1e-300, 1e300, 5e-324, -1.5, 0.0, 1.0])
        x: NDArray[Any] = data.draw(arrays(np.float64, (n, *shape), elements=numbers))
        y = data.draw(arrays(np.int64, n, elements=st.integers(0, 3)))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "x: of", UserWarning)
            try:
                task = Task.from_arrays(x, y, n_train=n_train, max_samples=max_samples)
            except ValueError:
                assert len(set(y)) == 1 or not x.reshape(n, -1).any(axis=1).all()
                return
        for network in (FCN, CNN, POOLED) if len(shape) == 3 else (FCN,):
            assert finite(task, network)
            assert finite(task.at(other), network)
