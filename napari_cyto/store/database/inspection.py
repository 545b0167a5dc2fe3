"""Looking into a database file before anything else is done with it: whose tables they are, and whether it is sound."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cyto.store.database import sqlite
from napari_cyto.store.database.connection import Database
from napari_cyto.store.database.schema import SCHEMA_VERSION
from napari_cyto.store.database.schema_check import refuse_foreign_schema
from napari_cyto.store.recovery.damage_message import damage_sentence
from napari_cyto.store.recovery.integrity import file_problems

# A database of some 8,000 versions of cells, whose every row is looked at in a few hundredths of a second.
CHECKED_AT_ONCE_BYTES = 4 * 2**20
_TRIES = 3


def is_small(path: Path) -> bool:
    """Whether a database file is looked through at once, and not in the background."""
    return path.stat().st_size <= CHECKED_AT_ONCE_BYTES


def inspect(path: Path, version: int = SCHEMA_VERSION) -> str:
    """Look into a database file; neither it nor what lies beside it is changed.

    Returns
    -------
    str
        The sentence about its damage, when it is small enough to be looked through at once; empty where there is none.

    Raises
    ------
    StoreError
        When it is foreign or cannot be read at all.
    """
    damage = ""
    for _ in range(_TRIES):
        before = _look(path)
        damage = _inspect(path, version)
        # Another program may have written into a file that was read without locks.
        if not damage or _look(path) == before:
            break
    return damage


def _look(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, path.with_name(path.name + "-wal").exists())


def _inspect(path: Path, version: int) -> str:
    with _sentences(path):
        connection = sqlite.look_into(path)
        try:
            refuse_foreign_schema(connection, str(path), version)
            return _damage(path, connection)
        finally:
            connection.close()


def inspect_opened(database: Database) -> str:
    """Look into a database that was opened for reading; it is closed where it is foreign.

    Returns
    -------
    str
        As `inspect` returns it.

    Raises
    ------
    StoreError
        When it is damaged, foreign or cannot be read.
    """
    try:
        with database.read() as connection:
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, sqlite3.Connection)
            with _sentences(Path(database.place)):
                refuse_foreign_schema(raw, database.place)
                return _damage(Path(database.place), raw)
    except BaseException:
        database.close()
        raise


def _damage(path: Path, connection: sqlite3.Connection) -> str:
    found = file_problems(path, connection, thorough=True) if is_small(path) else []
    return damage_sentence(path, found) if found else ""


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite.REFUSALS as error:
        sentence = sqlite.explain(error, path)
        if sentence is None:
            raise
        raise sentence from error
