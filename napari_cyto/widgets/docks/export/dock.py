"""Dock Export: what goes where, a look at it before anything is written, and one click that does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices, QShowEvent
from qtpy.QtWidgets import QFileDialog, QLineEdit, QMessageBox, QWidget

from napari_cyto.datasets import ApaccExportOptions, export_fields
from napari_cyto.datasets.export.apacc import ApaccExport
from napari_cyto.datasets.export.image_sets.job import ImageSetExport
from napari_cyto.datasets.export.labels import LabelExport
from napari_cyto.datasets.splits.leaks import LEAK_WORDS
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import OVERWRITE_WORDS
from napari_cyto.formats import FORMATS, WRITTEN
from napari_cyto.jobs.events import Done, Failed
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.export._class_map import ApaccMap
from napari_cyto.widgets.docks.export._image_set_form import ImageSetForm
from napari_cyto.widgets.docks.export._request import (
    ExportRequest,
    has_image_sets,
    hidden_options,
    is_divided,
    is_folder,
)
from napari_cyto.widgets.docks.export._split_preview import SET_WORDS, SplitPreview
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.options_form import OptionsForm
from napari_cyto.widgets.docks.run_when_visible import WhenSeen
from napari_cyto.widgets.docks.section import Section

PREVIEW_AFTER_MS = 400
LEAK_SENTENCE = (
    "Cells of the same smear, patient or image would be in both the training and the test set, so the test "
    "would prove nothing. To export anyway, give a reason; it is saved in the export."
)


class ExportDock(Dock):
    """Format, folder, preview, export."""

    title = "Export"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.format = Choice()
        self.format.setToolTip("Purpose of the files")
        self.format.setAccessibleName("format")
        self.format.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for name in sorted(WRITTEN, key=lambda name: not WRITTEN[name].capabilities.slices):
            self.format.addItem(FORMATS[name].title, name)
        self.about = parts.text(colour=style.QUIET)
        self.target = QLineEdit()
        self.target.setToolTip(
            "Destination of the export; an earlier export there is replaced once the new one is complete."
        )
        self.target.setAccessibleName("target")
        self.target.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.browse = parts.button("Choose…", "Opens a dialog to choose the destination.", self.ask_target, icon="open")
        self._suggested = ""
        self.class_map = ApaccMap()
        self.image_set = ImageSetForm()
        self.form = OptionsForm()
        self.options = Section("Options", self.form, tip="How the files are written; the defaults suit most uses.")
        self.look = parts.button(
            "Preview", "Shows and checks what will be written; nothing is written yet.", self.preview, icon="find"
        )
        self.looking = JobBar()
        self.shown = SplitPreview()
        self.leak_words = parts.text(LEAK_SENTENCE, colour=style.BAD)
        self.leak_reason = QLineEdit()
        self.leak_reason.setPlaceholderText("Reason for exporting anyway")
        self.leak_reason.setToolTip("Why this export may share data between the training and the test set.")
        self.leak_reason.setAccessibleName("reason for a leak")
        self.leak_reason.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.go = parts.button("Export", "Writes the export.", lambda: self.export(), icon="export")
        self.bar = JobBar()
        self.open_folder = parts.button(
            "Open folder", "Opens the folder of the export.", self._open_folder, icon="open"
        )
        self._written: Path | None = None
        # Of the export that runs or ran last; the controls may ask for another one meanwhile.
        self._confirmed_target, self._going_to = "", Path()
        self._preview_soon = WhenSeen(self, self.preview, PREVIEW_AFTER_MS)
        self._lay_out()
        self._connect()
        self._show_format()
        self._show_project()

    def _lay_out(self) -> None:
        for widget in (
            parts.text("Format", bold=True),
            self.format,
            self.about,
            parts.text("Write to", bold=True),
            parts.row(self.target, self.browse, stretch=0),
            self.image_set,
            self.class_map,
            self.options,
            self.look,
            self.looking,
            self.shown,
        ):
            self.body.addWidget(widget)
        self.body.addStretch(1)
        for widget in (self.leak_words, self.leak_reason, self.bar, parts.row(self.go, self.open_folder)):
            self.footer.addWidget(widget)
        self.footer.setContentsMargins(6, 4, 6, 6)
        # There from the beginning, so that the other button keeps its place under the hand.
        self.open_folder.setEnabled(False)
        self._show_leak(False)

    def _connect(self) -> None:
        self.format.currentIndexChanged.connect(lambda _index: self._show_format())
        self.form.changed.connect(self._form_changed)
        self.image_set.changed.connect(self._images_changed)
        self.class_map.changed.connect(self._form_changed)
        self.leak_reason.textChanged.connect(lambda _words: self._reasoned())
        self.target.textChanged.connect(lambda _words: self._forget_outcome())
        self.looking.ended.connect(self._looked)
        self.bar.ended.connect(self._ended)
        self.listen(self.session.project_changed, self._show_project)
        self.listen(self.session.slide_changed, self.later(self._slide_changed))
        self.listen(self.session.annotations_changed, self.later(self._on_annotations_changed))

    # What the user asks for

    def request(self) -> ExportRequest:
        """Return what the controls ask for.

        Raises
        ------
        CytoError
            When no project is open or an option is out of its range.
        """
        project = self.session.need_project()
        return ExportRequest(
            format=self.format.currentData(),
            project_folder=project.folder,
            target=Path(self.target.text().strip()),
            options=self._options(),
            image_set=self.image_set.values() if has_image_sets(self.format.currentData()) else {},
            leak_reason=self.leak_reason.text().strip() if self.leak_reason.isVisibleTo(self) else "",
        )

    def _options(self) -> dict[str, Any]:
        mapped = self.class_map.option()
        return self.form.values() | ({} if mapped is None else {"class_map": mapped})

    def preview(self) -> None:
        """Look at what would be written, in a child process."""
        try:
            function, kwargs = self.request().look_ahead()
        except CytoError as error:
            self.shown.clear()
            self.looking.say(str(error), style.BAD)
            return
        self._preview_soon.stop()
        self.shown.clear()
        self.looking.run(function, kwargs, "Checking what will be written…")

    def export(self, overwrite: bool = False) -> None:
        """Write the export, in a child process; ``overwrite`` is whether a file that is no export may be replaced."""
        if not self.target.text().strip():
            self.bar.say("Choose a destination first.", style.BAD)
            return
        try:
            function, kwargs = replace(self.request(), overwrite=overwrite).job()
        except CytoError as error:
            self.bar.say(str(error), style.BAD)
            return
        self._forget_outcome()
        self.go.setEnabled(False)
        self._confirmed_target = f"{Path(self.target.text().strip()).name} ({self.format.currentText()})"
        self._going_to = Path(self.target.text().strip())
        self.bar.run(function, kwargs, "Starting…")

    def ask_target(self) -> None:
        """Ask where the export goes."""
        chosen_format = FORMATS[self.format.currentData()]
        if is_folder(chosen_format.name, self.image_set.mode):
            chosen = QFileDialog.getExistingDirectory(self, "Folder for the export", self.target.text())
        else:
            suffix = chosen_format.suffix
            chosen, _ = QFileDialog.getSaveFileName(
                self, "File for the export", self.target.text(), f"{chosen_format.title} (*{suffix})"
            )
        if chosen:
            self.target.setText(chosen)

    def let_go(self) -> None:
        """Stop listening, and stop what still runs: a target is whole or untouched."""
        super().let_go()
        self._preview_soon.stop()
        self.cancel_jobs()
        self.looking.close_job()
        self.bar.close_job()

    def cancel_jobs(self) -> None:
        """Ask what still runs to stop, without waiting for it."""
        for bar in (self.bar, self.looking):
            bar.stop()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Look ahead as soon as the dock is looked at."""
        super().showEvent(event)
        self._show_map()
        self._stale()

    # What comes back

    def _looked(self, event: object) -> None:
        if isinstance(event, Done):
            self.looking.say("")
            self.shown.show_preview(event.result)
            self._show_leak(any(f.leak for f in event.result.findings))

    def _ended(self, event: object) -> None:
        self._enable()
        divided = is_divided(self.format.currentData(), self.image_set.mode)
        if isinstance(event, Failed) and divided and LEAK_WORDS in event.message:
            # Pictures are compared while writing, so this leak the preview could not know.
            self._show_leak(True)
        if isinstance(event, Failed) and OVERWRITE_WORDS in event.message:
            self.bar.say(event.message.replace(f", or allow it {OVERWRITE_WORDS}", ""), style.BAD)
            self._ask_overwrite()
        if isinstance(event, Done):
            self._written = self._going_to
            self.bar.say(f"{self._confirmed_target}: {done_words(event.result)}", style.GOOD)
            self.open_folder.setEnabled(True)

    def _ask_overwrite(self) -> None:
        """Ask whether a file that is no export, or was changed since, shall be replaced."""
        name = Path(self.target.text().strip()).name
        answer = QMessageBox.question(
            self,
            "Replace existing files",
            (f"{name} exists and was not written by an export of this project. Replace it? Its contents will be lost."),
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        if answer == QMessageBox.StandardButton.Yes:
            self.export(overwrite=True)

    def _open_folder(self) -> None:
        if self._written is not None:
            folder = self._written if self._written.is_dir() else self._written.parent
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def _show_format(self) -> None:
        name = self.format.currentData()
        self.about.setText(FORMATS[name].description)
        self.image_set.setVisible(has_image_sets(name))
        self.form.show_model(export_fields(name), hidden_options(name))
        self.options.setVisible(bool(self.form.controls))
        self._suggest_target()
        self._show_map()
        self._show_leak(False)
        self._stale()

    def _show_project(self) -> None:
        self._suggest_target()
        self._show_map()
        self._stale()

    def _form_changed(self) -> None:
        self._show_map()
        self._stale()

    def _images_changed(self) -> None:
        # A place that a person chose stays; a file and a folder are proposed under different names.
        if self.target.text() == self._suggested:
            self._suggest_target()
        self._show_leak(False)
        self._stale()

    def _on_annotations_changed(self) -> None:
        # Marks are made fast, and nobody sees this dock meanwhile.
        if self.isVisible():
            self._show_map()
            self._stale()

    def _slide_changed(self) -> None:
        """A scale that was told may end what kept an export from being written."""
        if self.isVisible():
            self._stale()

    def _reasoned(self) -> None:
        self._forget_outcome()
        self._enable()

    def _forget_outcome(self) -> None:
        """Take away what was said of an export that the controls, or the cells, do not stand for any more."""
        if not self.bar.running:
            self.bar.say("")
            self.open_folder.setEnabled(False)

    def _show_map(self) -> None:
        """Ask for counterparts where the format and the classes in use need them."""
        needed = self._slices()
        control = self.form.controls.get("include_proposed")
        is_included = control is not None and bool(control.read())
        statuses = ApaccExportOptions(include_proposed=is_included).statuses
        self.class_map.show_project(self.session.project if needed else None, statuses)
        self._enable()

    def _slices(self) -> bool:
        """Whether the format is one of slices, with a split and classes of its own."""
        return FORMATS[self.format.currentData()].capabilities.slices

    def _suggest_target(self) -> None:
        project = self.session.project
        if project is None:
            self.target.setText("")
            return
        name = self.format.currentData()
        suffix = "" if is_folder(name, self.image_set.mode) else FORMATS[name].suffix
        self._suggested = str(project.folder.parent / f"{project.folder.stem} {name}{suffix}")
        self.target.setText(self._suggested)

    def _show_leak(self, leak: bool) -> None:
        self.leak_words.setVisible(leak)
        self.leak_reason.setVisible(leak)
        self._enable()

    def _enable(self) -> None:
        leaks = self.leak_reason.isVisibleTo(self) and not self.leak_reason.text().strip()
        unmapped = self.class_map.open_classes()
        ready = self.session.project is not None
        self.look.setEnabled(ready and not unmapped)
        self.go.setEnabled(ready and not leaks and not unmapped and not self.bar.running)
        tip = "Give a reason above first." if leaks else "Writes the export."
        self.go.setToolTip(f"Choose a class for {', '.join(unmapped)} first." if unmapped else tip)

    def _stale(self) -> None:
        self._forget_outcome()
        if self.class_map.open_classes():
            self._preview_soon.stop()
            self.shown.clear()
            self.looking.say("")
        elif self.isVisible() and self.session.project is not None:
            self._preview_soon.ask()


def done_words(result: ApaccExport | ImageSetExport | LabelExport) -> str:
    """Return what an export wrote, in words."""
    if isinstance(result, ImageSetExport):
        pieces = [
            f"{str(SET_WORDS.get(name, name)).lower()} set {counted(n, 'image')} with "
            f"{counted(sum(result.counts.get(name, {}).values()), 'box', 'boxes')}"
            for name, n in result.images.items()
            if n
        ]
        return f"written, {'; '.join(pieces)}."
    if isinstance(result, ApaccExport):
        smear_counts = [
            (", ".join(f"{parts.number(n)} {name}" for name, n in classes.items()) or "nothing") + f" to {side}"
            for side, classes in result.counts.items()
        ]
        return "written, " + "; ".join(smear_counts) + "."
    return f"written, {counted(result.annotations, 'annotation')} of {counted(result.slides, 'slide')}."
