"""The keys, as data: what the slide and the review gallery obey, what F1 shows, and what the documentation lists."""

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

    @property
    def anywhere(self) -> bool:
        """Whether it works wherever the focus is: no letter that one may be typing does."""
        return all(k.startswith("Ctrl+") or (k[0] == "F" and k[1:].isdigit()) for k in self.keys)


CLASS_KEYS = tuple(
    Key(
        (digit,),
        f"class.{digit}",
        f"Give the selection class {digit}; with nothing selected, choose it for the next cell",
    )
    for digit in "123456789"
)

PAN_KEYS = (
    Key(("Left",), "pan.left", "Pan left"),
    Key(("Right",), "pan.right", "Pan right"),
    Key(("Up",), "pan.up", "Pan up"),
    Key(("Down",), "pan.down", "Pan down"),
)

MICROSCOPE_KEYS: tuple[Key, ...] = (
    Key(("E",), "focus.up", "The next focal plane of the slide, where it has several"),
    Key(("Shift+E",), "focus.down", "The focal plane before it"),
    Key(("Ctrl+1",), "objective.4", "Magnification 4x (40x: 0.25 µm per px of the screen)"),
    Key(("Ctrl+2",), "objective.10", "Magnification 10x"),
    Key(("Ctrl+3",), "objective.20", "Magnification 20x"),
    Key(("Ctrl+4",), "objective.40", "Magnification 40x"),
    Key(("Z",), "objective.next", "The next higher of these magnifications"),
    Key(("Shift+Z",), "objective.previous", "The next lower one"),
    Key(("Alt+M",), "ruler.remove", "Remove the ruler under the mouse"),
    Key(("Ctrl+M",), "rulers.clear", "Remove the rulers that stay on this slide"),
    Key(("F",), "field", "Show or hide the circle of the field of view (field number / objective)"),
    Key(("Shift+F",), "field.follow", "The circle follows the mouse, or stays in the middle"),
    Key(("I",), "light", "Show or hide the light of the view: brightness, contrast, gamma, white balance"),
    Key(("Shift+I",), "light.reset", "Show the slide in the light of its file again"),
    Key(("Alt+Up",), "lamp.brighter", "Brighter view"),
    Key(("Alt+Down",), "lamp.darker", "Darker view"),
    Key(("Alt+Right",), "lamp.contrast.more", "More contrast"),
    Key(("Alt+Left",), "lamp.contrast.less", "Less contrast"),
    Key(("Alt+PageUp",), "lamp.gamma.more", "More gamma (darker middle tones)"),
    Key(("Alt+PageDown",), "lamp.gamma.less", "Less gamma (lighter middle tones)"),
    Key(("W",), "light.white", "White balance on the glass under the mouse"),
    Key(("Shift+W",), "light.white.auto", "White balance on the brightest glass of the slide"),
    Key(("Q",), "turn.right", "Turn the view by 90° clockwise; annotations stay in place"),
    Key(("Shift+Q",), "turn.left", "Turn the view by 90° anticlockwise"),
    Key((".",), "turn.step.right", "Turn the view by 5° clockwise"),
    Key((",",), "turn.step.left", "Turn the view by 5° anticlockwise"),
    Key(("Alt+Q",), "turn.upright", "Set the view upright"),
    Key(("D",), "view.second", "Show or close a second view: the same slide elsewhere, or another one, in step"),
    Key(("J",), "place", "Go to coordinates (x, y in px or µm)"),
    Key(("K",), "bookmark", "Bookmark the place in the middle of the view, with a note"),
    Key(("Shift+K",), "bookmarks", "Show or hide the bookmarks of the project"),
    Key(("S",), "snapshot", "Save the view as an image, with a scale bar and without annotations"),
    Key(("Alt+S",), "snapshot.annotations", "The same, with annotations"),
    Key(("Shift+S",), "snapshot.copy", "Copy the view to the clipboard, with a scale bar and without annotations"),
)
"""What the hand reaches for at a microscope."""

