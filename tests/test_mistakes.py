"""What a new user gets wrong, and the words that say so before any work starts."""

from __future__ import annotations

import copy
import json
import math
import operator
import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, FinishedTrial, NTKPrior, Task, Verdict

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6)), np.arange(40) % 4
IMAGES = RNG.normal(size=(40, 8, 8, 3))
PLAIN = {"weight_variance": 1.5, "bias_variance": 0.05, "depth": 4}


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.from_arrays(X, Y)


@pytest.fixture(scope="module")
def prior(task: Task) -> NTKPrior:
    return NTKPrior(task, Budget(100, width=64))


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


class TestNames:
    """A prior that takes one network for another, or that is never consulted, must not go unnoticed."""

    @pytest.mark.parametrize("name", ["weight_varience", "Depth", "activaton", "learning_rates", "kernelSize"])
    def test_a_slip_of_the_pen_is_an_error(self, prior: NTKPrior, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name}: expected .*, received {name}: write it so"):
            prior({**{k: v for k, v in PLAIN.items() if k.lower()[:6] != name.lower()[:6]}, name: 1})
        columns = {**{k: [v] for k, v in PLAIN.items() if k.lower()[:6] != name.lower()[:6]}, name: [1]}
        with pytest.raises(ValueError, match=f"{name}: expected"):
            prior.score_many(columns)

    @pytest.mark.parametrize(
        "name", ["lr", "weight_decay", "augment", "depth_2", "max_depth", "warmup_steps", "stepsize"]
    )
    def test_other_names_are_ignored(self, prior: NTKPrior, name: str) -> None:
        assert prior({**PLAIN, name: 1}).score == prior(PLAIN).score
        assert prior.score_many({key: [value] for key, value in {**PLAIN, name: 1}.items()}).score[0] is not None

    def test_a_variant_beside_the_field_itself_is_ignored(self, prior: NTKPrior) -> None:
        assert prior({**PLAIN, "activation": "relu", "activations": 3}).score is not None

    def test_silence_says_what_is_missing_what_is_there_and_what_to_do(self, prior: NTKPrior) -> None:
        found = prior({"init_gain": 1.2, "layers": 8})
        assert found.verdict is Verdict.OUTSIDE_THEORY
        assert found.reason == (
            "the configuration lacks weight_variance, bias_variance, depth and has init_gain, layers; "
            "NTKPrior(..., to_architecture) maps other names"
        )

    def test_messages_repeat_names_on_one_line_and_not_at_any_length(self, task: Task, prior: NTKPrior) -> None:
        for found in (
            prior({"\x1b[31m" + "x" * 10_000: 1, "a\nb": 2}),
            NTKPrior(task, Budget(100), lambda config: config["\x1b" * 10_000])({}),
            NTKPrior(task, Budget(100), lambda config: {"\x1b" * 10_000: 3})({}),
        ):
            assert found.verdict is Verdict.OUTSIDE_THEORY
            assert found.reason.isprintable()
            assert len(found.reason) < 400
        with pytest.raises(ValueError, match=r"dep\\x1bth: expected depth, received dep\\x1bth: "):
            prior({"dep\x1bth": 3})

    @pytest.mark.parametrize(
        ("to_architecture", "reason"),
        [
            (lambda config: {"depth": config["layres"]}, r"\(KeyError: 'layres'\)"),
            (lambda config: None, r"\(it returned None\)"),
            (lambda config: {"depth": 3}, "what to_architecture returned lacks weight_variance, bias_variance and has"),
        ],
    )
    def test_silence_of_a_mapping_says_why(self, task: Task, to_architecture: Any, reason: str) -> None:
        found = NTKPrior(task, Budget(100), to_architecture)({"layers": 3})
        assert found.verdict is Verdict.OUTSIDE_THEORY
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(found.reason)

    @pytest.mark.parametrize("returned", [[1.5, 0.05, 4], "relu", 3])
    def test_a_mapping_to_something_else_is_an_error(self, task: Task, returned: Any) -> None:
        with pytest.raises(TypeError, match="to_architecture: expected an Architecture, a mapping of field names, or"):
            NTKPrior(task, Budget(100), lambda config: returned)({"layers": 3})

    @pytest.mark.parametrize(
        ("spelt", "name"),
        [("ReLU", "relu"), ("Tanh", "tanh"), ("LeakyReLU", "leaky_relu"), ("SiLU", "silu"), ("swish", "silu")],
    )
    def test_activations_may_be_spelt_as_frameworks_spell_them(self, prior: NTKPrior, spelt: str, name: str) -> None:
        assert Architecture(1.5, 0.05, 4, spelt) == Architecture(1.5, 0.05, 4, name)
        assert prior({**PLAIN, "activation": spelt}).score == prior({**PLAIN, "activation": name}).score
        columns = {key: [value] * 2 for key, value in PLAIN.items()}
        first, second = prior.score_many({**columns, "activation": [spelt, name]}).score
        assert first == second

    @pytest.mark.parametrize(
        ("field", "spelt", "name"),
        [
            ("optimizer", "Adam", "adam"),
            ("optimizer", "ADAM", "adam"),
            ("optimizer", "SGD", "sgd"),
            ("optimizer", "Momentum", "momentum"),
            ("loss", "CrossEntropy", "cross_entropy"),
            ("loss", "cross-entropy", "cross_entropy"),
            ("loss", "CrossEntropyLoss", "cross_entropy"),
            ("loss", "MSE", "mse"),
            ("loss", "mean squared error", "mse"),
            ("parametrization", "NTK", "ntk"),
            ("parametrization", "Standard", "standard"),
            ("parametrization", "muP", "mup"),
            ("parametrization", "\N{MICRO SIGN}P", "mup"),
            ("kind", "MLP", "fcn"),
            ("kind", "FCN", "fcn"),
            ("kind", "CNN", "cnn"),
            ("normalization", "LayerNorm", "layer"),
            ("normalization", "BatchNorm", "batch"),
            ("normalization", "batch_norm", "batch"),
            ("normalization", "None", "none"),
            ("normalization", None, "none"),
            ("activation", "linear", "identity"),
            ("activation", "leaky-ReLU", "leaky_relu"),
        ],
    )
    def test_other_names_may_be_spelt_in_any_way_too(self, prior: NTKPrior, field: str, spelt: Any, name: str) -> None:
        single, meant = prior({**PLAIN, field: spelt}), prior({**PLAIN, field: name})
        assert (single.architecture, single.budget) == (meant.architecture, meant.budget)
        assert getattr(single.budget if hasattr(single.budget, field) else single.architecture, field) == name
        columns = {key: [value] * 2 for key, value in PLAIN.items()}
        assert prior.score_many({**columns, field: [spelt, name]}).score.tolist() == [meant.score] * 2

    @pytest.mark.parametrize(
        ("field", "name"),
        [
            *[("optimizer", name) for name in ("RMSprop", "AdamW", "Lion", "LBFGS", "")],
            *[("normalization", name) for name in ("GroupNorm", "rms")],
            *[("activation", "Mish"), ("parametrization", "spectral"), ("loss", "hinge"), ("kind", "transformer")],
        ],
    )
    def test_a_name_that_the_theory_does_not_know_is_outside_it_and_no_error(
        self, task: Task, field: str, name: str
    ) -> None:
        prior = NTKPrior(task, Budget(100, 0.1, width=64))
        found = prior({**PLAIN, field: name, "momentum": 0.9})
        assert found.verdict is Verdict.OUTSIDE_THEORY
        assert f"{field} {name!r}" in found.reason
        assert "; known: " in found.reason
        columns = {key: [value] * 2 for key, value in PLAIN.items()}
        table = prior.score_many({**columns, field: [name, None], "momentum": [0.9, 0.0]})
        assert table.score.mask.tolist() == [True, False]
        refine = NTKPrior(task, Budget(100, optimizer="RMSprop"), refine=lambda *_: prior(PLAIN), when="always")
        assert refine(PLAIN).verdict is Verdict.OUTSIDE_THEORY

    @pytest.mark.parametrize(
        "unknown",
        [Budget(9, optimizer="RMSprop"), Budget(9, loss="hinge"), Budget(9, parametrization="spectral")],
        ids=lambda budget: budget.unknown,
    )
    def test_of_an_unknown_training_no_stable_rate_is_told(self, task: Task, unknown: Budget) -> None:
        with pytest.raises(ValueError, match="is not known to the theory; known: "):
            ntp.max_learning_rate(Architecture(1.5, 0.05, 4), task, unknown)

    def test_sgd_with_momentum_is_momentum(self, prior: NTKPrior) -> None:
        heavy = Budget(100, optimizer="momentum", momentum=0.9)
        assert Budget(100, momentum=0.9) == Budget(100, optimizer="SGD", momentum=0.9) == heavy
        with pytest.raises(ValueError, match=r"momentum: expected 0 for optimizer='adam', which has none, rec"):
            Budget(100, optimizer="Adam", momentum=0.9)

    @pytest.mark.parametrize("given", [Budget(100, 0.1), Budget(100, 0.1, "momentum", 0.5), Budget(100, 0.1, "adam")])
    def test_spaces_draw_a_momentum_for_all_of_their_optimizers_and_pooling_for_all_kinds(
        self, task: Task, given: Budget
    ) -> None:
        prior = NTKPrior(task, given)
        expected = {
            ("SGD", 0.9): ("momentum", 0.9),
            ("SGD", 0.0): ("sgd", 0.0),
            ("SGD", None): ("sgd", 0.0),
            ("Momentum", None): ("momentum", given.momentum),
            ("Adam", 0.9): ("adam", 0.0),
            ("Adam", None): ("adam", 0.0),
            (None, None): (given.optimizer, given.momentum),
        }
        rows = [{**PLAIN, "optimizer": name, "momentum": value, "pooling": True} for name, value in expected]
        singles = [prior(row) for row in rows]
        assert [(one.budget.optimizer, one.budget.momentum) for one in singles] == list(expected.values())
        table = prior.score_many({name: [row[name] for row in rows] for name in rows[0]})
        assert table.score.tolist() == pytest.approx([one.score for one in singles])

    def test_an_activation_that_is_not_known_keeps_its_name(self) -> None:
        assert Architecture(1.5, 0.05, 4, "Mish").activation == "Mish"


