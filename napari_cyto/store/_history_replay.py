"""Moving the present state from before a step of the history to after it, within the database.

One step may be one click or a million imported cells; both take the same few statements, whose cost grows with the
number of changes only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, insert, select, update

from napari_cyto.domain.counts import counted
from napari_cyto.errors import StoreError
from napari_cyto.store.database.schema import (
    REGION,
    SLIDE_EXTENT,
    SLIDE_SPACING,
    WHOLE_PROJECT,
    annotation,
    box,
    change,
    tally,
    version,
)
from napari_cyto.store.database.sqlite import create_box_index

_SEQ: ColumnElement[int] = bindparam("step")


def _tally_of(column: ColumnElement[int]) -> Select[Any]:
    return (
        select(version.c.slide_pk, version.c.class_id, version.c.status, func.count())
        .select_from(change.join(version, version.c.pk == column))
        .where(change.c.seq == _SEQ)
        .group_by(version.c.slide_pk, version.c.class_id, version.c.status)
    )


_LEAVING = _tally_of(change.c.before_pk)
_COMING = _tally_of(change.c.after_pk)

_state = (
    select(change.c.annotation_pk, change.c.after_pk, version.c.slide_pk, version.c.class_id, version.c.status)
    .select_from(change.outerjoin(version, version.c.pk == change.c.after_pk))
    .where(change.c.seq == _SEQ)
    .subquery("state")
)
# Rows of new annotations were written as they shall be; they need no second writing.
_SETTLE = (
    update(annotation)
    .where(annotation.c.pk == _state.c.annotation_pk, annotation.c.version_pk.is_distinct_from(_state.c.after_pk))
    .values(
        version_pk=_state.c.after_pk,
        slide_pk=_state.c.slide_pk,
        class_id=_state.c.class_id,
        status=_state.c.status,
    )
)

_LIFT = delete(box).where(
    box.c.pk.in_(select(change.c.before_pk).where(change.c.seq == _SEQ, change.c.before_pk.is_not(None)))
)
_BOX_COLUMNS = ["pk", "s0", "s1", "y0", "y1", "x0", "x1"]
_boxes = select(
    version.c.pk,
    version.c.slide_pk * SLIDE_SPACING,
    version.c.slide_pk * SLIDE_SPACING + SLIDE_EXTENT,
    version.c.y0,
    version.c.y1,
    version.c.x0,
    version.c.x1,
)
_PUT = insert(box).from_select(
    _BOX_COLUMNS,
    _boxes.select_from(change.join(version, version.c.pk == change.c.after_pk)).where(change.c.seq == _SEQ),
)
_PUT_RANGE = insert(box).from_select(
    _BOX_COLUMNS, _boxes.where(version.c.pk >= bindparam("first"), version.c.pk < bindparam("end"))
)
_PUT_PRESENT = insert(box).from_select(
    _BOX_COLUMNS, _boxes.select_from(annotation.join(version, version.c.pk == annotation.c.version_pk))
)
_PRESENT = select(func.count()).select_from(annotation).where(annotation.c.version_pk.is_not(None))
# From so many boxes on it is worth counting those that stay.
_MANY = 5_000
_COUNT = (
    update(tally)
    .where(
        tally.c.slide_pk == bindparam("of_slide"),
        tally.c.class_id == bindparam("of_class"),
        tally.c.status == bindparam("of_status"),
    )
    .values(n=tally.c.n + bindparam("by"))
)


def settle(connection: Connection, seq: int, class_ids: Collection[str]) -> None:
    """Make the ``after`` of each change of step ``seq`` the present state, with boxes and counts.

    Raises
    ------
    StoreError
        When a change brings a class that is not, or no longer, one of ``class_ids``.
    """
    step = {"step": seq}
    difference: Counter[tuple[int, str, str]] = Counter()
    for slide_pk, class_id, status, n in connection.execute(_COMING, step):
        if class_id != REGION and class_id not in class_ids:
            raise StoreError(
                f"{counted(n, 'annotation')} would have the class {class_id!r}, which is not in the project's class "
                f"scheme ({', '.join(class_ids)}); add it to the scheme first, or choose another class."
            )
        difference[slide_pk, class_id, status] += n
        difference[WHOLE_PROJECT, class_id, status] += n
    for slide_pk, class_id, status, n in connection.execute(_LEAVING, step):
        difference[slide_pk, class_id, status] -= n
        difference[WHOLE_PROJECT, class_id, status] -= n
    connection.execute(_SETTLE, step)
    leaving = -sum(n for (slide_pk, _, _), n in difference.items() if slide_pk == WHOLE_PROJECT and n < 0)
    if (
        leaving >= _MANY
        and connection.dialect.name == "sqlite"
        and leaving >= connection.execute(_PRESENT).scalar_one()
    ):
        _index_anew(connection)
    else:
        connection.execute(_LIFT, step)
        connection.execute(_PUT, step)
    for (slide_pk, class_id, status), by in difference.items():
        if by:
            count(connection, slide_pk, class_id, status, by)


def _index_anew(connection: Connection) -> None:
    """Make the index of boxes of what is there now; taking most boxes out of an R*Tree one by one takes far longer."""
    connection.exec_driver_sql("DROP TABLE box")
    create_box_index(connection)
    connection.execute(_PUT_PRESENT)


def put_boxes(connection: Connection, first: int, end: int) -> None:
    """Index the boxes of the versions ``first`` to ``end``, which hold now."""
    connection.execute(_PUT_RANGE, {"first": first, "end": end})


def count(connection: Connection, slide_pk: int, class_id: str, status: str, by: int) -> None:
    """Count ``by`` more annotations of a slide, or of `WHOLE_PROJECT`, with a class and status."""
    where = {"of_slide": slide_pk, "of_class": class_id, "of_status": status, "by": by}
    if connection.execute(_COUNT, where).rowcount == 0:
        row = {"slide_pk": slide_pk, "class_id": class_id, "status": status, "n": by}
        connection.execute(insert(tally), row)
