"""The prior as users meet it: verdicts, reasons, fixes, files, and what importing it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, NTKPrior, Task, Verdict, feasibility

BUDGET = Budget(300, width=256)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.cifar10(512)


@pytest.fixture(scope="module")
def prior(task: Task) -> NTKPrior:
    return NTKPrior(task, BUDGET)


# Erf networks of width 256 on 512 CIFAR-10 images, 300 full-batch steps at 1 / lambda_max, sigma_b^2 = 0.18:
# (sigma_w^2, depth, train accuracy, test accuracy).
TRAININGS = [
    (0.8, 4, 0.73, 0.30),
    (1.2, 4, 0.96, 0.30),
    (1.75, 4, 1.00, 0.29),
    (2.5, 4, 1.00, 0.25),
    (4.0, 4, 1.00, 0.20),
    (0.8, 16, 0.19, 0.15),
    (1.2, 16, 0.49, 0.24),
    (1.75, 16, 0.99, 0.21),
    (2.5, 16, 1.00, 0.13),
    (4.0, 16, 1.00, 0.10),
    (0.8, 48, 0.13, 0.10),
    (1.2, 48, 0.13, 0.10),
    (1.75, 48, 0.80, 0.12),
    (2.5, 48, 0.80, 0.10),
    (4.0, 48, 0.46, 0.10),
]


def test_scores_separate_the_recorded_trainings_worth_launching(task: Task) -> None:
    found = [feasibility(Architecture(w, 0.18, depth), task, BUDGET) for w, depth, _, _ in TRAININGS]
    scores = np.array([f.score for f in found])
    worth = np.array([test >= 0.2 for _, _, _, test in TRAININGS])
    assert scores[worth].min() > scores[~worth].max()
    ordered = [
        (f.estimates.trainability, train) for f, (w, _, train, _) in zip(found, TRAININGS, strict=True) if w <= 1.75
    ]
    assert np.mean([abs(predicted - train) for predicted, train in ordered]) < 0.1


def test_each_verdict_names_its_limit_and_a_fix_that_works(task: Task) -> None:
    cases = {
        Verdict.UNTRAINABLE: (Architecture(1.2, 0.18, 48), BUDGET, "depth 48 >"),
        Verdict.MEMORIZES_ONLY: (Architecture(2.5, 0.18, 48), BUDGET, "xi_star"),
        Verdict.DIVERGES: (Architecture(1.5, 0.1, 4), Budget(300, 20.0, width=256), "learning_rate 20 >"),
    }
    for verdict, (architecture, budget, words) in cases.items():
        found = feasibility(architecture, task, budget)
        assert found.verdict is verdict
        assert words in found.reason
        for fix in found.suggestion.split(", or "):
            name, value = fix.replace("<=", " ").replace(">=", " ").split()
            owner = architecture if hasattr(architecture, name) else budget
            number = type(getattr(owner, name))(float(value))
            number = number * (0.999 if "<=" in fix and name == "learning_rate" else 1)
            changed = {**vars(owner), name: number}
            repaired = (Architecture(**changed), budget) if owner is architecture else (architecture, Budget(**changed))
            score = feasibility(repaired[0], task, repaired[1]).score
            assert score >= ntp.DEFAULT_THRESHOLD - 0.02  # printed with three digits
    needs = feasibility(Architecture(1.2, 0.18, 48), task, BUDGET).reason
    assert "kappa" in needs
    assert "steps, budget 3e+02" in needs


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"activation": "mish"}, "activation 'mish'"),
        ({"normalization": "batch"}, "batch normalization"),
        ({"parametrization": "mup"}, "muP"),
        ({"depth": None}, "lacks depth"),
    ],
)
def test_outside_the_theory_the_prior_is_silent(prior: NTKPrior, config: dict[str, object], words: str) -> None:
    found = prior({"weight_variance": 1.5, "bias_variance": 0.1, "depth": 3, **config})
    assert found.verdict is Verdict.OUTSIDE_THEORY
    assert (found.score, found.trainability, found.generalization, found.suggestion) == (None, None, None, None)
    assert words in found.reason


def test_more_steps_never_hurt_trainability_and_narrow_networks_generalize_less(task: Task) -> None:
    network = Architecture(1.3, 0.1, 20)
    by_steps = [feasibility(network, task, Budget(steps, width=256)).trainability for steps in (10, 100, 1000, 10_000)]
    assert by_steps == sorted(by_steps)
    by_width = [feasibility(network, task, Budget(300, width=width)).generalization for width in (16, 64, 1024, None)]
    assert by_width == sorted(by_width)


def test_adam_is_never_said_to_diverge_and_only_a_hopeless_path_is_untrainable(task: Task) -> None:
    network = Architecture(1.2, 0.18, 30)
    long, short = (feasibility(network, task, Budget(s, r, "adam", width=256)) for s, r in ((3000, 1e-3), (5, 1e-9)))
    assert (long.verdict, long.score) == (Verdict.OUTSIDE_THEORY, None)
    assert short.verdict is Verdict.UNTRAINABLE
    assert feasibility(network, task, Budget(300, 1e3, "adam", width=256)).verdict is not Verdict.DIVERGES


def test_learning_rate_conventions(task: Task) -> None:
    """Mean loss, heavy ball, cross-entropy and the standard parametrization, each by its own factor."""
    network = Architecture(1.5, 0.0, 3)
    plain = ntp.max_learning_rate(network, task, Budget(10, width=256))
    assert plain == pytest.approx(2 * task.n_train / ntp.spectrum(network, task).lambda_max, rel=1e-9)
    heavy = ntp.max_learning_rate(network, task, Budget(10, None, "momentum", 0.9, width=256))
    assert heavy == pytest.approx(1.9 * plain)
    entropy = ntp.max_learning_rate(network, task, Budget(10, width=256, loss="cross_entropy"))
    assert entropy == pytest.approx(task.n_classes * plain)
    with pytest.raises(ValueError, match="optimizer: expected 'sgd' or 'momentum'"):
        ntp.max_learning_rate(network, task, Budget(10, None, "adam"))


def test_spaces_with_names_of_their_own(task: Task) -> None:
    def to_architecture(config: dict[str, object]) -> object:
        if config.get("model") == "transformer":
            return None
        names = {"gain": "weight_variance", "blocks": "depth", "act": "activation", "lr": "learning_rate"}
        return {"bias_variance": 0.0, **{new: config[old] for old, new in names.items()}}

    prior = NTKPrior(task, BUDGET, to_architecture)
    own = {"gain": 2.0, "blocks": 5, "act": "relu", "lr": 0.1}
    named = {"weight_variance": 2.0, "bias_variance": 0.0, "depth": 5, "activation": "relu", "learning_rate": 0.1}
    assert prior(own).score == NTKPrior(task, BUDGET)(named).score
    assert prior({"model": "transformer"}).verdict is Verdict.OUTSIDE_THEORY
    assert prior({"gain": 2.0}).verdict is Verdict.OUTSIDE_THEORY
    table = prior.score_many({name: [value] * 2 for name, value in own.items()})
    assert table.score[0] == pytest.approx(prior(own).score)


def test_an_architecture_may_be_returned_and_is_judged_by_the_priors_own_budget(task: Task) -> None:
    prior = NTKPrior(task, Budget(300, 1e4, width=256), lambda config: Architecture(1.5, 0.1, config["layers"]))
    assert prior({"layers": 3}).verdict is Verdict.DIVERGES
    assert prior({"layers": 3, "learning_rate": 1e-3}).verdict is Verdict.DIVERGES


LOOK_ALIKES = [
    {"optimizer": "Adam"},
    {"optimizer": None, "loss": 3},
    {"width": 2},
    {"width": "wide"},
    {"parametrization": "mup"},
    {"learning_rate": 1e4},
    {"momentum": 2.0},
    {"depth": 0},
    {"activation": ["relu"]},
    {"optimiser": "Adam", "batchsize": 3},
]


@pytest.mark.parametrize("own", LOOK_ALIKES, ids=str)
def test_with_a_mapping_only_what_it_returns_counts(task: Task, own: dict[str, object]) -> None:
    """Parameters that are merely called like a field, or almost, are the user's own."""

    def to_architecture(config: dict[str, object]) -> object:
        return {
            "weight_variance": 1.5,
            "bias_variance": 0.1,
            "depth": config["layers"],
            "learning_rate": config["rate"],
        }

    prior = NTKPrior(task, BUDGET, to_architecture)
    plain, config = {"layers": 3, "rate": 0.1}, {"layers": 3, "rate": 0.1, **own}
    said = prior(plain)
    assert prior(config).score == said.score
    assert prior(config).budget == Budget(300, 0.1, width=256)
    for table in (prior.score_many([config]), prior.score_many({name: [value] for name, value in config.items()})):
        assert table.score.tolist() == [said.score]
    asked: list[Budget] = []
    refined = NTKPrior(task, BUDGET, to_architecture, refine=lambda a, t, budget: asked.append(budget), when="always")
    refined(config)
    assert asked == [said.budget]
    report = prior.fit([ntp.FinishedTrial(config, 0.9, 0.3)])
    assert (report.used, report.skipped) == (1, 0)
    assert set(own) - {"optimiser", "batchsize"} <= set(prior.unread(config))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"weight_variance": -1.0}, ValueError, "expected a value in"),
        ({"weight_variance": float("nan")}, ValueError, "received nan"),
        ({"weight_variance": "1"}, TypeError, "expected a real number"),
        ({"depth": 0}, ValueError, "expected an integer in"),
        ({"depth": 2.5}, ValueError, "received 2.5"),
        ({"depth": True}, TypeError, "expected an integer"),
        ({"kind": 3}, TypeError, "kind: expected a name such as 'fcn', received 3"),
        ({"pooling": True}, ValueError, "no pixels to pool"),
        ({"activation": 3}, TypeError, "expected a name or a callable"),
        ({"keep_rate": 0.0}, ValueError, "keep_rate"),
        ({"normalization": False}, TypeError, "normalization: expected a name such as 'none', received False"),
        ({"activation": [1]}, TypeError, "expected a name or a callable"),
        ({"depth": None}, TypeError, "depth: expected an integer, received None"),
    ],
)
def test_impossible_architectures_are_refused(fields: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Architecture(**{"weight_variance": 1.0, "bias_variance": 0.1, "depth": 3, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "steps: expected an integer"),
        ({"learning_rate": -0.1}, "learning_rate: expected a value"),
        ({"momentum": 1.0}, "momentum: expected a value"),
        ({"parametrization": "standard", "learning_rate": 0.1}, "width: expected an integer"),
    ],
)
def test_impossible_budgets_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Budget(**{"steps": 10, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 3)), [], "at least 2 inputs"),
        (np.ones((4, 3)), [0, 1, 0], "one label for each of the 4"),
        (np.ones(5), [0, 1, 0, 1, 0], "expected shape"),
        (np.full((2, 3), np.nan), [0, 1], "finite numbers"),
        (np.eye(3), [1, 1, 1], "at least 2 classes"),
        (np.zeros((2, 3)), [0, 1], "other than zero"),
    ],
)
def test_impossible_data_are_refused(x: object, y: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task.from_arrays(x, y)  # type: ignore[arg-type]


def test_a_task_of_large_data_is_a_sample_carried_to_its_size() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 900)
    x = rng.normal(size=(900, 20)) + 2 * np.eye(20)[y]
    whole = Task.from_arrays(x, y, max_samples=900)
    sampled = Task.from_arrays(x, y, max_samples=300)
    network = Architecture(1.5, 0.1, 4)
    exact, carried = (ntp.spectrum(network, task) for task in (whole, sampled))
    assert sampled.n_train == whole.n_train == 900
    assert carried.lambda_max == pytest.approx(exact.lambda_max, rel=0.1)
    assert carried.lambda_bulk == pytest.approx(exact.lambda_bulk, rel=0.5)


