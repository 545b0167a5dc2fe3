"""Whether a write-ahead log, or a rollback journal, belongs to the database file that it lies beside.

SQLite believes any log of the right name, and writes what is in it into the file: that of a killed window into a backup
restored since, or into a new project. So each write of ours renews a stamp in the database, which names the one
before it: a log belongs to a file that has the stamp that the log's first write followed, or that of a later one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from napari_cyto.store.database.raw_read import Reader, reading
from napari_cyto.store.database.stamp import STAMP_TABLE, Stamp
from napari_cyto.store.recovery import raw_pages
from napari_cyto.store.recovery.raw_pages import Frame, NotReadableError

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_TRIES = 5
_REVISION, _CREATED = 4, 5


class Belongs(StrEnum):
    """What a log is to the file beside it."""

    NOTHING = "nothing"
    OURS = "ours"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """A database file and its log, as their bytes say.

    Parameters
    ----------
    log : Belongs
        What the log is to the file.
    in_file : Stamp or None
        The stamp in the file alone; None where it has none yet.
    latest : Stamp or None
        The stamp of the last write, be it in the log or in the file.
    """

    log: Belongs
    in_file: Stamp | None
    latest: Stamp | None


def beside(path: Path, suffix: str) -> Path:
    """Return the path of SQLite's own file for the database ``path``: ``-wal``, ``-shm``, ``-journal``."""
    return path.with_name(path.name + suffix)


def standing(path: Path) -> Standing:
    """Return what the file ``path`` and its log are to each other, and change nothing.

    Raises
    ------
    OSError
        When one of them cannot be read.
    """
    with reading(path) as read:
        return standing_of(read, path)


def standing_of(read: Reader, path: Path) -> Standing:
    """Return the same, with the database file read by ``read``."""
    found = Standing(Belongs.UNKNOWN, None, None)
    for _ in range(_TRIES):
        before = _in_file(read)
        found = _compared(read, before, path)
        # Another program may just have moved its log into the file, and begun it anew.
        if found.log is not Belongs.FOREIGN or _in_file(read) == before:
            break
    return found


def hot_journal(path: Path) -> bool:
    """Whether a rollback journal lies beside ``path`` that SQLite would play back."""
    try:
        with beside(path, "-journal").open("rb") as file:
            return file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC
    except FileNotFoundError:
        return False


def in_log_mode(path: Path) -> bool:
    """Whether the database ``path`` is one that is written through a write-ahead log."""
    with reading(path) as read:
        return read(18, 2) == b"\x02\x02"


def set_aside(path: Path, suffixes: tuple[str, ...]) -> Path:
    """Give files beside ``path`` another name, by which SQLite does not find them; return that of the first.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    first = path.with_name(f"{path.stem}-set-aside-{moment}{suffixes[0]}")
    for suffix in suffixes:
        try:
            beside(path, suffix).rename(path.with_name(f"{path.stem}-set-aside-{moment}{suffix}"))
        except FileNotFoundError:
            continue
    return first


def _in_file(read: Reader) -> Stamp | None:
    try:
        return _stamp(raw_pages.pages_of(read, raw_pages.page_size(read)))
    except NotReadableError:
        return None


def _stamp(pages: raw_pages.Pages) -> Stamp | None:
    root = raw_pages.root_of(pages, STAMP_TABLE)
    return None if root is None else _stamp_at(pages, root)


def _stamp_at(pages: raw_pages.Pages, root: int) -> Stamp | None:
    for _, value in raw_pages.rows_of(pages, root, 2):
        return Stamp.of(value)
    return None


def _compared(read: Reader, in_file: Stamp | None, path: Path) -> Standing:
    with _log(path) as log:
        if log is None:
            return Standing(Belongs.NOTHING, in_file, in_file)
        try:
            size = raw_pages.page_size(read)
        except NotReadableError:
            return Standing(Belongs.UNKNOWN, in_file, None)
        try:
            written = _committed(raw_pages.frames(log, size))
        except NotReadableError:
            return Standing(Belongs.FOREIGN, in_file, in_file)
        if not written:
            return Standing(Belongs.NOTHING, in_file, in_file)
        try:
            return _Both(read, log, size, written).standing(in_file)
        except NotReadableError:
            # A file that can be read, but not together with the log, is better off without it.
            return Standing(Belongs.UNKNOWN if in_file is None else Belongs.FOREIGN, in_file, in_file)


@contextmanager
def _log(path: Path) -> Iterator[Reader | None]:
    # SQLite puts no locks on this file, so that it may be opened and closed like any other.
    try:
        descriptor = os.open(beside(path, "-wal"), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(descriptor, "rb", buffering=0) as file:

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            parts = []
            while size > 0 and (part := file.read(size)):
                parts.append(part)
                size -= len(part)
            return b"".join(parts)

        yield read


def _committed(frames: Iterator[Frame]) -> list[list[Frame]]:
    writes: list[list[Frame]] = []
    current: list[Frame] = []
    for frame in frames:
        current.append(frame)
        if frame.ends:
            writes.append(current)
            current = []
    return writes


class _Both:
    """A database file with its log over it."""

    def __init__(self, read: Reader, log: Reader, size: int, written: list[list[Frame]]) -> None:
        self._read, self._log, self._size, self._written = read, log, size, written
        self._first = {frame.page: frame.offset for frame in written[0]}
        self._all = {frame.page: frame.offset for write in written for frame in write}

    def standing(self, in_file: Stamp | None) -> Standing:
        alone = raw_pages.pages_of(self._read, self._size)
        together = raw_pages.pages_of(self._read, self._size, self._log, self._all)
        if in_file is not None:
            stamps = self._stamps(raw_pages.root_of(alone, STAMP_TABLE) or 0)
            if stamps:
                fits = in_file.token in {stamps[0].before, *(stamp.token for stamp in stamps)}
                return Standing(Belongs.OURS if fits else Belongs.FOREIGN, in_file, stamps[-1])
        # Written by a version that kept no stamps: that it is a later state of the same project is all there is to see.
        first = raw_pages.pages_of(self._read, self._size, self._log, self._first)
        now, began, ended = _head(alone), _head(first), _head(together)
        fits = now[1] == began[1] == ended[1] and began[0] - 1 <= now[0] <= ended[0]
        return Standing(Belongs.OURS if fits else Belongs.FOREIGN, in_file, _stamp(together) if fits else in_file)

    def _stamps(self, root: int) -> list[Stamp]:
        found: list[Stamp] = []
        for frame in (frame for write in self._written for frame in write if frame.page == root):
            with suppress(NotReadableError):
                stamp = _stamp_at(raw_pages.pages_of(self._read, self._size, self._log, {root: frame.offset}), root)
                found += [stamp] if stamp is not None else []
        return found


def _head(pages: raw_pages.Pages) -> tuple[int, int]:
    """Return the revision and the moment of creation of the project in a database."""
    root = raw_pages.root_of(pages, "project")
    if root is None:
        raise NotReadableError
    for row in raw_pages.rows_of(pages, root, 6):
        revision, created = row[_REVISION], row[_CREATED]
        if isinstance(revision, int) and isinstance(created, int):
            return revision, created
    raise NotReadableError
