"""All that is particular to SQLite: its file header, pragmas, R*Tree, backup, and what its errors mean."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.store.database._file_watch import Watch
from napari_cyto.store.database.raw_read import reading
from napari_cyto.store.database.stamp import create_stamp
from napari_cyto.store.recovery.damage_message import damage_sentence

APPLICATION_ID = 0x4379746F  # "Cyto"
_MAGIC = b"SQLite format 3\x00"
_PAGE_CACHE_KIB = 32_768
_BULK_CACHE_KIB = 131_072
_WAL_LIMIT_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 100 bytes of a database file say; reading them touches nothing."""

    application_id: int
    schema_version: int


def read_header(path: Path) -> Header | None:
    """Return the header of the SQLite file ``path``, or None when it is no such file.

    Source: SQLite, "Database File Format", section 1.3: user version at byte 60, application id at byte 68.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    with reading(path) as read:
        head = read(0, 100)
    if len(head) < 100 or not head.startswith(_MAGIC):
        return None
    return Header(*reversed(struct.unpack_from(">I4xI", head, 60)))


# What asking a damaged database may raise: Python cannot even decode what SQLite says of some.
REFUSALS = (sqlite3.Error, UnicodeDecodeError)
# No row of ours comes near it: an outline of four million corners. A stranger's text of a gigabyte is refused unread.
LONGEST_VALUE_BYTES = 64 * 2**20
# Of SQLite's virtual machine: some hundredths of a second, so that a wish to stop is heard soon at no cost.
_STEPS_BETWEEN_LOOKS = 400_000


class Stop:
    """Whether the work of some connections shall be given up; nobody asks for it at first."""

    def __init__(self) -> None:
        self._is_stopped: Callable[[], bool] | None = None

    def when(self, is_stopped: Callable[[], bool] | None) -> None:
        """Give up as soon as ``is_stopped`` says so; never with None."""
        self._is_stopped = is_stopped

    def __call__(self) -> bool:
        """Whether to give up."""
        return self._is_stopped is not None and self._is_stopped()


def harden(connection: sqlite3.Connection, stop: Stop | None = None) -> None:
    """Have a connection trust nothing in its file, and give up its work when ``stop`` says so.

    Source: SQLite, "Defense Against The Dark Arts", section 1.
    """
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE_BYTES)
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}").close()
    # From Python 3.12 on.
    configure = getattr(connection, "setconfig", None)
    if configure is not None:
        configure(vars(sqlite3)["SQLITE_DBCONFIG_DEFENSIVE"], True)
    # Set in any case: it is where Python hears of Ctrl-C while a statement runs.
    connection.set_progress_handler(stop or Stop(), _STEPS_BETWEEN_LOOKS)


def look_into(path: Path, stop: Stop | None = None) -> sqlite3.Connection:
    """Return a connection that reads a database file and changes neither it nor what lies beside it.

    The write-ahead log is read where there is one; without one the file is read alone and without locks.
    """
    log = path.with_name(path.name + "-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    uri = f"{path.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    try:
        harden(connection, stop)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(watch: Watch, busy_seconds: float = 5.0, stop: Stop | None = None) -> Engine:
    """Return an engine on the existing database file that ``watch`` looks after, safe for use from several threads.

    Every commit is on the disk when it returns (WAL, ``synchronous=FULL``). Writers say so before they read
    (``BEGIN IMMEDIATE``), since SQLite refuses a transaction that decides to write after another one has.
    """
    uri = f"{watch.path.absolute().as_uri()}?mode=rw"

    def connection() -> sqlite3.Connection:
        return watch.connect(uri, busy_seconds)

    def prepare(made: sqlite3.Connection, record: object) -> None:
        harden(made, stop)
        _set_pragmas(made, record)
        watch.begin()

    # Last in, first out: the connection that comes back first still has the pages that are asked for most.
    engine = create_engine(
        "sqlite://", creator=connection, poolclass=QueuePool, pool_size=4, max_overflow=-1, pool_use_lifo=True
    )
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


def new_file(fill: Callable[[Connection], None]) -> bytes:
    """Return the bytes of a new database file with what ``fill`` makes in it, for writing through a log.

    Made in memory: what is then written to the disk is written in one piece, or not at all.

    Source: SQLite, "Database File Format", section 1.3.3: 2 at bytes 18 and 19 means a write-ahead log.
    """
    memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    engine = create_engine("sqlite://", creator=lambda: memory, poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            create_stamp(connection)
            fill(connection)
        content = bytearray(memory.serialize())
    finally:
        engine.dispose()
        memory.close()
    content[18:20] = b"\x02\x02"
    return bytes(content)


def connect_to_read(path: Path, immutable: bool, stop: Stop | None = None) -> Engine:
    """Return an engine that only reads the database file ``path``.

    Parameters
    ----------
    path : Path
        The file.
    immutable : bool
        Whether the file stands alone: it is read without locks, and nothing is written beside it.
    stop : callable
        Says whether a statement shall give up.
    """
    uri = f"{path.absolute().as_uri()}?{'mode=ro&immutable=1' if immutable else 'mode=rw'}"

    def connection() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)

    engine = create_engine("sqlite://", creator=connection, poolclass=QueuePool, pool_size=4, max_overflow=-1)
    event.listen(engine, "connect", lambda made, _record: harden(made, stop))
    event.listen(engine, "connect", _set_reading_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_reading_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("query_only=ON", f"cache_size=-{_PAGE_CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"cache_size=-{_PAGE_CACHE_KIB}",
        f"journal_size_limit={_WAL_LIMIT_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def roomy(connection: Connection) -> Iterator[None]:
    """Hold more of the database in memory within the block: the indexes of a million rows are written all over."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql(f"PRAGMA cache_size=-{_BULK_CACHE_KIB}")
    try:
        yield
    finally:
        with suppress(DBAPIError):  # of a connection that failed, the error before is the one to tell
            connection.exec_driver_sql(f"PRAGMA cache_size=-{_PAGE_CACHE_KIB}")


