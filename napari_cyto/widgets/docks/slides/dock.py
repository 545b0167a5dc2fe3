"""Dock Slides: the project, its slides, and going through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_cyto.datasets.import_.source_kind import likely_format
from napari_cyto.domain.counts import counted
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.formats import FORMATS
from napari_cyto.session import Session
from napari_cyto.store.slide_details import FACTS
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.annotate.tool_row import hint_of
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.slides import _recent as recent
from napari_cyto.widgets.docks.slides._import_dialog import ImportDialog
from napari_cyto.widgets.docks.slides._interpretation_dialog import InterpretationDialog
from napari_cyto.widgets.docks.slides._new_project import NewProjectDialog
from napari_cyto.widgets.docks.slides._slide_list import SlideList
from napari_cyto.widgets.docks.slides.open_paths import SLIDE_FILTER, dropped_paths, open_paths, slides_in

WELCOME = (
    "Annotations are saved in a project: a folder with your slides and all annotations on them. Drop slides "
    "here, or start with one of these."
)


class SlidesDock(Dock):
    """Open and create projects, add slides, and go from one to the next."""

    title = "Slides"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.setAcceptDrops(True)
        self.headline = parts.text(WELCOME)
        self.new = parts.button("New…", "Creates a new project.", self.new_project, icon="new", name="new project")
        self.open = parts.button("Open…", "Opens a project folder.", self.ask_project, icon="open", name="open project")
        self.recent = parts.button(
            "Recent…", "Projects and slides that were open last.", self.offer_recent, name="recent projects and slides"
        )
        self.add = parts.button(
            "Add slides…", "Adds slide or image files to this project.", self.ask_slides, icon="add", name="add slides"
        )
        self.take = parts.button(
            "Import…",
            "Imports labels from other programs: QuPath, COCO, YOLO, APACC, CRIC, ASAP, CSV.",
            self.import_labels,
            icon="import",
            name="import labels",
        )
        self.list = SlideList()
        self.list.removed.connect(self.ask_removal)
        self.list.relink_requested.connect(self.ask_relink_of)
        self.list.search_requested.connect(self.ask_relink_folder)
        self.list.chosen.connect(lambda slide_id: self.do(session.slides.go_to, slide_id))
        self.previous = parts.button(
            "", hint_of("slide.previous"), lambda: self._step(-1), icon="previous", name="previous slide"
        )
        self.next = parts.button(
            "Next slide", hint_of("slide.next"), lambda: self._step(1), icon="next", name="next slide"
        )
        self.done = parts.toggle(
            "Done",
            "Tick when every cell of this slide is annotated.",
            self._toggle_done,
            icon="check",
            name="slide done",
        )
        self.relink = parts.button(
            "Find the missing file…", "Opens a dialog to locate the slide's file.", self.ask_relink, icon="find"
        )
        self.totals = parts.text(colour=style.QUIET)
        self.facts = parts.button(
            "Patient, smear…",
            (
                "Sets patient and smear of the selected slides; cells of one patient are never split between the "
                "training and test set.\nSelect several with Ctrl or Shift."
            ),
            lambda: self.ask_facts(self.list.chosen_ids),
            name="patient and smear",
        )
        self.interpretation = parts.button(
            "Interpretation…",
            (
                "Sets what the report says of the selected slides as a whole, or imports this from a CSV table.\n"
                "Select several with Ctrl or Shift."
            ),
            lambda: self.ask_interpretation(self.list.chosen_ids),
            name="interpretation",
        )
        self.facts_back = parts.button(
            "Undo", "Restores the previous patient, smear or interpretation of these slides.", self.undo_facts
        )
        self.facts_back.hide()
        self._facts_before: tuple[SlideRecord, ...] = ()
        self._said_before: dict[str, Interpretation | None] = {}
        self.reader = parts.button(
            "Reader…", "Sets the reader: the author of all annotations from now on.", self.ask_reader, name="reader"
        )
        self.list.facts_requested.connect(self.ask_facts)
        self.list.interpretation_requested.connect(self.ask_interpretation)
        self._lay_out()
        self.listen(session.project_changed, self._show)
        self.listen(session.slide_changed, self._show)
        self.listen(session.slide_changed, self._keep_recent)
        self.listen(session.project_changed, self._keep_recent)
        self._keep_recent()
        self._after_edit = self.later(self._show_counts, at_rest=True)
        self.listen(session.annotations_changed, self._after_edit)
        self._show()

    def _lay_out(self) -> None:
        for widget in (
            self.headline,
            parts.row(self.new, self.open, self.recent),
            parts.row(self.add, self.take),
            self.totals,
            self.list,
            self.relink,
            parts.row(self.facts, self.interpretation, self.reader),
            self.facts_back,
            parts.row(self.previous, self.next, self.done, stretch=1),
        ):
            self.body.addWidget(widget)
        self.body.setStretchFactor(self.list, 100)
        self.body.addStretch(1)

    def new_project(self) -> None:
        """Ask for a name, a place and classes, and make the project."""
        project = self.session.project
        NewProjectDialog(self.session, self, project.folder.parent if project is not None else None).exec()

    def offer_recent(self) -> None:
        """Show the projects and slides that were open last, as a menu."""
        kept = recent.load()
        menu = QMenu(self)
        menu.aboutToHide.connect(menu.deleteLater)
        for title, places in (("Projects", kept.projects), ("Slides", kept.slides)):
            menu.addAction(title).setEnabled(False)
            for place in places:
                menu.addAction(place.words.replace("&", "&&")).triggered.connect(partial(self._go_recent, place))
            menu.addSeparator()
        clear = menu.addAction("Clear this list")
        clear.setEnabled(bool(kept.projects))
        clear.triggered.connect(lambda _on=False: self.do(recent.save, recent.RecentList()))
        menu.popup(self.recent.mapToGlobal(self.recent.rect().bottomLeft()))

    def _go_recent(self, place: recent.Recent, _on: bool = False) -> None:
        self.do(self._open_recent, place)

    def _open_recent(self, place: recent.Recent) -> None:
        folder = Path(place.folder)
        if not folder.is_dir():
            raise CytoError(
                f"The project {place.project} is not in {folder.parent} any more: it was moved, renamed or deleted, "
                "or its drive is not connected. Open it from where it is now."
            )
        project = self.session.project
        if project is None or project.folder != folder:
            self.session.projects.open(folder)
            project = self.session.need_project()
        if place.slide_id:
            if all(record.id != place.slide_id for record in project.slides()):
                raise CytoError(f"The slide {place.slide} was removed from the project {place.project}.")
            self.session.slides.go_to(place.slide_id)

    def _keep_recent(self) -> None:
        """Take note of what is open; a full disk keeps nobody from looking at a slide."""
        before = recent.load()
        now = before.with_open(self.session)
        if now != before:
            with suppress(CytoError):
                recent.save(now)

    def ask_project(self) -> None:
        """Ask for a project folder and open it."""
        chosen = QFileDialog.getExistingDirectory(self, "Open a project: choose its folder (NAME.cyto)")
        if chosen:
            self.do(self.session.projects.open, Path(chosen))

    def ask_slides(self) -> None:
        """Ask for slide files and add them; without a project one is made beside the first."""
        chosen, _ = QFileDialog.getOpenFileNames(self, "Add slides", "", SLIDE_FILTER)
        if chosen:
            self.do(open_paths, self.session, [Path(c) for c in chosen])

    def ask_folder(self) -> None:
        """Ask for a folder, and add the slides in it."""
        chosen = QFileDialog.getExistingDirectory(self, "Add the slides of a folder")
        if chosen:
            self.open_dropped([Path(chosen)])

    def import_labels(self) -> None:
        """Show the dialog that brings marks in from another program."""
        if self.session.project is not None:
            ImportDialog(self.session, self).exec()

    def ask_facts(self, slide_ids: Sequence[str]) -> None:
        """Ask for patient and smear of slides, and store them."""
        project = self.session.project
        if project is None or not slide_ids:
            self.session.message.emit("Select slides first (several with Ctrl or Shift).")
            return
        dialog = SlideFactsDialog([project.slide(slide_id) for slide_id in slide_ids], self)
        if dialog.exec() == QDialog.DialogCode.Accepted and dialog.facts:
            self.do(self.set_facts, slide_ids, dialog.facts)

    def set_facts(self, slide_ids: Sequence[str], facts: Mapping[str, str]) -> None:
        """Store patient or smear of slides, say so, and offer to take it back."""
        self._facts_before, self._said_before = self.session.facts.set(slide_ids, facts), {}
        count = len(self._facts_before)
        self.facts_back.setText(f"Undo: {' and '.join(facts)} of {counted(count, 'slide')}")
        self.facts_back.setVisible(count > 0)
        given = ", ".join(f"{name} {value.strip() or 'not specified'}" for name, value in facts.items())
        self.session.message.emit(f"{counted(count, 'slide')}: {given}.")

    def undo_facts(self) -> None:
        """Give the slides of the last change the patient and smear, or the interpretation, that they had."""
        before, self._facts_before = self._facts_before, ()
        said, self._said_before = self._said_before, {}
        self.facts_back.hide()
        if said:
            self.do(self.session.facts.interpret, said)
        for record in before:
            self.do(self.session.facts.set, [record.id], {name: getattr(record, name) for name in FACTS})

    def ask_interpretation(self, slide_ids: Sequence[str]) -> None:
        """Ask what the report says of slides as wholes, and keep it."""
        project = self.session.project
        if project is None or not slide_ids:
            self.session.message.emit("Select slides first (several with Ctrl or Shift).")
            return
        records = [project.slide(slide_id) for slide_id in slide_ids]
        entries = project.interpretation_history(slide_ids[0]) if len(slide_ids) == 1 else ()
        dialog = InterpretationDialog(records, self.session.author, [entry.words for entry in entries[-8:]], self)
        dialog.table_requested.connect(self.ask_interpretation_table)
        if dialog.exec() == QDialog.DialogCode.Accepted and (said := dialog.said):
            self.do(self.interpret, said)

    def interpret(self, said: Mapping[str, Interpretation | None]) -> None:
        """Keep what a person says of slides as wholes, say so, and offer to undo it."""
        before = self.session.facts.interpret(said)
        self._offer_undo(before)
        words = ", ".join(dict.fromkeys(each.words if each else "not specified" for each in said.values()))
        self.session.message.emit(f"{counted(len(before), 'slide')}: interpretation {words}.")

    def ask_interpretation_table(self) -> None:
        """Ask for a table of interpretations, and read it."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Interpretations of slides", "", "Tables (*.csv *.tsv *.txt)")
        if chosen:
            self.do(lambda: self._offer_undo(self.session.facts.import_interpretations(Path(chosen)).before))

    def _offer_undo(self, before: Mapping[str, Interpretation | None]) -> None:
        self._facts_before, self._said_before = (), dict(before)
        self.facts_back.setText(f"Undo: interpretation of {counted(len(before), 'slide')}")
        self.facts_back.setVisible(bool(before))

    def ask_reader(self) -> None:
        """Ask who annotates here."""
        words = (
            "Your name or initials, saved as the author of your annotations.\nExisting annotations keep their author."
        )
        name, accepted = QInputDialog.getText(self, "Reader", words, QLineEdit.EchoMode.Normal, self.session.author)
        if accepted:
            self.do(self.session.set_reader, name)

    def ask_removal(self, slide_id: str) -> None:
        """Ask whether a slide shall leave the project, and take it out; one with marks stays, and a message says why.

        Parameters
        ----------
        slide_id : str
            Which.
        """
        project = self.session.project
        if project is None:
            return
        if not project.counts(slide_id):
            answer = QMessageBox.question(
                self,
                "Remove from project",
                f"Remove {project.slide(slide_id).name} from the project? The slide file stays where it is.",
                QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel,
                QMessageBox.StandardButton.Cancel,
            )
            if answer != QMessageBox.StandardButton.Yes:
                return
        self.do(self.session.slides.remove, slide_id)

    def ask_relink(self) -> None:
        """Ask where the missing file of the slide on screen is."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Where is the slide now?", "", SLIDE_FILTER)
        if chosen:
            self.do(self.relink_to, Path(chosen))

    def relink_to(self, path: Path) -> None:
        """Take ``path`` as the file of the slide on screen.

        Raises
        ------
        CytoError
            When it is not a slide, or another one than was annotated.
        """
        self.session.slides.relink(self.session.need_slide().id, path)

    def ask_relink_of(self, slide_id: str) -> None:
        """Ask where the image of a slide is, on screen or not."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Where is the slide now?", "", SLIDE_FILTER)
        if chosen:
            self.do(self.session.slides.relink, slide_id, Path(chosen))

    def ask_relink_folder(self) -> None:
        """Ask for a folder, and find in it the images of all slides that have none."""
        chosen = QFileDialog.getExistingDirectory(self, "Where are the images? Subfolders are searched too")
        if chosen:
            self.do(self.session.slides.relink_in, Path(chosen))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  Qt's name
        """Take what is a slide or a project."""
        if dropped_paths(event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802  Qt's name
        """Open what was dropped."""
        self.open_dropped(dropped_paths(event.mimeData().urls()))
        event.acceptProposedAction()

    def open_dropped(self, paths: Sequence[Path]) -> None:
        """Open slides and projects; for labels, show the import dialog with all of them filled in."""
        labels = [(path, name) for path in paths if (name := likely_format(path))]
        known = dict(labels)
        # A folder may hold slides beside their labels; a data set's folder brings its images by the import.
        others = [
            p
            for p in paths
            if p not in known or (not FORMATS[known[p]].capabilities.brings_images and p.is_dir() and slides_in(p))
        ]
        if others:
            self.do(open_paths, self.session, others)
        if labels:
            self.do(self._suggest_import, labels)

    def _suggest_import(self, labels: Sequence[tuple[Path, str]]) -> None:
        self.session.need_project()
        path, format_name = labels[0]
        dialog = ImportDialog(self.session, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.suggest(format_name, path, labels[1:])
        # Not exec: the program that the file was dragged from waits until the drop has been handled.
        dialog.open()

    def let_go(self) -> None:
        """Stop listening and reading pictures."""
        super().let_go()
        self.list.close_threads()

    def _step(self, step: int) -> None:
        self.do(self.session.slides.next, step)

    def _toggle_done(self) -> None:
        if self.session.slide is not None:
            done = self.session.slide.progress is not Progress.DONE
            self.do(self.session.facts.set_progress, Progress.DONE if done else Progress.IN_PROGRESS)
        self._show()

    def _show(self) -> None:
        session, project = self.session, self.session.project
        records = project.slides() if project is not None else ()
        self.headline.setText(project.name if project is not None else WELCOME)
        self.headline.setToolTip(str(project.folder) if project is not None else "")
        self.headline.setStyleSheet("QLabel { font-weight: bold; }" if project is not None else "")
        self.reader.setText(f"Reader: {session.author}")
        if project is None or not set(self._ids_before()) <= {r.id for r in records}:
            self._facts_before, self._said_before = (), {}
            self.facts_back.hide()
        for widget in (self.take, self.list, self.facts, self.interpretation):
            widget.setEnabled(project is not None)
        for widget in (self.previous, self.next, self.done):
            widget.setEnabled(session.slide is not None)
        self.done.setChecked(session.slide is not None and session.slide.progress is Progress.DONE)
        self.list.setVisible(project is not None)
        self.list.show_project(project, session.slide.id if session.slide is not None else "")
        lost = session.slide is not None and session.open_slide_handle is None
        self.relink.setVisible(lost)
        states = Counter(r.progress for r in records)
        self.totals.setVisible(bool(records))
        self.totals.setText(
            f"{counted(len(records), 'slide')}: {states[Progress.DONE]} done, {states[Progress.IN_PROGRESS]} begun"
        )

    def _ids_before(self) -> list[str]:
        return [*(record.id for record in self._facts_before), *self._said_before]

    def _show_counts(self) -> None:
        project = self.session.project
        if project is not None:
            self.list.show_counts(project.slide_counts())


SEVERAL = "multiple values; leave empty to keep"
WHY = "Cells of one patient or smear are never split between the training and test set."


class SlideFactsDialog(QDialog):
    """``facts`` is what the user changed, by field name, once the dialog was accepted."""

    def __init__(self, records: Sequence[SlideRecord], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        count = len(records)
        self.setWindowTitle("Patient and smear")
        self.fields = {name: _field(name, [getattr(r, name) for r in records]) for name in ("patient", "smear")}
        self._before = {name: field.text() for name, field in self.fields.items()}
        which = records[0].name if count == 1 else counted(count, "slide")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText("Save" if count == 1 else f"Save for {counted(count, 'slide')}")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(parts.text(parts.breakable(which), bold=True))
        for name, field in self.fields.items():
            layout.addWidget(parts.text(name.capitalize()))
            layout.addWidget(field)
        layout.addWidget(parts.text(WHY, colour=style.QUIET))
        layout.addWidget(buttons)
        self.resize(360, self.sizeHint().height())

    @property
    def facts(self) -> dict[str, str]:
        """What the user changed; a field that several slides differ in stays as it is while it is empty."""
        return {name: field.text() for name, field in self.fields.items() if field.text() != self._before[name]}


def _field(name: str, values: Sequence[str]) -> QLineEdit:
    made = QLineEdit(values[0] if len(set(values)) == 1 else "")
    made.setPlaceholderText("not specified" if len(set(values)) == 1 else SEVERAL)
    made.setAccessibleName(name)
    made.setToolTip(f"A code that identifies this {name}, not the person's name.")
    return made
