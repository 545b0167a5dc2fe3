"""One open project in one viewer: everything that its docks, keys and mouse may ask for."""

from __future__ import annotations

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YX, box_contains_point
from napari_cyto.session._annotate_commands import AnnotateCommands
from napari_cyto.session._project_commands import READING_ONLY
from napari_cyto.store import HistoryEntry, Project

_LOOKED_THROUGH = 500
# Hidden annotations that "next" passes over at most, 0.3 ms each.
_STEPPED_OVER = 2000


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
        direction = 1 if step >= 0 else -1
        chosen = self.selected()
        start = chosen[0] if len(chosen) == 1 else self._cursor
        found = self._neighbour(start, direction, class_id, unreviewed)
        if found is None and start is not None:
            found = self._neighbour(None, direction, class_id, unreviewed)
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

    def _neighbour(
        self, start: Annotation | None, direction: int, class_id: str | None, unreviewed: bool
    ) -> Annotation | None:
        """Return the next annotation that the filter shows; a long way over hidden ones ends at a hidden one."""
        project, slide = self.need_project(), self.need_slide()
        found = start
        for _ in range(_STEPPED_OVER):
            found = project.neighbour(slide.id, found, step=direction, class_id=class_id, unreviewed=unreviewed)
            if found is None or self.shown_filter.passes(found):
                break
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
        self.look_after_file()
        project = self._project
        if project is not None:
            self._tell_damage(project)
            for failure in project.back_up_in_rhythm():
                self.message.emit(failure)
        if project is not None and not self._replaced and project.changed_elsewhere():
            self._refresh_slide()
            kept = [a.id for a in self.selected()]
            self.select(kept)
            self.annotations_changed.emit(None)
            # A model that proposes writes every second; who shows slides, classes and models need not follow that.
            before, self._stood = self._stood, (project, project.slides(), project.standing())
            if self._stood != before:
                self.project_changed.emit()

    def _tell_damage(self, project: Project) -> None:
        """Say once what the look through a large database found; nothing can be stored in it from the start."""
        if project.damage and project.damage != self._told_damage:
            self._told_damage = project.damage
            self.project_changed.emit()
            self.message.emit(f"{project.damage} {READING_ONLY}")

    def _refresh_slide(self) -> None:
        if self._slide is not None and self._project is not None:
            before, self._slide = self._slide, self._project.slide(self._slide.id)
            if before.mpp != self._slide.mpp:
                self.slide_changed.emit()

    def _announce(self, entry: HistoryEntry) -> None:
        slide_id, place_yx = entry.place
        if self._slide is None or self._slide.id not in entry.slide_ids:
            self.go_to_slide(slide_id)
        super()._announce(entry)
        self.message.emit(f"{'Undone' if entry.kind == 'undo' else 'Redone'}: {entry.label}.")
        if self._slide is not None and not self._shows_some_of(entry, self._slide.id):
            self.jump_requested.emit(*place_yx)

    def _shows_some_of(self, entry: HistoryEntry, slide_id: str) -> bool:
        """Whether anything that changed has its middle on screen; only the first place is asked of a large edit."""
        if entry.count > _LOOKED_THROUGH:
            return entry.place[0] == slide_id and self._is_seen(entry.place[1])
        sides = (c.after if c.after is not None else c.before for c in entry.edit.changes)
        return any(a is not None and a.slide_id == slide_id and self._is_seen(a.geometry.centre_yx) for a in sides)

    def _is_seen(self, yx: YX) -> bool:
        view = self._view_yxyx
        return view is not None and box_contains_point(view, yx, closed=True)
