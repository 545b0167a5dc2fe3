"""Annotations as rows of the ``version`` table, and back, exactly."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.annotation_rows import ID, KIND, Row, from_us, row_of
from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon
from napari_cyto.store.schema import REGION, version

# Without the search for white space round it, which takes longer than the rest.
_parse = json.JSONDecoder().raw_decode
_STATUS = {status.value: status for status in Status}

VERSION_COLUMNS = tuple(column for column in version.c if column.name != "pk")


def version_row(pk: int, annotation: Annotation, slide_pk: int) -> dict[str, Any]:
    """Return the row of ``version`` that holds ``annotation``."""
    return dict(zip(version.c.keys(), version_values(pk, row_of(annotation), slide_pk), strict=True))


def version_values(pk: int, row: Row, slide_pk: int) -> tuple[Any, ...]:
    """Return the values of ``version``, in the order of its columns, for an annotation's row."""
    return (pk, row[ID], slide_pk, *row[KIND:])


def annotation_of(row: Sequence[Any], slide_ids: Mapping[int, str]) -> Annotation:
    """Return the annotation that ``row`` (the values of ``VERSION_COLUMNS``) holds."""
    (annotation_id, slide_pk, kind, y0, x0, y1, x1, vertices, class_id, *rest) = row
    status, author, origin, scores, created_us, note = rest
    geometry: Geometry
    if kind == "point":
        geometry = Point(y0, x0)
    elif kind == "box":
        geometry = Box(y0, x0, y1, x1)
    else:
        geometry = Polygon(tuple(struct.iter_unpack("<2d", vertices)))
    return Annotation(
        slide_id=slide_ids[slide_pk],
        geometry=geometry,
        class_id=None if class_id == REGION else class_id,
        status=_STATUS[status],
        author=author,
        origin=origin,
        scores=tuple([(name, score) for name, score in _parse(scores)[0]]) if scores else (),
        created_utc=from_us(created_us),
        note=note,
        id=annotation_id,
    )
