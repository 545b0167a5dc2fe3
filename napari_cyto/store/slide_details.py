"""Whose a slide is: patient and smear of one or several slides, by which splits keep cells of one person together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from napari_cyto.domain.interpretation import category_of
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.store._project import Project

FACTS = ("patient", "smear")
INTERPRETATION = "interpretation"
LONGEST = 120


def checked_fact(name: str, value: str) -> str:
    """Return what is stored of a patient or smear.

    Raises
    ------
    CytoError
        When the field is neither, or its value is too long or holds what cannot be read.
    """
    if name not in FACTS:
        raise CytoError(f"Expected patient or smear, got {name!r}.")
    value = value.strip()
    if len(value) > LONGEST or not value.isprintable():
        raise CytoError(f"Expected a {name} of at most {LONGEST} readable characters, got {value[:40]!r}.")
    return value


def change_facts(project: Project, slide_ids: Collection[str], facts: Mapping[str, str]) -> tuple[SlideRecord, ...]:
    """Store patient or smear of slides and return the records before, of those that changed.

    Parameters
    ----------
    project : Project
        Open for writing.
    slide_ids : collection of str
        Which slides.
    facts : mapping
        ``patient`` and ``smear``, as many as are to change; an empty text for unknown.

    Raises
    ------
    CytoError
        When a value cannot be stored, or the project has no such slide; nothing is changed then.
    """
    new = {name: checked_fact(name, value) for name, value in facts.items()}
    pairs = [
        (before, replace(before, patient=new.get("patient", before.patient), smear=new.get("smear", before.smear)))
        for before in map(project.slide, slide_ids)
    ]
    changed = [(before, after) for before, after in pairs if before != after]
    for _, after in changed:
        project.update_slide(after)
    return tuple(before for before, _ in changed)


def parsed_setting(words: str) -> tuple[str, str, str]:
    """Return name pattern, field and value of ``NAME:patient=P7``, or of ``NAME:interpretation=HSIL``.

    Raises
    ------
    CytoError
        When it does not have that form.
    """
    place, equals, value = words.partition("=")
    names, colon, field = place.rpartition(":")
    if not equals or not colon or not names:
        raise CytoError(
            f"Expected NAME:patient=P7, NAME:smear=S1 or NAME:interpretation=HSIL, got {words!r}; * in NAME stands for "
            "any text."
        )
    field, value = field.strip(), value.strip()
    if field == INTERPRETATION:
        return names, field, category_of(value) if value else ""
    return names, field, checked_fact(field, value)


def named_slides(records: Collection[SlideRecord], names: str) -> tuple[str, ...]:
    """Return the ids of the slides that a name, in which ``*`` stands for any text, is of.

    Raises
    ------
    CytoError
        When there is none; the sentence lists some that there are.
    """
    found = tuple(record.id for record in records if record.name == names or fnmatchcase(record.name, names))
    if not found:
        known = ", ".join(record.name for record in list(records)[:8]) or "none"
        raise CytoError(f"The project has no slide called {names!r}; it has {known}.")
    return found
