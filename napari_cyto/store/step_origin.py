"""Which step of the history made, judged or accepted each cell of a slide: alone, among few, or in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, or_, select

from napari_cyto.domain.annotation import Status
from napari_cyto.store._rows import status_of
from napari_cyto.store._validity import number_of, text_of
from napari_cyto.store.database.schema import annotation, change, history, version

_before, _after = version.alias("before"), version.alias("after")
_STEPS = (
    select(
        annotation.c.id,
        change.c.seq,
        history.c.amount,
        history.c.label,
        _before.c.status,
        _after.c.status,
    )
    .select_from(
        annotation.join(change, change.c.annotation_pk == annotation.c.pk)
        .join(history, history.c.seq == change.c.seq)
        .outerjoin(_before, _before.c.pk == change.c.before_pk)
        .join(_after, _after.c.pk == change.c.after_pk)
    )
    .where(
        annotation.c.slide_pk == bindparam("of_slide"),
        history.c.kind == "edit",
        history.c.state == "done",
        or_(change.c.before_pk.is_(None), _after.c.status != Status.UNREVIEWED.value),
    )
    .order_by(change.c.seq)
)


class ReviewStep(NamedTuple):
    """A step that stands: which cell it changed, how many with it, from which status (None: new) to which."""

    annotation_id: str
    seq: int
    amount: int
    label: str
    before: Status | None
    after: Status


def review_steps(connection: Connection, slide_pk: int) -> Iterator[ReviewStep]:
    """Yield the steps that made or judged the annotations of a slide and were not undone, in their order."""
    for cell, seq, amount, label, before, after in connection.execute(_STEPS, {"of_slide": slide_pk}):
        was = None if before is None else status_of(before, "version", cell)
        number, words = number_of(amount, "history", seq, "amount"), text_of(label, "history", seq, "label")
        yield ReviewStep(cell, seq, number, words, was, status_of(after, "version", cell))
