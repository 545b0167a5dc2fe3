"""One database, SQLite's or a team's PostgreSQL, with transactions whose failures are sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from napari_cyto.errors import DamagedError, JobCancelled, StoreError
from napari_cyto.store._validity import RowFault
from napari_cyto.store.database import _postgresql as postgresql
from napari_cyto.store.database import sqlite
from napari_cyto.store.database._file_watch import Watch
from napari_cyto.store.database._postgresql import CommitWitness
from napari_cyto.store.database.place import refusal
from napari_cyto.store.database.schema import SCHEMA_VERSION, box_metadata, metadata
from napari_cyto.store.recovery import checked_files as check_results
from napari_cyto.store.recovery.background_check import FileCheck
from napari_cyto.store.recovery.damage_message import damage_sentence, ways_out

Explain = Callable[[BaseException | None], StoreError | None]
LOOKING_THROUGH = (
    "The project's file is being checked for damage before the first change is stored; this takes a few seconds."
)
_CANCELLED = "Cancelled. Nothing of this step was stored."


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
    watch : Watch, optional
        Looks after the file that the database is, if it is one that can be written.
    writable : bool
        Whether it can be written; else every change is refused.
    stop : Stop, optional
        What the engine's connections ask whether they shall give up.
    witness : CommitWitness, optional
        Finds out whether a commit arrived whose answer did not come.
    """

    def __init__(
        self,
        engine: Engine,
        place: str,
        explain: Explain,
        write_options: Mapping[str, Any],
        watch: Watch | None = None,
        writable: bool = True,
        stop: sqlite.Stop | None = None,
        witness: CommitWitness | None = None,
    ) -> None:
        self._witness = witness
        self.writable = writable
        self.stop = stop or sqlite.Stop()
        self._damage = ""
        self._check: FileCheck | None = None
        self.waiting: Callable[[str], None] | None = None
        """Told a sentence when a change waits noticeably for the look through a large file."""
        self.engine = engine
        self.place = place
        self.explain = explain
        self._write_options = write_options
        self._watch = watch
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
        self._require_sound_pages()
        if not self.writable:
            raise StoreError(
                f"The project in {self.place} cannot be written and was opened for reading only, so nothing can be "
                "stored in it; ask for write permission to its folder and files, or copy it to a place of your own."
            )
        with self._writer, self._sentences():
            if self._watch is not None:
                self._watch.check_place()
            with (
                self.engine.connect().execution_options(**self._write_options) as connection,
                self._committed(connection),
            ):
                if self._watch is not None:
                    self._watch.check(connection)
                yield connection
            if self._watch is not None:
                self._watch.settle()

    @property
    def damage(self) -> str:
        """The sentence about the damage that was found; empty while none was."""
        return self._damage or ("" if self._check is None else self._check.sentence)

    @property
    def is_looked_through(self) -> bool:
        """Whether the look for damage in the background is not over; a change would wait for it."""
        return self._check is not None and self._check.is_at_work

    def open_though(self, damage: str) -> None:
        """Have every change refused by the sentence about the damage."""
        self._damage, self.writable = damage, False

    def check_in_background(self, path: Path) -> None:
        """Look for damage in a thread, unless the file was found sound within a day and did not change since.

        No change is made before its pages were looked through; when more is found later, none is from then on.
        """
        if not check_results.is_known_sound(path):
            self._check = FileCheck(self.engine, path, self.open_though)

    def require_sound(self) -> None:
        """Refuse when the database is damaged; waits until that is known.

        Raises
        ------
        DamagedError
            When it is.
        """
        if self._damage:
            raise DamagedError(self._damage)
        if self._check is not None:
            self._check.require_sound()

    def _require_sound_pages(self) -> None:
        if self._damage:
            raise DamagedError(self._damage)
        if self._check is not None:
            self._check.require_sound_pages(self._say_that_it_waits)

    def _say_that_it_waits(self) -> None:
        if self.waiting is not None:
            self.waiting(LOOKING_THROUGH)

    @property
    def path(self) -> Path | None:
        """The file that is watched; None for what is only read, and for a server."""
        return None if self._watch is None else self._watch.path

    @contextmanager
    def _committed(self, connection: Connection) -> Iterator[None]:
        """Commit at the end of the block; over a network, make sure of it where no answer comes."""
        if self._witness is None:
            with connection.begin():
                yield
            return
        transaction = connection.begin()
        try:
            number = self._witness.begin(connection)
            yield
        except BaseException:
            # What was cut cannot be rolled back, and need not be.
            with suppress(DBAPIError):
                transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self._witness.look_up(number)

    def check_place(self) -> None:
        """Refuse when the file that was opened is no longer the one on its path.

        Raises
        ------
        ReplacedFileError
            When it was replaced, moved, deleted, or written over in place.
        """
        if self._watch is not None and not self._closed:
            with self._sentences():
                self._watch.check_quietly()

    @property
    def is_elsewhere(self) -> bool:
        """Whether the file that was opened still is somewhere, complete, though not on its path."""
        return self._watch is None or self._watch.is_elsewhere()

    def close(self) -> None:
        """Close every connection; what is committed stays."""
        if self._closed:
            return
        if self._check is not None:
            self._check.stop()
        self._closed = True
        if self._watch is None:
            self.engine.dispose()
        else:
            self._watch.close(self.engine)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        if self._closed:
            raise StoreError(f"The project in {self.place} is closed; open it again.")
        try:
            yield
        except DBAPIError as error:
            if sqlite.is_interrupt(error.orig):
                # Python swallows the KeyboardInterrupt of Ctrl-C inside SQLite, which then only says "interrupted".
                raise JobCancelled(_CANCELLED) if self.stop() else KeyboardInterrupt from error
            if self._watch is not None:
                # What SQLite stumbles over in a file that somebody replaced is no fault of the disk.
                self._watch.check_quietly()
            sentence = self.explain(error.orig)
            if sentence is None:
                raise
            raise sentence from error
        except RowFault as fault:
            raise DamagedError(
                f"The project database {self.place} is damaged or foreign: {fault.words}; it was left as it is. "
                f"{ways_out(Path(self.place))}"
            ) from fault
        except UnicodeDecodeError as error:
            raise DamagedError(damage_sentence(Path(self.place))) from error
        except UnicodeEncodeError as error:
            raise StoreError(
                f"The text {error.object!a:.80} is not valid Unicode and was not stored; type it again."
            ) from error


