"""Promise: the backups of a project are listed with what they hold, and the one that is chosen is what is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import StoreError
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.store.recovery import maintenance as care
from napari_cyto.widgets.docks.slides.backups_dialog import BackupsDialog

pytestmark = pytest.mark.gui


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "smears.cyto"
    with Project.create(folder, preset("bethesda")) as project:
        project.add_slides([SlideRecord(name="one.svs", id="one")])
        project.apply(add([Annotation(slide_id="one", geometry=Point(1, 2), class_id="HSIL")], "Draw"), "Ana")
    return folder


def test_a_backup_is_taken_listed_and_restored(qtbot: QtBot, folder: Path) -> None:
    dialog = BackupsDialog(folder)
    qtbot.addWidget(dialog)
    assert not dialog.restore.isEnabled()
    assert "No backup yet" in dialog.status.text()
    dialog.now.click()
    assert [dialog.table.item(0, column).text() for column in (1, 2, 3)] == ["On request", "1", "1"]
    assert dialog.restore.isEnabled()
    assert dialog.chosen is not None
    session = Session(author="Ana")
    heard: list[str] = []
    session.message.connect(heard.append)
    session.projects.open(folder)
    assert session.project is not None
    session.project.apply(add([Annotation(slide_id="one", geometry=Point(3, 4), class_id="LSIL")], "Draw"), "Ana")
    session.projects.restore_backup(folder, dialog.chosen.path.name)
    assert session.project.counts() == {"HSIL": 1}
    assert "The previous state is kept as" in heard[-1]
    session.close()
    assert [each.reason for each in care.backups(folder)] == ["before-restore", "asked"]


def test_a_restore_that_fails_leaves_the_project_open(qtbot: QtBot, folder: Path) -> None:
    care.backup(folder)
    session = Session(author="Ana")
    heard: list[str] = []
    session.message.connect(heard.append)
    session.projects.open(folder)
    with Project.open(folder) as other, session.telling():
        other.counts()
        session.projects.restore_backup(folder, care.backups(folder)[0].path.name)
    assert any("open in another window or program" in text for text in heard)
    assert session.project is not None
    session.close()


def test_a_window_restores_in_the_background(qtbot: QtBot, folder: Path) -> None:
    """A restore copies the whole file twice: the window goes on meanwhile, and edits are refused in a sentence."""
    backup = care.backup(folder)
    session = Session(author="Ana")
    heard: list[str] = []
    session.message.connect(heard.append)
    session.projects.open(folder)
    begun: list[tuple[Callable[[], Any], Callable[[Callable[[], Any]], None]]] = []
    session.background = lambda work, then: begun.append((work, then))
    session.projects.restore_backup(folder, backup.path.name)
    assert session.project is None
    assert "is being restored" in heard[-1]
    with pytest.raises(StoreError, match="is being restored"):
        session.projects.restore_backup(folder, backup.path.name)
    ((work, then),) = begun
    done = work()
    then(lambda: done)
    assert session.project is not None
    assert session.project.folder == folder
    assert "is as it was on" in heard[-1]
    session.projects.restore_backup(folder, backup.path.name)
    session.close()

    def failed() -> None:
        raise StoreError("The backup is not sound.")

    begun[-1][1](failed)
    assert session.project is not None
    assert heard[-1] == "The backup is not sound."
    session.close()
