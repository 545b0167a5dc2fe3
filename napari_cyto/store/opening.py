"""Making project databases and finding them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, inspect

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.annotation_rows import to_us
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.errors import StoreError
from napari_cyto.store import sqlite
from napari_cyto.store.core import scheme_text
from napari_cyto.store.database import Database, create_file, create_tables, open_file, open_to_read, open_url
from napari_cyto.store.migration import prepare
from napari_cyto.store.schema import SCHEMA_VERSION, project

DATABASE_NAME = "project.sqlite"


def is_project(path: Path) -> bool:
    """Whether ``path`` is a project folder or the database file of one."""
    try:
        header = sqlite.read_header(path / DATABASE_NAME if path.is_dir() else path)
    except OSError:
        return False
    return header is not None and header.application_id == sqlite.APPLICATION_ID


def make(folder: Path, scheme: ClassScheme, name: str, url: str | None) -> None:
    """Make the database of a new project, complete or not at all.

    Raises
    ------
    StoreError
        When there is a project already, or the place cannot be written.
    """
    row = {
        "pk": 1,
        "schema_version": SCHEMA_VERSION,
        "name": name or folder.name.removesuffix(".cyto"),
        "scheme": scheme_text(scheme),
        "revision": 0,
        "created_us": to_us(now_utc()),
    }
    if url is not None:
        _make_at(url, row)
        return
    path = folder / DATABASE_NAME
    if path.exists():
        raise StoreError(f"There is a project in {folder} already; open it, or choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The project folder {folder} cannot be made: {error.strerror}; choose another place."
        ) from error
    create_file(path, lambda connection: _fill(connection, row))


def reach(folder: Path, url: str | None, busy_seconds: float) -> tuple[Path, Database]:
    """Return the folder of a project and its database, brought up to date.

    Raises
    ------
    StoreError
        When it is no project, of a newer version or damaged; it is then left untouched.
    """
    if url is not None:
        return folder, open_url(url)
    path = folder if folder.is_file() else folder / DATABASE_NAME
    writable = prepare(path)
    return path.parent, open_file(path, busy_seconds) if writable else open_to_read(path)


def _make_at(url: str, row: dict[str, object]) -> None:
    database = open_url(url)
    try:
        with database.write() as connection:
            if inspect(connection).has_table(project.name):
                raise StoreError(f"There is a project in {database.place} already; open it, or give an empty database.")
            create_tables(connection)
            _fill(connection, row)
    finally:
        database.close()


def _fill(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(project), row)
