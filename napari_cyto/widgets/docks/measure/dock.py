"""Dock Measure: what is measured on the outlines of cells, as a table, a histogram and a scatter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QSize, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Done
from napari_cyto.measurements import (
    CellTable,
    Measured,
    MeasureOptions,
    measure,
    stored_measurements,
    write_table,
)
from napari_cyto.session import Session
from napari_cyto.session.cell_tint import CellTint
from napari_cyto.session.similar_cells import CellList
from napari_cyto.store import Project
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.controls import Check, Choice
from napari_cyto.widgets.docks.dot_plot import BACKGROUND
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.measure._cell_list import NUMBERS, Between, medians
from napari_cyto.widgets.docks.measure._cell_model import CellModel
from napari_cyto.widgets.docks.measure._histogram import Histogram
from napari_cyto.widgets.docks.measure._scatter import Scatter
from napari_cyto.widgets.docks.number_line import NumberLine
from napari_cyto.widgets.latest import Latest
from napari_cyto.widgets.ramp import packed, rgb_of

# All docks look at each annotation that is selected.
MOST_SELECTED = 2_000
VIEWS_PX = 250
NO_OUTLINES = "No cell here has an outline; draw some with the Outline tool, or outline all cells in the Annotate dock."
# Where the row of colours begins and ends, so that one odd cell does not make all others alike.
_TINT_PERCENTILES = (2, 98)
_UNCERTAIN_SHARE = 0.45
_BY_CLASS = ""


class MeasureDock(Dock):
    """The measured cells: filter, table and plots, medians, colours on the slide, a file."""

    title = "Measure"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.table: CellTable | None = None
        self.rows = np.zeros(0, np.intp)
        self.chosen = np.zeros(0, np.intp)
        self.model = CellModel(self)
        self.job = JobBar()
        self.reader = Latest("measurements", self)
        self._project: Project | None = None
        self._between = Between()
        self._left_out: dict[str, str] = {}
        self._is_due = True
        self._is_following = False
        self._plotted = np.zeros(0, np.intp)
        self._axes = ("", "")
        self._read_later = self.later(self._read, at_rest=True)
        self._make_controls()
        self._make_views()
        self._lay_out()
        self._connect()
        self._show_project()

    # Controls

    def _make_controls(self) -> None:
        self.scope = _choice("cells that are shown", "Cells of the slide on screen, or of all slides.")
        self.scope.addItem("All slides", False)
        self.scope.addItem("This slide", True)
        self.measure = parts.button(
            "Measure",
            "Measures the cells whose outline is new or was changed. You can go on working.",
            self.run_measure,
            name="measure cells",
        )
        self.hint = parts.text(colour=style.WARN)
        self.by = _choice(
            "measurement that is filtered and plotted", "Measurement to filter by; its histogram is below."
        )
        self.tint = _choice("colour of cells on the slide", "What the colour of a cell says, on the slide.")
        self.x, self.y = (_choice(f"{axis} axis", f"What runs {way}.", letters=5) for axis, way in _AXES)
        self.tint.addItem("Colour by class", _BY_CLASS)
        for column in NUMBERS:
            for choice in (self.by, self.x, self.y):
                choice.addItem(column.short, column.name)
            self.tint.addItem(f"Colour by {column.short}", column.name)
        self.x.setCurrentIndex(self.x.findData("nucleus_area_um2"))
        self.y.setCurrentIndex(self.y.findData("nc_ratio"))
        self.low, self.high = (NumberLine(words) for words in ("from", "to"))
        self.with_flagged = Check("Count flagged nuclei in medians")
        self.with_flagged.setToolTip(
            "Flagged: out of focus, touching another nucleus, or cut by the border of the image."
        )
        self.medians = parts.text(selectable=True)
        self.reference = parts.text(colour=style.QUIET)
        self.words = parts.text(bold=True)
        self.review = parts.button(
            "Review", "Shows these cells in the gallery of the Review dock.", self.show_in_gallery, name="review cells"
        )
        self.save = parts.button(
            "Save table…", "Saves these cells as CSV or Parquet, units in the header.", self.ask_file, name="save table"
        )

    def _make_views(self) -> None:
        self.view = QTableView()
        self.view.setAccessibleName("measured cells")
        self.view.setToolTip("A click on a header sorts; a click on a row goes to the cell.")
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setWordWrap(False)
        self.view.setTabKeyNavigation(False)
        self.view.setSortingEnabled(True)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(self.view.fontMetrics().height() + 6)
        self.view.horizontalHeader().setSortIndicator(self.model.keys.index("nc_ratio"), Qt.SortOrder.DescendingOrder)
        letter = self.view.fontMetrics().averageCharWidth()
        for column, key in enumerate(self.model.keys):
            words = self.model.headerData(column, Qt.Orientation.Horizontal)
            wide = {"class": 9, "outline": 12, "flags": 13, "slide": 22}.get(key, max(9, len(words) + 2))
            self.view.setColumnWidth(column, letter * wide + 12)
        self.histogram = Histogram()
        self.scatter = Scatter()
        axes = parts.row(QLabel("→"), self.x, QLabel("↑"), self.y)
        self.views = _Views(
            (
                ("Table", "The measured cells, a row each.", self.view),
                ("Histogram", "How often each value occurs.", self.histogram),
                ("Scatter", "Two measurements of each cell; draw round some to select them.", self._scatter_with(axes)),
            )
        )

    def _scatter_with(self, axes: QWidget) -> QWidget:
        made = QWidget()
        layout = QVBoxLayout(made)
        parts.tighten(layout)
        layout.addWidget(axes)
        layout.addWidget(self.scatter, 1)
        return made

    def _lay_out(self) -> None:
        self.body.addWidget(parts.row(self.scope, self.measure, stretch=0))
        self.body.addWidget(self.job)
        self.body.addWidget(self.hint)
        self.body.addWidget(parts.row(self.by, self.low, self.high, stretch=0))
        self.body.addWidget(self.views, 1)
        self.body.addWidget(self.words)
        for block in (self.medians, self.reference, self.with_flagged):
            self.body.addWidget(block)
        self.body.addWidget(self.tint)
        self.footer.addWidget(parts.row(self.review, self.save))

    def _connect(self) -> None:
        session = self.session
        self.scope.currentIndexChanged.connect(lambda _n: self._read())
        self.by.currentIndexChanged.connect(lambda _n: self._filter())
        for bound in (self.low, self.high):
            bound.editingFinished.connect(self._filter)
        for axis in (self.x, self.y):
            axis.currentIndexChanged.connect(lambda _n: self._plot())
        self.tint.currentIndexChanged.connect(lambda _n: self._colour_slide())
        self.with_flagged.toggled.connect(lambda _on: self._show_words())
        self.views.changed.connect(self._plot)
        self.histogram.bounds_changed.connect(self._take_bounds)
        self.scatter.chosen.connect(self._choose_dots)
        self.scatter.activated.connect(lambda dot: self._go(int(self._plotted[dot])))
        self.scatter.command_requested.connect(self._run)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._choose_lines())
        self.view.clicked.connect(lambda index: self._go(int(self.model.rows[index.row()])))
        self.job.ended.connect(self._measured)
        self.reader.made.connect(self._take)
        self.listen(session.project_changed, self.later(self._show_project))
        self.listen(session.slide_changed, self.later(self._follow_slide))
        self.listen(session.annotations_changed, self._read_later)
        self.listen(session.selection_changed, self.later(self._follow_selection))
        self.listen(session.filter_changed, self.later(self._filter))
        self.listen(session.class_changed, self.later(self._filter))

    # What is measured

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Read the measurements when they are first looked at."""
        super().showEvent(event)
        if self._is_due:
            self._read()

    def run_measure(self) -> None:
        """Measure what is new, in a child process."""
        project = self.session.project
        if project is None:
            self.session.message.emit("No project is open; open or create one in the Slides dock first.")
            return
        self._left_out = {}
        self.job.run(measure, {"place": project.folder, "options": MeasureOptions()}, "Measuring…")

    def _measured(self, event: object) -> None:
        if isinstance(event, Done) and isinstance(event.result, Measured):
            self.job.say("")
            self._left_out = {each.slide: each.reason for each in event.result.left_out}
        # What was measured until it was stopped is kept, too.
        self._read()

    def _read(self) -> None:
        """Read what is kept, in a thread; not before anybody looks."""
        self._is_due = not self.isVisible()
        project, slide = self.session.project, self.session.slide
        if self._is_due or project is None:
            return
        of_slide = slide.id if self.scope.currentData() and slide is not None else None

        def read(_may_go_on: object) -> CellTable | str:
            try:
                return CellTable(stored_measurements(project, of_slide))
            except CytoError as error:
                return str(error)

        self.reader.ask(read)

    def _take(self, made: CellTable | str) -> None:
        if isinstance(made, str):
            self._say(made)
            return
        chosen = set(self.ids)
        self.table = made
        rows = [row for cell in chosen if (row := made.row_of.get(cell)) is not None]
        self.chosen = np.array(sorted(rows), dtype=np.intp)
        lacking = made.measured.lacking
        self.measure.setText(f"Measure {counted(lacking, 'cell')}" if lacking else "All measured")
        self.measure.setEnabled(lacking > 0)
        self._say(self._hints(made.measured))
        self._filter()
        self._colour_slide()

    def _hints(self, found: Measured) -> str:
        said = list(({each.slide: each.reason for each in found.left_out} | self._left_out).values())
        if not found.cells and not found.lacking:
            said.append(NO_OUTLINES)
        elif found.without_outline:
            said.append(f"{counted(found.without_outline, 'cell')} without an outline.")
        if found.plain_outlines:
            said.append(f"{counted(found.plain_outlines, 'outline')} left out: they do not say of what they are.")
        if found.unreadable:
            said.append(f"{counted(found.unreadable, 'cell')} could not be read.")
        return "\n".join(said)

    def _say(self, hint: str) -> None:
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))

    # What is shown of it

    @property
    def ids(self) -> list[str]:
        """The cells that are selected here."""
        return [] if self.table is None else self.table.ids[self.chosen].tolist()

    def _filter(self) -> None:
        table, project = self.table, self.session.project
        if table is None or project is None:
            return
        bounds = [bound.value for bound in (self.low, self.high)]
        self._between = Between(self.by.currentData(), *bounds)
        self.rows = np.flatnonzero(table.between(self._between.name, *bounds))
        colours = {c.id: c.colour for c in project.scheme.classes}
        self._is_following = True
        self.model.show_rows(table, self.rows, colours, blind=self.session.shown_filter.blind)
        self._is_following = False
        self._plot()
        self._show_words()

    def _take_bounds(self, low: float, high: float) -> None:
        """Filter by what was dragged in the histogram."""
        for bound, value in ((self.low, low), (self.high, high)):
            bound.show_value(value)
        self._filter()

    def _plot(self) -> None:
        """Draw the plot that is seen."""
        table = self.table
        if table is None:
            return
        if self.views.number == 1:
            low, high = self._between.low, self._between.high
            column = NUMBERS[self.by.currentIndex()]
            self.histogram.show_values(
                column.short,
                table.column(column.name),
                table.accepted,
                -np.inf if low is None else low,
                np.inf if high is None else high,
            )
        elif self.views.number == 2:
            self._plotted = self.rows
            axes = (self.x.currentData(), self.y.currentData())
            values = np.stack([table.column(name)[self.rows] for name in axes], axis=1)
            titles = (self.x.currentText(), self.y.currentText())
            self.scatter.show_values(titles, values, self._dot_colours(table), stay=axes == self._axes)
            self._axes = axes
            self._ring()

    def _dot_colours(self, table: CellTable) -> npt.NDArray[np.uint32]:
        """Return the colours of the dots: of their class, paler where nobody accepted the outline."""
        project = self.session.project
        assert project is not None
        names, codes = np.unique(table.class_ids[self.rows].astype(str), return_inverse=True)
        colours = {c.id: c.colour for c in project.scheme.classes}
        palette = np.array([rgb_of(colours.get(name, "#949daa")) for name in names.tolist()], np.float64).reshape(-1, 3)
        rgb = palette[codes] if len(codes) else np.zeros((0, 3))
        if self.session.shown_filter.blind:
            rgb[table.statuses[self.rows] == Status.UNREVIEWED.value] = rgb_of("#949daa")
        ground = np.array([BACKGROUND >> 16 & 255, BACKGROUND >> 8 & 255, BACKGROUND & 255])
        pale = ~table.accepted[self.rows]
        rgb[pale] = rgb[pale] * _UNCERTAIN_SHARE + ground * (1 - _UNCERTAIN_SHARE)
        return packed(rgb.round().astype(np.uint8))

    def _ring(self) -> None:
        place = np.full(0 if self.table is None else len(self.table), -1, dtype=np.intp)
        place[self._plotted] = np.arange(len(self._plotted))
        dots = place[self.chosen]
        self.scatter.ring(dots[dots >= 0])

    def _show_words(self) -> None:
        table = self.table
        shown, chosen = len(self.rows), len(self.chosen)
        total = 0 if table is None else len(table)
        of = f" of {total:,}" if shown < total else ""
        selected = f", {chosen:,} selected" if chosen else ""
        self.words.setText(f"{shown:,}{of} measured {'cell' if shown == 1 and not of else 'cells'}{selected}")
        which = self.chosen if chosen > 1 else self.rows
        self.medians.setText("" if table is None else medians(table, which, with_flagged=self.with_flagged.isChecked()))
        self.reference.setText("" if table is None else _reference_words(table.measured))
        self.review.setText(f"Review {len(which):,}")
        self.review.setEnabled(len(which) > 0)
        self.save.setEnabled(total > 0)

    def _colour_slide(self) -> None:
        """Colour the cells on the slide by the chosen measurement."""
        name, table = self.tint.currentData(), self.table
        if name == _BY_CLASS or table is None:
            self.session.view.show_tint(None)
            return
        values = table.column(name)
        usual = values[np.isfinite(values) & ~table.flagged]
        usual = usual if len(usual) else values[np.isfinite(values)]
        low, high = np.percentile(usual, _TINT_PERCENTILES) if len(usual) else (0.0, 1.0)
        column = NUMBERS[self.tint.currentIndex() - 1]
        self.session.view.show_tint(
            CellTint(
                column.title,
                float(low),
                float(high),
                dict(zip(table.ids.tolist(), values.tolist(), strict=True)),
                frozenset(table.ids[~table.accepted].tolist()),
            )
        )

    # What is selected

    def _choose_lines(self) -> None:
        """Follow the selection in the table."""
        if self._is_following or self.table is None:
            return
        lines = sorted({index.row() for index in self.view.selectionModel().selectedRows()})
        self._choose(np.sort(self.model.rows[lines]), lists=len(lines) > 1)
        if len(lines) == 1:
            self._go(int(self.chosen[0]))

    def _choose_dots(self, dots: npt.NDArray[np.intp], adds: bool) -> None:
        """Follow a lasso or a click in the scatter."""
        rows = self._plotted[dots]
        if adds:
            rows = np.setxor1d(self.chosen, rows) if len(rows) == 1 else np.union1d(self.chosen, rows)
        self._choose(np.sort(rows), lists=True)
        if len(rows) == 1 and not adds:
            self._go(int(rows[0]))

    def _choose(self, rows: npt.NDArray[np.intp], *, lists: bool) -> None:
        self.chosen = rows
        ids = self.ids
        with self.session.telling():
            self.session.select(ids if len(ids) <= MOST_SELECTED else ())
            if lists:
                self.session.cells_requested.emit(self._list("Selected by measurement", tuple(ids)) if ids else None)
        self._ring()
        self._select_lines()
        self._show_words()

    def _select_lines(self) -> None:
        """Select in the table what is selected elsewhere; of very many, nothing."""
        is_few = len(self.chosen) <= MOST_SELECTED
        lines = np.flatnonzero(np.isin(self.model.rows, self.chosen)).tolist() if is_few else list[int]()
        selection, model = QItemSelection(), self.view.selectionModel()
        if {index.row() for index in model.selectedRows()} == set(lines):
            return
        last = self.model.columnCount() - 1
        for line in lines:
            selection.select(self.model.index(line, 0), self.model.index(line, last))
        self._is_following = True
        model.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if lines:
            self.view.scrollTo(self.model.index(lines[0], 0))
        self._is_following = False

    def _follow_selection(self) -> None:
        """Show what was selected on the slide or in another dock."""
        if self.table is None or (len(self.chosen) > MOST_SELECTED and not self.session.selection):
            return
        rows = sorted(row for cell in self.session.selection if (row := self.table.row_of.get(cell)) is not None)
        if rows == self.chosen.tolist() or (set(rows) < set(self.chosen.tolist()) and len(self.chosen) > 1):
            return
        self.chosen = np.array(rows, dtype=np.intp)
        self._ring()
        self._select_lines()
        self._show_words()

    def _go(self, row: int) -> None:
        """Show a cell on its slide."""
        if self.table is None or row >= len(self.table):
            return
        with self.session.telling():
            cell = self.session.need_project().annotation(str(self.table.ids[row]))
            if cell is not None:
                self.session.slides.go_to(cell.slide_id)
                self.session.jump(cell.geometry.centre_yx)
                self.session.select([cell.id])

    def _run(self, command: str) -> None:
        """Do what a key of the scatter asks for."""
        commands: dict[str, Callable[[], object]] = {
            "accept": lambda: self.session.edits.set_status(Status.ACCEPTED, of=self._need_ids()),
            "reject": lambda: self.session.edits.set_status(Status.REJECTED, of=self._need_ids()),
            "undo": self.session.history.undo,
            "redo": self.session.history.redo,
            "similar": lambda: self.session.similar_requested.emit(self._need_ids()[0], "all"),
            "review": self.show_in_gallery,
            "show": lambda: self._go(int(self.chosen[0]) if len(self.chosen) else len(self.table or ())),
            "help": self.session.help_requested.emit,
            "leave": self._leave,
        }
        with self.session.telling():
            if command.startswith("class."):
                class_id = self.session.need_class_by_key(command.removeprefix("class.")).id
                self.session.edits.choose_class(class_id, of=self._need_ids())
            else:
                commands[command]()

    def _list(self, title: str, ids: tuple[str, ...], said: str = "") -> CellList:
        return CellList(title, ids, said, measurement=self.by.currentData())

    def _need_ids(self) -> list[str]:
        ids = self.ids
        if not ids:
            raise CytoError("No cell is selected; draw round some dots, or click one.")
        return ids

    def _leave(self) -> None:
        if len(self.chosen):
            self._choose(np.zeros(0, np.intp), lists=True)
        else:
            parts.focus_canvas(self)

    def show_in_gallery(self) -> None:
        """Show in the gallery what is selected, or else all cells that pass the filter, in the order of the table."""
        if self.table is None:
            return
        which = self.model.rows
        if len(self.chosen) > 1:
            which = which[np.isin(which, self.chosen)]
        between = self._between
        title = "Selected by measurement" if len(self.chosen) > 1 else "Cells by measurement"
        said = ""
        if between.is_on:
            ends = [
                words + f" {value:g}"
                for words, value in (("from", between.low), ("to", between.high))
                if value is not None
            ]
            said = f"{self.by.currentText()} {' '.join(ends)}"
        uncertain = int((~self.table.accepted[which]).sum())
        if uncertain:
            said = f"{said}{'; ' if said else ''}{counted(uncertain, 'outline')} not accepted".strip()
        self.session.cells_requested.emit(self._list(title, tuple(self.table.ids[which].tolist()), said))
        self.session.review_requested.emit()

    # Files

    def ask_file(self) -> None:
        """Ask for a file, and write the cells of the table to it, in their order."""
        project = self.session.project
        if self.table is None or project is None:
            return
        start = project.folder.parent / f"{project.folder.stem}-cells.csv"
        kinds = "CSV (*.csv);;Parquet (*.parquet)"
        name, kind = QFileDialog.getSaveFileName(self, "Save measured cells as", str(start), kinds)
        if not name:
            return
        path = Path(name)
        if not path.suffix:
            path = path.with_suffix(".parquet" if "parquet" in kind else ".csv")
        with self.session.telling():
            write_table(path, self.table, self.model.rows)
            self.session.message.emit(f"{counted(len(self.model.rows), 'measured cell')} saved to {path}.")

    # What happened elsewhere

    def _follow_slide(self) -> None:
        if self.scope.currentData():
            self._read()

    def _show_project(self) -> None:
        project = self.session.project
        self.setEnabled(project is not None)
        if project is self._project:
            self._read_later()
            return
        self._project = project
        self.reader.drop()
        self.table, self._left_out = None, {}
        self.rows = self.chosen = self._plotted = np.zeros(0, np.intp)
        self.model.show_rows(None, self.rows, {}, blind=False)
        self.tint.setCurrentIndex(0)
        self._say("")
        self._show_words()
        self._is_due = True
        self._read()

    def cancel_jobs(self) -> None:
        """Stop measuring; what was measured is kept."""
        self.job.stop()

    def let_go(self) -> None:
        """Stop reading, too."""
        self.job.close_job()
        self.reader.close()
        super().let_go()