FULL = {**PLAIN, "lr": 5.0, "dropout": 0.1}
GAIN = {"init_gain": 1.2, "layers": 4, "lr": 0.1, "head": 3}


def by_rename(config: dict[str, Any]) -> dict[str, Any]:
    names = {"init_gain": "weight_variance", "layers": "depth"}
    return {"bias_variance": 0.0, **{names.get(name, name): value for name, value in config.items()}}


def by_match(config: dict[str, Any]) -> dict[str, Any] | None:
    match config:
        case {"init_gain": gain, "layers": layers}:
            return {"weight_variance": gain**2, "bias_variance": 0.0, "depth": layers}
    return None


def of_keywords(*, init_gain: float, layers: int, lr: float, **rest: Any) -> Architecture:
    return Architecture(init_gain**2, 0.0, layers)


class TestUnread:
    """What the prior does not look at can be asked, so that nobody believes it does."""

    def test_without_a_mapping_these_are_the_names_that_are_no_fields(self, prior: NTKPrior) -> None:
        assert prior.unread(FULL) == ("lr", "dropout")
        assert prior.unread(PLAIN) == ()
        assert prior.unread({"net": {"depth": 3, "lr": 0.1}, "width": 3}) == ("net/depth", "net/lr")

    @pytest.mark.parametrize(
        ("to_architecture", "unread"),
        [
            (lambda c: Architecture(c["init_gain"] ** 2, 0.0, c.get("layers", 3)), ("lr", "head")),
            (lambda c: Architecture(1.5, 0.0, c["layers"] if "lr" in c else 3), ("init_gain", "head")),
            (lambda c: Architecture(c.pop("init_gain"), 0.0, c.setdefault("layers", 3)), ("lr", "head")),
            (lambda c: Architecture(1.5, 0.0, operator.itemgetter("layers", "lr")(c)[0]), ("init_gain", "head")),
            (lambda c: Architecture(1.5, 0.0, int("{layers}".format_map(c))), ("init_gain", "lr", "head")),
            (lambda c: Architecture(1.5, 0.0, len([v for v in c.values() if v])), ()),
            (lambda c: Architecture(1.5, 0.0, len(list(c))), ()),
            (lambda c: Architecture(1.5, 0.0, len(c)), ("init_gain", "layers", "lr", "head")),
            (lambda c: Architecture(1.5, 0.0, dict(c)["layers"]), ()),
            (lambda c: Architecture(1.5, 0.0, copy.deepcopy(c)["layers"]), ()),
            (lambda c: Architecture(1.5, 0.0, json.loads(json.dumps(c))["layers"]), ()),
            (lambda c: Architecture(1.5, 0.0, SimpleNamespace(**c).layers), ()),
            (lambda c: of_keywords(**c), ()),
            (by_match, ("lr", "head")),
        ],
    )
    def test_with_a_mapping_these_are_the_names_that_it_does_not_read(
        self, task: Task, to_architecture: Any, unread: tuple[str, ...]
    ) -> None:
        prior = NTKPrior(task, Budget(100), to_architecture)
        assert prior.unread(GAIN) == unread
        assert GAIN == {"init_gain": 1.2, "layers": 4, "lr": 0.1, "head": 3}

    @pytest.mark.parametrize(
        ("to_architecture", "unread"),
        [
            (lambda c: c, ("lr", "dropout")),
            (lambda c: {**c, "activation": "tanh"}, ("lr", "dropout")),
            (lambda c: c | {"learning_rate": c["lr"]}, ("dropout",)),
            (lambda c: {**c, "depth": 3}, ("depth", "lr", "dropout")),
            (lambda c: {**c, "depth": 2 * c["depth"]}, ("lr", "dropout")),
        ],
    )
    def test_what_a_mapping_merely_copies_is_not_looked_at_either(
        self, task: Task, to_architecture: Any, unread: tuple[str, ...]
    ) -> None:
        assert NTKPrior(task, Budget(100), to_architecture).unread(FULL) == unread

    def test_names_that_a_mapping_passes_on_under_other_names_are_read(self, task: Task) -> None:
        assert NTKPrior(task, Budget(100), by_rename).unread(GAIN) == ("lr", "head")

    @pytest.mark.parametrize(
        ("to_architecture", "unread"),
        [
            (lambda c: {**PLAIN, "depth": c["net"]["depth"]}, ("net/lr", "data/seed", "top")),
            (lambda c: {**PLAIN, **c["net"]}, ("net/lr", "data/seed", "top")),
            (
                lambda c: Architecture(1.5, 0.05, **{k: v for k, v in c["net"].items() if k != "lr"}),
                ("data/seed", "top"),
            ),
            (
                lambda c: c["net"] | {"weight_variance": 1.5, "bias_variance": 0.0, "depth": c.get("top")},
                ("net/depth", "net/lr", "data/seed"),
            ),
        ],
    )
    def test_nested_configurations_are_followed(
        self, task: Task, to_architecture: Any, unread: tuple[str, ...]
    ) -> None:
        config = {"net": {"depth": 3, "lr": 0.1}, "data": {"seed": 1}, "top": 7}
        assert NTKPrior(task, Budget(100), to_architecture).unread(config) == unread

    @pytest.mark.parametrize("to_architecture", [lambda c: None, lambda c: c["layres"], lambda c: c.depth, lambda c: 3])
    def test_of_what_a_mapping_makes_nothing_of_nothing_is_said(self, task: Task, to_architecture: Any) -> None:
        assert NTKPrior(task, Budget(100), to_architecture).unread(GAIN) == ()

    def test_a_watched_configuration_is_a_dictionary_like_any_other(self, task: Task) -> None:
        seen: list[Any] = []
        prior = NTKPrior(task, Budget(100), lambda c: seen.append(c))
        config = {"net": {"depth": 3}, "lr": 0.1}
        prior.unread(config)
        assert isinstance(seen[0], dict)
        assert isinstance(seen[0]["net"], dict)
        assert seen[0] == config
        assert list(reversed(seen[0])) == ["lr", "net"]
        assert copy.copy(seen[0]) == pickle.loads(pickle.dumps(seen[0])) == {**seen[0]} == config
        assert ({"top": 1} | seen[0]) == {"top": 1, **config}
        assert seen[0].popitem() == ("lr", 0.1)
        assert config == {"net": {"depth": 3}, "lr": 0.1}

    def test_what_is_no_configuration_is_refused(self, prior: NTKPrior) -> None:
        with pytest.raises(TypeError, match="config: expected a mapping of parameter names to values, received 3"):
            prior.unread(3)


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
