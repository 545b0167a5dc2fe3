"""The keys of the review gallery, as data: what the gallery obeys, and what the documentation lists."""

from __future__ import annotations

from napari_cyto.session.keys import Key

CLASS_KEYS = tuple(Key((digit,), f"class.{digit}", "") for digit in "123456789")

REVIEW_KEYS: tuple[Key, ...] = (
    Key(("A", "Space"), "accept", "Accept the selected cells, and go to the next unreviewed one"),
    Key(("X", "Delete"), "reject", "Reject the selected cells, and go to the next unreviewed one"),
    Key(("Backspace",), "back", "Back to the cell reviewed last, then to the one before it"),
    Key(("Ctrl+Z",), "undo", "Undo, and go to what changed"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "Redo, and go to what changed"),
    Key(("Ctrl+A",), "choose.all", "Select all cells of the list"),
    Key(("Ctrl+Enter", "Ctrl+Return"), "accept.all", "Accept all unreviewed cells of the list, as one undo step"),
    Key(("Enter", "Return"), "show", "Centre the slide on the cell again"),
    Key(("+", "="), "larger", "Larger images"),
    Key(("-",), "smaller", "Smaller images"),
    Key(("B",), "blind", "Hide or show the model's scores and classes (blind review)"),
    Key(("F5",), "refresh", "Refresh the list and its order"),
    Key(("F1", "?"), "help", "Show these keys"),
    Key(("Escape",), "leave", "Back to the slide"),
)


def review_keys_table() -> tuple[tuple[str, str], ...]:
    """Return the rows that people read: keys and what they do in the gallery."""
    first = (
        ("1 to 9", "Give the selected cells this class, which accepts them, and go to the next unreviewed one"),
        ("Arrow keys", "Go from cell to cell; with Shift, select several"),
    )
    return (*first, *((" or ".join(k.keys), k.sentence) for k in REVIEW_KEYS))
