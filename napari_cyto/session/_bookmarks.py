"""Places on slides that somebody wants to find again, kept with the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from napari_cyto.domain.bookmark import Bookmark
from napari_cyto.domain.geometry import YX, is_on_image
from napari_cyto.errors import CytoError
from napari_cyto.session._state import SessionState

_KEPT_AS = "bookmarks"
_GONE = "This bookmark is no longer there; it was deleted, perhaps in another window."


class Bookmarks:
    """Keeps, renames and deletes bookmarks; they are no annotations, and no export holds them.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state

    @property
    def all(self) -> tuple[Bookmark, ...]:
        """The bookmarks of the project, the first first; none without a project."""
        project = self._state.project
        return () if project is None else tuple(map(Bookmark.of_json, project.setting(_KEPT_AS, [])))

    def add(self, yx: YX, level0_per_screen_px: float, note: str) -> Bookmark:
        """Keep a place (level-0 px) of the slide on screen, and how near it was looked at.

        Raises
        ------
        CytoError
            When the place is not on the slide, or cannot be stored.
        """
        project, slide = self._state.need_project(), self._state.need_slide()
        if slide.size_hw is not None and not is_on_image(yx, slide.size_hw):
            raise CytoError("The place is beside the slide; point at the slide to bookmark it.")
        made = Bookmark(slide.id, yx, level0_per_screen_px, note.strip(), self._state.author)
        project.append_setting(_KEPT_AS, made.to_json())
        self._state.signals.bookmarks_changed.emit()
        return made

    def rename(self, bookmark_id: str, note: str) -> None:
        """Give a bookmark another note.

        Raises
        ------
        CytoError
            When it is gone, or the change cannot be stored.
        """
        self._change(
            bookmark_id, lambda kept: [replace(b, note=note.strip()) if b.id == bookmark_id else b for b in kept]
        )

    def remove(self, bookmark_id: str) -> None:
        """Delete a bookmark.

        Raises
        ------
        CytoError
            When it is gone already, or the change cannot be stored.
        """
        self._change(bookmark_id, lambda kept: [b for b in kept if b.id != bookmark_id])

    def _change(self, bookmark_id: str, change: Callable[[list[Bookmark]], list[Bookmark]]) -> None:
        def changed(stored: list[dict[str, object]]) -> list[dict[str, object]]:
            kept = [Bookmark.of_json(each) for each in stored]
            if all(b.id != bookmark_id for b in kept):
                raise CytoError(_GONE)
            return [b.to_json() for b in change(kept)]

        self._state.need_project().change_setting(_KEPT_AS, changed, [])
        self._state.signals.bookmarks_changed.emit()
