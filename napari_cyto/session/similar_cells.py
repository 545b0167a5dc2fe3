"""Cells like a cell, in the open project: its vectors, kept until cells come or move, and lists made from them."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.edits import Change
from napari_cyto.errors import CytoError
from napari_cyto.review.predictions import severities
from napari_cyto.vectors import CellVectors, VectorKind, cell_vectors, vector_kinds, vectors_folder
from napari_cyto.vectors.cell_facts import CellFacts, cell_facts
from napari_cyto.vectors.cell_map import chosen_kind
from napari_cyto.vectors.neighbours import COUNT, GradeNeighbours, Scope, grade_neighbours, similar

if TYPE_CHECKING:
    from napari_cyto.session._session import Session
    from napari_cyto.store import HistoryEntry, Project


def _moves(change: Change) -> bool:
    """Whether a cell came, went or lies elsewhere."""
    before, after = change.before, change.after
    if before is None or after is None:
        return True
    return (before.geometry, before.slide_id) != (after.geometry, after.slide_id)


def _sizes(project: Project, kind: VectorKind) -> tuple[tuple[str, int], ...]:
    folder = vectors_folder(project) / kind.folder_name
    return tuple(sorted((p.name, p.stat().st_size) for p in folder.iterdir()))


@dataclass(frozen=True, slots=True)
class CellList:
    """Cells that the gallery is to show, in this order, whatever its filters say.

    Parameters
    ----------
    title : str
        What they are, in a few words.
    ids : tuple of str
        In order.
    sentence : str
        What limits the list.
    cell_id : str
        The cell that they are like, if that is why they are listed.
    scope : Scope
        Where they were looked for.
    measurement : str
        What is said of each, a name of ``measurements.TABLE_COLUMNS``; empty for none.
    """

    title: str
    ids: tuple[str, ...]
    sentence: str = ""
    cell_id: str = ""
    scope: Scope = Scope.ALL
    measurement: str = ""


class SimilarCells:
    """Finds cells like a cell; its methods may be called in any thread.

    Parameters
    ----------
    session : Session
        Whose project it is.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()
        self._kept: tuple[object, CellVectors, CellFacts] | None = None
        session.annotations_changed.connect(self._follow)
        session.project_changed.connect(self._look_again)

    @property
    def are_there(self) -> bool:
        """Whether the project has any vectors."""
        project = self._session.project
        return project is not None and bool(vector_kinds(project))

    @property
    def state(self) -> object:
        """What differs once the project has other vectors, or more of them."""
        project = self._session.project
        kinds = () if project is None else vector_kinds(project)
        return None if project is None or not kinds else (kinds[0], _sizes(project, kinds[0]))

    def vectors(self) -> tuple[CellVectors, CellFacts]:
        """Return the newest vectors of the project's cells, and what is known of these cells.

        Raises
        ------
        CytoError
            When there are none.
        """
        project = self._session.need_project()
        kind = chosen_kind(project)
        with self._lock:
            state = (project, kind, _sizes(project, kind))
            kept = self._kept
            if kept is not None and kept[0] == state:
                return kept[1], kept[2]
            found = cell_vectors(project, kind)
            facts = cell_facts(project, found.ids, found.slide_ids)
            self._kept = (state, found, facts)
            return found, facts

    def like(self, cell_id: str, scope: Scope = Scope.ALL, count: int = COUNT) -> CellList:
        """Return the cells nearest to a cell.

        Raises
        ------
        CytoError
            When it has no vector, or there is no other cell.
        """
        project = self._session.need_project()
        found, facts = self.vectors()
        nearest = similar(found, project.slides(), cell_id, scope, count)
        row = facts.row_of[cell_id]
        hidden = self._session.shown_filter.blind and facts.statuses[row] == Status.UNREVIEWED
        of = "this cell" if hidden else f"this {facts.classes[row]} cell"
        return CellList(f"Cells like {of}", nearest.ids, nearest.sentence, cell_id, scope)

    def grades(self, cell_id: str) -> GradeNeighbours:
        """Return the nearest accepted cells one grade lower and higher than a cell; none in a blind reading.

        Raises
        ------
        CytoError
            When the cell has no vector.
        """
        project: Project = self._session.need_project()
        if self._session.shown_filter.blind:
            return GradeNeighbours()
        found, facts = self.vectors()
        row = facts.row_of.get(cell_id)
        if row is None:
            raise CytoError(f"Expected a cell with a vector, got {cell_id[:64]}, which has none where it lies now.")
        accepted = np.where(facts.statuses == Status.ACCEPTED, facts.classes, "").tolist()
        return grade_neighbours(found, cell_id, str(facts.classes[row]), accepted, severities(project.scheme))

    def _follow(self, entry: HistoryEntry | None) -> None:
        kept = self._kept
        if kept is None:
            return
        changes = () if entry is None else entry.edit.changes
        if entry is None or any(_moves(change) for change in changes):
            self._kept = None
        else:
            kept[2].follow(changes)

    def _look_again(self) -> None:
        kept = self._kept
        if kept is not None and kept[0][0] is not self._session.project:  # type: ignore[index]
            self._kept = None