def test_tasks_and_priors_survive_a_round_trip_as_json(tmp_path: Path, prior: NTKPrior) -> None:
    prior.task.save(tmp_path / "task.json")
    prior.save(tmp_path / "prior.json")
    network = {"weight_variance": 1.5, "bias_variance": 0.1, "depth": 9}
    for again in (NTKPrior(Task.load(tmp_path / "task.json"), BUDGET), NTKPrior.load(tmp_path / "prior.json")):
        assert again(network).score == pytest.approx(prior(network).score, abs=1e-6)
    assert (tmp_path / "task.json").stat().st_size < 100_000


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "other"}', '{"format": "ntk-prior task 1"}'])
def test_other_files_are_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    for load in (Task.load, NTKPrior.load):
        with pytest.raises(ValueError, match=r"file\.json: expected"):
            load(path)


def test_a_truncated_summary_is_refused(tmp_path: Path, task: Task) -> None:
    path = tmp_path / "task.json"
    values = task.to_json()
    values["views"]["fcn"]["cosines"] = values["views"]["fcn"]["cosines"][:-1]
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="matching shapes"):
        Task.load(path)


def test_importing_and_scoring_leaves_jax_and_the_tuners_alone() -> None:
    code = (
        "import sys, ntk_prior as ntp\n"
        "prior = ntp.NTKPrior(ntp.Task.cifar10(100), ntp.Budget(100))\n"
        "prior({'weight_variance': 1.5, 'bias_variance': 0.1, 'depth': 3}).reason\n"
        "assert not {'jax', 'flax', 'optuna', 'ray', 'torch', 'tensorflow'} & set(sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(("argument", "value"), [("task", 3), ("budget", {}), ("to_architecture", 5)])
def test_a_prior_of_the_wrong_parts_is_refused(task: Task, argument: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{argument}: expected"):
        NTKPrior(**{"task": task, "budget": BUDGET, argument: value})  # type: ignore[arg-type]
