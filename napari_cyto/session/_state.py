"""What one viewer knows of its open project: its signals, its values, and how it speaks to its user."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from psygnal import EmitLoopError, Signal

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.classes import CellClass
from napari_cyto.domain.geometry import YXYX
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.review.predictions import ShownFilter
from napari_cyto.session._reader import reader_name
from napari_cyto.session.tools import Tool

if TYPE_CHECKING:
    from napari_cyto.domain.edits import Edit
    from napari_cyto.slides import Slide, UnreadableTile
    from napari_cyto.store import Project


class InBackground(Protocol):
    """Does work while the window goes on, and hands over in the window's thread what it returns or raises."""

    def __call__(self, work: Callable[[], Any], then: Callable[[Callable[[], Any]], None]) -> None:
        """Do ``work`` and call ``then`` with what returns its result, or raises its error."""
        ...


class SessionState:
    """The values and signals of a session; the commands on them are in its subclasses.

    Parameters
    ----------
    author : str, optional
        Who the edits belong to; the reader's name of `session.reader` unless given.
    """

    project_changed = Signal()
    slide_changed = Signal()
    leaving = Signal()  # before a slide goes off the screen, its project still open
    annotations_changed = Signal(object)  # the HistoryEntry, or None when more than one edit may lie between
    selection_changed = Signal()
    class_changed = Signal()
    tool_changed = Signal()
    filter_changed = Signal()
    jump_requested = Signal(float, float)  # y, x: level-0 px
    next_foreseen = Signal(float, float)  # y, x: level-0 px of where the next jump will probably go
    view_changed = Signal(float, float, float, float)  # y0, x0, y1, x1: level-0 px
    message = Signal(str)
    waiting = Signal(str)  # why the window stands still for some seconds; to be shown at once
    mpp_needed = Signal()
    review_wanted = Signal()  # the gallery, with the keyboard
    slides_wanted = Signal()  # the dialog that adds slides
    home_wanted = Signal()  # the view on the whole slide
    help_wanted = Signal()  # the keys of what has the focus
    unreadable = Signal(object)
    replaced_changed = Signal()  # the project's file is not the one that was opened, or is again

    def __init__(self, author: str | None = None) -> None:
        self.author = author or reader_name()
        self._project: Project | None = None
        self._slide: SlideRecord | None = None
        self._handle: Slide | None = None
        self._class = ""
        self._tool = Tool.SELECT
        self._shown_filter = ShownFilter()
        self._selection: frozenset[str] = frozenset()
        self._cursor: Annotation | None = None
        # What the project was when others' writing was last passed on.
        self._stood: object = None
        self._told_damage = ""
        self._view_yxyx: YXYX | None = None
        # Why nothing can be stored since the project's file was replaced, and the edit that showed it.
        self._replaced = ""
        self._unsaved: Edit | None = None
        # Set by a window, which must not wait for long work; without one it is done at once.
        self.background: InBackground | None = None
        # Set by a window: the annotation as it is drawn, by its id, for an edit is of what its author sees.
        self.drawn: Callable[[str], Annotation | None] = lambda _annotation_id: None
        # What is at work there and changes the project, as a sentence for who wants to change it too.
        self._at_work = ""
        # Tiles are decoded in threads; what they report waits here for `poll` on the window's own thread.
        self._unreadable_tiles: deque[UnreadableTile] = deque()

    @property
    def project(self) -> Project | None:
        """The open project."""
        return self._project

    @property
    def replaced(self) -> str:
        """Why nothing can be stored: the project's file is not the one that was opened; empty when it is."""
        return self._replaced

    @property
    def unsaved(self) -> Edit | None:
        """The edit that is on screen but could not be stored, since the project's file was replaced."""
        return self._unsaved

    @property
    def slide(self) -> SlideRecord | None:
        """The slide on screen, as the project knows it."""
        return self._slide

    @property
    def open_slide_handle(self) -> Slide | None:
        """The open pixel file of the slide on screen; None also when only its labels are known."""
        return self._handle

    @property
    def current_class(self) -> str:
        """The class id that the next mark gets; empty without a project."""
        return self._class

    @property
    def tool(self) -> Tool:
        """The tool in hand."""
        return self._tool

    @tool.setter
    def tool(self, tool: Tool) -> None:
        if tool != self._tool:
            self._tool = Tool(tool)
            self.tool_changed.emit()

    @property
    def shown_filter(self) -> ShownFilter:
        """Which marks are shown, and whether what a model says of them is."""
        return self._shown_filter

    @property
    def selection(self) -> frozenset[str]:
        """Ids of the selected annotations."""
        return self._selection

    @property
    def view_yxyx(self) -> YXYX | None:
        """The part of the slide on screen, level-0 px; None while nobody looks."""
        return self._view_yxyx

    def set_view(self, view_yxyx: YXYX) -> None:
        """Take note of what is on screen: ``(y0, x0, y1, x1)``, level-0 px."""
        if view_yxyx != self._view_yxyx:
            self._view_yxyx = view_yxyx
            self.view_changed.emit(*view_yxyx)

    def need_project(self) -> Project:
        """Return the open project.

        Raises
        ------
        StoreError
            When none is open.
        """
        if self._project is None:
            raise StoreError("No project is open; open or create one in the Slides dock first.")
        return self._project

    def need_slide(self) -> SlideRecord:
        """Return the slide on screen.

        Raises
        ------
        StoreError
            When none is.
        """
        if self._slide is None:
            raise StoreError("No slide is open; add one to the project or choose one in the Slides dock first.")
        return self._slide

    def class_by_key(self, key: str) -> CellClass | None:
        """Return the class of the project's scheme that the key ``1`` to ``9`` chooses, if one does."""
        return None if self._project is None else self._project.scheme.by_key(key)

    def selected(self) -> tuple[Annotation, ...]:
        """Return the selected annotations as they are stored now."""
        if self._project is None:
            return ()
        return tuple(self._project.annotations_by_id(sorted(self._selection)))

    def select(self, ids: Iterable[str]) -> None:
        """Select exactly the annotations with these ids."""
        wanted = frozenset(ids)
        if wanted != self._selection:
            self._selection = wanted
            self.selection_changed.emit()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Turn a ``CytoError`` raised inside into a message for the user; other errors are bugs and pass.

        One that whoever hears a signal raised comes wrapped by the signal, once for each signal within a signal.
        """
        try:
            yield
        except CytoError as error:
            self.message.emit(str(error))
        except EmitLoopError as error:
            cause: BaseException | None = error
            while isinstance(cause, EmitLoopError):
                cause = cause.__cause__
            if not isinstance(cause, CytoError):
                raise
            self.message.emit(str(cause))
