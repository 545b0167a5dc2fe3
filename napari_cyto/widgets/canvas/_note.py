"""A line in the upper corner of the slide: how many cells are not drawn, or that all are hidden.

napari's own line of text over the canvas costs 30 ms at each repaint without a graphics card; a label costs nothing.
"""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

_CORNER_PX = 10


class Note(QLabel):
    """Says one thing for as long as it is so."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(
            "QLabel { background: rgba(24, 27, 33, 200); color: #f2f3f5; border-radius: 4px; padding: 3px 8px; }"
        )
        self.move(_CORNER_PX, _CORNER_PX)
        self.hide()

    def show_message(self, words: str) -> None:
        """Show ``words``, or nothing when there are none."""
        if words != self.text():
            self.setText(words)
            self.adjustSize()
        self.setVisible(bool(words))
