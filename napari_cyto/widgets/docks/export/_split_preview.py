"""What an export is going to write: classes and smears by set, what is lost, and the audit's verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cyto.datasets.audit.report import Finding
from napari_cyto.datasets.export.preview import ExportPreview
from napari_cyto.domain.counts import counted
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts

SET_WORDS = {"train": "Training", "val": "Validation", "validation": "Validation", "test": "Test"}
# More rows than this are counted, not listed: the export's own report has them all.
ROWS_AT_MOST = 100
TABLE_HEIGHT_PX = 170


class SplitPreview(QWidget):
    """Shows the values of one preview; empty until there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.summary = parts.text(selectable=True)
        self.classes = table("Annotations of each class in the training, validation and test set")
        self.smears = table("Smears or patients in each set; none is in two")
        self.losses = parts.text(colour=style.WARN, selectable=True)
        self.findings = table("Findings of the check, row by row")
        self._smears_head = parts.text("Smears in each set", bold=True)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.summary, self.findings, self.classes, self._smears_head, self.smears, self.losses):
            layout.addWidget(widget)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        for widget in (self.summary, self.findings, self.classes, self._smears_head, self.smears, self.losses):
            widget.hide()

    def show_preview(self, result: ExportPreview) -> None:
        """Show the result of ``datasets.preview_job``."""
        self.clear()
        ok = result.ok
        words = result.summary if ok else result.problem
        self.summary.setText(("✓ " if ok else "✗ ") + " ".join(filter(None, (words, size_words(result)))))
        style.tint(self.summary, style.GOOD if ok else style.BAD)
        self.summary.show()
        self._show_findings(result.findings)
        tables = result.split or {}
        self._show_classes(tables.get("classes", ()))
        self._show_smears(tables.get("smears", {}))
        losses = list(result.losses)
        self.losses.setText("\n".join(losses))
        self.losses.setVisible(bool(losses))

    def _show_findings(self, findings: Sequence[Finding]) -> None:
        rows = [[words] for words in finding_rows(findings)]
        fill(self.findings, ["Findings"], rows)
        self.findings.setVisible(bool(rows))

    def _show_classes(self, rows: Sequence[Mapping[str, Any]]) -> None:
        names = [name for name in rows[0] if f"{name}_share" in rows[0]] if rows else []
        cells = [
            [str(row["class"]), *(f"{parts.number(row[name])} ({row[f'{name}_share']:.0%})" for name in names)]
            for row in rows
        ]
        fill(self.classes, ["Class", *(SET_WORDS.get(name, name) for name in names)], cells)
        self.classes.setVisible(bool(cells))

    def _show_smears(self, smears: Mapping[str, Sequence[str]]) -> None:
        if not any(smears.values()):
            return
        listed = ", ".join(f"{len(groups)} in the {SET_WORDS.get(n, n).lower()} set" for n, groups in smears.items())
        self._smears_head.setText(f"Smears: {listed}")
        longest = min(max(map(len, smears.values())), ROWS_AT_MOST)
        cells = [[of[i] if i < len(of) else "" for of in smears.values()] for i in range(longest)]
        fill(self.smears, [SET_WORDS.get(name, name) for name in smears], cells)
        self._smears_head.show()
        self.smears.show()


def size_words(result: ExportPreview) -> str:
    """Return how much will be written, in words."""
    cells, slices = sum((result.cells or {}).values()), sum((result.slices or {}).values())
    if not cells:
        return ""
    pieces = counted(slices, result.piece)
    disk = f", about {result.estimated_bytes / 1e6:,.0f} MB" if result.estimated_bytes else ""
    return f"{counted(cells, 'annotation')} {'on' if result.piece == 'image' else 'in'} {pieces}{disk}."


def finding_rows(findings: Sequence[Finding]) -> list[str]:
    """Return findings as sentences, each followed by its rows as ``name: value`` pairs."""
    lines: list[str] = []
    for finding in findings:
        lines.append(finding.detail)
        rows = finding.rows[:ROWS_AT_MOST]
        lines += ["    " + ", ".join(f"{name} {value}" for name, value in row.items()) for row in rows]
    return lines[: 2 * ROWS_AT_MOST]


class ReadTable(QTableWidget):
    """A table for reading that is as high as its wrapped words need, within bounds."""

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's name
        """Wrap anew at another width."""
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Take the height that the rows need."""
        self.resizeRowsToContents()
        head = self.horizontalHeader().sizeHint().height()
        body = sum(self.rowHeight(i) for i in range(self.rowCount()))
        self.setFixedHeight(min(TABLE_HEIGHT_PX, head + body + 4))


def table(tip: str) -> ReadTable:
    """Return an empty table for reading, in the tab order."""
    made = ReadTable()
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    made.setTabKeyNavigation(False)
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    made.verticalHeader().hide()
    made.setWordWrap(True)
    made.setTextElideMode(Qt.TextElideMode.ElideNone)
    made.setShowGrid(False)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made


def fill(target: ReadTable, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Put words into a table and make it as high as they need, within bounds."""
    target.setColumnCount(len(headings))
    target.setHorizontalHeaderLabels(list(headings))
    target.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    target.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    target.setRowCount(len(rows))
    for i, row in enumerate(rows):
        for j, words in enumerate(row):
            item = QTableWidgetItem(parts.breakable(words))
            item.setToolTip(words)
            target.setItem(i, j, item)
    target.fit()
