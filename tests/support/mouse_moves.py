"""Moves of the mouse as Qt sends them; QTest's own carry no button, and move the cursor, which is seen only later."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget


def send_move(
    widget: QWidget,
    place: QPoint,
    button: Qt.MouseButton = Qt.MouseButton.NoButton,
    modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """Move the mouse to a place of a widget, with a button held or none, at once."""
    on_screen = QPointF(widget.mapToGlobal(place))
    event = QMouseEvent(QEvent.Type.MouseMove, QPointF(place), on_screen, button, button, modifier)
    QApplication.sendEvent(widget, event)
