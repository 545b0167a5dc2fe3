"""The slides of a project: their records, and where their pixel files lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, false, func, insert, or_, select, update

from napari_cyto.domain.fingerprints import same_fingerprint, sampled_part
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import StoreError
from napari_cyto.store import _interpretations as interpretations
from napari_cyto.store._removal import removed_ids
from napari_cyto.store._slide_rows import is_there, path_columns, places, record_of, shown_path, slide_columns
from napari_cyto.store.database.connection import Database
from napari_cyto.store.database.schema import slide

_ONE = select(slide).where(slide.c.id == bindparam("of_id"))
_NUMBERS = select(slide.c.pk, slide.c.id).where(slide.c.pk > bindparam("known"))


class SlideNumbers(dict[str, int]):
    """The number of each slide by its id; slides that another window added are looked up when asked for."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self.ids = SlideIds(self)

    def look(self, connection: Connection) -> None:
        """Take in the slides that are not known yet; a slide's number never changes."""
        for pk, slide_id in connection.execute(_NUMBERS, {"known": max(self.ids, default=0)}):
            self.ids[pk] = slide_id
            self[slide_id] = pk

    def __missing__(self, slide_id: str) -> int:
        with self._database.read() as connection:
            self.look(connection)
        pk = self.get(slide_id)
        if pk is None:
            raise StoreError(f"The project has no slide with the id {slide_id!r}; add the slide to it first.")
        return pk


class SlideIds(dict[int, str]):
    """The id of each slide by its number."""

    def __init__(self, numbers: SlideNumbers) -> None:
        super().__init__()
        self._numbers = numbers

    def __missing__(self, pk: int) -> str:
        with self._numbers._database.read() as connection:
            self._numbers.look(connection)
        if pk not in self:
            raise StoreError(f"The project database is damaged: it refers to a slide number {pk} that it lacks.")
        return self[pk]


def read_all(connection: Connection, folder: Path) -> tuple[SlideRecord, ...]:
    """Return the record of every slide that was not taken out, in the order in which they were added."""
    hidden, held = removed_ids(connection), interpretations.read_held(connection)
    rows = connection.execute(select(slide).order_by(slide.c.pk))
    records = (record_of(row, folder) for row in rows if row.id not in hidden)
    return tuple(replace(each, interpretation=held[each.id]) if each.id in held else each for each in records)


def read_one(connection: Connection, slide_id: str, folder: Path) -> SlideRecord:
    """Return the record of a slide.

    Raises
    ------
    StoreError
        When the project has no such slide.
    """
    return _whole(connection, _row(connection, slide_id), folder)


def _whole(connection: Connection, row: Any, folder: Path) -> SlideRecord:
    record = record_of(row, folder)
    said = interpretations.read_one(connection, record.id)
    return record if said is None else replace(record, interpretation=said)


def find(connection: Connection, fingerprint: str, path: str, folder: Path) -> SlideRecord | None:
    """Return the first slide with a fingerprint (of any version), else the first whose pixel file has a path.

    Of several with the fingerprint the one at the path goes first; slides that were taken out are found after others.
    """
    hidden = removed_ids(connection)
    at_path: ColumnElement[bool] = false()
    if path:
        columns = path_columns(path, folder)
        at_path = or_(slide.c.path == columns["path"], slide.c.path_absolute == columns["path_absolute"])
    there = {row.id: row for row in connection.execute(select(slide).where(at_path).order_by(slide.c.pk))}
    if fingerprint:
        sampled = slide.c.fingerprint.startswith(sampled_part(fingerprint), autoescape=True)
        rows = connection.execute(select(slide).where(sampled).order_by(slide.c.pk)).all()
        same = [row for row in rows if same_fingerprint(row.fingerprint, fingerprint)]
        if same:
            return _whole(connection, min(same, key=lambda row: (row.id in hidden, row.id not in there)), folder)
    rows = list(there.values())
    return _whole(connection, min(rows, key=lambda row: row.id in hidden), folder) if rows else None


def write_new(connection: Connection, records: Iterable[SlideRecord], folder: Path) -> None:
    """Add slides.

    Raises
    ------
    StoreError
        When a slide with the same id is there already.
    """
    new = list(records)
    if not new:
        return
    ids = {record.id for record in new}
    double = [row.name for row in connection.execute(select(slide.c.name, slide.c.id)) if row.id in ids]
    if double or len(ids) < len(new):
        name = double[0] if double else new[0].name
        raise StoreError(f"No slide was added: {name!r} is already in the project; add each slide once.")
    pk = connection.execute(select(func.coalesce(func.max(slide.c.pk), 0) + 1)).scalar_one()
    rows = [{"pk": pk + i} | slide_columns(record) | path_columns(record.path, folder) for i, record in enumerate(new)]
    connection.execute(insert(slide), rows)
    for record in new:
        if record.interpretation is not None:
            interpretations.add(connection, {record.id: record.interpretation}, record.interpretation.by)


def write_changed(connection: Connection, record: SlideRecord, folder: Path) -> None:
    """Replace the record of the slide with the same id, but for its interpretation, which has a history of its own.

    Raises
    ------
    StoreError
        When the project has no such slide.
    """
    row = _row(connection, record.id)
    columns: dict[str, Any] = slide_columns(record)
    # A record that only passed through keeps both ways to its file, also where just the second one works.
    if record.path != shown_path(row.path, row.path_absolute, folder):
        columns |= path_columns(record.path, folder)
    connection.execute(update(slide).where(slide.c.pk == row.pk).values(columns))


def locate(connection: Connection, record: SlideRecord, folder: Path) -> Path:
    """Return where the pixel file of a slide lies now.

    Raises
    ------
    StoreError
        When the slide has none, or it is at none of the places where it was; the sentence names them.
    """
    if not record.path:
        raise StoreError(
            f"The slide {record.name!r} has labels only and no image file; attach one "
            "in the Slides dock, or with 'napari-cyto relink'."
        )
    tried = [Path(record.path)]
    row = connection.execute(_ONE, {"of_id": record.id}).first()
    if row is not None:
        known = places(row.path, row.path_absolute, folder)
        tried += known if tried[0] in known else []
    for place in tried:
        if is_there(place):
            return place
    raise StoreError(
        f"The image file of slide {record.name!r} is missing: {record.path} is not there; restore it, or tell the "
        "project where it is now (in the Slides dock, or with 'napari-cyto relink')."
    )


def _row(connection: Connection, slide_id: str) -> Any:
    row = connection.execute(_ONE, {"of_id": slide_id}).first()
    if row is None:
        raise StoreError(f"The project has no slide with the id {slide_id!r}; add the slide to it first.")
    return row
