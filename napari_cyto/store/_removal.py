"""Slides that were taken out of a project.

Their rows stay: the history may speak of them, and a number that was a slide's once must never mean another. They are
on a list of those that are not shown, and any step that puts marks on one of them, such as an undo, takes it off again.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from napari_cyto.domain.counts import counted
from napari_cyto.errors import StoreError
from napari_cyto.store._settings import read_setting, write_setting
from napari_cyto.store._validity import json_of, need
from napari_cyto.store.database.schema import slide, tally

_KEPT_AS = "slides.removed"


def removed_ids(connection: Connection) -> frozenset[str]:
    """Return the ids of the slides that were taken out."""
    ids = read_setting(connection, _KEPT_AS, [])
    need(all(isinstance(each, str) for each in ids), "setting", _KEPT_AS, "value", ids, "a list of slide ids")
    return frozenset(ids)


def take_out(connection: Connection, slide_id: str) -> None:
    """Show a slide no more.

    Raises
    ------
    StoreError
        When the project has no such slide, or it has marks.
    """
    row = connection.execute(select(slide.c.pk, slide.c.name).where(slide.c.id == slide_id)).first()
    if row is None:
        raise StoreError(f"The project has no slide with the id {slide_id!r} to remove.")
    count = connection.execute(
        select(func.coalesce(func.sum(tally.c.n), 0)).where(tally.c.slide_pk == row.pk)
    ).scalar_one()
    if count:
        raise StoreError(
            f"The slide {row.name!r} was not removed from the project: it has {counted(count, 'annotation')}; export "
            "them if you need them, then delete them first."
        )
    write_setting(connection, _KEPT_AS, sorted(removed_ids(connection) | {slide_id}))


def bring_back(connection: Connection, slide_ids: Collection[str]) -> None:
    """Show these slides again, where they were taken out."""
    before = removed_ids(connection)
    if before & set(slide_ids):
        write_setting(connection, _KEPT_AS, sorted(before - set(slide_ids)))


def bring_back_touched(connection: Connection, slide_pks: str) -> None:
    """Show the slides again that a step of the history changed; ``slide_pks`` as the step stores them."""
    if removed_ids(connection):
        touched = select(slide.c.id).where(slide.c.pk.in_(json_of(slide_pks, "history", "?", "slide_pks")))
        bring_back(connection, connection.execute(touched).scalars().all())
