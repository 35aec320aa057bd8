"""Files: read as data up to a limit, replaced whole or left as they were, and named by every error."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ntk_prior.checks import SHOWN, escaped, shown

LARGEST = 64 * 2**20
"""Bytes of the largest JSON file that is read; a summary or a prior takes a thousandth of that."""

_LONG = re.compile(rf"(?<!\w)'[^']{{{SHOWN},}}'(?!\w)|\S{{{SHOWN + 1},}}")
"""What is too long to be repeated: a quotation or a word."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_DESCRIPTORS = re.compile(r"/dev/fd|/proc/.*/fd")
"""Folders whose entries are what a process has open."""


def legible(text: str, longest: int = 1000) -> str:
    """A message on one line: control characters escaped, quotations and words cut to 200 characters, and the whole."""
    # What is cut first need not be escaped. Escapes are longer than what they stand for.
    return _shortened(escaped(_shortened(text, longest)), longest)


def _shortened(text: str, longest: int) -> str:
    short = _LONG.sub(lambda found: f"{found[0][: SHOWN - 3]}...", text)
    # The end is where messages say what to do.
    end = longest // 3
    return short if len(short) <= longest else f"{short[: longest - end - 5]} ... {short[-end:]}"


@contextmanager
def expecting(what: str, path: str | Path, remedy: str) -> Iterator[None]:
    """Make errors about a file's content name the file, what was expected, and what to do.

    Args:
        what: What the file should hold.
        path: The file.
        remedy: What the user can do about it.

    Raises:
        ValueError: In place of any error that wrong content causes.
    """
    name = escaped(str(path))
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{name}: expected {what}, but {legible(str(error))} is missing: {remedy}") from error
    except (AttributeError, EOFError, IndexError, MemoryError, OverflowError, TypeError, ValueError) as error:
        found = legible(str(error) or type(error).__name__)
        raise ValueError(f"{name}: expected {what}, but {found}: {remedy}") from error
    except RecursionError as error:
        raise ValueError(f"{name}: expected {what}, but it is nested too deeply: {remedy}") from error


def read_bytes(path: str | Path, limit: int = LARGEST) -> bytes:
    """Read a regular file of at most ``limit`` bytes.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is larger, or anything but a regular file: a pipe or a device may have no end.
    """
    path = Path(path)
    # Looked at before it is opened, which alone can act on a device, and after, since it may be another file by then.
    _require_regular(path.stat())
    # Without waiting for a pipe's other end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor)
        _require_regular(size)
        if size.st_size > limit:
            raise ValueError(f"expected at most {limit} bytes, received {size.st_size}")
        try:
            # The size is no promise: the file may be growing, or one of those that the kernel makes up.
            content = file.read(limit + 1)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
    if content is None:
        raise ValueError("its content has not come yet, as with a pipe")
    if len(content) > limit:
        raise ValueError(f"expected at most {limit} bytes, received more")
    return content


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise ValueError(f"it is {kind}, and only regular files are read")


def read_text(path: str | Path, limit: int = LARGEST) -> str:
    """Read a regular file of text in UTF-8, of at most ``limit`` bytes.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is larger, no regular file, or no such text.
    """
    return read_bytes(path, limit).decode("utf-8-sig")


def read_json(path: str | Path, limit: int = LARGEST) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is too large, or holds anything else.
        RecursionError: If it is nested too deeply.
    """
    content = parsed_json(read_text(path, limit))
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, received {type(content).__name__}")
    return content


def parsed_json(text: str) -> Any:
    """What JSON stands for.

    Raises:
        ValueError: If the text is no JSON, or gives a name twice.
        RecursionError: If it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"{most_frequent([name for name, _ in pairs])} is given twice")
    return found


def most_frequent(names: list[Any]) -> str:
    """The most frequent of some names, as messages show it."""
    return shown(Counter(names).most_common(1)[0][0])


def write_file(path: str | Path, content: str | bytes) -> None:
    """Write a file so that it holds, whatever happens meanwhile, all of the new content or all of the old.

    A new file beside it takes its place. A link stays, and what it leads to is replaced; so do the file's mode and,
    where that is allowed, its owner. Pipes, devices and what a process has open, such as ``/dev/stdout``, are written
    to as they are.

    Args:
        path: The file.
        content: What it shall hold; text is written in UTF-8.

    Raises:
        OSError: If that fails; it names the file.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with _naming(path):
        place = replaced_place(path)
        if place is None:
            Path(path).write_bytes(data)
        else:
            _replace(place, data)


def append_lines(path: str | Path, lines: str) -> None:
    """Add lines to a file: all of them, or none where that fails.

    Raises:
        OSError: If that fails; it names the file.
    """
    with _naming(path), Path(path).open("ab", buffering=0) as file:
        end, rest = os.fstat(file.fileno()).st_size, memoryview(lines.encode("utf-8"))
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except BaseException:
            file.truncate(end)
            raise


def replaced_place(path: str | Path) -> Path | None:
    """The file, at the end of all links, that ``write_file`` puts another in place of; None where it writes into it.

    Raises:
        OSError: If the path leads nowhere, as links to each other do.
    """
    try:
        kind = stat.S_IFMT(Path(path).stat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    return None if kind != stat.S_IFREG or _is_descriptor(Path(path)) else Path(path).resolve()


def _is_descriptor(path: Path) -> bool:
    """Whether a path leads to what a process has open, which a file with the same name would be no substitute for."""
    hop = Path.cwd() / path
    while not (found := _DESCRIPTORS.fullmatch(str(hop.parent.resolve()))) and hop.is_symlink():
        hop = hop.parent.resolve() / hop.readlink()
    return found is not None


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{escaped(str(path))}: expected a file that can be written, but it failed with {error.strerror!r}: make "
            "room, or take another place",
        ) from error


def _replace(path: Path, data: bytes) -> None:
    before = path.stat() if path.exists() else None
    if before is not None:
        # What may not be written is not replaced either.
        os.close(os.open(path, os.O_WRONLY))
    partial = path.with_name(f".ntk-prior-{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            if before is not None:
                _take_over(partial, before)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _take_over(path: Path, before: os.stat_result) -> None:
    """Give a file the owner, as far as that is allowed, and the mode of another."""
    if hasattr(os, "chown"):
        for owner in (before.st_uid, -1):
            with suppress(OSError):
                os.chown(path, owner, before.st_gid)
                break
    path.chmod(stat.S_IMODE(before.st_mode))
