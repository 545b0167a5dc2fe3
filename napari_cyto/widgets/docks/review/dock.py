"""Dock Review: the cells that wait, the riskiest first, judged with one key each while the slide follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QMenu, QPushButton, QSizePolicy, QWidget

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.review.control_cells import estimate_words, limit_of, stop_words
from napari_cyto.review.order import Gathered, gather
from napari_cyto.review.query import ReviewQuery, Sort
from napari_cyto.session import Session
from napari_cyto.session.review_progress import Review, progress_words
from napari_cyto.session.similar_cells import CellList
from napari_cyto.store import HistoryEntry, Project
from napari_cyto.vectors.neighbours import Scope
from napari_cyto.widgets import style
from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.cell_images import CellCrops
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.review._attention_strip import AttentionStrip
from napari_cyto.widgets.docks.review._class_keys import ClassKeys
from napari_cyto.widgets.docks.review._grade_strip import GradeStrip
from napari_cyto.widgets.docks.review._review_filters import ReviewFilters
from napari_cyto.widgets.docks.review.gallery import ReviewGallery
from napari_cyto.widgets.docks.review.list_model import ReviewModel
from napari_cyto.widgets.docks.run_when_visible import WhenSeen
from napari_cyto.widgets.latest import Latest

# More than these are read in a thread: 10,000 take some 0.2 s.
READ_AT_ONCE = 20_000
# All docks look at each annotation that is selected.
MOST_SELECTED = 2_000
SCOPES = (
    (Scope.ALL, "of all slides"),
    (Scope.SLIDE, "of the same slide"),
    (Scope.OTHER_PATIENTS, "of other patients only"),
)
# A model writes several times a second; a list that nobody goes through yet need not follow each time.
RENEWED_EVERY_MS = 800


class ReviewDock(Dock):
    """A gallery of cells, with verdicts, progress and filters."""

    title = "Review"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.review = Review(session)
        self.model = ReviewModel(self.review, self)
        self.crops = CellCrops(self)
        self.gallery = ReviewGallery(self.model, self.crops)
        self.filters = ReviewFilters()
        self.reader = Latest("review", self)
        self._comparison = Latest("review news", self)
        self._renewal = WhenSeen(self, self._catch_up)
        self._throttle = later(self, self._renewal.ask, RENEWED_EVERY_MS)
        self._project: Project | None = None
        self._edits = 0
        self._is_by_itself = False
        self.progress = parts.text(bold=True)
        self.by_class = parts.text(colour=style.QUIET)
        self.estimate = parts.text(colour=style.QUIET)
        self.stop = parts.text(bold=True)
        self.hint = parts.text(colour=style.WARN)
        self.words = parts.text()
        self.grades = GradeStrip(session, self.crops)
        self.attention = AttentionStrip(session, self._following)
        self.class_keys = ClassKeys()
        self.listed: CellList | None = None
        self._finder = Latest("similar", self)
        self._make_list_controls()
        self._make_buttons()
        self._commands = self._table()
        self._is_due = True
        self._lay_out()
        self._connect()
        self._show_project()

    def _make_list_controls(self) -> None:
        self.list_title = parts.text(bold=True)
        self.list_words = parts.text(colour=style.QUIET)
        self.scope = Choice()
        self.scope.setAccessibleName("where to look for cells like this")
        self.scope.setToolTip("Where cells like this one are looked for.")
        for scope, words in SCOPES:
            self.scope.addItem(words, str(scope))
        self.unlist = parts.button(
            "Show all cells", "Goes back to the cells that the filters choose.", lambda: self._list(None)
        )
        self.list_box = parts.column(self.list_title, parts.row(self.scope, self.unlist, stretch=0), self.list_words)
        self.list_box.hide()

    def _make_buttons(self) -> None:
        self.again = self._button("Refresh", "Refreshes the list and its order.\nKey: F5", "refresh", "")
        self.all = self._button(
            "Accept all shown",
            "Accepts all unreviewed cells of this list, as one undo step.\nKeys: Ctrl+Enter",
            "accept.all",
            "accept",
        )
        self.accept = self._button("Accept  A", "Accepts the selected cells.\nKeys: A or Space", "accept", "accept")
        self.reject = self._button("Reject  X", "Rejects the selected cells.\nKeys: X or Delete", "reject", "reject")
        self.back = self._button("Back  ⌫", "Goes back to the cell reviewed last.\nKey: Backspace", "back", "previous")
        self.blind = parts.toggle(
            "Blind", "Hides the model's scores and classes.\nKey: B", lambda: self._run("blind"), name="blind"
        )
        self.smaller = self._button("–", "Smaller images\nKeys: - or Ctrl and the wheel", "smaller", "")
        self.larger = self._button("+", "Larger images\nKeys: + or Ctrl and the wheel", "larger", "")
        for small in (self.smaller, self.larger):
            small.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def _button(self, words: str, tip: str, command: str, icon: str) -> QPushButton:
        made = parts.button(words, tip, lambda: self._run(command), icon=icon, name=f"review {command}")
        # The keys belong to the gallery after a click, so that one can go on without the mouse.
        made.clicked.connect(lambda _on=False: self.gallery.setFocus())
        return made

    def _lay_out(self) -> None:
        for block in (self.progress, self.by_class, self.estimate, self.stop, self.filters, self.list_box, self.hint):
            self.body.addWidget(block)
        self.body.addWidget(parts.row(self.again, self.all, self.blind, self.smaller, self.larger, stretch=1))
        self.body.addWidget(self.gallery, 1)
        for block in (
            self.words,
            self.grades,
            self.attention,
            self.class_keys,
            parts.row(self.accept, self.reject, self.back),
        ):
            self.body.addWidget(block)

    def _connect(self) -> None:
        session, gallery = self.session, self.gallery
        gallery.command_requested.connect(self._run)
        gallery.moved.connect(self._go)
        gallery.chosen_changed.connect(self._show_chosen)
        gallery.clicked.connect(lambda index: self._go(index.row()))
        self.filters.changed.connect(lambda: self.refresh())
        self.scope.activated.connect(lambda _row: self._look_elsewhere())
        gallery.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        gallery.customContextMenuRequested.connect(self._offer_similar)
        self._finder.made.connect(self._found)
        self.listen(session.similar_requested, self._find_similar)
        self.listen(session.cells_requested, self._list)
        self.listen(self.review.renewed, lambda: session.cells_listed.emit(frozenset(c.id for c in self.review.cells)))
        self.filters.limit_changed.connect(self._keep_limit)
        self.class_keys.chosen.connect(lambda key: self._run(f"class.{key}"))
        self.reader.made.connect(self._take)
        self._comparison.made.connect(self._compare)
        self.listen(session.project_changed, self.later(self._show_project))
        self.listen(session.slide_changed, self._show_slide)
        self.listen(session.class_changed, self._show_scheme)
        self.listen(session.filter_changed, self._show_blind)
        self.listen(session.likeness_changed, self._follow_likeness)
        self.listen(session.selection_changed, self._follow)
        self.listen(session.annotations_changed, self._follow_undo)
        self.listen(session.annotations_changed, self._notice)
        self._progress_later = self.later(self._show_progress)
        self.listen(self.review.progressed, self._progress_later)
        self.listen(self.review.changed, self.later(self._show_words))

    def _table(self) -> dict[str, Callable[[], object]]:
        return {
            "accept": lambda: self._review(self.review.accept),
            "reject": lambda: self._review(self.review.reject),
            "teach.this": lambda: self._review(self._teach),
            "teach.not": lambda: self._review(partial(self._teach, is_this=False)),
            "back": self._back,
            "undo": self.session.history.undo,
            "redo": self.session.history.redo,
            "choose.all": self.gallery.selectAll,
            "accept.all": self._accept_all,
            "show": lambda: self._go(self.gallery.current),
            "similar": self._ask_similar,
            "larger": lambda: self.gallery.zoom(1),
            "smaller": lambda: self.gallery.zoom(-1),
            "blind": self._toggle_blind,
            "refresh": self.refresh,
            "help": self.session.help_requested.emit,
            "leave": lambda: parts.focus_canvas(self),
        }

    # A list that was asked for

    def _ask_similar(self, scope: Scope = Scope.ALL) -> None:
        row = self.gallery.current
        if row is None or row >= len(self.review.cells):
            self.session.message.emit("No cell is selected; select one with a click or the arrow keys.")
        else:
            self.session.similar_requested.emit(self.review.cells[row].id, str(scope))

    def _offer_similar(self, at: QPoint) -> None:
        """Offer cells like the one under the mouse."""
        index = self.gallery.indexAt(at)
        if not index.isValid():
            return
        self.gallery.go(index.row())
        menu = QMenu(self.gallery)
        for scope, words in SCOPES:
            menu.addAction(f"Cells like this, {words}", partial(self._ask_similar, scope))
        menu.exec(self.gallery.viewport().mapToGlobal(at))

    def _look_elsewhere(self) -> None:
        if self.listed is not None and self.listed.cell_id:
            self.session.similar_requested.emit(self.listed.cell_id, self.scope.currentData())

    def _find_similar(self, cell_id: str, scope: str) -> None:
        """Look for cells like one, in a thread: of a million it takes seconds."""
        session = self.session

        def find(_may_go_on: object) -> CellList | str:
            try:
                return session.similar.like(cell_id, Scope(scope))
            except CytoError as error:
                return str(error)

        self._finder.ask(find)

    def _found(self, made: CellList | str) -> None:
        if isinstance(made, str):
            self.session.message.emit(made)
            if self.listed is not None:
                self.scope.setCurrentIndex(self.scope.findData(str(self.listed.scope)))
            return
        self.session.cells_requested.emit(made)
        self.session.review_requested.emit()

    def _list(self, cells: CellList | None) -> None:
        """Show exactly these cells, or again those that the filters choose."""
        if cells is None and self.listed is None:
            return
        self.listed = cells
        self.list_box.setVisible(cells is not None)
        self.filters.setVisible(cells is None)
        if cells is not None:
            self.list_title.setText(cells.title)
            self.list_words.setText(cells.sentence)
            self.list_words.setVisible(bool(cells.sentence))
            self.scope.setVisible(bool(cells.cell_id))
            self.scope.setCurrentIndex(self.scope.findData(str(cells.scope)))
        self.refresh()

    def _query(self) -> ReviewQuery:
        query = replace(self.filters.query(), likeness=self.session.teaching.likeness)
        if self.listed is None:
            return query
        return replace(query, cell_ids=self.listed.ids, measurement=self.listed.measurement or query.measurement)

    # The list

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Make the list when it is first looked at."""
        super().showEvent(event)
        if self._is_due:
            self.refresh()

    def refresh(self, *, by_itself: bool = False) -> None:
        """Make the list anew; not before anybody looks at it, and ``by_itself`` not under anybody's hand."""
        self._is_by_itself = by_itself
        self._is_due = not self.isVisible()
        project = self.session.project
        if self._is_due or project is None:
            self.review.clear()
            return
        query = self._query()
        if query.sort is Sort.TAUGHT and query.likeness is None and not query.cell_ids:
            self.session.message.emit("No class is being taught yet; name one in the Teach dock and show some cells.")
        with self.session.telling():
            if sum(project.counts().values()) <= READ_AT_ONCE:
                self.reader.drop()
                self.review.refresh(query)
                self._begin_at_first()
            else:
                self.review.begin(query)
                if not by_itself:
                    self.progress.setText("Reading the cells…")
                self.reader.ask(lambda _: gather(project, query))

    def _notice(self, entry: HistoryEntry | None) -> None:
        self._edits += entry is not None
        if self.review.is_outdated and not self._throttle.isActive():
            self._throttle.start()

    def _catch_up(self) -> None:
        """Make an empty or untouched list anew; for one that is gone through, count what came."""
        project = self.session.project
        if project is None or not self.review.is_outdated:
            return
        if self.review.is_being_made:
            self._throttle.start()
        elif self._may_renew():
            self.refresh(by_itself=True)
        elif self.review.is_changed_elsewhere:
            query, edits = self.review.query, self._edits
            self._comparison.ask(lambda _: (edits, gather(project, query)))

    def _may_renew(self) -> bool:
        """Whether nobody's hand is on the list: a cell must not take another's place under a key."""
        if not self.review.cells:
            return True
        return not self.review.is_begun and self.window().focusWidget() is not self.gallery

    def _compare(self, made: tuple[int, Gathered]) -> None:
        edits, gathered = made
        if self.session.project is None or gathered.query != self.review.query:
            return
        if edits != self._edits:
            # It was counted while cells were judged.
            self._throttle.start()
            return
        self.review.compare(gathered)

    def _take(self, gathered: Gathered) -> None:
        if self.session.project is None:
            return
        if self._is_by_itself and not self._may_renew():
            self.review.compare(gathered)
            return
        self.review.take(gathered)
        self._begin_at_first()

    def _begin_at_first(self) -> None:
        """Frame the first cell; the slide stays where it is until a key or a click asks for a cell."""
        if self.review.cells:
            self.gallery.follow([0])
        self.gallery.scrollToTop()
        self._show_words()

    # Commands

    def _run(self, command: str) -> None:
        with self.session.telling():
            if command.startswith("class."):
                self._relabel(command.removeprefix("class."))
            else:
                self._commands[command]()

    def _review(self, action: Callable[[list[int]], object]) -> None:
        rows = self.gallery.rows
        if not rows:
            self.session.message.emit("No cell is selected; select one with a click or the arrow keys.")
            return
        before = self.review.cells
        action(rows)
        # In an order that followed the verdict, the next cell is the first.
        self.gallery.go(self.review.after(rows[-1]) if self.review.cells is before else 0)

    def _teach(self, rows: list[int], *, is_this: bool = True) -> None:
        teaching = self.session.teaching
        (teaching.this if is_this else teaching.not_this)(of=[self.review.cells[row].id for row in rows])

    def _follow_likeness(self) -> None:
        """Put the list in the order of what was just learnt; what is selected stays selected."""
        query, likeness = self.review.query, self.session.teaching.likeness
        is_listed = query.by_slide or bool(query.cell_ids)
        if query.sort is not Sort.TAUGHT or is_listed or likeness is None or self.review.is_being_made:
            return
        chosen = [self.review.cells[row].id for row in self.gallery.rows if row < len(self.review.cells)]
        self.review.reorder(likeness)
        self.gallery.follow(sorted(row for cell in chosen if (row := self.review.row_of(cell)) is not None))

    def _relabel(self, key: str) -> None:
        self._review(partial(self.review.relabel, class_id=self.session.need_class_by_key(key).id))

    def _accept_all(self) -> None:
        count = self.review.accept_all()
        sentence = f"Accepted {counted(count, 'cell')}. Undo with Ctrl+Z." if count else ("No unreviewed cell here.")
        self.session.message.emit(sentence)

    def _back(self) -> None:
        row = self.review.back()
        if row is None:
            self.session.message.emit("No cell was reviewed before this one.")
        else:
            self.gallery.go(row)

    def _toggle_blind(self) -> None:
        shown = self.session.shown_filter
        self.session.view.show_only(replace(shown, blind=not shown.blind))
        self._show_blind()

    # Gallery and slide

    def _go(self, row: int | None) -> None:
        if row is None or row >= len(self.review.cells):
            return
        with self.session.telling():
            self.review.go(row)
            self._show_chosen()

    def _show_chosen(self) -> None:
        """Select on the slide what is chosen here; of very many, the one in the frame."""
        cells, rows = self.review.cells, self.gallery.rows
        if len(rows) > MOST_SELECTED:
            rows = [row for row in [self.gallery.current] if row is not None]
        self.session.select(cells[row].id for row in rows if row < len(cells))
        self._show_words()

    def _follow(self) -> None:
        """Choose here what was selected on the slide."""
        rows = [row for i in self.session.selection if (row := self.review.row_of(i)) is not None]
        if rows and sorted(rows) != self.gallery.rows and len(self.gallery.rows) <= MOST_SELECTED:
            self.gallery.follow(sorted(rows))
            self._show_words()
            self.review.pointed.emit(None)

    def _follow_undo(self, entry: HistoryEntry | None) -> None:
        if entry is None or entry.kind == "edit":
            return
        rows = [row for c in entry.edit.changes if (row := self.review.row_of(c.annotation_id)) is not None]
        if len(rows) == 1:
            self.gallery.go(rows[0])

    # What it says

    def _show_project(self) -> None:
        project = self.session.project
        self._show_scheme()
        self.filters.show_slides(() if project is None else project.slides())
        self.setEnabled(project is not None)
        if project is not None:
            self.filters.show_limit(limit_of(project))
        if project is not self._project:
            self._project = project
            self._finder.drop()
            self.listed = None
            self.list_box.hide()
            self.filters.show()
            self.reader.drop()
            self.crops.forget()
            self.attention.clear()
            self.refresh()
        elif self.crops.has_failures:
            # A slide may have been given its file, be it at the place where a broken one lay.
            self.crops.forget()
            self.gallery.viewport().update()
        self.model.forget_slides()
        self._show_progress()

    def _show_slide(self) -> None:
        self.model.forget_changed_slide()
        self.gallery.viewport().update()

    def _show_scheme(self) -> None:
        scheme = self.session.project.scheme if self.session.project is not None else None
        self.filters.show_scheme(scheme)
        self.class_keys.show_scheme(scheme)
        self.gallery.delegate.set_colours({} if scheme is None else {c.id: c.colour for c in scheme.classes})
        self.gallery.viewport().update()

    def _show_blind(self) -> None:
        self.blind.setChecked(self.session.shown_filter.blind)
        self.gallery.viewport().update()
        self._show_progress()
        self._show_words()

    def _show_progress(self) -> None:
        self.progress.setText(progress_words(self.review))
        # How many of a class wait would tell a blind reader what the model thinks.
        rows = [] if self.session.shown_filter.blind else self.review.progress_by_class()
        counts = [f"{c}\u00a0{parts.number(done)}/{parts.number(n)}" for c, done, n in rows]
        self.by_class.setText("   ".join((*counts, *self._ambiguous_words())))
        self.by_class.setVisible(bool(self.by_class.text()))
        unreviewed = self.review.unreviewed
        self.all.setText(f"Accept all {parts.number(unreviewed)}" if unreviewed else "Accept all")
        self._offer_accepting()
        self._show_estimate()
        hints = []
        if self.review.newcomers:
            hints.append(f"{parts.number(self.review.newcomers)} new – press F5 to refresh.")
        elif self.review.is_outdated:
            hints.append("The list has changed – press F5 to refresh.")
        if self.review.left_out:
            hints.append(f"{parts.number(self.review.left_out)} cells further down the order are not listed.")
        if self.review.unscored:
            hints.append(
                f"Of {counted(self.review.unscored, 'slide')} no model of whole slides has said what it looked at; "
                "score them in the Predict dock. Their cells come last."
            )
        if self.review.unmeasured:
            last = "They are left out." if self.review.query.bounds_measurement else "They come last."
            hints.append(
                f"{counted(self.review.unmeasured, 'cell')} without that measurement: no outline, or not measured yet "
                f"(Measure dock). {last}"
            )
        hints += self._void_words()
        self.hint.setText(" ".join(hints))
        self.hint.setVisible(bool(self.hint.text()))

    def _ambiguous_words(self) -> list[str]:
        """Return how many cells of the list are ambiguous; nothing where no set holds, and in a blind reading."""
        found = self.review.query.ambiguity
        if found is None or not found.sets or self.session.shown_filter.blind:
            return []
        words = f"{parts.number(len(found.ambiguous))} of {parts.number(len(found.sets))} ambiguous"
        if found.spanning:
            words += f", {parts.number(found.spanning)} from normal to high grade"
        return [words]

    def _void_words(self) -> list[str]:
        """Return why prediction sets are not used, where there are some or the list goes by them."""
        query, found = self.review.query, self.review.query.ambiguity
        goes_by_sets = query.sort is Sort.AMBIGUOUS or query.ambiguous_only
        if found is None or self.session.shown_filter.blind or not (found.void or goes_by_sets):
            return []
        return list(found.sentences)

    def _offer_accepting(self) -> None:
        """Offer to accept only where that does something: a blind reader gives the class instead."""
        is_blind = self.session.shown_filter.blind
        why = "\nNot in a blind reading: assign a class instead." if is_blind else ""
        self.accept.setEnabled(not is_blind)
        self.accept.setToolTip(f"Accepts the selected cells.\nKeys: A or Space{why}")
        self.all.setEnabled(self.review.unreviewed > 0 and not is_blind)
        self.all.setToolTip(
            (
                "Accepts all unreviewed cells of this list, as one undo step. They do not count as individually "
                "reviewed.\nKeys: Ctrl+Enter"
            )
            + why
        )

    def _show_estimate(self) -> None:
        found = self.review.estimate()
        self.estimate.setText("" if found is None else estimate_words(found, self.session.shown_filter.blind))
        self.stop.setText("" if found is None else stop_words(found))
        for block in (self.estimate, self.stop):
            block.setVisible(bool(block.text()))

    def _keep_limit(self, share: float) -> None:
        with self.session.telling():
            self.review.keep_limit(share)

    def _show_words(self) -> None:
        rows = self.gallery.rows
        is_one = len(rows) == 1 and rows[0] < len(self.review.cells)
        cell_id = self.review.cells[rows[0]].id if is_one else ""
        self.grades.show_for(cell_id)
        self.attention.show_for(cell_id)
        if not self.review.cells:
            self.words.setText("No cells match these filters." if self.session.project is not None else "")
        elif len(rows) > 1:
            self.words.setText(f"{parts.number(len(rows))} cells selected")
        else:
            self.words.setText(self.model.words(rows[0]) if rows and rows[0] < len(self.review.cells) else "")

    def _following(self, cell_id: str, most: int) -> Sequence[Annotation]:
        """Return the cell of an id and those that come after it in the list."""
        row = self.review.row_of(cell_id)
        return () if row is None else self.review.cells[row : row + most]

    def cancel_jobs(self) -> None:
        """Stop looking at what an encoder attends to."""
        self.attention.job.stop()

    def let_go(self) -> None:
        """Stop reading, too."""
        self._throttle.stop()
        self._renewal.stop()
        self.reader.close()
        self._comparison.close()
        self._finder.close()
        self.grades.close_reader()
        self.attention.close_job()
        self.crops.close()
        self.model.let_go()
        self.review.let_go()
        super().let_go()
