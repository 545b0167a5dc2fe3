"""How the canvas hangs on a window: let go of before Qt takes it apart."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject


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
