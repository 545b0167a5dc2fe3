"""What one viewer knows of its open project: its signals, its values, and how it speaks to its user."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from psygnal import EmitLoopError, Signal

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YXYX
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.review.predictions import ShownFilter
from napari_cyto.session.cell_tint import CellTint
from napari_cyto.session.tools import Tool

if TYPE_CHECKING:
    from napari_cyto.domain.edits import Edit
    from napari_cyto.slides import Slide, UnreadableTile
    from napari_cyto.vectors import Attention
from napari_cyto.store import Project


class InBackground(Protocol):
    """Does work while the window goes on, and hands over in the window's thread what it returns or raises."""

    def __call__(self, work: Callable[[], Any], then: Callable[[Callable[[], Any]], None]) -> None:
        """Do ``work`` and call ``then`` with what returns its result, or raises its error."""
        ...


class SessionSignals:
    """What a session says to those who show it."""

    project_changed = Signal()
    slide_changed = Signal()
    leaving = Signal()  # before a slide goes off the screen, its project still open
    annotations_changed = Signal(object)  # the HistoryEntry, or None when more than one edit may lie between
    selection_changed = Signal()
    class_changed = Signal()
    tool_changed = Signal()
    filter_changed = Signal()
    taught_changed = Signal()  # another class is taught
    likeness_changed = Signal()  # what is taught was learnt: an order by likeness is another one now
    attention_changed = Signal()  # what a model of slides looked at is shown over the slide, or no longer
    tint_changed = Signal()  # cells are coloured by a number on the slide, or no longer
    jump_requested = Signal(float, float)  # y, x: level-0 px
    next_foreseen = Signal(float, float)  # y, x: level-0 px of where the next jump will probably go
    view_changed = Signal(float, float, float, float)  # y0, x0, y1, x1: level-0 px
    message = Signal(str)
    waiting = Signal(str)  # why the window stands still for some seconds; to be shown at once
    mpp_needed = Signal()
    review_requested = Signal()  # the gallery, with the keyboard
    similar_requested = Signal(str, str)  # the id of a cell, and where to look for cells like it
    cells_requested = Signal(object)  # the CellList that the gallery is to show; None for what its filters say
    cells_listed = Signal(object)  # frozenset of the ids that the gallery shows
    slides_requested = Signal()  # the dialog that adds slides
    home_requested = Signal()  # the view on the whole slide
    help_requested = Signal()  # the keys of what has the focus
    bookmarks_changed = Signal()
    unreadable = Signal(object)
    readings_changed = Signal()  # who reads what, or where one is among given cells
    replaced_changed = Signal()  # the project's file is not the one that was opened, or is again

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


@dataclass(eq=False, slots=True)
class SessionState:
    """The values of a session, which its parts share and change; others see them through `Session`.

    Parameters
    ----------
    signals : SessionSignals
        Where a part says what it changed.
    author : str
        Who the edits belong to.
    project : Project, optional
        The open project.
    slide : SlideRecord, optional
        The slide on screen.
    handle : Slide, optional
        Its open pixel file.
    class_id : str
        The class of the next annotation.
    tool : Tool
        The tool in hand.
    shown_filter : ShownFilter
        Which annotations are shown.
    attention : Attention, optional
        What a model of slides looked at, while it is shown over the slide.
    tint : CellTint, optional
        The number by which cells are coloured on the slide; their class's colour without.
    selection : frozenset of str
        Ids of the selected annotations.
    cursor : Annotation, optional
        Where "next" goes on from when nothing is selected.
    view_yxyx : tuple of float, optional
        What is on screen, level-0 px.
    replaced : str
        Why nothing can be stored since the project's file was replaced.
    unsaved : Edit, optional
        The edit that showed it.
    busy_reason : str
        What is at work in the background and changes the project, as a sentence for who wants to change it too.
    reported_damage : str
        The damage of the project that the user was told of.
    background : InBackground, optional
        Set by a window, which must not wait for long work; without one it is done at once.
    drawn : callable
        Set by a window: the annotation as it is drawn, by its id, for an edit is of what its author sees.
    unreadable_tiles : deque of UnreadableTile
        Tiles are decoded in threads; what they report waits here for `Session.poll` on the window's own thread.
    """

    signals: SessionSignals
    author: str
    project: Project | None = None
    slide: SlideRecord | None = None
    handle: Slide | None = None
    class_id: str = ""
    tool: Tool = Tool.SELECT
    shown_filter: ShownFilter = field(default_factory=ShownFilter)
    attention: Attention | None = None
    tint: CellTint | None = None
    selection: frozenset[str] = frozenset()
    cursor: Annotation | None = None
    view_yxyx: YXYX | None = None
    replaced: str = ""
    unsaved: Edit | None = None
    busy_reason: str = ""
    reported_damage: str = ""
    background: InBackground | None = None
    drawn: Callable[[str], Annotation | None] = lambda _annotation_id: None
    unreadable_tiles: deque[UnreadableTile] = field(default_factory=deque)

    def say(self, sentence: str) -> None:
        """Tell the user something."""
        self.signals.message.emit(sentence)

    def need_project(self) -> Project:
        """Return the open project.

        Raises
        ------
        StoreError
            When none is open.
        """
        if self.project is None:
            raise StoreError("No project is open; open or create one in the Slides dock first.")
        return self.project

    def need_slide(self) -> SlideRecord:
        """Return the slide on screen.

        Raises
        ------
        StoreError
            When none is.
        """
        if self.slide is None:
            raise StoreError("No slide is open; add one to the project or choose one in the Slides dock first.")
        return self.slide

    def selected(self) -> tuple[Annotation, ...]:
        """Return the selected annotations as they are stored now."""
        if self.project is None:
            return ()
        return tuple(self.project.annotations_by_id(sorted(self.selection)))

    def select(self, ids: Iterable[str]) -> None:
        """Select exactly the annotations with these ids."""
        chosen = frozenset(ids)
        if chosen != self.selection:
            self.selection = chosen
            self.signals.selection_changed.emit()
