"""One open project in one viewer: everything that its docks, keys and mouse may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.classes import CellClass
from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import keep_reader, reader_name
from napari_cyto.review.predictions import ShownFilter
from napari_cyto.session._bookmarks import Bookmarks
from napari_cyto.session._edits import Edits
from napari_cyto.session._history import History
from napari_cyto.session._outlines import Outlines
from napari_cyto.session._project_file import ProjectFile
from napari_cyto.session._projects import READING_ONLY, Projects
from napari_cyto.session._readings import Readings
from napari_cyto.session._slide_facts import SlideFacts
from napari_cyto.session._slides import Slides
from napari_cyto.session._state import InBackground, SessionSignals, SessionState
from napari_cyto.session._teaching import Teaching
from napari_cyto.session._view import View
from napari_cyto.session.similar_cells import SimilarCells
from napari_cyto.session.tools import Tool
from napari_cyto.store.reading_gate import check_reader

if TYPE_CHECKING:
    from napari_cyto.domain.edits import Edit
    from napari_cyto.slides import Slide
    from napari_cyto.store import Project


class Session(SessionSignals):
    """A project open in a viewer, without the viewer.

    Widgets call the commands of its parts and redraw on its signals; the command line and tests do the same. Commands
    raise ``CytoError`` with a sentence for the user; ``with session.telling():`` turns that into ``message``.

    Parameters
    ----------
    author : str, optional
        Who the edits belong to; the reader's name of this user unless given.

    Attributes
    ----------
    projects : Projects
        Opens, creates, restores and closes projects.
    slides : Slides
        Puts slides on screen, and adds, removes and links them.
    facts : SlideFacts
        Stores what a person says of slides.
    view : View
        Which annotations are shown and on screen, and going from one to the next.
    edits : Edits
        Adds, changes, reviews and deletes annotations.
    outlines : Outlines
        Draws, corrects, accepts and drops the outlines of cells.
    teaching : Teaching
        Names the class that is taught, and makes cells examples for and against it.
    history : History
        Undoes and redoes.
    file : ProjectFile
        Stores edits in the project's file, and notices that it was replaced.
    bookmarks : Bookmarks
        Keeps places that somebody wants to find again.
    similar : SimilarCells
        Finds cells like a cell.
    readings : Readings
        Who reads what, blind, and the given cells of an open reading.
    """

    def __init__(self, author: str | None = None) -> None:
        self._state = SessionState(self, author or reader_name())
        self.slides = Slides(self._state)
        self.facts = SlideFacts(self._state)
        self.view = View(self._state)
        self.file = ProjectFile(self._state)
        self.projects = Projects(self._state, self.slides, self.file)
        self.edits = Edits(self._state, self.file)
        self.outlines = Outlines(self._state, self.edits)
        self.teaching = Teaching(self._state, self.file)
        self.history = History(self._state, self.slides, self.view)
        self.bookmarks = Bookmarks(self._state)
        self.similar = SimilarCells(self)
        self.readings = Readings(self._state, self.projects, self.slides, self.file)
        # What the project was when others' writing was last passed on.
        self._stood: object = None

    @property
    def author(self) -> str:
        """Who the edits belong to."""
        return self._state.author

    def set_reader(self, name: str) -> None:
        """Take another name for the annotations from now on; what is stored keeps its author.

        Raises
        ------
        CytoError
            When it is no name, or cannot be kept; or when who takes it may not see what is open (`reading_gate`).
        """
        if self._state.project is not None:
            check_reader(self._state.project, self._state.project.folder, name.strip())
        self._state.author = keep_reader(name)
        self.project_changed.emit()

    @property
    def project(self) -> Project | None:
        """The open project."""
        return self._state.project

    @property
    def replaced(self) -> str:
        """Why nothing can be stored: the project's file is not the one that was opened; empty when it is."""
        return self._state.replaced

    @property
    def unsaved(self) -> Edit | None:
        """The edit that is on screen but could not be stored, since the project's file was replaced."""
        return self._state.unsaved

    @property
    def slide(self) -> SlideRecord | None:
        """The slide on screen, as the project knows it."""
        return self._state.slide

    @property
    def open_slide_handle(self) -> Slide | None:
        """The open pixel file of the slide on screen; None also when only its labels are known."""
        return self._state.handle

    @property
    def current_class(self) -> str:
        """The class id that the next annotation gets; empty without a project."""
        return self._state.class_id

    @property
    def tool(self) -> Tool:
        """The tool in hand."""
        return self._state.tool

    @tool.setter
    def tool(self, tool: Tool) -> None:
        if tool != self._state.tool:
            self._state.tool = Tool(tool)
            self.tool_changed.emit()

    @property
    def shown_filter(self) -> ShownFilter:
        """Which annotations are shown, and whether what a model says of them is."""
        return self._state.shown_filter

    @property
    def selection(self) -> frozenset[str]:
        """Ids of the selected annotations."""
        return self._state.selection

    @property
    def view_yxyx(self) -> YXYX | None:
        """The part of the slide on screen, level-0 px; None while nobody looks."""
        return self._state.view_yxyx

    def set_view(self, view_yxyx: YXYX) -> None:
        """Take note of what is on screen: ``(y0, x0, y1, x1)``, level-0 px."""
        if view_yxyx != self._state.view_yxyx:
            self._state.view_yxyx = view_yxyx
            self.view_changed.emit(*view_yxyx)

    @property
    def background(self) -> InBackground | None:
        """What does long work while the window goes on; None where there is no window."""
        return self._state.background

    @background.setter
    def background(self, background: InBackground | None) -> None:
        self._state.background = background

    @property
    def drawn(self) -> Callable[[str], Annotation | None]:
        """What tells an annotation, by its id, as it is drawn now: an edit is of what its author sees."""
        return self._state.drawn

    @drawn.setter
    def drawn(self, drawn: Callable[[str], Annotation | None]) -> None:
        self._state.drawn = drawn

    def need_project(self) -> Project:
        """Return the open project.

        Raises
        ------
        StoreError
            When none is open.
        """
        return self._state.need_project()

    def need_slide(self) -> SlideRecord:
        """Return the slide on screen.

        Raises
        ------
        StoreError
            When none is.
        """
        return self._state.need_slide()

    def class_by_key(self, key: str) -> CellClass | None:
        """Return the class of the project's scheme that the key ``1`` to ``9`` chooses, if one does."""
        return None if self._state.project is None else self._state.project.scheme.by_key(key)

    def need_class_by_key(self, key: str) -> CellClass:
        """Return the class that the key ``1`` to ``9`` chooses.

        Raises
        ------
        CytoError
            When the project has none for it.
        """
        cell_class = self.class_by_key(key)
        if cell_class is None:
            raise CytoError(f"No class of this project has the key {key}.")
        return cell_class

    def selected(self) -> tuple[Annotation, ...]:
        """Return the selected annotations as they are stored now."""
        return self._state.selected()

    def select(self, ids: Iterable[str]) -> None:
        """Select exactly the annotations with these ids."""
        self._state.select(ids)

    def jump(self, yx: YX) -> None:
        """Ask the view to go to ``yx``, level-0 px."""
        self.jump_requested.emit(*yx)

    def close(self) -> None:
        """Close the project and its slide, as `Projects.close` does."""
        self.projects.close()

    def poll(self) -> None:
        """Pass on what happened elsewhere: other windows' edits and tiles that could not be read.

        The window calls this once a second on its own thread.
        """
        while self._state.unreadable_tiles:
            self.unreadable.emit(self._state.unreadable_tiles.popleft())
        self.file.check()
        project = self._state.project
        if project is not None:
            self._report_damage(project)
            for failure in project.back_up_in_rhythm():
                self.message.emit(failure)
        if project is not None and not self._state.replaced and project.changed_elsewhere():
            if self.readings.leave_if_begun():
                return
            self._refresh_slide()
            kept = [a.id for a in self._state.selected()]
            self._state.select(kept)
            self.annotations_changed.emit(None)
            # A model that proposes writes every second; who shows slides, classes and models need not follow that.
            before, self._stood = self._stood, (project, project.slides(), project.standing())
            if self._stood != before:
                self.project_changed.emit()

    def _report_damage(self, project: Project) -> None:
        """Say once what the look through a large database found; nothing can be stored in it from the start."""
        if project.damage and project.damage != self._state.reported_damage:
            self._state.reported_damage = project.damage
            self.project_changed.emit()
            self.message.emit(f"{project.damage} {READING_ONLY}")

    def _refresh_slide(self) -> None:
        if self._state.slide is not None and self._state.project is not None:
            before, self._state.slide = self._state.slide, self._state.project.slide(self._state.slide.id)
            if before.mpp != self._state.slide.mpp:
                self.slide_changed.emit()
