"""A bar over the slide while nothing can be stored, since the project's file was replaced: how to go on."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QWidget

from napari_cyto.session import Session
from napari_cyto.widgets.canvas_bar import ALARM, CanvasBar
from napari_cyto.widgets.docks import parts


class ReplacedBar(CanvasBar):
    """Says that nothing is stored any more, what is on screen only, and offers the ways out.

    Parameters
    ----------
    canvas : QWidget
        What it lies on.
    session : Session
        Whose project it is about.
    """

    def __init__(self, canvas: QWidget, session: Session) -> None:
        super().__init__(canvas, ALARM)
        self._session = session
        self.copy = parts.button(
            "Save a copy and continue in it",
            (
                "Saves everything that was open here, including the unsaved change on screen, as a project "
                "beside this one, and opens it. What has replaced the project is left untouched."
            ),
            lambda: self._do(session.projects.go_on_in_copy),
        )
        self.open = parts.button(
            "Open the replaced project",
            (
                "Opens what is in the project's folder now. The unsaved change on screen is discarded; "
                "everything else that only this window has is first saved in a copy beside the project."
            ),
            lambda: self._do(session.projects.open_what_is_there),
        )
        self.offer(self.copy, self.open)
        session.replaced_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is true now; nothing while the file is the one that was opened."""
        replaced, edit = self._session.replaced, self._session.unsaved
        if not replaced:
            self.hide()
            return
        shown = "All changes before that were saved in the original file."
        if edit is not None:
            shown = f"'{edit.label}' is on screen, but NOT saved; nothing more can be changed until you choose."
        self.say(f"{replaced}\n{shown}")

    def let_go(self) -> None:
        """Stop listening."""
        self._session.replaced_changed.disconnect(self.refresh, missing_ok=True)
        super().let_go()

    def _do(self, way: Callable[[], object]) -> None:
        with self._session.telling():
            way()
