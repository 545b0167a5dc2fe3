"""Promise: cells that the model should not decide alone are found, shown with their classes, and red across grades."""

from __future__ import annotations

from typing import Any

import pytest
from made_sets import CLASSES, LOOK, OTHER_SCANNER, made_sets
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point
from napari_cyto.store.kept_sets import keep_looks, keep_sets
from napari_cyto.widgets import style
from napari_cyto.widgets.docks.readings.dock import ReadingsDock
from napari_cyto.widgets.docks.review._delegate import CAPTION_PX, MARGIN_PX
from napari_cyto.widgets.docks.review.dock import ReviewDock

ORIGIN = "model:made@" + "0" * 64
SHARES = (
    (0.02, 0.02, 0.02, 0.02, 0.9, 0.02),  # HSIL alone, the riskiest
    (0.6, 0.0, 0.0, 0.1, 0.2, 0.1),  # NILM, HSIL
    (0.5, 0.45, 0.05, 0.0, 0.0, 0.0),  # NILM, ASC-US
    (0.95, 0.05, 0.0, 0.0, 0.0, 0.0),  # NILM alone
)


@pytest.fixture
def cells(bench: Any) -> list[Annotation]:
    project = bench.session.project
    slide = project.slides()[0].id
    made = [
        Annotation(
            slide_id=slide,
            geometry=Point(200.0 + 60 * n, 250.0),
            class_id="NILM",
            status=Status.UNREVIEWED,
            author="made",
            origin=ORIGIN,
            scores=tuple(zip(CLASSES, shares, strict=True)),
        )
        for n, shares in enumerate(SHARES)
    ]
    project.apply(edits.add(made, "Run detection"), "made")
    keep_sets(project, ORIGIN, made_sets(), is_local=False)
    keep_looks(project, {slide: LOOK})
    return made


def opened(bench: Any) -> ReviewDock:
    dock = bench.dock(ReviewDock)
    dock.filters.controls.setValue(0)
    dock.refresh()
    bench.settle()
    return dock


def choose(bench: Any, combo: Any, words: str) -> None:
    """Go down with the arrow key until the choice is reached, as one does without a mouse."""
    combo.setFocus()
    bench.qtbot.keyClick(combo, Qt.Key.Key_Home)
    while combo.currentText() != words:
        before = combo.currentIndex()
        bench.qtbot.keyClick(combo, Qt.Key.Key_Down)
        assert combo.currentIndex() == before + 1, f"no {words} in the list"
    bench.settle()


def listed(dock: ReviewDock, cells: list[Annotation]) -> list[int]:
    places = {cell.id: n for n, cell in enumerate(cells)}
    return [places[cell.id] for cell in dock.review.cells]


def foot_colour(dock: ReviewDock, row: int) -> QColor:
    """Return the colour at the left of the foot of a cell's image, where the set is written."""
    place = dock.gallery.visualRect(dock.model.index(row))
    at = place.topLeft() + QPoint(MARGIN_PX + 1, MARGIN_PX + dock.gallery.side_px - CAPTION_PX // 2)
    return dock.gallery.viewport().grab().toImage().pixelColor(at)


def test_ambiguous_cells_as_order_and_filter_and_red_across_grades(bench: Any, cells: list[Annotation]) -> None:
    dock = opened(bench)
    assert listed(dock, cells)[0] == 0
    choose(bench, dock.filters.sort, "Ambiguous first (prediction sets)")
    assert listed(dock, cells) == [1, 2, 0, 3]
    said = dock.by_class.text().replace("\u00a0", " ")
    assert "2 of 4 ambiguous, 1 from normal to high grade" in said
    assert not dock.hint.isVisible()
    assert "cannot be excluded: NILM, HSIL: from normal to high grade." in dock.model.words(0)
    assert "cannot be excluded: NILM, ASC-US." in dock.model.words(1)
    assert "cannot be excluded" not in dock.model.words(2)
    red = QColor(style.DARK.bad)
    assert foot_colour(dock, 0) == red
    assert red not in (foot_colour(dock, 1), foot_colour(dock, 2))

    choose(bench, dock.filters.status, "Ambiguous")
    assert listed(dock, cells) == [1, 2]
    bench.click(dock.blind)
    assert "cannot be excluded" not in dock.model.words(0)
    assert "ambiguous" not in dock.by_class.text()
    assert foot_colour(dock, 0) != red
    bench.click(dock.blind)
    # One key decides it, as for any cell; then it is no longer among them.
    dock.gallery.setFocus()
    bench.qtbot.keyClick(dock.gallery, Qt.Key.Key_5)
    bench.settle()
    assert bench.session.project.annotation(cells[1].id).class_id == "HSIL"
    bench.qtbot.keyClick(dock.gallery, Qt.Key.Key_F5)
    bench.settle()
    assert listed(dock, cells) == [2]


def test_sets_that_are_void_say_why_and_are_not_used(bench: Any, cells: list[Annotation]) -> None:
    keep_looks(bench.session.project, {bench.session.project.slides()[0].id: OTHER_SCANNER})
    dock = opened(bench)
    assert "The scanner (mirax 40x) was not calibrated" in dock.hint.text()
    assert "4 cells without a set" in dock.hint.text()
    assert "ambiguous" not in dock.by_class.text()
    assert all("cannot be excluded" not in dock.model.words(row) for row in range(4))
    choose(bench, dock.filters.status, "Ambiguous")
    assert listed(dock, cells) == []


def test_they_are_given_to_a_second_reader(bench: Any, cells: list[Annotation]) -> None:
    dock = bench.dock(ReadingsDock)
    dock.form.reader.setText("Ana")
    choose(bench, dock.form.what, "Cells whose class is ambiguous")
    assert dock.form.count.isEnabled()
    bench.qtbot.mouseClick(dock.assign, Qt.MouseButton.LeftButton)
    bench.settle()
    (made,) = bench.session.readings.all()
    assert (made.reader, made.cells) == ("Ana", 2)
