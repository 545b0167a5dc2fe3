"""The confusion matrix as a table whose fields can be opened: truth in rows, the model's answer in columns."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableWidget, QTableWidgetItem

from napari_cyto.domain.counts import counted
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts

RIGHT, WRONG = "#0072b2", "#d55e00"
WHITE, BLACK = "#ffffff", "#000000"
ROW_PX = 26
NOTHING = "nothing"
TIP = (
    "Rows: truth. Columns: prediction. Blue: correct, orange: wrong, stronger for a larger share of the row. "
    "Click an entry, or select it with the arrow keys and press Enter, to see its cells."
)


class ConfusionGrid(QTableWidget):
    """Shows counts by truth and answer; ``chosen`` carries both class ids of the field that was opened."""

    chosen = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(TIP)
        self.setAccessibleName("confusion matrix")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setTabKeyNavigation(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setCornerButtonEnabled(False)
        font = self.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
        self.setFont(font)
        for header in (self.horizontalHeader(), self.verticalHeader()):
            header.setFont(font)
            header.setSectionsClickable(False)
            header.setMinimumSectionSize(24)
        self._classes: tuple[str, ...] = ()
        self._counts: tuple[tuple[int, ...], ...] = ()
        self.cellClicked.connect(self._open)
        self.cellActivated.connect(self._open)

    def show_counts(self, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
        """Show ``counts[truth][answer]``; an empty class id stands for "nothing there" of a detector."""
        self._classes = tuple(classes)
        self._counts = tuple(tuple(map(int, line)) for line in counts)
        self.setRowCount(len(classes))
        self.setColumnCount(len(classes))
        names = [name or NOTHING for name in classes]
        self.setVerticalHeaderLabels(names)
        self.setHorizontalHeaderLabels(names)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for row, line in enumerate(counts):
            total = sum(line)
            for column, count in enumerate(line):
                self.setItem(row, column, _field(names[row], names[column], int(count), total, row == column))
            self.setRowHeight(row, ROW_PX)
        self.setFixedHeight(len(classes) * ROW_PX + self.horizontalHeader().sizeHint().height() + 4)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Fit the theme of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange and self._counts:
            style.follow(self)
            self.show_counts(self._classes, self._counts)

    def field(self, truth: str, answer: str) -> QTableWidgetItem | None:
        """Return the item of one field."""
        return self.item(self._classes.index(truth), self._classes.index(answer))

    def _open(self, row: int, column: int) -> None:
        self.chosen.emit(self._classes[row], self._classes[column])


def shade(hue: str, share: float, theme: style.Theme) -> tuple[str, str]:
    """Return the colours of a field's ground and of its figure, where ``share`` of the row's cells are in it."""
    ground = style.blend(hue, 0.18 + 0.72 * share, theme.table)
    return ground, max((BLACK, WHITE), key=lambda words: style.contrast(words, ground))


def _field(truth: str, answer: str, count: int, total: int, right: bool) -> QTableWidgetItem:
    item = QTableWidgetItem(parts.number(count) if count else "·")
    item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
    share = count / total if total else 0.0
    if count:
        ground, words = shade(RIGHT if right else WRONG, share, style.theme())
        item.setBackground(QBrush(QColor(ground)))
        item.setForeground(QBrush(QColor(words)))
    what = "recognised" if right else f"predicted as {answer}"
    item.setToolTip(f"{counted(count, f'{truth} cell')} {what}: {share:.0%} of {parts.number(total)}.")
    return item
