"""Annotations as rows of plain values, and back, exactly: how a database and a file on the disk hold them."""

from __future__ import annotations

import json
import re
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite, nan
from typing import Any, TypeAlias

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import YX, YXYX, Box, CellOutline, Geometry, Point, Polygon

NO_CLASS = ""
"""The class of a region in a row: an empty text is no class id, and unlike None it can be compared in a database."""

Row: TypeAlias = tuple[Any, ...]
"""id, slide id, kind, y0, x0, y1, x1 (level-0 px), corners of an outline, class id, status, author, origin, scores,
creation (µs since 1970 UTC), note. Corners are little-endian float64 pairs (y, x); scores are JSON.

The kind is point, box, polygon (an outline that does not say of what), nucleus, or cell (nucleus and cytoplasm). The
corners of the last two are those of its nucleus, then those of its cytoplasm, then the pair (nan, number of
corners of the nucleus), so that they are never mistaken for one ring; the number is negative where nobody has accepted
the outline."""

OUTLINES = ("polygon", "nucleus", "cell")
"""The kinds of rows that have corners."""

ID, SLIDE, KIND, Y0, X0, Y1, X1, CORNERS, CLASS, STATUS, AUTHOR, ORIGIN, SCORES, CREATED, NOTE = range(15)

one_score = re.compile(r'\[\[("[^"\\\x00-\x1f\x7f-\U0010ffff]*"), (0\.[0-9]+|1\.0)\]\]').fullmatch
"""The name, as JSON, and the number of scores that are but one; None for others, which `scores_of` reads."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PAIR = struct.Struct("=2d")
_STATUS = {status.value: status for status in Status}


@lru_cache(maxsize=256)  # what comes from one file has one moment
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


def row_of(annotation: Annotation) -> Row:
    """Return the row that holds ``annotation``."""
    kind, bounds, corners = _shape(annotation.geometry)
    return (
        annotation.id,
        annotation.slide_id,
        kind,
        *bounds,
        corners,
        NO_CLASS if annotation.class_id is None else annotation.class_id,
        annotation.status.value,
        annotation.author,
        annotation.origin,
        _scores_text(annotation.scores),
        to_us(annotation.created_utc),
        annotation.note,
    )


def annotation_of(row: Sequence[Any]) -> Annotation:
    """Return the annotation that a row holds."""
    (annotation_id, slide_id, kind, y0, x0, y1, x1, corners, class_id, *rest) = row
    status, author, origin, scores, created_us, note = rest
    return Annotation(
        slide_id=slide_id,
        geometry=geometry_of(kind, (y0, x0, y1, x1), corners),
        class_id=None if class_id == NO_CLASS else class_id,
        status=_STATUS[status],
        author=author,
        origin=origin,
        scores=scores_of(scores),
        created_utc=from_us(created_us),
        note=note,
        id=annotation_id,
    )


def scores_of(text: str) -> tuple[tuple[str, float], ...]:
    """Return the scores that a row's text holds."""
    return tuple((name, score) for name, score in json.loads(text)) if text else ()


def score_text(scores: str, class_id: str, written: Callable[[float], str]) -> str:
    """Return the score of a class as JSON, or as ``written`` says where it is not plain; empty where there is none."""
    if not scores:
        return ""
    if (one := one_score(scores)) is not None:
        return one[2] if one[1] == f'"{class_id}"' else ""
    own = dict(scores_of(scores)).get(class_id)
    return "" if own is None else written(own)


def corners_of(corners: bytes) -> array[float]:
    """Return the corners of an outline, of a cell's nucleus, as they stand in a row: y, x, y, x ..., level-0 px."""
    return rings_of(corners)[0]


def rings_of(corners: bytes) -> tuple[array[float], array[float] | None]:
    """Return the corners of a row as y, x, y, x ..., level-0 px.

    Returns
    -------
    tuple
        The outline, of a cell's the nucleus; the cytoplasm, empty where it is not known, None where the outline is
        no cell's.
    """
    flat = array("d", corners)
    if sys.byteorder == "big":
        flat.byteswap()
    if len(flat) < 2 or flat[-2] == flat[-2]:
        return flat, None
    end = 2 * abs(int(flat[-1]))
    if not 0 <= end <= len(flat) - 2:
        raise ValueError("an outline of more corners than there are")
    return flat[:end], flat[end:-2]


def is_accepted_outline(corners: bytes) -> bool:
    """Whether a person drew or accepted the outline of a nucleus or a cell, whose corners a row holds."""
    return bool(struct.unpack("<d", corners[-8:])[0] > 0)


def bounds_of(row: Row) -> YXYX:
    """Return the box round a row's shape, level-0 px; an outline's from its corners, which are what counts."""
    if row[KIND] == "box":
        return row[Y0:CORNERS]
    if row[KIND] == "point":
        y, x = row[Y0], row[X0]
        return (y, x, y, x)
    flat = corners_of(row[CORNERS])
    ys, xs = flat[0::2], flat[1::2]
    return (min(ys), min(xs), max(ys), max(xs))


def utc_text(us: int) -> str:
    """Return a moment, µs since 1970 UTC, as `datetime.isoformat` writes it."""
    seconds, rest = divmod(us, 1_000_000)
    return f"{_second(seconds)}.{rest:06}+00:00" if rest else f"{_second(seconds)}+00:00"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


def geometry_of(kind: str, bounds: YXYX, corners: bytes | None) -> Geometry:
    """Return the shape of a row."""
    if kind == "point":
        return Point(*bounds[:2])
    if kind == "box":
        return Box(*bounds)
    return shape_of_rings(*rings_of(corners or b""), corners or b"")


def shape_of_rings(outline: array[float], cytoplasm: array[float] | None, corners: bytes) -> Polygon:
    """Return the shape of which `rings_of` made the rings from ``corners``."""
    if cytoplasm is None:
        return Polygon(_pairs(outline))
    return CellOutline(_pairs(outline), _pairs(cytoplasm), is_accepted_outline(corners))


def _pairs(flat: array[float]) -> tuple[YX, ...]:
    # Pairs straight from the bytes, faster than a zip: thousands of outlines pass here at once.
    if len(flat) % 2:
        raise ValueError("half a corner")
    return tuple(_PAIR.iter_unpack(flat))


def _shape(geometry: Geometry) -> tuple[str, tuple[float, ...], bytes | None]:
    if isinstance(geometry, Point):
        y, x = float(geometry.y), float(geometry.x)
        return "point", (y, x, y, x), None
    if isinstance(geometry, Box):
        return "box", (float(geometry.y0), float(geometry.x0), float(geometry.y1), float(geometry.x1)), None
    flat = array("d", chain.from_iterable(geometry.vertices_yx))
    ys, xs = flat[0::2], flat[1::2]
    bounds = (min(ys), min(xs), max(ys), max(xs))
    kind = "polygon"
    if isinstance(geometry, CellOutline):
        kind = "cell" if geometry.cytoplasm_yx else "nucleus"
        corners = len(geometry.vertices_yx)
        flat.extend((*chain.from_iterable(geometry.cytoplasm_yx), nan, corners if geometry.accepted else -corners))
    if sys.byteorder == "big":
        flat.byteswap()
    return kind, bounds, flat.tobytes()


def _scores_text(scores: tuple[tuple[str, float], ...]) -> str:
    if not scores:
        return ""
    # As json.dumps writes it, in a fifth of the time.
    return "[" + ", ".join([f"[{_quoted(name)}, {_number(float(score))}]" for name, score in scores]) + "]"


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else json.dumps(value)
