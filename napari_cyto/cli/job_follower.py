"""Follow a job to its end: a progress bar on stderr, Ctrl-C as a wish to stop, its last word as a value."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from napari_cyto.cli.output import in_line, printable, screen
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Events, Failed, Noted

QUIET_S = 3.0


class Interrupted(Exception):
    """The user or the system asked the job to stop, and it did; ``code`` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def follow(start: Callable[[CancelToken], Events], title: str) -> Any:
    """Run a job and return the result it ends with, which is of the job's own kind.

    Parameters
    ----------
    start : callable
        Makes the job from the token that Ctrl-C cancels.
    title : str
        What people read beside the bar.

    Raises
    ------
    CytoError
        The sentence of a job that failed for a reason its user can mend.
    Interrupted
        When Ctrl-C, or a signal to end, stopped it.
    RuntimeError
        When the job broke: a bug, with the job's traceback.
    """
    token = CancelToken()
    with _interrupts(token) as caught, _bar(title) as show:
        for event in start(token):
            match event:
                case Done(result):
                    return result
                case Cancelled(message):
                    raise Interrupted(message, 128 + caught[0] if caught else 130)
                case Failed(_, True):
                    raise event.error
                case Failed(message, False, traceback):
                    raise RuntimeError(f"{message}\n{traceback}")
                case Advanced() | Noted():
                    show(event)
    raise RuntimeError(f"The job '{title}' ended without a final event.")


@contextmanager
def _interrupts(token: CancelToken) -> Iterator[list[int]]:
    """Turn the first SIGINT or SIGTERM into a cancelled token; the second one acts as ever."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        token.cancel()
        restore()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield caught
    finally:
        restore()


@contextmanager
def _bar(title: str) -> Iterator[Callable[[Advanced | Noted], None]]:
    """A bar with the time that is left where stderr is a screen, plain lines where it is a file."""
    out = screen(sys.stderr)
    if not out.isatty():
        lines = _PlainLines()
        yield lines.show
        # Not reached when the job failed: then its one sentence is all that is said.
        lines.report_notes()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=out), transient=True, redirect_stdout=False, redirect_stderr=False)
    with bar as progress:
        task = progress.add_task(_words(title), total=None)

        def show(event: Advanced | Noted) -> None:
            if isinstance(event, Noted):
                progress.console.print(printable(event.message), highlight=False, markup=False)
            else:
                words = _words(event.message or title)
                if event.total != (progress.tasks[0].total or 0):
                    # Another stretch of the work goes at a pace of its own.
                    progress.reset(task)
                progress.update(task, completed=event.done, total=event.total or None, description=words)

        yield show


def _words(text: str) -> str:
    return in_line(text).replace("[", "(").replace("]", ")")


class _PlainLines:
    """Notes, and each further tenth of work that takes long, as lines; short work says nothing on its way."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._tenth = -1
        self._stretch, self._stretch_s = -1, self._started_s
        self._notes: list[str] = []

    def show(self, event: Advanced | Noted) -> None:
        """Take what the job says."""
        if isinstance(event, Noted):
            self._notes.append(event.message)
        elif event.total != self._stretch:
            self._stretch, self._stretch_s = event.total, time.monotonic()
        if time.monotonic() - self._started_s < QUIET_S:
            return
        self.report_notes()
        if isinstance(event, Advanced):
            tenth = 10 * event.done // event.total if event.total else 0
            if tenth != self._tenth:
                self._tenth = tenth
                share = f"{event.done}/{event.total}" if event.total else str(event.done)
                print(f"{share} {in_line(event.message)}".rstrip() + self._left(event), file=sys.stderr)

    def _left(self, event: Advanced) -> str:
        """Return how long the rest takes at the pace of this stretch of the work, once there is one."""
        passed_s = time.monotonic() - self._stretch_s
        if not 0 < event.done < event.total or passed_s < QUIET_S:
            return ""
        return f" About {passed_s * (event.total - event.done) / event.done:,.0f} s left."

    def report_notes(self) -> None:
        """Print the notes that were kept back."""
        for note in self._notes:
            print(note, file=sys.stderr)
        self._notes.clear()
