"""Files that are written: whole or as they were, whatever happens meanwhile, and otherwise as an ordinary write."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ntk_prior import Budget, NTKPrior, Task
from ntk_prior.files import append_lines, write_file
from ntk_prior_cli.options import require_place
from tests.support import ROOT, command_of
from tests.support.writers import WRITERS, suffix

OLD = "what was there before\n"


def written_with_room(kind: str, path: Path, room: int, end: str) -> subprocess.CompletedProcess[str]:
    command = command_of("writers", kind, path, room, end)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_process_that_is_killed_while_it_writes_leaves_the_older_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"mine{suffix(kind)}"
    path.write_text(OLD)
    assert written_with_room(kind, path, 100, "killed").returncode == -signal.SIGXFSZ
    assert path.read_text() == OLD


@pytest.mark.parametrize("kind", WRITERS)
def test_a_write_that_fails_leaves_the_older_file_alone_and_names_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"mine{suffix(kind)}"
    path.write_text(OLD)
    stopped = written_with_room(kind, path, 100, "failing")
    assert stopped.returncode == 1
    assert re.search(rf"{path}: expected a file that can be written, .*'File too large': make room", stopped.stderr)
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path], "nothing half written stays beside it"
    path.unlink()
    assert written_with_room(kind, path, 100, "failing").returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_an_error_names_the_file_wherever_it_comes_from(tmp_path: Path) -> None:
    task = Task.equicorrelated(50, 0.1)
    for path, why in {
        Path("/dev/full"): "No space left on device",
        tmp_path: "Is a directory",
        tmp_path / "no-such-folder" / "task.json": "No such file or directory",
    }.items():
        with pytest.raises(OSError, match=rf"{path}: expected a file that can be written, .*{why}.*another place"):
            task.save(path)


def test_readers_find_a_whole_file_while_several_processes_write_it(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    NTKPrior(Task.equicorrelated(50, 0.1), Budget(steps=1)).save(path)
    code = """
import sys
from ntk_prior import Budget, NTKPrior, Task
prior = NTKPrior(Task.equicorrelated(50, 0.1), Budget(steps=int(sys.argv[2])))
for _ in range(100):
    prior.save(sys.argv[1])
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(steps)]) for steps in (2, 3)]
    seen = {1}
    while any(writer.poll() is None for writer in writers):
        seen.add(NTKPrior.load(path).budget.steps)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == {1, 2, 3}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual_one(tmp_path: Path) -> None:
    path, usual = tmp_path / "mine.json", tmp_path / "usual"
    usual.touch()
    write_file(path, "{}")
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o640)
    write_file(path, "[]")
    assert path.read_text() == "[]"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, to_link, target = tmp_path / "link.json", tmp_path / "to-link.json", tmp_path / "real" / "target.json"
    link.symlink_to("real/target.json")
    to_link.symlink_to(link)
    for place in (link, to_link):
        write_file(place, str(place))
        assert place.is_symlink()
        assert target.read_text() == str(place)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match=r"loop: expected a file that can be written"):
        write_file(loop, "")


def test_a_file_that_may_not_be_written_is_not_replaced_either() -> None:
    code = """
import os, sys
from ntk_prior.files import write_file
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    write_file(sys.argv[1], "new")
except PermissionError as error:
    sys.exit(str(error))
"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        path = folder / "kept.json"
        path.write_text(OLD)
        path.chmod(0o444)
        stopped = python(code, path)
        assert "kept.json: expected a file that can be written" in stopped.stderr
        assert path.read_text() == OLD


def test_a_pipe_receives_what_is_written_to_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    require_place("--output", pipe)
    write_file(pipe, "all of it")
    reader.join()
    assert received == ["all of it"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_devices_and_what_the_process_has_open_are_written_to_as_they_are(tmp_path: Path) -> None:
    code = "import sys; from ntk_prior.files import write_file; write_file(sys.argv[1], 'all of it')"
    link, file = tmp_path / "link", tmp_path / "out.txt"
    link.symlink_to("/dev/stdout")
    for place in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", link):
        assert python(code, place).stdout == "all of it"
        with file.open("w") as opened:
            subprocess.run([sys.executable, "-c", code, str(place)], stdout=opened, check=True)
            assert file.read_text() == "all of it"
            assert os.fstat(opened.fileno()).st_ino == file.stat().st_ino, "what has it open sees what was written"
    write_file("/dev/null", "all of it")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert link.is_symlink()


def test_lines_are_added_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_lines(path, "1\n2\n")
    append_lines(path, "3\n")
    code = """
import resource, sys
from ntk_prior.files import append_lines
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
append_lines(sys.argv[1], "4\\n" * 100)
"""
    assert f"{path}: expected a file that can be written" in python(code, path).stderr
    assert path.read_text() == "1\n2\n3\n"


@pytest.mark.parametrize("name", ["no-such-folder/page.html", "closed-link.html"])
def test_a_place_is_looked_at_where_its_link_leads(tmp_path: Path, name: str) -> None:
    (tmp_path / "closed-link.html").symlink_to("no-such-folder/page.html")
    with pytest.raises(ValueError, match=r"--output: expected a file .* but there is no folder .*no-such-folder'"):
        require_place("--output", tmp_path / name)
