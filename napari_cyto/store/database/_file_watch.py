"""Whether an open database file is still the one on its path, unchanged by anybody but SQLite."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from sqlalchemy import Connection, Engine

from napari_cyto.errors import ReplacedFileError
from napari_cyto.store.database._close_guard import Bar
from napari_cyto.store.database.log_owner import Belongs, beside, set_aside, standing, standing_of
from napari_cyto.store.database.raw_read import FileId, Held, file_id_of
from napari_cyto.store.database.stamp import Stamp, read_stamp, renew_stamp

_BROTHERS = ("-wal", "-shm")
_Look = tuple[int, ...]


class WatchedConnection(sqlite3.Connection):
    """A connection that can be counted while it is there."""


class Watch:
    """Looks after one open database file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    OSError
        When it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = Held(path)
        self._brothers: dict[str, FileId] = {}
        self._looks: tuple[_Look, ...] = ()
        self._oldest = -1
        self._connections: WeakSet[WatchedConnection] = WeakSet()
        self.lost: ReplacedFileError | None = None
        self._bar: Bar | None = None
        self._put_aside = False

    # Connections

    def connect(self, uri: str, busy_seconds: float) -> sqlite3.Connection:
        """Open one more connection to the file that is watched, and to no other.

        Raises
        ------
        ReplacedFileError
            When another file, or none, lies on the path.
        """
        self.check_place()
        made = sqlite3.connect(
            uri,
            uri=True,
            timeout=busy_seconds,
            check_same_thread=False,
            isolation_level=None,
            factory=WatchedConnection,
        )
        try:
            # Nothing was read yet, so that a wrong one is closed without a trace.
            self.check_place()
        except BaseException:
            made.close()
            raise
        if not self._connections:
            self._brothers = {}
        self._connections.add(made)
        return made

    def begin(self) -> None:
        """Take note of the file, and of SQLite's own beside it, which are there as long as a connection is."""
        if not self._brothers:
            there = {suffix: beside(self.path, suffix) for suffix in _BROTHERS}
            self._brothers = {suffix: file_id_of(file.stat()) for suffix, file in there.items() if file.exists()}
            self._is_older(standing_of(self._held.read, self.path).in_file)
            self._looks = self._look()

    # Checks

    def check_place(self) -> None:
        """Refuse when another file, or none, lies on the path.

        Raises
        ------
        ReplacedFileError
            The sentence says which.
        """
        if self.lost is not None:
            raise self.lost
        try:
            there = file_id_of(self.path.stat())
        except (FileNotFoundError, NotADirectoryError):
            raise ReplacedFileError(
                f"The project database {self.path} was moved or deleted while it was open, so this step was not "
                "stored; restore it, or open the project where it is now."
            ) from None
        except OSError as error:
            raise ReplacedFileError(
                f"The project database {self.path} is out of reach ({error.strerror}), so nothing of this step was "
                "stored; check its disk or network share, and try again."
            ) from error
        if there != self._held.file_id:
            raise self._replaced("another file was put in its place")
        # They come with the first connection, and go with the last.
        brothers = self._brothers if self._connections else {}
        for suffix, file_id in brothers.items():
            try:
                same = file_id_of(beside(self.path, suffix).stat()) == file_id
            except FileNotFoundError:
                same = False
            if not same:
                raise self._replaced(f"its {self.path.name}{suffix} was replaced or deleted")

    def check(self, connection: Connection) -> None:
        """Refuse when the file is not the one that was opened, else give the database a new stamp.

        Parameters
        ----------
        connection : Connection
            In a transaction that writes, so that nobody else does.

        Raises
        ------
        ReplacedFileError
            When it was replaced, moved, deleted, or written over in place; nothing of the transaction must stay then.
        """
        self.check_place()
        seen = read_stamp(connection)
        looks = self._look()
        if looks != self._looks:
            self._check_content(seen)
            self._looks = looks
        renew_stamp(connection, seen)

    def check_quietly(self) -> None:
        """Refuse as `check` does, outside a transaction: what other programs write may have just begun to count.

        Raises
        ------
        ReplacedFileError
            When it was replaced, moved, deleted, or written over in place.
        """
        self.check_place()
        looks = self._look()
        # A log that grows is looked at before the next write, and need not be each second.
        if not self._looks or looks[0] != self._looks[0]:
            self._check_log()
            self._looks = (looks[0], *self._looks[1:])

    def settle(self) -> None:
        """Take note of what the file looks like after a write of ours.

        Raises
        ------
        ReplacedFileError
            When it was replaced while the write was going on, which is gone with it.
        """
        self.check_place()
        looks = self._look()
        if looks[0] != self._looks[0]:
            self._check_log()
        self._looks = looks

    def _check_log(self) -> None:
        now = standing_of(self._held.read, self.path)
        if now.log is Belongs.FOREIGN or self._is_older(now.in_file):
            raise self._written_over()

    def _check_content(self, seen: Stamp | None) -> None:
        now = standing_of(self._held.read, self.path)
        if now.log in (Belongs.FOREIGN, Belongs.UNKNOWN) or now.latest != seen or self._is_older(now.in_file):
            raise self._written_over()

    def _is_older(self, in_file: Stamp | None) -> bool:
        """Whether the file alone holds an older state than it once did, which SQLite never does to it."""
        counter = -1 if in_file is None else in_file.counter
        if counter < self._oldest:
            return True
        self._oldest = counter
        return False

    def _look(self) -> tuple[_Look, ...]:
        looks: list[_Look] = [_look_of(self._held.status())]
        try:
            looks.append(_look_of(beside(self.path, "-wal").stat()))
        except OSError:
            looks.append(())
        return tuple(looks)

    # When it is not

    def _written_over(self) -> ReplacedFileError:
        error = self._replaced("something else was written over it")
        self.lost = error
        return error

    def _replaced(self, what: str) -> ReplacedFileError:
        self._keep_from_writing()
        aside = self._clear_away()
        kept = "" if aside is None else f" What was not yet in the file was saved as  {aside.name}."
        return ReplacedFileError(
            f"The project database {self.path} is not the one that was opened: {what} (by a sync program, a restored "
            f"backup, a colleague?), so nothing of this step was stored.{kept} Open what is there now, or save a copy "
            "of what was open."
        )

    def _keep_from_writing(self) -> None:
        """See to it that closing the last connection does not move the log into a file that was written over."""
        if self._bar is None and self.is_here():
            self._bar = Bar(self.path, list(self._connections))

    def is_elsewhere(self) -> bool:
        """Whether the file still has a name, and its log beside it, but not on its path."""
        return not self.is_here() and not self._put_aside and self._held.status().st_nlink > 0

    def is_here(self) -> bool:
        """Whether the very file that was opened lies on the path, whatever is in it."""
        try:
            return file_id_of(self.path.stat()) == self._held.file_id
        except OSError:
            return False

    def _clear_away(self) -> Path | None:
        """Put our log away from a file that it does not belong to, where the next program would write it into that."""
        file_id = self._brothers.get("-wal")
        try:
            log = beside(self.path, "-wal").stat()
            if file_id is None or file_id_of(log) != file_id or not log.st_size:
                return None
            if standing(self.path).log is not Belongs.FOREIGN:
                return None
            self._put_aside = True
            return set_aside(self.path, _BROTHERS)
        except OSError:
            return None

    def close(self, engine: Engine) -> None:
        """Close all connections, and let go of the file.

        The last one to close moves the log into the file, which must still be the one that it belongs to.
        """
        with suppress(ReplacedFileError, OSError):
            self.check_quietly()
        if self._bar is not None and not self._bar.holds:
            engine.dispose(close=False)
            return
        engine.dispose()
        if self._bar is not None:
            for connection in list(self._connections):
                connection.close()
            self._bar.lift()
        self._held.release()


def _look_of(status: os.stat_result) -> _Look:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
