"""Names that a new user spells in other ways, or that the prior does not know."""

from __future__ import annotations

from typing import Any

import pytest

import ntk_prior as ntp
from ntk_prior import Architecture, Budget, NTKPrior, Task, Verdict
from tests.support.small_prior import PLAIN


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
            *[("optimizer", name) for name in ("Adafactor", "Muon", "Lion", "LBFGS", "")],
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
        refine = NTKPrior(task, Budget(100, optimizer="Lion"), refine=lambda *_: prior(PLAIN), when="always")
        assert refine(PLAIN).verdict is Verdict.OUTSIDE_THEORY

    @pytest.mark.parametrize(
        "unknown",
        [Budget(9, optimizer="Lion"), Budget(9, loss="hinge"), Budget(9, parametrization="spectral")],
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
