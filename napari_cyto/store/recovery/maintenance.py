"""Care for a project that nobody has open: taking and listing backups, going back to one, and looking for damage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.store._slide_rows import absolute_path
from napari_cyto.store.database import sqlite
from napari_cyto.store.database.inspection import inspect
from napari_cyto.store.database.links import address_of
from napari_cyto.store.database.migration import project_header
from napari_cyto.store.database.place import DATABASE_NAME
from napari_cyto.store.database.schema_check import refuse_foreign_schema
from napari_cyto.store.recovery._rescue import Rescued
from napari_cyto.store.recovery._rescue import rescue as rescue_rows
from napari_cyto.store.recovery.backups import Backup, Contents, backups_of, contents_of, take
from napari_cyto.store.recovery.damage_message import ways_out
from napari_cyto.store.recovery.integrity import file_problems
from napari_cyto.store.recovery.restore import Restored, backup_named
from napari_cyto.store.recovery.restore import restore as restore_backup

_TRIES = 3


def database_of(place: Path) -> Path:
    """Return the database file of a project folder, or ``place`` where it is one.

    Raises
    ------
    StoreError
        When ``place`` stands for a database on a server.
    """
    if address_of(place) is not None:
        raise StoreError(
            f"The project {place.name} is on a database server: its backups, checks and restores are done on the "
            "server (pg_dump, pg_basebackup); ask its administrator."
        )
    path = absolute_path(place)
    return path if path.is_file() else path / DATABASE_NAME


def backup(place: Path) -> Backup:
    """Take a verified backup of a project, unless the newest one is of the same state.

    Raises
    ------
    StoreError
        When it is no project, or the backup cannot be written.
    DamagedError
        When the project is damaged.
    """
    path = database_of(place)
    project_header(path)
    if damage := inspect(path):
        raise DamagedError(damage)
    return take(path, "asked")


def backups(place: Path) -> list[Backup]:
    """Return the backups of a project, the newest first.

    Raises
    ------
    StoreError
        When there is neither a project nor a backup of one.
    """
    path = database_of(place)
    found = backups_of(path.parent)
    if not found:
        project_header(path)
    return found


def contents(backup: Backup) -> Contents | None:
    """Return what a backup holds; None where it cannot be read."""
    return contents_of(backup.path)


def restore(place: Path, name: str | None = None) -> Restored:
    """Go back to a backup; what is there now is kept as one first.

    Parameters
    ----------
    place : Path
        The project's folder.
    name : str, optional
        Of the backup's file, or its beginning; the newest sound one without.

    Raises
    ------
    StoreError
        When there is none, or the project is open elsewhere; nothing is changed then.
    """
    path = database_of(place)
    if not backups_of(path.parent):
        project_header(path)
    return restore_backup(path.parent, None if name is None else backup_named(path.parent, name))


def check(place: Path, stop: sqlite.Stop | None = None) -> list[str]:
    """Return what is wrong with a project, as sentences; empty where it is sound.

    Raises
    ------
    StoreError
        When it is no project.
    """
    path = database_of(place)
    try:
        project_header(path)
    except DamagedError as error:
        return [str(error)]
    return problems_in(path, thorough=True, stop=stop)


def problems_in(path: Path, thorough: bool, stop: sqlite.Stop | None = None) -> list[str]:
    """Return what is wrong with a database file, its schema included; it is not changed."""
    found: list[str] = []
    for _ in range(_TRIES):
        before = _look(path)
        found = _problems(path, thorough, stop)
        # Another program may have written into a file that was read without locks.
        if not found or _look(path) == before:
            break
        time.sleep(0.1)
    return found


def _problems(path: Path, thorough: bool, stop: sqlite.Stop | None) -> list[str]:
    try:
        with contextlib.closing(sqlite.look_into(path, stop)) as connection:
            refuse_foreign_schema(connection, str(path))
            return file_problems(path, connection, thorough)
    except DamagedError as error:
        return [str(error)]
    except sqlite.REFUSALS as error:
        if sqlite.is_interrupt(error):
            raise KeyboardInterrupt from error
        return [f"{path.name} cannot be read ({error})"]


def _look(path: Path) -> tuple[int, ...]:
    log = path.with_name(path.name + "-wal")
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, log.exists())


def rescue(place: Path, out: Path, stop: Callable[[], None] = lambda: None) -> Rescued:
    """Write what can be read of a damaged or foreign project into a new one.

    Parameters
    ----------
    place : Path
        The damaged project's folder, or its database file.
    out : Path
        The new project's folder.
    stop : callable
        Asked now and then; what it raises ends the rescue.

    Raises
    ------
    StoreError
        When there is no file, nothing can be read, or the new project cannot be written.
    """
    path = database_of(place)
    if not path.is_file():
        project_header(path)
    return rescue_rows(path, absolute_path(out), stop)


def ways_out_of(place: Path) -> str:
    """Return what can be done about a project that is damaged."""
    return ways_out(database_of(place))
