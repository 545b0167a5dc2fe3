"""Opening projects that another version of the product wrote: newer ones refuse, older ones are brought up to date."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.store.database import sqlite
from napari_cyto.store.database._stale_logs import check_logs
from napari_cyto.store.database.connection import open_file
from napari_cyto.store.database.inspection import inspect
from napari_cyto.store.database.log_owner import beside
from napari_cyto.store.database.schema import READABLE_VERSIONS, SCHEMA_VERSION, project
from napari_cyto.store.recovery.damage_message import ways_out

_MADE_SECONDS = 0.3
Migration = Callable[[Connection], None]

# What brings a database of the given version to the next one. A released schema never changes: a new version adds a
# step here and a golden database of the version before it to the tests.
MIGRATIONS: Mapping[int, Migration] = {1: lambda _connection: None}


def prepare(path: Path, current: int = SCHEMA_VERSION, migrations: Mapping[int, Migration] = MIGRATIONS) -> bool:
    """Make sure that ``path`` is a project database of this version, bringing an older one up to date.

    Only the file's first bytes are read until it is certain that the project is ours to write.

    Returns
    -------
    bool
        Whether it can be written; what cannot is opened for reading only.

    Raises
    ------
    StoreError
        When there is none, it is no project, damaged, of a newer version, or of an older one that cannot be written;
        it is then left exactly as it was.
    """
    header = project_header(path)
    if header.schema_version > current:
        raise StoreError(
            f"The project {path.parent} was written by a newer napari-cyto (project version {header.schema_version}, "
            f"this one knows up to {current}) and was left untouched; update napari-cyto to open it."
        )
    writable = all(os.access(each, os.W_OK) for each in (path.parent, path, *_brothers(path)))
    check_logs(path, writable)
    if header.schema_version < current and _can_stay(path, header.schema_version, current, writable):
        return writable
    if header.schema_version < current and not writable:
        raise StoreError(
            f"The project {path.parent} has the older version {header.schema_version} and cannot be written, so it "
            "cannot be brought up to date; copy it to a place of your own and open it there."
        )
    if header.schema_version < current:
        _migrate(path, header.schema_version, current, migrations)
    return writable


def _can_stay(path: Path, old: int, current: int, writable: bool) -> bool:
    """Whether an older project is left as it is: one that can only be read, or is damaged and opened for reading only.

    Raises
    ------
    StoreError
        When it is foreign or cannot be read at all.
    """
    damage = inspect(path, old)
    if current != SCHEMA_VERSION or old not in READABLE_VERSIONS:
        if damage:
            raise DamagedError(damage)
        return False
    return bool(damage) or not writable


def _brothers(path: Path) -> list[Path]:
    """SQLite's own files beside ``path`` that are there: a colleague's may not be ours to write."""
    return [file for suffix in ("-wal", "-shm") if (file := beside(path, suffix)).exists()]


def project_header(path: Path) -> sqlite.Header:
    """Return what the first bytes of a project's database say.

    Raises
    ------
    StoreError
        When there is none, or it is no project's.
    DamagedError
        When it does not begin as an SQLite file.
    """
    try:
        header = _header_once_made(path)
        size = path.stat().st_size
    except FileNotFoundError:
        where = f"it has no {path.name}" if path.parent.is_dir() else "there is no such folder"
        raise StoreError(
            f"{path.parent} is not a napari-cyto project: {where}; choose a project folder (NAME.cyto), or create a "
            f"new one.{_backup_there(path)}"
        ) from None
    except OSError as error:
        raise StoreError(
            f"The project {path.parent} cannot be read: {error.strerror or error}; ask for permission to it and to "
            "the files in it, or check its disk."
        ) from error
    if header is None:
        raise DamagedError(
            f"The project database {path} ({size} bytes) is damaged: it does not begin as an SQLite file should; it "
            f"was left as it is. {ways_out(path)}"
        )
    if header.application_id != sqlite.APPLICATION_ID:
        raise StoreError(
            f"{path} is a database of another program, not a napari-cyto project; it was left untouched: choose a "
            "project folder (NAME.cyto)."
        )
    return header


def _backup_there(path: Path) -> str:
    named = ways_out(path)
    return "" if named.startswith("There is no backup") else f" {named}"


def _header_once_made(path: Path) -> sqlite.Header | None:
    """Read the header; where names are taken before they are filled, a new project is empty for a moment."""
    until = time.monotonic() + _MADE_SECONDS
    while path.stat().st_size == 0 and time.monotonic() < until:
        time.sleep(_MADE_SECONDS / 10)
    return sqlite.read_header(path)


def _migrate(path: Path, old: int, current: int, migrations: Mapping[int, Migration]) -> None:
    if not all(version in migrations for version in range(old, current)):
        raise StoreError(
            f"The project {path.parent} has the version {old}, which this napari-cyto (version {current}) cannot "
            "bring up to date; it was left untouched: open it once with a version in between."
        )
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    try:
        sqlite.backup(path, path.with_name(f"{path.stem}-version{old}-{moment}.sqlite"))
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"The project {path.parent} of version {old} was not brought up to date and left untouched, because no "
            f"backup of it could be written: {error}."
        ) from error
    database = open_file(path, busy_seconds=5.0)
    try:
        with database.write() as connection:
            for version in range(old, current):
                migrations[version](connection)
            connection.execute(project.update().values(schema_version=current))
            sqlite.stamp(connection, current)
        sqlite.settle_file(database.engine)
    finally:
        database.close()
