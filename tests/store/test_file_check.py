"""Promise: the look through a large project holds nobody up for long, misses nothing, and is not made twice."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import DamagedError
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.store.database import connection as database
from napari_cyto.store.database import inspection
from napari_cyto.store.recovery import background_check as file_check
from napari_cyto.store.recovery.background_check import FileCheck
from tests.store.strangers import make_project

_CELLS = [Annotation(slide_id="one", geometry=Point(1 + i % 97, 2 + i), class_id="HSIL") for i in range(60)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "sound.cyto"
    make_project(folder)
    with Project.open(folder) as project:
        project.apply(add(_CELLS, "Import"), "Ana")
    return folder


@pytest.fixture
def large(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a project whose file counts as large, of which nothing is remembered."""
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(inspection, "CHECKED_AT_ONCE_BYTES", 0)
    monkeypatch.setattr("napari_cyto.store.recovery.integrity._ROWS_AT_ONCE", 10)
    return Path(shutil.copytree(sound, tmp_path / "large.cyto"))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are looked through."""
    begun: list[Path] = []

    class Counted(FileCheck):
        def __init__(self, engine: object, path: Path, damaged: object) -> None:
            begun.append(path)
            super().__init__(engine, path, damaged)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "FileCheck", Counted)
    return begun


def _draw(project: Project) -> None:
    project.apply(add([Annotation(slide_id="one", geometry=Point(5, 5), class_id="HSIL")], "Draw"), "Ana")


_CONTRADICTIONS = (
    "UPDATE tally SET n = n + 1",
    "UPDATE annotation SET class_id = 'NILM' WHERE pk = (SELECT max(pk) FROM annotation)",
    "UPDATE version SET y0 = y0 + 500, y1 = y1 + 500 WHERE pk = (SELECT max(pk) FROM version)",
    "DELETE FROM box WHERE pk = (SELECT max(pk) FROM box)",
    "UPDATE history SET target_seq = 99 WHERE kind = 'undo'",
)


@pytest.mark.parametrize("harm", _CONTRADICTIONS)
def test_a_contradiction_found_later_ends_all_writing(large: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    """What SQLite's quick check passes does not hold up the first edit, and stops all that follow once it is found."""
    connection = sqlite3.connect(large / "project.sqlite")
    connection.execute(harm)
    connection.commit()
    connection.close()
    drawn = threading.Event()

    def after_the_first_edit(*given: object) -> object:
        assert drawn.wait(30)
        return compared(*given)  # type: ignore[arg-type]

    compared = file_check.comparisons
    monkeypatch.setattr(file_check, "comparisons", after_the_first_edit)
    project = Project.open(large)
    try:
        _draw(project)
        drawn.set()
        with pytest.raises(DamagedError):
            project._database.require_sound()
        assert "is damaged or foreign" in project.damage
        assert not project.writable
        with pytest.raises(DamagedError, match="is damaged or foreign"):
            _draw(project)
        assert len(list(project.annotations())) == len(_CELLS) + 5
    finally:
        drawn.set()
        project.close()


def test_a_verb_ends_only_after_the_whole_look(large: Path) -> None:
    connection = sqlite3.connect(large / "project.sqlite")
    connection.execute("UPDATE tally SET n = n + 1")
    connection.commit()
    connection.close()
    with pytest.raises(DamagedError, match="are counted"), Project.open(large) as project:
        list(project.annotations())


def test_a_file_found_sound_is_not_looked_through_again(large: Path, looks: list[Path]) -> None:
    for _ in range(3):
        with Project.open(large) as project:
            assert project.writable
    assert len(looks) == 1


@pytest.mark.parametrize("change", ["edit", "bytes", "copy", "late", "record"])
def test_what_changed_since_is_looked_through_again(
    large: Path, looks: list[Path], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with Project.open(large) as project:
        assert project.writable
    file = large / "project.sqlite"
    match change:
        case "edit":
            with Project.open(large) as project:
                _draw(project)
        case "bytes":  # its size and time are as they were
            status = file.stat()
            with file.open("rb+") as opened:
                opened.seek(-4096, os.SEEK_END)
                opened.write(b"\xa5" * 64)
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        case "copy":
            shutil.copy2(file, large / "copy")
            (large / "copy").replace(file)
        case "late":
            monkeypatch.setattr("napari_cyto.store.recovery.checked_files.KEPT_S", 0.0)
        case "record":
            for each in (large.parent / "cache" / "sound-projects").iterdir():
                each.write_bytes(b"\xff[}")
    looks.clear()
    project = Project.open(large)
    project.close()
    assert len(looks) == 1


def test_a_damaged_file_is_not_remembered_as_sound(large: Path, looks: list[Path]) -> None:
    connection = sqlite3.connect(large / "project.sqlite")
    connection.execute("UPDATE tally SET n = n + 1")
    connection.commit()
    connection.close()
    for _ in range(2):
        with pytest.raises(DamagedError), Project.open(large):
            pass
    assert len(looks) == 2


def test_whoever_waits_noticeably_learns_why(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = threading.Event()

    def slow(*given: object) -> list[str]:
        assert questions.wait(30)
        return pages(*given)  # type: ignore[arg-type]

    pages = file_check.page_problems
    monkeypatch.setattr(file_check, "page_problems", slow)
    monkeypatch.setattr(file_check, "_SHORT_S", 0.0)
    session = Session(author="Ana")
    heard: list[str] = []
    session.waiting.connect(heard.append)
    session.waiting.connect(lambda _text: questions.set())
    session.projects.open(large)
    assert session.project is not None
    # Who only looks waits for nothing, and leaves the file as it is.
    session.slides.go_to("two")
    assert not questions.is_set()
    _draw(session.project)
    assert heard == [database.LOOKING_THROUGH]
    session.close()
