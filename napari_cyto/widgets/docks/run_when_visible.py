"""Work that only serves who looks at a widget: done when it is in sight, not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.docks import parts


class WhenSeen(QObject):
    """Calls a slot while a widget is in sight; asked for earlier, as soon as it comes into sight.

    Qt counts a dock behind others as shown, but does not paint it: painting tells that somebody looks.

    Parameters
    ----------
    widget : QWidget
        What must be in sight; this goes with it.
    slot : callable
        What to call.
    rest_ms : int
        How long nobody must have asked again before it is called, ms; painting again is not asking.
    """

    def __init__(self, widget: QWidget, slot: Callable[[], object], rest_ms: int = 0) -> None:
        super().__init__(widget)
        self._widget = widget
        self._slot = slot
        self._is_due = False
        self._rest = later(self, self._try, rest_ms)
        widget.installEventFilter(self)

    def ask(self) -> None:
        """Have the slot called."""
        self._rest.start()

    @property
    def is_requested(self) -> bool:
        """Whether the slot is about to be called."""
        return bool(self._rest.isActive())

    def is_now(self) -> bool:
        """Whether the widget is in sight; where it is not, the slot is called once it is."""
        is_seen = parts.is_in_sight(self._widget)
        self._is_due |= not is_seen
        return is_seen

    def stop(self) -> None:
        """Have it not called."""
        self._is_due = False
        self._rest.stop()

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802  Qt's name
        """Notice that the widget is painted."""
        if self._is_due and not self.is_requested and event.type() == QEvent.Type.Paint:
            self.ask()
        return False

    def _try(self) -> None:
        if self.is_now():
            self._is_due = False
            self._slot()
