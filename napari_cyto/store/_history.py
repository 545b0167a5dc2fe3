"""The history of a project: every step that was ever taken, who took it, when, and what it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, select

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_rows import from_us
from napari_cyto.domain.edits import Change, Edit
from napari_cyto.domain.geometry import YX
from napari_cyto.store._rows import VERSION_COLUMNS, annotation_of
from napari_cyto.store._validity import MOMENT, NUMBER, PX, TEXT, Check, check_row, is_number, json_of, need
from napari_cyto.store.database.schema import annotation, change, history, version

Kind = Literal["edit", "undo", "redo"]
_KINDS = ("edit", "undo", "redo")
_CHECKS: dict[str, Check] = {
    "seq": NUMBER,
    "label": TEXT,
    "author": TEXT,
    "at_us": MOMENT,
    "kind": (lambda value: value in _KINDS, "edit, undo or redo"),
    "amount": NUMBER,
    "place_slide_pk": NUMBER,
    "place_y": PX,
    "place_x": PX,
}

_before = version.alias("before")
_after = version.alias("after")
_CHANGES = select(
    change.c.before_pk,
    change.c.after_pk,
    *(_before.c[column.name] for column in VERSION_COLUMNS),
    *(_after.c[column.name] for column in VERSION_COLUMNS),
).select_from(
    change.join(annotation, annotation.c.pk == change.c.annotation_pk)
    .outerjoin(_before, _before.c.pk == change.c.before_pk)
    .outerjoin(_after, _after.c.pk == change.c.after_pk)
)
_OF_STEP = _CHANGES.where(change.c.seq == bindparam("step")).order_by(change.c.annotation_pk)
_FIRST_OF_STEP = _OF_STEP.limit(1)
_ONE_OF_STEP = _OF_STEP.where(annotation.c.id == bindparam("of_id"))


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of a project's history.

    Parameters
    ----------
    seq : int
        Its number, growing by one.
    label : str
        What the undo menu calls it; an undo or redo has the label of the edit it is about.
    author : str
        Who did it.
    at : datetime
        When it was committed, aware, UTC.
    kind : {"edit", "undo", "redo"}
        Whether it is an edit, or takes one back, or does it again.
    slide_ids : tuple of str
        The slides on which something changed.
    count : int
        How many annotations changed.
    place : tuple of (str, (float, float))
        Where to look: the slide and the centre, level-0 px ``(y, x)``, of the first annotation that changed.
    """

    seq: int
    label: str
    author: str
    at: datetime
    kind: Kind
    slide_ids: tuple[str, ...]
    count: int
    place: tuple[str, YX]
    _load: Callable[[], Edit] = field(repr=False, compare=False)

    @property
    def edit(self) -> Edit:
        """What changed, in the direction in which it was applied.

        Read from the database when asked for, unless this entry was just applied: a step can hold a million cells.
        """
        return self._load()


def check_step(row: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the slides that a row of ``history`` speaks of.

    Raises
    ------
    RowFault
        When this program never writes such a row.
    """
    check_row("history", row["seq"], row, _CHECKS)
    pks = json_of(row["slide_pks"], "history", row["seq"], "slide_pks")
    listed = isinstance(pks, list) and all(is_number(pk) for pk in pks)
    need(listed, "history", row["seq"], "slide_pks", row["slide_pks"], "a list of slides")
    return list(pks)


def entry_of(row: Row[Any], slide_ids: Mapping[int, str], load: Callable[[], Edit]) -> HistoryEntry:
    """Return the entry that a row of ``history`` holds.

    Raises
    ------
    RowFault
        When this program never writes such a row.
    """
    pks = check_step(dict(row._mapping))
    return HistoryEntry(
        seq=row.seq,
        label=row.label,
        author=row.author,
        at=from_us(row.at_us),
        kind=row.kind,
        slide_ids=tuple(slide_ids[pk] for pk in pks),
        count=row.amount,
        place=(slide_ids[row.place_slide_pk], (row.place_y, row.place_x)),
        _load=load,
    )


def changes_of(
    connection: Connection, seq: int, slide_ids: Mapping[int, str], annotation_id: str | None = None
) -> Iterator[Change]:
    """Yield what step ``seq`` changed, or what it changed of one annotation, in order of creation."""
    if annotation_id is None:
        rows: Iterable[Row[Any]] = connection.execute(_OF_STEP, {"step": seq})
    else:
        rows = connection.execute(_ONE_OF_STEP, {"step": seq, "of_id": annotation_id})
    return (_change(row, slide_ids) for row in rows)


def first_change_of(connection: Connection, seq: int, slide_ids: Mapping[int, str]) -> Change:
    """Return the change of step ``seq`` to the oldest annotation that it touches."""
    return _change(connection.execute(_FIRST_OF_STEP, {"step": seq}).one(), slide_ids)


def steps_of(connection: Connection, annotation_id: str) -> list[Row[Any]]:
    """Return the rows of ``history`` that touched an annotation, oldest first."""
    touching = (
        select(history)
        .join(change, change.c.seq == history.c.seq)
        .join(annotation, annotation.c.pk == change.c.annotation_pk)
        .where(annotation.c.id == annotation_id)
        .order_by(history.c.seq)
    )
    return list(connection.execute(touching))


def _change(row: Row[Any], slide_ids: Mapping[int, str]) -> Change:
    before_pk, after_pk, *states = list(row)
    width = len(VERSION_COLUMNS)
    before: Annotation | None = None
    after: Annotation | None = None
    if before_pk is not None:
        before = annotation_of(states[:width], slide_ids)
    if after_pk is not None:
        after = annotation_of(states[width:], slide_ids)
    return Change(before, after)
