"""What of the annotations of a source is new to a project, and what is doubled, contradictory or beside its slide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_cyto.domain.annotation import Annotation, new_id
from napari_cyto.domain.geometry import Geometry, Polygon
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.outside import lies_outside, outside_sentence, reaches_out
from napari_cyto.store import Project

Place = tuple[str, type, tuple[float, ...]]
"""Slide, kind of shape and rounded corners: what two annotations of one cell share."""

_DIGITS = 2  # of a px; what formats lose in fractions and decimals
_MOST_NAMED = 5


def place_of(slide_id: str, geometry: Geometry) -> Place:
    """Return what annotations of the same shape at the same place share."""
    corners: tuple[float, ...] = geometry.bounds_yxyx
    if isinstance(geometry, Polygon):
        corners = tuple(v for vertex in geometry.vertices_yx for v in vertex)
    return (slide_id, type(geometry), tuple(round(v, _DIGITS) for v in corners))


@dataclass
class Sifted:
    """The annotations of a source, sorted out.

    Parameters
    ----------
    fresh : list of Annotation
        What is new to the project.
    same : int
        How many are in the project already.
    differing : int
        How many are in the project with another class.
    reshaped : int
        How many are in the project with another shape: it knows them by their ids.
    doubled : int
        How many are in the source before, with the same class.
    contradicting : list of str
        Where the source gives one shape several classes.
    centre_outside, partly_outside : int
        How many of the fresh ones have their centre beside the slide, or reach over its border.
    """

    fresh: list[Annotation] = field(default_factory=list)
    same: int = 0
    differing: int = 0
    reshaped: int = 0
    doubled: int = 0
    contradicting: list[str] = field(default_factory=list)
    centre_outside: int = 0
    partly_outside: int = 0

    def remarks(self, source: Path) -> list[str]:
        """Return a sentence for each thing that a person should know."""
        name = source.name
        said = []
        if self.same:
            said.append(f"{self.same} mark(s) of {name} are in the project already and were not doubled.")
        if self.differing:
            words = "are in the project with another class; the project's class was kept."
            said.append(f"{self.differing} mark(s) of {name} {words}")
        if self.reshaped:
            words = "are in the project with another shape; the project's shape was kept."
            said.append(f"{self.reshaped} mark(s) of {name} {words}")
        if self.doubled:
            said.append(f"{self.doubled} mark(s) of {name} are in it more than once, and were taken once.")
        if self.contradicting:
            more = len(self.contradicting) - _MOST_NAMED
            named = "; ".join(self.contradicting[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
            words = "has several classes, all of which were kept; decide which is right"
            said.append(f"{len(self.contradicting)} time(s) one shape of {name} {words}: {named}.")
        if self.centre_outside:
            words = "lie beside their slide; check that labels and slides belong together, at one scale."
            said.append(f"{self.centre_outside} mark(s) {words}")
        if self.partly_outside:
            said.append(
                f"{self.partly_outside} mark(s) reach over the border of their slide, and were kept as they are."
            )
        return said


def sift(
    project: Project,
    annotations: Iterable[Annotation],
    slides: Mapping[str, SlideRecord],
    is_new: frozenset[str],
    bad: BadRows,
    author: str,
) -> Sifted:
    """Return what is new among ``annotations``, each on the slide of the project that it belongs to.

    Parameters
    ----------
    project : Project
        What they are to be added to.
    annotations : iterable of Annotation
        Those of a source.
    slides : mapping
        The project's slide for each slide id of the source.
    is_new : frozenset of str
        The ids of those slides that the project does not have yet.
    bad : BadRows
        Takes the annotations that lie wholly outside their slide.
    author : str
        Whose annotations these are where the source does not say it.
    """
    known: dict[Place, set[str | None]] = {}
    for slide_id in {slide.id for slide in slides.values()} - is_new:
        for there in project.annotations(slide_id):
            known.setdefault(place_of(slide_id, there.geometry), set()).add(there.class_id)
    sifted, met = Sifted(), dict[Place, list[str | None]]()
    for annotation in annotations:
        slide = slides[annotation.slide_id]
        if slide.size_hw is not None and lies_outside(annotation.geometry, slide.size_hw):
            bad.add(FormatError(f"{annotation.class_id or 'a region'}: {_outside(annotation, slide)}"))
            continue
        place = place_of(slide.id, annotation.geometry)
        before = met.setdefault(place, [])
        if annotation.class_id in before:
            sifted.doubled += 1
            continue
        if before and annotation.class_id is not None and before != [None]:
            sifted.contradicting.append(_contradiction(annotation, before, slide))
        before.append(annotation.class_id)
        there_with = known.get(place)
        if there_with is None:
            sifted.fresh.append(replace(annotation, slide_id=slide.id, author=annotation.author or author))
        elif annotation.class_id in there_with:
            sifted.same += 1
        else:
            sifted.differing += 1
    _settle_ids(project, sifted)
    by_id = {slide.id: slide for slide in slides.values()}
    for annotation in sifted.fresh:
        _count_border(annotation.geometry, by_id[annotation.slide_id], sifted)
    return sifted


def _settle_ids(project: Project, sifted: Sifted) -> None:
    """Leave out what the project knows by its id, and give an id of its own to what shares one with another."""
    there = {a.id: a.slide_id for a in project.annotations_by_id(a.id for a in sifted.fresh)}
    fresh, taken = sifted.fresh, set(there)
    sifted.fresh = []
    for annotation in fresh:
        if there.get(annotation.id) == annotation.slide_id:
            sifted.reshaped += 1
            continue
        kept = annotation if annotation.id not in taken else replace(annotation, id=new_id())
        taken.add(kept.id)
        sifted.fresh.append(kept)


def _outside(annotation: Annotation, slide: SlideRecord) -> str:
    assert slide.size_hw is not None
    return outside_sentence(annotation.geometry, slide.size_hw, slide.name)


def _contradiction(annotation: Annotation, before: list[str | None], slide: SlideRecord) -> str:
    y, x = annotation.geometry.centre_yx
    others = ", ".join(c for c in before if c is not None)
    return f"{others} and {annotation.class_id} at x {x:g}, y {y:g} of {slide.name}"


def _count_border(geometry: Geometry, slide: SlideRecord, sifted: Sifted) -> None:
    if slide.size_hw is None or not reaches_out(geometry, slide.size_hw):
        return
    y, x = geometry.centre_yx
    if 0 <= y < slide.size_hw[0] and 0 <= x < slide.size_hw[1]:
        sifted.partly_outside += 1
    else:
        sifted.centre_outside += 1
