"""Outlines of cells drawn one by one: stored at once, but not accepted until the reader keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX, CellOutline, CellRing, painted
from napari_cyto.errors import CytoError
from napari_cyto.session._edits import Edits
from napari_cyto.session._state import SessionState

NOTHING_TO_KEEP = "Enter keeps an outline that is not accepted yet (dashed); none is selected."


class Outlines:
    """Draws, corrects, accepts and drops the outlines of cells.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    edits : Edits
        What stores them.
    """

    def __init__(self, state: SessionState, edits: Edits) -> None:
        self._state = state
        self._edits = edits
        self._ring = CellRing.NUCLEUS
        # What each cell was whose outline was drawn here and is not kept yet; None where there was no annotation.
        self._before: dict[str, Annotation | None] = {}

    @property
    def ring(self) -> CellRing:
        """The ring that corrections act on."""
        return self._ring

    @ring.setter
    def ring(self, ring: CellRing) -> None:
        if ring is not self._ring:
            self._ring = ring
            self._state.signals.tool_changed.emit()

    def draw(self, outline: CellOutline) -> Annotation:
        """Store the outline of a new cell of the current class, and select it."""
        made = self._edits.add(outline, f"Outline {self._state.class_id}")
        self._before[made.id] = None
        self._state.select([made.id])
        return made

    def give(self, outlines: Sequence[tuple[Annotation, CellOutline]]) -> int:
        """Give cells that are annotated their outlines, in one undo step, and select them; return how many got one."""
        new = {cell.id: outline for cell, outline in outlines}
        cells = [cell for cell, _ in outlines]
        done = self._edits.change_all(cells, lambda a: replace(a, geometry=new[a.id]), "Outline {}")
        self._before |= {cell.id: cell for cell in cells if not isinstance(cell.geometry, CellOutline)}
        self._state.select(new)
        return done

    def paint(self, cell: Annotation, stroke_yx: Sequence[YX], radius_px: float, *, adds: bool) -> None:
        """Correct the ring in hand of a cell's outline by a stroke of the brush, level-0 px, in one undo step.

        Raises
        ------
        CytoError
            When the stroke changes nothing, or would leave nothing.
        """
        if not isinstance(cell.geometry, CellOutline):
            raise CytoError("This annotation has no outline yet; click its nucleus with the Outline tool first.")
        after = painted(cell.geometry, self._ring, stroke_yx, radius_px, adds=adds)
        self._edits.change_all([cell], lambda a: replace(a, geometry=after.outline), f"Correct {self._ring} of {{}}")
        if after.remark:
            self._state.say(after.remark)

    def accept(self) -> int:
        """Accept the outlines among what is selected, in one undo step; return how many were not yet."""
        cells = _not_accepted(self._state.selected())
        if not cells:
            self._state.say(NOTHING_TO_KEEP)
            return 0
        self._edits.change_all(cells, _accepted, "Keep outline of {}")
        for cell in cells:
            self._before.pop(cell.id, None)
        if len(cells) > 1:
            self._state.say(f"{counted(len(cells), 'outline')} accepted. Undo with Ctrl+Z.")
        return len(cells)

    def drop(self) -> bool:
        """Take away the selected outlines that were drawn here and are not kept; return whether there were any.

        A cell that was annotated before has its point or box again, and keeps what else was said of it since.
        """
        cells = [a for a in _not_accepted(self._state.selected()) if a.id in self._before]
        before = {cell.id: self._before[cell.id] for cell in cells}
        if cells:
            self._edits.change_all(cells, lambda a: _as_before(a, before[a.id]), "Drop outline of {}")
        for cell in cells:
            del self._before[cell.id]
        return bool(cells)


def _not_accepted(cells: Iterable[Annotation]) -> list[Annotation]:
    return [a for a in cells if isinstance(a.geometry, CellOutline) and not a.geometry.accepted]


def _accepted(cell: Annotation) -> Annotation:
    assert isinstance(cell.geometry, CellOutline)
    return replace(cell, geometry=replace(cell.geometry, accepted=True))


def _as_before(cell: Annotation, before: Annotation | None) -> Annotation | None:
    return None if before is None else replace(cell, geometry=before.geometry)
