"""Readings in a viewer: who reads what, and the given cells of the one that is open, one after the other."""

from __future__ import annotations

from pathlib import Path

from psygnal import Signal

from napari_cyto.readings import assignment, course
from napari_cyto.readings.given_cells import GivenCells
from napari_cyto.readings.reading import Reading, Standing, State
from napari_cyto.session._project_file import ProjectFile
from napari_cyto.session._projects import Projects
from napari_cyto.session._slides import Slides
from napari_cyto.session._state import SessionState
from napari_cyto.store import HistoryEntry, Project
from napari_cyto.store.reading_gate import LOCKED, OF_READING, READINGS, begun_by

_BACK = ("delete", "pan.left", "previous")
_ON = ("pan.right", "next")
_SKIP = "reject"


class Readings:
    """Assigns, begins and finishes readings, and gives classes to the given cells of the one that is open.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    projects : Projects
        What opens the main project and the readings' own.
    slides : Slides
        What puts a slide on screen.
    file : ProjectFile
        What stores the edits.
    """

    pointed = Signal(object)  # (y, x): level-0 px of the slide on screen, of the cell that is asked for; None for none

    def __init__(self, state: SessionState, projects: Projects, slides: Slides, file: ProjectFile) -> None:
        self._state, self._signals = state, state.signals
        self._projects, self._slides, self._file = projects, slides, file
        self._project: Project | None = None
        self._id = ""
        # As the main project keeps it; asked for once, since only finishing and handing back change it.
        self._reading: Reading | None = None
        self.given: GivenCells | None = None
        self._signals.project_changed.connect(self._follow_project)
        self._signals.annotations_changed.connect(self._follow_edit)
        self._signals.slide_changed.connect(self._follow_slide)
        self._is_new = False

    @property
    def id(self) -> str:
        """The id of the reading whose project is open; empty for any other project."""
        return self._id

    @property
    def is_turned(self) -> bool:
        """Whether the open reading shows its slides upside down."""
        return self.given is not None and self.given.is_turned

    @property
    def folder(self) -> Path:
        """The folder of the main project, while it or a reading of it is open."""
        return course.main_folder(self._state.need_project().folder)

    def all(self) -> tuple[Standing, ...]:
        """Return the readings of the project as this reader may see them; none without a project."""
        project = self._state.project
        return () if project is None or self._id else course.readings_of(project, self._state.author)

    def standing(self) -> Standing:
        """Return how far the open reading has come."""
        own = self._state.need_project()
        # Another window or program may have finished it.
        if self._reading is None or (self._reading.state is State.BEGUN and own.setting(LOCKED, {})):
            self._reading = course.reading_with(self.folder, self._id)
        return course.standing_in(own, self._reading)

    def assign(self, request: assignment.Request) -> Reading:
        """Assign a reading, and say what it lacks."""
        done = assignment.assign_in(self._state.need_project(), request, self._state.author)
        self._state.say(" ".join((f"{done.reading.id} is assigned to {done.reading.reader}.", *done.remarks)))
        self._signals.readings_changed.emit()
        return done.reading

    def begin(self, reading_id: str) -> None:
        """Begin a reading or go on with it: its own project takes the place of the main one."""
        place = course.begin_in(self._state.need_project(), reading_id, self._state.author)
        self._projects.open(place)

    def finish(self) -> Reading:
        """Lock the open reading, and open the main project again."""
        return self._done(course.finish(self.folder, self._id, self._state.author, self._state.need_project()))

    def hand_back(self) -> Reading:
        """Give the open reading up, and open the main project again."""
        return self._done(course.hand_back(self.folder, self._id, self._state.author, self._state.need_project()))

    def _done(self, reading: Reading) -> Reading:
        self._projects.open(self.folder)
        self._state.say(f"The reading {reading.id} is {reading.state} and locked.")
        return reading

    def run(self, command: str) -> bool:
        """Do what a key asks for among given cells; return whether it means something there."""
        if self.given is None:
            return False
        key = command.removeprefix("class.")
        if command in _BACK:
            self.back()
        elif command in _ON:
            self.go_on()
        elif command == _SKIP:
            self.skip()
        elif key != command:
            cell_class = self._state.need_project().scheme.by_key(key)
            if cell_class is None:
                self._state.say(f"No class of this project has the key {key}.")
            else:
                self.give(cell_class.id)
        else:
            return False
        return True

    def give(self, class_id: str) -> None:
        """Give the current cell a class, and go to the next that has none."""
        if self.given is None:
            return
        edit = self.given.edit(class_id)
        entry = None if edit is None else self._file.store(edit)
        self.given.go_on()
        self.show()
        if entry is not None:
            self._signals.annotations_changed.emit(entry)

    def skip(self) -> None:
        """Say that the current cell cannot be classified, and go on."""
        if self.given is not None:
            self.given.skip()
            self.show()

    def back(self) -> None:
        """Go to the given cell before."""
        if self.given is not None:
            self.given.back()
            self.show()

    def go_on(self) -> None:
        """Go to the next given cell that is not done."""
        if self.given is not None:
            self.given.go_on()
            self.show()

    def show(self) -> None:
        """Bring the current cell to the middle of the view."""
        if self.given is None:
            return
        cell = self.given.current
        if self._state.slide is None or self._state.slide.id != cell.slide_id:
            self._slides.go_to(cell.slide_id)
        self._state.select(())
        self._is_new = False
        self._signals.jump_requested.emit(*cell.yx)
        self.point()
        self._signals.readings_changed.emit()

    def point(self) -> None:
        """Say where on the slide on screen the current cell lies."""
        if self.given is not None and self._state.slide is not None:
            cell = self.given.current
            self.pointed.emit(cell.yx if cell.slide_id == self._state.slide.id else None)

    def leave_if_begun(self) -> bool:
        """Close the main project where this reader began a reading of it elsewhere; return whether that was so."""
        project = self._state.project
        if project is None or self._id or not begun_by(self._state.author, project.setting(READINGS, [])):
            return False
        self._projects.close()
        self._state.say("A reading of this project was begun in another window or program, so it was closed here.")
        return True

    def _follow_project(self) -> None:
        project = self._state.project
        if project is self._project:
            return
        self._project, self.given, self._id, self._reading = project, None, "", None
        of = {} if project is None else project.setting(OF_READING, {})
        if project is not None and of:
            self._id = of["id"]
            if of["mode"] == "classify" and project.writable:
                self.given, self._is_new = GivenCells(project), True
        self._signals.readings_changed.emit()

    def _follow_slide(self) -> None:
        if self._is_new and self._state.slide is not None:
            self._is_new = False
            self.show()

    def _follow_edit(self, entry: object) -> None:
        if self.given is None:
            return
        ids = [each.annotation_id for each in entry.edit.changes] if isinstance(entry, HistoryEntry) else None
        self.given.refresh(ids)
        if isinstance(entry, HistoryEntry) and entry.kind != "edit":
            place = self.given.place_of(entry.edit.changes[0].annotation_id)
            if place is not None:
                self.given.place = place
                self.show()
                return
        self._signals.readings_changed.emit()
