"""What is compiled, and kept on disk, is never older than the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "ntk_prior"
LARGEST_EIGENVALUE = """
import ntk_prior as ntp
print(ntp.spectrum(ntp.Architecture(1.5, 0.05, 4, activation="erf"), ntp.Task.equicorrelated(50, 0.3)).lambda_max)
"""


def test_a_changed_module_changes_what_others_have_compiled_of_it(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "ntk_prior", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def printed() -> float:
        command = [sys.executable, "-c", LARGEST_EIGENVALUE]
        found = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return float(found.stdout)

    before = printed()
    kept = set((tmp_path / "cache").rglob("*.nbc"))
    assert kept
    assert printed() == before
    assert set((tmp_path / "cache").rglob("*.nbc")) == kept
    module = tmp_path / "ntk_prior" / "activations.py"
    source = module.read_text(encoding="utf-8")
    assert source.count("2.0 * q") > 0
    changed = source.replace("2.0 * q", "2.5 * q")
    module.write_text(changed, encoding="utf-8")
    assert printed() != before
    module.write_text(source, encoding="utf-8")
    assert printed() == before
