"""What is done soon: before the window is next painted, or when the events that wait have been handled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal


def later(parent: QObject, slot: Any, wait_ms: int = 0) -> QTimer:
    """Return a timer that, once started, calls ``slot`` when the events that are waiting have been handled."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(wait_ms)
    timer.timeout.connect(slot)
    return timer


class Soon(QObject):
    """Calls ``slot`` once, however often it is asked, before the window is next painted; a timer would come after."""

    _triggered = Signal()

    def __init__(self, parent: QObject, slot: Callable[[], object]) -> None:
        super().__init__(parent)
        self._slot = slot
        self.is_requested = False
        self._triggered.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def ask(self) -> None:
        """Have the slot called."""
        if not self.is_requested:
            self.is_requested = True
            self._triggered.emit()

    def stop(self) -> None:
        """Have it not called."""
        self.is_requested = False

    def _call(self) -> None:
        if self.is_requested:
            self.is_requested = False
            self._slot()
