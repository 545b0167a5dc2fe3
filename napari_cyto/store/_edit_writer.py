"""Applying edits, and taking them back, inside one transaction each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, literal, select, update

from napari_cyto.domain.annotation import Annotation, now_utc
from napari_cyto.domain.annotation_rows import to_us
from napari_cyto.domain.counts import counted
from napari_cyto.domain.edits import Change, Edit
from napari_cyto.errors import StaleEditError
from napari_cyto.store._history import Kind, first_change_of
from napari_cyto.store._history_replay import settle
from napari_cyto.store._rows import VERSION_COLUMNS, annotation_of, version_row
from napari_cyto.store.database.schema import annotation, change, history, version

BATCH = 5_000

_NEXT = select(
    *(
        select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
        for column in (history.c.seq, version.c.pk, annotation.c.pk)
    )
)
_STORED = (
    select(annotation.c.pk, annotation.c.version_pk, annotation.c.id, *VERSION_COLUMNS)
    .select_from(annotation.outerjoin(version, version.c.pk == annotation.c.version_pk))
    .where(annotation.c.id.in_(bindparam("ids", expanding=True)))
)
FORGET = (
    update(history)
    .where(history.c.author == bindparam("by_author"), history.c.state == "undone")
    .values(state="forgotten")
)
_DONE_BY = select(func.max(history.c.seq)).where(history.c.author == bindparam("by_author"), history.c.state == "done")
_UNDONE_BY = select(func.min(history.c.seq)).where(
    history.c.author == bindparam("by_author"), history.c.state == "undone"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What a write must know of the project: the numbers of its slides, and its classes."""

    slide_pks: Mapping[str, int]
    slide_ids: Mapping[int, str]
    class_ids: Collection[str]


@dataclass(slots=True)
class Numbers:
    """The next free number of each table."""

    seq: int
    version_pk: int
    annotation_pk: int


def next_numbers(connection: Connection) -> Numbers:
    """Return the next free number of each table."""
    return Numbers(*connection.execute(_NEXT).one())


def write_edit(connection: Connection, known: Known, edit: Edit, author: str) -> int:
    """Write ``edit`` as a new step of the history and make it the present state; return the step's number.

    Raises
    ------
    StaleEditError
        When an annotation is not, or no longer, what the edit was made against.
    StoreError
        When an annotation lies on a slide, or has a class, that the project does not have.
    """
    numbers = next_numbers(connection)
    # What was undone before a new edit can no longer be redone; the history keeps it.
    connection.execute(FORGET, {"by_author": author})
    _write_step(connection, known, numbers.seq, edit, author)
    stale = 0
    changes = iter(edit.changes)
    while batch := list(islice(changes, BATCH)):
        stale += _write_batch(connection, known, numbers, batch)
    if stale:
        raise StaleEditError(
            f"'{edit.label}' was not applied: {stale} of its {counted(len(edit.changes), 'annotation')} had been "
            "changed elsewhere, perhaps in another window; check them and try again."
        )
    settle(connection, numbers.seq, known.class_ids)
    return numbers.seq


def _write_step(connection: Connection, known: Known, seq: int, edit: Edit, author: str) -> None:
    slide_ids = {a.slide_id for c in edit.changes for a in (c.before, c.after) if a is not None}
    slides = json.dumps(sorted(known.slide_pks[slide_id] for slide_id in slide_ids))
    row = _place(known, edit.changes[0]) | {
        "seq": seq,
        "label": edit.label,
        "author": author,
        "at_us": to_us(now_utc()),
        "kind": "edit",
        "target_seq": None,
        "state": "done",
        "amount": len(edit.changes),
        "slide_pks": slides,
    }
    connection.execute(insert(history), row)


def _place(known: Known, first: Change) -> dict[str, Any]:
    shown = first.after or first.before
    assert shown is not None
    y, x = shown.geometry.centre_yx
    return {"place_slide_pk": known.slide_pks[shown.slide_id], "place_y": float(y), "place_x": float(x)}


