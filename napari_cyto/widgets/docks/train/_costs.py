"""What it costs to take one class for another: a table that the user may fill, else the distance of severities."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from napari_cyto.domain.classes import CellClass
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts

ROW_PX = 24
TIP = (
    "Cost of each mistake: truth in rows, prediction in columns, 0 for the correct class. Type a number to "
    "change it; HSIL predicted as NILM should cost more than HSIL predicted as ASC-H."
)


class TrainCosts(QWidget):
    """Shows a cost for each pair of classes; ``matrix`` is empty while nobody has changed one."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.table = QTableWidget()
        self.table.setToolTip(TIP)
        self.table.setAccessibleName("costs of mistakes")
        self.table.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.table.setTabKeyNavigation(False)
        self.table.setCornerButtonEnabled(False)
        font = self.table.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
        for part in (self.table, self.table.horizontalHeader(), self.table.verticalHeader()):
            part.setFont(font)
        self.words = parts.text("Cost of each mistake: truth in rows, prediction in columns", colour=style.QUIET)
        self._classes: tuple[str, ...] = ()
        self._usual: tuple[tuple[float, ...], ...] = ()
        self._graded = True
        self.table.itemChanged.connect(self._edited)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(self.words)
        layout.addWidget(self.table)

    def show_classes(self, classes: Sequence[CellClass]) -> None:
        """Show the usual costs of ``classes``; what the user typed stays while the classes do."""
        ids = tuple(c.id for c in classes)
        if ids == self._classes:
            return
        self._classes, self._usual = ids, usual_costs(classes)
        # A run knows the usual costs by itself only where each class has its grade.
        self._graded = all(c.severity is not None for c in classes)
        self.table.blockSignals(True)
        self.table.setRowCount(len(ids))
        self.table.setColumnCount(len(ids))
        self.table.setHorizontalHeaderLabels(list(ids))
        self.table.setVerticalHeaderLabels(list(ids))
        self.table.horizontalHeader().setMinimumSectionSize(24)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for row, costs in enumerate(self._usual):
            self.table.setRowHeight(row, ROW_PX)
            for column, cost in enumerate(costs):
                self.table.setItem(row, column, QTableWidgetItem(f"{cost:g}"))
        self.table.setFixedHeight(len(ids) * ROW_PX + self.table.horizontalHeader().sizeHint().height() + 4)
        self.table.blockSignals(False)

    def matrix(self) -> tuple[tuple[float, ...], ...]:
        """Return the costs, truth by answer; empty where they are the usual ones."""
        size = range(len(self._classes))
        typed = tuple(tuple(_number(self.table.item(r, c).text()) or 0.0 for c in size) for r in size)
        return () if typed == self._usual and self._graded else typed

    def _edited(self, item: QTableWidgetItem) -> None:
        if _number(item.text()) is None:
            self.table.blockSignals(True)
            item.setText(f"{self._usual[item.row()][item.column()]:g}")
            self.table.blockSignals(False)
        self.changed.emit()


def usual_costs(classes: Sequence[CellClass]) -> tuple[tuple[float, ...], ...]:
    """Return the distance of severities; what has none is as far as the farthest."""
    known = [c.severity for c in classes if c.severity is not None]
    farthest = float(max(known, default=1) - min(known, default=0))

    def cost(a: CellClass, b: CellClass) -> float:
        if a.id == b.id:
            return 0.0
        return farthest if a.severity is None or b.severity is None else float(abs(a.severity - b.severity))

    return tuple(tuple(cost(a, b) for b in classes) for a in classes)


def _number(words: str) -> float | None:
    try:
        value = float(words.replace(",", "."))
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None