def open_file(path: Path, busy_seconds: float, called: Path | None = None) -> Database:
    """Return the database in the SQLite file ``path``, which sentences call ``called``.

    Raises
    ------
    StoreError
        When it cannot be opened.
    """
    shown = called or path
    try:
        watch = Watch(path)
    except OSError as error:
        raise refusal(error, f"The project database {shown} cannot be opened", shown) from error
    stop = sqlite.Stop()
    engine = sqlite.connect(watch, busy_seconds, stop)
    explain = partial(sqlite.explain, path=shown)
    return Database(engine, str(shown), explain, {"writes": True}, watch, stop=stop)


def open_url(url: str, busy_seconds: float = 5.0) -> Database:
    """Return the database at a URL of PostgreSQL, a team's.

    Raises
    ------
    StoreError
        When it is no such URL, or the driver is not installed.
    """
    address = postgresql.parsed(url)
    engine, place = postgresql.connect(address, busy_seconds), postgresql.shown(address)
    # Readers see one moment; writers wait for each other at the project's row and then see what the other wrote.
    return Database(
        engine,
        place,
        lambda error: postgresql.explain(error, place),
        {"isolation_level": "READ COMMITTED"},
        witness=CommitWitness(engine, place),
    )


def create_tables(connection: Connection) -> None:
    """Make all tables in an empty database."""
    metadata.create_all(connection)
    if connection.dialect.name == "sqlite":
        sqlite.create_box_index(connection)
        sqlite.stamp(connection, SCHEMA_VERSION)
    else:
        box_metadata.create_all(connection)