class _Views(QWidget):
    """Shows one of several widgets, chosen by a button; takes what the rest of the dock leaves.

    Plots ask for more than a laptop's screen has. A tab bar would cut its names in a narrow dock; buttons wrap.
    """

    changed = Signal()

    def __init__(self, views: Sequence[tuple[str, str, QWidget]]) -> None:
        super().__init__()
        self.setMinimumHeight(VIEWS_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._stack = QStackedWidget()
        self.buttons = []
        for number, (name, tip, widget) in enumerate(views):
            self._stack.addWidget(widget)
            self.buttons.append(parts.toggle(name, tip, partial(self.show_view, number), name=f"show {name.lower()}"))
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(parts.row(*self.buttons))
        layout.addWidget(self._stack, 1)
        self.show_view(0)

    @property
    def number(self) -> int:
        """Which is shown."""
        return int(self._stack.currentIndex())

    def show_view(self, number: int) -> None:
        """Show one of them."""
        self._stack.setCurrentIndex(number)
        for each, button in enumerate(self.buttons):
            button.setChecked(each == number)
        self.changed.emit()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As high as it must be."""
        return QSize(super().sizeHint().width(), VIEWS_PX)

    def hasHeightForWidth(self) -> bool:  # noqa: N802  Qt's name
        """No: what is in it scrolls."""
        return False


_AXES = (("horizontal", "to the right"), ("vertical", "upwards"))


def _reference_words(found: Measured) -> str:
    """Return on what the multiples of the intermediate nucleus rest."""
    if len(found.slides) == 1:
        return found.slides[0].reference.sentence
    without = [slide for slide in found.slides if slide.reference.area_um2 is None]
    if not without:
        return "x intermediate: in multiples of each slide's own intermediate nuclei." if found.slides else ""
    return (
        f"x intermediate: cannot say on {len(without):,} of {counted(len(found.slides), 'slide')}, with fewer than 20 "
        "intermediate nuclei in focus."
    )


def _choice(name: str, tip: str, letters: int = 8) -> Choice:
    choice = Choice()
    choice.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    choice.setMinimumContentsLength(letters)
    choice.setAccessibleName(name)
    choice.setToolTip(tip)
    return choice
