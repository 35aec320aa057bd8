"""Spectra kept on disk, one JSON file each, which several processes may read and write."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_prior.architecture import Architecture
from ntk_prior.files import read_json, replaced_place, write_file
from ntk_prior.theory.measured import MeasuredSpectrum

FORMAT = "ntk-prior spectrum 1"
"""Part of what names a file: to change it is to compute all spectra anew."""

_ARRAYS = ("eigenvalues", "counts", "energy")
_LIMITS = ("phase", "q_star", "c_star", "chi_1", "chi_c", "xi_1", "xi_star", "n_parameters")


class Store:
    """A folder of spectra.

    Args:
        folder: Made when the first spectrum is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kept(
        self,
        architecture: Architecture,
        x: NDArray[np.float64],
        y: NDArray[Any],
        compute: Callable[[], MeasuredSpectrum],
    ) -> MeasuredSpectrum:
        """A network's spectrum on inputs and labels: from its file or, where that is missing or damaged, computed."""
        path = self._folder / f"{_digest(architecture, x, y)}.json"
        found = _read(path, len(y))
        if found is None:
            found = compute()
            _write(path, found)
        return found


def _digest(architecture: Architecture, x: NDArray[np.float64], y: NDArray[Any]) -> str:
    """What no other network, inputs or labels have."""
    about = {"format": FORMAT, "network": asdict(architecture), "shape": x.shape, "labels": y.tolist()}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=repr).encode())
    digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()


def _read(path: Path, samples: int) -> MeasuredSpectrum | None:
    """The spectrum in a file; None where there is none that makes sense."""
    try:
        values = read_json(path)
        arrays = {name: np.array(values[name], dtype=np.float64) for name in _ARRAYS}
        found = MeasuredSpectrum(**{**values, **arrays})
        numbers = [float(values[name]) for name in MeasuredSpectrum._fields if name not in (*_ARRAYS, *_LIMITS)]
    except (OSError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return None
    shaped = all(array.shape == (samples,) and np.all(np.isfinite(array)) for array in arrays.values())
    sound = shaped and np.all(found.eigenvalues > 0.0) and all(math.isfinite(number) for number in numbers)
    return found if sound else None


def _write(path: Path, found: MeasuredSpectrum) -> None:
    """Put a spectrum into a file, which readers find whole or not at all; what is no file there stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if replaced_place(path) is None:
        return
    values = {name: value.tolist() if name in _ARRAYS else value for name, value in found._asdict().items()}
    write_file(path, json.dumps(values))
