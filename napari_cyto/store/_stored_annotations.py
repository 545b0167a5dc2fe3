"""The annotations of a project as of one moment, read in batches each time somebody goes through them."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Double,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
)

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_rows import Row
from napari_cyto.domain.annotation_source import AnnotationSource, Kinds
from napari_cyto.domain.geometry import Polygon, rectangle
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import _queries as queries
from napari_cyto.store._rows import VERSION_COLUMNS, annotation_of, checked
from napari_cyto.store._validity import NUMBER_MAX, PX_MAX, UNREADABLE
from napari_cyto.store.database.schema import annotation, version

BATCH = 1000
"""Rows read at a time; a stop is noticed, and progress told, between two batches."""

OnBatch = Callable[[int], None]

_PRESENT = annotation.join(version, version.c.pk == annotation.c.version_pk)
_ON_SLIDE = annotation.c.slide_pk == bindparam("of_slide")
_SLIDE_ROWS = select(*VERSION_COLUMNS).select_from(_PRESENT).where(_ON_SLIDE).order_by(annotation.c.pk)
_SOME_ROWS = (
    select(annotation.c.pk, *VERSION_COLUMNS)
    .select_from(_PRESENT)
    .where(_ON_SLIDE, annotation.c.pk.in_(bindparam("of_pks", expanding=True)))
)

_COUNTED_AT_ONCE = 20_000
"""Annotations counted by one statement: about 0.1 s, after which a stop is noticed."""
_NUMBERS_AT_ONCE = 900
"""SQLite takes at most 999 parameters in its older releases."""
_BEFORE_ALL = -1
_FOUR_CORNERS = 64
"""Bytes of an outline of four vertices, two float64 each."""
_OWN = "own"
"""What stands for scores that are that of the own class alone; no JSON, so that no row has it by itself."""

_PART_END = (
    select(annotation.c.pk)
    .where(_ON_SLIDE, annotation.c.pk > bindparam("after"))
    .order_by(annotation.c.pk)
    .offset(_COUNTED_AT_ONCE - 1)
    .limit(1)
)


def _alike() -> Select[Any]:
    """Return the query for what is alike in a part of a slide: how many, and the first of them.

    Scores of several classes and outlines of four corners come as they are, since only Python can tell of them.
    """
    v = version.c
    # A number beyond any slide might not fit into a whole one of the database.
    whole = and_(*(and_(c.between(-PX_MAX, PX_MAX), c == cast(c, BigInteger)) for c in (v.y0, v.x0, v.y1, v.x1)))
    inside = and_(v.y0 >= 0, v.x0 >= 0, v.y1 <= _number("height"), v.x1 <= _number("width"))
    start = literal('[["', Text) + v.class_id + literal('", ', Text)
    is_own = and_(func.substr(v.scores, 1, func.length(v.class_id) + 6) == start, v.scores.not_like("%], [%"))
    rows = (
        select(
            v.kind,
            v.class_id,
            v.status,
            (v.author == "").label("no_author"),
            (v.note == "").label("no_note"),
            whole.label("whole"),
            inside.label("inside"),
            case((func.length(v.vertices) == _FOUR_CORNERS, v.vertices)).label("corners"),
            case((is_own, literal(_OWN, Text)), else_=v.scores).label("scores"),
            annotation.c.pk,
        )
        .select_from(_PRESENT)
        .where(_ON_SLIDE, annotation.c.pk > bindparam("after"), annotation.c.pk <= bindparam("last"))
        .subquery()
    )
    # Grouped from outside, where expressions with parameters have names.
    *alike, pk = rows.c
    return select(*alike, func.min(pk), func.count()).group_by(*alike)


def _number(name: str) -> BindParameter[float]:
    return bindparam(name, type_=Double())


_ALIKE = _alike()


class StoredAnnotations(AnnotationSource):
    """Annotations behind an open connection, which keeps them as they were when it was opened.

    Parameters
    ----------
    connection : Connection
        Inside one transaction.
    slides : mapping
        The number of each slide in the database, with its record.
    on_batch : callable
        Told how many annotations were read, after every ``BATCH`` of them; what it raises ends the reading.
    """

    def __init__(self, connection: Connection, slides: Mapping[int, SlideRecord], on_batch: OnBatch) -> None:
        self._connection, self._slides, self._on_batch = connection, dict(slides), on_batch
        self._ids = {pk: slide.id for pk, slide in slides.items()}
        self._numbers = {slide.id: pk for pk, slide in slides.items()}

    def __iter__(self) -> Iterator[Annotation]:
        for slide_id in self._numbers:
            yield from self.of_slide(slide_id)

    def __len__(self) -> int:
        return sum(n for pk, n in queries.slide_tallies(self._connection, None) if pk in self._slides)

    def of_slide(self, slide_id: str) -> Iterator[Annotation]:
        """Yield those of one slide, in order of creation."""
        ids = self._ids
        for rows in self._batches(self._numbers[slide_id]):
            for row in rows:
                yield annotation_of(row, ids)

    def rows_of_slide(self, slide_id: str) -> Iterator[Row]:
        """Yield those of one slide as rows, in order of creation, each one checked."""
        return checked(self._batches(self._numbers[slide_id]), self._ids)

    def class_ids(self) -> frozenset[str]:
        """Return the classes that occur."""
        found = {name for pk in self._slides for name, _, _ in queries.tallies(self._connection, pk)}
        return frozenset(name for name in found if name is not None)

    def kinds(self) -> Kinds:
        """Return one annotation for all that are alike in slide, class, status, shape and what is known of them."""
        return [kind for pk, slide in self._slides.items() for kind in self._kinds_of(pk, slide.size_hw)]

    def _kinds_of(self, slide_pk: int, size_hw: tuple[int, int] | None) -> Kinds:
        counts: Counter[tuple[Any, ...]] = Counter()
        first: dict[tuple[Any, ...], int] = {}
        height, width = size_hw or (PX_MAX, PX_MAX)
        for after, last in self._parts(slide_pk):
            here = {"of_slide": slide_pk, "after": after, "last": last, "height": height, "width": width}
            number = 0
            for *alike, corners, scores, first_pk, n in self._connection.execute(_ALIKE, here):
                key = (*alike, _is_rectangle(corners), _scored(scores, alike[1]))
                counts[key] += n
                first[key] = min(first.get(key, first_pk), first_pk)
                number += n
            self._on_batch(number)
        examples = self._examples(slide_pk, sorted(first.values()))
        return [(examples[pk], counts[key]) for key, pk in sorted(first.items(), key=itemgetter(1))]

    def _parts(self, slide_pk: int) -> Iterator[tuple[int, int]]:
        """Yield parts of a slide, as the number before the first of its annotations and that of the last."""
        after = _BEFORE_ALL
        while True:
            here = {"of_slide": slide_pk, "after": after}
            last = self._connection.scalar(_PART_END, here)
            if last is None:
                break
            yield after, last
            after = last
        yield after, NUMBER_MAX

    def _examples(self, slide_pk: int, pks: Sequence[int]) -> dict[int, Annotation]:
        found: dict[int, Annotation] = {}
        for start in range(0, len(pks), _NUMBERS_AT_ONCE):
            some = pks[start : start + _NUMBERS_AT_ONCE]
            rows = self._connection.execute(_SOME_ROWS, {"of_slide": slide_pk, "of_pks": some})
            found |= {pk: annotation_of(row, self._ids) for pk, *row in rows}
        return found

    def _batches(self, slide_pk: int) -> Iterator[Any]:
        rows = self._connection.execute(_SLIDE_ROWS, {"of_slide": slide_pk}, execution_options={"yield_per": BATCH})
        for part in rows.partitions():
            yield part
            self._on_batch(len(part))


def _is_rectangle(corners: bytes | None) -> bool:
    """Whether four corners are a box; what are none at all is refused when it is written."""
    if corners is None:
        return False
    try:
        return rectangle(Polygon(tuple(struct.iter_unpack("<2d", corners)))) is not None
    except UNREADABLE:
        return False


def _scored(scores: str, class_id: str) -> tuple[str, ...]:
    """Return the classes that have scores; what is no list of them is refused when it is written."""
    if scores in ("", _OWN):
        return (class_id,) if scores else ()
    try:
        return tuple(str(name) for name, _ in json.loads(scores))
    except UNREADABLE:
        return (scores,)
