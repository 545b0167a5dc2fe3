"""Work of one call, such as reading a large file, as steps of a job: seen while it goes on, and ended on request."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.events import Advanced, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.jobs.progress import watched

Result = TypeVar("Result")

_LOOK_S = 0.1
_STOP_S = 0.5
_MB = 1_000_000
_OBJECTS_BETWEEN = 50_000


class Pace:
    """Says how fast work goes: one stretch of it after the other, each with a name of its own."""

    def __init__(self) -> None:
        self._name = ""
        self._began_s = 0.0

    def advanced(self, done: int, total: int, name: str, unit: str = "") -> Advanced:
        """Return what to show of a stretch; ``total`` 0 means that its end is not known."""
        if name != self._name:
            self._name, self._began_s = name, time.monotonic()
        passed_s = time.monotonic() - self._began_s
        rate = f" ({done / passed_s:,.0f}{unit}/s)" if passed_s > 1 and done else ""
        return Advanced(done, total, f"{name}{rate}.")


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look less often for objects that refer to each other: a million small ones come and go, none of which does."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def watched_work(work: Callable[[], Result], token: Token | None, kept: str) -> Generator[Advanced, None, Result]:
    """Yield how far ``work`` is, as it says by ``progressed``; returns what it returns.

    Parameters
    ----------
    work : callable
        Runs in a thread of its own.
    token : Token, optional
        Asks for a stop.
    kept : str
        What a stop leaves, for its sentence.

    Raises
    ------
    JobCancelled
        When a stop was asked for.
    """
    left = threading.Event()
    said: list[tuple[int, int, str]] = []
    results: list[Result] = []
    errors: list[BaseException] = []

    def report(done: int, total: int, what: str) -> None:
        if left.is_set():
            raise JobCancelled("Cancelled.")
        if what:
            said[:] = [(done, total, what)]

    def run() -> None:
        try:
            with watched(report):
                results.append(work())
        except BaseException as error:  # noqa: BLE001  raised again where the result is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="import", daemon=True)
    thread.start()
    pace = Pace()
    try:
        while thread.is_alive():
            thread.join(_LOOK_S)
            stop_if_cancelled(token, kept)
            if said:
                done, total, what = said.pop()
                yield pace.advanced(done // _MB, total // _MB, what, " MB")
    finally:
        left.set()
        thread.join(_STOP_S)
    if errors:
        raise errors[0]
    return results[0]
