"""Dock Annotate: tools, classes, the selection, undo, and when it was last saved."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QVBoxLayout, QWidget

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.session import Session, Tool
from napari_cyto.session.commands import run
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.annotate._class_palette import Palette, coarse_sentence
from napari_cyto.widgets.docks.annotate._outline_all import OutlineAll
from napari_cyto.widgets.docks.annotate._selection_box import SelectionBox
from napari_cyto.widgets.docks.annotate.tool_row import BoxSize, ToolRow, hint_of
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.controls import Check, Choice
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.docks.slides.scheme_dialog import SchemeDialog


class AnnotateDock(Dock):
    """Everything one needs while marking cells."""

    title = "Annotate"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.tools = ToolRow()
        self.palette_rows = Palette()
        self.box_size = BoxSize()
        self.coarse = parts.text(colour=style.QUIET)
        self.edit_classes = parts.button(
            "Classes…",
            "Opens a dialog to rename, recolour, add or remove classes, assign keys, or load a scheme.",
            self.open_scheme,
            name="edit classes",
        )
        self.selection = SelectionBox(session)
        self.outline_all = OutlineAll(session)
        self.outline_section = Section(
            "Outline all cells", self.outline_all, tip="Outlines for the cells that have a point or a box."
        )
        self.review = ReviewBox(session)
        self.undo = parts.button("Undo", hint_of("undo"), lambda: self.do(session.history.undo), icon="undo")
        self.redo = parts.button("Redo", hint_of("redo"), lambda: self.do(session.history.redo), icon="redo")
        self.undo_words = parts.text(colour=style.QUIET)
        self.saved = parts.text()
        self._lay_out()
        self._connect()
        self._show_project()

    def _lay_out(self) -> None:
        blocks: tuple[QWidget, ...] = (
            self.saved,
            self.tools,
            _line(),
            self.palette_rows,
            parts.row(self.box_size, self.edit_classes, stretch=0),
            _line(),
            # Above its field for notes nothing takes one line now and two the next time: it stays under the hand.
            self.selection,
            _line(),
            parts.row(self.undo, self.redo),
            self.undo_words,
            self.coarse,
            _line(),
            self.outline_section,
            _line(),
            parts.text("Step through annotations", bold=True),
            self.review,
        )
        for block in blocks:
            self.body.addWidget(block)
        self.body.addStretch(1)

    def _connect(self) -> None:
        session = self.session
        self.tools.chosen.connect(self._take_tool)
        self.palette_rows.chosen.connect(self._choose_class)
        self.box_size.changed.connect(self._set_box)
        self.listen(session.project_changed, self._show_project)
        self.listen(session.slide_changed, self._show_counts)
        self.listen(session.slide_changed, self.outline_all.refresh)
        self.listen(session.class_changed, self._show_class)
        self.listen(session.tool_changed, self._show_tool)
        self._after_edit = self.later(self._annotations_changed)
        self.listen(session.annotations_changed, self._after_edit)
        self.listen(session.replaced_changed, self._after_edit)
        self.listen(session.selection_changed, self.selection.refresh)
        self.listen(session.filter_changed, self.selection.refresh)

    def cancel_jobs(self) -> None:
        """Ask the outlines that are being drawn to stop; those drawn stay."""
        self.outline_all.job.stop()

    def let_go(self) -> None:
        """Stop listening, and stop what runs."""
        super().let_go()
        self.outline_all.job.close_job()

    def _choose_class(self, class_id: str) -> None:
        self.do(self.session.edits.choose_class, class_id)
        # A row goes down by itself, but what is selected may have got the class instead.
        self.palette_rows.show_current(self.session.current_class)

    def _take_tool(self, tool: Tool) -> None:
        run(self.session, f"tool.{tool.value}")

    def _set_box(self, um: float) -> None:
        if self.session.current_class:
            self.do(self.session.edits.set_box_um, self.session.current_class, um)

    def open_scheme(self) -> None:
        """Show the classes for editing."""
        if self.session.project is not None:
            SchemeDialog(self.session, self).exec()

    def _show_project(self) -> None:
        for widget in (self.tools, self.edit_classes, self.review):
            widget.setEnabled(self.session.project is not None)
        self.outline_all.refresh()
        self._show_class()
        self._show_tool()
        self._annotations_changed()

    def _show_class(self) -> None:
        project = self.session.project
        scheme = project.scheme if project is not None else None
        self.palette_rows.show_scheme(scheme)
        self.palette_rows.show_current(self.session.current_class)
        self.review.show_scheme(scheme)
        current = self.session.current_class
        self.box_size.show_class(scheme[current] if scheme is not None and current in scheme else None)
        self._show_counts()

    def _show_tool(self) -> None:
        self.tools.show_tool(self.session.tool)

    def _annotations_changed(self) -> None:
        self._show_counts()
        self._show_undo()
        self.selection.refresh()

    def _show_counts(self) -> None:
        project, slide = self.session.project, self.session.slide
        if project is None:
            self.coarse.setText("")
            self.coarse.hide()
            return
        in_project = project.counts()
        here = project.counts(slide.id) if slide is not None else {}
        self.palette_rows.show_counts(here, in_project)
        words = coarse_sentence(project.scheme, here)
        self.coarse.setText(words)
        self.coarse.setVisible(bool(words))

    def _show_undo(self) -> None:
        project, author = self.session.project, self.session.author
        back = project.can_undo(author) if project is not None else None
        again = project.can_redo(author) if project is not None else None
        self.undo.setEnabled(back is not None)
        self.redo.setEnabled(again is not None)
        words = [f"Undo: {back}"] if back is not None else ["Nothing to undo"]
        if again is not None:
            words.append(f"Redo: {again}")
        self.undo_words.setText("\n".join(words))
        self._show_saved()

    def _show_saved(self) -> None:
        project = self.session.project
        if project is None:
            self.saved.setText("To start, open or create a project in the Slides dock.")
            return
        if self.session.replaced:
            self.saved.setText("NOT saved: the project's file was replaced. Choose above the slide how to continue.")
            self.saved.setToolTip(self.session.replaced)
            return
        if not project.writable or project.damage:
            why = "the project is damaged" if project.damage else "no write permission"
            self.saved.setText(f"Read-only: {why}. Nothing can be saved.")
            self.saved.setToolTip(project.damage)
            return
        total = counted(sum(project.counts().values()), "annotation")
        at = project.saved_at
        self.saved.setText(f"Saved {at.astimezone():%H:%M:%S} – {total}" if at is not None else f"All saved: {total}")
        self.saved.setToolTip("Every change is saved immediately; there is no save button.")


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    line.setProperty("role", "line")
    return line


class ReviewBox(QWidget):
    """Previous and next annotation on the slide, of one class or all, reviewed or not."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.which = Choice()
        self.which.setToolTip("Class that the buttons below step through.")
        self.which.setAccessibleName("class to step through")
        self.which.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.which.activated.connect(lambda _index: parts.focus_canvas(self))
        self.unreviewed = Check("Unreviewed predictions only")
        self.unreviewed.setToolTip("Steps only through predictions that nobody has accepted or rejected.")
        self.unreviewed.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.unreviewed.clicked.connect(lambda _on: parts.focus_canvas(self))
        self.previous = parts.button(
            "", hint_of("previous"), lambda: self._step(-1), icon="previous", name="previous annotation"
        )
        self.next = parts.button("", hint_of("next"), lambda: self._step(1), icon="next", name="next annotation")
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (parts.row(self.which, self.previous, self.next, stretch=0), self.unreviewed):
            layout.addWidget(widget)

    def show_scheme(self, scheme: ClassScheme | None) -> None:
        """Offer the classes of ``scheme``; the choice made before stays where it can."""
        before = self.which.currentData()
        self.which.clear()
        self.which.addItem("Every class", None)
        for cell_class in scheme.classes if scheme is not None else ():
            self.which.addItem(style.swatch_icon(cell_class.colour), f"Only {cell_class.id}", cell_class.id)
        self.which.setCurrentIndex(max(0, self.which.findData(before)))

    def _step(self, step: int) -> None:
        with self.session.telling():
            self.session.view.step(step, class_id=self.which.currentData(), unreviewed=self.unreviewed.isChecked())
