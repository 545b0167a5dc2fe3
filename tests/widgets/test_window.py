"""Promise: one call opens the window with everything in place, and closing it leaves nothing running."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import psutil
import pytest
from PIL import Image
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QAbstractButton, QApplication, QFileDialog, QLabel

from napari_cyto.domain.slide_record import Progress
from napari_cyto.errors import CytoError
from napari_cyto.store import Project
from napari_cyto.widgets.canvas.napari_window import native_canvas
from napari_cyto.widgets.docks.slides._import_dialog import ImportDialog
from napari_cyto.widgets.window import open_window, session_for, window_of


@pytest.mark.smoke
def test_a_project_opens_with_docks_title_and_pixels(window_bench):
    viewer = window_bench.window.viewer
    assert viewer.title == "smear_a.tif – Smears – napari-cyto"
    assert {"Slides", "Slide", "Annotate", "Export"} <= set(viewer.window.dock_widgets)
    assert viewer.layers[0].name == "smear_a.tif"
    assert tuple(viewer.layers[0].scale) == (0.25, 0.25)
    assert session_for(viewer) is window_bench.session
    with pytest.raises(CytoError, match="already shows a project"):
        open_window(viewer=viewer)


def test_slides_are_exchanged_with_the_session(window_bench):
    viewer = window_bench.window.viewer
    window_bench.click(window_bench.slides.next)
    images = [layer.name for layer in viewer.layers if layer.name.endswith((".tif", ".png"))]
    assert images == ["smear_b.tif"]
    assert viewer.title.startswith("smear_b.tif")
    window_bench.session.slides.go_to(window_bench.session.project.slides()[2].id)
    assert tuple(viewer.layers[0].scale) == (1, 1)
    window_bench.session.facts.set_mpp(0.5)
    assert tuple(viewer.layers[0].scale) == (0.5, 0.5)


def test_the_first_annotation_begins_the_slide(window_bench):
    assert window_bench.session.slide.progress is Progress.TODO
    window_bench.mark(1)
    assert window_bench.session.slide.progress is Progress.IN_PROGRESS


def test_a_message_is_shown_over_the_slide(window_bench):
    window_bench.session.message.emit("Something to read.")
    line = window_bench.window.message
    assert line.isVisible()
    assert line.text() == "Something to read."
    assert native_canvas(window_bench.window.viewer).rect().contains(line.geometry())
    window_bench.qtbot.mouseClick(line, Qt.MouseButton.LeftButton)
    assert not line.isVisible()


@pytest.mark.smoke
def test_class_keys_work_on_the_slide_and_nowhere_else(window_bench):
    [cell] = window_bench.mark(1, "HSIL")
    window_bench.session.select([cell])
    undo = window_bench.annotate.undo
    undo.setFocus()
    window_bench.qtbot.keyClick(undo, Qt.Key.Key_1)
    window_bench.settle()
    assert window_bench.session.project.annotation(cell).class_id == "HSIL"
    canvas = native_canvas(window_bench.window.viewer)
    canvas.setFocus()
    window_bench.qtbot.keyClick(canvas, Qt.Key.Key_1)
    window_bench.settle()
    assert window_bench.session.project.annotation(cell).class_id == "NILM"
    window_bench.type(window_bench.annotate.selection.note, "3")
    assert window_bench.session.project.annotation(cell).class_id == "NILM"
    assert window_bench.annotate.selection.note.text() == "3"


def test_our_keys_are_listed_where_napari_listed_its_own(window_bench):
    assert "1 to 9: class" in window_bench.window.viewer.window._qt_window.statusBar()._help.text()


@pytest.mark.smoke
def test_everything_fits_a_laptop(window_bench):
    """At 1366 x 768 no button or label of a dock is narrower than its words."""
    window = window_bench.window.viewer.window._qt_window
    window.resize(1366, 740)
    window_bench.settle()
    assert window.width() <= 1366
    assert window.height() <= 768
    for dock in (window_bench.slides, window_bench.slide, window_bench.annotate):
        for control in dock.findChildren(QAbstractButton):
            if control.isVisible() and control.text():
                needed = control.fontMetrics().horizontalAdvance(control.text())
                assert control.width() >= needed, f"{control.text()!r} is cut off"
        right = dock.mapToGlobal(dock.rect().topRight()).x()
        for label in dock.findChildren(QLabel):
            if label.isVisible():
                assert label.mapToGlobal(label.rect().topRight()).x() <= right, f"{label.text()!r} sticks out"


def test_the_title_that_a_window_manager_adds_pushes_nothing_below_the_screen(window_bench, monkeypatch):
    main = window_bench.window.viewer.window._qt_window
    free = main.screen().availableGeometry()
    main.resize(free.size())
    window_bench.settle()
    framed = lambda window: window.geometry().adjusted(-1, -20, 1, 5)  # noqa: E731
    monkeypatch.setattr(type(main), "frameGeometry", framed, raising=False)
    window_bench.window.keep_on_screen()
    window_bench.settle()
    assert main.frameGeometry().height() <= free.height()
    assert main.frameGeometry().width() <= free.width()


def drop(target, path: Path) -> None:
    """As the system does it: the drag enters, then drops."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    place = QPointF(50, 50)
    entering = QDragEnterEvent(place.toPoint(), *how)
    QApplication.sendEvent(target, entering)
    assert entering.isAccepted()
    QApplication.sendEvent(target, QDropEvent(place, *how))


