"""A table of few words that is as high as they need: figures with their intervals, facts of a model."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent, QWheelEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableWidget, QTableWidgetItem

from napari_cyto.widgets.docks import parts

# What the widest column keeps before all share the width.
LEAST_LETTERS = 12


class FactTable(QTableWidget):
    """Shows rows of words, all of them: the dock scrolls, never the table.

    Parameters
    ----------
    tip : str
        What the table is of.
    wide : int
        The column that gets what the others leave.
    """

    def __init__(self, tip: str, wide: int = 0) -> None:
        super().__init__()
        self._wide = wide
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setTabKeyNavigation(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(18)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.setShowGrid(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_rows(self, rows: Sequence[Sequence[str]], headings: Sequence[str] = ()) -> None:
        """Show ``rows`` under ``headings``; a row with a name alone is a heading within."""
        self.setColumnCount(len(rows[0]) if rows else len(headings))
        self.horizontalHeader().setVisible(bool(headings))
        if headings:
            self.setHorizontalHeaderLabels(list(headings))
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        self.horizontalHeader().setDefaultAlignment(left | Qt.AlignmentFlag(int(Qt.TextFlag.TextWordWrap)))
        self.horizontalHeader().setMinimumSectionSize(18)
        self.clearSpans()
        self.setRowCount(len(rows))
        for i, row in enumerate(rows):
            if len(row) > 1 and not any(row[1:]):
                self.setSpan(i, 0, 1, len(row))
            for j, words in enumerate(row):
                item = QTableWidgetItem(parts.breakable(words) if " " not in words.strip() else words)
                item.setToolTip(words)
                if not any(row[1:]):
                    font = item.font()
                    font.setBold(True)
                    item.setFont(font)
                self.setItem(i, j, item)
        self.fit()

    def fit(self) -> None:
        """Take the height that the rows need, in columns that share the width where it holds not all their words."""
        mode = QHeaderView.ResizeMode
        others = sum(self._column_px(column) for column in range(self.columnCount()) if column != self._wide)
        least = self.fontMetrics().averageCharWidth() * LEAST_LETTERS
        shared = others + least > self.viewport().width()
        for column in range(self.columnCount()):
            stretched = shared or column == self._wide
            self.horizontalHeader().setSectionResizeMode(column, mode.Stretch if stretched else mode.ResizeToContents)
        self.resizeRowsToContents()
        head = self.horizontalHeader()
        top = head.sizeHint().height() if not head.isHidden() else 0
        self.setFixedHeight(top + sum(self.rowHeight(i) for i in range(self.rowCount())) + 4)

    def _column_px(self, column: int) -> int:
        return int(max(self.sizeHintForColumn(column), self.horizontalHeader().sectionSizeHint(column)))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's name
        """Wrap anew at another width."""
        super().resizeEvent(event)
        self.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's name
        """Leave the wheel to the dock."""
        event.ignore()
