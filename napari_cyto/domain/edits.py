"""Edits: all-or-nothing changes to annotations that know their inverse.

Source: the idea that every edit knows its inverse and users undo whole gestures follows funtracks'
``actions``; here an edit is a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.counts import counted
from napari_cyto.errors import StaleEditError


@dataclass(frozen=True, slots=True)
class Change:
    """What one annotation was and becomes; None stands for "is not there"."""

    before: Annotation | None
    after: Annotation | None

    def __post_init__(self) -> None:
        if self.before is None and self.after is None:
            raise ValueError("A change needs a before or an after.")
        if self.before is not None and self.after is not None and self.before.id != self.after.id:
            raise ValueError("A change cannot turn one annotation into another: the ids differ.")

    @property
    def annotation_id(self) -> str:
        """The identity of the annotation that changes."""
        known = self.before if self.before is not None else self.after
        assert known is not None
        return known.id


@dataclass(frozen=True, slots=True)
class Edit:
    """One gesture of a user: a label for the undo menu and a change per annotation."""

    label: str
    changes: tuple[Change, ...]

    def __post_init__(self) -> None:
        if not self.changes:
            raise ValueError("An edit needs at least one change.")
        if len({change.annotation_id for change in self.changes}) != len(self.changes):
            raise ValueError("An edit names each annotation at most once.")

    def inverse(self) -> Edit:
        """Return the edit that takes this one back."""
        return Edit(self.label, tuple(Change(c.after, c.before) for c in self.changes))


def add(annotations: Iterable[Annotation], label: str) -> Edit:
    """Return the edit that adds ``annotations``."""
    return Edit(label, tuple(Change(None, a) for a in annotations))


def remove(annotations: Iterable[Annotation], label: str) -> Edit:
    """Return the edit that deletes ``annotations``."""
    return Edit(label, tuple(Change(a, None) for a in annotations))


def replace_all(pairs: Iterable[tuple[Annotation, Annotation]], label: str) -> Edit:
    """Return the edit that turns each first annotation into its second."""
    return Edit(label, tuple(Change(before, after) for before, after in pairs))


def apply(edit: Edit, state: Mapping[str, Annotation]) -> dict[str, Annotation]:
    """Return ``state`` (annotation by id) after ``edit``; nothing changes when it refuses.

    Raises
    ------
    StaleEditError
        When an annotation is not, or no longer, what the edit was made against.
    """
    check_fresh(edit, state)
    result = dict(state)
    for change in edit.changes:
        if change.after is None:
            del result[change.annotation_id]
        else:
            result[change.annotation_id] = change.after
    return result


def check_fresh(edit: Edit, state: Mapping[str, Annotation]) -> None:
    """Refuse an edit whose ``before`` is not what ``state`` holds.

    Raises
    ------
    StaleEditError
        Naming the edit and how many of its annotations have changed since.
    """
    stale = [c for c in edit.changes if state.get(c.annotation_id) != c.before]
    if stale:
        raise StaleEditError(
            f"'{edit.label}' was not applied: {len(stale)} of its {counted(len(edit.changes), 'annotation')} had been "
            "changed elsewhere, perhaps in another window; check them and try again."
        )
