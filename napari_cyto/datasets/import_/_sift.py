"""What of the annotations of a source is new to a project, and what is doubled, contradictory or beside its slide."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path

import numpy as np

from napari_cyto.domain.annotation import new_id
from napari_cyto.domain.annotation_rows import (
    AUTHOR,
    CLASS,
    CORNERS,
    ID,
    KIND,
    NO_CLASS,
    ORIGIN,
    SLIDE,
    X0,
    X1,
    Y0,
    Y1,
    Row,
    annotation_of,
)
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import bounds_outside, bounds_reach_out
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats.annotation_spool import rows_of
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.labels_outside import outside_sentence
from napari_cyto.store import Project

_DIGITS = 2  # of a px; what formats lose in fractions and decimals
_MOST_NAMED = 5
_PLACE_BYTES = 12  # in a billion annotations two get one number by chance with a probability below 1e-11
_KINDS = {"point": b"p", "box": b"b", "polygon": b"o", "nucleus": b"n", "cell": b"c"}


class Keep(IntEnum):
    """What becomes of an annotation of the source."""

    LEFT_OUT = 0
    FRESH = 1
    FRESH_WITH_NEW_ID = 2


def places_of(rows: Sequence[Row], slides: Sequence[int]) -> list[int]:
    """Return for each annotation a number that it shares with those of the same shape at the same place.

    Parameters
    ----------
    rows : sequence of Row
        The annotations.
    slides : sequence of int
        A number for the slide of each.
    """
    corners = [row[CORNERS] or struct.pack("<4d", *row[Y0 : X1 + 1]) for row in rows]
    # Adding 0 makes one of -0 and 0.
    rounded = (np.round(np.frombuffer(b"".join(corners), "<f8"), _DIGITS) + 0.0).tobytes()
    places, at = [], 0
    for row, slide, own in zip(rows, slides, corners, strict=True):
        end = at + len(own)
        of_what = _KINDS[row[KIND]] + slide.to_bytes(8, "little")
        digest = blake2b(rounded[at:end], digest_size=_PLACE_BYTES, salt=of_what)
        places.append(int.from_bytes(digest.digest(), "little"))
        at = end
    return places


class _ClassesAt:
    """The classes of the annotations at each place; a million places need no more than about 100 MB."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, ...]] = {}
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}

    def of(self, place: int) -> tuple[str, ...]:
        return self._found.get(place, ())

    def add(self, place: int, class_id: str) -> None:
        classes = (*self._found.get(place, ()), class_id)
        self._found[place] = self._shared.setdefault(classes, classes)


@dataclass
class Sifted:
    """The annotations of a source, sorted out.

    Parameters
    ----------
    keep : bytearray
        A value of `Keep` for each annotation of the source, in their order.
    fresh : int
        How many are new to the project.
    classes : Counter
        How many of those have which class; regions are counted under an empty text.
    same : int
        How many are in the project already.
    differing : int
        How many are in the project with another class.
    reshaped : int
        How many are in the project with another shape: it knows them by their ids.
    doubled : int
        How many are in the source before, with the same class.
    contradicting : int
        How often the source gives one shape several classes.
    contradictions : list of str
        The first places where it does.
    centre_outside, partly_outside : int
        How many of the fresh ones have their centre beside the slide, or reach over its border.
    """

    keep: bytearray = field(default_factory=bytearray)
    fresh: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    same: int = 0
    differing: int = 0
    reshaped: int = 0
    doubled: int = 0
    contradicting: int = 0
    contradictions: list[str] = field(default_factory=list)
    centre_outside: int = 0
    partly_outside: int = 0

    def remarks(self, source: Path) -> list[str]:
        """Return a sentence for each thing that a person should know."""
        name = source.name
        said = []

        def many(count: int) -> str:
            return counted(count, f"annotation of {name} is", f"annotations of {name} are")

        if self.same:
            said.append(f"{many(self.same)} already in the project and not added again.")
        if self.differing:
            said.append(f"{many(self.differing)} in the project with another class, which was kept.")
        if self.reshaped:
            said.append(f"{many(self.reshaped)} in the project with another shape, which was kept.")
        if self.doubled:
            said.append(f"{many(self.doubled)} in it more than once and imported once.")
        if self.contradicting:
            more = self.contradicting - len(self.contradictions)
            named = "; ".join(self.contradictions) + (f"; and {more} more" if more > 0 else "")
            shapes = counted(self.contradicting, f"shape of {name} has", f"shapes of {name} have")
            said.append(f"{shapes} several classes, all of which were kept; decide which is right: {named}.")
        if self.centre_outside:
            words = "centred outside the slide; check that labels and slides belong together and have the same scale."
            said.append(f"{many(self.centre_outside)} {words}")
        if self.partly_outside:
            said.append(f"{many(self.partly_outside)} partly outside the slide, and kept unchanged.")
        return said


