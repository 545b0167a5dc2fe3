"""The dialog that brings marks in from another program's files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from napari_cyto.datasets import FOREIGN, ImportOptions, import_labels, source_classes
from napari_cyto.datasets.import_.job import ImportResult
from napari_cyto.datasets.import_.source_kind import format_to_import, likely_format
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.formats import FORMATS, FormatOptions
from napari_cyto.formats.bad_rows import SKIPPABLE
from napari_cyto.formats.label_format import idle_options
from napari_cyto.jobs.events import Done, Failed
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.class_map_rows import ClassMapRows
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.options_form import OptionsForm
from napari_cyto.widgets.docks.scale_offer import ScaleOffer
from napari_cyto.widgets.docks.section import Section

# What the dock knows already, or what would need a table to be entered.
HIDDEN = ("scheme", "class_map", "reader", "author")
KEPT_AS = "import.class_map"
COUNTED = ("annotations_added", "slides_added", "regions", "already_there")
FOREIGN_WORDS = "The project lacks these classes. Choose a class for each, or add it, then import again."
# No class id can be this: ids are no sentences.
ADDED, ADDED_WORDS = "\0add", "Add to project"


class ImportDialog(QDialog):
    """Asks for a format and a file or folder, and runs the import into the session's project."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import labels")
        self.resize(560, 280)
        self.session = session
        self.format = Choice()
        self.format.setToolTip("Program or data set that wrote the labels")
        self.format.setAccessibleName("format")
        self.format.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for label_format in FORMATS.values():
            self.format.addItem(label_format.title, label_format.name)
        self.about = parts.text(colour=style.QUIET)
        self.source = QLineEdit()
        self.source.setPlaceholderText("File or folder to import")
        self.source.setToolTip("File or folder with the labels")
        self.source.textChanged.connect(lambda _words: self._another_source())
        self.source.textEdited.connect(lambda _words: self._forget_queue())
        self.source.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.browse_file = parts.button("File…", "Opens a dialog to choose a file.", self._ask_file, icon="open")
        self.browse_folder = parts.button(
            "Folder…", "Opens a dialog to choose a folder.", self._ask_folder, icon="open"
        )
        self.form = OptionsForm()
        self.form.show_model(ImportOptions, HIDDEN)
        self.reader_form = OptionsForm()
        self.offer = ScaleOffer()
        self.offer.found.connect(lambda mpp: self.form.set_values({"mpp": round(mpp, 4)}))
        options = QWidget()
        inside = QVBoxLayout(options)
        parts.tighten(inside)
        inside.addWidget(self.form)
        inside.addWidget(self.offer)
        self.options = Section("Options", options, tip="Where the images are, and how other classes are handled")
        self.others = parts.text()
        self.others.hide()
        # What was dropped or chosen together with the source on screen, and what came of those before it.
        self._queue: list[tuple[Path, str]] = []
        self._outcomes: list[str] = []
        self._totals = Counter[str]()
        self.skip = parts.button(
            "Skip bad rows", "Imports all other rows; the number skipped is reported at the end.", self.skip_bad
        )
        self.skip.hide()
        self._skipping = False
        self.class_map = ClassMapRows(FOREIGN_WORDS)
        self.class_map.changed.connect(self._enable)
        self.looking = JobBar()
        self.looking.ended.connect(self._looked)
        self.bar = JobBar()
        self.bar.ended.connect(self._ended)
        self.start = parts.button(
            "Import", "Adds the slides and annotations to this project, all or nothing.", self.run, icon="import"
        )
        self.start.setDefault(True)
        self.leave = parts.button("Close", "Closes this window and cancels a running import.", self.reject)
        self.format.currentIndexChanged.connect(lambda _index: self._show_format())
        self.form.changed.connect(self._forget_outcome)
        self._lay_out()
        self._show_format()

    def _lay_out(self) -> None:
        low = QHBoxLayout()
        low.addStretch(1)
        low.addWidget(self.leave)
        low.addWidget(self.start)
        outer = QVBoxLayout(self)
        for widget in (
            parts.text("Format", bold=True),
            self.format,
            self.about,
            parts.text("From", bold=True),
            parts.row(self.source, self.browse_file, self.browse_folder, stretch=0),
            self.others,
            self.reader_form,
            self.options,
            self.class_map,
            self.looking,
            self.bar,
            self.skip,
        ):
            outer.addWidget(widget)
        outer.addStretch(1)
        outer.addLayout(low)

    def suggest(self, format_name: str, source: Path, others: Sequence[tuple[Path, str]] = ()) -> None:
        """Fill in what to import; the user looks at it and starts it.

        Parameters
        ----------
        format_name : str
            One of ``formats.FORMATS``.
        source : Path
            The file or folder.
        others : sequence of (Path, str)
            Further files or folders with their formats, imported one after the other with the same options.
        """
        self.format.setCurrentIndex(self.format.findData(format_name))
        self.source.setText(str(source))
        self._queue = list(others)
        self._show_queue()
        self._recognise(source)

    def _recognise(self, source: Path) -> None:
        """Choose the format that ``source`` looks like, or none, with the reason, where that is not clear."""
        try:
            name = format_to_import(source, "choose it above")
        except CytoError as error:
            self.format.setCurrentIndex(-1)
            self.bar.say("\n".join([*self._outcomes, str(error)]), style.WARN)
            return
        self.format.setCurrentIndex(self.format.findData(name))
        if not self._outcomes:
            self.bar.say(f"{source.name} looks like {FORMATS[name].title}.")

    def skip_bad(self) -> None:
        """Import what can be read, and leave out the rest; of this source alone."""
        self._skipping = True
        self.form.set_values({"skip_bad": True})
        self.run()

    def run(self) -> None:
        """Start the import."""
        source = Path(self.source.text().strip())
        if not self.source.text().strip() or not source.exists():
            self.bar.say("Choose the file or folder to import first.", style.BAD)
            return
        if self.format.currentData() is None:
            self.bar.say("Choose the format first.", style.BAD)
            return
        try:
            folder = self.session.need_project().folder
            options = self._chosen_options()
        except CytoError as error:
            self.bar.say(str(error), style.BAD)
            return
        self._keep_map()
        self.skip.hide()
        self.start.setEnabled(False)
        self.bar.run(import_labels, self._source_named(source, options) | {"project_folder": folder}, "Reading…")

    def _chosen_options(self) -> ImportOptions:
        values = self.form.values()
        mapped = self.class_map.values()
        if mapped:
            values["class_map"] = {c: target for c, target in mapped.items() if target and target != ADDED}
            values["add_classes"] = values["add_classes"] or ADDED in mapped.values()
        return ImportOptions(**values, reader=self.reader_form.values(), author=self.session.author)

    def _source_named(self, source: Path, options: ImportOptions) -> dict[str, Any]:
        return {"format_name": self.format.currentData(), "source": source, "options": options}

    # Classes that the project lacks

    def _look_for_classes(self) -> None:
        source = Path(self.source.text().strip())
        self.looking.run(source_classes, self._source_named(source, self._chosen_options()), "Reading classes…")

    def _looked(self, event: object) -> None:
        project = self.session.project
        if not isinstance(event, Done) or project is None:
            return
        self.looking.say("")
        self.bar.say("")
        foreign = [c for c in event.result.classes if c not in project.scheme]
        kept = project.setting(KEPT_AS, {})
        targets = [(ADDED, ADDED_WORDS), *((c.id, c.id) for c in project.scheme.classes)]
        known = {target for target, _ in targets}
        chosen = {c: kept[c] if kept.get(c) in known else same_class(c, project.scheme) for c in foreign}
        self.class_map.show_rows(chosen, targets)
        self._enable()

    def _forget_classes(self) -> None:
        self.class_map.show_rows({}, ())
        self._enable()

    def _keep_map(self) -> None:
        project, mapped = self.session.project, self.class_map.values()
        if project is not None and mapped:
            project.set_setting(KEPT_AS, {**project.setting(KEPT_AS, {}), **mapped})

    # Several sources, one after the other

    def _another_source(self) -> None:
        if self._skipping:
            self._skipping = False
            self.form.set_values({"skip_bad": False})
        self._forget_classes()
        self._forget_outcome()

    def _forget_queue(self) -> None:
        """Who types another source wants that one."""
        self._queue, self._outcomes = [], []
        self._totals.clear()
        self._show_queue()

    def _show_queue(self) -> None:
        names = ", ".join(parts.breakable(path.name) for path, _ in self._queue)
        self.others.setText(f"Then {counted(len(self._queue), 'more file')}: {names}." if names else "")
        self.others.setVisible(bool(names))

    def _forget_outcome(self) -> None:
        if not self.bar.running:
            self.bar.say("")
            self.skip.hide()

    def _imported(self, result: ImportResult) -> None:
        outcome = "\n".join([result_words(brought(result)), *self.bar.notes]).strip()
        source = Path(self.source.text())
        if not self._queue and not self._outcomes:
            self.bar.say(outcome, style.GOOD)
            return
        self._outcomes.append(f"{source.name}: {outcome}")
        self._totals.update(brought(result))
        if self._queue:
            (path, name), *rest = self._queue
            self.suggest(name, path, rest)
            if self.format.currentData() is not None:  # else it was said why, and a person chooses
                self.run()
            return
        files = len(self._outcomes)
        lines = [*self._outcomes, f"{counted(files, 'file')} in total: {result_words(self._totals)}"]
        self._outcomes = []
        self._totals.clear()
        self.bar.say("\n".join(lines), style.GOOD)

    def _enable(self) -> None:
        missing = self.class_map.open_classes()
        self.start.setEnabled(not missing and not self.bar.running)
        tip = "Adds the slides and annotations to this project, all or nothing."
        self.start.setToolTip(f"Choose a class for {', '.join(missing)} first." if missing else tip)

    def done(self, result: int) -> None:
        """Stop what still runs before the dialog goes."""
        self.offer.let_go()
        self.looking.close_job()
        self.bar.close_job()
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  Qt's name
        """Stop what still runs before the dialog goes."""
        self.looking.close_job()
        self.bar.close_job()
        super().closeEvent(event)

    def _ended(self, event: object) -> None:
        self._enable()
        if isinstance(event, Failed) and FOREIGN in event.message:
            self._look_for_classes()
        if isinstance(event, Failed):
            self._show_failure(event.message)
        if isinstance(event, Done):
            self.class_map.show_rows({}, ())
            # Another process wrote to the project; the session notices and tells everybody.
            self.session.poll()
            self._imported(event.result)

    def _show_failure(self, sentence: str) -> None:
        """Say it with what came before; bad rows can be left out by a button, not by the command line's option."""
        self.skip.setVisible(SKIPPABLE in sentence)
        if SKIPPABLE in sentence or self._outcomes:
            said = sentence.replace(f" {SKIPPABLE}", "")
            name = f"{Path(self.source.text()).name}: " if self._outcomes else ""
            self.bar.say("\n".join([*self._outcomes, name + said]), style.BAD)

    def _show_format(self) -> None:
        chosen = FORMATS.get(self.format.currentData())
        self.about.setText("" if chosen is None else chosen.description)
        kind = FormatOptions if chosen is None else chosen.options_type
        # What every import asks stands among its own options.
        self.reader_form.show_model(kind, idle_options(kind, "reading") | ImportOptions.model_fields.keys())
        self.reader_form.setVisible(bool(self.reader_form.controls))
        self._another_source()

    def _ask_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Import from files")
        if chosen:
            first, *others = map(Path, chosen)
            self._forget_queue()
            self.suggest(likely_format(first), first, [(path, likely_format(path)) for path in others])

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Import from folder")
        if chosen:
            self._forget_queue()
            self.source.setText(chosen)
            self._recognise(Path(chosen))


def brought(result: ImportResult) -> dict[str, int]:
    """Return the figures of an import that people read."""
    return {name: getattr(result, name) for name in COUNTED}


def result_words(counts: Mapping[str, int]) -> str:
    """Return what imports brought in, in words."""
    added, slides, regions, there = (counts.get(name, 0) for name in COUNTED)
    words = f"{counted(added, 'annotation')} imported"
    if regions:
        words += f", {parts.number(regions)} of them regions"
    words += f", {counted(slides, 'slide')} added"
    return words + (f"; {parts.number(there)} already present." if there else ".")


def same_class(class_id: str, scheme: ClassScheme) -> str:
    """Return the class of ``scheme`` that has the same short or full name but for case, or an empty text."""
    name = class_id.casefold()
    return next((c.id for c in scheme.classes if name in (c.id.casefold(), c.name.casefold())), "")