KEYS: tuple[Key, ...] = (
    *CLASS_KEYS,
    Key(
        ("V",),
        "tool.select",
        (
            "Select tool: click a cell to select it (Shift adds); drag on the background to select a rectangle, "
            "with Ctrl an outline; drag a cell to move it"
        ),
    ),
    Key(("P",), "tool.point", "Point tool: a click adds a cell"),
    Key(("B",), "tool.box", "Box tool: a click adds a box of the class's size, a drag one of any size"),
    Key(("R",), "tool.region", "Region tool: click corners or drag an outline in which every cell is annotated"),
    Key(
        ("O",),
        "tool.outline",
        (
            "Outline tool: a click on a nucleus outlines it and its cell; Shift and drag adds to the outline, Alt "
            "(or Ctrl) and drag takes away; O again: correct the cytoplasm instead of the nucleus"
        ),
    ),
    Key(("Shift+O",), "outline.selection", "Outline the selected points and boxes"),
    Key(("Enter",), "finish", "Finish the region that is being drawn, else keep the selected outlines (dashed ones)"),
    Key(
        ("Escape",),
        "cancel",
        "Cancel drawing, else drop the outline just drawn, else clear the selection; in a dock, back to the slide",
    ),
    Key(("Delete", "Backspace"), "delete", "Delete the selection (while drawing a region: its last corner)"),
    Key(("Ctrl+Z",), "undo", "Undo, and go to what changed"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "Redo, and go to what changed"),
    Key(("N",), "next", "Next annotation"),
    Key(("Shift+N",), "previous", "Previous annotation"),
    Key(("C",), "next.class", "Next annotation of the current class"),
    Key(("Shift+C",), "previous.class", "Previous annotation of the current class"),
    Key(("U",), "next.unreviewed", "Next unreviewed prediction"),
    Key(("Shift+U",), "previous.unreviewed", "Previous unreviewed prediction"),
    Key(("A",), "accept", "Accept the selection if in view, else the cell under the mouse"),
    Key(("X",), "reject", "Reject the selection if in view, else the cell under the mouse"),
    Key(("T",), "teach.this", "Teach: the selection if in view, else the cell under the mouse, is of the class taught"),
    Key(("Shift+T",), "teach.not", "Teach: it is not of the class taught"),
    Key(("PageDown", "]"), "slide.next", "Next slide"),
    Key(("PageUp", "["), "slide.previous", "Previous slide"),
    Key(("L",), "similar", "Show cells like the selected one, or the one under the mouse, in the gallery"),
    Key(("G",), "review", "Go to the review gallery; Escape goes back"),
    Key(("H",), "hide", "Hide or show the annotations"),
    *PAN_KEYS,
    Key(("+", "="), "zoom.in", "Zoom in"),
    Key(("-",), "zoom.out", "Zoom out"),
    Key(("Home",), "fit", "Show the whole slide"),
    *MICROSCOPE_KEYS,
    Key(("Ctrl+O",), "slides.add", "Add slides to the project"),
    Key(("Ctrl+S",), "saved", "Confirm that all changes are saved (each is saved at once)"),
    Key(("F1",), "help", "Show the keys for what has the focus"),
    Key(("?",), "help", "The same, on the slide and in the gallery"),
)

MOUSE: tuple[tuple[str, str], ...] = (
    ("Wheel", "Zoom"),
    ("Alt and the wheel", "Go through the focal planes of the slide, where it has several"),
    ("Middle drag, or Space and drag", "Pan, with any tool"),
    ("M held and drag", "Measure a length (µm); nothing is stored"),
    ("M and Shift held and drag", "A ruler that stays on the slide until it is removed"),
    ("Click on an annotation", "Select it, with any tool"),
    (
        "Right click",
        "Menu of the cell or the selection under the mouse (class, state, note, cells like it), and of the place",
    ),
)

ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("Tab or Shift+Tab", "Go to the next or previous control"),
    ("Space", "Press the button, or tick the box, that has the focus"),
    ("Arrow keys", "Go through a list, or change a number"),
    ("Escape", "Back to the slide"),
)
"""What the keyboard does in the docks, where no letter is a command."""