class Sieve:
    """Finds out what is new among the annotations of a source, each on the slide of the project that it belongs to.

    Parameters
    ----------
    project : Project
        What they are to be added to.
    slides : mapping
        The project's slide for each slide id of the source.
    is_new : frozenset of str
        The ids of those slides that the project does not have yet.
    bad : BadRows
        Takes the annotations that lie wholly outside their slide.

    Attributes
    ----------
    sifted : Sifted
        What was found so far.
    """

    def __init__(
        self, project: Project, slides: Mapping[str, SlideRecord], is_new: frozenset[str], bad: BadRows
    ) -> None:
        self.sifted = Sifted()
        self._project, self._slides, self._is_new, self._bad = project, slides, is_new, bad
        self._numbers = {slide_id: n for n, slide_id in enumerate(sorted({slide.id for slide in slides.values()}))}
        self._any_there = any(project.counts().values())
        self._known, self._met = _ClassesAt(), _ClassesAt()
        self._taken: set[int | str] = set()

    def look(self) -> Iterator[int]:
        """Take in what the slides have already; yields how many annotations that are."""
        seen = 0
        for slide_id in self._numbers.keys() - self._is_new:
            for rows in rows_of(self._project.annotations(slide_id)):
                for row, place in zip(rows, places_of(rows, [self._numbers[slide_id]] * len(rows)), strict=True):
                    self._known.add(place, row[CLASS])
                seen += len(rows)
                yield seen

    def take(self, rows: Sequence[Row]) -> None:
        """Sort out some more annotations of the source."""
        numbers = [self._numbers[self._slides[row[SLIDE]].id] for row in rows]
        keep = [self._is_fresh(row, place) for row, place in zip(rows, places_of(rows, numbers), strict=True)]
        there = self._there([row[ID] for row, fresh in zip(rows, keep, strict=True) if fresh])
        for row, fresh in zip(rows, keep, strict=True):
            self.sifted.keep.append(self._settled(row, there) if fresh else Keep.LEFT_OUT)

    def _is_fresh(self, row: Row, place: int) -> bool:
        slide, class_id, sifted = self._slides[row[SLIDE]], row[CLASS], self.sifted
        if slide.size_hw is not None and bounds_outside(row[Y0 : X1 + 1], row[KIND] == "point", slide.size_hw):
            self._bad.add(FormatError(f"{class_id or 'a region'}: {_outside(row, slide)}"))
            return False
        before = self._met.of(place)
        if class_id in before:
            sifted.doubled += 1
            return False
        if before and class_id != NO_CLASS and before != (NO_CLASS,):
            sifted.contradicting += 1
            if len(sifted.contradictions) < _MOST_NAMED:
                sifted.contradictions.append(_contradiction(row, before, slide))
        self._met.add(place, class_id)
        there_with = self._known.of(place)
        if not there_with:
            return True
        if class_id in there_with:
            sifted.same += 1
        else:
            sifted.differing += 1
        return False

    def _there(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the slides of those annotations that the project knows by their ids."""
        if not self._any_there:
            return {}
        return {a.id: a.slide_id for a in self._project.annotations_by_id(ids)}

    def _settled(self, row: Row, there: Mapping[str, str]) -> Keep:
        """Leave out what the project knows by its id, and give an id of its own to what shares one with another."""
        slide, sifted = self._slides[row[SLIDE]], self.sifted
        if there.get(row[ID]) == slide.id:
            sifted.reshaped += 1
            return Keep.LEFT_OUT
        number = _as_number(row[ID])
        is_taken = row[ID] in there or number in self._taken
        self._taken.add(number)
        sifted.fresh += 1
        sifted.classes[row[CLASS]] += 1
        if slide.size_hw is not None and bounds_reach_out(row[Y0 : X1 + 1], slide.size_hw):
            y, x = _centre(row)
            beside = not (0 <= y < slide.size_hw[0] and 0 <= x < slide.size_hw[1])
            sifted.centre_outside += beside
            sifted.partly_outside += not beside
        return Keep.FRESH_WITH_NEW_ID if is_taken else Keep.FRESH


def fresh_rows(
    rows: Sequence[Row], keep: Sequence[int], slides: Mapping[str, SlideRecord], author: str
) -> Iterator[Row]:
    """Yield what of some annotations of the source is new, as it is to be stored.

    Parameters
    ----------
    rows : sequence of Row
        As the source has them.
    keep : sequence of int
        A value of `Keep` for each.
    slides : mapping
        The project's slide for each slide id of the source.
    author : str
        Whose they are where the source does not say it.
    """
    for row, how in zip(rows, keep, strict=True):
        if how != Keep.LEFT_OUT:
            own = row[ID] if how == Keep.FRESH else new_id()
            yield (own, slides[row[SLIDE]].id, *row[KIND:AUTHOR], row[AUTHOR] or author, *row[ORIGIN:])


def _as_number(annotation_id: str) -> int | str:
    """Return what stands for an id and takes half its memory, as a rule."""
    try:
        return int(annotation_id, 16)
    except ValueError:
        return annotation_id


def _centre(row: Row) -> tuple[float, float]:
    return ((row[Y0] + row[Y1]) / 2, (row[X0] + row[X1]) / 2)


def _outside(row: Row, slide: SlideRecord) -> str:
    assert slide.size_hw is not None
    return outside_sentence(annotation_of(row).geometry, slide.size_hw, slide.name)


def _contradiction(row: Row, before: Sequence[str], slide: SlideRecord) -> str:
    y, x = _centre(row)
    others = ", ".join(c for c in before if c != NO_CLASS)
    return f"{others} and {row[CLASS]} at x {x:g}, y {y:g} of {slide.name}"
