"""Promise: what is not the file that was opened is never written, and a restored file stays byte for byte as it was."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_cyto.domain.edits import add
from napari_cyto.errors import ReplacedFileError
from napari_cyto.store import Project
from tests.store.conftest import Cell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be replaced")

NAME = "project.sqlite"


@pytest.fixture
def older(project: Project, folder: Path, cell: Cell, tmp_path: Path) -> Path:
    """A backup of the project from when it had one cell; it has many more by now, and is closed."""
    project.apply(add([cell()], "Draw"), "Ana")
    project.close()
    copy = tmp_path / "backup" / folder.name
    shutil.copytree(folder, copy)
    with Project.open(folder) as again:
        again.apply(add([cell(i, i) for i in range(300)], "Import"), "Ana")
    return copy


def _replaced(folder: Path, older: Path) -> None:
    new = folder.with_name("new.sqlite")
    shutil.copy(older / NAME, new)
    new.replace(folder / NAME)


def _deleted_and_restored(folder: Path, older: Path) -> None:
    (folder / NAME).unlink()
    shutil.copy(older / NAME, folder / NAME)


def _folder_restored(folder: Path, older: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(older, folder)


def _folder_swapped(folder: Path, older: Path) -> None:
    folder.rename(folder.with_name("old.cyto"))
    shutil.copytree(older, folder)


def _written_over(folder: Path, older: Path) -> None:
    with (folder / NAME).open("r+b") as file:
        file.write((older / NAME).read_bytes())
        file.truncate()


def _written_over_as_of_then(folder: Path, older: Path) -> None:
    """As ``cp -p`` does it: the file says that it was changed long ago."""
    _written_over(folder, older)
    os.utime(folder / NAME, (1_600_000_000, 1_600_000_000))


def _emptied(folder: Path, older: Path) -> None:
    os.truncate(folder / NAME, 0)


KINDS: list[Callable[[Path, Path], None]] = [
    _replaced,
    _deleted_and_restored,
    _folder_restored,
    _folder_swapped,
    _written_over,
    _written_over_as_of_then,
    _emptied,
]


@pytest.mark.parametrize("edits_before", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_replaced_file_is_never_written(
    kind: Callable[[Path, Path], None], edits_before: int, older: Path, folder: Path, cell: Cell
) -> None:
    with Project.open(folder) as window:
        for i in range(edits_before):
            window.apply(add([cell(i, i)], "Draw"), "Ana")
        kind(folder, older)
        restored = (folder / NAME).read_bytes()
        for _ in range(3):
            with pytest.raises(ReplacedFileError, match=r"is not the one that was opened.*nothing of this step"):
                window.apply(add([cell()], "Draw"), "Ana")
            with pytest.raises(ReplacedFileError):
                window.set_setting("a", 1)
    assert (folder / NAME).read_bytes() == restored
    if restored:
        _is_whole(folder, restored)


def _is_whole(folder: Path, restored: bytes) -> None:
    """Whoever opens it now, with whatever program, finds what was restored and nothing besides."""
    other = sqlite3.connect(folder / NAME)
    assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    other.close()
    assert (folder / NAME).read_bytes() == restored
    with Project.open(folder) as there:
        assert there.counts() == {"HSIL": 1}
        assert len(list(there.annotations())) == 1


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_a_window_that_is_only_closed_leaves_a_replaced_file_alone(
    kind: Callable[[Path, Path], None], older: Path, folder: Path, cell: Cell
) -> None:
    with Project.open(folder) as window:
        window.apply(add([cell()], "Draw"), "Ana")
        kind(folder, older)
        restored = (folder / NAME).read_bytes()
    _is_whole(folder, restored)


@pytest.mark.parametrize("kind", KINDS)
def test_a_replaced_file_is_noticed_before_anybody_writes(
    kind: Callable[[Path, Path], None], older: Path, folder: Path, cell: Cell
) -> None:
    with Project.open(folder) as window:
        window.apply(add([cell()], "Draw"), "Ana")
        window.check_place()
        kind(folder, older)
        with pytest.raises(ReplacedFileError):
            window.check_place()


def test_a_lost_log_is_noticed(older: Path, folder: Path, cell: Cell) -> None:
    """What is not in the file yet lies in its log: writing on into one that was deleted would lose it all."""
    with Project.open(folder) as window:
        window.apply(add([cell()], "Draw"), "Ana")
        (folder / f"{NAME}-wal").unlink()
        with pytest.raises(ReplacedFileError, match="-wal was replaced or deleted"):
            window.apply(add([cell()], "Draw"), "Ana")


def test_a_project_that_is_open_may_be_looked_at_and_keeps_its_locks(older: Path, folder: Path, cell: Cell) -> None:
    """POSIX drops a program's locks on a file when it closes any descriptor of it; another one deleted our log then."""
    program = (
        "import sys; from napari_cyto.store import Project\n"
        "with Project.open(sys.argv[1]) as p: p.set_setting('theirs', 1)"
    )
    with Project.open(folder) as window:
        window.set_setting("before", 1)
        assert Project.is_project(folder)
        with Project.open(folder) as second:
            second.set_setting("second", 1)
        subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
        window.set_setting("ours", 1)
    with Project.open(folder) as again:
        assert [again.setting(key) for key in ("before", "second", "theirs", "ours")] == [1, 1, 1, 1]
        assert not list(folder.glob("*aside*"))
