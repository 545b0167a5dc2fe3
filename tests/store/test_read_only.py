"""Promise: a project that cannot be written opens for reading, with its last changes, and not a byte of it changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run
from napari_cyto.domain.edits import add
from napari_cyto.errors import StoreError
from napari_cyto.session import Session
from napari_cyto.store import Project
from tests.store.conftest import Cell

NAME = "project.sqlite"


@pytest.fixture
def killed(project: Project, folder: Path, cell: Cell, tmp_path: Path) -> Path:
    """A project of two cells as a window that was killed left it: one of them is in the log only."""
    project.apply(add([cell()], "Draw"), "Ana")
    project.close()
    with Project.open(folder) as window:
        window.apply(add([cell(30, 30)], "Draw"), "Ana")
        copy = tmp_path / "share" / "smears.cyto"
        shutil.copytree(folder, copy)
    (copy / f"{NAME}-shm").unlink()
    return copy


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes paths unwritable: permission bits do not bind an administrator, whom some machines run tests as."""

    def lock(*paths: Path) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path) not in paths)

    return lock


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.parametrize("which", ["folder", "file", "log"])
def test_what_may_not_be_written_is_read_with_its_log(
    which: str, killed: Path, cell: Cell, locked: Callable[..., None]
) -> None:
    locked({"folder": killed, "file": killed / NAME, "log": killed / f"{NAME}-wal"}[which])
    before = _bytes(killed)
    with Project.open(killed) as project:
        assert not project.writable
        assert project.counts() == {"HSIL": 2}
        with pytest.raises(StoreError, match="opened for reading only"):
            project.apply(add([cell()], "Draw"), "Ana")
    assert _bytes(killed) == before


def test_every_verb_that_only_looks_works(
    killed: Path, tmp_path: Path, locked: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    locked(killed, killed / NAME, killed / f"{NAME}-wal")
    before = _bytes(killed)
    assert run(["export", "csv", str(killed), str(tmp_path / "out.csv")]) == 0
    assert "2" in capsys.readouterr().out
    assert run(["export", "geojson", str(killed), str(tmp_path / "out")]) == 0
    assert run(["slides", str(killed), "--json"]) == 0
    assert run(["audit", str(killed), "--json"]) in (0, 1)
    assert run(["report", str(killed), "--out", str(tmp_path / "report.html")]) == 0
    capsys.readouterr()
    assert run(["import", "csv", str(tmp_path / "out.csv"), str(killed)]) == 2
    assert "opened for reading only" in capsys.readouterr().err
    assert _bytes(killed) == before


def test_a_window_shows_it_and_says_that_nothing_can_be_stored(killed: Path, locked: Callable[..., None]) -> None:
    locked(killed)
    before = _bytes(killed)
    session, heard = Session("ana"), []
    session.message.connect(heard.append)
    session.projects.open(killed)
    session.slides.next(1)
    session.slides.next(-1)
    session.poll()
    with session.telling():
        session.edits.add_point((5, 5))
    assert "is read-only" in heard[0]
    assert "nothing can be stored" in heard[-1]
    session.close()
    assert _bytes(killed) == before


def test_what_others_write_meanwhile_is_seen(killed: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read without locks, a file that changes would be half old and half new."""
    with Project.open(killed) as colleague, monkeypatch.context() as patched:
        colleague.apply(add([cell(50, 50)], "Draw"), "Ben")
        patched.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        reader = Project.open(killed)
        patched.setattr("napari_cyto.store.database._read_only._COPYING_SHARE", 1e9)
        assert reader.counts() == {"HSIL": 3}
        colleague.apply(add([cell(i, i) for i in range(200)], "Import"), "Ben")
        reader._database._not_before_s = 0.0
        assert reader.counts() == {"HSIL": 203}
    assert reader.counts() == {"HSIL": 203}
    with Project.open(killed) as colleague:
        colleague.apply(add([cell(i, i) for i in range(300)], "Import"), "Ben")
    reader._database._not_before_s = 0.0
    assert reader.changed_elsewhere()
    assert reader.counts() == {"HSIL": 503}
    assert len(list(reader.annotations())) == 503
    reader.close()


def test_what_cannot_be_looked_at_is_not_called_no_project(
    killed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("napari_cyto.store.database.raw_read._open", refuse)
    assert Project.is_project(killed)
    assert run(["export", "csv", str(killed), str(tmp_path / "out.csv")]) == 2
    said = capsys.readouterr().err
    assert "cannot be read: Permission denied; ask for permission" in said
    assert "no project" not in said
