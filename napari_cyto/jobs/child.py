"""The child's side of a job: run a generator, send what it says. Imports no Qt."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Events, Failed, Measured, Noted
from napari_cyto.jobs.outcome import failed

JobFunction = Callable[..., Events]

# A screen shows some tens of pictures a second; more progress than that only fills the pipe.
PROGRESS_INTERVAL_S = 0.04


class PipeToken:
    """Cancelled as soon as the other end of the pipe says anything, or is gone: an orphan stops too."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cancelled = False

    def cancelled(self) -> bool:
        """Whether the user asked for the job to stop."""
        if not self._cancelled:
            try:
                self._cancelled = self._connection.poll()
            except OSError:
                self._cancelled = True
        return self._cancelled


def run_in_child(connection: Connection, function: JobFunction, kwargs: Mapping[str, Any]) -> None:
    """Run ``function(**kwargs, token=...)`` and send its events; the last one sent is the only terminal one."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _forward(connection, function, kwargs)
    except OSError:
        # The window went away; there is nobody left to tell.
        return
    finally:
        connection.close()


def _stop(_number: int, _frame: FrameType | None) -> None:
    # An exception, unlike the signal's own effect, lets the job remove what it wrote under a temporary name.
    raise JobCancelled("The job was cancelled.")


def _forward(connection: Connection, function: JobFunction, kwargs: Mapping[str, Any]) -> None:
    last_s = 0.0
    terminal: Event | None = None
    try:
        events = function(**kwargs, token=PipeToken(connection))
        for event in events:
            if isinstance(event, Advanced):
                if time.monotonic() - last_s < PROGRESS_INTERVAL_S and event.done != event.total:
                    continue
                last_s = time.monotonic()
            if isinstance(event, Done | Failed | Cancelled):
                terminal = event
                break
            assert isinstance(event, Advanced | Noted | Measured)
            connection.send(event)
        if terminal is None:
            terminal = Failed("The job ended without saying how; this is a bug, please report it.", expected=False)
    except JobCancelled:
        terminal = Cancelled()
    except CytoError as error:
        terminal = failed(error)
    except Exception as error:  # noqa: BLE001  whatever it is, the window must be told
        terminal = Failed(f"{type(error).__name__}: {error}", expected=False, traceback=traceback.format_exc())
    connection.send(terminal)
