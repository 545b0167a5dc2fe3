"""Promise: when a project's file is replaced under a window, what was done stays in view and none of it is lost."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from session_fixtures import Heard

from napari_cyto.errors import ReplacedFileError, StoreError
from napari_cyto.session import Session
from napari_cyto.session.commands import run
from napari_cyto.store import Project

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be replaced")


@pytest.fixture
def replaced(session: Session) -> Path:
    """A project with two cells, in whose place an older copy of it, with one, was put; the session has not looked."""
    folder = session.need_project().folder
    session.edits.add_point((10, 10))
    copy = folder.with_name("backup.sqlite")
    with Project.open(folder) as other:
        other.save_copy(folder.with_name("backup.cyto"))
    (folder.with_name("backup.cyto") / "project.sqlite").rename(copy)
    session.edits.add_point((20, 20))
    copy.replace(folder / "project.sqlite")
    return folder


def _cells(folder: Path) -> list[float]:
    with Project.open(folder) as project:
        return sorted(a.geometry.centre_yx[0] for a in project.annotations())


def _copies(folder: Path) -> list[Path]:
    return sorted(folder.parent.glob("p as it was open *.cyto"))


def test_what_was_just_done_stays_as_unsaved_and_no_more_is_taken(session: Session, replaced: Path) -> None:
    with pytest.raises(ReplacedFileError, match="nothing of this step was stored"):
        session.edits.add_point((30, 30))
    assert session.unsaved is not None
    assert session.unsaved.changes[0].after.geometry.centre_yx == (30, 30)
    with pytest.raises(ReplacedFileError, match="Choose above the slide how to continue"):
        session.edits.add_point((40, 40))
    assert session.unsaved.changes[0].after.geometry.centre_yx == (30, 30)
    assert _cells(replaced) == [10]


def test_nobody_says_that_all_is_saved_when_it_is_not(session: Session, replaced: Path, heard: Heard) -> None:
    session.poll()
    run(session, "saved")
    assert "is not the one that was opened" in heard.messages[-1]
    assert replaced.exists()


def test_going_on_in_a_copy_keeps_everything(session: Session, replaced: Path, heard: Heard) -> None:
    slide = session.need_slide().id
    with session.telling():
        session.edits.add_point((30, 30))
    restored = (replaced / "project.sqlite").read_bytes()
    copy = session.projects.go_on_in_copy()
    assert (session.need_project().folder, session.need_slide().id, session.unsaved) == (copy, slide, None)
    session.edits.add_point((40, 40))
    assert _cells(copy) == [10, 20, 30, 40]
    assert _copies(replaced) == [copy]
    assert (replaced / "project.sqlite").read_bytes() == restored
    assert str(copy) in heard.messages[-1]
    session.history.undo()
    session.history.undo()
    assert _cells(copy) == [10, 20]


def test_opening_what_is_there_keeps_what_only_the_window_had(session: Session, replaced: Path) -> None:
    with session.telling():
        session.edits.add_point((30, 30))
    session.projects.open_what_is_there()
    assert session.need_project().folder == replaced
    assert (session.replaced, session.unsaved) == ("", None)
    session.edits.add_point((50, 50))
    assert _cells(replaced) == [10, 50]
    [copy] = _copies(replaced)
    assert _cells(copy) == [10, 20]


def test_a_window_that_is_closed_leaves_a_copy_of_what_only_it_had(session: Session, replaced: Path) -> None:
    with session.telling():
        session.edits.add_point((30, 30))
    session.close()
    [copy] = _copies(replaced)
    assert (_cells(replaced), _cells(copy)) == ([10], [10, 20, 30])


def test_a_folder_that_was_only_moved_is_not_copied(session: Session) -> None:
    folder = session.need_project().folder
    session.edits.add_point((10, 10))
    moved = folder.rename(folder.with_name("moved.cyto"))
    session.poll()
    assert "was moved or deleted" in session.replaced
    with pytest.raises(StoreError, match="There is no longer a project in"):
        session.projects.open_what_is_there()
    session.close()
    assert _copies(folder) == []
    assert _cells(moved) == [10]


def test_a_file_that_comes_back_takes_the_edit_that_waits(session: Session) -> None:
    folder = session.need_project().folder
    away = folder.rename(folder.with_name("away.cyto"))
    with session.telling():
        session.edits.add_point((10, 10))
    assert session.replaced
    away.rename(folder)
    session.poll()
    assert (session.replaced, session.unsaved) == ("", None)
    assert _cells(folder) == [10]


def test_a_file_written_over_is_left_as_it_is_and_can_be_opened(session: Session) -> None:
    folder = session.need_project().folder
    session.edits.add_point((10, 10))
    other = folder.with_name("other.cyto")
    with Project.open(folder) as project:
        project.save_copy(other)
    content = (other / "project.sqlite").read_bytes()
    session.edits.add_point((20, 20))
    with (folder / "project.sqlite").open("r+b") as file:
        file.write(content)
        file.truncate()
    with session.telling():
        session.edits.add_point((30, 30))
    assert session.unsaved is not None
    assert (folder / "project.sqlite").read_bytes() == content
    session.projects.open_what_is_there()
    session.edits.add_point((50, 50))
    assert _cells(folder) == [10, 50]


def test_going_to_another_slide_works_while_nothing_can_be_stored(session: Session, replaced: Path) -> None:
    session.poll()
    session.slides.next(1)
    assert session.need_slide().name == "two"
    shutil.rmtree(replaced)
