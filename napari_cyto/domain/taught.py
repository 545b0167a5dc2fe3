"""Examples for and against a class: a cell that is one, and a cell of which only is known that it is none.

"This is one" is what a review says already: the cell is accepted with the class. "This is none" leaves the cell
unreviewed, and is kept in its note, a line each: so it is an edit like any other, with an author, an undo and a place
in the history, it survives a restart, and a model that finds the cell again leaves it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.domain.edits import Edit

# Safe for the colour-blind, in the order in which new classes get them. Source: Okabe and Ito 2008; Paul Tol's muted.
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#882255")

NOT = "not: "
"""How the line of a note begins that names a class which the cell is not."""


def not_classes(note: str) -> tuple[str, ...]:
    """Return the classes that a cell is not, as its note says."""
    lines = (line.strip() for line in note.splitlines())
    return tuple(dict.fromkeys(line.removeprefix(NOT).strip() for line in lines if line.startswith(NOT)))


def with_not(note: str, class_id: str) -> str:
    """Return a note that says, besides what it said, that the cell is not of a class."""
    return note if class_id in not_classes(note) else "\n".join([*note.splitlines(), NOT + class_id])


def without_not(note: str, class_id: str | None = None) -> str:
    """Return a note that does not say that the cell is not of a class; of none without ``class_id``."""
    kept = []
    for line in note.splitlines():
        named = line.strip()
        says_so = named.startswith(NOT) and class_id in (None, named.removeprefix(NOT).strip())
        kept += [] if says_so else [line]
    return "\n".join(kept)


def as_example(annotation: Annotation, author: str, class_id: str) -> Annotation:
    """Return what becomes of a cell that a person says is of a class: accepted, whatever it was before."""
    is_first = annotation.status is Status.UNREVIEWED
    return replace(
        annotation,
        class_id=class_id,
        status=Status.ACCEPTED,
        author=author if is_first else annotation.author,
        note=without_not(annotation.note, class_id),
    )


def as_counterexample(annotation: Annotation, class_id: str) -> Annotation:
    """Return what becomes of a cell that a person says is not of a class.

    A cell that was accepted with this class waits again, with the class that a model gave it, if one did; one that was
    accepted with another class, or rejected, is a counterexample already and stays as it is.
    """
    if annotation.status is Status.REJECTED:
        return annotation
    if annotation.status is Status.ACCEPTED:
        if annotation.class_id != class_id:
            return annotation
        others = [(score, name) for name, score in annotation.scores if name != class_id]
        annotation = replace(
            annotation, status=Status.UNREVIEWED, class_id=max(others)[1] if others else annotation.class_id
        )
    return replace(annotation, note=with_not(annotation.note, class_id))


OTHER = CellClass("other", "None of the classes taught", "#9aa3ad", "", None)
"""The class that a taught model gives to cells of none that was taught; a project that it predicts in needs one."""


def with_class(scheme: ClassScheme, class_id: str) -> ClassScheme:
    """Return a scheme that has a class, a new one with a colour and a key that are free, where there are any.

    Raises
    ------
    SchemeError
        When this can be no class's id.
    """
    if class_id in scheme:
        return scheme
    colours, keys = {c.colour for c in scheme.classes}, {c.key for c in scheme.classes}
    colour = next((c for c in (*_COLOURS, *_MUTED) if c not in colours), _COLOURS[0])
    key = next((k for k in "123456789" if k not in keys), "")
    return replace(scheme, classes=(*scheme.classes, CellClass(class_id, class_id, colour, key)))


def example_edit(cells: Sequence[Annotation], author: str, class_id: str) -> Edit | None:
    """Return the edit that makes cells examples of a class; None where they are already."""
    pairs = [(cell, made) for cell in cells if (made := as_example(cell, author, class_id)) != cell]
    return edits.replace_all(pairs, f"Teach {_what(pairs)} as {class_id}") if pairs else None


def counterexample_edit(cells: Sequence[Annotation], class_id: str) -> Edit | None:
    """Return the edit that makes cells examples against a class; None where they are already."""
    pairs = [(cell, made) for cell in cells if (made := as_counterexample(cell, class_id)) != cell]
    return edits.replace_all(pairs, f"Teach {_what(pairs)} as not {class_id}") if pairs else None


def _what(pairs: Sequence[object]) -> str:
    return counted(len(pairs), "cell")
