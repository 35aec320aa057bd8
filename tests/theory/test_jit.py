"""First verdicts are interpreted; what is compiled, and kept on disk, is never older than the sources, and never in the
way."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ntk_prior import Architecture, Budget, Task
from ntk_prior.task.views import view_name
from ntk_prior.theory.activations import dual
from ntk_prior.theory.jit import entry
from ntk_prior.theory.layers import encode, plain_values
from ntk_prior.theory.task_arrays import workspace
from ntk_prior.verdict.estimates import Estimates, arrays_of_view, estimate_rows

PACKAGE = Path(__file__).parents[2] / "ntk_prior"
DEEP_VARIANCE = """
from ntk_prior import Architecture
from ntk_prior.theory.recursion import kernel
import numpy as np
for _ in range(3):
    found = kernel(Architecture(1.5, 0.05, 10_000, activation="erf"), np.array([0.3]))
print(found.q)
"""
FIRST_VERDICT = """
import sys
import ntk_prior as ntp
found = ntp.feasibility(
    ntp.Architecture(1.5, 0.05, 8, activation="ACTIVATION"), ntp.Task.cifar10(1000), ntp.Budget(300, width=256)
)
print(found.verdict, *sorted({name.partition(".")[0] for name in sys.modules}))
"""
MANY_TREES = """
import warnings
import numpy as np
from ntk_prior.verdict.trees import Trees, sums
leaf, value = np.array([-1], dtype=np.int32), np.array([0.5])
tree = Trees(np.array([0], dtype=np.int32), leaf, value, leaf, leaf, value)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    total = sums(tree, np.zeros((4000, 3))).sum()
print(total, *(warning.message for warning in caught))
"""


def printed(code: str, *folders: Path, limit: int | None = None, **environment: str | Path) -> str:
    """What a process prints that imports from the folders; no file that it writes is longer than ``limit``."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "PYTHONPATH")}
    paths = {"PYTHONPATH": os.pathsep.join(map(str, folders or [PACKAGE.parent]))}
    if limit is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n{code}"
    given = {name: str(value) for name, value in environment.items()}
    run = [sys.executable, "-P", "-c", code]
    finished = subprocess.run(run, env={**kept, **paths, **given}, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def copied(folder: Path) -> Path:
    """A copy of the package that has compiled nothing yet."""
    return shutil.copytree(PACKAGE, folder / "ntk_prior", ignore=shutil.ignore_patterns("__pycache__"))


def kept(folder: Path, suffix: str) -> set[Path]:
    return set(folder.rglob(f"*.{suffix}"))


@pytest.mark.parametrize("activation", ["erf", "tanh", "silu"])
def test_a_first_verdict_neither_compiles_nor_imports_what_takes_longer_than_the_verdict(
    activation: str, tmp_path: Path
) -> None:
    code = FIRST_VERDICT.replace("ACTIVATION", activation)
    verdict, *modules = printed(code, NUMBA_CACHE_DIR=tmp_path).split()
    assert verdict == "feasible"
    slow = {"numba", "llvmlite", "scipy", "sklearn", "jaxtyping", "yaml", "rich", "typer", "plotly", "matplotlib"}
    assert not slow & set(modules)
    assert not list(tmp_path.iterdir())


def judged(activation: str, columns: dict[str, Any], judge: Any, **fields: Any) -> np.ndarray:
    """What ``judge`` makes of configurations that differ in the given columns."""
    architecture = Architecture(1.5, 0.05, 8, activation=activation, **fields)
    code, slope, table = dual(architecture.activation, architecture.slope)
    stage, best = arrays_of_view(Task.cifar10(1000), view_name(architecture))
    budget = Budget(300, width=256, learning_rate=0.5)
    rows = encode({**plain_values(architecture, budget), "code": code, "slope": slope, **columns})
    out = np.empty((len(Estimates._fields), len(rows)))
    judge(rows, table, stage, best, workspace(stage), out)
    return out


@pytest.mark.parametrize("activation", ["erf", "tanh", "silu", "relu", "gelu", "sin"])
@pytest.mark.parametrize(
    "fields", [{}, {"kind": "cnn"}, {"residual_scale": 0.5}, {"normalization": "layer", "keep_rate": 0.8}]
)
def test_the_interpreter_says_what_compiled_code_says(activation: str, fields: dict[str, Any]) -> None:
    rng, n = np.random.default_rng(0), 2000
    columns = {
        "weight_variance": np.exp(rng.uniform(-3, 3, n)),
        "bias_variance": rng.uniform(0, 0.5, n),
        "depth": np.round(np.exp(rng.uniform(0, 5, n))),
    }
    compiled = judged(activation, columns, estimate_rows, **fields)
    few = {name: column[:12] for name, column in columns.items()}
    interpreted = judged(activation, few, estimate_rows.interpreted, **fields)
    known = compiled[:, :12]
    direction = Estimates._fields.index("ranking_at_infinite_width")
    others = [field for field in range(len(known)) if field != direction]
    np.testing.assert_allclose(interpreted[others], known[others], rtol=1e-6, atol=1e-9)
    # Where nothing carries over, the direction of what does is rounding, in compiled code as well.
    something = Estimates(*known).generalization_at_infinite_width > 1e-6
    np.testing.assert_allclose(interpreted[direction, something], known[direction, something], rtol=1e-6, atol=1e-9)


def test_where_pythons_math_raises_the_answer_is_compiled_codes() -> None:
    @entry(lambda *_: 1)
    def logarithm(x: np.ndarray) -> float:
        return math.log(x[0])

    assert logarithm(np.array([math.e])) == 1.0
    assert logarithm(np.zeros(1)) == -math.inf


def test_many_small_calls_are_compiled_in_the_end() -> None:
    code = f"import sys\n{MANY_TREES.replace('4000', '2')}\nprint('numba' in sys.modules)\n"
    often = code + "for _ in range(1000):\n    sums(tree, np.zeros((2, 3)))\nprint('numba' in sys.modules)"
    assert printed(often).split() == ["1.0", "False", "True"]


def test_a_changed_module_changes_what_others_have_compiled_of_it(tmp_path: Path) -> None:
    module, cache = copied(tmp_path) / "theory" / "dual_eval.py", tmp_path / "cache"

    def variance() -> float:
        return float(printed(DEEP_VARIANCE, tmp_path, NUMBA_CACHE_DIR=cache))

    before = variance()
    files = kept(cache, "nbc")
    assert files
    assert variance() == before
    assert kept(cache, "nbc") == files
    source = module.read_text(encoding="utf-8")
    assert source.count("2.0 * q") > 0
    module.write_text(source.replace("2.0 * q", "2.5 * q"), encoding="utf-8")
    assert variance() != before
    module.write_text(source, encoding="utf-8")
    assert variance() == before


def test_where_no_folder_can_be_written_it_compiles_without_a_cache_and_says_so_once(tmp_path: Path) -> None:
    (copied(tmp_path) / "verdict" / "__pycache__").write_text("not a folder")
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"}
    total, warning = printed(MANY_TREES, tmp_path, **nowhere).split(maxsplit=1)
    assert float(total) == 2000.0
    assert warning.count("compiled code is not kept") == warning.count("NUMBA_CACHE_DIR") == 1


@pytest.mark.parametrize("limit", [0, 500, 4000])
def test_a_full_disk_costs_the_cache_alone(limit: int, tmp_path: Path) -> None:
    total, warning = printed(MANY_TREES, limit=limit, NUMBA_CACHE_DIR=tmp_path).split(maxsplit=1)
    assert float(total) == 2000.0
    assert warning.count("compiled code is not kept") == 1
    assert printed(MANY_TREES, NUMBA_CACHE_DIR=tmp_path) == "2000.0"
    assert kept(tmp_path, "nbc")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what one process has compiled."""
    folder = tmp_path_factory.mktemp("cache")
    assert printed(MANY_TREES, NUMBA_CACHE_DIR=folder) == "2000.0"
    return folder


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"garbage", b"\x80\x05K\x01."])
def test_damaged_files_of_the_cache_are_replaced(suffix: str, damage: bytes, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    assert kept(tmp_path, suffix)
    for path in kept(tmp_path, suffix):
        path.write_bytes(damage)
    assert printed(MANY_TREES, NUMBA_CACHE_DIR=tmp_path) == "2000.0"
    mended = {path: path.read_bytes() for path in kept(tmp_path, suffix)}
    assert damage not in mended.values()
    assert printed(MANY_TREES, NUMBA_CACHE_DIR=tmp_path) == "2000.0"
    assert {path: path.read_bytes() for path in kept(tmp_path, suffix)} == mended


def test_it_runs_from_an_archive(tmp_path: Path) -> None:
    package, archive = copied(tmp_path), tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        for path in package.rglob("*"):
            writing.write(path, path.relative_to(tmp_path))
    home = {"HOME": tmp_path / "home", "XDG_CACHE_HOME": tmp_path / "home"}
    assert printed(FIRST_VERDICT.replace("ACTIVATION", "erf"), archive, **home).split()[0] == "feasible"
    assert printed(MANY_TREES, archive, **home).split()[0] == "2000.0"
