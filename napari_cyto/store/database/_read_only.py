"""Reading a project that cannot be written: on a read-only disk or share, or without permission."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine

from napari_cyto.errors import StoreError
from napari_cyto.store.database import sqlite
from napari_cyto.store.database.connection import Database
from napari_cyto.store.database.log_owner import Belongs, beside, standing
from napari_cyto.store.database.place import refusal
from napari_cyto.store.database.raw_read import reading

_TRIES = 5
_BLOCK_BYTES = 1 << 24
# Of the time, what may go into copying anew what others write.
_COPYING_SHARE = 0.1
_Look = tuple[tuple[int, ...], ...]


class ReadingDatabase(Database):
    """The database in an SQLite file that cannot be written, at its last committed state.

    Where others write it meanwhile, what is read from then on is what they wrote.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    StoreError
        When it is damaged, or a copy of what was not yet moved into the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opening = threading.Lock()
        self._copy: Path | None = None
        self._not_before_s = 0.0
        self._looked = _look(path)
        stop = sqlite.Stop()
        explain = partial(sqlite.explain, path=path)
        super().__init__(self._open(stop), str(path), explain, {}, watch=None, writable=False, stop=stop)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one unchanging state of the database.

        Raises
        ------
        StoreError
            When the database is closed, damaged or out of reach.
        """
        with self._opening:
            look = _look(self._path)
            if look != self._looked and look and time.monotonic() >= self._not_before_s:
                old, old_copy = self.engine, self._copy
                self.engine, self._looked = self._open(self.stop), look
                old.dispose()
                _drop(old_copy)
        with super().read() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection, and drop the copy that was read."""
        super().close()
        _drop(self._copy)

    def _open(self, stop: sqlite.Stop) -> Engine:
        """Open the file itself where it stands alone; SQLite would have to write to read its log."""
        if standing(self._path).log is not Belongs.OURS:
            self._copy = None
            return sqlite.connect_to_read(self._path, True, stop)
        began = time.monotonic()
        self._copy = _copied(self._path)
        now = time.monotonic()
        self._not_before_s = now + (now - began) / _COPYING_SHARE
        return sqlite.connect_to_read(self._copy / self._path.name, False, stop)


def _look(path: Path) -> _Look:
    looks: list[tuple[int, ...]] = []
    for file in (path, beside(path, "-wal")):
        try:
            status = file.stat()
            looks.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            looks.append(())
        except OSError:
            return ()
    return tuple(looks)


def _copied(path: Path) -> Path:
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="napari-cyto-"))
        for _ in range(_TRIES):
            before = _look(path)
            for file in (beside(path, "-wal"), path):
                _copy_file(file, folder / file.name)
            # Half of a file from before another program wrote, and half from after, would be damaged.
            if _look(path) == before and standing(folder / path.name).log in (Belongs.OURS, Belongs.NOTHING):
                return folder
    except OSError as error:
        _drop(folder)
        raise refusal(
            error,
            f"The project {path.parent} cannot be written, and no copy of it could be made to read its latest changes",
            Path(tempfile.gettempdir()),
        ) from error
    _drop(folder)
    raise StoreError(
        f"The project {path.parent} cannot be written, and is being written by another program so fast that no copy "
        "could be made to read it; try again in a moment."
    )


def _copy_file(source: Path, target: Path) -> None:
    with reading(source) as read, target.open("wb") as file:
        offset = 0
        while block := read(offset, _BLOCK_BYTES):
            file.write(block)
            offset += len(block)


def _drop(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
