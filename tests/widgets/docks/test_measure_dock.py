"""Promise: outlines become numbers in a table, a histogram and a scatter; a filter or a lasso finds cells, and nothing
that rests on an outline nobody accepted looks certain."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mouse_moves import send_move
from outlined_project import outlined_project
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog

from napari_cyto.domain.annotation import Status
from napari_cyto.jobs.events import Done
from napari_cyto.measurements import MeasureOptions, measure
from napari_cyto.widgets import style
from napari_cyto.widgets.canvas._annotation_style import UNCERTAIN_ALPHA, cell_points, palette, tints_of
from napari_cyto.widgets.canvas._tint_legend import legend_of
from napari_cyto.widgets.docks.measure.dock import MeasureDock
from napari_cyto.widgets.docks.review.dock import ReviewDock

pytestmark = pytest.mark.smoke


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = outlined_project(tmp_path_factory.mktemp("outlined"))
    assert isinstance(list(measure(folder, MeasureOptions()))[-1], Done)
    return folder


@pytest.fixture
def measured(empty_bench: Any, measured_once: Path, tmp_path: Path) -> tuple[Any, MeasureDock]:
    """The dock on a project of 23 measured cells, one of them an LSIL with an outline nobody accepted."""
    folder = Path(shutil.copytree(measured_once, tmp_path / measured_once.name))
    empty_bench.session.projects.open(folder)
    dock = empty_bench.dock(MeasureDock)
    empty_bench.qtbot.waitUntil(lambda: dock.table is not None, timeout=5000)
    empty_bench.settle()
    return empty_bench, dock


def cells_of(dock: MeasureDock) -> list[list[str]]:
    model = dock.model
    return [
        [str(model.data(model.index(row, column))) for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def header(dock: MeasureDock, words: str) -> int:
    model = dock.model
    names = [model.headerData(n, Qt.Orientation.Horizontal) for n in range(model.columnCount())]
    return names.index(words)


def click_header(bench: Any, dock: MeasureDock, words: str) -> None:
    bar = dock.view.horizontalHeader()
    dock.view.scrollTo(dock.model.index(0, header(dock, words)))
    bench.settle()
    at = QPoint(bar.sectionViewportPosition(header(dock, words)) + 12, bar.height() // 2)
    bench.qtbot.mouseClick(bar.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    bench.settle()


def type_bounds(bench: Any, dock: MeasureDock, low: str, high: str = "") -> None:
    for line, words in ((dock.low, low), (dock.high, high)):
        line.clear()
        bench.qtbot.keyClicks(line, words)
        bench.qtbot.keyClick(line, Qt.Key.Key_Return)
    bench.settle()


def test_the_table_sorts_filters_and_goes_to_the_cell(measured: tuple[Any, MeasureDock]) -> None:
    bench, dock = measured
    assert dock.words.text() == "23 measured cells"
    assert "1 outlined" not in dock.hint.text()
    assert "The µm per px of b are unknown" in dock.hint.text(), "no scale, no µm"
    area = header(dock, "Nucleus µm²")
    first = cells_of(dock)[0]
    assert first[header(dock, "Class")] == "LSIL", "the only cell with a N:C ratio comes first"
    assert first[header(dock, "Outline")] == "not accepted"
    assert first[area].startswith("≈ 11"), "about 113 µm², by an outline that nobody accepted"
    assert all(not row[area].startswith("≈") for row in cells_of(dock)[1:])
    click_header(bench, dock, "Nucleus µm²")
    areas = [float(row[area].removeprefix("≈ ")) for row in cells_of(dock)]
    assert areas == sorted(areas)
    click_header(bench, dock, "Nucleus µm²")
    assert [float(row[area].removeprefix("≈ ")) for row in cells_of(dock)] == sorted(areas, reverse=True)
    dock.by.setCurrentIndex(dock.by.findData("nucleus_area_um2"))
    type_bounds(bench, dock, "50", "200")
    assert dock.words.text() == "1 of 23 measured cells"
    assert "1 outline not accepted" in dock.medians.text()
    at = dock.view.visualRect(dock.model.index(0, area)).center()
    bench.qtbot.mouseClick(dock.view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    bench.settle()
    (cell,) = bench.session.selection
    assert bench.session.project.annotation(cell).class_id == "LSIL"
    assert bench.session.slide.id == bench.session.project.annotation(cell).slide_id
    review = bench.dock(ReviewDock)
    bench.click(dock.review)
    assert [c.class_id for c in review.review.cells] == ["LSIL"]
    assert "Nucleus µm² from 50 to 200; 1 outline not accepted" in review.list_words.text()
    assert "Nucleus µm² ≈ 11" in review.words.text()
    type_bounds(bench, dock, "x")
    assert dock.words.text().startswith("23 measured cells"), "what is no number is no bound"
    assert dock.low.property(style.TONE) == style.BAD
    type_bounds(bench, dock, "5")
    assert dock.low.property(style.TONE) == ""


def test_flagged_nuclei_count_in_medians_only_on_request(measured: tuple[Any, MeasureDock]) -> None:
    bench, dock = measured
    table = dock.table
    assert "nucleus 28" in dock.medians.text()
    table.out_of_focus[:5] = True
    dock._show_words()
    assert "Median of 18 cells (5 flagged left out" in dock.medians.text()
    bench.click(dock.with_flagged)
    assert "Median of 23 cells (1 outline not" in dock.medians.text()
    assert "Median nucleus of NILM: 28 µm², of 22 nuclei of NILM." in dock.reference.text()


def test_a_lasso_in_the_scatter_and_a_drag_in_the_histogram_choose_cells(measured: tuple[Any, MeasureDock]) -> None:
    bench, dock = measured
    review = bench.dock(ReviewDock)
    dock.y.setCurrentIndex(dock.y.findData("nucleus_od_mean"))
    bench.click(dock.views.buttons[2])
    bench.settle()
    scatter = dock.scatter
    large = np.flatnonzero(dock.table.column("nucleus_area_um2") < 50)
    xy = scatter.screen_xy(large)
    (left, top), (right, low) = xy.min(0) - 12, xy.max(0) + 12
    corners = [QPoint(int(x), int(y)) for x, y in ((left, top), (right, top), (right, low), (left, low))]
    bench.qtbot.mousePress(scatter, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corners[0])
    for corner in corners[1:]:
        send_move(scatter, corner, Qt.MouseButton.LeftButton)
    bench.qtbot.mouseRelease(scatter, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corners[-1])
    bench.settle()
    assert len(dock.ids) == 22
    assert bench.session.selection == set(dock.ids) == {c.id for c in review.review.cells}
    x, y = scatter.value_at(*scatter.screen_xy(large[:1])[0])
    assert x == pytest.approx(dock.table.column("nucleus_area_um2")[large[0]], rel=1e-3)
    assert y == pytest.approx(dock.table.column("nucleus_od_mean")[large[0]], rel=1e-3)
    bench.qtbot.keyClick(scatter, Qt.Key.Key_X)
    bench.settle()
    statuses = {a.status for a in bench.session.project.annotations_by_id(dock.ids)}
    assert statuses == {Status.REJECTED}
    bench.qtbot.keyClick(scatter, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    bench.click(dock.views.buttons[1])
    dock.by.setCurrentIndex(dock.by.findData("nucleus_area_um2"))
    bench.settle()
    dock.histogram.span.setRegion((60, dock.histogram.ends[1]))
    bench.settle()
    assert (dock.low.text(), dock.high.text()) == ("60", "")
    assert dock.words.text().startswith("1 of 23 measured cells")


def test_cells_on_the_slide_take_the_colour_of_a_measurement(measured: tuple[Any, MeasureDock]) -> None:
    bench, dock = measured
    session = bench.session
    dock.tint.setCurrentIndex(dock.tint.findData("nucleus_area_um2"))
    bench.settle()
    tint = session.view.tint
    cells = [a for a in session.project.annotations() if not a.is_region]
    points = cell_points(cells, palette(session.project.scheme), tints_of(cells, tint))
    drawn = {a.id: tuple(rgba) for a, rgba in zip(cells, points.face_rgba.tolist(), strict=True)}
    lsil = next(a for a in cells if a.class_id == "LSIL")
    bare = next(a for a in cells if a.id not in dock.table.row_of)
    assert drawn[lsil.id][:3] == pytest.approx((0xFD / 255, 0xE7 / 255, 0x25 / 255), abs=0.01), "the largest"
    assert drawn[lsil.id][3] < UNCERTAIN_ALPHA, "an outline nobody accepted stands back"
    assert drawn[bare.id][:3] == pytest.approx((0x94 / 255, 0x9D / 255, 0xAA / 255), abs=0.01), "not measured: grey"
    assert "Nucleus, area, µm²" in legend_of(tint)
    assert "paler: outline not accepted" in legend_of(tint)
    dock.tint.setCurrentIndex(0)
    assert session.view.tint is None


def test_the_table_is_saved_in_its_order_with_units_in_the_header(
    measured: tuple[Any, MeasureDock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, dock = measured
    target = tmp_path / "cells.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), "CSV (*.csv)"))
    bench.click(dock.save)
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 23
    assert (rows[0]["class"], rows[0]["outline_accepted"]) == ("LSIL", "no")
    assert float(rows[0]["nucleus_area_um2"]) == pytest.approx(113, rel=0.02)


def test_what_changes_on_the_slide_changes_in_the_table(measured: tuple[Any, MeasureDock]) -> None:
    bench, dock = measured
    session = bench.session
    (cell,) = (a for a in session.project.annotations() if a.class_id == "LSIL")
    session.edits.choose_class("HSIL", of=[cell.id])
    bench.qtbot.waitUntil(lambda: cells_of(dock)[0][0] == "HSIL", timeout=5000)
    session.history.undo()
    bench.qtbot.waitUntil(lambda: cells_of(dock)[0][0] == "LSIL", timeout=5000)


def test_the_gallery_filters_by_a_measurement_and_says_how_certain_it_is(measured: tuple[Any, MeasureDock]) -> None:
    bench, _ = measured
    review = bench.dock(ReviewDock)
    filters = review.filters
    filters.status.setCurrentIndex(filters.status.findText("All cells"))
    filters.controls.setValue(0)
    filters.measurement.setCurrentIndex(filters.measurement.findData("nc_ratio"))
    filters.least.setFocus()
    bench.qtbot.keyClicks(filters.least, "0,2")
    bench.qtbot.keyClick(filters.least, Qt.Key.Key_Return)
    bench.settle()
    assert [cell.class_id for cell in review.review.cells] == ["LSIL"]
    assert "N:C ≈ 0.249 (outline not accepted)" in review.words.text()
    assert "cells without that measurement" in review.hint.text()