def create_box_index(connection: Connection) -> None:
    """Make the table ``box`` an R*Tree.

    Its numbers are float32, rounded outward, so it may answer with a neighbour too many but never with one too
    few; who asks it checks the exact bounds afterwards.
    """
    connection.exec_driver_sql("CREATE VIRTUAL TABLE box USING rtree(pk, s0, s1, y0, y1, x0, x1)")


def stamp(connection: Connection, schema_version: int) -> None:
    """Write into the file's header that it is a project, and of which version."""
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version={schema_version}")


def settle_file(engine: Engine) -> None:
    """Move everything from the write-ahead log into the database file, its header included."""
    with engine.connect() as connection:
        connection.connection.dbapi_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()  # type: ignore[union-attr]


def backup(source: Path, target: Path) -> None:
    """Copy a database, its write-ahead log included, to ``target`` and to the disk."""
    temporary = target.with_name(target.name + ".part")
    temporary.unlink(missing_ok=True)
    old = sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)
    new = sqlite3.connect(temporary)
    try:
        old.backup(new)
        said = new.execute("PRAGMA quick_check(1)").fetchone()
        if said != ("ok",):
            raise sqlite3.DatabaseError(f"the copy is not sound ({said[0]})")
    finally:
        new.close()
        old.close()
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(target)


def explain(error: BaseException | None, path: Path) -> StoreError | None:
    """Return the sentence for an error of SQLite that a user can act on; None for one that is a bug."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(_MAYBE_FULL) and _has_no_room(path.parent):
        name = "SQLITE_FULL"
    for start, sentence in _SENTENCES:
        if name.startswith(start):
            if sentence is _DAMAGED:
                return DamagedError(damage_sentence(path))
            return StoreError(sentence.format(path=path))
    if isinstance(error, UnicodeDecodeError):
        return DamagedError(damage_sentence(path))
    if isinstance(error, sqlite3.DatabaseError) and any(words in str(error) for words in _DAMAGED_WORDS):
        return DamagedError(damage_sentence(path))
    return None


def _has_no_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _LEAST_ROOM_BYTES
    except OSError:
        return False


def is_interrupt(error: BaseException | None) -> bool:
    """Whether a statement was given up because somebody asked for it."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT"


# SQLite says "full" of the database and its log only, not of the index that it keeps beside them.
_MAYBE_FULL = ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL")
_LEAST_ROOM_BYTES = 128 * 2**10
_DAMAGED = "damaged"
# What SQLite says of a damaged schema, and Python of text that is none; neither comes with a name of its own.
_DAMAGED_WORDS = ("malformed", "Could not decode to UTF-8", "unsupported file format")
_SENTENCES: tuple[tuple[str, str], ...] = (
    (
        "SQLITE_BUSY",
        "The project database {path} is being written by another program, which did not finish in time; nothing was "
        "changed: try again, or close the other window.",
    ),
    (
        "SQLITE_LOCKED",
        "The project database {path} is being written by another part of this program; nothing was changed: try again.",
    ),
    (
        "SQLITE_FULL",
        "The disk that holds {path} is full; nothing of this step was stored and all earlier work is safe: free "
        "some space and try again.",
    ),
    (
        "SQLITE_READONLY",
        "The project database {path} cannot be written; ask for write permission to it and its folder, or copy the "
        "project to a place of your own.",
    ),
    (
        "SQLITE_CANTOPEN",
        "The project database {path} cannot be opened for writing; check that it is still there and that you may "
        "write to its folder.",
    ),
    (
        "SQLITE_PERM",
        "The project database {path} cannot be opened: permission is missing; ask for it, or copy the project.",
    ),
    ("SQLITE_CORRUPT", _DAMAGED),
    ("SQLITE_NOTADB", _DAMAGED),
    ("SQLITE_FORMAT", _DAMAGED),
    # What this program writes breaks none of its own rules, unless other rows do.
    ("SQLITE_CONSTRAINT", _DAMAGED),
    (
        "SQLITE_TOOBIG",
        "A value is longer than the {path} may hold or than napari-cyto ever stores (64 MiB); nothing of this step "
        "was stored: shorten it. If it was read from the project, the project is damaged or foreign.",
    ),
    (
        "SQLITE_IOERR",
        "The disk that holds {path} refused to read or write (it may be full or unplugged); nothing of this step "
        "was stored and all earlier work is safe: check the disk and try again.",
    ),
)
