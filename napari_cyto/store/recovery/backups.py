"""Verified copies of a project's database, kept beside it: taken whole or not at all, and thinned out by a rule."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from napari_cyto.errors import DamagedError, JobCancelled, StoreError
from napari_cyto.store.database import sqlite
from napari_cyto.store.database.place import refusal
from napari_cyto.store.database.schema import WHOLE_PROJECT
from napari_cyto.store.database.schema_check import refuse_foreign_schema
from napari_cyto.store.recovery.damage_message import BACKUP_FOLDER, damage_sentence
from napari_cyto.store.recovery.integrity import file_problems

KEEP_LAST = 5
KEEP_HOURS = 24
KEEP_DAYS = 14
LIMIT_BYTES = 2 * 2**30
# What was there before a restore is somebody's work that was given up on purpose: it must survive second thoughts.
KEEP_REPLACED_DAYS = 30
SPARE_BYTES = 64 * 2**20
BEFORE_RESTORE, DAMAGED = "before-restore", "damaged"
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d{6}\.\d{3})Z-([a-z0-9-]{1,40})\.sqlite")
MOMENT_FORMAT = "%Y-%m-%dT%H%M%S.%f"
_PAGES_AT_ONCE = 2_000
# As large as a project of some 30,000 versions of cells: whose every row is looked at, some tenths of a second.
_THOROUGH_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Backup:
    """One copy of a project's database.

    Parameters
    ----------
    path : Path
        The file.
    taken_utc : datetime
        When, aware, UTC.
    reason : str
        What it was taken before, or ``rhythm``, ``asked``; a word with hyphens.
    size_bytes : int
        Of the file.
    """

    path: Path
    taken_utc: datetime
    reason: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds: how many slides and annotations, and after how many writes."""

    slides: int
    annotations: int
    revision: int


def backups_of(folder: Path) -> list[Backup]:
    """Return the backups of the project in ``folder``, the newest first; empty where there are none."""
    found: list[Backup] = []
    with contextlib.suppress(OSError):
        for path in (folder / BACKUP_FOLDER).iterdir():
            named = _NAME.fullmatch(path.name)
            if named is not None and path.is_file():
                moment = datetime.strptime(named[1], MOMENT_FORMAT).replace(tzinfo=UTC)
                found.append(Backup(path, moment, named[2], path.stat().st_size))
    return sorted(found, key=lambda each: each.path.name, reverse=True)


def contents_of(path: Path) -> Contents | None:
    """Return what a copy holds; None where it cannot be read."""
    try:
        with contextlib.closing(sqlite.look_into(path)) as connection:
            return _contents(connection)
    except (*sqlite.REFUSALS, OSError):
        return None


def _contents(connection: sqlite3.Connection) -> Contents:
    slides = connection.execute("SELECT count(*) FROM slide").fetchone()[0]
    sums = connection.execute("SELECT coalesce(sum(n), 0) FROM tally WHERE slide_pk = ?", (WHOLE_PROJECT,))
    revision = connection.execute("SELECT revision FROM project").fetchone()
    return Contents(int(slides), int(sums.fetchone()[0]), -1 if revision is None else int(revision[0]))


def check_copy(path: Path, stop: sqlite.Stop | None = None) -> list[str]:
    """Return what is wrong with a copy; empty where it is sound."""
    try:
        with contextlib.closing(sqlite.look_into(path, stop)) as connection:
            refuse_foreign_schema(connection, str(path))
            return file_problems(path, connection, path.stat().st_size <= _THOROUGH_BYTES)
    except DamagedError as error:
        return [str(error)]
    except sqlite.REFUSALS as error:
        if sqlite.is_interrupt(error):
            raise
        return [str(error)]


