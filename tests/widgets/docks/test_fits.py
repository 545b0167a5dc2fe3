"""Promise: in both themes, at 280 px and with letters up to twice their size, no control of a dock is cropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from napari._qt.qt_resources import get_stylesheet
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QCheckBox, QLabel, QTableWidget, QVBoxLayout, QWidget

from napari_cyto.widgets import style
from napari_cyto.widgets.docks.annotate.dock import AnnotateDock
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.controls import Button, Check, Choice
from napari_cyto.widgets.docks.export.dock import ExportDock
from napari_cyto.widgets.docks.measure.dock import MeasureDock
from napari_cyto.widgets.docks.models.dock import ModelsDock
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.readings.dock import ReadingsDock
from napari_cyto.widgets.docks.report.dock import ReportDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.docks.slide.dock import SlideDock
from napari_cyto.widgets.docks.slides.dock import SlidesDock
from napari_cyto.widgets.docks.train.dock import TrainDock

DOCKS = (
    *(SlidesDock, SlideDock, AnnotateDock, PredictDock, ReviewDock),
    *(ReportDock, ExportDock, TrainDock, ModelsDock, MeasureDock, ReadingsDock),
)
NARROW_PX = 280
# napari's usual size of letters, and half as large again and twice as large.
SIZES_PT = {"100 %": 9, "125 %": 11, "150 %": 14, "200 %": 18}


class Holder(QWidget):
    """What a dock lies in: the style of napari's window, without its viewer."""

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.set_size(9)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(dock)
        self.resize(NARROW_PX, 720)
        self.show()

    def set_size(self, size_pt: int) -> None:
        theme = "light" if size_pt % 2 else "dark"
        self.setStyleSheet(get_stylesheet(theme, extra_variables={"font_size": f"{size_pt}pt"}))


def faults(dock: Dock) -> Iterator[str]:
    """What of a dock is not seen whole."""
    view = dock._scroll.viewport()
    if dock._scroll.widget().width() > view.width():
        yield f"its column is {dock._scroll.widget().width()} px wide in {view.width()}"
    for widget in dock.findChildren(QWidget):
        if widget.isVisible() and widget.window() is dock.window():
            yield from (f"{type(widget).__name__} {_name(widget)!r}: {fault}" for fault in _cropped(widget, dock))


def _name(widget: QWidget) -> str:
    words = getattr(widget, "text", lambda: "")()
    return str(words or widget.accessibleName())[:60]


def _cropped(widget: QWidget, dock: Dock) -> Iterator[str]:
    left = widget.mapTo(dock, QPoint(0, 0)).x()
    if isinstance(widget, QLabel | QAbstractButton | Choice | QAbstractSpinBox) and (
        left < 0 or left + widget.width() > dock.width()
    ):
        yield f"from {left} to {left + widget.width()} of {dock.width()} px"
    if isinstance(widget, QLabel) and widget.text():
        yield from _cropped_label(widget)
    elif isinstance(widget, Button | Choice):
        if widget.is_cut and not widget.toolTip():
            yield "cut without a tooltip"
        if widget.height() < widget.fontMetrics().height():
            yield "too low"
    elif isinstance(widget, Check):
        if widget.heightForWidth(widget.width()) > widget.height():
            yield f"needs {widget.heightForWidth(widget.width())} px, has {widget.height()}"
    elif isinstance(widget, QCheckBox):
        yield "does not wrap"
    elif isinstance(widget, QAbstractSpinBox):
        if widget.fontMetrics().horizontalAdvance(widget.text()) > widget.lineEdit().width():
            yield f"{widget.text()} in {widget.lineEdit().width()} px"
    elif isinstance(widget, QTableWidget):
        columns = sum(widget.columnWidth(n) for n in range(widget.columnCount()))
        if columns > widget.viewport().width():
            yield f"columns of {columns} px in {widget.viewport().width()}"


def _cropped_label(label: QLabel) -> Iterator[str]:
    if not label.wordWrap():
        if label.sizeHint().width() > label.width() and not label.toolTip():
            yield f"needs {label.sizeHint().width()} px, has {label.width()}"
        return
    if label.heightForWidth(label.width()) > label.height():
        yield f"needs {label.heightForWidth(label.width())} px of height, has {label.height()}"
    words = label.text().replace("\u200b", " ").split()
    widest = max(label.fontMetrics().horizontalAdvance(word) for word in words)
    if widest > label.width() and not label.toolTip():
        yield f"a word of {widest} px in {label.width()}"


def open_all(dock: Dock) -> None:
    for section in dock.findChildren(Section):
        section.set_open(True)


@pytest.mark.parametrize("kind", DOCKS, ids=lambda kind: kind.title)
def test_nothing_is_cropped_in_a_narrow_dock(bench: Any, qtbot: Any, kind: type[Dock]) -> None:
    bench.mark(3)
    dock = kind(bench.session)
    holder = Holder(dock)
    qtbot.addWidget(holder)
    try:
        settle(bench)
        assert not list(faults(dock)), "before any part is unfolded"
        open_all(dock)
        for size, size_pt in SIZES_PT.items():
            holder.set_size(size_pt)
            settle(bench)
            assert not list(faults(dock)), size
            if size == "100 %":
                cut = [b.text() for b in dock.findChildren(Button) if b.isVisible() and b.is_cut]
                assert not cut, "buttons are cut at the usual size"
    finally:
        dock.let_go()


def settle(bench: Any) -> None:
    for _ in range(3):
        bench.settle()


def test_a_check_box_shows_the_colour_of_its_class(qtbot: Any) -> None:
    check = Check("HSIL")
    qtbot.addWidget(check)
    check.setIcon(style.swatch_icon("#d55e00"))
    check.resize(check.sizeHint())
    image = check.grab().toImage()
    places = ((x, y) for x in range(image.width()) for y in range(image.height()))
    assert sum(image.pixelColor(x, y).name() == "#d55e00" for x, y in places) > 50
