"""The cells of a slide as bare columns, for who counts and maps a million of them without making annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, func, select

from napari_cyto.store.schema import REGION, annotation, version

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


def origins(connection: Connection, slide_pk: int) -> dict[str, int]:
    """Return how many cells of a slide came from where: drawn, a file, each model."""
    return {str(row.origin): int(row[1]) for row in connection.execute(_ORIGINS, {"of_slide": slide_pk})}


def cell_rows(connection: Connection, slide_pk: int) -> Iterator[list[CellRow]]:
    """Yield the cells of a slide, some thousands at a time: id, y, x (level-0 px), class, status, scores,
    origin.

    The place of an outline with a class is the middle of its bounds, which is near enough to map it.
    """
    rows = connection.execute(_CELLS, {"of_slide": slide_pk}, execution_options={"yield_per": _AT_ONCE})
    for part in rows.partitions():
        yield [(i, y, x, c, s, json.loads(scores) if scores else [], o) for i, y, x, c, s, scores, o in part]
