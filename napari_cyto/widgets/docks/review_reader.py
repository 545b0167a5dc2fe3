"""Long review lists, made in a thread so that the window never waits for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from qtpy.QtCore import QObject, Signal

from napari_cyto.errors import CytoError
from napari_cyto.session.review_order import Gathered, gather
from napari_cyto.session.review_query import ReviewQuery
from napari_cyto.store import Project


class ReviewReader(QObject):
    """Makes long lists in a thread; only the last one that was asked for is handed over."""

    read = Signal(object)
    _made = Signal(int, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._generation = 0
        self._made.connect(self._hand_over)

    def ask(self, project: Project, query: ReviewQuery) -> None:
        """Have a list made."""
        self._generation += 1
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "review")
        self._threads.submit(self._make, self._generation, project, query)

    def drop(self) -> None:
        """Want none of the lists that are being made."""
        self._generation += 1

    def close(self) -> None:
        """Stop; the list in hand is waited for."""
        self.drop()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _make(self, generation: int, project: Project, query: ReviewQuery) -> None:
        if generation != self._generation:
            return
        try:
            gathered = gather(project, query)
        except CytoError:
            # The project was closed, or its slide taken out, while it was read: another list is on its way.
            return
        self._made.emit(generation, gathered)

    def _hand_over(self, generation: int, gathered: Gathered) -> None:
        if generation == self._generation:
            self.read.emit(gathered)
