"""Names of a configuration that the prior does not read."""

from __future__ import annotations

import copy
import json
import operator
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from ntk_prior import Architecture, Budget, NTKPrior, Task
from tests.support.small_prior import PLAIN

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
            (lambda c: c | {"alpha": c["lr"]}, ("dropout", "alpha")),
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
