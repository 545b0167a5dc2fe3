"""Looking for damage in a large database in the background: nothing is stored before its pages are found sound."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from napari_cyto.errors import DamagedError
from napari_cyto.store.database.sqlite import REFUSALS
from napari_cyto.store.recovery import checked_files as check_results
from napari_cyto.store.recovery.damage_message import damage_sentence
from napari_cyto.store.recovery.integrity import comparisons, page_problems

# Whoever waits longer is told why.
_SHORT_S = 0.3
# Between two comparisons while nobody waits: a window has a processor of two, and the disk, mostly to itself.
_PAUSE_S = 0.05


class FileCheck:
    """SQLite's quick check of a file, then whether its tables contradict each other, in a thread of its own.

    Parameters
    ----------
    engine : Engine
        Of the database; one of its connections is used.
    path : Path
        What sentences call it.
    damaged : callable
        Told the sentence about damage, in the thread, as soon as it is found.
    """

    def __init__(self, engine: Engine, path: Path, damaged: Callable[[str], None]) -> None:
        self.sentence = ""
        """What is wrong; empty while nothing is known to be."""
        self._engine, self._path, self._damaged = engine, path, damaged
        self._connection: sqlite3.Connection | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._pages_known, self._in_haste = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="file check", daemon=True)
        self._thread.start()

    @property
    def is_at_work(self) -> bool:
        """Whether the quick check is not over."""
        return not self._pages_known.is_set()

    def require_sound_pages(self, waiting: Callable[[], None]) -> None:
        """Wait for the quick check; what takes longer goes on.

        Parameters
        ----------
        waiting : callable
            Called when that takes longer than a person takes for at once.

        Raises
        ------
        DamagedError
            When the database is known to be damaged or foreign.
        """
        if not self._pages_known.wait(_SHORT_S):
            waiting()
            self._pages_known.wait()
        self._refuse()

    def require_sound(self) -> None:
        """Wait for the whole verdict.

        Raises
        ------
        DamagedError
            When the database is damaged or foreign.
        """
        self._in_haste.set()
        self._thread.join()
        self._refuse()

    def _refuse(self) -> None:
        if self.sentence:
            raise DamagedError(self.sentence)

    def stop(self) -> None:
        """Give up, and let go of the connection."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()
        self._in_haste.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            began_s, state = time.time(), check_results.state_of(self._path)
            with self._engine.connect() as borrowed:
                done = self._look(borrowed.connection.dbapi_connection)
                # It has settings of its own now.
                borrowed.invalidate()
            if done and not self.sentence and state == check_results.state_of(self._path):
                check_results.remember(self._path, state, began_s)
        except (DBAPIError, *REFUSALS, DamagedError):
            # Whoever asks next for something hears the same, and from there it becomes a sentence.
            return
        finally:
            self._pages_known.set()

    def _look(self, connection: object) -> bool:
        """Return whether the look came to its end."""
        assert isinstance(connection, sqlite3.Connection)
        with self._lock:
            if self._stopped:
                return False
            self._connection = connection
        # It would ask Python whether to stop, and wait for it, hundreds of times; `stop` interrupts without.
        connection.set_progress_handler(None, 0)
        try:
            self._report(page_problems(self._path, connection))
            self._pages_known.set()
            for found in () if self.sentence else comparisons(self._path, connection):
                self._report(found)
                if found or self._stopped:
                    break
                self._in_haste.wait(_PAUSE_S)
            return not self._stopped
        finally:
            with self._lock:
                self._connection = None

    def _report(self, problems: list[str]) -> None:
        if problems:
            self.sentence = damage_sentence(self._path, problems)
            self._damaged(self.sentence)
