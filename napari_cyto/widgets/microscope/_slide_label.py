"""A few words over the slide, which neither take the mouse nor cost a repaint of OpenGL."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

_RULES = "QLabel { background: rgba(24, 27, 33, 215); color: #f2f3f5; border-radius: 3px; padding: 1px 5px; }"


class SlideLabel(QLabel):
    """Words at a place of the canvas."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(_RULES)
        self.hide()

    def say(self, words: str) -> None:
        """Take other words."""
        if words != self.text():
            self.setText(words)
            self.adjustSize()

    def put(self, x: float, y: float, *, keeps_in: bool = False) -> None:
        """Show the words with their middle at a place, px of the canvas; where that is off the canvas, hide them.

        With ``keeps_in`` they move to the edge instead.
        """
        width, height = self._canvas.width(), self._canvas.height()
        left, top = x - self.width() / 2, y - self.height() / 2
        if keeps_in:
            left = min(max(left, 4), max(width - self.width() - 4, 4))
            top = min(max(top, 4), max(height - self.height() - 4, 4))
        elif not (0 <= x <= width and 0 <= y <= height):
            self.hide()
            return
        self.move(round(left), round(top))
        if self.isHidden():
            self.show()
