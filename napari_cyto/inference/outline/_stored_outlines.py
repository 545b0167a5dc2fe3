"""Outlines into a project: each in the place of the point or box of its cell, many in one step that undo takes back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.counts import counted
from napari_cyto.domain.edits import replace_all
from napari_cyto.domain.geometry import CellOutline
from napari_cyto.errors import StaleEditError
from napari_cyto.store import Project

_TRIES = 5


@dataclass
class OutlineWriter:
    """Writes the outlines of one slide.

    Parameters
    ----------
    project : Project
        Open.
    method : str
        What drew them, for the label of the step.
    author : str
        Whose step in the history it is.
    changed : list of Annotation
        Cells that somebody changed or removed meanwhile: their outline was not stored.
    stored, with_cytoplasm : int
        How many outlines are in the project, and how many of these have one of the whole cell.
    """

    project: Project
    method: str
    author: str
    changed: list[Annotation] = field(default_factory=list)
    stored: int = 0
    with_cytoplasm: int = 0
    _waiting: list[tuple[Annotation, CellOutline]] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """How many outlines are not stored yet."""
        return len(self._waiting)

    def put(self, cell: Annotation, shape: CellOutline) -> None:
        """Take the outline of a cell; it is stored by the next `write`."""
        self._waiting.append((cell, shape))

    def write(self) -> int:
        """Store what waits, in one step; return how many outlines that are.

        Raises
        ------
        StoreError
            When the database cannot be written, or others write to these cells all the time.
        """
        waiting, self._waiting = self._waiting, []
        for attempt in range(_TRIES):
            now = {cell.id: cell for cell in self.project.annotations_by_id([cell.id for cell, _ in waiting])}
            self.changed += [cell for cell, _ in waiting if now.get(cell.id) != cell]
            waiting = [(cell, shape) for cell, shape in waiting if now.get(cell.id) == cell]
            if not waiting:
                return 0
            pairs = [(cell, replace(cell, geometry=shape)) for cell, shape in waiting]
            label = f"Outline {counted(len(pairs), 'cell')} ({self.method})"
            try:
                self.project.apply(replace_all(pairs, label), self.author or "user")
                break
            except StaleEditError:
                # Somebody wrote between the look and the edit; look again.
                if attempt == _TRIES - 1:
                    raise
        self.stored += len(waiting)
        self.with_cytoplasm += sum(bool(shape.cytoplasm_yx) for _, shape in waiting)
        return len(waiting)
