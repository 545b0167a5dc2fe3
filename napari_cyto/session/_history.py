"""Undo and redo: going back and forth in the history of this author's edits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from napari_cyto.errors import StoreError
from napari_cyto.session._slides import Slides
from napari_cyto.session._state import SessionState
from napari_cyto.session._view import View
from napari_cyto.store import HistoryEntry

LARGE_STEP = 20_000
"""Annotations in a step of the history from which on it is undone in the background."""


class History:
    """Undoes and redoes the edits of this author, and brings what changed into view.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    slides : Slides
        What puts a slide on screen.
    view : View
        What is on screen.
    """

    def __init__(self, state: SessionState, slides: Slides, view: View) -> None:
        self._state = state
        self._signals = state.signals
        self._slides = slides
        self._view = view

    def undo(self) -> HistoryEntry | None:
        """Take back the last edit of this author; the view goes to what changed.

        In a window a large one is taken back in the background; None is returned then.
        """
        return self._return("undo")

    def redo(self) -> HistoryEntry | None:
        """Do again what was last undone; the view goes to what changed. A large one as `undo` does."""
        return self._return("redo")

    def _return(self, kind: Literal["undo", "redo"]) -> HistoryEntry | None:
        project, author = self._state.need_project(), self._state.author
        act = project.undo if kind == "undo" else project.redo
        if self._state.busy_reason:
            raise StoreError(self._state.busy_reason)
        amount = project.amount_to_return(kind, author)
        if self._state.background is None or amount < LARGE_STEP:
            return self._returned(kind, act(author))
        label = project.can_undo(author) if kind == "undo" else project.can_redo(author)
        doing = "undone" if kind == "undo" else "redone"
        words = f"'{label}' is being {doing} ({amount:,} annotations)"
        self._state.busy_reason = f"{words}; wait until that is done, then try again."
        self._state.say(f"{words}; you can look around meanwhile.")

        def then(result: Callable[[], HistoryEntry | None]) -> None:
            self._state.busy_reason = ""
            if project is self._state.project:
                with self._signals.telling():
                    self._returned(kind, result())

        self._state.background(lambda: act(author), then)
        return None

    def _returned(self, kind: Literal["undo", "redo"], entry: HistoryEntry | None) -> HistoryEntry | None:
        if entry is None:
            self._state.say(f"Nothing to {kind}.")
        else:
            self._announce(entry)
        return entry

    def _announce(self, entry: HistoryEntry) -> None:
        slide_id, place_yx = entry.place
        if self._state.slide is None or self._state.slide.id not in entry.slide_ids:
            self._slides.go_to(slide_id)
        self._state.select(a.id for a in self._state.selected())
        # Reading so much to follow it takes longer than to look anew.
        self._signals.annotations_changed.emit(entry if entry.count < LARGE_STEP else None)
        self._state.say(f"{'Undone' if entry.kind == 'undo' else 'Redone'}: {entry.label}.")
        if self._state.slide is not None and not self._view.shows_some_of(entry, self._state.slide.id):
            self._signals.jump_requested.emit(*place_yx)
