"""Run long work in a child process, so that the window never waits and a crash takes nothing along."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_cyto.jobs.child import JobFunction, run_in_child
from napari_cyto.jobs.events import Cancelled, Done, Event, Failed

POLL_MS = 30
# A cancelled job is asked first (it says what was kept), then told, then ended: all within one second.
CANCEL_S = 0.6
TERMINATE_S = 0.85
# After its last word a child only has to leave.
LEAVE_S = 2.0
EVENTS_PER_POLL = 200

_ENDED_OUTSIDE = "what was there before is untouched, please start it again"


class Job(QObject):
    """One run of a job function in a child process of its own.

    ``function`` must be importable by name (it is pickled); it is called with ``kwargs`` and ``token``.
    ``progressed`` carries each ``Advanced`` and ``Noted``; ``ended`` exactly one ``Done``, ``Failed`` or ``Cancelled``.
    """

    progressed = Signal(object)
    ended = Signal(object)

    def __init__(self, function: JobFunction, kwargs: Mapping[str, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._function = function
        self._kwargs = dict(kwargs)
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._terminal: Event | None = None
        self._cancelled_at_s: float | None = None
        self._ended_at_s = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def running(self) -> bool:
        """Whether the job was started and has not said its last word."""
        return self._process is not None and self._terminal is None

    @property
    def alive(self) -> bool:
        """Whether there is still a process, be it on its way out."""
        return bool(self._timer.isActive())

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is a child."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the child; returns at once."""
        if self._process is not None:
            raise RuntimeError("A job runs once; make another.")
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=True)
        process = context.Process(target=run_in_child, args=(theirs, self._function, self._kwargs), daemon=True)
        with _main_module_hidden():
            process.start()
        # Only the child may hold its end, else its death would not be seen.
        theirs.close()
        self._process, self._connection = process, ours
        self._timer.start()

    def cancel(self) -> None:
        """Ask the job to stop; ``ended`` comes within a second."""
        if not self.running or self._cancelled_at_s is not None:
            return
        self._cancelled_at_s = time.monotonic()
        assert self._connection is not None
        try:
            self._connection.send("cancel")
        except OSError:
            # Already gone; the next poll sees it.
            return

    def close(self) -> None:
        """Cancel, wait at most a second, leave neither process nor timer behind. For a closing window."""
        self.cancel()
        while self._process is not None and (self.running or self._process.is_alive()):
            self._poll()
            if self.running:
                time.sleep(0.01)
            else:
                self._process.join(0.2)
                if self._process.is_alive():
                    self._process.kill()
        self._release()

    def _poll(self) -> None:
        if self.running:
            self._receive()
        if self.running and self._cancelled_at_s is not None:
            self._press(time.monotonic() - self._cancelled_at_s)
        if not self.running:
            self._reap()

    def _receive(self) -> None:
        assert self._connection is not None
        try:
            for _ in range(EVENTS_PER_POLL):
                if not self._connection.poll():
                    return
                event = self._connection.recv()
                if isinstance(event, Done | Failed | Cancelled):
                    self._end(event)
                    return
                self.progressed.emit(event)
                if not self.running:
                    return
        except (EOFError, OSError):
            self._end(self._last_words())

    def _press(self, waited_s: float) -> None:
        assert self._process is not None
        if waited_s > TERMINATE_S:
            self._process.kill()
            self._end(Cancelled("Cancelled; what was there before is untouched."))
        elif waited_s > CANCEL_S:
            self._process.terminate()

    def _last_words(self) -> Event:
        if self._cancelled_at_s is not None:
            return Cancelled("Cancelled; what was there before is untouched.")
        assert self._process is not None
        self._process.join(1.0)
        code = self._process.exitcode
        if code == -getattr(signal, "SIGKILL", 9):
            how = "was stopped from outside (the system does so when memory runs out)"
        elif code is not None and code < 0:
            how = f"crashed ({signal.Signals(-code).name})"
        else:
            how = f"ended without a result (exit code {code})"
        return Failed(f"The work {how}; {_ENDED_OUTSIDE}.")

    def _end(self, event: Event) -> None:
        if self._terminal is None:
            self._terminal = event
            self._ended_at_s = time.monotonic()
            self.ended.emit(event)

    def _reap(self) -> None:
        if self._process is None:
            return
        if self._process.is_alive():
            if time.monotonic() - self._ended_at_s > LEAVE_S:
                self._process.kill()
            return
        self._release()

    def _release(self) -> None:
        self._timer.stop()
        if self._process is not None and not self._process.is_alive():
            self._process.join()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep the child from importing the parent's main script: napari's would open a second window.

    Source: multiprocessing.spawn.get_preparation_data passes on whatever ``sys.modules["__main__"]`` is.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
