"""Dock Readings: who reads what, blind; and the cells of the reading that is open, one after the other."""

from __future__ import annotations

from qtpy.QtWidgets import QInputDialog, QProgressBar, QWidget

from napari_cyto.readings.reading import Standing, State
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.fact_table import FactTable
from napari_cyto.widgets.docks.readings._assign_form import AssignForm
from napari_cyto.widgets.docks.section import Section

HEADINGS = ("Reading", "Reader", "State", "Cells")
KEYS = "X: cannot say.  Backspace or Left: back.  Right: next open cell.  Ctrl+Z: undo."
FINISH_TIP = "Locks the reading for good, and opens the project again."


class ReadingsDock(Dock):
    """In the main project its readings, and the form for another; in a reading's own how far it has come."""

    title = "Readings"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._shown: tuple[Standing, ...] = ()
        self.reader = parts.text(bold=True)
        self.change = parts.button(
            "Change reader…", "Who reads here. Names are trusted: take your own.", self.ask_reader, name="change reader"
        )
        self.none = parts.text("Open a project to have it read again, blind.")
        self._make_list()
        self._make_open()
        for block in (self.reader, self.change, self.none, self.listed, self.open):
            self.body.addWidget(block)
        self.body.addStretch(1)
        refresh = self.later(self.refresh)
        for signal in (session.readings_changed, session.project_changed):
            self.listen(signal, refresh)
        self.refresh()

    def _make_list(self) -> None:
        self.table = FactTable("Readings of this project")
        self.empty = parts.text("No readings yet.", colour=style.QUIET)
        self.which = Choice()
        self.which.setAccessibleName("reading to begin")
        self.which.setToolTip("Your readings that are assigned or begun.")
        self.begin = parts.button(
            "Begin", "Opens the reading; nothing else of the project opens until it is finished.", self._begin
        )
        self.form = AssignForm(self.session)
        self.assign = parts.button("Assign reading", "Draws the cells now, and lists the reading.", self._assign)
        self.new = Section(
            "Assign a reading", parts.column(self.form, self.assign), tip="Have cells or slides read again, blind"
        )
        self.mine = parts.row(self.which, self.begin, stretch=0)
        self.listed = parts.column(self.empty, self.table, self.mine, self.new)

    def _make_open(self) -> None:
        self.words = parts.text(bold=True)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("progress of the reading")
        self.cell = parts.text(bold=True)
        self.opinion = parts.text()
        self.classes = parts.text(selectable=True)
        self.keys = parts.text(KEYS, colour=style.QUIET)
        readings = self.session.readings
        self.back = parts.button("Back", "The cell before.\nKey: Backspace", lambda: self.do(readings.back))
        self.skip = parts.button("Cannot say", "Goes on without a class.\nKey: X", lambda: self.do(readings.skip))
        self.given = parts.column(self.cell, self.opinion, self.classes, self.keys, parts.row(self.back, self.skip))
        self.finish = parts.button("Finish", FINISH_TIP, lambda: self.do(readings.finish))
        self.hand_back = parts.button(
            "Hand back",
            "Gives the reading up: it is locked and counts for nothing.",
            lambda: self.do(readings.hand_back),
        )
        self.open = parts.column(self.words, self.progress, self.given, parts.row(self.finish, self.hand_back))

    def refresh(self) -> None:
        """Show what the session has open."""
        session = self.session
        has_project, is_reading = session.project is not None, bool(session.readings.id)
        self.reader.setText(f"You read as {session.author}")
        self.none.setVisible(not has_project)
        self.listed.setVisible(has_project and not is_reading)
        self.open.setVisible(is_reading)
        if is_reading:
            self._show_open(session.readings.standing())
        elif has_project:
            self._show_list(session.readings.all())

    def _show_list(self, found: tuple[Standing, ...]) -> None:
        self._shown = found
        self.empty.setVisible(not found)
        self.table.setVisible(bool(found))
        rows = [(each.id, each.reader, each.state.value, f"{each.cells:,}" if each.cells else "free") for each in found]
        self.table.show_rows(rows, HEADINGS)
        mine = [r for r in found if r.reader == self.session.author and r.state in (State.ASSIGNED, State.BEGUN)]
        self.which.clear()
        for each in mine:
            self.which.addItem(f"{each.id}: {each.cells:,} cells" if each.cells else f"{each.id}: free", each.id)
        self.mine.setVisible(bool(mine))

    def _show_open(self, standing: Standing) -> None:
        given = self.session.readings.given
        is_done = standing.state in (State.FINISHED, State.HANDED_BACK)
        self.words.setText(f"Reading {standing.id}: {standing.state if is_done else standing.words}")
        self.progress.setRange(0, max(1, standing.cells))
        self.progress.setValue(standing.classified + standing.skipped)
        self.progress.setVisible(given is not None)
        self.given.setVisible(given is not None)
        for control in (self.finish, self.hand_back):
            control.setVisible(not is_done)
        if given is not None:
            self.cell.setText(given.words)
            said = ", ".join(f"{name} {100 * value:.0f} %" for name, value in given.opinion())
            self.opinion.setText(f"Model: {said}")
            self.opinion.setVisible(bool(said))
            scheme = self.session.need_project().scheme
            self.classes.setText("\n".join(f"{c.key}  {c.label}" for c in scheme.classes if c.key))

    def _begin(self) -> None:
        if self.which.currentData():
            self.do(self.session.readings.begin, self.which.currentData())

    def _assign(self) -> None:
        self.do(lambda: self.session.readings.assign(self.form.request()))

    def ask_reader(self) -> None:
        """Ask who reads, of those who are known to the project or another."""
        known = [self.session.author, *(each.reader for each in self._shown)]
        names = list(dict.fromkeys(known))
        name, accepted = QInputDialog.getItem(self, "Reader", "Who reads here?", names, 0, True)
        if accepted:
            self.do(self.session.set_reader, name)
