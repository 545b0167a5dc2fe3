"""Annotations as rows of the ``version`` table, and back, exactly."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon
from napari_cyto.store.schema import REGION, version

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STATUS = {status.value: status for status in Status}

VERSION_COLUMNS = tuple(column for column in version.c if column.name != "pk")


def to_us(moment: datetime) -> int:
    """Return an aware moment as µs since 1970 UTC, exactly.

    Raises
    ------
    ValueError
        When the moment does not say its time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"A stored time must be aware (UTC), but {moment!r} has no time zone.")
    return (moment - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """Return the moment ``us`` µs after 1970, aware, UTC."""
    return _EPOCH + timedelta(microseconds=us)


def version_row(pk: int, annotation: Annotation, slide_pk: int) -> dict[str, Any]:
    """Return the row of ``version`` that holds ``annotation``."""
    y0, x0, y1, x1 = annotation.geometry.bounds_yxyx
    kind, vertices = _shape(annotation.geometry)
    return {
        "pk": pk,
        "annotation_id": annotation.id,
        "slide_pk": slide_pk,
        "kind": kind,
        "y0": float(y0),
        "x0": float(x0),
        "y1": float(y1),
        "x1": float(x1),
        "vertices": vertices,
        "class_id": REGION if annotation.class_id is None else annotation.class_id,
        "status": annotation.status.value,
        "author": annotation.author,
        "origin": annotation.origin,
        "scores": _scores_text(annotation.scores),
        "created_us": to_us(annotation.created_utc),
        "note": annotation.note,
    }


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
        scores=tuple((name, score) for name, score in json.loads(scores)) if scores else (),
        created_utc=from_us(created_us),
        note=note,
        id=annotation_id,
    )


def _shape(geometry: Geometry) -> tuple[str, bytes | None]:
    if isinstance(geometry, Point):
        return "point", None
    if isinstance(geometry, Box):
        return "box", None
    flat = [float(value) for vertex in geometry.vertices_yx for value in vertex]
    return "polygon", struct.pack(f"<{len(flat)}d", *flat)


def _scores_text(scores: tuple[tuple[str, float], ...]) -> str:
    return json.dumps([[name, float(score)] for name, score in scores]) if scores else ""
