"""What a right click on a cell offers: its class, its state, its note, and where to go from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtWidgets import QInputDialog, QMenu, QWidget

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.keys import key_of

_STATES = (
    ("Accept", Status.ACCEPTED, "accept"),
    ("Reject", Status.REJECTED, "reject"),
    ("Unreviewed", Status.UNREVIEWED, ""),
)
_LONGEST_NOTE = 60


class CellMenu:
    """Fills a menu for what is selected; each choice is one undo step.

    Parameters
    ----------
    session : Session
        Whose cells they are.
    run : callable
        Does a command of the keys table.
    """

    def __init__(self, session: Session, run: Callable[[str], object]) -> None:
        self._session, self._run = session, run

    def fill(self, menu: QMenu, cell: Annotation) -> None:
        """Add the rows for a cell: of all that is selected if it is among these, else it is selected first."""
        session = self._session
        if cell.id not in session.selection:
            session.select({cell.id})
        chosen = session.selected()
        cells = [a for a in chosen if not a.is_region]
        hides = session.shown_filter.blind and any(a.status is Status.UNREVIEWED for a in cells)
        # Not a section: some styles leave out what those are called.
        menu.addAction(self._title(chosen, hides=hides)).setEnabled(False)
        menu.addSeparator()
        self._classes(menu, set() if hides else {a.class_id for a in cells})
        menu.addSeparator()
        statuses = {a.status for a in chosen}
        for words, status, command in _STATES:
            action = menu.addAction(_with_key(words, command))
            action.setCheckable(True)
            action.setChecked(statuses == {status})
            action.triggered.connect(partial(self._do, partial(session.edits.set_status, status)))
        menu.addSeparator()
        notes = {a.note for a in chosen}
        note = notes.pop() if len(notes) == 1 else ""
        shown = note if len(note) <= _LONGEST_NOTE else f"{note[:_LONGEST_NOTE]}…"
        menu.addAction(f"Note: {shown}…" if note else "Note…").triggered.connect(
            partial(self._ask_note, note, menu.parentWidget())
        )
        menu.addSeparator()
        like = menu.addAction(_with_key("Cells like this", "similar"))
        like.setEnabled(len(chosen) == 1)
        like.triggered.connect(lambda _on=False: self._run("similar"))
        menu.addAction(_with_key("Review gallery", "review")).triggered.connect(lambda _on=False: self._run("review"))
        menu.addAction(_with_key("Delete", "delete")).triggered.connect(lambda _on=False: self._run("delete"))

    def _title(self, chosen: tuple[Annotation, ...], *, hides: bool) -> str:
        if len(chosen) > 1:
            return f"{counted(len(chosen), 'annotation')} selected"
        return "Prediction (class hidden)" if hides else str(chosen[0].class_id)

    def _classes(self, menu: QMenu, now: set[str | None]) -> None:
        for cell_class in self._session.need_project().scheme.classes:
            action = menu.addAction(f"{cell_class.id}\t{cell_class.key}" if cell_class.key else cell_class.id)
            action.setIcon(style.swatch_icon(cell_class.colour))
            action.setToolTip(cell_class.name)
            font = action.font()
            font.setBold(now == {cell_class.id})
            action.setFont(font)
            relabel = partial(self._session.edits.choose_class, cell_class.id, self._session.selection)
            action.triggered.connect(partial(self._do, relabel))

    def _do(self, change: Callable[[], object], _on: bool = False) -> None:
        with self._session.telling():
            self._session.view.need_selection_in_view()
            change()

    def _ask_note(self, note: str, parent: QWidget, _on: bool = False) -> None:
        dialog = QInputDialog(parent)
        dialog.setWindowTitle("Note")
        dialog.setLabelText(f"Note on {counted(len(self._session.selection), 'annotation')}")
        dialog.setTextValue(note)
        dialog.textValueSelected.connect(self._keep_note)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _keep_note(self, words: str) -> None:
        self._do(lambda: self._session.edits.set_note(words))


def _with_key(words: str, command: str) -> str:
    key = key_of(command) if command else ""
    return f"{words}\t{key}" if key else words
