"""A bar over the upper edge of the slide that says something and offers the ways to go on."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_cyto.widgets.docks import parts

ALARM, QUESTION = "replaced", "question"
_MARGIN_PX = 12
_BELOW_BADGE_PX = 44
_MOST_PX = 720
_RULES = (
    f"QWidget#{ALARM} {{ background: rgba(92, 30, 26, 245); border: 2px solid #ffb4a8; border-radius: 6px; }}"
    f"QWidget#{QUESTION} {{ background: rgba(32, 36, 43, 245); border: 2px solid #9aa7b8; border-radius: 6px; }}"
    "QLabel { background: transparent; color: #ffffff; }"
    "QPushButton { background: #ffffff; color: #20242b; border: 1px solid #20242b; border-radius: 4px;"
    " padding: 4px 10px; }"
    "QPushButton:focus { border: 2px solid #3d9bff; padding: 3px 9px; }"
)


class CanvasBar(QWidget):
    """Words and a row of controls under them, over the middle of the slide's upper edge; hidden at first.

    Parameters
    ----------
    canvas : QWidget
        What it lies on.
    kind : str
        `ALARM` or `QUESTION`.
    """

    def __init__(self, canvas: QWidget, kind: str) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.setObjectName(kind)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(_RULES)
        self.words = parts.text()
        self._row = QHBoxLayout()
        self._row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(8)
        layout.addWidget(self.words)
        layout.addLayout(self._row)
        canvas.installEventFilter(self)
        self.hide()

    def offer(self, *controls: QWidget) -> None:
        """Add controls at the right of the row."""
        for control in controls:
            self._row.addWidget(control)

    def say(self, words: str) -> None:
        """Show the bar with some words."""
        self.words.setText(words)
        self._fit()
        self.show()
        self.raise_()

    def let_go(self) -> None:
        """Stop listening."""
        self._canvas.removeEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Stay in place when the canvas changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _fit(self) -> None:
        width = max(160, min(_MOST_PX, self._canvas.width() - 2 * _MARGIN_PX))
        height = self.layout().heightForWidth(width)
        self.setGeometry((self._canvas.width() - width) // 2, _BELOW_BADGE_PX, width, max(height, 60))
