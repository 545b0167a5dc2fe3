"""Lists the backups of a project, to go back to one, or to take one now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cyto.errors import CytoError
from napari_cyto.store.recovery import maintenance as care
from napari_cyto.store.recovery.backups import Backup
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts

COLUMNS = ("Created", "Reason", "Slides", "Annotations", "Size")
WHY = "The current state is backed up first, so this can be undone."
NONE = (
    "No backup yet. Backups are made when a project is opened after a day, every 15 minutes of work, and "
    "before bulk edits."
)


class BackupsDialog(QDialog):
    """``chosen`` is the backup to go back to, once the dialog was accepted.

    Parameters
    ----------
    folder : Path
        The project's.
    parent : QWidget, optional
        Over which it is shown.
    """

    def __init__(self, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Restore a backup")
        self._folder = folder
        self._backups: Sequence[Backup] = ()
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.verticalHeader().hide()
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.table.setAccessibleName("backups")
        self.status = parts.text("", colour=style.QUIET)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.restore = QPushButton("Restore backup")
        self.now = QPushButton("Back up now")
        buttons.addButton(self.restore, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(self.now, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        # Enter means what the dialog is for, wherever the focus is.
        self.restore.setDefault(True)
        self.table.activated.connect(self.accept)
        self.now.setAutoDefault(False)
        self.now.clicked.connect(self._take)
        self.table.itemSelectionChanged.connect(self._enable)
        layout = QVBoxLayout(self)
        layout.addWidget(parts.text(parts.breakable(folder.name), bold=True))
        layout.addWidget(parts.text(f"Backups are in {parts.breakable(str(folder / 'backups'))}", colour=style.QUIET))
        layout.addWidget(self.table)
        layout.addWidget(parts.text(WHY, colour=style.QUIET))
        layout.addWidget(self.status)
        layout.addWidget(buttons)
        self.resize(620, 420)
        self._show()

    @property
    def chosen(self) -> Backup | None:
        """The backup in the row that is selected."""
        rows = self.table.selectionModel().selectedRows()
        return self._backups[rows[0].row()] if rows else None

    def _show(self) -> None:
        self._backups = _or_none(lambda: care.backups(self._folder))
        self.status.setText("" if self._backups else NONE)
        self.table.setRowCount(len(self._backups))
        for row, backup in enumerate(self._backups):
            held = care.contents(backup)
            numbers = ("?", "?") if held is None else (f"{held.slides:,}", f"{held.annotations:,}")
            size = f"{backup.size_bytes / 2**20:,.1f} MB"
            taken = f"{backup.taken_utc.astimezone():%d %b %Y %H:%M:%S}"
            for column, words in enumerate((taken, _why(backup.reason), *numbers, size)):
                item = QTableWidgetItem(words)
                if column > 1:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, item)
        for column in (0, 2, 3, 4):
            self.table.resizeColumnToContents(column)
        if self._backups:
            self.table.selectRow(0)
        self._enable()

    def _enable(self) -> None:
        self.restore.setEnabled(self.chosen is not None)

    def _take(self) -> None:
        try:
            care.backup(self._folder)
        except CytoError as error:
            self.status.setText(str(error))
            return
        self._show()


def _or_none(ask: Callable[[], list[Backup]]) -> list[Backup]:
    try:
        return ask()
    except CytoError:
        return []


def _why(reason: str) -> str:
    known = {"asked": "On request", "rhythm": "During work", "opening": "On opening"}
    known |= {"before-restore": "Before a restore", "damaged": "Damaged original"}
    return known.get(reason, reason.replace("-", " ").capitalize())
