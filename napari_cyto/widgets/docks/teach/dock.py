"""Dock Teach: name a class, show it a few cells, and the cells most like it come first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QLineEdit, QWidget

from napari_cyto.domain.annotation import Status
from napari_cyto.errors import CytoError
from napari_cyto.files.safe_names import free_place
from napari_cyto.inference.embed.job import EmbedOptions, embed
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.models.bundle import read_bundle
from napari_cyto.models.library import find_model, models_of_kind
from napari_cyto.models.project_models import use_model
from napari_cyto.review.order import Gathered, Tally, gather
from napari_cyto.review.query import ReviewQuery, Sort
from napari_cyto.session import Session
from napari_cyto.session.review_progress import Review
from napari_cyto.store import HistoryEntry, Project
from napari_cyto.training.taught_head import SaveOptions, save_head
from napari_cyto.vectors.teaching.project_lesson import (
    Features,
    drawn_cells,
    features_of,
    keep_drawn,
    keep_features,
)
from napari_cyto.vectors.teaching.sentences import (
    accuracy_words,
    across_words,
    doubt_words,
    example_words,
    limitations,
)
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.cell_images import CellCrops
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.review.gallery import ReviewGallery
from napari_cyto.widgets.docks.run_when_visible import WhenSeen
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.docks.teach._lesson_keeper import LessonKeeper
from napari_cyto.widgets.docks.teach._taught_list import TaughtModel
from napari_cyto.widgets.latest import Latest

SUGGESTED, MOST_LIKE = "suggested", "most like"
NO_VECTORS = (
    "The cells of this project have no vectors yet. An encoder gives each cell one, once; from then on classes are "
    "taught in clicks."
)

SAVE_TIP = "Saves encoder and head as a classifier that Predict and the command line can use."


class TeachDock(Dock):
    """A class, the keys that give it examples, the next cells worth a label, and what the head is worth."""

    title = "Teach"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.keeper = LessonKeeper(session, self)
        self.review = Review(session)
        self.model = TaughtModel(self.review, self)
        self.crops = CellCrops(self)
        self.gallery = ReviewGallery(self.model, self.crops)
        self.gallery.setAccessibleName("cells to teach with")
        self.reader = Latest("teach", self)
        self._seen = WhenSeen(self, self._wake)
        self._suggested_seed = 0
        self._project: Project | None = None
        self._make_controls()
        self._commands = self._table()
        self._lay_out()
        self._connect()
        self._show_project()

    def _make_controls(self) -> None:
        self.which = Choice()
        self.which.setAccessibleName("class to teach")
        self.which.setToolTip("The class that is taught. Any class of the project, or a new one.")
        self.new = QLineEdit()
        self.new.setPlaceholderText("New class, e.g. koilocyte")
        self.new.setAccessibleName("new class")
        self.new.setToolTip("Name of a new class; press Enter to add it to the project and teach it.")
        self.new.setMaxLength(60)
        self.this = parts.button(
            "This  T",
            "The selected cells are of this class, which accepts them.\nKey: T",
            lambda: self._run("teach.this"),
        )
        self.not_this = parts.button(
            "Not this  O",
            "The selected cells are not of this class; they stay unreviewed.\nKey: O",
            lambda: self._run("teach.not"),
        )
        self.examples = parts.text(bold=True)
        self.order = Choice()
        self.order.setAccessibleName("order of the cells to teach with")
        self.order.setToolTip("The next cells worth a label, or all unreviewed cells, those most like the class first.")
        self.order.addItem("Suggested next", SUGGESTED)
        self.order.addItem("Most like it", MOST_LIKE)
        self.scope = parts.toggle(
            "This slide", "Only cells of the slide on screen.", self._change_scope, name="only this slide"
        )
        self.again = parts.button(
            "Refresh", "Suggests other cells, or refreshes the list.\nKey: F5", lambda: self._run("refresh")
        )
        self.words = parts.text()
        self.warnings = parts.text(colour=style.WARN)
        self.accuracy = parts.text()
        self.across = parts.text(colour=style.QUIET)
        self.doubts = parts.text(colour=style.WARN)
        self.show_doubts = parts.button(
            "Show doubtful examples", "Shows the examples that look wrong, the most doubtful first.", self._show_doubts
        )
        self.embedding = parts.text()
        self.encoder = Choice()
        self.encoder.setAccessibleName("encoder")
        self.encoder.setToolTip("The model that gives each cell its vector.")
        self.embed = parts.button(
            "Compute vectors", "Gives a vector to each cell that has none, or has moved.", self.compute_vectors
        )
        self.features = Choice()
        self.features.setAccessibleName("what is taught on")
        self.features.setToolTip(
            "What the head learns from: how a cell looks (vectors), or also what is measured on its outline (Measure "
            "dock)."
        )
        self.features.addItem("Vectors", Features.VECTORS.value)
        self.features.addItem("Vectors and measurements", Features.BOTH.value)
        self.save = parts.button(
            "Save as model…",
            SAVE_TIP,
            self.save_model,
            icon="export",
        )
        self.use = parts.button(
            "Use this model",
            "Adds the saved model to the library and uses it for classification in this project.",
            self.use_saved,
            icon="check",
        )
        self.use.hide()
        self.saved: Path | None = None
        self.job = JobBar()

    def _lay_out(self) -> None:
        self.worth = Section(
            "How good is it",
            parts.column(self.accuracy, self.across, self.doubts, self.show_doubts),
            "What the head is worth, from cells drawn at random and across slides.",
            opened=True,
        )
        self.needs_vectors = parts.column(self.embedding, parts.row(self.encoder, self.embed, stretch=0))
        for block in (
            parts.row(self.which, self.new),
            parts.row(self.this, self.not_this),
            self.examples,
            self.needs_vectors,
            self.warnings,
            parts.row(self.order, self.scope, self.again, stretch=0),
            self.features,
        ):
            self.body.addWidget(block)
        self.body.addWidget(self.gallery, 1)
        self.body.addWidget(self.words)
        self.body.addWidget(self.worth)
        self.footer.addWidget(self.job)
        self.footer.addWidget(parts.row(self.save, self.use))

    def _connect(self) -> None:
        session = self.session
        self.which.activated.connect(self._choose)
        self.new.returnPressed.connect(self._add_class)
        self.features.activated.connect(lambda _index: self.do(self._choose_features))
        self.order.activated.connect(lambda _index: self.do(self.refresh))
        self.gallery.command_requested.connect(self._run)
        self.gallery.moved.connect(self._go)
        self.gallery.clicked.connect(lambda index: self._go(index.row()))
        self.gallery.chosen_changed.connect(self._show_chosen)
        self.reader.made.connect(self._take)
        self.keeper.opened.connect(self._show_lesson)
        self.keeper.learnt.connect(self._show_learnt)
        self.keeper.estimated.connect(self._show_worth)
        self.job.ended.connect(self._job_ended)
        self.listen(session.project_changed, self.later(self._show_project))
        self.listen(session.class_changed, self._show_classes)
        self.listen(session.taught_changed, self._show_taught)
        self.listen(session.annotations_changed, self._follow)
        self.listen(session.likeness_changed, self._follow_likeness)
        self.listen(session.selection_changed, self._follow_selection)
        self.listen(session.slide_changed, self._follow_slide)
        self.listen(session.filter_changed, self._show_blind)
        self.listen(self.review.changed, self.later(self._show_words))

    def _table(self) -> dict[str, Callable[[], object]]:
        return {
            "teach.this": partial(self._teach, is_this=True),
            "teach.not": partial(self._teach, is_this=False),
            "accept": lambda: self._answer(self.review.accept),
            "reject": lambda: self._answer(self.review.reject),
            "back": self._back,
            "undo": self.session.history.undo,
            "redo": self.session.history.redo,
            "choose.all": self.gallery.selectAll,
            "show": lambda: self._go(self.gallery.current),
            "larger": lambda: self.gallery.zoom(1),
            "smaller": lambda: self.gallery.zoom(-1),
            "blind": self._toggle_blind,
            "refresh": self._refresh_all,
            "help": self.session.help_requested.emit,
            "leave": lambda: parts.focus_canvas(self),
        }

    # Coming and going

    def _wake(self) -> None:
        """Read the lesson, once somebody looks at the dock or teaches."""
        if self.session.project is not None and self.keeper.lesson is None and not self.keeper.is_reading:
            self.keeper.read()
            self._show_lesson()

    def cancel_jobs(self) -> None:
        """Stop what computes vectors or saves a model."""
        self.job.stop()

    def let_go(self) -> None:
        """Stop reading and what still runs."""
        super().let_go()
        self._seen.stop()
        self.keeper.let_go()
        self.reader.close()
        self.crops.close()
        self.model.let_go()
        self.review.let_go()
        self.job.close_job()

    # The class

    def _choose(self, _index: int) -> None:
        class_id = self.which.currentData()
        if class_id:
            self.do(self.session.teaching.choose, class_id)

    def _add_class(self) -> None:
        name = self.new.text().strip()
        if not name:
            return
        with self.session.telling():
            self.session.teaching.choose(name)
            self.new.clear()
            parts.focus_canvas(self)

    def _show_classes(self) -> None:
        project = self.session.project
        self.which.blockSignals(True)
        self.which.clear()
        self.which.addItem("Choose a class", "")
        for cell_class in () if project is None else project.scheme.classes:
            self.which.addItem(style.swatch_icon(cell_class.colour), cell_class.id, cell_class.id)
        self.which.setCurrentIndex(max(0, self.which.findData(self.session.teaching.class_id)))
        self.which.blockSignals(False)
        colours = {} if project is None else {c.id: c.colour for c in project.scheme.classes}
        self.gallery.delegate.set_colours(colours | {f"{name}?": colour for name, colour in colours.items()})
        if self.keeper.lesson is not None and project is not None and self.keeper.lesson.scheme != project.scheme:
            self.keeper.lesson.scheme = project.scheme

    def _show_taught(self) -> None:
        self._show_classes()
        self.keeper.tell()
        self._show_features()
        self._show_learnt()
        self.do(self.refresh)

    # Examples

    def _run(self, command: str) -> None:
        with self.session.telling():
            if command.startswith("class."):
                self._relabel(command.removeprefix("class."))
            elif command in self._commands:
                self._commands[command]()

    def _relabel(self, key: str) -> None:
        self._answer(partial(self.review.relabel, class_id=self.session.need_class_by_key(key).id))

    def _teach(self, *, is_this: bool) -> None:
        teaching = self.session.teaching
        act = teaching.this if is_this else teaching.not_this
        if self.review.cells and self.gallery.rows:
            self._answer(lambda rows: act(of=[self.review.cells[row].id for row in rows]))
        else:
            act()

    def _answer(self, action: Callable[[list[int]], object]) -> None:
        rows = self.gallery.rows
        if not rows or not self.review.cells:
            self.session.message.emit("No cell is selected; select one with a click or the arrow keys.")
            return
        before = self.review.cells
        action(rows)
        self.gallery.setFocus()
        if self.review.cells is not before:
            # The order followed, and what is most like the class now comes first.
            self.gallery.go(0)
            return
        following = self._next_open(rows[-1])
        if following is None and self.order.currentData() == SUGGESTED:
            self.session.message.emit("All suggested cells are labelled; these are the next.")
            self.refresh()
        elif following is not None:
            self.gallery.go(following)

    def _next_open(self, row: int) -> int | None:
        """Return the next cell of the list of which nothing was said, from the start again after the last."""
        count = len(self.review.cells)
        around = [*range(row + 1, count), *range(row + 1)]
        return next((at for at in around if self.review.is_unreviewed(at) and not self.model.is_excluded(at)), None)

    def _back(self) -> None:
        row = self.review.back()
        if row is None:
            self.session.message.emit("No cell was reviewed before this one.")
        else:
            self.gallery.go(row)

    def _toggle_blind(self) -> None:
        shown = self.session.shown_filter
        self.session.view.show_only(replace(shown, blind=not shown.blind))

    def _follow(self, entry: HistoryEntry | None) -> None:
        if self.keeper.lesson is None and not self.keeper.is_reading:
            if entry is not None and self.session.teaching.class_id:
                # Taught on the slide before anybody looked at the dock.
                self._wake()
            else:
                self._seen.ask()
        self.keeper.follow(entry)

    # The list

    def _refresh_all(self) -> None:
        """Make the list anew; where cells lack vectors, look first whether they have some by now."""
        lesson = self.keeper.lesson
        if (lesson is None or lesson.without) and not self.keeper.is_reading and self.session.project is not None:
            self.keeper.read()
            self._show_lesson()
        else:
            self.refresh()

    def refresh(self) -> None:
        """Suggest other cells, or list all that wait, those most like the class first."""
        project, lesson = self.session.project, self.keeper.lesson
        if project is None or lesson is None or not self.session.teaching.class_id:
            self.review.clear()
            self._show_words()
            return
        if self.order.currentData() == SUGGESTED:
            self.reader.drop()
            self._suggest(project)
        elif self.session.teaching.likeness is None:
            self.review.clear()
            self._show_words()
        else:
            query = self._query()
            self.review.begin(query)
            self.words.setText("Reading the cells…")
            self.reader.ask(lambda _: gather(project, query))

    def _query(self) -> ReviewQuery:
        return ReviewQuery(
            slide_ids=self._slide_ids(),
            sort=Sort.TAUGHT,
            control_share=0.0,
            likeness=self.session.teaching.likeness,
        )

    def _slide_ids(self) -> tuple[str, ...]:
        slide = self.session.slide
        return (slide.id,) if self.scope.isChecked() and slide is not None else ()

    def _suggest(self, project: Project) -> None:
        lesson = self.keeper.lesson
        assert lesson is not None
        self._suggested_seed += 1
        drawn, slides = drawn_cells(project), self._slide_ids()
        made = lesson.suggestions(
            sought=(self.session.teaching.class_id,),
            pending=drawn,
            seed=len(drawn) * 1000 + self._suggested_seed,
            slide_id=slides[0] if slides else "",
        )
        keep_drawn(project, (each.cell_id for each in made if each.is_random and not slides))
        self.model.reasons = {each.cell_id: each.reason for each in made}
        found = {cell.id: cell for cell in project.annotations_by_id([each.cell_id for each in made])}
        cells = tuple(found[each.cell_id] for each in made if each.cell_id in found)
        self._take(Gathered(ReviewQuery(control_share=0.0), cells, frozenset(), Tally()))

    def _take(self, gathered: Gathered) -> None:
        if self.session.project is None:
            return
        if gathered.query.sort is Sort.TAUGHT:
            self.model.reasons = {}
        self.review.take(gathered)
        if self.review.cells:
            self.gallery.follow([0])
        self.gallery.scrollToTop()
        self._show_words()

    def _follow_likeness(self) -> None:
        likeness = self.session.teaching.likeness
        if self.review.query.sort is not Sort.TAUGHT or likeness is None or self.review.is_being_made:
            self.gallery.viewport().update()
            return
        chosen = [self.review.cells[row].id for row in self.gallery.rows if row < len(self.review.cells)]
        self.review.reorder(likeness)
        self.gallery.follow(sorted(row for cell in chosen if (row := self.review.row_of(cell)) is not None))

    def _change_scope(self) -> None:
        self.do(self.refresh)

    def _follow_slide(self) -> None:
        self.model.forget_changed_slide()
        slides = self._slide_ids()
        if slides and self.review.cells and {cell.slide_id for cell in self.review.cells} != set(slides):
            self.do(self.refresh)

    # Gallery and slide

    def _go(self, row: int | None) -> None:
        if row is None or row >= len(self.review.cells):
            return
        with self.session.telling():
            self.review.go(row)
            self._show_chosen()

    def _show_chosen(self) -> None:
        cells, rows = self.review.cells, self.gallery.rows
        self.session.select(cells[row].id for row in rows[:2000] if row < len(cells))
        self._show_words()

    def _follow_selection(self) -> None:
        rows = [row for i in self.session.selection if (row := self.review.row_of(i)) is not None]
        if rows and sorted(rows) != self.gallery.rows:
            self.gallery.follow(sorted(rows))
            self._show_words()

    # What it says

    def _show_project(self) -> None:
        project = self.session.project
        self.setEnabled(project is not None)
        self._show_classes()
        self.model.forget_slides()
        if project is not self._project:
            self._project = project
            self.reader.drop()
            self.crops.forget()
            self.review.clear()
            self.keeper.drop()
            self._show_saved(None)
            self._show_encoders()
            self._seen.ask()

    def _show_encoders(self) -> None:
        self.encoder.clear()
        for entry in models_of_kind("encoder"):
            self.encoder.addItem(entry.name, entry.name)

    def _show_lesson(self) -> None:
        """Show what there is to teach on."""
        keeper = self.keeper
        lesson, without = keeper.lesson, 0 if keeper.lesson is None else keeper.lesson.without
        if keeper.is_reading:
            words = "Reading the vectors…"
        elif keeper.problem:
            words = keeper.problem
        elif lesson is None:
            words = NO_VECTORS
        else:
            assert keeper.kind is not None
            words = f"{parts.number(len(lesson.ids))} cells with vectors of {keeper.kind.encoder}."
        has_encoder = self.encoder.count() > 0
        if not has_encoder and lesson is None and not keeper.is_reading:
            words += " There is no encoder in the model library; add one in the Models dock."
        self.embedding.setText(words)
        for control in (self.encoder, self.embed):
            control.setVisible(not keeper.is_reading and has_encoder and (lesson is None or without > 0))
        for control in (self.order, self.scope, self.save):
            control.setEnabled(lesson is not None)
        self._show_learnt()
        self.do(self.refresh)

    def _choose_features(self) -> None:
        """Teach on other features from now on; what was said of cells stays."""
        project = self.session.project
        if project is not None:
            keep_features(project, Features(self.features.currentData()))
            self.keeper.read()
            self._show_lesson()

    def _show_features(self) -> None:
        project, lesson = self.session.project, self.keeper.lesson
        kept = Features.VECTORS if project is None else features_of(project)
        self.features.setCurrentIndex(self.features.findData(kept.value))
        self.features.setEnabled(lesson is not None)
        # A model sees pixels; what is measured on an outline it cannot know.
        alone = "" if kept is Features.VECTORS else "\nThe model is made of vectors alone, without the measurements."
        self.save.setToolTip(f"{SAVE_TIP}{alone}")

    def _show_learnt(self) -> None:
        lesson, class_id = self.keeper.lesson, self.session.teaching.class_id
        for control in (self.this, self.not_this):
            control.setEnabled(bool(class_id))
        self.order.setItemText(1, f"Most like {class_id}" if class_id else "Most like it")
        if lesson is None:
            self.examples.setText("")
            self.warnings.setText("")
        else:
            self.model.is_probability = lesson.head is not None and not lesson.head.is_likeness
            called = sum(lesson.called(class_id).values()) if class_id else 0
            calls = f"; {parts.number(called)} unreviewed called {class_id}" if called else ""
            self.examples.setText(f"Examples: {example_words(lesson)}{calls}")
            remarks = [self.keeper.remark, *limitations(lesson, class_id)]
            self.warnings.setText("\n".join(words for words in remarks if words) if class_id else "")
        for block in (self.examples, self.warnings):
            block.setVisible(bool(block.text()))
        self._show_worth()

    def _show_worth(self) -> None:
        worth = self.keeper.worth
        self.worth.setVisible(worth is not None and bool(self.session.teaching.class_id))
        if worth is None:
            return
        self.accuracy.setText(accuracy_words(worth.accuracy, worth.drawn, worth.labelled))
        self.across.setText(across_words(worth.across, worth.groups))
        self.doubts.setText(doubt_words(worth.doubts))
        for block in (self.doubts, self.show_doubts):
            block.setVisible(bool(worth.doubts))

    def _show_doubts(self) -> None:
        """List the examples that look wrong."""
        worth, project = self.keeper.worth, self.session.project
        if worth is None or project is None:
            return
        with self.session.telling():
            found = {cell.id: cell for cell in project.annotations_by_id([each.cell_id for each in worth.doubts])}
            cells = tuple(found[each.cell_id] for each in worth.doubts if each.cell_id in found)
            self.model.reasons = {
                each.cell_id: f"labelled {each.given or 'rejected'}, looks like {each.likelier or 'none of them'} "
                f"({100 * each.share:.0f} %)"
                for each in worth.doubts
            }
            query = ReviewQuery(statuses=tuple(Status), control_share=0.0)
            self._take(Gathered(query, cells, frozenset(), Tally()))

    def _show_blind(self) -> None:
        self.gallery.viewport().update()
        self._show_words()

    def _show_words(self) -> None:
        rows, lesson = self.gallery.rows, self.keeper.lesson
        if self.session.project is None or lesson is None:
            self.words.setText("")
        elif not self.session.teaching.class_id:
            self.words.setText(
                "Choose or name a class to teach; then press T on cells that are of it, Shift+T on others."
            )
        elif not self.review.cells:
            has_order = self.order.currentData() == SUGGESTED or self.session.teaching.likeness is not None
            self.words.setText(
                "No unreviewed cell is left." if has_order else "Show it some cells first: T on cells of the class."
            )
        elif len(rows) > 1:
            self.words.setText(f"{parts.number(len(rows))} cells selected")
        else:
            self.words.setText(self.model.words(rows[0]) if rows and rows[0] < len(self.review.cells) else "")
        self.words.setVisible(bool(self.words.text()))

    # Vectors and models

    def compute_vectors(self) -> None:
        """Give a vector to each cell that has none."""
        project, name = self.session.project, self.encoder.currentData()
        if project is not None and name:
            kwargs = {"place": project.folder, "options": EmbedOptions(encoder=name)}
            self.job.run(embed, kwargs, "Computing the vectors…")

    def save_model(self) -> None:
        """Ask for a place, and save encoder and head as a classifier there."""
        project = self.session.project
        if project is None or self.keeper.kind is None:
            return
        start = free_place(project.folder.parent, f"{project.name}-taught", taken=_is_taken)
        chosen, _ = QFileDialog.getSaveFileName(self, "Save model as", str(start))
        if chosen:
            self.save_to(Path(chosen))

    def save_to(self, out: Path) -> None:
        """Save encoder and head as a classifier in the folder ``out``."""
        project, kind = self.session.project, self.keeper.kind
        if project is None or kind is None:
            raise CytoError("Expected a project with vectors to save a model of, got none.")
        self._show_saved(None)
        options = SaveOptions(encoder=kind.encoder, sha256=kind.sha256)
        self.job.run(save_head, {"place": project.folder, "out": out, "options": options}, "Saving the model…")

    def use_saved(self) -> None:
        """Add the saved model to the library and make it the project's classifier."""
        if self.saved is None:
            return
        with self.session.telling():
            self.session.teaching.make_room_for(read_bundle(self.saved).manifest.class_ids)
            name = use_model(self.session.project, self.saved)
            self.session.message.emit(f"{name} was added to the library and is now this project's classifier.")
            self._show_saved(None)
            self.session.project_changed.emit()

    def _show_saved(self, bundle: Path | None) -> None:
        self.saved = bundle
        self.use.setVisible(bundle is not None)

    def _job_ended(self, event: Done | Failed | Cancelled) -> None:
        if not isinstance(event, Done):
            return
        notes = self.job.notes
        if hasattr(event.result, "bundle"):
            self.job.say("\n".join((f"Saved: {parts.breakable(event.result.bundle)}", *notes)), style.GOOD)
            self._show_saved(Path(event.result.bundle))
        else:
            self.keeper.read()
            self._show_lesson()


def _is_taken(place: Path) -> bool:
    """Whether a model is there, or one of that name in the library."""
    return place.exists() or find_model(place.name) is not None
