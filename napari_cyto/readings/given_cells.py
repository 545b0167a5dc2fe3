"""The given cells of a reading: one after the other, each gets a class or is skipped, and one can go back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, now_utc
from napari_cyto.domain.edits import Edit
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import CytoError
from napari_cyto.store import Project
from napari_cyto.store.reading_gate import GIVEN, OF_READING

SKIPPED = "reading.skipped"
OPINIONS = "reading.opinions"


@dataclass(frozen=True, slots=True)
class GivenCell:
    """A cell that a reading gives: its id, its slide, and its middle ``(y, x)``, level-0 px."""

    id: str
    slide_id: str
    yx: tuple[float, float]


def skipped_cells(project: Project) -> frozenset[str]:
    """Return the ids of the cells of which the reader cannot say; one that got a class later is none of them."""
    skipped = frozenset(project.setting(SKIPPED, []))
    return skipped - {a.id for a in project.annotations_by_id(skipped)}


class GivenCells:
    """The given cells of an open reading, and where the reader is among them.

    Parameters
    ----------
    project : Project
        The reading's own.

    Raises
    ------
    CytoError
        When it gives no cells.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        of: dict[str, Any] = project.setting(OF_READING, {})
        self.cells = tuple(GivenCell(i, slide, (float(y), float(x))) for i, slide, y, x in project.setting(GIVEN, []))
        if not self.cells:
            raise CytoError("This reading gives no cells.")
        self.reader: str = of["reader"]
        self.is_turned: bool = bool(of.get("turned", False))
        self._opinions: dict[str, Any] = project.setting(OPINIONS, {})
        self._place_of = {cell.id: place for place, cell in enumerate(self.cells)}
        self.place = 0
        self.said: dict[str, str] = {}
        self.refresh()
        self.place = self.next_open(-1)

    def refresh(self, cell_ids: Iterable[str] | None = None) -> None:
        """Read again what was said of some cells, or of all: an undo, or another window, may have changed it."""
        ids = [each for each in (self._place_of if cell_ids is None else cell_ids) if each in self._place_of]
        for each in ids:
            self.said.pop(each, None)
        self.said |= {a.id: str(a.class_id) for a in self._project.annotations_by_id(ids)}
        self.skipped = skipped_cells(self._project)

    @property
    def current(self) -> GivenCell:
        """The cell that is asked for."""
        return self.cells[self.place]

    @property
    def done(self) -> int:
        """How many cells have a class or were skipped."""
        return len(self.said) + len(self.skipped)

    @property
    def words(self) -> str:
        """What a person reads: ``Cell 12 of 200``, and what was said of it."""
        cell = self.current
        said = self.said.get(cell.id) or ("cannot say" if cell.id in self.skipped else "")
        return f"Cell {self.place + 1:,} of {len(self.cells):,}{f': {said}' if said else ''}"

    def opinion(self) -> tuple[tuple[str, float], ...]:
        """Return what a model says of the current cell, where the reading shows it; nothing in a blind one."""
        return tuple((str(name), float(value)) for name, value in self._opinions.get(self.current.id, ()))

    def place_of(self, cell_id: str) -> int | None:
        """Return where a cell comes in the order; None for none of these."""
        return self._place_of.get(cell_id)

    def next_open(self, place: int) -> int:
        """Return the first place after one, going round, with neither class nor skip; the last where all are done."""
        count = len(self.cells)
        for step in range(1, count + 1):
            at = (place + step) % count
            if self.cells[at].id not in self.said and self.cells[at].id not in self.skipped:
                return at
        return count - 1

    def edit(self, class_id: str) -> Edit | None:
        """Return the edit that gives the current cell a class; None where it has that already.

        What a model said on screen stays with it, as the scores of the annotation.
        """
        cell = self.current
        before = next(iter(self._project.annotations_by_id([cell.id])), None)
        if before is None:
            made = Annotation(
                id=cell.id,
                slide_id=cell.slide_id,
                geometry=Point(*cell.yx),
                class_id=class_id,
                author=self.reader,
                scores=self.opinion(),
                created_utc=now_utc(),
            )
            return edits.add([made], f"Classify as {class_id}")
        if before.class_id == class_id:
            return None
        return edits.replace_all([(before, replace(before, class_id=class_id))], f"Classify as {class_id}")

    def skip(self) -> None:
        """Say of the current cell that it cannot be classified, and go on.

        Raises
        ------
        CytoError
            When it has a class; that is undone first.
        """
        cell = self.current
        if cell.id in self.said:
            raise CytoError(f"The cell is {self.said[cell.id]} already; undo that first (Ctrl+Z), then skip it.")
        self._project.change_setting(SKIPPED, lambda ids: sorted({*ids, cell.id}), [])
        self.go_on()

    def go_on(self) -> None:
        """Go to the next cell that is not done."""
        self.refresh([self.current.id])
        self.place = self.next_open(self.place)

    def back(self) -> None:
        """Go to the cell before."""
        self.place = max(0, self.place - 1)
