"""The cells of a slide as bare columns, for who counts and maps a million of them without making annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from napari_cyto.domain.annotation import Status
from napari_cyto.store._validity import PX_MAX, UNREADABLE, RowFault, scores_of
from napari_cyto.store.database.schema import REGION, annotation, version

CellRow = tuple[str, float, float, str, str, list[tuple[str, float]], str]
_AT_ONCE = 5_000

_CELLS = (
    select(
        version.c.annotation_id,
        (version.c.y0 + version.c.y1) / 2,
        (version.c.x0 + version.c.x1) / 2,
        version.c.class_id,
        version.c.status,
        version.c.scores,
        version.c.origin,
    )
    .select_from(annotation.join(version, version.c.pk == annotation.c.version_pk))
    .where(annotation.c.slide_pk == bindparam("of_slide"), annotation.c.class_id != REGION)
)
_ORIGINS = (
    select(version.c.origin, func.count())
    .select_from(annotation.join(version, version.c.pk == annotation.c.version_pk))
    .where(annotation.c.slide_pk == bindparam("of_slide"), annotation.c.class_id != REGION)
    .group_by(version.c.origin)
)


_AUTHORS = (
    select(version.c.annotation_id, version.c.author)
    .select_from(annotation.join(version, version.c.pk == annotation.c.version_pk))
    .where(annotation.c.slide_pk == bindparam("of_slide"), annotation.c.class_id != REGION)
)


def authors(connection: Connection, slide_pk: int) -> dict[str, str]:
    """Return of each cell of a slide whose it is: a person, or the model that nobody followed yet."""
    return {str(row[0]): str(row[1]) for row in connection.execute(_AUTHORS, {"of_slide": slide_pk})}


def origins(connection: Connection, slide_pk: int) -> dict[str, int]:
    """Return how many cells of a slide came from where: drawn, a file, each model."""
    return {str(row.origin): int(row[1]) for row in connection.execute(_ORIGINS, {"of_slide": slide_pk})}


def cell_rows(connection: Connection, slide_pk: int) -> Iterator[list[CellRow]]:
    """Yield the cells of a slide, some thousands at a time: id, y, x (level-0 px), class, status, scores,
    origin.

    The place of an outline with a class is the middle of its bounds, which is near enough to map it.
    """
    statuses = {status.value for status in Status}
    rows = connection.execute(_CELLS, {"of_slide": slide_pk}, execution_options={"yield_per": _AT_ONCE})
    for part in rows.partitions():
        yield [_cell(row, statuses) for row in part]


def _cell(row: Sequence[Any], statuses: set[str]) -> CellRow:
    annotation_id, y, x, class_id, status, scores, origin = row
    try:
        if not (
            annotation_id.__class__ is class_id.__class__ is origin.__class__ is str
            and status in statuses
            and -PX_MAX <= y <= PX_MAX
            and -PX_MAX <= x <= PX_MAX
        ):
            raise ValueError("a field that is not ours")
        return annotation_id, y, x, class_id, status, list(scores_of(scores)) if scores else [], origin
    except UNREADABLE as error:
        due = "an id, a place, a class, a status, scores and an origin"
        raise RowFault("version", annotation_id, "of the cell", tuple(row)[1:], due) from error
