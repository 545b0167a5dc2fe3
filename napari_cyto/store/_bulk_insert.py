"""Taking very many annotations in, with the slides and classes that they need: one transaction, one step to undo."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.annotation_rows import CLASS, ID, NO_CLASS, SLIDE, STATUS, X0, X1, Y0, Y1, Row, to_us
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import StaleEditError, StoreError
from napari_cyto.store import _interpretations as interpretations
from napari_cyto.store import _removal as removing
from napari_cyto.store import _slides as slides
from napari_cyto.store._core import write_scheme
from napari_cyto.store._edit_writer import FORGET, next_numbers
from napari_cyto.store._history_replay import count, put_boxes
from napari_cyto.store._rows import version_values
from napari_cyto.store.database.schema import WHOLE_PROJECT, annotation, change, history, slide, version

_NUMBERS = select(slide.c.id, slide.c.pk)
_THERE = select(annotation.c.id, annotation.c.pk, annotation.c.version_pk).where(
    annotation.c.id.in_(bindparam("ids", expanding=True))
)
_BORN_AGAIN = (
    update(annotation)
    .where(annotation.c.pk == bindparam("of_pk"))
    .values({name: bindparam(f"new_{name}") for name in ("version_pk", "slide_pk", "class_id", "status")})
)


class Bulk:
    """What one transaction changes of a project: its classes, its slides, and annotations added as one step.

    Made by `Project.bulk`. Nothing of it is there for anyone before the transaction ends well.

    Parameters
    ----------
    connection : Connection
        In a transaction that writes.
    folder : Path
        The project's.
    scheme : ClassScheme
        Its classes.
    revision : int
        The number of the last write before this one.

    Attributes
    ----------
    scheme : ClassScheme
        The classes, with those that this transaction brings.
    count : int
        How many annotations were added.
    """

    def __init__(self, connection: Connection, folder: Path, scheme: ClassScheme, revision: int) -> None:
        self._connection, self._folder = connection, folder
        self.scheme, self.revision = scheme, revision
        self.count = 0
        self._step: dict[str, Any] | None = None
        self._pks: dict[str, int] = {}
        self._tally = Counter[tuple[int, str, str]]()
        self._numbers = next_numbers(connection)
        self._any_there = self._numbers.annotation_pk > 1

    def set_scheme(self, scheme: ClassScheme) -> None:
        """Replace the classes, as `Project.set_scheme` does.

        Raises
        ------
        StoreError
            When a class that is in use would be gone.
        """
        write_scheme(self._connection, scheme)
        self.scheme = scheme

    def add_slides(self, records: Iterable[SlideRecord]) -> None:
        """Add slides, as `Project.add_slides` does.

        Raises
        ------
        StoreError
            When one is in the project already.
        """
        slides.write_new(self._connection, records, self._folder)
        self._pks.clear()

    def update_slide(self, record: SlideRecord) -> None:
        """Replace the record of the slide with the same id, as `Project.update_slide` does.

        Raises
        ------
        StoreError
            When the project has no such slide.
        """
        slides.write_changed(self._connection, record, self._folder)

    def interpret(self, said: Mapping[str, Interpretation | None], entered_by: str) -> None:
        """Keep what is said of slides as wholes, as `Project.interpret` does."""
        interpretations.add(self._connection, said, entered_by)

    def add(self, rows: Sequence[Row], label: str, author: str) -> None:
        """Add some annotations to the step ``label`` of the history.

        Parameters
        ----------
        rows : sequence of Row
            As `domain.annotation_rows` has them, each with an id of its own.
        label, author : str
            What the undo menu calls the step, and whose it is; those of the first call hold.

        Raises
        ------
        StaleEditError
            When an annotation is there already.
        StoreError
            When an annotation lies on a slide, or has a class, that the project does not have.
        """
        if not rows:
            return
        if not self._pks:
            self._pks = {row.id: row.pk for row in self._connection.execute(_NUMBERS)}
        if self._step is None:
            self._begin_step(rows[0], label, author)
        self._write(rows, self._found(rows))
        self.count += len(rows)

    def finish(self) -> None:
        """Complete the step; called once, before the transaction ends."""
        step, connection = self._step, self._connection
        if step is None:
            return
        for (slide_pk, class_id, status), n in self._tally.items():
            if class_id != NO_CLASS and class_id not in self.scheme:
                raise StoreError(
                    f"{counted(n, 'annotation')} would have the class {class_id!r}, which is not in the project's "
                    f"class scheme ({', '.join(self.scheme.ids)}); add it to the scheme first, or choose another "
                    "class."
                )
            count(connection, slide_pk, class_id, status, n)
            count(connection, WHOLE_PROJECT, class_id, status, n)
        pks = json.dumps(sorted({slide_pk for slide_pk, _, _ in self._tally}))
        written = update(history).where(history.c.seq == step["seq"])
        connection.execute(written.values(amount=self.count, slide_pks=pks))
        removing.bring_back_touched(connection, pks)

    def _begin_step(self, first: Row, label: str, author: str) -> None:
        # What was undone before a new edit can no longer be redone; the history keeps it.
        self._connection.execute(FORGET, {"by_author": author})
        self._step = {
            "seq": self._numbers.seq,
            "label": label,
            "author": author,
            "at_us": to_us(now_utc()),
            "kind": "edit",
            "target_seq": None,
            "state": "done",
            "amount": 0,
            "slide_pks": "[]",
            "place_slide_pk": self._pk_of(first),
            "place_y": (first[Y0] + first[Y1]) / 2,
            "place_x": (first[X0] + first[X1]) / 2,
        }
        self._connection.execute(insert(history), self._step)

    def _pk_of(self, row: Row) -> int:
        pk = self._pks.get(row[SLIDE])
        if pk is None:
            raise StoreError(f"The project has no slide with the id {row[SLIDE]!r}; add the slide to it first.")
        return pk

    def _found(self, rows: Sequence[Row]) -> dict[str, int]:
        """Return the numbers of those annotations that were there once and were deleted."""
        if not self._any_there:
            return {}
        found: dict[str, int] = {}
        stale = 0
        for there in self._connection.execute(_THERE, {"ids": [row[ID] for row in rows]}):
            stale += there.version_pk is not None
            found[there.id] = there.pk
        if stale:
            raise StaleEditError(
                f"Nothing was added: {counted(stale, 'annotation is', 'annotations are')} already in the project, "
                "perhaps added in another window in the meantime; try again."
            )
        return found

    def _write(self, rows: Sequence[Row], found: dict[str, int]) -> None:
        seq, first_version = self._numbers.seq, self._numbers.version_pk
        versions, births, again, steps = [], [], [], []
        for version_pk, row in enumerate(rows, start=first_version):
            slide_pk, class_id, status = self._pk_of(row), row[CLASS], row[STATUS]
            self._tally[slide_pk, class_id, status] += 1
            versions.append(version_values(version_pk, row, slide_pk))
            pk = found.get(row[ID])
            if pk is None:
                pk = self._numbers.annotation_pk
                self._numbers.annotation_pk += 1
                births.append((pk, row[ID], version_pk, slide_pk, class_id, status))
            else:
                new = {"new_version_pk": version_pk, "new_slide_pk": slide_pk, "new_class_id": class_id}
                again.append({"of_pk": pk, "new_status": status, **new})
            steps.append((seq, pk, None, version_pk))
        self._numbers.version_pk += len(rows)
        _insert(self._connection, version, versions)
        _insert(self._connection, annotation, births)
        if again:
            self._connection.execute(_BORN_AGAIN, again)
        _insert(self._connection, change, steps)
        put_boxes(self._connection, first_version, self._numbers.version_pk)


def _insert(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows, whose values are in the order of the table's columns."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        # Plain tuples: making a mapping of each of a million rows would take longer than storing it.
        placeholders = ", ".join("?" * len(table.c))
        connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({placeholders})", list(rows))
    else:
        names = table.c.keys()
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
