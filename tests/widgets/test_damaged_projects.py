"""Promise: of a damaged project what can be read is shown, all else is a sentence, and the window goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.store import Project
from napari_cyto.store.recovery import maintenance as care
from napari_cyto.store.recovery.damage_message import damage_sentence
from napari_cyto.widgets.docks.slides.backups_dialog import BackupsDialog


def spoil(folder: Path, change: str) -> Path:
    with closing(sqlite3.connect(folder / "project.sqlite")) as connection, connection:
        connection.execute(change)
    return folder


def test_docks_tell_what_they_cannot_read_and_that_nothing_can_be_stored(bench):
    bench.mark(2)
    folder, session, heard = bench.session.project.folder, bench.session, []
    session.close()
    spoil(folder, "UPDATE version SET status = 'hacked'")
    assert bench.annotate is not None
    assert bench.slides is not None
    session.message.connect(heard.append)
    with session.telling():
        session.projects.open(folder)
    bench.settle()
    assert session.project.damage
    assert any("damaged or foreign" in sentence for sentence in heard)
    bench.qtbot.waitUntil(lambda: "Read-only: the project is damaged" in bench.annotate.saved.text())
    assert "smear_a.tif" in [record.name for record in bench.session.project.slides()]
    assert bench.slides.headline.text() == session.project.name


def test_a_project_without_a_readable_slide_does_not_take_the_place_of_the_open_one(bench, tmp_path):
    open_before = bench.session.project.folder
    other = tmp_path / "other.cyto"
    with Project.create(other, bench.session.project.scheme) as project:
        project.add_slides(bench.session.project.slides())
    spoil(other, "UPDATE slide SET path = x'ff00fe'")
    with pytest.raises(DamagedError, match="the field 'path'"):
        bench.session.projects.open(other)
    assert bench.session.project.folder == open_before


def test_the_next_slide_comes_although_its_place_cannot_be_kept(bench, monkeypatch):
    def refused(*_args: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(Project, "set_setting", refused)
    seen: list[str] = []

    def see() -> None:
        seen.append(bench.session.slide.name)

    bench.session.slide_changed.connect(see)
    bench.session.slides.next(1)
    bench.session.slide_changed.disconnect(see)
    assert seen == ["smear_b.tif"]


def test_the_first_finding_of_a_page_is_reported_not_all_hundred():
    found = "*** in database main ***\nOn tree page 27 cell 245: Offset 4590 out of range\nOn tree page 27 cell 244: x"
    sentence = damage_sentence(Path("smears.cyto/project.sqlite"), [found])
    assert "(On tree page 27 cell 245: Offset 4590 out of range)" in sentence
    again = damage_sentence(Path("p.sqlite"), ["The project database is damaged or foreign: in the table 'slide'."])
    assert again.count("damaged or foreign") == 1


def test_enter_goes_back_to_the_backup_that_is_chosen(bench):
    bench.mark(1)
    folder = bench.session.project.folder
    care.backup(folder)
    dialog = BackupsDialog(folder)
    bench.qtbot.addWidget(dialog)
    dialog.show()
    QTest.keyClick(dialog.table, Qt.Key.Key_Return)
    assert dialog.result() == dialog.DialogCode.Accepted
