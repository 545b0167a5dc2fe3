"""A bar over the slide that asks who reads, where a project is read by several."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_cyto.session import Session
from napari_cyto.widgets.canvas_bar import QUESTION, CanvasBar
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice

WORDS = "Who reads here? The name goes into every edit, and says which readings are yours."


class ReaderBar(CanvasBar):
    """Asks once a window, when a project with readings opens; the present name is the default.

    Parameters
    ----------
    canvas : QWidget
        What it lies on.
    session : Session
        Whose reader it asks for.
    ask : callable
        Asks for a name that is not in the list.
    """

    def __init__(self, canvas: QWidget, session: Session, ask: Callable[[], object]) -> None:
        super().__init__(canvas, QUESTION)
        self._session, self._first = session, session.author
        self._is_answered = False
        self.who = Choice()
        self.who.setAccessibleName("who reads")
        self.who.setToolTip("You as this computer knows you, and the readers of this project.")
        self.choose = parts.button("Read as this person", "Takes the name for what is done from now on.", self._choose)
        self.other = parts.button("Somebody else…", "Asks for a name that is not in the list.", ask)
        self.offer(self.who, self.choose, self.other)
        session.project_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Ask where somebody else reads as well, unless the question was answered, here or in a dock."""
        session = self._session
        self._is_answered |= session.author != self._first
        readers = [] if self._is_answered else [each.reader for each in session.readings.all()]
        names = list(dict.fromkeys([session.author, *readers]))
        if len(names) < 2:
            self.hide()
            return
        self.who.clear()
        for name in names:
            self.who.addItem(name, name)
        self.say(WORDS)

    def let_go(self) -> None:
        """Stop listening."""
        self._session.project_changed.disconnect(self.refresh, missing_ok=True)
        super().let_go()

    def _choose(self) -> None:
        with self._session.telling():
            self._session.set_reader(self.who.currentText())
            self._is_answered = True
            self.hide()
            self._canvas.setFocus(Qt.FocusReason.OtherFocusReason)
