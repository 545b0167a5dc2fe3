"""The keys of the review gallery, as data: what the gallery obeys, and what the documentation lists."""

from __future__ import annotations

from napari_cyto.session.keys import Key

CLASS_KEYS = tuple(Key((digit,), f"class.{digit}", "") for digit in "123456789")

REVIEW_KEYS: tuple[Key, ...] = (
    Key(("A", "Space"), "accept", "Accept the chosen cells, and go on to the next that waits"),
    Key(("X", "Delete"), "reject", "Reject the chosen cells, and go on"),
    Key(("Backspace",), "back", "Back to the cell that was judged last, then to the one before it"),
    Key(("Ctrl+Z",), "undo", "Undo, and go to what changed"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "Redo, and go to what changed"),
    Key(("Ctrl+A",), "choose.all", "Choose all cells of the list"),
    Key(("Ctrl+Enter", "Ctrl+Return"), "accept.all", "Accept all cells of the list that wait, in one undo step"),
    Key(("Enter", "Return"), "show", "Centre the slide on the cell again"),
    Key(("+", "="), "larger", "Larger pictures"),
    Key(("-",), "smaller", "Smaller pictures"),
    Key(("B",), "blind", "Hide what the model says, scores and class, or show it again"),
    Key(("F5",), "refresh", "Make the list anew, in the order of now"),
    Key(("F1", "?"), "help", "Show these keys"),
    Key(("Escape",), "leave", "Give the keys back to the slide"),
)


def review_keys_table() -> tuple[tuple[str, str], ...]:
    """Return the rows that people read: keys and what they do in the gallery."""
    first = (
        ("1 to 9", "Give the chosen cells this class, which accepts them, and go on to the next that waits"),
        ("Arrow keys", "Go from cell to cell; with Shift, choose several"),
    )
    return (*first, *((" or ".join(k.keys), k.sentence) for k in REVIEW_KEYS))
