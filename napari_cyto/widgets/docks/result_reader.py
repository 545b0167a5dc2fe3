"""What a slide comes to, read in a thread so that the window never waits for a hundred thousand cells."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from qtpy.QtCore import QObject, Signal

from napari_cyto.errors import CytoError
from napari_cyto.session.result import SlideResult, gather_result
from napari_cyto.store import Project

# Between parts of some thousand cells the window gets its turn.
_BREATH_S = 0.002


class ResultReader(QObject):
    """Reads results; ``read`` carries the slide's id and the result of the last one that was asked for."""

    read = Signal(str, object)
    _made = Signal(int, str, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._threads: ThreadPoolExecutor | None = None
        self._generation = 0
        self._made.connect(self._hand_over)

    def ask(self, project: Project, slide_id: str) -> None:
        """Have the result of a slide read; an earlier wish is dropped."""
        self._generation += 1
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "result")
        self._threads.submit(self._make, self._generation, project, slide_id)

    def drop(self) -> None:
        """Want nothing of what is being read."""
        self._generation += 1

    def close(self) -> None:
        """Stop, and wait until nothing is read any more."""
        self.drop()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _make(self, generation: int, project: Project, slide_id: str) -> None:
        def may_go_on() -> bool:
            time.sleep(_BREATH_S)
            return generation == self._generation

        try:
            result = gather_result(project, slide_id, may_go_on) if may_go_on() else None
        except CytoError:
            # The project was closed while it was read; whoever opens the next asks again.
            return
        if result is not None:
            self._made.emit(generation, slide_id, result)

    def _hand_over(self, generation: int, slide_id: str, result: SlideResult) -> None:
        if generation == self._generation:
            self.read.emit(slide_id, result)
