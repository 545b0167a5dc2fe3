"""Looking for damage in a large database in the background: what is stored or told waits for the verdict."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from napari_cyto.errors import DamagedError
from napari_cyto.store.damage import damage_sentence
from napari_cyto.store.soundness import file_problems
from napari_cyto.store.sqlite import REFUSALS


class FileCheck:
    """SQLite's quick check of a file, and whether its tables contradict each other, in a thread of its own.

    Parameters
    ----------
    engine : Engine
        Of the database; one of its connections is used.
    path : Path
        What sentences call it.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self.sentence = ""
        """What is wrong; empty while nothing is known to be."""
        self._engine, self._path = engine, path
        self._connection: sqlite3.Connection | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="file check", daemon=True)
        self._thread.start()

    def require_sound(self) -> None:
        """Wait for the verdict.

        Raises
        ------
        DamagedError
            When the database is damaged or foreign.
        """
        self._thread.join()
        if self.sentence:
            raise DamagedError(self.sentence)

    def stop(self) -> None:
        """Give up, and let go of the connection."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._engine.connect() as borrowed:
                found = self._look(borrowed.connection.dbapi_connection)
        except (DBAPIError, *REFUSALS, DamagedError):
            # Whoever asks next for something hears the same, and from there it becomes a sentence.
            return
        if found:
            self.sentence = damage_sentence(self._path, found)

    def _look(self, connection: object) -> list[str]:
        assert isinstance(connection, sqlite3.Connection)
        with self._lock:
            if self._stopped:
                return []
            self._connection = connection
        try:
            return file_problems(self._path, connection, thorough=False)
        finally:
            with self._lock:
                self._connection = None
