"""One open project in one viewer: everything that its docks, keys and mouse may ask for."""

from __future__ import annotations

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import Change
from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.session.annotate_commands import AnnotateCommands
from napari_cyto.store import HistoryEntry


class Session(AnnotateCommands):
    """A project open in a viewer, without the viewer.

    Widgets call its commands and redraw on its signals; the command line and tests do the same. Commands raise
    ``CytoError`` with a sentence for the user; ``with session.telling():`` turns that into ``message``.
    """

    def step(self, step: int = 1, class_id: str | None = None, unreviewed: bool = False) -> Annotation | None:
        """Select the next annotation (previous when ``step`` is negative) and ask the view to go there.

        Parameters
        ----------
        step : int
            +1 or -1, in the order in which they were made; after the last comes the first.
        class_id : str, optional
            Only those of this class.
        unreviewed : bool
            Only those that a model proposed and nobody judged.
        """
        project, slide = self.need_project(), self.need_slide()
        direction = 1 if step >= 0 else -1
        chosen = self.selected()
        start = chosen[0] if len(chosen) == 1 else self._cursor
        found = project.neighbour(slide.id, start, step=direction, class_id=class_id, unreviewed=unreviewed)
        if found is None and start is not None:
            found = project.neighbour(slide.id, None, step=direction, class_id=class_id, unreviewed=unreviewed)
            if found is not None:
                self.message.emit(f"Went round to the {'first' if direction > 0 else 'last'} annotation.")
        if found is None:
            what = f"{class_id} " if class_id else ""
            self.message.emit(f"This slide has no {'unreviewed ' if unreviewed else ''}{what}annotations.")
            return None
        self._cursor = found
        self.select([found.id])
        self.jump_requested.emit(*found.geometry.centre_yx)
        return found

    def jump(self, yx: YX) -> None:
        """Ask the view to go to ``yx``, level-0 px."""
        self.jump_requested.emit(*yx)

    def poll(self) -> None:
        """Pass on what happened elsewhere: other windows' edits and tiles that could not be read.

        The window calls this once a second on its own thread.
        """
        while self._unreadable_tiles:
            self.unreadable.emit(self._unreadable_tiles.popleft())
        project = self._project
        if project is not None and project.changed_elsewhere():
            self._refresh_slide()
            kept = [a.id for a in self.selected()]
            self.select(kept)
            self.annotations_changed.emit(None)
            self.project_changed.emit()

    def _refresh_slide(self) -> None:
        if self._slide is not None and self._project is not None:
            before, self._slide = self._slide, self._project.slide(self._slide.id)
            if before.mpp != self._slide.mpp:
                self.slide_changed.emit()

    def _announce(self, entry: HistoryEntry) -> None:
        shown = next((c.after or c.before for c in entry.edit.changes), None)
        if shown is not None and (self._slide is None or all(s != self._slide.id for s in entry.slide_ids)):
            self.go_to_slide(shown.slide_id)
        super()._announce(entry)
        here = [c for c in entry.edit.changes if self._slide is not None and _side(c).slide_id == self._slide.id]
        self.message.emit(f"{'Undone' if entry.kind == 'undo' else 'Done again'}: {entry.label}.")
        if here and not any(_meets(_side(c).geometry.bounds_yxyx, self._view_yxyx) for c in here):
            self.jump_requested.emit(*_side(here[0]).geometry.centre_yx)


def _side(change: Change) -> Annotation:
    known = change.after if change.after is not None else change.before
    assert known is not None
    return known


def _meets(bounds_yxyx: YXYX, view_yxyx: YXYX | None) -> bool:
    """Whether the middle of ``bounds_yxyx`` is inside ``view_yxyx``; both level-0 px."""
    if view_yxyx is None:
        return False
    y, x = (bounds_yxyx[0] + bounds_yxyx[2]) / 2, (bounds_yxyx[1] + bounds_yxyx[3]) / 2
    return view_yxyx[0] <= y <= view_yxyx[2] and view_yxyx[1] <= x <= view_yxyx[3]
