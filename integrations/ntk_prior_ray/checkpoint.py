"""Files of a search algorithm's state, those that a Tuner writes included.

They are pickles, as all of Ray Tune's: read only files that you would run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from typing import Any

from ray import cloudpickle
from ray.tune.search import Searcher

from ntk_prior.files import expecting, read_bytes, write_file
from ntk_prior_ray._ray import key_in_generator_state, latest_generator_state, unwrap

LARGEST = 2**30
"""Bytes of the largest file that is read: a wrapped search algorithm may keep all that it has seen."""

_MAGIC = b"ntk-prior-search/1\n"


def write(path: Path, state: dict[str, Any], searcher: Searcher) -> None:
    """Write our state, and that of the wrapped search algorithm, to one file."""
    *limiters, base = unwrap(searcher)
    with _place_for_another() as inside:
        base.save(str(inside))
        # A limiter saves what it limits, and not itself.
        content = {"state": state, "limiters": [one.get_state() for one in limiters], "searcher": inside.read_bytes()}
    write_file(path, _MAGIC + cloudpickle.dumps(content))  # type: ignore[no-untyped-call]


def read(path: Path, searcher: Searcher, name: str) -> dict[str, Any]:
    """Restore the wrapped search algorithm and return our state.

    Args:
        path: A file that ``write`` wrote, or the ``searcher-state-*.pkl`` of an experiment's folder.
        searcher: The wrapped search algorithm.
        name: The class under which a Tuner files our state.

    Raises:
        ValueError: If there is no such state in or beside the file.
    """
    content = _content(path)
    if not content.startswith(_MAGIC):
        state = _beside(path, name)
        searcher.restore(str(path))
        return state
    saved = _load(path, content.removeprefix(_MAGIC))
    *limiters, base = unwrap(searcher)
    for limiter, limited in zip(limiters, saved["limiters"], strict=True):
        limiter.set_state(limited)
    with _place_for_another() as inside:
        inside.write_bytes(saved["searcher"])
        base.restore(str(inside))
    return dict(saved["state"])


def _beside(path: Path, name: str) -> dict[str, Any]:
    """Our state in an experiment's folder: a Tuner files apart what is around the innermost search algorithm."""
    file = latest_generator_state(path.parent)
    saved = {} if file is None else _load(file, _content(file))
    key = key_in_generator_state(name)
    if key not in saved:
        raise ValueError(
            f"{path}: expected a file saved by {name}, or the searcher state of an experiment that used it"
        )
    return dict(saved[key])


def _load(path: Path, content: bytes) -> Any:
    """What a pickle holds.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        return cloudpickle.loads(content)
    except (
        AttributeError,
        EOFError,
        ImportError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        UnpicklingError,
    ) as error:
        raise ValueError(
            f"{path}: expected the state of a search algorithm, but it cannot be read ({error}): restore from an "
            "earlier file, or start anew"
        ) from error


def _content(path: Path) -> bytes:
    with expecting("the state of a search algorithm", path, "restore from an earlier file, or start anew"):
        return read_bytes(path, LARGEST)


@contextmanager
def _place_for_another() -> Iterator[Path]:
    """A file of this call's own for the wrapped search algorithm, which knows files only."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "searcher"
