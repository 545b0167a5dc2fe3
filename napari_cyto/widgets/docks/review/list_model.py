"""The cells of a review as Qt's list model: rows are made when they are looked at, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QObject, Qt

from napari_cyto.domain.annotation import STATUS_NAMES, Annotation, Status
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.review.ambiguity import CellSet
from napari_cyto.review.query import label_score
from napari_cyto.session.review_progress import Review
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.cell_images import Wish


class ReviewModel(QAbstractListModel):
    """Follows a review; its order changes only when the review's does."""

    def __init__(self, review: Review, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.review = review
        self._slides: dict[str, tuple[SlideRecord, Path | None]] = {}
        review.renewed.connect(self._renew)
        review.reordered.connect(self._reorder)
        review.changed.connect(self._change)

    def let_go(self) -> None:
        """Stop following."""
        self.review.renewed.disconnect(self._renew, missing_ok=True)
        self.review.reordered.disconnect(self._reorder, missing_ok=True)
        self.review.changed.disconnect(self._change, missing_ok=True)

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008  Qt's signature
        """How many cells there are."""
        return 0 if parent.isValid() else len(self.review.cells)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What Qt asks of a row: its words; the picture is painted by the delegate."""
        if not index.isValid():
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.caption(index.row())
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.words(index.row())
        return None

    @property
    def is_blind(self) -> bool:
        """Whether what the model says is hidden."""
        return self.review.session.shown_filter.blind

    def shown_class(self, row: int) -> str:
        """Return the class that may be shown: in a blind reading, none before a person has given one."""
        cell = self.review.cells[row]
        return "?" if self.is_blind and cell.status is Status.UNREVIEWED else str(cell.class_id)

    def shown_score(self, row: int) -> str:
        """Return the score of the cell's class as a percentage, or nothing."""
        score = None if self.is_blind else label_score(self.review.cells[row])
        return "" if score is None else f"{100 * score:.0f} %"

    def shown_set(self, row: int) -> CellSet | None:
        """Return the prediction set of a cell that is ambiguous; None in a blind reading, and where no set holds."""
        cell, found = self.review.cells[row], self.review.query.ambiguity
        known = None if found is None or self.is_blind else found.of(cell)
        return known if known is not None and known.is_ambiguous else None

    def caption(self, row: int) -> str:
        """Return a cell in a line."""
        state = "deleted" if self.review.is_gone(row) else STATUS_NAMES[self.review.cells[row].status]
        return f"{self.shown_class(row)} {self.shown_score(row)} {state}".replace("  ", " ")

    def words(self, row: int) -> str:
        """Return all that may be said of a cell."""
        cell = self.review.cells[row]
        record = self._slide(cell)[0]
        y, x = cell.geometry.centre_yx
        state = "deleted since" if self.review.is_gone(row) else STATUS_NAMES[cell.status]
        name = parts.breakable(record.name) if record is not None else "slide removed"
        lines = [f"{self.shown_class(row)}, {state}. {name}, x {x:,.0f}, y {y:,.0f} px."]
        if cell.scores and not self.is_blind:
            best = sorted(cell.scores, key=lambda pair: -pair[1])
            lines.append("  ".join(f"{class_id} {100 * score:.0f} %" for class_id, score in best if score >= 0.005))
        if (ambiguous := self.shown_set(row)) is not None:
            spans = ": from normal to high grade" if ambiguous.spans else ""
            lines.append(f"Ambiguous, cannot be excluded: {ambiguous.words}{spans}.")
        measured = self.review.query.measured
        lines += [] if measured is None or not measured.words(cell.id) else [measured.words(cell.id)]
        return "\n".join(lines)

    def begins_slide(self, row: int) -> str:
        """Return the slide's name where the list, kept together by slide, comes to another one."""
        cells, query = self.review.cells, self.review.query
        together = query.by_slide or query.sort == "place"
        if not together or (row and cells[row - 1].slide_id == cells[row].slide_id):
            return ""
        record = self._slide(cells[row])[0]
        return record.name if record is not None else ""

    def wish(self, row: int, side_px: int) -> Wish | None:
        """Return which picture shows the cell; None when its slide has no pixels at hand."""
        cell = self.review.cells[row]
        record, path = self._slide(cell)
        if record is None or path is None:
            return None
        return Wish((cell.id, cell.geometry.centre_yx), path, record.mpp, side_px)

    def forget_slides(self) -> None:
        """Ask the project anew where its slides lie."""
        self._slides.clear()

    def forget_changed_slide(self) -> None:
        """Ask the project anew for the slide on screen if it is not as it was, as when its scale was told."""
        slide = self.review.session.slide
        if slide is not None and slide.id in self._slides and self._slides[slide.id][0] != slide:
            del self._slides[slide.id]

    def _slide(self, cell: Annotation) -> tuple[SlideRecord | None, Path | None]:
        project = self.review.session.project
        if cell.slide_id not in self._slides and project is not None:
            try:
                record = project.slide(cell.slide_id)
            except CytoError:
                return None, None
            try:
                path = project.slide_path(record) if record.path else None
            except CytoError:
                path = None
            self._slides[cell.slide_id] = (record, path)
        return self._slides.get(cell.slide_id, (None, None))

    def _renew(self) -> None:
        self.beginResetModel()
        self._slides.clear()
        self.endResetModel()

    def _reorder(self) -> None:
        # As many rows as before, all of one size: nothing to lay out anew.
        self.dataChanged.emit(self.index(0), self.index(self.rowCount() - 1))

    def _change(self, rows: Sequence[int]) -> None:
        if len(rows) == 1:
            self.dataChanged.emit(self.index(rows[0]), self.index(rows[0]))
        elif rows:
            self.dataChanged.emit(self.index(min(rows)), self.index(max(rows)))
