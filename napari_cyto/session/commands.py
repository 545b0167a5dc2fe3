"""Commands by name, as the keys table speaks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari_cyto.domain.annotation import Status
from napari_cyto.session.session import Session
from napari_cyto.session.tools import Tool


def _take(tool: Tool) -> Callable[[Session], object]:
    def command(session: Session) -> None:
        session.tool = tool

    return command


# "finish" and "hide" belong to the canvas: they mean something only where things are drawn.
COMMANDS: Mapping[str, Callable[[Session], object]] = {
    "tool.select": _take(Tool.SELECT),
    "tool.point": _take(Tool.POINT),
    "tool.box": _take(Tool.BOX),
    "tool.region": _take(Tool.REGION),
    "cancel": lambda s: s.select(()),
    "delete": lambda s: s.delete_selected(),
    "undo": lambda s: s.undo(),
    "redo": lambda s: s.redo(),
    "next": lambda s: s.step(1),
    "previous": lambda s: s.step(-1),
    "next.class": lambda s: s.step(1, class_id=s.current_class),
    "previous.class": lambda s: s.step(-1, class_id=s.current_class),
    "next.unreviewed": lambda s: s.step(1, unreviewed=True),
    "previous.unreviewed": lambda s: s.step(-1, unreviewed=True),
    "accept": lambda s: s.set_status(Status.ACCEPTED),
    "reject": lambda s: s.set_status(Status.REJECTED),
    "slide.next": lambda s: s.next_slide(1),
    "slide.previous": lambda s: s.next_slide(-1),
}


def run(session: Session, command: str) -> None:
    """Do what a key asks for; what goes wrong for a reason that the user can mend becomes a message.

    Parameters
    ----------
    session : Session
        On which to do it.
    command : str
        A command of ``napari_cyto.session.keys``.
    """
    with session.telling():
        if command.startswith("class."):
            _choose(session, command.removeprefix("class."))
        elif command in COMMANDS:
            COMMANDS[command](session)


def _choose(session: Session, key: str) -> None:
    cell_class = session.class_by_key(key)
    if cell_class is None:
        session.message.emit(f"No class of this project has the key {key}.")
    else:
        session.choose_class(cell_class.id)
