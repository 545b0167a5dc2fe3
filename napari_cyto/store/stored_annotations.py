"""The annotations of a project as of one moment, read in batches each time somebody goes through them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, select

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_source import AnnotationSource, Kinds
from napari_cyto.domain.geometry import Polygon, rectangle
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import queries
from napari_cyto.store.rows import VERSION_COLUMNS, annotation_of
from napari_cyto.store.schema import annotation, version

BATCH = 1000
"""Rows read at a time; a stop is noticed, and progress told, between two batches."""

OnBatch = Callable[[int], None]

_SLIDE_ROWS = (
    select(*VERSION_COLUMNS)
    .select_from(annotation.join(version, version.c.pk == annotation.c.version_pk))
    .where(annotation.c.slide_pk == bindparam("of_slide"))
    .order_by(annotation.c.pk)
)


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

    def class_ids(self) -> frozenset[str]:
        """Return the classes that occur."""
        found = {name for pk in self._slides for name, _, _ in queries.tallies(self._connection, pk)}
        return frozenset(name for name in found if name is not None)

    def kinds(self) -> Kinds:
        """Return one annotation for all that are alike in slide, class, status, shape and what is known of them."""
        found: list[tuple[Annotation, int]] = []
        for pk, slide in self._slides.items():
            counts: dict[tuple[Any, ...], int] = {}
            first: dict[tuple[Any, ...], Any] = {}
            for rows in self._batches(pk):
                for row in rows:
                    key = _kind(row, slide.size_hw)
                    if key in counts:
                        counts[key] += 1
                    else:
                        counts[key], first[key] = 1, row
            found += [(annotation_of(first[key], self._ids), n) for key, n in counts.items()]
        return found

    def _batches(self, slide_pk: int) -> Iterator[Any]:
        rows = self._connection.execute(_SLIDE_ROWS, {"of_slide": slide_pk}, execution_options={"yield_per": BATCH})
        for part in rows.partitions():
            yield part
            self._on_batch(len(part))


def _kind(row: Any, size_hw: tuple[int, int] | None) -> tuple[Any, ...]:
    _, _, shape, y0, x0, y1, x1, vertices, class_id, status, author, _, scores, _, note = row
    whole = y0 % 1 == x0 % 1 == y1 % 1 == x1 % 1 == 0
    inside = size_hw is None or (y0 >= 0 <= x0 and y1 <= size_hw[0] and x1 <= size_hw[1])
    names = _scored(scores, class_id) if scores else None
    flat = vertices is not None and len(vertices) == _FOUR_CORNERS and _is_rectangle(row)
    return (shape, class_id, status, not author, not note, whole, inside, names, flat)


_FOUR_CORNERS = 64
"""Bytes of an outline of four vertices, two float64 each."""


def _is_rectangle(row: Any) -> bool:
    outline = annotation_of(row, {row[1]: ""}).geometry
    return isinstance(outline, Polygon) and rectangle(outline) is not None


def _scored(scores: str, class_id: str) -> tuple[str, ...]:
    """Return the classes that have scores; read from the text alone where there is only that of the own class."""
    if scores.startswith(_own_start(class_id)) and "], [" not in scores:
        return (class_id,)
    return tuple(name for name, _ in json.loads(scores))


@lru_cache(maxsize=256)
def _own_start(class_id: str) -> str:
    return f"[[{json.dumps(class_id)}, "
