"""Annotations as rows of the ``version`` table, and back, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.annotation_rows import (
    CLASS,
    CORNERS,
    ID,
    KIND,
    OUTLINES,
    SCORES,
    Row,
    from_us,
    one_score,
    rings_of,
    row_of,
    shape_of_rings,
)
from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon
from napari_cyto.errors import StoreError
from napari_cyto.store._validity import (
    LONGEST_NAME,
    LONGEST_NOTE,
    MOMENT,
    NAME,
    NOTE,
    PX,
    PX_MAX,
    TEXT,
    UNREADABLE,
    US_RANGE,
    Check,
    RowFault,
    check_row,
    scores_of,
)
from napari_cyto.store.database.schema import REGION, version

_STATUS = {status.value: status for status in Status}

_KINDS = f"point, box, {', '.join(OUTLINES[:-1])} or {OUTLINES[-1]}"
_US_FIRST, _US_LAST = US_RANGE
_PLACES: dict[str, Check] = {"y0": PX, "x0": PX, "y1": PX, "x1": PX}
_CHECKS: dict[str, Check] = {
    "annotation_id": NAME,
    **_PLACES,
    "class_id": TEXT,
    "author": TEXT,
    "origin": TEXT,
    "created_us": MOMENT,
    "note": NOTE,
}

VERSION_COLUMNS = tuple(column for column in version.c if column.name != "pk")


def version_row(pk: int, annotation: Annotation, slide_pk: int) -> dict[str, Any]:
    """Return the row of ``version`` that holds ``annotation``.

    Raises
    ------
    StoreError
        When a value is none that could be read again: a score of 95, a note of two million letters.
    """
    return dict(zip(version.c.keys(), version_values(pk, row_of(annotation), slide_pk), strict=True))


def version_values(pk: int, row: Row, slide_pk: int) -> tuple[Any, ...]:
    """Return the values of ``version``, in the order of its columns, for an annotation's row.

    Raises
    ------
    StoreError
        When a value is none that could be read again.
    """
    values = (row[ID], slide_pk, *row[KIND:])
    try:
        _check_fields(values)
        scores_of(row[SCORES] or "[]")
    except UNREADABLE as error:
        raise StoreError(f"The annotation was not stored: {_fault(values).words}.") from error
    return (pk, *values)


def annotation_of(row: Sequence[Any], slide_ids: Mapping[int, str]) -> Annotation:
    """Return the annotation that ``row`` (the values of ``VERSION_COLUMNS``) holds.

    Raises
    ------
    RowFault
        When this program never writes such a row; the sentence names the field.
    """
    (annotation_id, slide_pk, kind, y0, x0, y1, x1, vertices, class_id, *rest) = row
    status, author, origin, scores, created_us, note = rest
    try:
        if kind == "point":
            geometry: Geometry = Point(y0, x0)
        elif kind == "box":
            geometry = Box(y0, x0, y1, x1)
        else:
            geometry = _outline(kind, vertices)
        _check_fields(row)
        return Annotation(
            slide_id=slide_ids[slide_pk],
            geometry=geometry,
            class_id=None if class_id == REGION else class_id,
            status=_STATUS[status],
            author=author,
            origin=origin,
            scores=scores_of(scores) if scores or scores.__class__ is not str else (),
            created_utc=from_us(created_us),
            note=note,
            id=annotation_id,
        )
    except UNREADABLE as error:
        raise _fault(row) from error


def checked(batches: Iterable[Sequence[Row]], slide_ids: Mapping[int, str]) -> Iterator[Row]:
    """Yield rows (the values of ``VERSION_COLUMNS``) that hold annotations, without making these.

    Raises
    ------
    RowFault
        As `annotation_of` does, which looks at each row that is not plainly good.
    """
    # What most rows share is looked at once.
    known: set[tuple[str, ...]] = set()
    for rows in batches:
        outlines = good_outlines(rows)
        for n, row in enumerate(rows):
            shared = (row[KIND], *row[CLASS:SCORES])
            if shared not in known:
                annotation_of(row, slide_ids)
                known = known if len(known) < _MOST_KNOWN else set()
                known.add(shared)
            elif not _is_plain(row, slide_ids, has_outline=n in outlines):
                annotation_of(row, slide_ids)
            yield row


_MOST_KNOWN = 4096
_POLYGON, _NUCLEUS = OUTLINES.index("polygon"), OUTLINES.index("nucleus")
_FEWEST = 3
"""Corners of an area."""


def _is_plain(row: Row, slide_ids: Mapping[int, str], *, has_outline: bool) -> bool:
    """Whether what a row shares with no other is good; only a part of what is good is found so."""
    (annotation_id, slide_pk, kind, y0, x0, y1, x1, _corners, *_, scores, created_us, note) = row
    try:
        return (
            annotation_id.__class__ is str
            and 0 < len(annotation_id) <= LONGEST_NAME
            and slide_pk in slide_ids
            and (
                -PX_MAX <= y0 < y1 <= PX_MAX and -PX_MAX <= x0 < x1 <= PX_MAX
                if kind == "box"
                else -PX_MAX <= y0 <= y1 <= PX_MAX and -PX_MAX <= x0 <= x1 <= PX_MAX
            )
            and (kind not in OUTLINES or has_outline)
            and (scores == "" or one_score(scores) is not None)
            and created_us.__class__ is int
            and _US_FIRST <= created_us <= _US_LAST
            and (note == "" or (note.__class__ is str and len(note) <= LONGEST_NOTE))
        )
    except UNREADABLE:
        return False


def good_outlines(rows: Sequence[Row]) -> frozenset[int]:
    """Return the numbers of those rows whose outline is surely good.

    It is when all its corners are numbers on a slide, each ring has at least three, and the kind says which rings
    there are. What is not found here may be good all the same: a row by row check decides.

    Parameters
    ----------
    rows : sequence of Row
        With corners as `napari_cyto.domain.annotation_rows.Row` has them, or with anything else a stranger wrote.
    """
    numbers, kinds, parts = [], [], []
    for n, row in enumerate(rows):
        corners = row[CORNERS]
        if row[KIND] in OUTLINES and isinstance(corners, bytes) and len(corners) % 16 == 0 and len(corners) >= 48:
            numbers.append(n)
            kinds.append(OUTLINES.index(row[KIND]))
            parts.append(corners)
    if not numbers:
        return frozenset()
    flat = np.frombuffer(b"".join(parts), dtype="<f8")
    lengths = np.array([len(corners) // 8 for corners in parts])
    ends = np.cumsum(lengths)
    # What is no number is not as small as any.
    far = np.add.reduceat(~(np.abs(flat) <= PX_MAX), ends - lengths, dtype=np.intp)
    kind = np.array(kinds)
    # The last pair of a nucleus or a cell is (nan, corners of the nucleus), negative where nobody accepted it.
    nucleus = np.minimum(np.abs(flat[ends - 1]), PX_MAX)
    cytoplasm = lengths / 2 - 1 - nucleus
    of_cell = (far == 1) & np.isnan(flat[ends - 2]) & (nucleus >= _FEWEST) & (nucleus == np.floor(nucleus))
    good = np.where(
        kind == _POLYGON, far == 0, of_cell & np.where(kind == _NUCLEUS, cytoplasm == 0, cytoplasm >= _FEWEST)
    )
    return frozenset(np.array(numbers)[good].tolist())


def status_of(value: object, table: str, row: object) -> Status:
    """Return the status that a row's text means.

    Raises
    ------
    RowFault
        When there is no such status.
    """
    if not isinstance(value, str) or value not in _STATUS:
        raise RowFault(table, row, "status", value, f"one of {', '.join(_STATUS)}")
    return _STATUS[value]


def _kind(cytoplasm: Sequence[object] | None) -> str:
    if cytoplasm is None:
        return "polygon"
    return "cell" if len(cytoplasm) else "nucleus"


def _outline(kind: object, vertices: object) -> Polygon:
    if kind not in OUTLINES or not isinstance(vertices, bytes):
        raise ValueError("no kind of geometry")
    outline, cytoplasm = rings_of(vertices)
    if kind != _kind(cytoplasm):
        raise ValueError("an outline of another kind")
    shape = shape_of_rings(outline, cytoplasm, vertices)
    if any(min(ring) < -PX_MAX or max(ring) > PX_MAX for ring in (outline, cytoplasm) if ring):
        raise ValueError("a corner far from any slide")
    return shape


def _fault(row: Sequence[Any]) -> RowFault:
    """Return the sentence for a row that is not ours, with its first field that is not."""
    values = dict(zip((column.name for column in VERSION_COLUMNS), row, strict=True))
    named = values["annotation_id"]
    try:
        check_row("version", named, values, _CHECKS)
    except RowFault as fault:
        return fault
    if values["status"] not in _STATUS:
        return RowFault("version", named, "status", values["status"], f"one of {', '.join(_STATUS)}")
    try:
        if values["scores"] != "":
            scores_of(values["scores"])
    except UNREADABLE:
        return RowFault("version", named, "scores", values["scores"], "a list of class ids and scores 0 to 1")
    if values["kind"] not in ("point", "box", *OUTLINES):
        return RowFault(
            "version", named, "kind", values["kind"], f"point, box, {', '.join(OUTLINES[:-1])} or {OUTLINES[-1]}"
        )
    if values["kind"] in OUTLINES:
        try:
            _outline(values["kind"], values["vertices"])
        except UNREADABLE:
            return RowFault("version", named, "vertices", values["vertices"], "three or more pairs of finite px")
    if values["class_id"] == REGION and values["kind"] != "polygon":
        return RowFault("version", named, "class_id", "", f"the class of a {values['kind']}")
    bounds = tuple(values[name] for name in _PLACES)
    return RowFault("version", named, "y0, x0, y1, x1", bounds, "a box of a size above 0 on a slide that is there")


def _check_fields(row: Sequence[Any]) -> None:
    """Refuse a row (the values of ``VERSION_COLUMNS``) with a field that is not ours; which one is found out later.

    Raises
    ------
    ValueError, TypeError
        When one is not.
    """
    (annotation_id, _slide_pk, _kind, y0, x0, y1, x1, _vertices, class_id, _status, author, origin, *rest) = row
    _scores, created_us, note = rest
    # One expression, since a million rows pass here.
    if not (
        isinstance(annotation_id, str)
        and isinstance(class_id, str)
        and isinstance(author, str)
        and isinstance(origin, str)
        and isinstance(note, str)
        and 0 < len(annotation_id) <= LONGEST_NAME
        and len(class_id) <= LONGEST_NAME
        and len(author) <= LONGEST_NAME
        and len(origin) <= LONGEST_NAME
        and len(note) <= LONGEST_NOTE
        and -PX_MAX <= y0 <= y1 <= PX_MAX
        and -PX_MAX <= x0 <= x1 <= PX_MAX
        and created_us.__class__ is int
        and _US_FIRST <= created_us <= _US_LAST
    ):
        raise ValueError("a field that is not ours")
