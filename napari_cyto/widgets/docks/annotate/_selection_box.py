"""What is selected: in words, its note, a person's verdict on it, and its history."""

from __future__ import annotations

from collections import Counter

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from napari_cyto.domain.annotation import STATUS_NAMES, Annotation, Status
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.session import Session
from napari_cyto.store import HistoryEntry
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.annotate.tool_row import hint_of
from napari_cyto.widgets.docks.section import Section

HISTORY_ROWS = 30


class SelectionBox(QWidget):
    """Shows and changes the selected annotations of a session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.summary = parts.text()
        self._noted: set[str] = set()
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note on selection")
        self.note.setToolTip("Free text, saved with the selected annotation; press Enter to save.")
        self.note.setAccessibleName("note")
        self.note.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.note.editingFinished.connect(self._save_note)
        self.note.returnPressed.connect(lambda: parts.focus_canvas(self))
        self.accept = parts.toggle(
            "Accept", hint_of("accept"), lambda: self._review(Status.ACCEPTED), icon="accept", name="accept selection"
        )
        self.reject = parts.toggle(
            "Reject", hint_of("reject"), lambda: self._review(Status.REJECTED), icon="reject", name="reject selection"
        )
        self.delete = parts.button("Delete", hint_of("delete"), self._delete, icon="delete", name="delete selection")
        self._rows = parts.text(selectable=True)
        self.history = Section("History of annotation", self._rows, tip="Who changed it, how and when.")
        self.history.toggled.connect(lambda _open: self._show_history())
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        # What is said of a selection takes one line or three: below the field, or that would move under the hand.
        for widget in (self.note, parts.row(self.accept, self.reject, self.delete), self.summary, self.history):
            layout.addWidget(widget)
        self.refresh()

    def refresh(self) -> None:
        """Show what is selected now."""
        chosen = self.session.selected()
        self.summary.setText(self._words(chosen))
        for widget in (self.note, self.accept, self.reject, self.delete):
            widget.setEnabled(bool(chosen))
        notes, ids = {a.note for a in chosen}, {a.id for a in chosen}
        # What is being typed stays, unless it was meant for other cells.
        if ids != self._noted or not self.note.isModified():
            self._noted = ids
            self.note.setText(notes.pop() if len(notes) == 1 else "")
            self.note.setModified(False)
        statuses = {a.status for a in chosen}
        self.accept.setChecked(statuses == {Status.ACCEPTED})
        self.reject.setChecked(statuses == {Status.REJECTED})
        self._show_history()

    def _words(self, chosen: tuple[Annotation, ...]) -> str:
        if not chosen:
            return "Nothing selected"
        if len(chosen) > 1:
            kinds = Counter("proposals" if self._is_hidden(a) else a.class_id or "region" for a in chosen)
            return f"{parts.number(len(chosen))} selected: " + ", ".join(
                f"{parts.number(n)} {name}" for name, n in kinds.most_common()
            )
        slide = self.session.slide
        if self._is_hidden(chosen[0]):
            return "Prediction; class hidden (blind reading)."
        return describe(chosen[0], slide.mpp if slide is not None else None)

    def _is_hidden(self, annotation: Annotation) -> bool:
        """Whether a blind reader must not learn what the model calls it."""
        is_unreviewed = annotation.status is Status.UNREVIEWED and not annotation.is_region
        return self.session.shown_filter.blind and is_unreviewed

    def _save_note(self) -> None:
        if self.note.isModified() and self.session.selection:
            self.note.setModified(False)
            with self.session.telling():
                self.session.edits.set_note(self.note.text())

    def _review(self, status: Status) -> None:
        with self.session.telling():
            self.session.edits.set_status(status)
        # A toggle flips by itself; what counts is what was stored.
        self.refresh()

    def _delete(self) -> None:
        with self.session.telling():
            self.session.edits.delete_selected()

    def _show_history(self) -> None:
        chosen = self.session.selected() if self.history.is_open else ()
        project = self.session.project
        if len(chosen) != 1 or project is None:
            self._rows.setText("Select one annotation to see its history.")
            return
        entries = project.history_of(chosen[0].id)
        self._rows.setText("\n".join(history_line(e) for e in entries[-HISTORY_ROWS:]) or "No history.")


def describe(annotation: Annotation, mpp: float | None) -> str:
    """Return one annotation in a sentence or two; ``mpp`` turns px into µm where it is known."""
    shape = annotation.geometry
    if isinstance(shape, Point):
        what = f"{annotation.class_id}, point"
    elif isinstance(shape, Box):
        height, width = shape.size_hw
        size = f"{width * mpp:.1f} × {height * mpp:.1f} µm" if mpp else f"{width:.0f} × {height:.0f} px"
        what = f"{annotation.class_id}, box {size}"
    else:
        what = annotation.class_id or "Region: every cell inside is annotated"
    when = f"{annotation.created_utc.astimezone():%d %b %Y %H:%M}"
    kind, _, source = annotation.origin.partition(":")
    if kind == "model":
        model = source.partition("@")[0]
        reviewer = "" if annotation.author in ("", model) else f" by {annotation.author}"
        return f"{what}. Predicted by {model}, {when}. Status: {STATUS_NAMES[annotation.status]}{reviewer}."
    how = f"imported from {source}" if kind == "imported" else "drawn"
    state = "" if annotation.status is Status.ACCEPTED else f" Status: {STATUS_NAMES[annotation.status]}."
    return f"{what}. {how.capitalize()} by {annotation.author or 'unknown'}, {when}.{state}"


def history_line(entry: HistoryEntry) -> str:
    """Return one step of a mark's history as a line."""
    undone = {"undo": "undo: ", "redo": "redo: "}.get(entry.kind, "")
    return f"{entry.at.astimezone():%d %b %H:%M:%S}  {entry.author}  {undone}{entry.label}"
