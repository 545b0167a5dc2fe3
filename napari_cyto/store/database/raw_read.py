"""Reading the bytes of database files without costing this program its locks on them.

POSIX drops all locks that a program has on a file as soon as the program closes any descriptor of it. SQLite takes care
of that for its own descriptors only: had we opened and closed the file of an open project, another program would take
itself for the last one, and delete the write-ahead log that this one goes on writing into.

Source: SQLite, "How To Corrupt An SQLite Database File", section 2.2.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FileId = tuple[int, int]
Reader = Callable[[int, int], bytes]

_LOCK = threading.RLock()
_holders: Counter[FileId] = Counter()
_kept: dict[FileId, int] = {}


def file_id_of(status: os.stat_result) -> FileId:
    """Return what tells a file from every other, whatever it is called: its device and its number there."""
    return (status.st_dev, status.st_ino)


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Give a function of an offset and a size, bytes, that reads from the file ``path``.

    Raises
    ------
    OSError
        When it cannot be opened.
    """
    with _LOCK:
        descriptor = _kept.get(file_id_of(path.stat()))
        borrowed = descriptor is not None
        if descriptor is None:
            descriptor = _open(path)
        try:
            yield lambda offset, size: _read(descriptor, offset, size)
        finally:
            if not borrowed:
                _let_go(descriptor)


class Held:
    """A database file that this program has open: the file itself, not what lies under its name later.

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
        with _LOCK:
            descriptor = _open(path)
            self.file_id = file_id_of(os.fstat(descriptor))
            _holders[self.file_id] += 1
            # A second descriptor must not be closed while the first has locks.
            if _kept.setdefault(self.file_id, descriptor) != descriptor:
                _spare.setdefault(self.file_id, []).append(descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes, or fewer at its end, from ``offset`` on."""
        with _LOCK:
            return _read(_kept[self.file_id], offset, size)

    def status(self) -> os.stat_result:
        """Return what the system knows of it, even if it has no name any more."""
        with _LOCK:
            return os.fstat(_kept[self.file_id])

    def release(self) -> None:
        """Let go of it, once no connection of SQLite has it open."""
        with _LOCK:
            _holders[self.file_id] -= 1
            if _holders[self.file_id] <= 0:
                del _holders[self.file_id]
                for descriptor in (_kept.pop(self.file_id), *_spare.pop(self.file_id, ())):
                    os.close(descriptor)


_spare: dict[FileId, list[int]] = {}


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))


def _let_go(descriptor: int) -> None:
    file_id = file_id_of(os.fstat(descriptor))
    if _holders[file_id]:
        _spare.setdefault(file_id, []).append(descriptor)
    else:
        os.close(descriptor)


def _read(descriptor: int, offset: int, size: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts: list[bytes] = []
    while size > 0 and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
