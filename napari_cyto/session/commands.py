"""Commands by name, as the keys table speaks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import CellRing
from napari_cyto.session._session import Session
from napari_cyto.session.tools import Tool


def _take(tool: Tool) -> Callable[[Session], object]:
    def command(session: Session) -> None:
        session.tool = tool

    return command


def _take_outline(session: Session) -> None:
    """Take the tool; who has it in hand already turns to the other ring."""
    if session.tool is Tool.OUTLINE:
        rings = session.outlines.ring, *(ring for ring in CellRing if ring is not session.outlines.ring)
        session.outlines.ring = rings[-1]
    session.tool = Tool.OUTLINE


def _cancel(session: Session) -> None:
    if not session.outlines.drop():
        session.select(())


def _keep_outlines(session: Session) -> None:
    if session.selection or session.tool is Tool.OUTLINE:
        kept = session.outlines.accept()
        if kept and session.tool is Tool.OUTLINE:
            # As after a point: the next digit is for the next cell.
            session.select(())


SAVED = "All changes are saved."
_TAUGHT = {"teach.this": True, "teach.not": False}
_REVIEW_STATUSES = {"accept": Status.ACCEPTED, "reject": Status.REJECTED}

# "hide", "pan" and "zoom" belong to the canvas: they mean something only where things are drawn. So does what "finish"
# and "cancel" make of a region that is being drawn.
COMMANDS: Mapping[str, Callable[[Session], object]] = {
    "tool.select": _take(Tool.SELECT),
    "tool.point": _take(Tool.POINT),
    "tool.box": _take(Tool.BOX),
    "tool.region": _take(Tool.REGION),
    "tool.outline": _take_outline,
    "finish": _keep_outlines,
    "cancel": _cancel,
    "delete": lambda s: s.edits.delete_selected(),
    "undo": lambda s: s.history.undo(),
    "redo": lambda s: s.history.redo(),
    "next": lambda s: s.view.step(1),
    "previous": lambda s: s.view.step(-1),
    "next.class": lambda s: s.view.step(1, class_id=s.current_class),
    "previous.class": lambda s: s.view.step(-1, class_id=s.current_class),
    "next.unreviewed": lambda s: s.view.step(1, unreviewed=True),
    "previous.unreviewed": lambda s: s.view.step(-1, unreviewed=True),
    "accept": lambda s: s.edits.set_status(_REVIEW_STATUSES["accept"]),
    "reject": lambda s: s.edits.set_status(_REVIEW_STATUSES["reject"]),
    "teach.this": lambda s: s.teaching.this(),
    "teach.not": lambda s: s.teaching.not_this(),
    "review": lambda s: s.review_requested.emit(),
    "similar": lambda s: _similar(s),
    "slides.add": lambda s: s.slides_requested.emit(),
    "saved": lambda s: s.message.emit(s.replaced or SAVED),
    "fit": lambda s: s.home_requested.emit(),
    "help": lambda s: s.help_requested.emit(),
    "slide.next": lambda s: s.slides.next(1),
    "slide.previous": lambda s: s.slides.next(-1),
}


def run(session: Session, command: str) -> None:
    """Do what a key asks for; what goes wrong for a reason that the user can mend becomes a message.

    Parameters
    ----------
    session : Session
        On which to do it.
    command : str
        A command of ``napari_cyto.widgets.keys``.
    """
    with session.telling():
        if acts_on_selection(command):
            session.view.need_selection_in_view()
        if command.startswith("class."):
            session.edits.choose_class(session.need_class_by_key(command.removeprefix("class.")).id)
        elif command in COMMANDS:
            COMMANDS[command](session)


def acts_on_selection(command: str) -> bool:
    """Whether a command changes what is selected, which must be in view then."""
    return command in ("accept", "reject", "delete", "finish", *_TAUGHT) or command.startswith("class.")


def run_on(session: Session, command: str, cell: Annotation) -> bool:
    """Do what a key asks for to one cell rather than to what is selected; return whether the key can mean that.

    Parameters
    ----------
    session : Session
        On which to do it.
    command : str
        A command of ``napari_cyto.widgets.keys``.
    cell : Annotation
        The cell under the mouse. A class key relabels it only with the select tool, where it cannot mean the next
        mark, and only while it is a proposal: what a person has said is changed on purpose, by selecting it first.
    """
    if command == "similar":
        session.similar_requested.emit(cell.id, "all")
        return True
    if command in _REVIEW_STATUSES:
        session.edits.set_status(_REVIEW_STATUSES[command], of=[cell.id])
        return True
    if command in _TAUGHT:
        (session.teaching.this if _TAUGHT[command] else session.teaching.not_this)(of=[cell.id])
        return True
    corrects = session.tool is Tool.SELECT and cell.status is Status.UNREVIEWED
    cell_class = session.class_by_key(command.removeprefix("class.")) if command.startswith("class.") else None
    if not corrects or cell_class is None:
        return False
    session.edits.choose_class(cell_class.id, of=[cell.id])
    return True


def _similar(session: Session) -> None:
    if len(session.selection) != 1:
        session.message.emit("Select one cell, or point at it; the gallery then shows the cells most like it.")
    else:
        session.similar_requested.emit(next(iter(session.selection)), "all")
