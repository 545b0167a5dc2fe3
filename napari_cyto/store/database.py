"""One database, SQLite's or a team's PostgreSQL, with transactions whose failures are sentences."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from napari_cyto.errors import StoreError
from napari_cyto.store import sqlite
from napari_cyto.store.schema import SCHEMA_VERSION, box_metadata, metadata

Explain = Callable[[BaseException | None], StoreError | None]


class Database:
    """Transactions on one database, safe for use from several threads.

    Parameters
    ----------
    engine : Engine
        Where the tables are.
    place : str
        What messages call it.
    explain : callable
        Gives the sentence for an error of the driver, or None for one that is a bug.
    write_options : mapping
        The execution options of transactions that write.
    file : Path, optional
        The file that the database is, if it is one.
    writable : bool
        Whether it can be written; else every change is refused.
    copy : Path, optional
        A folder with the copy that is read instead, gone when the database is closed.
    """

    def __init__(
        self,
        engine: Engine,
        place: str,
        explain: Explain,
        write_options: Mapping[str, Any],
        file: Path | None = None,
        writable: bool = True,
        copy: Path | None = None,
    ) -> None:
        self.writable = writable
        self._copy = copy
        self.engine = engine
        self.place = place
        self._explain = explain
        self._write_options = write_options
        self._file = file
        self._closed = False
        # One writer at a time: threads of one program wait here rather than run into the busy timeout.
        self._writer = threading.RLock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one unchanging state of the database.

        Raises
        ------
        StoreError
            When the database is closed, locked, damaged or out of reach.
        """
        with self._sentences(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes are on the disk when the block ends, or nowhere when it raises.

        Raises
        ------
        StoreError
            When the database is closed, locked, damaged, full, out of reach or for reading only; nothing is changed
            then.
        """
        if not self.writable:
            raise StoreError(
                f"The project in {self.place} cannot be written and was opened for reading only, so nothing can be "
                "stored in it; ask for write permission to its folder and files, or copy it to a place of your own."
            )
        with (
            self._writer,
            self._sentences(),
            self._still_there(),
            self.engine.connect().execution_options(**self._write_options) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _still_there(self) -> Iterator[None]:
        # Systems let a program write on into a file that was deleted, and forget it all when it ends.
        if self._file is not None and not self._file.exists():
            raise StoreError(
                f"The project database {self._file} was moved or deleted while it was open, so nothing of this step "
                "was stored; bring it back, or open the project where it lies now."
            )
        yield

    def close(self) -> None:
        """Close every connection; what is committed stays."""
        self._closed = True
        self.engine.dispose()
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        if self._closed:
            raise StoreError(f"The project in {self.place} is closed; open it again.")
        try:
            yield
        except DBAPIError as error:
            sentence = self._explain(error.orig)
            if sentence is None:
                raise
            raise sentence from error
        except UnicodeEncodeError as error:
            raise StoreError(
                f"The text {error.object!a:.80} is not valid Unicode and was not stored; type it again."
            ) from error


def open_file(path: Path, busy_seconds: float) -> Database:
    """Return the database in the SQLite file ``path``."""
    engine = sqlite.connect(path, busy_seconds)
    return Database(engine, str(path), lambda error: sqlite.explain(error, path), {"writes": True}, path)


def open_to_read(path: Path) -> Database:
    """Return the database in an SQLite file that cannot be written, at its last committed state.

    Raises
    ------
    StoreError
        When it is damaged, or a copy of what was not yet moved into the file cannot be made.
    """
    copy: Path | None = None
    read = path
    log = path.with_name(path.name + "-wal")
    try:
        if log.exists() and log.stat().st_size:
            # SQLite must write to read a write-ahead log; without it the latest changes would be missed.
            copy = Path(tempfile.mkdtemp(prefix="napari-cyto-"))
            for each in (path, log):
                shutil.copyfile(each, copy / each.name)
            read = copy / path.name
    except OSError as error:
        raise StoreError(
            f"The project {path.parent} cannot be written, and no copy of it could be made to read its latest changes: "
            f"{error.strerror or error}."
        ) from error
    engine = sqlite.connect_to_read(read, immutable=copy is None)
    return Database(engine, str(path), lambda error: sqlite.explain(error, path), {}, None, writable=False, copy=copy)


def open_url(url: str) -> Database:
    """Return the database that an SQLAlchemy URL names, such as a team's PostgreSQL."""
    engine = create_engine(url, isolation_level="REPEATABLE READ")
    place = engine.url.render_as_string(hide_password=True)

    def explain(error: BaseException | None) -> StoreError:
        return StoreError(f"The project database {place} refused: {error}; nothing of this step was stored.")

    # Readers see one moment; writers wait for each other at the project's row and then see what the other wrote.
    return Database(engine, place, explain, {"isolation_level": "READ COMMITTED"})


def create_tables(connection: Connection) -> None:
    """Make all tables in an empty database."""
    metadata.create_all(connection)
    if connection.dialect.name == "sqlite":
        sqlite.create_box_index(connection)
        sqlite.stamp(connection, SCHEMA_VERSION)
    else:
        box_metadata.create_all(connection)


def create_file(path: Path, fill: Callable[[Connection], None]) -> None:
    """Make a database file with all tables and what ``fill`` writes; there is all of it or no file.

    Raises
    ------
    StoreError
        When the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.touch()
        database = open_file(temporary, busy_seconds=5.0)
        try:
            with database.write() as connection:
                create_tables(connection)
                fill(connection)
        finally:
            database.close()
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as error:
        raise StoreError(
            f"No project could be made in {path.parent}: {error.strerror}; choose a folder you may write to."
        ) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
