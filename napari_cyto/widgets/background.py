"""Work that a session gives away, such as taking back a large import, done while the window goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Signal

Then = Callable[[Callable[[], Any]], None]


class Background(QObject):
    """Does one piece of work after the other in a thread, and hands over in the window's thread what came of it."""

    _finished = Signal(object, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._threads: ThreadPoolExecutor | None = None
        self._finished.connect(lambda then, result: then(result))

    def __call__(self, work: Callable[[], Any], then: Then) -> None:
        """Do ``work`` and call ``then`` with what returns its result, or raises its error."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "background")

        def report(done: Future[Any]) -> None:
            self._finished.emit(then, done.result)

        self._threads.submit(work).add_done_callback(report)

    def close(self) -> None:
        """Wait until what was begun is done; nobody hears of it any more."""
        self._finished.disconnect()
        if self._threads is not None:
            self._threads.shutdown(wait=True)
