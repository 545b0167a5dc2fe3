"""The table of measured cells as Qt reads it: only the rows in view are ever put into words."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QFont

from napari_cyto.domain.annotation import Status
from napari_cyto.measurements import COLUMN_OF, CellTable
from napari_cyto.widgets import style
from napari_cyto.widgets.docks.measure._cell_list import NUMBERS, Rows, number_words, order_of

FACTS = (
    ("class", "Class", "The class that the cell has now."),
    (
        "outline",
        "Outline",
        "Whether a person drew or accepted the outline. ≈ stands before what is measured on others.",
    ),
    ("flags", "Flags", "Out of focus, touching another nucleus, or cut by the border: left out of medians."),
    ("slide", "Slide", "The slide that the cell lies on."),
)
UNACCEPTED = "not accepted"
# What is read most often is seen without scrolling in a narrow dock: class, three numbers, then how certain they are.
_FOREMOST = 3
KEYS = (
    "class",
    *(c.name for c in NUMBERS[:_FOREMOST]),
    "outline",
    "flags",
    *(c.name for c in NUMBERS[_FOREMOST:]),
    "slide",
)
_FACT_OF = {key: (title, tip) for key, title, tip in FACTS}
_COLUMN = {column.name: column for column in NUMBERS}


class CellModel(QAbstractTableModel):
    """Rows of a `CellTable` in an order; a click on a header sorts."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.table: CellTable | None = None
        self.rows: Rows = np.zeros(0, np.intp)
        self.keys = KEYS
        self.sorted_by, self.is_falling = "nc_ratio", True
        self.is_blind = False
        self._colours: dict[str, QColor] = {}

    def show_rows(self, table: CellTable | None, rows: Rows, colours: dict[str, str], *, blind: bool) -> None:
        """Show some rows of a table, in the order chosen last."""
        self.beginResetModel()
        self.table, self.is_blind = table, blind
        self._colours = {name: QColor(colour) for name, colour in colours.items()}
        self.rows = rows if table is None else order_of(table, rows, self.sorted_by, falling=self.is_falling)
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; cells without that number come last."""
        self.sorted_by, self.is_falling = self.keys[column], order == Qt.SortOrder.DescendingOrder
        if self.table is None:
            return
        self.layoutAboutToBeChanged.emit()
        before, persistent = self.rows, self.persistentIndexList()
        self.rows = order_of(self.table, self.rows, self.sorted_by, falling=self.is_falling)
        if persistent:
            place = np.empty(len(self.table), np.intp)
            place[self.rows] = np.arange(len(self.rows))
            moved = [self.index(int(place[before[index.row()]]), index.column()) for index in persistent]
            self.changePersistentIndexList(persistent, moved)
        self.layoutChanged.emit()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802  Qt's name
        """Cells."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802  Qt's name
        """Facts, numbers, and the slide."""
        return 0 if parent is not None and parent.isValid() else len(self.keys)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802  Qt's name
        """Short titles with units; the tooltip has the formula."""
        if orientation != Qt.Orientation.Horizontal or role not in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.ToolTipRole,
        ):
            return None
        is_tip = role == Qt.ItemDataRole.ToolTipRole
        key = self.keys[section]
        if key in _FACT_OF:
            return _FACT_OF[key][is_tip]
        column = _COLUMN[key]
        return f"{column.title}: {column.formula}" if is_tip else column.short

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The words of one field, and how they look."""
        table = self.table
        if table is None or not index.isValid() or index.row() >= len(self.rows):
            return None
        row, key = int(self.rows[index.row()]), self.keys[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._words(table, row, key)
        if role == Qt.ItemDataRole.TextAlignmentRole and key in COLUMN_OF:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.DecorationRole and key == "class" and not self._is_hidden(table, row):
            return self._colours.get(table.class_ids[row])
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._tone(table, row)
        if role == Qt.ItemDataRole.FontRole and not table.accepted[row]:
            font = QFont()
            font.setItalic(True)
            return font
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(table, row)
        return None

    def _words(self, table: CellTable, row: int, key: str) -> str:
        certain = bool(table.accepted[row])
        if key in COLUMN_OF:
            return number_words(float(table.values[row, COLUMN_OF[key]]), certain=certain)
        if key == "class":
            return "?" if self._is_hidden(table, row) else str(table.class_ids[row])
        if key == "outline":
            return "accepted" if certain else UNACCEPTED
        if key == "flags":
            return ", ".join(table.flags_of(row))
        return str(table.slide_names[table.slide_ids[row]])

    def _is_hidden(self, table: CellTable, row: int) -> bool:
        return self.is_blind and table.statuses[row] == Status.UNREVIEWED.value

    def _tone(self, table: CellTable, row: int) -> QColor | None:
        if table.flags_of(row):
            return QColor(style.colour(style.WARN))
        return None if table.accepted[row] else QColor(style.colour(style.QUIET))

    def _tip(self, table: CellTable, row: int) -> str:
        said = [] if table.accepted[row] else ["Nobody accepted this outline: what is measured on it is uncertain."]
        flags = table.flags_of(row)
        said += [f"Left out of medians: {', '.join(flags)}."] if flags else []
        return "\n".join(said)
