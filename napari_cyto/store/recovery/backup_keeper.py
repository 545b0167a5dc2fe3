"""Backups of an open project while work goes on: begun at once, written in a thread, in nobody's way."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from napari_cyto.errors import CytoError
from napari_cyto.store.database.sqlite import Stop
from napari_cyto.store.recovery.backups import Contents, Snapshot, backups_of, same_state

BULK_FROM = 100
"""Annotations that one edit changes from which on it is a bulk edit."""
RHYTHM_S = 15 * 60.0
OLD = timedelta(hours=24)
# The batches of one prediction or one walk through a gallery have one name.
_SAME_EDIT_S = 15 * 60.0
_WAITING_AT_MOST = 2
_RHYTHM = "rhythm"


class BackupKeeper:
    """Takes the backups of one open project.

    What a backup holds is settled when it is asked for; the edit that follows need not wait for it to be written.

    Parameters
    ----------
    path : Path
        The database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = Stop()
        self._lock = Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._running: list[Future[None]] = []
        self._last_s = time.monotonic()
        self._labels: dict[str, float] = {}
        self._begun: Contents | None = None
        self.failures: deque[str] = deque()
        """Sentences about backups that were not written, for whoever speaks to the user."""

    def before(self, what: str, label: str = "") -> None:
        """Begin a backup of the present state, unless there is one of it or nothing in it.

        A disk that is full must not stop an edit: what goes wrong is put into `failures`.

        Parameters
        ----------
        what : str
            Before what, a word with hyphens.
        label : str
            The name of the edit; of several by one name shortly one after the other, the first counts.
        """
        with self._lock:
            now = time.monotonic()
            if label and now - self._labels.get(label, -_SAME_EDIT_S) < _SAME_EDIT_S:
                return
            if label:
                self._labels[label] = now
            self._begin(f"before-{what}")

    def in_rhythm(self) -> None:
        """Begin a backup when the last one, or the opening, is long enough ago and something was stored since."""
        with self._lock:
            if time.monotonic() - self._last_s >= RHYTHM_S:
                self._begin(_RHYTHM)

    def at_opening(self) -> None:
        """Begin a backup when the newest one is old, or there is none."""
        newest = next(iter(backups_of(self._path.parent)), None)
        if newest is None or datetime.now(UTC) - newest.taken_utc > OLD:
            with self._lock:
                self._begin("opening")

    def _begin(self, reason: str) -> None:
        self._last_s = time.monotonic()
        self._running = [each for each in self._running if not each.done()]
        if len(self._running) >= _WAITING_AT_MOST:
            return
        try:
            snapshot = Snapshot(self._path, self._stop)
        except (CytoError, OSError) as error:
            self.failures.append(str(error))
            return
        held = snapshot.contents
        if held.annotations == 0 or held == self._begun or same_state(self._path.parent, held) is not None:
            snapshot.close()
            return
        self._begun = held
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "backup")
        self._running.append(self._threads.submit(self._save, snapshot, reason))

    def _save(self, snapshot: Snapshot, reason: str) -> None:
        try:
            snapshot.save(reason)
        except (CytoError, OSError) as error:
            self._begun = None
            self.failures.append(str(error))

    def close(self, wait_s: float | None = None) -> None:
        """Wait until what was begun is written; with ``wait_s``, give it up after so long."""
        if self._threads is None:
            return
        until = time.monotonic() + (wait_s or 0.0)
        for each in self._running:
            with contextlib.suppress(TimeoutError):
                each.result(None if wait_s is None else max(0.0, until - time.monotonic()))
        self._stop.when(lambda: True)
        self._threads.shutdown(wait=True)
