"""Where a training run takes its cells from: the open project, and whatever else is added to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QMenu, QToolButton, QVBoxLayout, QWidget

from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.errors import CytoError
from napari_cyto.store import Project
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check

Kind = Literal["cric", "apacc", "folders", "project", "images"]
CHOICES: tuple[tuple[Kind, str, str], ...] = (
    ("project", "Another project…", "Adds the annotations of another project; nothing in it is changed."),
    ("cric", "CRIC folder…", "Adds a folder with CRIC's images and classifications.csv or cells.csv."),
    (
        "apacc",
        "APACC tree…",
        ("Adds an APACC folder: train and test, slices and their label files, or crops by class."),
    ),
    (
        "folders",
        "Class folders…",
        ("Adds a folder with one subfolder per class and one image per cell, as in the Herlev set."),
    ),
    (
        "images",
        "Slides without labels…",
        "Adds every slide and image below a folder; only an encoder learns from them.",
    ),
)
KIND_WORDS = {
    "project": "Project",
    "cric": "CRIC",
    "apacc": "APACC",
    "folders": "Class folders",
    "images": "Without labels",
}
# CRIC says its own scale and classes, and so does a project.
KINDS_WITH_OPTIONS = {"apacc", "folders", "images"}
OPTIONS_TIP = (
    "If needed: pixel size in µm, such as 0.25, and class map, such as normal=NILM or map=herlev, separated by commas."
)


class SourceRow(QWidget):
    """One added source: what it is, its options, and a button that takes it out."""

    changed = Signal()

    def __init__(self, spec: SourceSpec, removed: Callable[[SourceRow], object]) -> None:
        super().__init__()
        self._place = replace(spec, mpp=None, map_name="", class_map=(), smear="")
        self.words = parts.text(f"{KIND_WORDS[spec.kind]}: {parts.breakable(spec.path.name)}")
        self.words.setToolTip(str(spec.path))
        self.options = QLineEdit(str(spec)[len(str(self._place)) + 1 :])
        self.options.setPlaceholderText("µm per px and class map, if needed")
        self.options.setToolTip(OPTIONS_TIP)
        self.options.setAccessibleName(f"options of {spec.path.name}")
        self.options.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.options.editingFinished.connect(self.changed.emit)
        self.options.setVisible(spec.kind in KINDS_WITH_OPTIONS)
        self.remove = parts.button(
            "", "Removes this source.", lambda: removed(self), icon="delete", name=f"remove {spec.path.name}"
        )
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(parts.row(self.words, self.remove, stretch=0))
        layout.addWidget(self.options)

    def text(self) -> str:
        """Return the source as ``--data`` takes it."""
        options = self.options.text().strip()
        return f"{self._place}@{options}" if options else str(self._place)


class TrainSources(QWidget):
    """The sources of a run; ``changed`` speaks when the user changes them."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._project: Project | None = None
        self.own = Check("This project")
        self.own.setToolTip("Trains on the annotations of the open project.")
        self.own.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.own.setChecked(True)
        self.own.toggled.connect(lambda _on: self.changed.emit())
        self.rows: list[SourceRow] = []
        self._list = QVBoxLayout()
        parts.tighten(self._list)
        self.add = QToolButton()
        self.add.setText("Add cells from…")
        self.add.setIcon(style.icon("add"))
        self.add.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.add.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.add.setToolTip("Adds a data set on disk or another project.")
        self.add.setAccessibleName("add a source")
        self.add.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.menu = QMenu(self.add)
        self.menu.setToolTipsVisible(True)
        for kind, words, tip in CHOICES:
            action = self.menu.addAction(words)
            action.setToolTip(tip)
            action.triggered.connect(lambda _checked=False, kind=kind: self.ask(kind))
        self.add.setMenu(self.menu)
        self.problem = parts.text(colour=style.BAD)
        self.problem.hide()
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(self.own)
        layout.addLayout(self._list)
        layout.addWidget(self.add, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.problem)
        self.show_project(None)

    def show_project(self, project: Project | None) -> None:
        """Offer ``project`` as the first source."""
        self._project = project
        self.own.setEnabled(project is not None)
        self.own.setText(f"This project: {project.name}" if project is not None else "This project (none is open)")

    def texts(self) -> tuple[str, ...]:
        """Return the chosen sources as ``--data`` takes them."""
        own = [str(self._project.folder)] if self._project is not None and self.own.isChecked() else []
        return (*own, *(row.text() for row in self.rows))

    def ask(self, kind: Kind) -> None:
        """Ask for the folder of a source and add it."""
        title = next(words for name, words, _ in CHOICES if name == kind).rstrip("…")
        chosen = QFileDialog.getExistingDirectory(self, title)
        if chosen:
            self.add_source(SourceSpec(kind, Path(chosen)))

    def add_source(self, source: SourceSpec | str) -> None:
        """Add a source, or say what is wrong with it."""
        try:
            spec = parse_source(source) if isinstance(source, str) else source
        except CytoError as error:
            self._say(str(error))
            return
        if not spec.path.is_dir():
            self._say(f"Expected a folder with cells, got {spec.path}.")
            return
        self._say("")
        row = SourceRow(spec, self._remove)
        row.changed.connect(self.changed.emit)
        self.rows.append(row)
        self._list.addWidget(row)
        self.changed.emit()

    def set_texts(self, texts: tuple[str, ...]) -> None:
        """Show exactly these sources, as from an earlier run."""
        for row in tuple(self.rows):
            self._take(row)
        own = "" if self._project is None else str(self._project.folder)
        self.own.setChecked(own in texts)
        for each in texts:
            if each != own:
                self.add_source(each)

    def _remove(self, row: SourceRow) -> None:
        self._take(row)
        self.changed.emit()

    def _take(self, row: SourceRow) -> None:
        self.rows.remove(row)
        self._list.removeWidget(row)
        parts.discard(row)

    def _say(self, words: str) -> None:
        self.problem.setText(words)
        self.problem.setVisible(bool(words))