REVIEW_CLASS_KEYS = tuple(Key((digit,), f"class.{digit}", "") for digit in "123456789")

REVIEW_KEYS: tuple[Key, ...] = (
    Key(("A", "Space"), "accept", "Accept the selected cells, and go to the next unreviewed one"),
    Key(("X", "Delete"), "reject", "Reject the selected cells, and go to the next unreviewed one"),
    Key(("T",), "teach.this", "Teach: the selected cells are of the class taught, which accepts them"),
    Key(("Shift+T",), "teach.not", "Teach: the selected cells are not of the class taught"),
    Key(("Backspace",), "back", "Back to the cell reviewed last, then to the one before it"),
    Key(("Ctrl+Z",), "undo", "Undo, and go to what changed"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "Redo, and go to what changed"),
    Key(("Ctrl+A",), "choose.all", "Select all cells of the list"),
    Key(("Ctrl+Enter", "Ctrl+Return"), "accept.all", "Accept all unreviewed cells of the list, as one undo step"),
    Key(("L",), "similar", "Show the cells most like this one"),
    Key(("Enter", "Return"), "show", "Centre the slide on the cell again"),
    Key(("+", "="), "larger", "Larger images"),
    Key(("-",), "smaller", "Smaller images"),
    Key(("B",), "blind", "Hide or show the model's scores and classes (blind review)"),
    Key(("F5",), "refresh", "Refresh the list and its order"),
    Key(("F1", "?"), "help", "Show these keys"),
    Key(("Escape",), "leave", "Back to the slide"),
)
"""What the review gallery obeys."""


MAP_KEYS: tuple[Key, ...] = (
    *REVIEW_CLASS_KEYS,
    Key(("A", "Space"), "accept", "Accept the selected cells"),
    Key(("X", "Delete"), "reject", "Reject the selected cells"),
    Key(("Ctrl+Z",), "undo", "Undo, and go to what changed"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "Redo, and go to what changed"),
    Key(("L",), "similar", "Show cells like the selected one in the gallery"),
    Key(("G",), "review", "Go to the gallery with the selected cells"),
    Key(("Enter", "Return"), "show", "Go to the selected cell on its slide"),
    *PAN_KEYS,
    Key(("+", "="), "larger", "Zoom in"),
    Key(("-",), "smaller", "Zoom out"),
    Key(("Home",), "fit", "Show all cells"),
    Key(("F1", "?"), "help", "Show the keys"),
    Key(("Escape",), "leave", "Clear the selection, then back to the slide"),
)
"""What the map of cells obeys."""


def key_of(command: str) -> str:
    """Return the first key on the slide that is bound to ``command``, or nothing."""
    return next((k.keys[0] for k in KEYS if k.command == command), "")


def keys_table() -> tuple[tuple[str, str], ...]:
    """Return the rows that people read: keys and what they do, the nine class keys and the four arrows as one row."""
    classes = (
        "1 to 9",
        (
            "Relabel the selection and keep the class of the next cell; with nothing selected, choose the class "
            "of the next cell, or (with the select tool) relabel the prediction under the mouse"
        ),
    )
    rest: list[tuple[str, str]] = []
    for key in KEYS:
        if key in PAN_KEYS:
            row = ("Arrow keys", "Pan")
            rest += [] if row in rest else [row]
        elif key not in CLASS_KEYS:
            rest.append((" or ".join(key.keys), key.sentence))
    return (classes, *rest, *MOUSE)


def elsewhere_table() -> tuple[tuple[str, str], ...]:
    """Return the rows for a focus that is neither on the slide nor in the gallery."""
    return (*ELSEWHERE, *((" or ".join(k.keys), k.sentence) for k in KEYS if k.anywhere))


def review_keys_table() -> tuple[tuple[str, str], ...]:
    """Return the rows that people read: keys and what they do in the gallery."""
    first = (
        ("1 to 9", "Give the selected cells this class, which accepts them, and go to the next unreviewed one"),
        ("Arrow keys", "Go from cell to cell; with Shift, select several"),
    )
    return (*first, *((" or ".join(k.keys), k.sentence) for k in REVIEW_KEYS))
