"""What takes longer than the window may wait, made in a thread; only what was asked for last is handed over."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_cyto.errors import CytoError

MayGoOn = Callable[[], bool]


class Latest(QObject):
    """Makes things one after the other; ``made`` carries the last one that was asked for, in the window's thread.

    Parameters
    ----------
    name : str
        Of the thread.
    parent : QObject
        What it belongs to.
    """

    made = Signal(object)
    _finished = Signal(int, object)

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._name = name
        self._threads: ThreadPoolExecutor | None = None
        self._generation = 0
        self._finished.connect(self._hand_over)

    def ask(self, make: Callable[[MayGoOn], Any | None]) -> None:
        """Have something made; an earlier wish is dropped.

        ``make`` gets a function that says whether its answer is still wanted; None hands nothing over.
        """
        self._generation += 1
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, self._name)
        self._threads.submit(self._make, self._generation, make)

    def drop(self) -> None:
        """Want nothing of what is being made."""
        self._generation += 1

    def close(self) -> None:
        """Stop, and wait until nothing is made any more."""
        self.drop()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _make(self, generation: int, make: Callable[[MayGoOn], Any | None]) -> None:
        def may_go_on() -> bool:
            return generation == self._generation

        try:
            made = make(may_go_on) if may_go_on() else None
        except CytoError:
            # The project was closed, or its slide taken out, meanwhile; whoever opens the next asks again.
            return
        if made is not None:
            self._finished.emit(generation, made)

    def _hand_over(self, generation: int, made: Any) -> None:
        if generation == self._generation:
            self.made.emit(made)
