"""Search spaces from elsewhere: read in bounded time and memory, and refused where they could mean two things."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from ntk_prior_cli import main
from ntk_prior_cli.space_file import Loader, read_space

DEEP = 20_000
HOSTILE_SPACES = {
    "brackets that open": "[" * DEEP,
    "brackets that open within a parameter": "depth: " + "[" * DEEP,
    "brackets that open line by line": "depth: " + "[\n" * DEEP,
    "braces that open": "{" * DEEP,
    "mappings in mappings": "{depth: " * DEEP,
    "lists in lists, by their signs": "depth:\n" + "- " * DEEP,
    "lists in lists, by their indentation": "depth:\n" + "".join(f"{' ' * k}-\n" for k in range(300)),
    "questions in questions": "? " * DEEP,
    "JSON that opens": '{"depth": ' * DEEP,
    "minutes of hours of days": "depth: " + "1:" * DEEP + "1",
    "a long word": "depth: " + "x" * DEEP,
    "much YAML": "depth: [" + "1," * 40_000 + "1]",
    "a merged mapping": "depth: {<<: {type: int, low: 1}, high: 3}",
    "a merged list of mappings": "<<: [{depth: 3}, {depth: 4}]",
    "a reference to a word": "activation: &a erf\ndepth: *a",
    "not a number": "depth: .nan",
    "not a number, in JSON": '{"depth": NaN}',
    "an infinite constant": "depth: -.inf",
    "more than a float holds, in JSON": '{"depth": 1e999}',
    "not a number for a choice": "depth: {type: categorical, choices: [1, .NaN]}",
    "an infinite choice": '{"depth": {"type": "categorical", "choices": [1, Infinity]}}',
    "not a number for a bound": "depth: {type: float, low: .nan, high: 3}",
    "a number for a name": "1: 3",
    "a truth for a name": "no: 3",
    "references to references": "a: &a [1, 2]\nb: &b [*a, *a]\ndepth: [*b, *b]",
    "nested too deeply": "depth: " + "[" * 5000 + "]" * 5000,
    "an integer of 5,000 digits": "depth: {type: int, low: 1, high: " + "9" * 5000 + "}",
    "infinity": "depth: {type: float, low: 1, high: .inf}",
    "half a layer": "depth: {type: int, low: 0.5, high: 3}",
    "log in words": "depth: {type: float, low: 1, high: 3, log: yes please}",
    "a list for a choice": "depth: {type: categorical, choices: [[1, 2]]}",
    "code": "depth: !!python/object/apply:os.system ['true']",
    "bytes": b"\xff\xfe\x00",
}


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("content", HOSTILE_SPACES.values(), ids=HOSTILE_SPACES.keys())
def test_a_space_that_is_none_is_refused(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "space.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"space\.yaml: .*expected "):
        read_space(path)


TWICE = {
    "JSON": '{"depth": 3, "bias_variance": 0.1, "depth": 4}',
    "JSON, further in": '{"depth": {"type": "int", "low": 1, "high": 3, "depth": 1, "depth": 2}}',
    "YAML": "depth: 3\nbias_variance: 0.1\ndepth: 4",
    "YAML, further in": "width: {type: int, low: 1, high: 3, depth: 1, depth: 2}",
    "YAML, spelt in two ways": 'depth: 3\n"d\\x65pth": 4',
}


@pytest.mark.parametrize("content", TWICE.values(), ids=TWICE.keys())
@pytest.mark.parametrize("name", ["space.json", "space.yaml"])
def test_a_name_that_is_given_twice_is_an_error(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name}: .*'depth' is given twice"):
        read_space(tmp_path / name)


@pytest.mark.parametrize("content", ['{"depth": 3, "lr": 1e-3}', "depth: 3\nlr: 1e-3", "{depth: 3, lr: 0.001}"])
@pytest.mark.parametrize("name", ["space.json", "space.yaml", "space"])
def test_json_and_yaml_are_told_apart_by_what_they_hold(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    space = read_space(tmp_path / name)
    assert [space[name]["choices"] for name in ("depth", "lr")] == [[3], [0.001]]


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("value", ["[" * DEEP, "{a: " * DEEP, "1:" * DEEP + "1", "[&a 1, *a]", "{a: 1, a: 2}"], ids=len)
def test_values_of_options_have_the_bounds_of_files(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(yaml.YAMLError):
        yaml.load(value, Loader)
    monkeypatch.setattr(sys, "argv", ["ntk-prior", "map", "--fixed", f"activation={value}"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
