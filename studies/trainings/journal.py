"""A CSV file that grows by whole rows and survives being killed at any time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

NEWLINE = b"\n"


class Journal:
    """Rows of text, one writer at a time.

    A row counts once its line has ended: opening drops what a killed writer left behind the last line's end.

    Attributes:
        done: Ids (the first column) of the rows that the file holds.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Open or create a file.

        Args:
            path: The file.
            columns: Names of its columns, the id first.

        Raises:
            RuntimeError: If another process writes to it.
            ValueError: If it has other columns.
        """
        self._columns = list(columns)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise RuntimeError(
                f"{path}: expected no other writer, but another process has it open: name another --output"
            ) from error
        try:
            self.done = self._opened(path)
        except ValueError:
            self._file.close()
            raise

    def _opened(self, path: Path) -> set[str]:
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(NEWLINE) + 1]
        if len(whole) < len(content):
            self._file.truncate(len(whole))
        lines = whole.decode().splitlines()
        if not lines:
            self._write(self._columns)
            return set()
        if lines[0] != ",".join(self._columns):
            raise ValueError(
                f"{path}: expected the columns {','.join(self._columns)}, received {lines[0]}: name another --output"
            )
        return {line.split(",", 1)[0] for line in lines[1:]}

    def append(self, row: Mapping[str, str]) -> None:
        """Add one row and hand it to the disk."""
        self._write([row[name] for name in self._columns])
        self.done.add(row[self._columns[0]])

    def _write(self, cells: Iterable[str]) -> None:
        self._file.write(",".join(cells).encode() + NEWLINE)
        os.fsync(self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def merged(paths: Sequence[Path], columns: Sequence[str], order: Sequence[str], output: Path) -> int:
    """Write the rows of several files into one, in a given order; a file in their midst may still be growing.

    Args:
        paths: The files; where two hold one id, the first counts.
        columns: Names of the columns.
        order: Ids in the order of the output; other ids are an error.
        output: Replaced as a whole.

    Returns:
        The number of rows.

    Raises:
        ValueError: If a file has other columns or ids.
    """
    header = ",".join(columns)
    found: dict[str, str] = {}
    for path in paths:
        content = path.read_text(encoding="utf-8")
        first, *lines = content[: content.rfind("\n") + 1].splitlines() or [header]
        if first != header:
            raise ValueError(f"{path}: expected the columns {header}, received {first}")
        for line in lines:
            found.setdefault(line.split(",", 1)[0], line)
    strangers = found.keys() - set(order)
    if strangers:
        raise ValueError(f"expected ids of this table, received {sorted(strangers)[0]}: were the sizes the same?")
    lines = [header, *(found[name] for name in order if name in found)]
    partial = output.with_name(output.name + ".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(output)
    return len(lines) - 1