@pytest.mark.smoke
def test_a_slide_dropped_on_the_window_joins_the_project(open_window_on, slide_files):
    bench = open_window_on(slide_files[0])
    assert bench.session.project.folder == slide_files[0].parent / "smear_a.cyto"
    assert "smear_a.cyto" in bench.window.message.text()
    drop(bench.window.viewer.window._qt_viewer, slide_files[1])
    assert [r.name for r in bench.session.project.slides()] == ["smear_a.tif", "smear_b.tif"]
    assert bench.session.slide.name == "smear_b.tif"


def test_labels_dropped_on_the_window_are_offered_for_import(window_bench, tmp_path):
    (tmp_path / "marks.geojson").write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    drop(window_bench.window.viewer.window._qt_viewer, tmp_path / "marks.geojson")
    [dialog] = window_bench.slides.findChildren(ImportDialog)
    assert dialog.isVisible()
    assert dialog.format.currentData() == "geojson"
    dialog.reject()


def test_what_is_no_slide_is_refused_and_never_lies_over_the_slide(window_bench, tmp_path):
    """A file that napari could show as an image was laid over the slide, and took its clicks."""
    Image.new("RGB", (80, 60), "red").save(tmp_path / "x.gif")
    (tmp_path / "y.npy").write_bytes(b"nonsense")
    (tmp_path / "empty").mkdir()
    session, viewer = window_bench.session, window_bench.window.viewer
    heard = []
    session.message.connect(heard.append)
    for name in ("x.gif", "y.npy", "empty"):
        before, slides = [*viewer.layers], len(session.project.slides())
        drop(viewer.window._qt_viewer, tmp_path / name)
        window_bench.settle()
        added = len(session.project.slides()) > slides
        assert added or [*viewer.layers] == before
        assert added or name in heard[-1]
        assert len(viewer.layers) == 2


def test_a_folder_of_slides_is_taken_and_counted(open_window_on, slide_files, tmp_path):
    bench = open_window_on(slide_files[0])
    inner = tmp_path / "more" / "inner"
    inner.mkdir(parents=True)
    shutil.copy(slide_files[1], inner / "b.tif")
    shutil.copy(slide_files[2], tmp_path / "more" / "c.png")
    (tmp_path / "more" / "._c.png").write_bytes(b"a disk's own")
    (tmp_path / "more" / "broken.png").write_bytes(b"no image")
    drop(bench.window.viewer.window._qt_viewer, tmp_path / "more")
    assert {r.name for r in bench.session.project.slides()} == {"smear_a.tif", "b.tif", "c.png"}
    assert "2 slides of more are in the project; 1 could not be opened" in bench.window.message.text()


@pytest.mark.smoke
def test_ctrl_s_and_ctrl_o_speak_of_the_project(window_bench, monkeypatch, slide_files, tmp_path):
    other = tmp_path / "other.png"
    Image.new("RGB", (80, 60), "red").save(other)
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_args: ([str(other)], ""))
    canvas = native_canvas(window_bench.window.viewer)
    canvas.setFocus()
    window_bench.qtbot.keyClick(canvas, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert window_bench.window.message.text() == "All changes are saved."
    window_bench.qtbot.keyClick(canvas, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    assert window_bench.session.slide.name == "other.png"
    assert [layer.name for layer in window_bench.window.viewer.layers] == ["other.png", "Cells"]


def test_a_path_that_cannot_be_opened_opens_no_window(tmp_path):
    before = len(QApplication.topLevelWidgets())
    with pytest.raises(CytoError, match="absent"):
        open_window(tmp_path / "absent.svs")
    assert len(QApplication.topLevelWidgets()) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.smoke
def test_closing_stops_the_job_and_closes_the_project(window_bench, project_folder, tmp_path):
    for record in window_bench.session.project.slides()[:2]:
        window_bench.session.slides.go_to(record.id)
        window_bench.mark(2)
    export = window_bench.export
    export.target.setText(str(tmp_path / "out"))
    export.export()
    pid = export.bar.job.pid
    viewer, window, session = window_bench.window.viewer, window_bench.window, window_bench.session
    viewer.close()
    assert session.project is None
    assert not psutil.pid_exists(pid)
    assert not (tmp_path / "out").exists()
    assert not [t for t in threading.enumerate() if t.name.startswith("thumbnails")]
    assert window._closed
    with Project.open(project_folder) as project:
        assert sum(project.counts().values()) == 4


def test_docks_from_the_plugin_menu_share_the_session(make_napari_viewer, project_folder):
    from napari_cyto.widgets.docks.annotate.dock import AnnotateDock
    from napari_cyto.widgets.docks.slides.dock import SlidesDock

    viewer = make_napari_viewer()
    slides, annotate = window_of(viewer).dock(SlidesDock), window_of(viewer).dock(AnnotateDock)
    viewer.window.add_dock_widget(slides, name="Slides")
    viewer.window.add_dock_widget(annotate, name="Annotate")
    session_for(viewer).projects.open(project_folder)
    assert slides.list.count() == 3
    assert set(annotate.palette_rows.rows) == set(session_for(viewer).project.scheme.ids)