def _write_batch(connection: Connection, known: Known, numbers: Numbers, batch: Sequence[Change]) -> int:
    """Write the new states of some annotations and who follows whom; return how many of them were stale."""
    found = {row.id: row for row in connection.execute(_STORED, {"ids": [c.annotation_id for c in batch]})}
    stale = 0
    versions: list[dict[str, Any]] = []
    births: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    for item in batch:
        row = found.get(item.annotation_id)
        if _present(row, known.slide_ids) != item.before:
            stale += 1
            continue
        after_pk = None
        if item.after is not None:
            after_pk = numbers.version_pk
            numbers.version_pk += 1
            versions.append(version_row(after_pk, item.after, known.slide_pks[item.after.slide_id]))
        if row is None:
            annotation_pk = numbers.annotation_pk
            numbers.annotation_pk += 1
            births.append(_birth(annotation_pk, item.annotation_id, versions[-1]))
        else:
            annotation_pk = row.pk
        before_pk = None if row is None else row.version_pk
        steps.append({"seq": numbers.seq, "annotation_pk": annotation_pk, "before_pk": before_pk, "after_pk": after_pk})
    if not stale:
        for table, rows in ((version, versions), (annotation, births), (change, steps)):
            if rows:
                connection.execute(insert(table), rows)
    return stale


def _present(row: Row[Any] | None, slide_ids: Mapping[int, str]) -> Annotation | None:
    if row is None or row.version_pk is None:
        return None
    return annotation_of(row[3:], slide_ids)


def _birth(pk: int, annotation_id: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "pk": pk,
        "id": annotation_id,
        "version_pk": state["pk"],
        "slide_pk": state["slide_pk"],
        "class_id": state["class_id"],
        "status": state["status"],
    }


def next_to_undo(connection: Connection, author: str) -> int | None:
    """Return the number of the author's last edit that is not undone."""
    seq: int | None = connection.execute(_DONE_BY, {"by_author": author}).scalar_one()
    return seq


def next_to_redo(connection: Connection, author: str) -> int | None:
    """Return the number of the author's edit that was undone last and can be done again."""
    seq: int | None = connection.execute(_UNDONE_BY, {"by_author": author}).scalar_one()
    return seq


def write_return(connection: Connection, known: Known, target: int, kind: Kind, author: str) -> int:
    """Take back edit ``target`` (``kind`` "undo") or do it again ("redo"); return the new step's number.

    Raises
    ------
    StaleEditError
        When one of its annotations was changed since by another edit.
    """
    undo = kind == "undo"
    edit = connection.execute(select(history).where(history.c.seq == target)).one()
    expected, restored = (change.c.after_pk, change.c.before_pk) if undo else (change.c.before_pk, change.c.after_pk)
    _refuse_changed(connection, edit, expected, "undone" if undo else "redone")
    seq: int = connection.execute(_NEXT).one()[0]
    first = first_change_of(connection, target, known.slide_ids)
    row = dict(edit._mapping) | {"seq": seq, "at_us": to_us(now_utc()), "kind": kind, "state": "", "author": author}
    row |= {"target_seq": target} | _place(known, Change(first.after, first.before) if undo else first)
    connection.execute(insert(history), row)
    connection.execute(
        insert(change).from_select(
            ["seq", "annotation_pk", "before_pk", "after_pk"],
            select(literal(seq), change.c.annotation_pk, annotation.c.version_pk, restored)
            .join(annotation, annotation.c.pk == change.c.annotation_pk)
            .where(change.c.seq == target),
        )
    )
    settle(connection, seq, known.class_ids)
    state = "undone" if undo else "done"
    connection.execute(update(history).where(history.c.seq == target).values(state=state))
    return seq


def _refuse_changed(connection: Connection, edit: Row[Any], expected: Any, verb: str) -> None:
    """Refuse when an annotation of the edit is not in the state in which the edit left it."""
    was = version.alias("was")
    names = [column.name for column in VERSION_COLUMNS]
    differing = (
        select(
            expected,
            annotation.c.version_pk,
            *(version.c[name] for name in names),
            *(was.c[name] for name in names),
        )
        .select_from(
            change.join(annotation, annotation.c.pk == change.c.annotation_pk)
            .outerjoin(version, version.c.pk == annotation.c.version_pk)
            .outerjoin(was, was.c.pk == expected)
        )
        .where(change.c.seq == edit.seq, annotation.c.version_pk.is_distinct_from(expected))
    )
    changed = sum(1 for row in connection.execute(differing) if not _same(row, len(names)))
    if changed:
        raise StaleEditError(
            f"'{edit.label}' was not {verb}: {changed} of its {counted(edit.amount, 'annotation')} had been changed by "
            "a later edit, perhaps by another person or window; undo that edit first, or change them by hand."
        )


def _same(row: Row[Any], width: int) -> bool:
    # Another edit may have led back to an equal state, which is then as good as the one left.
    values = tuple(row)
    present = values[0] is not None and values[1] is not None
    return present and values[2 : 2 + width] == values[2 + width :]
