"""Promise: a full disk, a locked database, a second window or a second thread lose nothing and say what is wrong."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import StaleEditError, StoreError
from napari_cyto.store import Project
from tests.store.conftest import Cell


def test_a_full_disk_loses_nothing(project: Project, folder: Path, cell: Cell) -> None:
    kept = cell()
    project.apply(add([kept], "Draw"), "Ana")
    project.close()
    with Project.open(folder) as cramped:

        def no_more_pages(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages + 2}").close()

        event.listen(cramped._database.engine, "checkout", no_more_pages)
        with pytest.raises(StoreError, match="is full; nothing of this step was stored"):
            cramped.apply(add([cell(i, i) for i in range(5_000)], "Import"), "Ana")
        assert list(cramped.annotations()) == [kept]
        event.remove(cramped._database.engine, "checkout", no_more_pages)
    with Project.open(folder) as again:
        assert list(again.annotations()) == [kept]
        again.apply(add([cell()], "Draw"), "Ana")


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a matter of POSIX")
def test_a_disk_that_refuses_to_write_loses_nothing(project: Project, folder: Path, cell: Cell) -> None:
    project.apply(add([cell()], "Draw"), "Ana")
    project.close()
    program = """
        import resource, sys
        from napari_cyto.domain.annotation import Annotation
        from napari_cyto.domain.edits import add
        from napari_cyto.domain.geometry import Point
        from napari_cyto.errors import StoreError
        from napari_cyto.store import Project
        project = Project.open(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        cells = [Annotation(slide_id="one", geometry=Point(i, i), class_id="HSIL") for i in range(5_000)]
        try:
            project.apply(add(cells, "Import"), "Ana")
        except StoreError as error:
            print(error)
        print(project.counts())
    """
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(folder)], capture_output=True, text=True, check=True
    )
    said, counts = child.stdout.splitlines()
    assert "nothing of this step was stored" in said
    assert counts == "{'HSIL': 1}"
    with Project.open(folder) as again:
        assert again.counts() == {"HSIL": 1}


def test_a_database_that_another_program_writes_says_so(project: Project, folder: Path, cell: Cell) -> None:
    with Project.open(folder, busy_seconds=0.05) as impatient:
        other = sqlite3.connect(folder / "project.sqlite", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"being written by another program.*nothing was changed"):
                impatient.apply(add([cell()], "Draw"), "Ana")
            assert list(impatient.annotations()) == []
            other.execute("ROLLBACK")
        finally:
            other.close()
        impatient.apply(add([cell()], "Draw"), "Ana")
        assert project.counts() == {"HSIL": 1}


def test_a_project_deleted_under_our_feet_is_a_sentence(project: Project, folder: Path, cell: Cell) -> None:
    project.close()
    with Project.open(folder) as orphan:
        orphan._database.engine.dispose()
        (folder / "project.sqlite").unlink()
        with pytest.raises(StoreError, match=r"cannot be opened for writing|moved or deleted"):
            orphan.apply(add([cell()], "Draw"), "Ana")
        assert not (folder / "project.sqlite").exists()


def test_two_windows_see_each_others_edits(project: Project, folder: Path, cell: Cell) -> None:
    with Project.open(folder) as other:
        assert not project.changed_elsewhere()
        first, second = cell(), cell()
        project.apply(add([first], "Draw"), "Ana")
        other.apply(add([second], "Draw"), "Ben")
        assert list(project.annotations()) == list(other.annotations()) == [first, second]
        assert project.changed_elsewhere()
        assert other.changed_elsewhere()
        assert not project.changed_elsewhere()
        assert not other.changed_elsewhere()
        project.undo("Ana")
        assert not project.changed_elsewhere()
        assert other.changed_elsewhere()


def test_what_another_window_changed_first_refuses_here(project: Project, folder: Path, cell: Cell) -> None:
    first = cell()
    project.apply(add([first], "Draw"), "Ana")
    with Project.open(folder) as other:
        other.apply(replace_all([(first, replace(first, class_id="NILM"))], "Correct"), "Ben")
        with pytest.raises(StaleEditError, match="changed elsewhere"):
            project.apply(replace_all([(first, replace(first, class_id="LSIL"))], "Relabel"), "Ana")
        with pytest.raises(StaleEditError, match="changed by a later edit"):
            project.undo("Ana")
    assert project.counts() == {"NILM": 1}


def test_slides_and_classes_of_another_window_are_known_here(project: Project, folder: Path, cell: Cell) -> None:
    with Project.open(folder) as other:
        other.add_slides([SlideRecord(name="three", id="three")])
        other.apply(add([cell(slide_id="three")], "Draw"), "Ben")
        other.undo("Ben")
        other.set_scheme(preset("apacc"))
        there = cell(slide_id="three", class_id="healthy")
        other.apply(add([there], "Draw"), "Ben")
    assert list(project.annotations()) == [there]
    here = cell(slide_id="three", class_id="unhealthy")
    project.apply(add([here], "Draw"), "Ana")
    assert project.scheme == preset("apacc")
    assert project.counts("three") == {"healthy": 1, "unhealthy": 1}


def test_a_window_of_an_older_version_stops_writing_once_the_project_was_updated(
    project: Project, folder: Path, cell: Cell
) -> None:
    other = sqlite3.connect(folder / "project.sqlite")
    other.execute("UPDATE project SET schema_version = schema_version + 1")
    other.commit()
    other.close()
    with pytest.raises(StoreError, match="another window may have updated it"):
        project.apply(add([cell()], "Draw"), "Ana")
    assert list(project.annotations()) == []


def test_threads_share_a_project(project: Project, cell: Cell) -> None:
    # Guards that a worker can read while the window edits, and that edits of several threads queue.
    failures: list[BaseException] = []
    done = threading.Event()

    def edit(author: str) -> None:
        try:
            for i in range(25):
                project.apply(add([cell(i, i), cell(i, i + 1)], "Draw"), author)
                project.undo(author)
                project.redo(author)
        except BaseException as error:
            failures.append(error)
            raise

    def read() -> None:
        try:
            while not done.is_set():
                found = len(list(project.annotations("one")))
                assert found % 2 == 0
                assert sum(project.counts().values()) % 2 == 0
                assert len(project.in_box("one", (-1, -1, 99, 99))) % 2 == 0
        except BaseException as error:
            failures.append(error)
            raise

    editors = [threading.Thread(target=edit, args=(name,)) for name in ("Ana", "Ben", "Cem")]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in editors + readers:
        thread.start()
    for thread in editors:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert failures == []
    assert project.counts() == {"HSIL": 150}
    assert not project.changed_elsewhere()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be moved or deleted")
def test_annotations_are_not_written_into_a_project_that_was_deleted(
    project: Project, folder: Path, cell: Cell
) -> None:
    project.apply(add([cell()], "Draw"), "Ana")
    away = folder.rename(folder.with_name("elsewhere.cyto"))
    with pytest.raises(StoreError, match="moved or deleted while it was open"):
        project.apply(add([cell()], "Draw"), "Ana")
    away.rename(folder)
    project.apply(add([cell(5, 5)], "Draw"), "Ana")
    assert project.counts() == {"HSIL": 2}
