"""The keys, as data: what is bound to the canvas, listed in the README and shown in the dock's help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the keys table.

    Parameters
    ----------
    keys : tuple of str
        Key combinations that all do the same, e.g. ``Ctrl+Z``.
    command : str
        What ``napari_cyto.session.commands.run`` calls it.
    sentence : str
        What a person reads.
    """

    keys: tuple[str, ...]
    command: str
    sentence: str


CLASS_KEYS = tuple(
    Key((digit,), f"class.{digit}", f"Choose class {digit}, and relabel what is selected") for digit in "123456789"
)

KEYS: tuple[Key, ...] = (
    *CLASS_KEYS,
    Key(
        ("V",),
        "tool.select",
        "Select tool: click a cell, Shift adds, drag on glass selects all inside, Ctrl and drag all inside an outline, "
        "drag a cell moves it",
    ),
    Key(("P",), "tool.point", "Point tool: a click marks a cell"),
    Key(("B",), "tool.box", "Box tool: a click makes a box of the class's size, a drag one of any size"),
    Key(("R",), "tool.region", "Region tool: click corners or drag an outline; inside it every cell is marked"),
    Key(("Enter",), "finish", "Close the region that is being drawn"),
    Key(("Escape",), "cancel", "Drop what is being drawn, else select nothing"),
    Key(("Delete", "Backspace"), "delete", "Delete what is selected (while a region is drawn: its last corner)"),
    Key(("Ctrl+Z",), "undo", "Undo, and go to what changed"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "Redo, and go to what changed"),
    Key(("N",), "next", "Next annotation"),
    Key(("Shift+N",), "previous", "Previous annotation"),
    Key(("C",), "next.class", "Next annotation of the current class"),
    Key(("Shift+C",), "previous.class", "Previous annotation of the current class"),
    Key(("U",), "next.unreviewed", "Next annotation that nobody reviewed"),
    Key(("Shift+U",), "previous.unreviewed", "Previous annotation that nobody reviewed"),
    Key(("A",), "accept", "Accept what is selected, else the cell under the mouse"),
    Key(("X",), "reject", "Reject what is selected, else the cell under the mouse"),
    Key(("PageDown", "]"), "slide.next", "Next slide"),
    Key(("PageUp", "["), "slide.previous", "Previous slide"),
    Key(("G",), "review", "Go to the review gallery; Escape leads back"),
    Key(("H",), "hide", "Hide the annotations, or show them again"),
)

MOUSE: tuple[tuple[str, str], ...] = (
    ("Wheel", "Zoom"),
    ("Middle drag, or Space and drag", "Pan, with any tool"),
    ("Click on a mark", "Select it, with any tool"),
)


def keys_table() -> tuple[tuple[str, str], ...]:
    """Return the rows that people read: keys and what they do, the nine class keys as one row."""
    classes = (
        "1 to 9",
        "Choose the class, and relabel what is selected, else (with the select tool) the proposal under the mouse",
    )
    rest = tuple((" or ".join(k.keys), k.sentence) for k in KEYS if k not in CLASS_KEYS)
    return (classes, *rest, *MOUSE)
