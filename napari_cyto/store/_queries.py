"""Questions about the annotations that are there, answered without loading more than the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Double,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
)

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import YX, YXYX, click_rank
from napari_cyto.store._rows import VERSION_COLUMNS, annotation_of, status_of
from napari_cyto.store._validity import number_of
from napari_cyto.store.database.schema import (
    REGION,
    SLIDE_EXTENT,
    SLIDE_SPACING,
    WHOLE_PROJECT,
    annotation,
    box,
    tally,
    version,
)

_present = annotation.join(version, version.c.pk == annotation.c.version_pk)
_ANNOTATIONS = select(*VERSION_COLUMNS).select_from(_present)
_ONE = _ANNOTATIONS.where(annotation.c.id == bindparam("of_id"))
_ALL = _ANNOTATIONS.order_by(annotation.c.pk)
_OF_SLIDES = _ALL.where(annotation.c.slide_pk.in_(bindparam("of_slides", expanding=True)))
_OF_SLIDE = _ALL.where(annotation.c.slide_pk == bindparam("of_slide"))
_REGIONS = (
    _ANNOTATIONS.where(annotation.c.slide_pk == bindparam("of_slide"), annotation.c.class_id == REGION)
    .order_by(annotation.c.pk)
    .limit(bindparam("at_most"))
)
_SOME = _ANNOTATIONS.where(annotation.c.id.in_(bindparam("of_ids", expanding=True)))
# SQLite takes at most 999 parameters in its older releases.
_IDS_AT_ONCE = 900
_PK = select(annotation.c.pk).where(annotation.c.id == bindparam("of_id"))


def _number(name: str) -> BindParameter[float]:
    return bindparam(name, type_=Double())


def _boxes(columns: tuple[ColumnElement[Any], ...]) -> Select[Any]:
    """Return the query for what lies in a box: coarse by the box index, then exact by the stored float64."""
    s, y0, x0, y1, x1 = (_number(name) for name in ("s", "y0", "x0", "y1", "x1"))
    coarse = and_(box.c.s0 <= s, box.c.s1 >= s, box.c.y0 <= y1, box.c.y1 >= y0, box.c.x0 <= x1, box.c.x1 >= x0)
    exact = and_(
        version.c.y0 < y1,
        version.c.x0 < x1,
        or_(version.c.y1 > y0, version.c.y0 >= y0),
        or_(version.c.x1 > x0, version.c.x0 >= x0),
    )
    return select(*columns).select_from(box.join(version, version.c.pk == box.c.pk)).where(coarse, exact)


_IN_BOX = _boxes(VERSION_COLUMNS)
_IN_BOX_LIMITED = _IN_BOX.limit(bindparam("at_most"))
_COUNT_IN_BOX = select(func.count()).select_from(_boxes((version.c.pk,)).limit(bindparam("at_most")).subquery())


def _gap(low: ColumnElement[float], high: ColumnElement[float], value: ColumnElement[float]) -> ColumnElement[float]:
    return case((value < low, low - value), (value > high, value - high), else_=0.0)


_gap_y = _gap(version.c.y0, version.c.y1, _number("at_y"))
_gap_x = _gap(version.c.x0, version.c.x1, _number("at_x"))
_gap2 = (_gap_y * _gap_y + _gap_x * _gap_x).label("gap2")
_NEAR = _IN_BOX.add_columns(_gap2).order_by("gap2")
_away_y = (version.c.y0 + version.c.y1) / 2 - _number("at_y")
_away_x = (version.c.x0 + version.c.x1) / 2 - _number("at_x")
_away2 = (_away_y * _away_y + _away_x * _away_x).label("away2")


def _cells_at(columns: tuple[ColumnElement[Any], ...]) -> Select[Any]:
    """Return the query for cells near a place, the nearest middle first: these columns, gap2 and away2."""
    near = _boxes((*columns, _gap2, _away2)).where(version.c.class_id != REGION)
    met = or_(_away2.element <= _number("reach2"), and_(_number("by_bounds") > 0, _gap2.element == 0))
    return near.where(met).order_by("away2", version.c.annotation_id)


_CELLS_AT = _cells_at(VERSION_COLUMNS)
_IDS_AT = _cells_at((version.c.annotation_id,))


def one(connection: Connection, annotation_id: str, slide_ids: Mapping[int, str]) -> Annotation | None:
    """Return an annotation by its id."""
    row = connection.execute(_ONE, {"of_id": annotation_id}).first()
    return None if row is None else annotation_of(row, slide_ids)


def some(connection: Connection, annotation_ids: Sequence[str], slide_ids: Mapping[int, str]) -> list[Annotation]:
    """Return those annotations that are there, in the order of ``annotation_ids``."""
    found: dict[str, Annotation] = {}
    for first in range(0, len(annotation_ids), _IDS_AT_ONCE):
        for row in connection.execute(_SOME, {"of_ids": list(annotation_ids[first : first + _IDS_AT_ONCE])}):
            present = annotation_of(row, slide_ids)
            found[present.id] = present
    return [found[i] for i in annotation_ids if i in found]


def stream(
    connection: Connection, slide_ids: Mapping[int, str], slide_pks: Collection[int] | None = None
) -> Iterator[Annotation]:
    """Yield the annotations of some slides, or of all, in order of creation, as they were when it was asked."""
    options = {"yield_per": 1000}
    if slide_pks is None:
        rows = connection.execute(_ALL, execution_options=options)
    elif len(slide_pks) == 1:
        rows = connection.execute(_OF_SLIDE, {"of_slide": next(iter(slide_pks))}, execution_options=options)
    else:
        rows = connection.execute(_OF_SLIDES, {"of_slides": list(slide_pks)}, execution_options=options)
    for row in rows:
        yield annotation_of(row, slide_ids)


def regions(connection: Connection, slide_pk: int, at_most: int, slide_ids: Mapping[int, str]) -> list[Annotation]:
    """Return the regions of a slide, in order of creation."""
    rows = connection.execute(_REGIONS, {"of_slide": slide_pk, "at_most": at_most})
    return [annotation_of(row, slide_ids) for row in rows]


def _area(slide_pk: int, box_yxyx: YXYX) -> dict[str, float]:
    y0, x0, y1, x1 = (float(value) for value in box_yxyx)
    return {"s": slide_pk * SLIDE_SPACING + SLIDE_EXTENT / 2, "y0": y0, "x0": x0, "y1": y1, "x1": x1}


def in_box(
    connection: Connection, slide_pk: int, box_yxyx: YXYX, limit: int | None, slide_ids: Mapping[int, str]
) -> list[Annotation]:
    """Return the annotations whose bounds meet a half-open box, in no particular order."""
    area = _area(slide_pk, box_yxyx)
    if limit is None:
        rows = connection.execute(_IN_BOX, area)
    else:
        rows = connection.execute(_IN_BOX_LIMITED, {**area, "at_most": limit})
    return [annotation_of(row, slide_ids) for row in rows]


def count_in_box(connection: Connection, slide_pk: int, box_yxyx: YXYX, at_most: int) -> int:
    """Return how many annotations meet a half-open box, counting no further than ``at_most``."""
    n: int = connection.execute(_COUNT_IN_BOX, {**_area(slide_pk, box_yxyx), "at_most": at_most}).scalar_one()
    return n


def _all(_annotation: Annotation) -> bool:
    return True


def nearest(
    connection: Connection,
    slide_pk: int,
    yx: YX,
    radius_px: float,
    slide_ids: Mapping[int, str],
    passes: Callable[[Annotation], bool] = _all,
) -> Annotation | None:
    """Return the annotation that a click at ``yx`` means, of those that pass; None when none is near enough."""
    y, x = float(yx[0]), float(yx[1])
    area = _around(slide_pk, (y, x), radius_px)
    best: Annotation | None = None
    best_key = (True, radius_px, math.inf, math.inf)
    # Sorted by the distance to the bounds, which no shape can undercut: the first one too far ends the search.
    for row in connection.execute(_NEAR, {**area, "at_y": y, "at_x": x}, execution_options={"yield_per": 50}):
        enough = radius_px if best is None or best.is_region else best_key[1]
        if row.gap2 > enough**2 * (1 + 1e-9):
            break
        candidate = annotation_of(row[:-1], slide_ids)
        key = click_rank(candidate.geometry, (y, x), is_region=candidate.is_region)
        if key[1] <= radius_px and key < best_key and passes(candidate):
            best, best_key = candidate, key
    return best


def cell_at(
    connection: Connection,
    slide_pk: int,
    yx: YX,
    radius_px: float,
    slide_ids: Mapping[int, str],
    passes: Callable[[Annotation], bool] = _all,
    among: Collection[str] | None = None,
    *,
    bounds_count: bool = False,
) -> Annotation | None:
    """Return the cell whose middle is nearest to ``yx``, of those that pass; see ``Project.cell_at``."""
    y, x = float(yx[0]), float(yx[1])
    values = {**_around(slide_pk, (y, x), radius_px), "at_y": y, "at_x": x}
    values |= {"reach2": radius_px**2 * (1 + 1e-9), "by_bounds": float(bounds_count)}
    # Where most of what is near does not count, its rows are not worth reading.
    query = _CELLS_AT if among is None else _IDS_AT
    for row in connection.execute(query, values, execution_options={"yield_per": 50}):
        if among is None:
            candidate = annotation_of(row[:-2], slide_ids)
        elif row.annotation_id not in among or (stored := one(connection, row.annotation_id, slide_ids)) is None:
            continue
        else:
            candidate = stored
        is_met = (bounds_count and not row.gap2) or math.dist(candidate.geometry.centre_yx, (y, x)) <= radius_px
        if is_met and passes(candidate):
            return candidate
    return None


def _around(slide_pk: int, yx: YX, radius_px: float) -> dict[str, float]:
    # Half-open boxes leave out their far edge, a circle does not.
    reach = radius_px * (1 + 1e-9) + 1e-6
    return _area(slide_pk, (yx[0] - reach, yx[1] - reach, yx[0] + reach, yx[1] + reach))


def tallies(connection: Connection, slide_pk: int | None) -> list[tuple[str | None, Status, int]]:
    """Return (class id, status, count) of one slide, or of the whole project, without the zeros."""
    of = WHOLE_PROJECT if slide_pk is None else slide_pk
    rows = connection.execute(
        select(tally.c.class_id, tally.c.status, tally.c.n).where(tally.c.slide_pk == of, tally.c.n > 0)
    )
    return [
        (None if class_id == REGION else class_id, status_of(status, "tally", of), number_of(n, "tally", of, "n"))
        for class_id, status, n in rows
    ]


def slide_tallies(connection: Connection, statuses: Collection[Status] | None) -> list[tuple[int, int]]:
    """Return (slide number, count) of each slide that has annotations."""
    sums = select(tally.c.slide_pk, func.sum(tally.c.n)).where(tally.c.slide_pk != WHOLE_PROJECT, tally.c.n > 0)
    if statuses is not None:
        sums = sums.where(tally.c.status.in_([status.value for status in statuses]))
    rows = connection.execute(sums.group_by(tally.c.slide_pk))
    return [(slide_pk, number_of(n, "tally", slide_pk, "n")) for slide_pk, n in rows]


def neighbour(
    connection: Connection,
    slide_pk: int,
    after: str | None,
    step: int,
    class_id: str | None,
    statuses: Collection[Status] | None,
    slide_ids: Mapping[int, str],
) -> Annotation | None:
    """Return the next (``step`` 1) or previous (-1) annotation of a slide in order of creation."""
    start = None if after is None else connection.execute(_PK, {"of_id": after}).scalar()
    if class_id is None and statuses is None:
        beyond = _edge(step, start).where(annotation.c.slide_pk == slide_pk)
        pk = connection.execute(beyond).scalar_one()
    else:
        pk = connection.execute(_beyond_of_kind(slide_pk, start, step, class_id, statuses)).scalar_one()
    if pk is None:
        return None
    row = connection.execute(_ANNOTATIONS.where(annotation.c.pk == pk)).one()
    return annotation_of(row, slide_ids)


def _edge(step: int, start: int | None) -> Select[tuple[int]]:
    edge = select(func.min(annotation.c.pk) if step > 0 else func.max(annotation.c.pk))
    if start is None:
        return edge
    return edge.where(annotation.c.pk > start if step > 0 else annotation.c.pk < start)


def _beyond_of_kind(
    slide_pk: int, start: int | None, step: int, class_id: str | None, statuses: Collection[Status] | None
) -> Select[tuple[int]]:
    """Return the query that looks once into the index for each kind of annotation that the slide has.

    There are at most classes x statuses kinds, so the cost does not grow with the number of annotations, however
    rare the wanted ones are among them.
    """
    kinds = select(tally).where(tally.c.slide_pk == slide_pk, tally.c.n > 0)
    if class_id is not None:
        kinds = kinds.where(tally.c.class_id == class_id)
    if statuses is not None:
        kinds = kinds.where(tally.c.status.in_([status.value for status in statuses]))
    kind = kinds.subquery("kind")
    first = (
        _edge(step, start)
        .where(
            annotation.c.slide_pk == kind.c.slide_pk,
            annotation.c.class_id == kind.c.class_id,
            annotation.c.status == kind.c.status,
        )
        .correlate(kind)
        .scalar_subquery()
    )
    firsts = select(first.label("pk")).select_from(kind).subquery()
    return select(func.min(firsts.c.pk) if step > 0 else func.max(firsts.c.pk))
