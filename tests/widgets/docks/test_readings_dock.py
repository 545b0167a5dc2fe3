"""Promise: a reading is assigned, read by keys and finished in the window, and shows nothing that is hidden from it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box
from napari_cyto.files.reader import keep_reader
from napari_cyto.readings import course
from napari_cyto.readings.assignment import Request, assign
from napari_cyto.readings.reading_results import results
from napari_cyto.store import Project
from napari_cyto.widgets.canvas.napari_window import native_canvas
from napari_cyto.widgets.docks.readings.dock import ReadingsDock
from napari_cyto.widgets.docks.slides.dock import SlidesDock

pytestmark = pytest.mark.smoke


@pytest.fixture
def as_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "user"))
    keep_reader("Ana")
    return keep_reader


def add_cells(folder: Path, class_ids: tuple[str, ...], side: float) -> None:
    with Project.open(folder, reader="Lead") as project:
        slide = project.slides()[0]
        made = [
            Annotation(
                slide_id=slide.id,
                geometry=Box.around((100.0 + 90 * n, 120.0 + 60 * n), side, side),
                class_id=class_id,
                author="Lead",
                id=f"{n:032x}",
            )
            for n, class_id in enumerate(class_ids)
        ]
        project.apply(edits.add(made, "Add"), "Lead")


def press(bench: Any, *keys: str, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    canvas = native_canvas(bench.window.viewer)
    canvas.setFocus()
    for key in keys:
        bench.qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{key}"), modifier)
        bench.settle()


def test_cells_are_assigned_read_by_keys_and_finished(project_folder, as_reader, open_window_on):
    add_cells(project_folder, ("NILM", "HSIL", "LSIL", "HSIL"), 40)
    bench = open_window_on(project_folder)
    dock = bench.dock(ReadingsDock)
    bench.bring_to_front(dock)
    dock.new.set_open(True)
    dock.form.reader.setText("Ana")
    dock.form.what.setCurrentIndex(dock.form.what.findData("all"))
    dock.assign.click()
    bench.settle()
    assert [each.state for each in bench.session.readings.all()] == ["assigned"]
    bench.click(dock.begin)
    readings = bench.session.readings
    assert bench.session.project.folder == project_folder / "readings" / "r1.cyto"
    assert bench.session.slide.name == "Slide 1"
    assert bench.window.given_cell.at_yx == readings.given.current.yx
    assert dock.cell.text() == "Cell 1 of 4"
    press(bench, "1")
    assert dock.cell.text() == "Cell 2 of 4"
    press(bench, "X", "3", "Backspace", "Left")
    assert dock.cell.text() == "Cell 2 of 4: cannot say"
    press(bench, "2", "Right")
    assert dock.cell.text() == "Cell 4 of 4"
    press(bench, "Z", modifier=Qt.KeyboardModifier.ControlModifier)
    assert dock.cell.text() == "Cell 2 of 4: cannot say"
    bench.click(dock.finish)
    assert "1 of 4 cells" in bench.window.message.text()
    press(bench, "2", "1")
    assert "4 of 4" in dock.words.text()
    bench.click(dock.finish)
    assert bench.session.project.folder == project_folder
    assert not dock.mine.isVisible()
    [result] = results(project_folder, "Lead")
    assert (result.cells, result.skipped) == (4, 0)


def test_what_is_hidden_changes_no_pixel_of_canvas_and_docks(project_folder, as_reader, open_window_on, tmp_path):
    shots = []
    bare = tmp_path / "bare.cyto"
    shutil.copytree(project_folder, bare)
    for classes, side in ((("NILM", "HSIL", "LSIL"), 30), (("SCC", "NILM", "HSIL"), 70)):
        shutil.rmtree(project_folder)
        shutil.copytree(bare, project_folder)
        add_cells(project_folder, classes, side)
        assign(project_folder, Request(reader="Ana", strategy="random", count=2, seed=4), "Lead")
        bench = open_window_on(course.begin(project_folder, "r1", "Ana"))
        viewer, dock = bench.window.viewer, bench.dock(ReadingsDock)
        bench.qtbot.waitUntil(lambda b=bench: b.window.given_cell.is_shown, timeout=5000)
        bench.qtbot.wait(300)
        docks = {kind.__name__: bench.dock(kind) for kind in bench.window.docks}
        words = {name: [w.text() for w in each.findChildren(type(dock.cell))] for name, each in docks.items()}
        shots.append((viewer.screenshot(canvas_only=True, flash=False), words, bench.window.viewer.title))
        viewer.close()
        bench.settle()
    assert shots[0][1:] == shots[1][1:]
    assert np.array_equal(shots[0][0], shots[1][0])


def test_the_question_who_reads_comes_once_where_somebody_else_reads_too(
    project_folder, as_reader, open_window_on, tmp_path
):
    add_cells(project_folder, ("NILM", "HSIL"), 40)
    alone = tmp_path / "alone.cyto"
    shutil.copytree(project_folder, alone)
    assign(project_folder, Request(reader="Ben"), "Lead")
    bench = open_window_on(project_folder)
    bar, native = bench.window.reader_question, native_canvas(bench.window.viewer)
    assert bar.isVisible()
    assert native.rect().contains(bar.geometry())
    assert [bar.who.itemText(n) for n in range(bar.who.count())] == ["Ana", "Ben"]
    bar.who.setFocus()
    bench.qtbot.keyClick(bar.who, Qt.Key.Key_Down)
    bench.click(bar.choose)
    assert (bench.session.author, bar.isVisible()) == ("Ben", False)
    assert "Ben" in bench.dock(SlidesDock).reader.text()
    for folder in (alone, project_folder):
        bench.session.projects.open(folder)
        bench.settle()
        assert not bar.isVisible()
