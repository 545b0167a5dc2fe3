"""The dialog that makes a project: its name, its place, its classes."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QFileDialog, QFormLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.errors import CytoError, SchemeError
from napari_cyto.formats.schemes import load_scheme
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.slides.open_paths import free_folder
from napari_cyto.widgets.docks.slides.scheme_dialog import FILE_FILTER

PRESET_WORDS = {
    "bethesda": "Bethesda: squamous categories",
    "bethesda-full": "Bethesda: with glandular categories and organisms",
    "bethesda-4": "Bethesda: four classes",
    "apacc": "APACC: healthy, unhealthy, mixed group, artefact",
    "ki67": "Ki-67: positive and negative cells",
}


class NewProjectDialog(QDialog):
    """Asks for a name, a folder and a class scheme, and creates the project in the session."""

    def __init__(self, session: Session, parent: QWidget | None = None, place: Path | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("New project")
        self.resize(520, 260)
        self.session = session
        self._from_file: ClassScheme | None = None
        self.name = _line("My smears", "Name of the project and of its folder")
        self.place = _line(str(place or Path.home()), "Folder in which the project folder is created")
        self.browse = parts.button("Choose…", "Opens a dialog to choose the folder.", self._ask_place)
        self.scheme = Choice()
        self.scheme.setToolTip("Classes that a cell can have; they can be changed later.")
        self.scheme.setAccessibleName("classes")
        self.scheme.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for name in PRESETS:
            self.scheme.addItem(PRESET_WORDS.get(name, name), name)
        self.scheme.currentIndexChanged.connect(lambda _index: self._preview())
        self.load = parts.button("From a file…", "Loads the classes from a YAML or JSON file.", self._ask_load)
        self.classes = parts.text(colour=style.QUIET)
        self.problem = parts.text(colour=style.BAD)
        self.create = parts.button("Create project", "Creates the folder and opens the project.", self.make)
        self.create.setDefault(True)
        self.leave = parts.button("Cancel", "Closes this window without creating a project.", self.reject)
        self._lay_out()
        self._preview()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Name", self.name)
        form.addRow("Folder", parts.row(self.place, self.browse, stretch=0))
        form.addRow("Classes", parts.row(self.scheme, self.load, stretch=0))
        form.addRow("", self.classes)
        low = QHBoxLayout()
        low.addStretch(1)
        low.addWidget(self.leave)
        low.addWidget(self.create)
        outer = QVBoxLayout(self)
        outer.addLayout(form)
        outer.addWidget(self.problem)
        outer.addStretch(1)
        outer.addLayout(low)

    def chosen_scheme(self) -> ClassScheme:
        """Return the classes that the project begins with.

        Raises
        ------
        SchemeError
            When a file was chosen that is not one.
        """
        name = self.scheme.currentData()
        if name:
            return preset(name)
        if self._from_file is None:
            raise SchemeError("Choose a class scheme.")
        return self._from_file

    def load_file(self, path: Path) -> None:
        """Loads the classes from a YAML or JSON file."""
        try:
            self._from_file = load_scheme(path)
        except CytoError as error:
            self.problem.setText(str(error))
            return
        self.problem.setText("")
        if self.scheme.findData("") < 0:
            self.scheme.addItem("", "")
        self.scheme.setItemText(self.scheme.findData(""), f"From {path.name}")
        self.scheme.setCurrentIndex(self.scheme.findData(""))
        self._preview()

    def make(self) -> None:
        """Create the project and open it, or say why not and stay open."""
        name = self.name.text().strip()
        if not name or any(sign in name for sign in '/\\:*?"<>|\0') or name.startswith("."):
            self.problem.setText('Expected a project name without / \\ : * ? " < > | that does not start with a dot.')
            return
        try:
            self.session.projects.create(free_folder(Path(self.place.text()), name), self.chosen_scheme(), name)
        except CytoError as error:
            self.problem.setText(str(error))
            return
        self.accept()

    def _preview(self) -> None:
        self.classes.setText(", ".join(c.id for c in self.chosen_scheme().classes))

    def _ask_place(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for the project", self.place.text())
        if chosen:
            self.place.setText(chosen)

    def _ask_load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Load classes", "", FILE_FILTER)
        if chosen:
            self.load_file(Path(chosen))


def _line(words: str, tip: str) -> QLineEdit:
    made = QLineEdit(words)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made
