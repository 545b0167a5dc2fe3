"""Keeping SQLite from what it does when the last connection to a file is closed: moving the log into the file.

Where the file was written over in place, that would write pages of one database into another.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import struct
from collections.abc import Sequence
from pathlib import Path

# The bytes of which every reader locks one.
# Source: SQLite, os.h, PENDING_BYTE, SHARED_FIRST and SHARED_SIZE.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
_immortal: list[sqlite3.Connection] = []


class Bar:
    """Stands before the file until it is lifted.

    Parameters
    ----------
    path : Path
        The file.
    connections : sequence of sqlite3.Connection
        All that this program has to it.
    """

    def __init__(self, path: Path, connections: Sequence[sqlite3.Connection]) -> None:
        self._lock = None
        self.holds = _configure(connections)
        if not self.holds:
            self._lock = _lock_shared(path)
            self.holds = self._lock is not None
        if not self.holds:
            for connection in connections:
                # Neither closed nor collected: the end of the program lets go of it without SQLite's last rites.
                _immortal.append(connection)
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

    def lift(self) -> None:
        """Let others have the file, once the connections are closed."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _configure(connections: Sequence[sqlite3.Connection]) -> bool:
    """Tell SQLite itself, where Python can: from 3.12 on."""
    option = getattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE", None)
    if option is None:
        return False
    for connection in connections:
        connection.setconfig(option, True)  # type: ignore[attr-defined, unused-ignore]
    return True


def _lock_shared(path: Path) -> int | None:
    """Lock the file as another program that reads it would, so that this one does not take itself for the last."""
    if os.name != "posix":
        return None
    import fcntl

    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Locks of this kind stand against those of the same program too.
        fcntl.fcntl(descriptor, command, struct.pack("hhxxxxqqixxxx", fcntl.F_RDLCK, 0, _SHARED_FIRST, _SHARED_SIZE, 0))
    except OSError:
        # Closed, it would take SQLite's own locks along.
        return None
    return descriptor
