"""The cells of the Teach dock as a list: what the head says of those that wait, and why one is suggested."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QObject

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.taught import not_classes
from napari_cyto.session.review_progress import Review
from napari_cyto.widgets.docks.review.list_model import ReviewModel


class TaughtModel(ReviewModel):
    """A review's cells with the likeness to the class that is taught in place of a model's score."""

    def __init__(self, review: Review, parent: QObject | None = None) -> None:
        super().__init__(review, parent)
        self.reasons: Mapping[str, str] = {}
        self.is_probability = False

    @property
    def taught(self) -> str:
        """The class that is taught."""
        return self.review.session.teaching.class_id

    def shown_class(self, row: int) -> str:
        """Return what a person said of the cell; of one that waits, the class in question."""
        cell = self.review.cells[row]
        if cell.status is not Status.UNREVIEWED:
            return super().shown_class(row)
        taught = self.taught
        return f"not {taught}" if self.is_excluded(row) else f"{taught}?" if taught else "?"

    def is_excluded(self, row: int) -> bool:
        """Whether a person said of a cell that it is not of the class that is taught."""
        return bool(self.taught) and self.taught in not_classes(self.review.cells[row].note)

    def shown_score(self, row: int) -> str:
        """Return how probable the class that is taught is, as a percentage; nothing for mere likeness."""
        cell = self.review.cells[row]
        share = self._share(cell)
        return "" if self.is_blind or share is None or cell.status is not Status.UNREVIEWED else f"{100 * share:.0f} %"

    def words(self, row: int) -> str:
        """Return all that may be said of a cell, with the reason why it is suggested."""
        cell = self.review.cells[row]
        said = super().words(row)
        reason = "" if self.is_blind else self.reasons.get(cell.id, "")
        return f"{reason[:1].upper()}{reason[1:]}.\n{said}" if reason else said

    def _share(self, cell: Annotation) -> float | None:
        likeness = self.review.session.teaching.likeness
        if likeness is None or not self.is_probability:
            return None
        row = likeness.rows.get(cell.id)
        return None if row is None else float(likeness.values[row])
