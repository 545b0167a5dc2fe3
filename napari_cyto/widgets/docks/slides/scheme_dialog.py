"""The classes of a project, for editing: a table, a file to load or save, and one button that makes it so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qtpy.QtWidgets import QDialog, QFileDialog, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.errors import CytoError
from napari_cyto.formats.schemes import load_scheme, save_scheme
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.slides._scheme_rows import HEADINGS, SchemeRow

FILE_FILTER = "Class schemes (*.yaml *.yml *.json)"
# Source: Paul Tol's muted colours, for when those below are used up.
MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#882255")
# Safe for the colour-blind, in the order in which new classes get them. Source: Okabe and Ito 2008.
NEW_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", *MUTED)


class SchemeDialog(QDialog):
    """Edits the class scheme of the session's project; nothing changes before ``Use these classes``."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Classes of this project")
        self.resize(820, 460)
        self.session = session
        self.rows: list[SchemeRow] = []
        self._scheme = session.need_project().scheme
        self._counts: Mapping[str | None, int] = session.need_project().counts()
        self._grid = QGridLayout()
        self._grid.setColumnStretch(2, 1)
        self.problem = parts.text(colour=style.BAD)
        self.add = parts.button("Add a class", "Adds an empty row for a new class.", self.add_row, icon="add")
        self.load = parts.button(
            "Load from file…", "Loads the classes from a YAML or JSON file.", self._ask_load, icon="open"
        )
        self.save = parts.button(
            "Save to file…",
            "Saves these classes to a file for other projects.",
            self._ask_save,
            icon="export",
        )
        self.use = parts.button("Save classes", "Saves these classes in the project.", self.accept_rows, icon="accept")
        self.use.setDefault(True)
        self.leave = parts.button("Cancel", "Closes this window; the classes stay as they were.", self.reject)
        self._lay_out()
        self.show_scheme(self._scheme)

    def _lay_out(self) -> None:
        table = QWidget()
        holder = QVBoxLayout(table)
        holder.addLayout(self._grid)
        holder.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(table)
        for place, heading in enumerate(HEADINGS):
            label = parts.text(heading, bold=True)
            label.setWordWrap(False)
            label.setSizePolicy(label.sizePolicy().Policy.Preferred, label.sizePolicy().Policy.Fixed)
            self._grid.addWidget(label, 0, place)
        low = QHBoxLayout()
        for made in (self.add, self.load, self.save):
            low.addWidget(made)
        low.addStretch(1)
        for made in (self.leave, self.use):
            low.addWidget(made)
        outer = QVBoxLayout(self)
        outer.addWidget(parts.text("Each class has a colour, a name and, optionally, a key from 1 to 9."))
        outer.addWidget(scroll, 1)
        outer.addWidget(self.problem)
        outer.addLayout(low)

    def show_scheme(self, scheme: ClassScheme) -> None:
        """Fill the table with the classes of ``scheme``."""
        self._scheme = scheme
        for old in list(self.rows):
            self._drop(old)
        for cell_class in scheme.classes:
            self._append(cell_class, self._counts.get(cell_class.id, 0))

    def add_row(self) -> None:
        """Add a row for a new class, with a colour and a key that are still free where there are any."""
        used = {r.colour for r in self.rows}
        keys = {r.key.currentText() for r in self.rows}
        colour = next((c for c in NEW_COLOURS if c not in used), NEW_COLOURS[0])
        key = next((k for k in "123456789" if k not in keys), "")
        made = self._append(CellClass(id="new", name="", colour=colour, key=key), None)
        made.short.setFocus()
        made.short.selectAll()

    def value(self) -> ClassScheme:
        """Return the scheme as the table says.

        Raises
        ------
        SchemeError
            When two classes share a name or key, or one has no name.
        """
        ids = {r.short.text().strip() for r in self.rows}
        classes = tuple(r.value() for r in self.rows)
        # A class whose coarser class was taken out stands for itself.
        kept = tuple(c if c.parent in ids or c.parent is None else replace(c, parent=None) for c in classes)
        return ClassScheme(self._scheme.name, self._scheme.version, kept)

    def accept_rows(self) -> None:
        """Store the classes in the project, or say what is wrong with them and stay open."""
        try:
            scheme = self.value()
            self.session.need_project().set_scheme(scheme)
        except CytoError as error:
            self.problem.setText(str(error))
            return
        if self.session.current_class not in scheme:
            self.session.select(())
            self.session.edits.choose_class(scheme.ids[0])
        self.session.class_changed.emit()
        self.session.annotations_changed.emit(None)
        self.accept()

    def load_file(self, path: Path) -> None:
        """Fill the table from a YAML or JSON file; the project changes only with ``Use these classes``."""
        try:
            self.show_scheme(load_scheme(path))
            self.problem.setText("")
        except CytoError as error:
            self.problem.setText(str(error))

    def save_file(self, path: Path) -> None:
        """Write the table to a YAML or JSON file."""
        try:
            save_scheme(self.value(), path)
            self.problem.setText("")
        except CytoError as error:
            self.problem.setText(str(error))

    def _ask_load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Load classes", "", FILE_FILTER)
        if chosen:
            self.load_file(Path(chosen))

    def _ask_save(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Save classes", "classes.yaml", FILE_FILTER)
        if chosen:
            self.save_file(Path(chosen))

    def _append(self, cell_class: CellClass, count: int | None) -> SchemeRow:
        made = SchemeRow(cell_class, count, self._drop)
        place = self._grid.rowCount()
        for column, widget in enumerate(made.widgets):
            self._grid.addWidget(widget, place, column)
        self.rows.append(made)
        return made

    def _drop(self, old: SchemeRow) -> None:
        self.rows.remove(old)
        for widget in old.widgets:
            self._grid.removeWidget(widget)
            parts.discard(widget)
