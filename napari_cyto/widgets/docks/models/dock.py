"""Dock Models: the library of models, what each is worth, and which one proposes cells in this project."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QListWidget, QListWidgetItem, QMessageBox, QWidget

from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Done
from napari_cyto.models.library import Entry, add_model, list_models, remove_model, verify_model
from napari_cyto.models.onnx_jobs import export_network
from napari_cyto.models.project_models import fit_of, is_used, use_model
from napari_cyto.models.suitability import Fit
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.models._card import ModelCard
from napari_cyto.widgets.docks.models._network_dialog import NetworkDialog

_MODEL = Qt.ItemDataRole.UserRole
LIST_PX = 132
EMPTY = "No models yet. Train one in the Train dock, or add one from a folder."


class ModelsDock(Dock):
    """Lists, shows, adds, removes, verifies models, and makes one the project's."""

    title = "Models"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.list = QListWidget()
        self.list.setToolTip("Model library: built-in models and your own. Ticked models are used in this project.")
        self.list.setAccessibleName("models")
        self.list.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.list.setWordWrap(True)
        self.list.setFixedHeight(LIST_PX)
        self.list.currentItemChanged.connect(lambda *_items: self._choose())
        self.add = parts.button("Add…", "Copies a model from its folder into the library.", self.ask_add, icon="add")
        self.add_own = parts.button(
            "Add network…",
            "Makes a model of a network of your own, which is in an ONNX file.",
            self.ask_network,
            icon="add",
        )
        self.give = parts.button(
            "Export ONNX…",
            "Gives this model away: the network as ONNX, its card, and a test vector.",
            self.ask_export,
            icon="export",
        )
        self.bar = JobBar()
        self.bar.ended.connect(self._exported)
        self.verify = parts.button(
            "Verify", "Reads the whole model and compares its hash with the one on its card.", self.verify_current
        )
        self.remove = parts.button(
            "Remove…",
            "Deletes this model from your library. Built-in models stay.",
            self.ask_remove,
            icon="delete",
        )
        self.use = parts.button(
            "Use in this project",
            "Makes this model the one of its kind that is used in this project.",
            self.use_current,
            icon="check",
        )
        self.fit = parts.text(selectable=True)
        self.words = parts.text(selectable=True)
        self.card = ModelCard()
        for widget in (
            self.list,
            parts.row(self.add, self.verify, self.remove),
            parts.row(self.add_own, self.give),
            self.bar,
            self.words,
            self.fit,
            self.card,
        ):
            self.body.addWidget(widget)
        self.body.addStretch(1)
        self.footer.addWidget(self.use)
        self.footer.setContentsMargins(6, 4, 6, 6)
        self._say("")
        self._folder: Path | None = None if session.project is None else session.project.folder
        self.listen(session.project_changed, self.later(self._show_project))
        self.refresh()

    @property
    def current(self) -> Entry | None:
        """The model that is chosen in the list."""
        item = self.list.currentItem()
        return None if item is None else item.data(_MODEL)

    def refresh(self, chosen: str = "") -> None:
        """Read the library anew and keep the choice, or choose the model called ``chosen``."""
        before = self.current
        selected = chosen or (before.name if before is not None else "")
        self.list.blockSignals(True)
        self.list.clear()
        row = 0
        for number, model in enumerate(list_models()):
            item = QListWidgetItem(list_words(model, is_used(self.session.project, model)))
            item.setData(_MODEL, model)
            item.setToolTip(str(model.path))
            if is_used(self.session.project, model):
                item.setIcon(style.icon("check", style.GOOD))
            self.list.addItem(item)
            row = number if model.name == selected else row
        self.list.setCurrentRow(row)
        self.list.blockSignals(False)
        after = self.current
        if before is None or after is None or after.name != before.name:
            self._choose()
        else:
            self._show_model()

    def use_current(self) -> None:
        """Make the chosen model the project's."""
        model = self.current
        if model is None:
            return
        try:
            name = use_model(self.session.project, model.path)
        except CytoError as error:
            self._say(str(error), style.BAD)
            return
        # Which has this dock refreshed as well.
        self.session.project_changed.emit()
        self._say(f"{name} is now this project's model.", style.GOOD)

    def verify_current(self) -> None:
        """Compare the chosen model's files with its card."""
        model = self.current
        if model is None:
            return
        try:
            checked = verify_model(model.path)
            self._say(f"{checked['id']} is intact: its weights match its card.", style.GOOD)
        except CytoError as error:
            self._say(str(error), style.BAD)

    def ask_add(self) -> None:
        """Ask for a model's folder and add it."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of a model (with model.json)")
        if chosen:
            self.add_from(Path(chosen))

    def add_from(self, folder: Path) -> None:
        """Add the model in ``folder`` to the library, or say why not."""
        try:
            name = add_model(folder).name
        except CytoError as error:
            self._say(str(error), style.BAD)
            return
        self.refresh(name)
        self._say(f"Added {name}.", style.GOOD)

    def ask_network(self) -> None:
        """Open the form for a network of one's own."""
        dialog = NetworkDialog(self)
        dialog.added.connect(self.show_added)
        dialog.exec()
        dialog.deleteLater()

    def show_added(self, name: str, remarks: str) -> None:
        """Choose a model that was just added, and say what was found out about it."""
        self.refresh(name)
        self._say(f"Added {name}. {remarks}".strip(), style.GOOD)

    def ask_export(self) -> None:
        """Ask for a folder and write the chosen model there as ONNX."""
        model = self.current
        if model is None:
            return
        chosen = QFileDialog.getExistingDirectory(self, "Folder that the files' own folder is made in")
        if chosen:
            self.export_to(Path(chosen) / f"{model.name}-onnx")

    def export_to(self, folder: Path) -> None:
        """Write the chosen model as ONNX into a new folder."""
        model = self.current
        if model is not None:
            kwargs = {"name": str(model.path), "folder": folder}
            self.bar.run(export_network, kwargs, "Exporting, and comparing what was written…")

    def ask_remove(self) -> None:
        """Ask once, then delete the chosen model."""
        model = self.current
        if model is None:
            return
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        question = f"Delete {model.name} from your library? Its predictions keep its name and hash."
        if QMessageBox.question(self, "Remove model", question, yes | no, no) == yes:
            self.remove_current()

    def remove_current(self) -> None:
        """Delete the chosen model from the library."""
        model = self.current
        if model is None:
            return
        try:
            remove_model(model.name)
        except CytoError as error:
            self._say(str(error), style.BAD)
            return
        self.refresh()
        self._say(f"Removed {model.name}.")

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Read the library anew: a run may have ended since."""
        super().showEvent(event)
        self.refresh()

    def let_go(self) -> None:
        """Stop listening, and stop what still runs."""
        super().let_go()
        self.bar.close_job()

    def _exported(self, event: object) -> None:
        if isinstance(event, Done):
            found = event.to_json()
            self._say(f"Exported to {found['folder']}: {found['compared']}.", style.GOOD)

    def _show_project(self) -> None:
        project = self.session.project
        folder = None if project is None else project.folder
        if folder != self._folder:
            # What was said was of the project before.
            self._folder = folder
            self._say("")
        self.refresh()

    def _choose(self) -> None:
        """Show another model than before; what was said of that one is over."""
        self._say("" if self.current is not None else EMPTY, style.QUIET)
        self._show_model()

    def _show_model(self) -> None:
        model, project = self.current, self.session.project
        manifest = None if model is None else model.manifest
        self.card.show_model(manifest)
        fits = fit_of(manifest, project) if manifest is not None and project is not None else None
        self._show_fit(model, fits)
        usable = fits is not None and not fits.refusals
        self.use.setEnabled(usable and model is not None and not is_used(project, model))
        self.verify.setEnabled(model is not None)
        self.remove.setEnabled(model is not None and not model.shipped)
        self.give.setEnabled(manifest is not None)

    def _show_fit(self, model: Entry | None, fits: Fit | None) -> None:
        if model is None:
            words, colour = "", ""
        elif model.fault:
            words, colour = model.fault, style.BAD
        elif fits is None:
            words, colour = "Open a project to check whether this model fits it.", style.QUIET
        elif fits.sentences:
            words, colour = " ".join(fits.sentences), style.BAD if fits.refusals else style.WARN
        else:
            is_encoder = model.manifest is not None and model.manifest.kind == "encoder"
            what = "the scale of its slides" if is_encoder else "its classes, and the scale of its slides"
            words, colour = f"Fits this project: {what}.", style.GOOD
        self.fit.setText(words)
        style.tint(self.fit, colour)
        self.fit.setVisible(bool(words))

    def _say(self, words: str, colour: str = "") -> None:
        self.words.setText(words)
        style.tint(self.words, colour)
        self.words.setVisible(bool(words))


def list_words(model: Entry, used: bool) -> str:
    """Return what the list says of a model."""
    kind = model.manifest.kind if model.manifest is not None else "cannot be read"
    where = "built in" if model.shipped else "your own"
    return f"{parts.breakable(model.name)}\n{kind}, {where}" + (", used here" if used else "")