class Snapshot:
    """One state of a project's database, which stays as it is however much is written meanwhile.

    Parameters
    ----------
    path : Path
        The database file; it is only read.
    stop : Stop, optional
        Says whether copying shall be given up.

    Raises
    ------
    StoreError
        When it cannot be read.
    """

    def __init__(self, path: Path, stop: sqlite.Stop | None = None) -> None:
        self.path = path
        self._stop = stop or sqlite.Stop()
        with _sentences(path):
            self._connection = sqlite.look_into(path, self._stop)
            try:
                # The first read of a transaction is what it sees from then on.
                self._connection.execute("BEGIN")
                self.contents = _contents(self._connection)
            except BaseException:
                self._connection.close()
                raise

    def save(self, reason: str) -> Backup:
        """Write a verified copy beside the project, and thin out the older ones.

        Parameters
        ----------
        reason : str
            As `Backup` has it.

        Raises
        ------
        StoreError
            When there is no room or the place cannot be written; nothing of it stays then.
        DamagedError
            When the copy is not sound, as then neither is what was copied.
        """
        folder = self.path.parent / BACKUP_FOLDER
        taken = datetime.now(UTC)
        name = f"{taken.strftime(MOMENT_FORMAT)[:-3]}Z-{reason}.sqlite"
        temporary = folder / f".{name}.part"
        try:
            _make_room(folder, self.path.stat().st_size)
            _sweep(folder)
            with _sentences(self.path):
                self._copy(temporary)
                found = check_copy(temporary, self._stop)
            if found:
                raise DamagedError(damage_sentence(self.path, found))
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(folder / name)
        except OSError as error:
            raise refusal(
                error, f"No backup of {self.path.parent} was written; edits are stored as before", folder
            ) from error
        finally:
            self.close()
            for suffix in ("", "-journal"):
                with contextlib.suppress(OSError):
                    temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
        thin_out(self.path.parent)
        return Backup(folder / name, taken, reason, (folder / name).stat().st_size)

    def _copy(self, temporary: Path) -> None:
        def look(_status: int, _left: int, _all: int) -> None:
            if self._stop():
                raise JobCancelled("Cancelled. No backup was written.")

        new = sqlite3.connect(temporary, isolation_level=None)
        try:
            # What is left of a copy that broke off is deleted, so that it needs no journal of its own.
            for pragma in ("journal_mode=OFF", "synchronous=OFF"):
                new.execute(f"PRAGMA {pragma}").close()
            self._connection.backup(new, pages=_PAGES_AT_ONCE, progress=look)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR")):
                raise OSError(28, os.strerror(28), str(temporary)) from error
            raise
        finally:
            new.close()

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def take(path: Path, reason: str, stop: sqlite.Stop | None = None) -> Backup:
    """Write a verified copy of the database file ``path``, unless the newest one is of the same state.

    Raises
    ------
    StoreError
        When it cannot be written; edits are stored as before.
    DamagedError
        When the database is damaged.
    """
    snapshot = Snapshot(path, stop)
    same = same_state(path.parent, snapshot.contents)
    if same is not None:
        snapshot.close()
        return same
    return snapshot.save(reason)


def same_state(folder: Path, contents: Contents) -> Backup | None:
    """Return the newest backup when it holds this very state."""
    newest = next((each for each in backups_of(folder) if each.reason != DAMAGED), None)
    return newest if newest is not None and contents_of(newest.path) == contents else None


def newest_sound(folder: Path) -> Backup | None:
    """Return the newest backup in which nothing is wrong."""
    return next((each for each in backups_of(folder) if each.reason != DAMAGED and not check_copy(each.path)), None)


def thin_out(folder: Path, now_utc: datetime | None = None) -> list[Path]:
    """Delete the backups that the rule does not keep, and return their paths.

    Kept are the last ones, the last of each hour for a day and of each day for two weeks, the newest first, as long
    as all of them together are no larger than the limit; the two newest in any case, and for a month what a restore
    replaced.
    """
    now = now_utc or datetime.now(UTC)
    kept, size = 0, 0
    gone: list[Path] = []
    for backup, is_kept in _retention(backups_of(folder), now):
        replaced = backup.reason in (BEFORE_RESTORE, DAMAGED)
        must = kept < 2 or (replaced and now - backup.taken_utc < timedelta(days=KEEP_REPLACED_DAYS))
        if must or (is_kept and size + backup.size_bytes <= LIMIT_BYTES):
            kept, size = kept + 1, size + backup.size_bytes
            continue
        with contextlib.suppress(OSError):
            for path in (backup.path, backup.path.with_name(backup.path.name + "-wal")):
                path.unlink(missing_ok=True)
            gone.append(backup.path)
    return gone


def _retention(backups: Iterable[Backup], now: datetime) -> Iterator[tuple[Backup, bool]]:
    hours: set[str] = set()
    days: set[str] = set()
    for place, backup in enumerate(backups):
        age = now - backup.taken_utc
        hour, day = f"{backup.taken_utc:%Y%m%d%H}", f"{backup.taken_utc:%Y%m%d}"
        of_hour = hour not in hours and age < timedelta(hours=KEEP_HOURS)
        of_day = day not in days and age < timedelta(days=KEEP_DAYS)
        hours.add(hour)
        days.add(day)
        yield backup, place < KEEP_LAST or of_hour or of_day


def _make_room(folder: Path, needed_bytes: int) -> None:
    folder.mkdir(exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        raise StoreError(
            f"No backup of {folder.parent} was written: {needed_bytes / 2**20:.0f} MB and {SPARE_BYTES / 2**20:.0f} MB "
            f"to spare are needed, but the disk has {free / 2**20:.0f} MB left; edits are stored as before, free some "
            "space."
        )


def _sweep(folder: Path) -> None:
    """Delete what is left of copies that were broken off an hour ago or earlier."""
    before = datetime.now(UTC).timestamp() - 3600
    for left in folder.glob(".*.sqlite.part*"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < before:
                left.unlink()


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite.REFUSALS as error:
        if sqlite.is_interrupt(error):
            raise JobCancelled("Cancelled. No backup was written.") from error
        sentence = sqlite.explain(error, path)
        if sentence is None:
            raise
        raise sentence from error
