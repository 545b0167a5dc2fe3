"""What is known of the cells of a map or a list, in columns: class, status, score, the model's class and the reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.decision_rule import NO_COSTS, Costs, called_class
from napari_cyto.domain.edits import Change
from napari_cyto.store import Project


@dataclass(slots=True)
class CellFacts:
    """Columns with a row for each cell, kept up to date edit by edit.

    Parameters
    ----------
    row_of : dict of str to int
        Where each cell stands.
    classes, statuses, model_classes, readers : ndarray of object, (n,)
        Class id; status (empty for a cell that is gone); what a model called it (empty for none); who reviewed or drew
        it (empty while unreviewed).
    scores : ndarray, float32 (n,)
        The model's highest score of a class, 0 to 1; NaN without scores.
    places_yx : ndarray, float64 (n, 2)
        Where the cells lie, level-0 px.
    """

    row_of: dict[str, int]
    classes: npt.NDArray[np.object_]
    statuses: npt.NDArray[np.object_]
    model_classes: npt.NDArray[np.object_]
    readers: npt.NDArray[np.object_]
    scores: npt.NDArray[np.float32]
    places_yx: npt.NDArray[np.float64]
    costs: Mapping[str, Costs]

    def follow(self, changes: Iterable[Change]) -> npt.NDArray[np.intp]:
        """Take in an edit; return the rows that it changed."""
        rows = []
        for change in changes:
            row = self.row_of.get(change.annotation_id)
            if row is None:
                continue
            rows.append(row)
            after = change.after
            if after is None:
                self.statuses[row] = ""
                continue
            reader = "" if after.status is Status.UNREVIEWED else after.author
            self._set(row, str(after.class_id), str(after.status), after.scores, after.origin, reader)
            self.places_yx[row] = after.geometry.centre_yx
        return np.array(rows, dtype=np.intp)

    def _set(
        self, row: int, class_id: str, status: str, scores: Sequence[tuple[str, float]], origin: str, reader: str
    ) -> None:
        self.classes[row], self.statuses[row], self.readers[row] = class_id, status, reader
        self.model_classes[row] = called_class(scores, self.costs.get(origin, NO_COSTS)) if scores else ""
        self.scores[row] = max((score for _, score in scores), default=np.nan)


def cell_facts(project: Project, ids: Sequence[str], slide_ids: Iterable[str]) -> CellFacts:
    """Return what is known of some cells.

    Parameters
    ----------
    project : Project
        Where they are stored.
    ids : sequence of str
        The cells; a row each.
    slide_ids : iterable of str
        The slides that they lie on.
    """
    count = len(ids)

    def column() -> npt.NDArray[np.object_]:
        return np.full(count, "", dtype=object)

    facts = CellFacts(
        {cell: row for row, cell in enumerate(ids)},
        column(),
        column(),
        column(),
        column(),
        np.full(count, np.nan, np.float32),
        np.full((count, 2), np.nan),
        project.model_costs(),
    )
    there = {slide.id for slide in project.slides()}
    for slide_id in dict.fromkeys(slide_ids):
        if slide_id not in there:
            continue
        authors = project.cell_authors(slide_id)
        for part in project.cell_rows(slide_id):
            for cell, y, x, class_id, status, scores, origin in part:
                row = facts.row_of.get(cell)
                if row is None:
                    continue
                reader = "" if status == Status.UNREVIEWED else authors.get(cell, "")
                facts._set(row, class_id, status, scores, origin, reader)
                facts.places_yx[row] = (y, x)
    return facts


def accepted_classes(project: Project) -> dict[str, str]:
    """Return the class of each cell that a person accepted or drew, by its id."""
    accepted = str(Status.ACCEPTED)
    return {
        cell[0]: cell[3]
        for slide in project.slides()
        for part in project.cell_rows(slide.id)
        for cell in part
        if cell[4] == accepted
    }
