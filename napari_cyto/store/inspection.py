"""Looking into a database file before anything else is done with it: whose tables they are, and whether it is sound."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cyto.errors import DamagedError
from napari_cyto.store import sqlite
from napari_cyto.store.damage import damage_sentence
from napari_cyto.store.database import Database
from napari_cyto.store.schema import SCHEMA_VERSION
from napari_cyto.store.schema_check import refuse_foreign_schema
from napari_cyto.store.soundness import file_problems

# A database of some 8,000 versions of cells, whose every row is looked at in a few hundredths of a second.
CHECKED_AT_ONCE_BYTES = 4 * 2**20


def inspect(path: Path, version: int = SCHEMA_VERSION) -> None:
    """Refuse a database file that is foreign; neither it nor what lies beside it is changed.

    Raises
    ------
    StoreError
        When it is damaged, foreign or cannot be read.
    """
    with _sentences(path):
        connection = sqlite.look_into(path)
        try:
            refuse_foreign_schema(connection, str(path), version)
            _refuse_unsound(path, connection)
        finally:
            connection.close()


def inspect_opened(database: Database) -> None:
    """Refuse a database that was opened for reading and is foreign; it is closed then.

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
                _refuse_unsound(Path(database.place), raw)
    except BaseException:
        database.close()
        raise


def _refuse_unsound(path: Path, connection: sqlite3.Connection) -> None:
    if path.stat().st_size <= CHECKED_AT_ONCE_BYTES:
        found = file_problems(path, connection, thorough=True)
        if found:
            raise DamagedError(damage_sentence(path, found))


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        sentence = sqlite.explain(error, path)
        if sentence is None:
            raise
        raise sentence from error
