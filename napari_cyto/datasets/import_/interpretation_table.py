"""Interpretations of slides from a table (slide, interpretation, by, date), and into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_cyto.domain.counts import counted
from napari_cyto.domain.fingerprints import same_fingerprint, sampled_part
from napari_cyto.domain.image_names import closest, lookup_keys
from napari_cyto.domain.interpretation import Interpretation, category_of
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.files.replacement import check_may_replace, replacing
from napari_cyto.formats.slide_names import distinct_names
from napari_cyto.formats.tables import picked, read_table, table_line
from napari_cyto.formats.text import Fault
from napari_cyto.store import Project

SLIDE = ("slide", "image", "name", "file", "filename", "slide_id")
INTERPRETATION = ("interpretation", "category", "diagnosis", "bethesda")
BY = ("by", "reader", "pathologist", "author")
DATE = ("date", "at", "day")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ReadTable(JsonFields):
    """What a table of interpretations came to.

    Parameters
    ----------
    rows : int
        How many the table has.
    given, replaced, unchanged : int
        Slides that have one now and had none, that had another one (it stays in their history), and that had it
        already.
    unknown : tuple of str
        Names of the table that are of no slide of the project.
    without : int
        Slides of the project that have none now.
    before : mapping
        What held before of each slide that changed, by slide id.
    """

    rows: int
    given: int
    replaced: int
    unchanged: int
    unknown: tuple[str, ...]
    without: int
    before: Mapping[str, Interpretation | None]

    @property
    def words(self) -> str:
        """What a person reads."""
        parts = [f"{counted(self.given, 'slide')} given an interpretation"]
        if self.replaced:
            parts.append(f"{self.replaced:,} replaced (the earlier ones stay in the history)")
        if self.unchanged:
            parts.append(f"{self.unchanged:,} as before")
        if self.unknown:
            some = ", ".join(self.unknown[:_SHOWN]) + (" ..." if len(self.unknown) > _SHOWN else "")
            parts.append(f"{counted(len(self.unknown), 'row')} of slides that the project does not have ({some})")
        if self.without:
            parts.append(f"{counted(self.without, 'slide')} still without one")
        return "; ".join(parts) + "."


def import_interpretations(project: Project, table: Path, entered_by: str) -> ReadTable:
    """Read interpretations of slides from a comma-separated table, and keep them; all or nothing.

    A slide is found by its id or fingerprint, else by its full relative path, else by its exact name with known image
    suffixes removed, never by a part of it.

    Parameters
    ----------
    project : Project
        Open for writing.
    table : Path
        With the columns ``slide`` and ``interpretation``; ``by`` and ``date`` (2024-05-01) where they are known.
    entered_by : str
        Who imports.

    Raises
    ------
    FormatError
        When a row says what nobody can store, may be of several slides, or contradicts another one; with its line.
    """
    finder = _Finder(project.slides())
    said: dict[str, Interpretation] = {}
    names: dict[str, str] = {}
    unknown: list[str] = []
    rows = 0
    for row, fault in read_table(table, (SLIDE, INTERPRETATION)):
        rows += 1
        name = picked(row, SLIDE)
        if not name:
            raise fault("expected the name of a slide, got an empty field.")
        interpretation = _interpretation(row, fault)
        slide = finder.found(name, fault)
        if slide is None:
            unknown.append(name)
            continue
        if names.setdefault(slide.id, name) != name:
            raise fault(f"{name!r} is the slide {slide.name!r}, and so is {names[slide.id]!r} of a row before.")
        if said.setdefault(slide.id, interpretation) != interpretation:
            raise fault(f"{name!r} is {said[slide.id].words} in a row before, and {interpretation.words} here.")
    before = project.interpret(said, entered_by)
    replaced = sum(held is not None for held in before.values())
    return ReadTable(
        rows=rows,
        given=len(before) - replaced,
        replaced=replaced,
        unchanged=len(said) - len(before),
        unknown=tuple(unknown),
        without=sum(slide.interpretation is None for slide in project.slides()),
        before=before,
    )


def _interpretation(row: Mapping[str, str], fault: Fault) -> Interpretation:
    try:
        return Interpretation(category_of(picked(row, INTERPRETATION)), picked(row, BY), picked(row, DATE))
    except CytoError as error:
        raise fault(_as_rest(str(error))) from error


def _as_rest(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


class _Finder:
    """Finds the slide that a name, path, id or fingerprint means."""

    def __init__(self, slides: Sequence[SlideRecord]) -> None:
        self._by_id = {slide.id: slide for slide in slides}
        self._prints: dict[str, list[SlideRecord]] = {}
        for slide in slides:
            self._prints.setdefault(sampled_part(slide.fingerprint), []).append(slide)
        self._index: dict[str, list[SlideRecord]] = {}
        for slide in slides:
            for key in {key for name in (slide.name, slide.path) if name for key in lookup_keys(name)}:
                self._index.setdefault(key, []).append(slide)

    def found(self, name: str, fault: Fault) -> SlideRecord | None:
        if name in self._by_id:
            return self._by_id[name]
        if near := [
            slide for slide in self._prints.get(sampled_part(name), ()) if same_fingerprint(slide.fingerprint, name)
        ]:
            places = tuple(range(len(near)))
        else:
            near = [slide for key in lookup_keys(name) for slide in self._index.get(key, ())]
            near = list({slide.id: slide for slide in near}.values())
            places = closest(name, ([slide.name, slide.path] for slide in near)).places
        if len(places) > 1:
            some = ", ".join(near[place].path or near[place].name for place in places[:_SHOWN])
            raise fault(
                f"{name!r} matches {len(places)} slides of the project ({some}); add the folder to the name, or give "
                "the slide's id."
            )
        return near[places[0]] if places else None


def export_interpretations(project: Project, target: Path, overwrite: bool = False) -> int:
    """Write the interpretations of a project's slides as a table that `import_interpretations` reads.

    Returns
    -------
    int
        How many slides have one; those without are left out.

    Raises
    ------
    CytoError
        When the file is there already and may not be replaced.
    """
    check_may_replace(target, overwrite)
    slides = project.slides()
    names = distinct_names(slides)
    lines = [table_line(("slide", "interpretation", "by", "date", "patient", "smear"))]
    for slide in slides:
        if (said := slide.interpretation) is not None:
            row = (names[slide.id], said.category, said.by, said.at, slide.patient, slide.smear)
            lines.append(table_line(row))
    with replacing(target, overwrite, project.identity):
        write_text(target, "".join(lines), last_wins=False)
    return len(lines) - 1
