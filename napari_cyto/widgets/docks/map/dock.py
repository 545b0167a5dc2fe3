"""Dock Map: cells alike lie together; a lasso selects them, and one key reviews a hundred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cyto.domain.annotation import STATUS_NAMES, Status
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Done
from napari_cyto.session import Session
from napari_cyto.session.similar_cells import CellList
from napari_cyto.store import HistoryEntry, Project
from napari_cyto.vectors.cell_facts import CellFacts, cell_facts
from napari_cyto.vectors.cell_map import (
    CellMap,
    MapMade,
    MapOptions,
    Standing,
    kept_map,
    map_cells,
    read_map,
    standing_of,
)
from napari_cyto.vectors.label_errors import LabelErrors, find_label_errors
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.cell_images import CellCrops, Wish
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.dot_plot import BACKGROUND, DotPlot
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.map._colours import ColourBy, coloured
from napari_cyto.widgets.latest import Latest

COLOURS = (
    (ColourBy.CLASS, "Class", "The class that a cell has now."),
    (ColourBy.SCORE, "Score", "The model's highest score."),
    (ColourBy.SLIDE, "Slide", "Slides that lie apart differ in staining, scanner or their mix of cells."),
    (ColourBy.READER, "Reader", "Who reviewed or drew a cell."),
    (ColourBy.AGREEMENT, "Model against label", "Whether the model's class is the one that the cell has."),
)
NO_VECTORS = "The cells of this project have no vectors yet; compute them in the Teach dock, or with napari-cyto embed."
CROP_PX = 96
BESIDE_PX = 14
# All docks look at each annotation that is selected.
MOST_SELECTED = 2_000
SUSPECTS_SHOWN = 500


@dataclass(frozen=True, slots=True)
class _Shown:
    """A map with what is known of its cells now."""

    cells: CellMap
    facts: CellFacts
    names: dict[str, str]
    standing: Standing


class MapDock(Dock):
    """The map, by what it is coloured, how far to trust it, and what is selected on it."""

    title = "Map"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.plot = DotPlot()
        self.crops = CellCrops(self)
        self.reader = Latest("map", self)
        self.job = JobBar()
        self.found_job = JobBar()
        self.shown: _Shown | None = None
        self._project: Project | None = None
        self._rows = np.zeros(0, np.intp)
        self._listed: frozenset[str] | None = None
        self._missed: list[Any] = []
        self._is_reading = False
        self._slide_id = ""
        self._wish: Wish | None = None
        self._vectors: object = None
        self._is_due = True
        self._paths: dict[str, tuple[float | None, Path | None]] = {}
        self._colour_later = self.later(self._colour)
        self._make_controls()
        self._commands = self._table()
        self._lay_out()
        self._connect()
        self._show_project()

    def _make_controls(self) -> None:
        self.by = Choice()
        self.by.setAccessibleName("colour of the map")
        self.by.setToolTip("What the colour of a cell says.")
        for value, words, tip in COLOURS:
            self.by.addItem(words, str(value))
            self.by.setItemData(self.by.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.make = parts.button(
            "Make map",
            "Lays out the cells by their vectors. Takes a few minutes for many cells; you can go on working.",
            self.make_map,
            icon="",
        )
        self.only_listed = parts.toggle(
            "Gallery only",
            "Dims all cells but those that the review gallery shows; only these can be selected.",
            self._brighten,
            name="only cells of the gallery",
        )
        self.errors = parts.button(
            "Likely label errors",
            "Shows, in the gallery, accepted cells whose label the cells most like them contradict.",
            self.show_label_errors,
        )
        self.trust = parts.text(colour=style.QUIET)
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        # On the map's own ground, on which its colours can be distinguished.
        self.legend.setStyleSheet(f"background: #{BACKGROUND & 0xFFFFFF:06x}; color: #f2f3f5; padding: 3px;")
        self.hint = parts.text(colour=style.WARN)
        self.words = parts.text(bold=True)
        self.accept = self._button("Accept  A", "Accepts the selected cells, as one undo step.\nKey: A", "accept")
        self.reject = self._button("Reject  X", "Rejects the selected cells, as one undo step.\nKey: X", "reject")
        self.like = self._button("Like this  L", "Shows cells like the selected one in the gallery.\nKey: L", "similar")
        self.card = QWidget(self.plot)
        self.card.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.card.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.card.setStyleSheet("background: #181b21; color: #f2f3f5; border: 1px solid #6f7885;")
        self.image, self.caption = QLabel(), QLabel()
        self.image.setFixedSize(CROP_PX, CROP_PX)
        self.image.setStyleSheet("border: none; background: #3a3f48;")
        self.caption.setStyleSheet("border: none;")
        self.caption.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self.card)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.image)
        layout.addWidget(self.caption)
        self.card.hide()

    def _button(self, words: str, tip: str, command: str) -> Any:
        icon = command if command in ("accept", "reject") else ""
        made = parts.button(words, tip, lambda: self._run(command), icon=icon, name=f"map {command}")
        made.clicked.connect(lambda _on=False: self.plot.setFocus())
        return made

    def _lay_out(self) -> None:
        self.body.addWidget(parts.row(self.by, self.make, self.only_listed, stretch=0))
        self.body.addWidget(self.job)
        for block in (self.hint, self.legend):
            self.body.addWidget(block)
        self.body.addWidget(self.plot, 1)
        self.body.addWidget(self.words)
        self.body.addWidget(parts.row(self.accept, self.reject, self.like, self.errors))
        self.body.addWidget(self.found_job)
        self.body.addWidget(self.trust)

    def _connect(self) -> None:
        session = self.session
        self.by.currentIndexChanged.connect(lambda _n: self._colour())
        self.plot.chosen.connect(self._choose)
        self.plot.hovered.connect(self._hover)
        self.plot.activated.connect(self._go)
        self.plot.command_requested.connect(self._run)
        self.crops.ready.connect(self._show_crop)
        self.reader.made.connect(self._take)
        self.job.ended.connect(self._mapped)
        self.found_job.ended.connect(self._suspected)
        self.listen(session.project_changed, self.later(self._show_project))
        self.listen(session.annotations_changed, self._follow)
        self.listen(session.selection_changed, self.later(self._follow_selection))
        self.listen(session.cells_listed, self._follow_gallery)
        self.listen(session.filter_changed, self._colour_later)
        self.listen(session.class_changed, self._colour_later)

    def _table(self) -> dict[str, Callable[[], object]]:
        return {
            "accept": lambda: self._review(Status.ACCEPTED),
            "reject": lambda: self._review(Status.REJECTED),
            "undo": self.session.history.undo,
            "redo": self.session.history.redo,
            "similar": self._ask_similar,
            "review": self.session.review_requested.emit,
            "show": lambda: self._go(int(self._rows[0]) if len(self._rows) else -1),
            "help": self.session.help_requested.emit,
            "leave": self._leave,
        }

    # The map

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Read the map when it is first looked at, and after vectors came."""
        super().showEvent(event)
        if self._is_due or self.session.similar.state != self._vectors:
            self._read_kept()

    def make_map(self) -> None:
        """Make the map anew, in a child process."""
        project = self.session.project
        if project is None:
            self.session.message.emit("No project is open; open or create one in the Slides dock first.")
        elif not self.session.similar.are_there:
            self._say(NO_VECTORS)
        else:
            self._say("")
            self.job.run(map_cells, {"place": project.folder, "options": MapOptions()}, "Starting…")

    def _mapped(self, event: object) -> None:
        if isinstance(event, Done) and isinstance(event.result, MapMade):
            made = event.result
            self.job.say("")
            self._read(lambda _project: read_map(Path(made.path), made.without))
        elif self.shown is not None:
            self._say(self.shown.standing.sentence)
        else:
            self._read_kept()

    def _read_kept(self) -> None:
        """Show the map that was made last, if there is one."""
        self._is_due = not self.isVisible()
        if not self._is_due and self.session.project is not None:
            self._read(kept_map)

    def _read(self, how: Callable[[Project], CellMap | None]) -> None:
        project = self.session.project
        if project is None:
            return
        self._missed, self._is_reading = [], True
        self._vectors = self.session.similar.state

        def read(_may_go_on: object) -> object:
            try:
                cells = how(project)
                standing = standing_of(project, cells)
                if cells is None:
                    return standing.sentence
                cells = replace(cells, without=standing.without)
                facts = cell_facts(project, cells.ids, cells.slide_ids)
            except CytoError as error:
                return str(error)
            names = {slide.id: slide.name for slide in project.slides()}
            return _Shown(cells, facts, names, standing)

        self.reader.ask(read)

    def _take(self, made: _Shown | str) -> None:
        self._is_reading = False
        if isinstance(made, str):
            self._show_nothing(made)
            return
        is_same = self.shown is not None and self.shown.cells.ids == made.cells.ids
        kept = self._rows if is_same and self.shown is not None else np.zeros(0, np.intp)
        is_same = is_same and self.shown is not None and bool(np.array_equal(self.shown.cells.xy, made.cells.xy))
        self.shown = made
        for changes in self._missed:
            made.facts.follow(changes)
        self._missed = []
        self._rows = kept
        if not is_same:
            self.plot.show_cells(
                made.cells.xy, np.zeros(len(made.cells.ids), np.uint32), np.ones(len(made.cells.ids), bool)
            )
        self._colour()
        self._brighten()
        self.plot.ring(self._rows)
        self.make.setText("Make anew")
        self._show_words()

    def _show_nothing(self, why: str = "") -> None:
        self.shown, self._rows = None, np.zeros(0, np.intp)
        self.plot.show_cells(np.zeros((0, 2), np.float32), np.zeros(0, np.uint32), np.zeros(0, bool))
        self._show_legend("")
        self.trust.clear()
        self.make.setText("Make map")
        if not why and self.session.project is not None and not self.session.similar.are_there:
            why = NO_VECTORS
        self._say(why)
        self._show_words()

    def _colour(self) -> None:
        shown, project = self.shown, self.session.project
        if shown is None or project is None:
            return
        by = ColourBy(self.by.currentData())
        blind = self.session.shown_filter.blind
        made = coloured(by, shown.facts, shown.cells.slide_ids, shown.names, project.scheme, blind=blind)
        self.plot.colour(made.colours, shown.facts.statuses != "")
        self._show_legend(made.legend)
        trust = shown.cells.trust
        slides = f"\n{trust.slide_sentence}" if by is ColourBy.SLIDE else ""
        self.trust.setText(shown.cells.sentence + slides)
        self._say(shown.standing.sentence)

    def _show_legend(self, words: str) -> None:
        self.legend.setText(words)
        self.legend.setVisible(bool(words))

    def _say(self, hint: str) -> None:
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))

    # What is selected

    @property
    def ids(self) -> list[str]:
        """The cells that are selected on the map."""
        return [] if self.shown is None else [self.shown.cells.ids[row] for row in self._rows.tolist()]

    def _choose(self, rows: npt.NDArray[np.intp], adds: bool) -> None:
        if self.shown is None:
            return
        if adds and len(rows) == 1:
            # A click with Shift takes a cell out again.
            self._rows = np.setxor1d(self._rows, rows)
        else:
            self._rows = np.union1d(self._rows, rows) if adds else rows
        self.plot.ring(self._rows)
        ids = self.ids
        with self.session.telling():
            self.session.select(ids if len(ids) <= MOST_SELECTED else ())
            self.session.cells_requested.emit(CellList("Selected on the map", tuple(ids)) if ids else None)
        self._show_words()

    def _follow_selection(self) -> None:
        """Ring what was selected elsewhere; of very many selected here, the slide shows none."""
        if self.shown is None or (len(self._rows) > MOST_SELECTED and not self.session.selection):
            return
        row_of = self.shown.facts.row_of
        rows = np.array(sorted(row_of[i] for i in self.session.selection if i in row_of), dtype=np.intp)
        if set(rows.tolist()) < set(self._rows.tolist()) and len(self._rows) > 1:
            # One after the other of a selection is gone through in the gallery.
            return
        self._rows = rows
        self.plot.ring(rows)
        self._show_words()

    def _follow_gallery(self, ids: frozenset[str]) -> None:
        self._listed = ids
        if self.only_listed.isChecked():
            self._brighten()

    def _brighten(self) -> None:
        if self.shown is None:
            return
        if not self.only_listed.isChecked() or self._listed is None:
            self.plot.brighten(None)
            return
        bright = np.zeros(len(self.shown.cells.ids), bool)
        bright[[row for i in self._listed if (row := self.shown.facts.row_of.get(i)) is not None]] = True
        self.plot.brighten(bright)

    # Commands

    def _run(self, command: str) -> None:
        with self.session.telling():
            if command.startswith("class."):
                self._relabel(command.removeprefix("class."))
            else:
                self._commands[command]()

    def _need_ids(self) -> list[str]:
        ids = self.ids
        if not ids:
            raise CytoError("No cell is selected on the map; draw round some, or click one.")
        return ids

    def _review(self, status: Status) -> None:
        self.session.edits.set_status(status, of=self._need_ids())

    def _relabel(self, key: str) -> None:
        self.session.edits.choose_class(self.session.need_class_by_key(key).id, of=self._need_ids())

    def _ask_similar(self) -> None:
        ids = self._need_ids()
        if len(ids) != 1:
            raise CytoError(f"Select one cell, got {len(ids):,}; the gallery then shows the cells most like it.")
        self.session.similar_requested.emit(ids[0], "all")

    def _leave(self) -> None:
        if len(self._rows):
            self._choose(np.zeros(0, np.intp), False)
        else:
            parts.focus_canvas(self)

    def _go(self, row: int) -> None:
        if self.shown is None or row < 0:
            return
        with self.session.telling():
            cell = self.session.need_project().annotation(self.shown.cells.ids[row])
            if cell is not None:
                self.session.slides.go_to(cell.slide_id)
                self.session.jump(cell.geometry.centre_yx)
                self.session.select([cell.id])

    def show_label_errors(self) -> None:
        """Find accepted cells whose label their neighbours contradict, in a child process."""
        project = self.session.project
        if project is None or not self.session.similar.are_there:
            self._say(NO_VECTORS)
            return
        self.found_job.run(find_label_errors, {"place": project.folder}, "Comparing labels…")

    def _suspected(self, event: object) -> None:
        if isinstance(event, Done) and isinstance(event.result, LabelErrors):
            found = event.result
            ids = tuple(each.id for each in found.suspects[:SUSPECTS_SHOWN])
            self.session.cells_requested.emit(CellList("Likely label errors", ids, found.sentence()))
            self.session.review_requested.emit()

    # What happened elsewhere

    def _follow(self, entry: HistoryEntry | None) -> None:
        slide_id = self.session.slide.id if self.session.slide is not None else ""
        moved, self._slide_id = slide_id != self._slide_id, slide_id
        if self.shown is None:
            return
        if entry is None:
            if not moved:
                # Another window or a model wrote; said of another slide on screen, too, which changes no cell.
                cells = self.shown.cells
                self._read(lambda _project: cells)
            return
        changes = entry.edit.changes
        if self._is_reading:
            self._missed.append(changes)
        if len(self.shown.facts.follow(changes)):
            self._colour_later()

    def _show_project(self) -> None:
        project = self.session.project
        self.setEnabled(project is not None)
        self._paths.clear()
        if project is self._project:
            if self.shown is None and project is not None and self.isVisible():
                self._read_kept()
            return
        self._project = project
        self.reader.drop()
        self.crops.forget()
        self._listed = None
        self._show_nothing()
        self._is_due = True
        if self.isVisible():
            self._read_kept()

    def _show_words(self) -> None:
        count = len(self._rows)
        many = " (too many to be shown on the slide)" if count > MOST_SELECTED else ""
        none = "" if self.shown is None else "Draw round cells to select them."
        self.words.setText(f"{counted(count, 'cell')} selected{many}" if count else none)
        for made in (self.accept, self.reject):
            made.setEnabled(count > 0)
        self.like.setEnabled(count == 1)

    # The cell under the mouse

    def _hover(self, row: int, at: QPoint | None) -> None:
        shown, project = self.shown, self.session.project
        if row < 0 or at is None or shown is None or project is None:
            self.card.hide()
            self._wish = None
            return
        facts, slide_id = shown.facts, shown.cells.slide_ids[row]
        status = Status(facts.statuses[row]) if facts.statuses[row] else Status.UNREVIEWED
        hidden = self.session.shown_filter.blind and status is Status.UNREVIEWED
        class_id = "?" if hidden else str(facts.classes[row])
        name = shown.names.get(slide_id, "slide removed")
        self.caption.setText(f"{class_id}, {STATUS_NAMES[status]}\n{name[:18]}{'…' if len(name) > 18 else ''}")
        y, x = facts.places_yx[row].tolist()
        mpp, path = self._slide(slide_id)
        self._wish = None if path is None else Wish((shown.cells.ids[row], (y, x)), path, mpp, CROP_PX)
        self._show_crop(shown.cells.ids[row])
        self.card.adjustSize()
        left = _beside(at.x(), self.card.width(), self.plot.width())
        self.card.move(left, _beside(at.y(), self.card.height(), self.plot.height()))
        self.card.show()

    def _show_crop(self, cell_id: str) -> None:
        wish = self._wish
        if wish is None or wish.key[0] != cell_id:
            if wish is None:
                self.image.clear()
            return
        image = self.crops.get(wish)
        if image is not None:
            self.image.setPixmap(image)
        else:
            self.image.clear()

    def _slide(self, slide_id: str) -> tuple[float | None, Path | None]:
        project = self.session.project
        if slide_id not in self._paths and project is not None:
            try:
                record = project.slide(slide_id)
                self._paths[slide_id] = (record.mpp, project.slide_path(record) if record.path else None)
            except CytoError:
                self._paths[slide_id] = (None, None)
        return self._paths.get(slide_id, (None, None))

    def cancel_jobs(self) -> None:
        """Stop the map that is being made."""
        self.job.stop()
        self.found_job.stop()

    def let_go(self) -> None:
        """Stop reading, too."""
        self.job.close_job()
        self.found_job.close_job()
        self.reader.close()
        self.crops.close()
        super().let_go()


def _beside(place: int, size: int, room: int) -> int:
    """Return where what is beside the mouse begins, px: behind it where there is room, else before it."""
    return place + BESIDE_PX if place + BESIDE_PX + size < room else max(0, place - BESIDE_PX - size)
