"""How the canvas hangs on a window: let go of before Qt takes it apart, and what it does soon or later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal


class Tether(QObject):
    """Lets go of a window before Qt takes it apart."""

    def __init__(self, qt_window: QObject, let_go: Callable[[], None]) -> None:
        super().__init__(qt_window)
        self._let_go: Callable[[], None] | None = let_go
        qt_window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's hook."""
        if event is not None and event.type() == QEvent.Type.DeferredDelete and self._let_go is not None:
            let_go, self._let_go = self._let_go, None
            let_go()
        return bool(super().eventFilter(watched, event))


def later(parent: QObject, slot: Any, wait_ms: int = 0) -> QTimer:
    """Return a timer that, once started, calls ``slot`` when the events that are waiting have been handled."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(wait_ms)
    timer.timeout.connect(slot)
    return timer


class Soon(QObject):
    """Calls ``slot`` once, however often it is asked, before the window is next painted; a timer would come after."""

    _asked = Signal()

    def __init__(self, parent: QObject, slot: Callable[[], object]) -> None:
        super().__init__(parent)
        self._slot = slot
        self.is_asked = False
        self._asked.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def ask(self) -> None:
        """Have the slot called."""
        if not self.is_asked:
            self.is_asked = True
            self._asked.emit()

    def stop(self) -> None:
        """Have it not called."""
        self.is_asked = False

    def _call(self) -> None:
        if self.is_asked:
            self.is_asked = False
            self._slot()
